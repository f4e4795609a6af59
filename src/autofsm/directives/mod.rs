//! AutoGen's directives: the lines that start with `#`.
//!
//! GNU autogen has a preprocessor of its own, which looks like C's and differs from it. It is read
//! here as measured on autogen 5.18.16:
//!
//! - `#if` is never true, whatever follows it, and its `#else` is passed over too.
//! - `#ifdef` and `#ifndef` take the rest of the line as the name, and compare it with the names of
//!   `#define` and of `-D` letter by letter. The environment does not count.
//! - `#define NAME value` defines the name; the value is never put into the text.
//! - While text is passed over, a directive is found only in the first column, and neither strings
//!   nor comments are seen. Elsewhere a `#` within them is theirs.
//! - `#pragma`, `#ident`, `#let`, `#line`, `#!`, `#macdef` to `#endmac`, `#assert` of anything but
//!   shell or Scheme, and `#include` of a name in quotes or `< >` have no effect.
//!
//! What brings in other text (`#include`, `#shell`), what runs a program (`#assert`), and what sets
//! an option of the command is refused. So is what GNU autogen reads otherwise than it looks.

use std::borrow::Cow;

use super::Span;
use super::lexer::Lexer;
use conditions::{Condition, Until};

mod conditions;
mod defined;
mod refused;

/// Misspelt directives are recognised this often: a file of nothing else has no use for more.
const SUGGESTIONS_MAX: usize = 100;

/// What the directives of a file have done so far.
#[derive(Debug, Default)]
pub(super) struct Directives {
    defined: Vec<String>,
    open: Vec<Condition>,
    /// A directive was refused that may have brought in names, or hidden them.
    pub in_doubt: bool,
    /// A line that is not a directive has been reported. One report is enough.
    unknown_reported: bool,
    /// How many more such lines are compared with the directives.
    suggestions_left: usize,
}

impl Directives {
    /// With these names defined, each as `NAME` or `NAME=VALUE`.
    pub(super) fn new(defines: &[&str]) -> Self {
        let name = |define: &&str| define.split('=').next().unwrap_or_default().to_owned();
        Self {
            defined: defines.iter().map(name).collect(),
            suggestions_left: SUGGESTIONS_MAX,
            ..Self::default()
        }
    }
}

/// One directive that is read: its word, what follows, and where each is.
struct Line<'a> {
    word: &'a str,
    /// What follows the word, a continued line as one.
    rest: Cow<'a, str>,
    /// From the `#` to the end of its first line.
    span: Span,
    /// The place of `rest`, as far as it is on the first line.
    rest_span: Span,
    is_indented: bool,
}

/// The blanks of C.
fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The word that a text starts with, if it starts with a letter.
fn word(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(text.len());
    let word = text.get(..end).unwrap_or_default();
    if word.starts_with(|char: char| char.is_ascii_alphabetic()) { word } else { "" }
}

impl<'a> Lexer<'a, '_> {
    /// Passes the directive that starts here, and what it hides.
    pub(super) fn directive(&mut self) {
        let Some(line) = self.line() else { return };
        let whole = line.span;
        let conditional = ["if", "ifdef", "ifndef", "else", "endif", "macdef"].contains(&line.word);
        if line.is_indented && conditional {
            let message = format!(
                "GNU autogen does not find this `#{}` while it passes over text",
                line.word
            );
            self.say(whole.start, whole.end, message, "start it in the first column");
        }
        match line.word {
            "if" => {
                self.skip(Until::EndOfIf, "if", whole);
                self.check_if(&line);
            }
            "ifdef" | "ifndef" => self.condition(&line),
            "else" => self.other(&line),
            "endif" => {
                self.check_tail(&line.rest, line.rest_span);
                if self.directives.open.pop().is_none() {
                    let help = "take this `#endif` away";
                    self.say(whole.start, whole.end, "no `#ifdef` is open here", help);
                }
            }
            "macdef" => drop(self.skip(Until::EndOfMacro, "macdef", whole)),
            "define" => self.define(&line),
            "undef" => self.undefine(&line),
            "line" | "pragma" | "ident" | "let" => {}
            "endmac" | "endshell" => {
                let message = format!("nothing is open here that `#{}` ends", line.word);
                self.say(whole.start, whole.end, message, "take it away");
            }
            _ => self.not_carried_out(&line),
        }
    }

    /// Reads the line. Returns `None` if it is no directive, or not to be read as one.
    fn line(&mut self) -> Option<Line<'a>> {
        let (source, start) = (self.source(), self.place);
        let before = source.get(..start).unwrap_or_default();
        let before =
            before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
        let first_end = self.line_end();
        let mut end = first_end;
        while end < source.len() && source.get(..end).is_some_and(|text| text.ends_with('\\')) {
            self.place = end + 1;
            end = self.line_end();
        }
        let inside = source.get(start + 1..end).unwrap_or_default();
        let inside = inside.trim_start_matches(|char| char == '\\' || is_blank(char));
        let word = word(inside);
        if matches!(word, "else" | "endif") {
            // While text is passed over these have one line: what would be read otherwise here is
            // an error.
            end = first_end;
        }
        self.place = (end + 1).min(source.len());
        if before.contains(|char| !is_blank(char)) {
            self.say(
                start,
                start + 1,
                "a directive stands alone on its line",
                "put it on a line of its own",
            );
            return None;
        }
        let text = source.get(start + 1..end).unwrap_or_default();
        if text.starts_with('!') {
            return None;
        }
        let odd = text.find(['\r', '\x0b', '\x0c']).map(|place| start + 1 + place);
        if let Some(place) = odd {
            self.odd_blank_at(place);
        }
        let inside = text.trim_start_matches(|char| char == '\\' || is_blank(char));
        let tail = inside.get(word.len()..).unwrap_or_default();
        let rest_span = Span { start: (end - tail.len()).min(first_end), end: first_end };
        let rest = if tail.contains("\\\n") {
            Cow::from(tail.replace("\\\n", "  "))
        } else {
            Cow::from(tail)
        };
        self.check_comment(tail, end - tail.len());
        Some(Line {
            word,
            rest,
            span: Span { start, end: first_end },
            rest_span,
            is_indented: !before.is_empty(),
        })
    }

    /// A comment that starts in a directive's line, which is passed over, has to end there.
    fn check_comment(&mut self, tail: &str, start: usize) {
        if let Some(open) =
            tail.rfind("/*").filter(|open| !tail.get(*open..).unwrap_or_default().contains("*/"))
        {
            let place = start + open;
            let help = "end it on this line: GNU autogen passes over the directive's line alone";
            self.say(
                place,
                place + 2,
                "a comment starts on a directive's line and does not end there",
                help,
            );
        }
    }

    /// Refuses a directive that may bring in names, or hide them.
    fn doubt(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.directives.in_doubt = true;
        self.say(span.start, span.end, message, help);
    }
}
