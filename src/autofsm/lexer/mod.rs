//! Text into words: AutoGen's lexical forms as AutoFSM's definitions use them.
//!
//! Comments `/* */` and `//`; words; numbers; `"C strings"` and `'raw strings'`, of which those
//! that follow each other join; and the characters `{ } = , ; [ ]`. Directives are read by
//! `directives`. Other forms of AutoGen's (shell, Scheme, here-strings, files) get an error that
//! names them, and so does what GNU autogen reads otherwise than it looks, such as a comment that
//! touches a word.

use std::borrow::Cow;

use super::diagnostic::{keep, shown};
use super::directives::Directives;
use super::{Diagnostic, Span};

mod foreign;
mod strings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A word without quotes that may name an attribute.
    Name(&'a str),
    /// Another word without quotes, or a number.
    Bare(&'a str),
    Text(Cow<'a, str>),
    Punct(char),
    /// A form that is not read. It has been said.
    Unread,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    pub span: Span,
}

/// A comment, without its marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub text: String,
    pub span: Span,
}

pub(super) struct Lexer<'a, 'f> {
    source: &'a str,
    pub(super) place: usize,
    pub(super) directives: Directives,
    pub comments: Vec<Comment>,
    pub found: &'f mut Vec<Diagnostic>,
    /// A stray CR, form feed or vertical tab has been reported. One report is enough.
    odd_blank: bool,
    /// So many octets may still be searched for ends that are not there.
    search_left: usize,
}

/// The characters of a name, as autogen has them.
pub(super) fn is_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'^' | b':')
}

/// The characters of a word that needs no quotes.
fn is_word(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"\"#,;<=>[\\]`{}?*'()".contains(&octet)
}

impl<'a, 'f> Lexer<'a, 'f> {
    pub(super) fn new(
        source: &'a str,
        directives: Directives,
        found: &'f mut Vec<Diagnostic>,
    ) -> Self {
        // To autogen a NUL is the end of the file, wherever it stands.
        let end = source.find('\0');
        if let Some(start) = end {
            let span = Span { start, end: start + 1 };
            keep(found, Diagnostic::error(span, "a NUL octet: GNU autogen reads no further"));
        }
        let source = source.get(..end.unwrap_or(source.len())).unwrap_or(source);
        let comments = Vec::new();
        Self {
            source,
            place: 0,
            directives,
            comments,
            found,
            odd_blank: false,
            search_left: source.len(),
        }
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn rest(&self) -> &'a str {
        self.source.get(self.place..).unwrap_or_default()
    }

    fn octet(&self, ahead: usize) -> u8 {
        self.source.as_bytes().get(self.place + ahead).copied().unwrap_or_default()
    }

    pub(super) fn say(&mut self, start: usize, end: usize, message: impl Into<String>, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        keep(self.found, Diagnostic::error(Span { start, end }, message).help(help));
    }

    /// The length of what `rest` begins with, all of one kind.
    fn run(&self, is: fn(u8) -> bool) -> usize {
        let rest = self.rest().as_bytes();
        rest.iter().position(|octet| !is(*octet)).unwrap_or(rest.len())
    }

    pub(super) fn line_end(&self) -> usize {
        self.rest().find('\n').map_or(self.source.len(), |length| self.place + length)
    }

