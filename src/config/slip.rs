//! Mistakes of form: what the library stops at, in words, and how to read on after it.
//!
//! A slip that can be passed over without a guess is a [`Mend`]: a value that should be quoted or
//! has a unit (`50MiB`, `/var/mail`, `example.org`), or a comma that is missing. The mend keeps the
//! length of the text, so that each place in the mended text is the same one in the file.

use std::ops::Range;

use ron::Error;

use super::Config;
use super::key::Key;
use super::reader::{Finding, Raw, Stop};

/// How a text is changed to be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// These octets are a value that cannot be one.
    Value(Range<usize>),
    /// A comma is missing at this octet: after the value of the key, or within it.
    Comma { at: usize, is_within: bool },
}

impl Mend {
    /// The first octet that it changes.
    pub(super) fn at(&self) -> usize {
        match self {
            Self::Value(range) => range.start,
            Self::Comma { at, .. } => *at,
        }
    }

    /// Whether an octet is of a value that it replaces.
    pub(super) fn holds(&self, at: usize) -> bool {
        matches!(self, Self::Value(range) if range.contains(&at))
    }

    /// What is wrong, for the key in whose value it is.
    pub(super) fn finding(&self, source: &str, key: String) -> Finding {
        let range = match self {
            Self::Value(range) => range,
            Self::Comma { at, is_within } => {
                let message =
                    if *is_within { "lacks a comma here" } else { "must be followed by a comma" };
                return Finding { at: *at, key, message: message.to_owned() };
            }
        };
        let raw = Raw { text: source.get(range.clone()).unwrap_or_default(), at: range.start };
        let quoted = format!("\"{}\"", raw.text);
        let of_table = Key::<Config>::of(&key);
        let allowed = of_table.map_or_else(|| "a value".to_owned(), |key| (key.allowed)());
        let is_right_quoted =
            of_table.is_some_and(|key| (key.accepts)(Raw { text: &quoted, at: 0 }));
        let note =
            if is_right_quoted { format!("; write it in quotes, {quoted}") } else { String::new() };
        Finding {
            at: raw.at,
            key,
            message: format!("must be {allowed}, not {}{note}", raw.shown()),
        }
    }

    /// Changes the text; its length stays.
    pub(super) fn apply(&self, text: &mut String) {
        match self {
            // Any value will do that holds no place for a second mistake.
            Self::Value(range) => {
                text.replace_range(range.clone(), &format!("{:>1$}", "0", range.len()));
            }
            Self::Comma { at, .. } => text.replace_range(*at..=*at, ","),
        }
    }
}

/// Whether a character can be part of a value that someone forgot to quote.
fn is_bare(char: char) -> bool {
    !char.is_whitespace() && !char.is_control() && !",;()[]{}\"'".contains(char)
}

/// Whether a text begins with `key:`.
fn begins_with_key(text: &str) -> bool {
    let name = text.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '_');
    name.len() < text.len() && name.trim_start().starts_with(':')
}

/// What can be mended where a reading stopped.
pub(super) fn mend(text: &str, stop: &Stop) -> Option<Mend> {
    let key_is_read = matches!(stop.error, Error::ExpectedMapColon);
    stop.key.as_ref().filter(|_| !key_is_read)?;
    let (before, rest) = text.split_at_checked(stop.at)?;
    if stop.error == Error::ExpectedComma {
        let value = before.trim_end();
        let last_line = value.rsplit('\n').next().unwrap_or_default();
        if value.len() < before.len() && !last_line.contains("//") && !last_line.ends_with("*/") {
            let next_line = before[value.len()..].contains('\n')
                && rest.starts_with(|char: char| !",)]}".contains(char));
            if next_line || begins_with_key(rest) || rest.starts_with(['"', '(']) {
                return Some(Mend::Comma { at: value.len(), is_within: stop.is_within });
            }
        }
    }
    let is_of_value =
        matches!(stop.error, Error::ExpectedComma | Error::ExpectedInteger | Error::ExpectedFloat)
            || matches!(stop.error, Error::UnexpectedChar(_) | Error::InvalidIntegerDigit { .. })
            || matches!(
                stop.error,
                Error::FloatUnderscore | Error::UnderscoreAtBeginning | Error::IntegerOutOfBounds
            );
    // A bracket or the end of the text is another mistake than a wrong value before it.
    if !is_of_value || !rest.starts_with(is_bare) {
        return None;
    }
    let word = before.len()
        - before.chars().rev().take_while(|char| is_bare(*char)).map(char::len_utf8).sum::<usize>();
    let mut start = word.max(stop.value);
    // `5 MiB`: the number was read as the value, and the unit is on the same line.
    if stop.error == Error::ExpectedComma
        && !before.get(stop.value..)?.contains(['\n', '(', '[', '"'])
    {
        start = stop.value;
    }
    let end = stop.at + rest.find(|char| !is_bare(char)).unwrap_or(rest.len());
    let start = start + (text.get(start..end)?.len() - text.get(start..end)?.trim_start().len());
    // A key here means that a bracket before it is not closed.
    let is_key = text.get(start..end)?.ends_with(':') || begins_with_key(text.get(start..)?);
    (start < end && !is_key).then_some(Mend::Value(start..end))
}

/// What is wrong where a reading stopped, in words.
pub(super) fn words(text: &str, stop: &Stop) -> Finding {
    let rest = text.get(stop.at..).unwrap_or_default();
    let found = rest.chars().next().map_or_else(
        || "the file ends".to_owned(),
        |char| {
            format!("found `{}`", Raw { text: char.encode_utf8(&mut [0; 4]), at: stop.at }.shown())
        },
    );
    let key = stop.key.as_deref().unwrap_or_default();
    let after = if key.is_empty() { String::new() } else { format!(" after the value of `{key}`") };
    let within = if key.is_empty() { String::new() } else { format!("in the value of `{key}`: ") };
    let message = match &stop.error {
        Error::ExpectedNamedStructLike(_)
        | Error::ExpectedDifferentStructName { .. }
        | Error::ExpectedStructLike => {
            format!("all keys go between one `(` and one `)`: expected `(`, {found}")
        }
        Error::ExpectedMapColon => format!("expected `:` after the key `{key}`, {found}"),
        Error::ExpectedIdentifier
        | Error::SuggestRawIdentifier(_)
        | Error::InvalidIdentifier(_) => {
            format!("expected a key, in letters, digits and `_`{after}, {found}")
        }
        Error::ExpectedComma | Error::ExpectedStructLikeEnd if rest.is_empty() => {
            format!("the closing `)` is missing{after}: the file ends")
        }
        Error::ExpectedComma => format!("expected `,` or a closing bracket{after}, {found}"),
        Error::ExpectedStringEnd => {
            format!("{within}the string that begins here has no closing `\"`")
        }
        Error::InvalidEscape(_) => format!("{within}not an escape; a backslash itself is `\\\\`"),
        Error::UnclosedBlockComment => {
            "the comment that begins here has no closing `*/`".to_owned()
        }
        Error::TrailingCharacters => format!("nothing may follow the closing `)`, {found}"),
        Error::Eof => format!("{within}the file ends too early"),
        Error::UnexpectedChar(_) => format!("{within}expected a value, {found}"),
        Error::ExceededRecursionLimit => format!("{within}too many brackets in each other"),
        other => format!("{within}not a value, says the reader of RON: {other}"),
    };
    Finding { at: stop.at, key: String::new(), message }
}
