//! The last sessions as dialogues, kept in memory while they are spoken and after, for who looks.
//!
//! A dialogue is a trace without the messages' content (`trace.rs`). It is bounded: a session that
//! is no longer among the last ones is forgotten, though it may go on, and a long dialogue is cut.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use super::log::shown;
use crate::smtp::machine::Machine;
use crate::smtp::session::Step;

/// The sessions that are kept.
const SESSIONS_MAX: usize = 100;
/// The longest dialogue, in octets of its lines.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most cells that are kept of a session's path.
const CELLS_MAX: usize = 256;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last sessions of a server.
#[derive(Debug, Default)]
pub struct Dialogues {
    /// Whether anybody looks: else none is kept.
    is_kept: AtomicBool,
    /// The sessions, the oldest first.
    last: Mutex<VecDeque<Arc<Dialogue>>>,
    /// Grows with each change of one of them.
    changes: Arc<AtomicU64>,
}

/// One session.
#[derive(Debug)]
pub struct Dialogue {
    /// The session's id.
    pub id: String,
    /// The client's address, or `local`.
    pub client: String,
    /// The machine that it is held by.
    pub machine: &'static Machine,
    /// When it began.
    pub began: SystemTime,
    told: Mutex<Told>,
    changes: Arc<AtomicU64>,
}

/// What is known of a session so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// The state that it is in.
    pub state: &'static str,
    /// The cells that it has taken, each once: state and event.
    pub cells: Vec<(&'static str, &'static str)>,
    /// What was refused.
    pub refused: u64,
    /// The messages that were stored.
    pub messages: u64,
    /// The faults that fired.
    pub faults: u64,
    /// The dialogue.
    pub lines: Vec<String>,
    /// Whether lines are left out, since there are too many.
    pub is_cut: bool,
    /// The octets of the lines.
    octets: usize,
    /// Grows with each change.
    pub version: u64,
}

impl Dialogues {
    /// Keeps the sessions that begin from now on.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// The last sessions, the oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<Arc<Dialogue>> {
        lock(&self.last).iter().map(Arc::clone).collect()
    }

    /// Grows with each change of a session.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// A session begins. If nobody looks it is not kept.
    pub(super) fn begin(
        &self,
        id: &str,
        client: Option<IpAddr>,
        machine: &'static Machine,
        state: &'static str,
    ) -> Kept {
        if !self.is_kept.load(Ordering::Relaxed) {
            return Kept::nowhere();
        }
        let dialogue = Arc::new(Dialogue {
            id: id.to_owned(),
            client: shown(client),
            machine,
            began: SystemTime::now(),
            told: Mutex::new(Told { state, ..Told::default() }),
            changes: Arc::clone(&self.changes),
        });
        let kept = Kept(Arc::downgrade(&dialogue));
        let mut last = lock(&self.last);
        if last.len() == SESSIONS_MAX {
            last.pop_front();
        }
        last.push_back(dialogue);
        self.changes.fetch_add(1, Ordering::Relaxed);
        kept
    }
}

impl Dialogue {
    /// What is known of it so far.
    #[must_use]
    pub fn told(&self) -> Told {
        lock(&self.told).clone()
    }

    /// Its version: another one after each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        lock(&self.told).version
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        let mut told = lock(&self.told);
        change(&mut told);
        told.version += 1;
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A session's way to its dialogue, as long as that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept(Weak<Dialogue>);

impl Kept {
    /// One that is not kept.
    pub(super) fn nowhere() -> Self {
        Self(Weak::new())
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        if let Some(dialogue) = self.0.upgrade() {
            dialogue.change(change);
        }
    }

    /// Adds a line.
    pub(super) fn write(&self, line: &str) {
        self.change(|told| {
            told.octets += line.len() + 1;
            if told.octets > TEXT_BYTES_MAX {
                told.is_cut = true;
            } else if !told.is_cut {
                told.lines.push(line.to_owned());
            }
        });
    }

    pub(super) fn step(&self, step: &Step) {
        self.change(|told| {
            let cell = (step.from, step.event);
            if told.cells.len() < CELLS_MAX && !told.cells.contains(&cell) {
                told.cells.push(cell);
            }
            told.state = step.to;
        });
    }

    pub(super) fn refused(&self) {
        self.change(|told| told.refused += 1);
    }

    pub(super) fn fault(&self) {
        self.change(|told| told.faults += 1);
    }

    pub(super) fn stored(&self) {
        self.change(|told| told.messages += 1);
    }

    pub(super) fn end(&self) {
        self.change(|told| told.ended = Some(SystemTime::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::machine::of_the_tests;

    #[test]
    fn the_last_sessions_are_kept_and_the_others_are_forgotten() {
        let dialogues = Dialogues::default();
        dialogues.begin("0000", None, of_the_tests(), "init").write("S: 220");
        assert!(dialogues.last().is_empty());
        dialogues.keep();
        let kept: Vec<_> = (0..=SESSIONS_MAX)
            .map(|number| dialogues.begin(&format!("{number:04x}"), None, of_the_tests(), "init"))
            .collect();
        assert!(!kept[0].is_kept() && kept[1].is_kept());
        kept[0].write("S: 220");
        kept[1].write("S: 220");
        let last = dialogues.last();
        assert_eq!((last.len(), last[0].id.as_str()), (SESSIONS_MAX, "0001"));
        assert_eq!(last[0].told().lines, ["S: 220"]);
    }

    #[test]
    fn a_long_dialogue_is_cut_and_says_so() {
        let dialogues = Dialogues::default();
        dialogues.keep();
        let kept = dialogues.begin("0001", None, of_the_tests(), "init");
        for _ in 0..3 {
            kept.write(&"x".repeat(TEXT_BYTES_MAX / 2));
        }
        kept.write("S: 250");
        let told = dialogues.last()[0].told();
        assert_eq!((told.lines.len(), told.is_cut), (1, true));
    }
}
