//! Faults as a person reads them.

use std::fmt::Write as _;

use super::super::{Definition, Fault};
use super::Count;

impl Fault {
    /// What it says in words, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        plain(&self.says)
    }

    /// The conversation that makes it fire, as names of events; the greeting has none.
    #[must_use]
    pub fn dialogue(&self, definition: &Definition) -> String {
        let names = self.run.moves.iter().filter_map(|step| definition.events.get(step.event.0));
        let names: Vec<_> = names.map(|event| event.name.as_str()).collect();
        if names.is_empty() { "(the greeting)".to_owned() } else { names.join(" ") }
    }

    /// What the conversation alone does not say: the pattern, and how often.
    #[must_use]
    pub fn condition(&self) -> String {
        let mut text = String::new();
        if let Some(octets) = self.content {
            let _ = write!(text, ", after {octets} octets of content");
        }
        if let Some(when) = &self.when {
            let _ = write!(text, ", where a line matches '{}'", plain(when));
        }
        match self.count {
            Count::Always => {}
            Count::First(1) => text += ", once",
            Count::First(times) => {
                let _ = write!(text, ", {times} times");
            }
            Count::Over { most, in_ms } => {
                let _ = write!(text, ", beyond {most} in {}", shown_time(in_ms));
            }
        }
        if !self.each.is_empty() {
            let keys: Vec<_> = self.each.iter().map(|key| key.name).collect();
            let _ = write!(text, " for each {}", keys.join(", "));
        }
        text
    }
}

/// A text without control characters.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// Milliseconds as a fault has them.
pub(in super::super) fn shown_time(ms: u64) -> String {
    match ms {
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}
