//! The table of keys: each key once, and what is made of it.
//!
//! [`keys!`] turns a table into the struct that holds the values, its `Default`, and a [`Key`] a
//! row; reading, the sample configuration and the documents' table walk over these. A group of keys
//! with keys of their own is a table too, and a value of kind [`super::kind::Group`] in the larger
//! one.

use super::kind::{Kind, Wrong};
use super::reader::{Entry, Finding, Raw};

/// A key of a table, for a struct `C` that holds its value.
pub(super) struct Key<C: 'static> {
    pub name: &'static str,
    /// What it is for, in sentences.
    pub words: &'static str,
    /// What values are allowed, as it follows "must be".
    pub allowed: fn() -> String,
    /// Reads the value into the struct, or adds what is wrong to the findings.
    pub read: fn(&mut C, Raw<'_>, &mut Vec<Finding>),
    /// Whether a value could be read.
    pub accepts: fn(Raw<'_>) -> bool,
    /// The struct's value as RON; lines after the first are indented by this many levels.
    pub written: fn(&C, usize) -> String,
    /// The rows of the documents' table, of this key or of its group's.
    pub rows: fn(&C) -> Vec<Row>,
}

/// A key in the documents' table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub name: String,
    pub default: String,
    pub allowed: String,
    pub words: String,
}

/// A struct that a table of keys has made.
pub(super) trait Keys: Default + 'static {
    const KEYS: &'static [Key<Self>];
}

/// The key of a row. The path leads from the table's struct to the value.
macro_rules! key {
    ($key:ident: $type:ty, $kind:expr, [$($words:literal)+], $($path:ident).+) => {
        $crate::config::key::Key {
            name: stringify!($key),
            words: concat!($($words, "\n"),+),
            allowed: || $crate::config::kind::Kind::<$type>::allowed(&$kind),
            read: |table, raw, findings| {
                if let Some(value) = $crate::config::key::read(&$kind, stringify!($key), raw, findings) {
                    table.$($path).+ = value;
                }
            },
            accepts: |raw| $crate::config::kind::Kind::<$type>::value(&$kind, raw).is_ok(),
            written: |table, level| {
                $crate::config::kind::Kind::<$type>::written(&$kind, &table.$($path).+, level)
            },
            rows: |table| {
                let words = concat!($($words, "\n"),+);
                $crate::config::kind::Kind::<$type>::rows(&$kind, stringify!($key), words, &table.$($path).+)
            },
        }
    };
}
pub(super) use key;

