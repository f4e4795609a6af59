//! AutoGen's own forms, which are not read: shell, Scheme, here-strings and the contents of files.
//! Each is passed whole, so that what follows it is read.

use super::{Kind, Lexer};

impl<'a> Lexer<'a, '_> {
    /// Whether AutoGen's own forms begin here: shell, Scheme, here-strings, files.
    pub(super) fn is_foreign(&self) -> bool {
        let rest = self.rest();
        ["`", "(", "\\", "<<", "$("].iter().any(|begin| rest.starts_with(begin))
    }

    pub(super) fn foreign(&mut self) -> Kind<'a> {
        let (start, rest, line_end) = (self.place, self.rest(), self.line_end());
        let rest = rest.get(..rest.floor_char_boundary(self.search_left)).unwrap_or(rest);
        let (what, length) = if rest.starts_with('`') {
            (
                "shell strings (`)",
                rest.get(1..).and_then(|inside| inside.find('`')).map(|length| length + 2),
            )
        } else if rest.starts_with("<<") {
            ("here-strings (`<<`)", here_string(rest))
        } else if rest.starts_with('$') {
            ("file contents (`$(`)", rest.find(')').map(|length| length + 1))
        } else {
            ("Scheme expressions (`(`)", parentheses(rest))
        };
        if length.is_none() {
            self.search_left -= rest.len();
        }
        self.place = length.map_or(line_end, |length| start + length);
        self.say(
            start,
            self.place.min(line_end),
            format!("AutoGen's {what} are not read here"),
            "",
        );
        Kind::Unread
    }
}

/// The length of a here-string: to the line that holds its mark alone.
fn here_string(rest: &str) -> Option<usize> {
    let (first, inside) = rest.split_once('\n')?;
    let mark = first.trim_start_matches(['<', '-']).trim();
    let mut length = first.len() + 1;
    for line in inside.split_inclusive('\n') {
        length += line.len();
        if line.trim() == mark {
            return Some(length);
        }
    }
    None
}

/// The length of an expression in parentheses.
fn parentheses(rest: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0_usize, false);
    for (place, octet) in rest.bytes().enumerate() {
        match octet {
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}
