//! Kinds of values that have parts: lists, pairs, and groups of keys.

use super::key::{self, Keys, Row};
use super::kind::{Kind, Wrong, row};
use super::reader::{self, Finding, Raw};

/// A list of values of one kind.
pub(super) struct List<K> {
    pub of: K,
    pub allowed: &'static str,
}

impl<T, K: Kind<T>> Kind<Vec<T>> for List<K> {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<Vec<T>, Vec<Wrong>> {
        let elements = raw.elements().ok_or_else(|| Wrong::new(raw))?;
        let (mut values, mut wrongs) = (Vec::new(), Vec::new());
        for element in elements {
            match self.of.value(element) {
                Ok(value) => values.push(value),
                Err(more) => wrongs.extend(more),
            }
        }
        if wrongs.is_empty() { Ok(values) } else { Err(wrongs) }
    }

    fn written(&self, values: &Vec<T>, level: usize) -> String {
        let values: Vec<String> =
            values.iter().map(|value| self.of.written(value, level)).collect();
        format!("[{}]", values.join(", "))
    }

    fn rows(&self, name: &str, words: &str, values: &Vec<T>) -> Vec<Row> {
        let mut rows = vec![row(self, name, words, values)];
        rows.extend(self.of.members(name));
        rows
    }
}

/// Two values in parentheses.
pub(super) struct Pair<A, B>(pub A, pub B);

impl<S, T, A: Kind<S>, B: Kind<T>> Kind<(S, T)> for Pair<A, B> {
    fn allowed(&self) -> String {
        format!("a pair of {} and {}", self.0.allowed(), self.1.allowed())
    }

    fn value(&self, raw: Raw<'_>) -> Result<(S, T), Vec<Wrong>> {
        let (first, second) = raw.pair().ok_or_else(|| Wrong::new(raw))?;
        match (self.0.value(first), self.1.value(second)) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (first, second) => Err(first.err().into_iter().chain(second.err()).flatten().collect()),
        }
    }

    fn written(&self, value: &(S, T), level: usize) -> String {
        format!("({}, {})", self.0.written(&value.0, level), self.1.written(&value.1, level))
    }
}

/// Keys of their own, in parentheses.
pub(super) struct Group;

impl<C: Keys> Kind<C> for Group {
    fn allowed(&self) -> String {
        let keys: Vec<String> = C::KEYS.iter().map(|key| format!("{}: ...", key.name)).collect();
        format!("keys in parentheses, ({})", keys.join(", "))
    }

    fn value(&self, raw: Raw<'_>) -> Result<C, Vec<Wrong>> {
        let (entries, stop) = reader::entries(raw);
        if stop.is_some() {
            return Err(Wrong::new(raw));
        }
        let mut findings = Vec::new();
        let table = key::table(C::default(), &entries, &mut findings);
        if findings.is_empty() {
            Ok(table)
        } else {
            Err(findings.into_iter().map(Wrong::Within).collect())
        }
    }

    fn written(&self, value: &C, level: usize) -> String {
        key::sample(value, level)
    }

    fn rows(&self, name: &str, _: &str, value: &C) -> Vec<Row> {
        let rows = key::rows(value).into_iter();
        rows.map(|row| Row { name: format!("{name}.{}", row.name), ..row }).collect()
    }
}

/// Keys of their own, in parentheses, for each value of a list. Those that are named here have no
/// default.
pub(super) struct Members(pub &'static [&'static str]);

impl<C: Keys> Kind<C> for Members {
    fn allowed(&self) -> String {
        Kind::<C>::allowed(&Group)
    }

    fn value(&self, raw: Raw<'_>) -> Result<C, Vec<Wrong>> {
        let (entries, _) = reader::entries(raw);
        let is_missing = |name: &&&str| !entries.iter().any(|entry| entry.key == **name);
        match (Group.value(raw), self.0.iter().find(is_missing)) {
            (Ok(_), Some(name)) => Err(vec![Wrong::Within(Finding {
                at: raw.at,
                key: String::new(),
                message: format!("lacks the key `{name}`"),
            })]),
            (value, _) => value,
        }
    }

    fn written(&self, value: &C, level: usize) -> String {
        let keys: Vec<String> = C::KEYS
            .iter()
            .map(|key| format!("{}: {}", key.name, (key.written)(value, level)))
            .collect();
        format!("({})", keys.join(", "))
    }

    fn members(&self, name: &str) -> Vec<Row> {
        let rows = key::rows(&C::default()).into_iter();
        let default = |row: &Row| {
            if self.0.contains(&row.name.as_str()) { "none" } else { &row.default }.to_owned()
        };
        rows.map(|row| Row { default: default(&row), name: format!("{name}.{}", row.name), ..row })
            .collect()
    }
}
