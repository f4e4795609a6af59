//! Kinds of values: what each allows, how it is read, and how it is written.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::key::Row;
use super::reader::{Finding, Raw};
use crate::smtp::path::Domain;

/// What is wrong with a value, or with a part of it.
pub(super) enum Wrong {
    /// It is not what is allowed.
    Value {
        /// The first octet of the wrong part.
        at: usize,
        /// The wrong part, as the file writes it.
        shown: String,
        /// More about it, or "".
        note: String,
    },
    /// A key of the group is wrong.
    Within(Finding),
}

impl Wrong {
    pub(super) fn new(raw: Raw<'_>) -> Vec<Self> {
        Self::with_note(raw, String::new())
    }

    pub(super) fn with_note(raw: Raw<'_>, note: String) -> Vec<Self> {
        vec![Self::Value { at: raw.at, shown: raw.shown(), note }]
    }
}

/// A kind of value that is kept as a `T`.
pub(super) trait Kind<T> {
    /// What is allowed, as it follows "must be".
    fn allowed(&self) -> String;

    /// Reads a value.
    fn value(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>>;

    /// The value as RON.
    fn written(&self, value: &T, level: usize) -> String;

    /// The rows of the documents' table.
    fn rows(&self, name: &str, words: &str, value: &T) -> Vec<Row> {
        vec![row(self, name, words, value)]
    }

    /// The rows of the keys that each value of a list has.
    fn members(&self, _: &str) -> Vec<Row> {
        Vec::new()
    }
}

/// A row of the documents' table.
pub(super) fn row<T>(kind: &(impl Kind<T> + ?Sized), name: &str, words: &str, value: &T) -> Row {
    let words = words.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Row { name: name.to_owned(), default: kind.written(value, 0), allowed: kind.allowed(), words }
}

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Things,
    Seconds,
    Octets,
}

impl Unit {
    /// The names of its multiples, the largest first.
    const fn multiples(self) -> &'static [(&'static str, i128)] {
        match self {
            Self::Things => &[],
            Self::Seconds => &[("h", 3600), ("min", 60), ("s", 1)],
            Self::Octets => &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)],
        }
    }
}

/// A whole number within bounds.
pub(super) struct Number {
    unit: Unit,
    bounds: RangeInclusive<i128>,
    /// The section that sets the bound, or "".
    rfc: &'static str,
}

/// A number of things.
pub(super) const fn number(bounds: RangeInclusive<i128>) -> Number {
    Number { unit: Unit::Things, bounds, rfc: "" }
}

/// A time in seconds.
pub(super) const fn seconds(bounds: RangeInclusive<i128>) -> Number {
    Number { unit: Unit::Seconds, bounds, rfc: "" }
}

/// A size in octets.
pub(super) const fn octets(bounds: RangeInclusive<i128>) -> Number {
    Number { unit: Unit::Octets, bounds, rfc: "" }
}

/// A bound that leaves the largest value to the machine.
pub(super) const UNBOUNDED: i128 = i128::MAX;

impl Number {
    /// The section of the RFC that sets the lower bound.
    pub(super) const fn by(self, rfc: &'static str) -> Self {
        Self { unit: self.unit, bounds: *self.bounds.start()..=*self.bounds.end(), rfc }
    }

    /// A number with a unit, `50 MiB`.
    fn with_unit(&self, text: &str) -> Option<i128> {
        let digits = text.trim().trim_end_matches(|char: char| char.is_ascii_alphabetic());
        let unit = text.trim().get(digits.len()..)?;
        let (_, factor) = self.unit.multiples().iter().find(|(name, _)| *name == unit)?;
        digits.trim().parse::<u64>().ok().map(|number| i128::from(number) * factor)
    }
}

impl<T: TryFrom<i128> + TryInto<i128> + Copy> Kind<T> for Number {
    fn allowed(&self) -> String {
        let unit = match self.unit {
            Unit::Things => "",
            Unit::Seconds => " seconds",
            Unit::Octets => " octets",
        };
        let by = if self.rfc.is_empty() { String::new() } else { format!(" ({})", self.rfc) };
        let such = match self.unit {
            Unit::Octets => ", such as 1048576 or \"1 MiB\"",
            Unit::Things | Unit::Seconds => "",
        };
        let (least, most) = self.bounds.clone().into_inner();
        if (least, most) == (0, UNBOUNDED) {
            format!("a number{}{such}", unit.replace(' ', " of "))
        } else if most == UNBOUNDED {
            format!("a number, at least {least}{unit}{by}{such}")
        } else if self.unit == Unit::Octets {
            format!("a number from {least}{by} to {most}{unit}{such}")
        } else {
            format!("a number from {least} to {most}{unit}{by}{such}")
        }
    }

