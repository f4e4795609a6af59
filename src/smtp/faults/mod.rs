//! Faults as sessions act by them.
//!
//! A server has one [`Faults`]: the faults of its definition, with their patterns, what is counted
//! for all sessions, and how often each fired. A session has a [`Track`], if there are faults: how
//! far it is in each expression, and what is counted for it alone. The session asks its track in one
//! place, when a command would be accepted; what it then does is an `Effect`.
//!
//! Nothing here is chance: the same octets at the same times are met by the same faults. The time
//! is given by the caller.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use super::vocabulary::VOCABULARY;
use crate::autofsm::{Definition, Fault, Vocabulary, same_name};

mod counts;
mod effect;
mod header;
mod track;

use counts::Counts;
pub(super) use effect::Effect;
pub use track::Track;
pub(super) use track::{Phase, Who};

/// What a pattern may need of memory once it is compiled, in octets.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The vocabulary, with patterns that are looked at: by which a definition with faults is compiled.
pub const RULES: Vocabulary = Vocabulary { pattern: Some(pattern), ..VOCABULARY };

/// Compiles a pattern: over octets, without Unicode's tables, and bounded.
fn regex(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(50)
        .build();
    compiled.map_err(|error| {
        let text = error.to_string();
        // The library draws the place on lines of its own.
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// How many groups a pattern has.
fn pattern(text: &str) -> Result<usize, String> {
    regex(text).map(|regex| regex.captures_len() - 1)
}

/// A fault, ready to be met.
#[derive(Debug)]
struct Ready {
    /// As it was compiled.
    fault: Fault,
    /// Its words, for the log.
    says: Arc<str>,
    /// Its pattern.
    when: Option<Regex>,
    /// The conversation that makes it fire.
    dialogue: String,
    /// How often it fired.
    fired: AtomicU64,
}

/// The faults of a server.
#[derive(Debug)]
pub struct Faults {
    /// In the order of the file: the first that fires is the one.
    all: Vec<Ready>,
    /// What is counted for all sessions.
    counts: Mutex<Counts>,
    /// The words of those that fire next, if a dialogue lists them: then nothing is counted.
    listed: Mutex<Option<VecDeque<String>>>,
    /// The number of the event of content.
    content: Option<usize>,
    /// The number of the event that ends content.
    end: Option<usize>,
    /// Whether a pattern may be asked of a header.
    reads_header: bool,
}

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its words.
    pub says: String,
    /// How often it fired.
    pub fired: u64,
    /// The shortest conversation that makes it fire, as names of events.
    pub dialogue: String,
    /// What that does not say: the pattern, and how often; "" or a text that begins with a comma.
    pub condition: String,
}

impl Faults {
    /// The faults of a definition. `None` if there are none.
    ///
    /// # Errors
    /// A pattern that cannot be read; [`RULES`] let none pass.
    pub fn new(definition: &Definition, faults: &[Fault]) -> Result<Option<Arc<Self>>, String> {
        let event = |name| definition.events.iter().position(|event| same_name(&event.name, name));
        let end = event(VOCABULARY.end);
        let mut ready = Vec::with_capacity(faults.len());
        for fault in faults {
            ready.push(Ready {
                says: fault.says.as_str().into(),
                when: fault.when.as_deref().map(regex).transpose()?,
                dialogue: fault.dialogue(definition),
                fired: AtomicU64::new(0),
                fault: fault.clone(),
            });
        }
        let asks = |fault: &Fault| {
            fault.when.is_some() && fault.cells.iter().any(|cell| Some(cell.event.0) == end)
        };
        let all = Self {
            reads_header: faults.iter().any(asks),
            all: ready,
            counts: Mutex::default(),
            listed: Mutex::default(),
            content: event(VOCABULARY.content),
            end,
        };
        Ok((!all.all.is_empty()).then(|| Arc::new(all)))
    }

    /// How many there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// What became of each so far, in the order of the file.
    #[must_use]
    pub fn report(&self) -> Vec<Report> {
        let report = |ready: &Ready| Report {
            says: ready.fault.says.clone(),
            fired: ready.fired.load(Ordering::Relaxed),
            dialogue: ready.dialogue.clone(),
            condition: ready.fault.condition(),
        };
        self.all.iter().map(report).collect()
    }

    /// From now on only these fire, each once and in this order, whatever has been counted: so a
    /// session goes again as it went beside others.
    pub fn list(&self, says: impl IntoIterator<Item = String>) {
        *self.listed() = Some(says.into_iter().collect());
    }

    /// Adds one to the list, if there is a list.
    pub fn list_next(&self, says: &str) {
        self.listed().iter_mut().for_each(|listed| listed.push_back(says.to_owned()));
    }

    /// Whether a fault is the next of the list. `None` if there is no list.
    fn is_next(&self, ready: &Ready) -> Option<bool> {
        let listed = self.listed();
        listed.as_ref().map(|listed| listed.front().is_some_and(|says| **says == *ready.says))
    }

    fn listed(&self) -> MutexGuard<'_, Option<VecDeque<String>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_over_octets_and_bounded() {
        assert_eq!(pattern(r"TO:<rcpt([45]\d\d)_([45]\.\d+\.\d+)@"), Ok(2));
        assert_eq!(pattern("(?i)^subject:.*lottery"), Ok(0));
        for wrong in ["(", "x{100000}{100000}", r"\p{Greek}", "[z-a]"] {
            let why = pattern(wrong).unwrap_err();
            assert!(!why.is_empty() && !why.contains('\n'), "{wrong}: {why}");
        }
        let binary = regex("^subject:.*lottery").unwrap();
        assert!(binary.is_match(b"subject: \xff\xfe lottery"));
    }
}
