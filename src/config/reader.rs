//! Reads `( key: value, ... )` with the place of each part, and says what is wrong in one run.
//!
//! The library (ron) takes the text apart and tells one mistake, of which it does not name the key.
//! So each value is first taken as the text that it is, then read by itself, by what its key allows
//! (`kind.rs`). What the library stops at is put into words, or mended and passed over, in
//! `slip.rs`.

use ron::extensions::Extensions;
use ron::value::RawValue;
use ron::{Error, Options};
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as Source};

/// The most characters of a wrong value that are shown.
const SHOWN_CHARS_MAX: usize = 40;

/// Something that is wrong, and the octet of the text at which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub at: usize,
    /// The key that the message is about, with the groups it is in: `log.files`; "" if it names
    /// itself.
    pub key: String,
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = if self.key.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.key, self.message)
    }
}

/// A value as the file writes it, and its first octet's place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub text: &'a str,
    pub at: usize,
}

fn options() -> Options {
    Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

impl<'a> Raw<'a> {
    /// Reads the value as one of a type of the library's.
    pub(super) fn read<T: Deserialize<'a>>(self) -> Option<T> {
        options().from_str(self.text).ok()
    }

    /// A part of this value.
    fn part(self, part: &'a RawValue) -> Self {
        let mut text = part.get_ron();
        if text.starts_with(is_blank) || text.ends_with(is_blank) {
            text = part.trim().get_ron();
        }
        Self { text, at: self.at + text.as_ptr().addr().saturating_sub(self.text.as_ptr().addr()) }
    }

    /// The elements of a list.
    pub(super) fn elements(self) -> Option<Vec<Self>> {
        let elements: Vec<&'a RawValue> = self.read()?;
        Some(elements.into_iter().map(|element| self.part(element)).collect())
    }

    /// The parts of a pair, `("path", "level")`.
    pub(super) fn pair(self) -> Option<(Self, Self)> {
        let (first, second): (&'a RawValue, &'a RawValue) = self.read()?;
        Some((self.part(first), self.part(second)))
    }

    /// What is in the parentheses of `Name(...)`.
    pub(super) fn inside(self, name: &str) -> Option<Self> {
        let text = self.text.strip_prefix(name)?.trim_start();
        let rest = Self { text, at: self.at + self.text.len() - text.len() };
        let (only,): (&'a RawValue,) = rest.read()?;
        Some(rest.part(only))
    }

    /// The value as a message shows it: on one line, and not too long.
    pub(super) fn shown(self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let line: String = words.join(" ").chars().flat_map(printable).collect();
        let mut shown: String = line.chars().take(SHOWN_CHARS_MAX).collect();
        if shown.len() < line.len() {
            shown.push_str("...");
        }
        shown
    }
}

/// Whether a character may be of blanks or of a comment around a value.
fn is_blank(char: char) -> bool {
    char.is_whitespace() || char == '/'
}

/// A character, or the escape of one that would do something to a terminal.
fn printable(char: char) -> Vec<char> {
    if char.is_control() { char.escape_default().collect() } else { vec![char] }
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub key: String,
    pub at: usize,
    pub value: Raw<'a>,
}

/// How far a reading has come.
struct Reading<'a> {
    raw: Raw<'a>,
    entries: Vec<Entry<'a>>,
    /// The key whose value is being read.
    key: Option<String>,
    /// The octet after the last value.
    end: usize,
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'de> {
    type Value = ();

    fn deserialize<D: Source<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_struct("Config", &[], self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("keys with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Identifier(key)) = map.next_key()? {
            self.key = Some(key.clone());
            let value = self.raw.part(map.next_value::<&'de RawValue>()?);
            let before = self.raw.text.get(self.end..value.at - self.raw.at).unwrap_or_default();
            let at = self.raw.at + self.end + place_of_key(before, &key);
            self.end = value.at - self.raw.at + value.text.len();
            self.entries.push(Entry { key, at, value });
            self.key = None;
        }
        Ok(())
    }
}

/// The name of a key.
struct Identifier(String);

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Source<'de>>(source: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Identifier;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Identifier, E> {
                Ok(Identifier(name.to_owned()))
            }
        }
        source.deserialize_identifier(Name)
    }
}

/// Where a key is in the text before its value: its last appearance outside of comments.
fn place_of_key(before: &str, key: &str) -> usize {
    let mut code = before.as_bytes().to_vec();
    let mut at = 0;
    while let Some(rest) = before.get(at..) {
        let Some(found) = rest.find("//").into_iter().chain(rest.find("/*")).min() else { break };
        let comment = &rest[found..];
        let length = if comment.starts_with("//") {
            comment.find('\n').unwrap_or(comment.len())
        } else {
            comment.find("*/").map_or(comment.len(), |end| end + 2)
        };
        at += found;
        code[at..at + length].fill(b' ');
        at += length;
    }
    String::from_utf8_lossy(&code).rfind(key).unwrap_or_default()
}

/// Why a text could not be read to its end.
#[derive(Debug)]
pub(super) struct Stop {
    /// The library's reason.
    pub error: Error,
    /// The octet at which it stopped.
    pub at: usize,
    /// The key whose value it was reading, or had just read.
    pub key: Option<String>,
    /// The first octet of that value.
    pub value: usize,
    /// Whether it was reading the value.
    pub is_within: bool,
}

/// The entries of a value that is `( key: value, ... )`, as far as it can be read.
pub(super) fn entries(raw: Raw<'_>) -> (Vec<Entry<'_>>, Option<Stop>) {
    let mut reading = Reading { raw, entries: Vec::new(), key: None, end: 0 };
    let result = options().from_str_seed(raw.text, &mut reading);
    let Reading { entries, key, end, .. } = reading;
    let stop = result.err().map(|error| {
        // The span begins with the last token; these are about what comes after it.
        let is_after =
            matches!(error.code, Error::ExpectedComma | Error::ExpectedMapColon | Error::Eof);
        let at = octet(raw.text, if is_after { error.span.end } else { error.span.start });
        let last = entries.last();
        let value = match &key {
            Some(key) => {
                let before = raw.text.get(end..at).unwrap_or_default();
                let place = place_of_key(before, key);
                before
                    .get(place..)
                    .and_then(|rest| rest.find(':'))
                    .map_or(at, |colon| end + place + colon + 1)
            }
            None => last.map_or(at, |entry| entry.value.at - raw.at),
        };
        let is_within = key.is_some();
        let key = key.or_else(|| last.map(|entry| entry.key.clone()));
        Stop { error: error.code, at: raw.at + at, key, value: raw.at + value, is_within }
    });
    (entries, stop)
}

/// The octet at a line and a column, both from 1.
fn octet(text: &str, place: ron::error::Position) -> usize {
    let line =
        text.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or_default();
    line + rest.char_indices().nth(place.col.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}
