//! The machines that were made while the process runs, and what they take of memory.
//!
//! A machine lives as long as the process: sessions hold it without counting, and a word of it may
//! stand in any reply. So each is made once. One that equals a known one *is* that one: a
//! definition that is swapped for another and back, or whose text changes and whose table does not,
//! takes nothing. What differs adds up to [`BYTES_MAX`] at most; then no other definition is loaded.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::machine::{Event, Keyword, Machine, State, StateId, Transition};

/// What all machines that were loaded may take of memory, in octets. The project's own takes
/// some ten thousand.
pub const BYTES_MAX: usize = 64 << 20;

/// A part of a machine: which one, the commands that are left out, and where it begins.
type Part = (usize, Vec<&'static str>, Option<StateId>);

/// What was made so far.
#[derive(Default)]
pub(super) struct Loaded {
    /// Names and words.
    texts: HashSet<&'static str>,
    /// Whole machines, by a digest of all that they are.
    whole: HashMap<[u8; 32], &'static Machine>,
    /// Those that rows are left out of.
    parts: HashMap<Part, &'static Machine>,
    /// The octets of all of them.
    octets: usize,
}

impl Loaded {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);
        LOADED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another definition can be loaded.
    pub(super) fn has_room(&self) -> bool {
        self.octets < BYTES_MAX
    }

    /// A text that stays.
    pub(super) fn text(&mut self, text: &str) -> &'static str {
        if let Some(known) = self.texts.get(text) {
            return known;
        }
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.octets += kept.len() + size_of::<&str>();
        self.texts.insert(kept);
        kept
    }

    fn slice<T>(&mut self, items: Vec<T>) -> &'static [T] {
        self.octets += size_of_val(items.as_slice());
        items.leak()
    }

    /// The machine of these tables.
    pub(super) fn whole(
        &mut self,
        source: &'static str,
        tables: (Vec<State>, Vec<Event>, Vec<Keyword>),
        cells: Vec<Option<Transition>>,
    ) -> &'static Machine {
        let digest = Sha256::digest(format!("{source:?} {tables:?} {cells:?}")).into();
        if let Some(known) = self.whole.get(&digest) {
            return known;
        }
        let (states, events, keywords) = tables;
        let made = Machine {
            source,
            states: self.slice(states),
            events: self.slice(events),
            keywords: self.slice(keywords),
            left_out: &[],
            encrypted_at: None,
            cells: self.slice(cells),
        };
        let made = self.machine(made);
        self.whole.insert(digest, made);
        made
    }

    /// A machine of which some commands are left out, or that begins elsewhere.
    pub(super) fn part(
        &mut self,
        of: &'static Machine,
        left_out: Vec<&'static str>,
        encrypted_at: Option<StateId>,
        cells: impl FnOnce() -> Option<Vec<Option<Transition>>>,
    ) -> &'static Machine {
        let key = (std::ptr::from_ref(of).addr(), left_out.clone(), encrypted_at);
        if let Some(known) = self.parts.get(&key) {
            return known;
        }
        let cells = cells().map_or(of.cells, |cells| self.slice(cells));
        let left_out = self.slice(left_out);
        let made = self.machine(Machine { left_out, encrypted_at, cells, ..*of });
        self.parts.insert(key, made);
        made
    }

    fn machine(&mut self, machine: Machine) -> &'static Machine {
        self.octets += size_of::<Machine>();
        Box::leak(Box::new(machine))
    }
}