/// Makes a struct of a table: `/// words` and `name: type = default, kind;` a key.
///
/// Some rows may be kept as one struct, which is elsewhere: `field: Struct { rows }`, with
/// rows after it. In a file their keys are keys like any other. The struct's `Default` is made
/// here, so that a field without a row does not compile.
macro_rules! keys {
    ($(#[$attribute:meta])* pub struct $Name:ident {
        $( $(#[doc = $words:literal])+ $key:ident: $type:ty = $default:expr, $kind:expr; )+
        $( $part:ident: $Part:ident {
            $( $(#[doc = $part_words:literal])+
                $part_key:ident: $part_type:ty = $part_default:expr, $part_kind:expr; )+
        }
        $( $(#[doc = $rest_words:literal])+
            $rest_key:ident: $rest_type:ty = $rest_default:expr, $rest_kind:expr; )+ )?
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Name {
            $( $(#[doc = $words])+ pub $key: $type, )+
            $(
                #[doc = concat!("The keys of [`", stringify!($Part), "`].")]
                pub $part: $Part,
                $( $(#[doc = $rest_words])+ pub $rest_key: $rest_type, )+
            )?
        }

        impl Default for $Name {
            fn default() -> Self {
                Self {
                    $( $key: $default, )+
                    $( $part: $Part::default(), $( $rest_key: $rest_default, )+ )?
                }
            }
        }

        $(
            impl Default for $Part {
                fn default() -> Self {
                    Self { $( $part_key: $part_default, )+ }
                }
            }

            impl $Part {
                /// The names of its keys in the configuration.
                pub(crate) const KEYS: &'static [&'static str] = &[$( stringify!($part_key) ),+];
            }
        )?

        impl $crate::config::key::Keys for $Name {
            const KEYS: &'static [$crate::config::key::Key<Self>] = &[
                $( $crate::config::key::key!($key: $type, $kind, [$($words)+], $key), )+
                $(
                    $( $crate::config::key::key!(
                        $part_key: $part_type, $part_kind, [$($part_words)+], $part.$part_key
                    ), )+
                    $( $crate::config::key::key!(
                        $rest_key: $rest_type, $rest_kind, [$($rest_words)+], $rest_key
                    ), )+
                )?
            ];
        }
    };
}
pub(super) use keys;

/// Keys that earlier versions had, and what to write for each.
const FORMER: &[(&str, &str)] = &[("strict_helo", "`syntax: Strict`, or `Lenient`")];

/// Reads a value, or adds what is wrong with it, under the key's name.
pub(super) fn read<T, K: Kind<T>>(
    kind: &K,
    name: &str,
    raw: Raw<'_>,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let wrongs = match kind.value(raw) {
        Ok(value) => return Some(value),
        Err(wrongs) => wrongs,
    };
    findings.extend(wrongs.into_iter().map(|wrong| match wrong {
        Wrong::Value { at, shown, note } => {
            let note = if note.is_empty() { note } else { format!("; {note}") };
            Finding {
                at,
                key: name.to_owned(),
                message: format!("must be {}, not {shown}{note}", kind.allowed()),
            }
        }
        Wrong::Within(finding) if finding.key.is_empty() => {
            Finding { key: format!("{name}:"), ..finding }
        }
        Wrong::Within(finding) => Finding { key: format!("{name}.{}", finding.key), ..finding },
    }));
    None
}

impl<C: Keys> Key<C> {
    /// The key of a name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        C::KEYS.iter().find(|key| key.name == name)
    }

    /// What a name that is not a key was meant to be.
    fn near(name: &str) -> Option<&'static str> {
        let distance = |key: &&Self| strsim::damerau_levenshtein(key.name, name);
        let near = C::KEYS.iter().min_by_key(distance);
        near.filter(|key| distance(key) <= 1 + name.len() / 3).map(|key| key.name)
    }
}

/// Reads a table from its entries. What has no entry keeps its default; what is wrong is added to
/// the findings, all of it.
pub(super) fn table<C: Keys>(
    mut table: C,
    entries: &[Entry<'_>],
    findings: &mut Vec<Finding>,
) -> C {
    for (number, entry) in entries.iter().enumerate() {
        let name = &entry.key;
        let Some(key) = Key::<C>::of(name) else {
            let former = FORMER
                .iter()
                .find(|(former, _)| former == name)
                .map(|(_, now)| format!("its successor is {now}"));
            let near = || Key::<C>::near(name).map(|near| format!("did you mean `{near}`?"));
            let help = former.or_else(near).map_or(String::new(), |help| format!("; {help}"));
            findings.push(Finding {
                at: entry.at,
                key: String::new(),
                message: format!("unknown key `{name}`{help}"),
            });
            continue;
        };
        if entries.iter().take(number).any(|earlier| earlier.key == *name) {
            let message = "is set twice; leave one of the two out".to_owned();
            findings.push(Finding { at: entry.at, key: name.clone(), message });
        }
        (key.read)(&mut table, entry.value, findings);
    }
    table
}

/// A line of the sample with a comment, in characters with its indentation.
const SAMPLE_LINE_MAX: usize = 100;

/// A table as RON, a comment before each key; `level` is the number of tables around it.
pub(super) fn sample<C: Keys>(table: &C, level: usize) -> String {
    let indent = "    ".repeat(level);
    let mut text = "(\n".to_owned();
    for key in C::KEYS {
        let mut line = format!("{indent}    //");
        for word in plain(key.words).split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > SAMPLE_LINE_MAX {
                text += &format!("{line}\n");
                line = format!("{indent}    //");
            }
            line += " ";
            line += word;
        }
        text += &format!("{line}\n");
        text += &format!("{indent}    {}: {},\n", key.name, (key.written)(table, level + 1));
    }
    text + &indent + ")"
}

/// Words without Markdown: no backticks, and of a link its text.
fn plain(words: &str) -> String {
    let mut text = words.replace('`', "");
    while let Some((before, rest)) = text.split_once("](docs/")
        && let (Some(open), Some((_, after))) = (before.rfind('['), rest.split_once(')'))
    {
        text = format!("{}{}{after}", &before[..open], &before[open + 1..]);
    }
    text
}

/// The rows of a table in the documents.
pub(super) fn rows<C: Keys>(table: &C) -> Vec<Row> {
    C::KEYS.iter().flat_map(|key| (key.rows)(table)).collect()
}