    /// The next word, or none at the end.
    pub(super) fn token(&mut self) -> Option<Token<'a>> {
        loop {
            self.blanks();
            let start = self.place;
            let rest = self.rest();
            let Some(&octet) = rest.as_bytes().first() else {
                self.end_directives();
                return None;
            };
            let mut end = None;
            let kind = match octet {
                b'/' if rest.starts_with("/*") || rest.starts_with("//") => {
                    self.comment();
                    continue;
                }
                b'{' | b'}' | b'=' | b',' | b';' | b'*' | b'[' | b']' => {
                    self.place += 1;
                    Kind::Punct(char::from(octet))
                }
                b'"' | b'\'' => {
                    let (kind, stop) = self.strings();
                    end = Some(stop);
                    kind
                }
                b'#' => {
                    self.directive();
                    continue;
                }
                b'`' | b'(' | b'\\' | b'<' | b'$' if self.is_foreign() => self.foreign(),
                _ if is_word(octet) => self.word(),
                _ => self.nonsense(),
            };
            return Some(Token { kind, span: Span { start, end: end.unwrap_or(self.place) } });
        }
    }

    fn blanks(&mut self) {
        self.place += self.run(|octet| matches!(octet, b' ' | b'\t' | b'\n'));
        while matches!(self.octet(0), b'\r' | 0x0b | 0x0c) {
            self.odd_blank_at(self.place);
            self.place += 1;
            self.place += self.run(|octet| matches!(octet, b' ' | b'\t' | b'\n'));
        }
    }

    /// Reports the first CR, form feed or vertical tab between words.
    pub(super) fn odd_blank_at(&mut self, place: usize) {
        if !std::mem::replace(&mut self.odd_blank, true) {
            let octet = self.source.as_bytes().get(place).copied().unwrap_or_default();
            let message = format!("a `{}` stands between words", char::from(octet).escape_debug());
            let help = "end lines with LF alone: GNU autogen stops at some that end in CR LF";
            self.say(place, place + 1, message, help);
        }
    }

    fn comment(&mut self) {
        let start = self.place;
        let inside = self.rest().get(2..).unwrap_or_default();
        let text = if self.octet(1) == b'/' {
            let length = inside.find('\n');
            self.place = self.line_end();
            if length.is_none() {
                let help = "end the file with an empty line: GNU autogen needs the line's end";
                self.say(start, start + 2, "the last line is a comment without an end", help);
            }
            inside.get(..length.unwrap_or(inside.len())).unwrap_or_default().trim().to_owned()
        } else if let Some(length) = inside.find("*/") {
            self.place += length + 4;
            let inside = inside.get(..length).unwrap_or_default();
            let lines = inside.lines().map(|line| line.trim().trim_start_matches('*').trim());
            lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
        } else {
            self.say(start, start + 2, "this comment has no end", "close it with `*/`");
            self.place = self.source.len();
            return;
        };
        self.comments.push(Comment { text, span: Span { start, end: self.place } });
    }

    /// A number, or a word without quotes.
    fn word(&mut self) -> Kind<'a> {
        let start = self.place;
        let is_number = self.octet(0).is_ascii_digit()
            || (self.octet(0) == b'-' && self.octet(1).is_ascii_digit());
        let length = if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.place += 2;
            self.run(|octet| octet.is_ascii_hexdigit())
        } else if is_number {
            self.place += 1;
            self.run(|octet| octet.is_ascii_digit())
        } else {
            self.run(is_name)
        };
        self.place += length;
        let is_whole = !is_word(self.octet(0));
        self.place += self.run(is_word);
        let word = self.source.get(start..self.place).unwrap_or_default();
        if word.contains("//") || (word.ends_with('/') && self.octet(0) == b'*') {
            let message = format!(
                "a comment touches `{}`",
                shown(word.split('/').next().unwrap_or_default())
            );
            let help = "put a blank between, or quotes around: to GNU autogen the comment is part of the word";
            self.say(start, self.place, message, help);
            // What follows is the comment's, which autogen would take for something else.
            self.place = start + word.find("//").unwrap_or(word.len() - 1);
            return Kind::Text(Cow::Borrowed(
                self.source.get(start..self.place).unwrap_or_default(),
            ));
        }
        if is_number && !is_whole {
            let message = format!("`{}` begins as a number and is none", shown(word));
            self.say(start, self.place, message, "put it in quotes");
            return Kind::Unread;
        }
        if is_whole && !is_number { Kind::Name(word) } else { Kind::Bare(word) }
    }

    /// Characters that begin nothing.
    fn nonsense(&mut self) -> Kind<'a> {
        let start = self.place;
        let char = self.rest().chars().next().unwrap_or_default();
        let known = |char: char| char.is_ascii_whitespace() || char.is_ascii_graphic();
        let length = self.rest().find(known).unwrap_or(self.rest().len());
        self.place += length.max(char.len_utf8());
        let help = if char.is_ascii() {
            ""
        } else {
            "only strings and comments may have characters outside ASCII"
        };
        self.say(
            start,
            self.place,
            format!("`{}` has no meaning here", shown(&char.to_string())),
            help,
        );
        Kind::Unread
    }
}
