//! `"C strings"` and `'raw strings'`, with their escapes.

use std::borrow::Cow;

use super::{Kind, Lexer};

impl<'a> Lexer<'a, '_> {
    /// Strings that follow each other are one, whatever their quotes, and comments between. Says
    /// too where the last one ends, since what follows it has been looked at.
    pub(super) fn strings(&mut self) -> (Kind<'a>, usize) {
        let mut whole = Cow::Borrowed("");
        let before = self.found.len();
        loop {
            let start = self.place;
            let Some(text) = self.string() else {
                let quote = char::from(self.octet(0));
                self.say(
                    start,
                    start + 1,
                    "this string has no end",
                    &format!("close it with `{quote}`"),
                );
                self.place = self.line_end();
                return (Kind::Unread, self.place);
            };
            if whole.is_empty() {
                whole = text;
            } else {
                whole.to_mut().push_str(&text);
            }
            let end = self.place;
            loop {
                self.blanks();
                if !(self.rest().starts_with("/*") || self.rest().starts_with("//")) {
                    break;
                }
                self.comment();
            }
            if !matches!(self.octet(0), b'"' | b'\'') {
                // What was said of it is enough.
                let kind = if self.found.len() > before { Kind::Unread } else { Kind::Text(whole) };
                return (kind, end);
            }
        }
    }

    /// One string, or none where it has no end: then nothing is passed.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let (quote, inside) = (self.octet(0), self.place + 1);
        let rest = self.source.get(inside..)?;
        let mut text = Cow::Borrowed("");
        // What was not yet taken begins here.
        let mut from = 0;
        let mut octets = rest.bytes().enumerate();
        let mut mistakes = Vec::new();
        let end = loop {
            let (at, octet) = octets.next()?;
            if octet == quote {
                break at;
            }
            if octet != b'\\' {
                continue;
            }
            let after = rest.get(at + 1..)?;
            let (meaning, length) = if quote == b'"' { cooked(after) } else { raw(after) };
            let meaning = meaning.unwrap_or_else(|message| {
                mistakes.push((inside + at, inside + at + 1 + length, message));
                None
            });
            if length > 0 {
                text.to_mut().push_str(rest.get(from..at)?);
                text.to_mut().extend(meaning);
                from = at + 1 + length;
                octets.nth(length - 1)?;
            }
        };
        for (start, end, message) in mistakes {
            self.say(start, end, message, "");
        }
        self.place = inside + end + 1;
        let tail = rest.get(from..end)?;
        if from == 0 {
            return Some(Cow::Borrowed(tail));
        }
        text.to_mut().push_str(tail);
        Some(text)
    }
}

type Escape = (Result<Option<char>, String>, usize);

/// What follows a `\` in a C string: the character that it means, and how long it is.
fn cooked(after: &str) -> Escape {
    let octets = after.as_bytes();
    let digits = |from: usize, most: usize, base: u32| {
        let digits = after.get(from..).unwrap_or_default().bytes().take(most);
        digits.take_while(|octet| char::from(*octet).is_digit(base)).count()
    };
    let number = |from: usize, length: usize, base: u32| {
        let value = u32::from_str_radix(after.get(from..from + length).unwrap_or_default(), base)
            .unwrap_or_default();
        match u8::try_from(value) {
            Ok(octet) if octet.is_ascii() && octet > 0 => Ok(Some(char::from(octet))),
            _ => Err(format!(
                "`\\{}` stands for no character",
                after.get(..from + length).unwrap_or_default()
            )),
        }
    };
    let Some(char) = after.chars().next() else { return (Ok(None), 0) };
    match char {
        '\n' => (Ok(None), 1),
        '\r' if octets.get(1) == Some(&b'\n') => (Ok(Some('\n')), 2),
        'a' => (Ok(Some('\x07')), 1),
        'b' => (Ok(Some('\x08')), 1),
        'f' => (Ok(Some('\x0c')), 1),
        'n' => (Ok(Some('\n')), 1),
        'r' => (Ok(Some('\r')), 1),
        't' => (Ok(Some('\t')), 1),
        'v' => (Ok(Some('\x0b')), 1),
        'x' | 'X' if digits(1, 2, 16) > 0 => {
            let length = digits(1, 2, 16);
            (number(1, length, 16), 1 + length)
        }
        '0'..='7' => {
            let length = digits(0, 3, 8);
            (number(0, length, 8), length)
        }
        char if char.is_ascii_alphanumeric() => (Err(format!("`\\{char}` is no escape")), 1),
        char => (Ok(Some(char)), char.len_utf8()),
    }
}

/// The same in a raw string, where little is escaped.
fn raw(after: &str) -> Escape {
    match after.chars().next() {
        Some('\n') => (Ok(None), 1),
        Some(char @ ('\\' | '\'' | '#')) => (Ok(Some(char)), 1),
        _ => (Ok(None), 0),
    }
}
