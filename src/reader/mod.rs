//! Reads received messages, as any reader of the mail folder does: for a person at a prompt, for a
//! script, and for the page.
//!
//! It needs no server: `folder.rs` finds the files, `message.rs` what they say. Both are read as
//! what others have written: nothing in them is trusted, and a file may be gone by now.

pub(crate) mod folder;
pub(crate) mod message;

use std::str::FromStr;
use std::time::Duration;

pub(crate) use folder::{File, Folder};
pub(crate) use message::Message;

/// A time to wait, as an option has it.
#[derive(Clone, Copy)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        let factor = match text.get(digits.len()..).unwrap_or_default() {
            "ms" => Some(1),
            "s" | "" => Some(1000),
            "min" => Some(60_000),
            _ => None,
        };
        let number = digits.parse::<u32>().ok().map(u64::from);
        let milliseconds = factor.zip(number).map(|(factor, number)| factor * number);
        let wrong = || format!("`{text}` is not a time such as `10s`, `500ms` or `2min`");
        milliseconds.map(|time| Self(Duration::from_millis(time))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_counts_seconds() {
        for (text, expected) in [
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("2min", Some(120_000)),
            ("3", Some(3000)),
            ("", None),
            ("s", None),
            ("1h", None),
            ("-1s", None),
            ("99999999999s", None),
        ] {
            let time = text.parse::<Time>().ok().map(|time| time.0.as_millis());
            assert_eq!(time, expected, "{text}");
        }
    }
}