    fn value(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let number = raw.read().or_else(|| self.with_unit(&raw.read::<String>()?));
        let Some(number) = number.filter(|number| self.bounds.contains(number)) else {
            return Err(Wrong::new(raw));
        };
        T::try_from(number)
            .map_err(|_| Wrong::with_note(raw, "it is too large for this machine".to_owned()))
    }

    fn written(&self, value: &T, _: usize) -> String {
        let Ok(value) = (*value).try_into() else { return String::new() };
        let whole = |(_, factor): &&(&str, i128)| value > 0 && value % factor == 0;
        match self.unit.multiples().iter().find(whole) {
            Some((name, factor)) if self.unit == Unit::Octets => {
                format!("\"{} {name}\"", value / factor)
            }
            _ => value.to_string(),
        }
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind<bool> for Flag {
    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<bool, Vec<Wrong>> {
        raw.read().ok_or_else(|| Wrong::new(raw))
    }

    fn written(&self, value: &bool, _: usize) -> String {
        value.to_string()
    }
}

/// One of a few words, written without quotes.
pub(super) struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Clone + PartialEq> Kind<T> for Words<T> {
    fn allowed(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        words.join(" or ")
    }

    fn value(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let word = self.0.iter().find(|(word, _)| *word == raw.text.trim());
        word.map(|(_, value)| value.clone()).ok_or_else(|| Wrong::new(raw))
    }

    fn written(&self, value: &T, _: usize) -> String {
        self.0
            .iter()
            .find(|(_, this)| this == value)
            .map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// A text in quotes that some type reads.
pub(super) struct Text<T: 'static> {
    allowed: &'static str,
    parse: fn(&str) -> Option<T>,
    shown: fn(&T) -> String,
}

impl<T> Kind<T> for Text<T> {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<T, Vec<Wrong>> {
        let text: Option<String> = raw.read();
        text.and_then(|text| (self.parse)(&text)).ok_or_else(|| Wrong::new(raw))
    }

    fn written(&self, value: &T, _: usize) -> String {
        quoted(&(self.shown)(value))
    }
}

/// A text as RON.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An address of the machine. `localhost` is the loopback address, without asking a name server.
pub(super) const fn address() -> Text<IpAddr> {
    Text {
        allowed: "an IP address in quotes, such as \"127.0.0.1\"",
        parse: parse_address,
        shown: IpAddr::to_string,
    }
}

/// Reads an address, or `localhost`.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse().ok()
}

/// A domain name or an address literal.
pub(super) const fn domain() -> Text<Domain> {
    Text {
        allowed: "one domain in quotes, such as \"example.org\"",
        parse: |text| Domain::parse_own(text).ok(),
        shown: Domain::to_string,
    }
}

/// A path of a file or a folder.
pub(super) const fn path() -> Text<PathBuf> {
    Text {
        allowed: "a path in quotes, such as \"/var/lib/postman\"",
        parse: |text| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text)),
        shown: |path| path.display().to_string(),
    }
}

/// A value with its own grammar.
pub(super) const fn parsed<T: FromStr + ToString>(allowed: &'static str) -> Text<T> {
    Text { allowed, parse: |text| text.parse().ok(), shown: T::to_string }
}

/// The name of an account of the system, or None.
pub(super) struct Account;

impl Kind<Option<String>> for Account {
    fn allowed(&self) -> String {
        "None, or a name in quotes, such as \"postman\"".to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<Option<String>, Vec<Wrong>> {
        let name: Option<Option<String>> = raw.read();
        let fits = |name: &Option<String>| {
            name.as_ref().is_none_or(|name| !name.is_empty() && !name.contains('\0'))
        };
        name.filter(fits).ok_or_else(|| Wrong::new(raw))
    }

    fn written(&self, value: &Option<String>, _: usize) -> String {
        value.as_deref().map_or_else(|| "None".to_owned(), quoted)
    }
}

/// A value that may be missing: `None`.
pub(super) struct Optional<K>(pub K);

impl<T, K: Kind<T>> Kind<Option<T>> for Optional<K> {
    fn allowed(&self) -> String {
        format!("None, or {}", self.0.allowed())
    }

    fn value(&self, raw: Raw<'_>) -> Result<Option<T>, Vec<Wrong>> {
        if raw.text.trim() == "None" {
            return Ok(None);
        }
        self.0.value(raw.inside("Some").unwrap_or(raw)).map(Some)
    }

    fn written(&self, value: &Option<T>, level: usize) -> String {
        value.as_ref().map_or_else(|| "None".to_owned(), |value| self.0.written(value, level))
    }
}
