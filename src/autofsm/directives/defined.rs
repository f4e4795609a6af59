//! `#define` and `#undef`: the names that `#ifdef` finds.

use super::super::diagnostic::shown;
use super::super::lexer::Lexer;
use super::{Line, is_blank};

/// The most names that may be defined: each `#ifdef` looks through them.
const DEFINED_MAX: usize = 1_000;

impl Lexer<'_, '_> {
    pub(super) fn define(&mut self, line: &Line<'_>) {
        let given = line.rest.trim_start_matches(is_blank);
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let length = given.find(|char| !is_part(char)).unwrap_or(given.len());
        let (name, value) = given.split_at_checked(length).unwrap_or((given, ""));
        if !name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') {
            let help = "a letter or `_`, then letters, digits and `_`";
            self.say(line.span.start, line.span.end, "this `#define` defines nothing", help);
        } else if value.starts_with('(') {
            // AutoGen has no macros with arguments: this one has no effect.
        } else {
            if value.starts_with(|char| !is_blank(char)) {
                let message = format!("this defines `{}` to GNU autogen", shown(name));
                self.say(
                    line.rest_span.start,
                    line.rest_span.end,
                    message,
                    "leave a blank between name and value",
                );
            }
            if self.directives.defined.iter().any(|defined| defined == name) {
                return;
            }
            if self.directives.defined.len() >= DEFINED_MAX {
                let message = format!("more than {DEFINED_MAX} names are not defined");
                return self.doubt(line.span, message, "define only what an `#ifdef` asks for");
            }
            self.directives.defined.push(name.to_owned());
        }
    }

    pub(super) fn undefine(&mut self, line: &Line<'_>) {
        let name = line.rest.trim_start_matches(is_blank);
        let plain =
            |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b':');
        if name.is_empty() || !name.bytes().all(plain) {
            let message = "`#undef` takes all of the line as a regular expression to GNU autogen";
            self.say(
                line.span.start,
                line.span.end,
                message,
                "write a name alone, and nothing after it",
            );
            return;
        }
        let more = self
            .directives
            .defined
            .iter()
            .find(|defined| *defined != name && defined.contains(name));
        if let Some(more) = more {
            let message =
                format!("GNU autogen takes back `{}` too, which has `{name}` in it", shown(more));
            self.say(line.span.start, line.span.end, message, "rename one of them");
        }
        self.directives.defined.retain(|defined| !defined.contains(name));
    }
}
