//! What faults count: how often one fired, and what passed it lately, for each key.
//!
//! A key is a digest of the fault and of what it counts for. It is exact and small whatever a client
//! sends. Memory is bounded: the key that was first seen longest ago is forgotten when there are
//! too many, and so it begins again.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::autofsm::Count;

/// The most keys that are remembered.
const KEYS_MAX: usize = 100_000;
/// The most times that are remembered, of all keys.
const TIMES_MAX: usize = 1_000_000;

/// What is counted apart: a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of a fault, by its number, and of these values.
    pub(super) fn new<'v>(number: usize, values: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut digest = Sha256::new();
        digest.update(number.to_be_bytes());
        for value in values {
            // The length first: no two lists are one text.
            digest.update(value.len().to_be_bytes());
            digest.update(value);
        }
        Self(digest.finalize().into())
    }
}

/// The counts of a key.
#[derive(Debug, Default)]
struct Entry {
    /// How often the fault fired.
    fired: u32,
    /// When something passed, the oldest first.
    passed: VecDeque<u64>,
}

/// The counts of all keys.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By key.
    entries: HashMap<Key, Entry>,
    /// The keys, in the order in which they were first seen.
    order: VecDeque<Key>,
    /// How many times are remembered, of all keys.
    times: usize,
}

impl Counts {
    /// Whether a fault fires now, at this time in milliseconds.
    pub(super) fn is_due(&mut self, key: Key, count: Count, now: u64) -> bool {
        match count {
            Count::Always => true,
            Count::First(times) => self.entries.get(&key).is_none_or(|entry| entry.fired < times),
            Count::Over { most, in_ms } => {
                let Some(entry) = self.entries.get_mut(&key) else { return false };
                while entry.passed.front().is_some_and(|time| time.saturating_add(in_ms) <= now) {
                    entry.passed.pop_front();
                    self.times -= 1;
                }
                entry.passed.len() >= most as usize
            }
        }
    }

    /// The fault fired.
    pub(super) fn fired(&mut self, key: Key) {
        let entry = self.entry(key);
        entry.fired = entry.fired.saturating_add(1);
    }

    /// Something passed that the fault might have met.
    pub(super) fn passed(&mut self, key: Key, now: u64) {
        self.entry(key).passed.push_back(now);
        self.times += 1;
        while self.times > TIMES_MAX && self.order.len() > 1 {
            self.forget();
        }
    }

    fn entry(&mut self, key: Key) -> &mut Entry {
        if !self.entries.contains_key(&key) {
            while self.order.len() >= KEYS_MAX {
                self.forget();
            }
            self.order.push_back(key);
        }
        self.entries.entry(key).or_default()
    }

    /// Forgets the key that was first seen longest ago.
    fn forget(&mut self) {
        let entry = self.order.pop_front().and_then(|key| self.entries.remove(&key));
        self.times -= entry.map_or(0, |entry| entry.passed.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(0, [text.as_bytes()].into_iter())
    }

    #[test]
    fn keys_are_apart_however_their_values_are_cut() {
        let two =
            |one: &str, other: &str| Key::new(0, [one.as_bytes(), other.as_bytes()].into_iter());
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(key("a"), Key::new(1, [&b"a"[..]].into_iter()));
    }

    #[test]
    fn the_first_times_are_counted_for_each_key() {
        let mut counts = Counts::default();
        let first = Count::First(2);
        for expected in [true, true, false] {
            assert_eq!(counts.is_due(key("a"), first, 0), expected);
            counts.fired(key("a"));
        }
        assert!(counts.is_due(key("b"), first, 0));
    }

    #[test]
    fn a_time_ends_to_the_millisecond() {
        let mut counts = Counts::default();
        let over = Count::Over { most: 2, in_ms: 1000 };
        for now in [0, 10] {
            assert!(!counts.is_due(key("a"), over, now));
            counts.passed(key("a"), now);
        }
        assert!(counts.is_due(key("a"), over, 999));
        assert!(!counts.is_due(key("a"), over, 1000));
        counts.passed(key("a"), 1000);
        assert!(counts.is_due(key("a"), over, 1009));
        assert!(!counts.is_due(key("a"), over, 1010));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_key_goes_first() {
        let mut counts = Counts::default();
        for number in 0..=KEYS_MAX {
            counts.fired(key(&number.to_string()));
        }
        assert_eq!((counts.entries.len(), counts.order.len()), (KEYS_MAX, KEYS_MAX));
        assert!(counts.is_due(key("0"), Count::First(1), 0));
        assert!(!counts.is_due(key("1"), Count::First(1), 0));
        let mut counts = Counts::default();
        for number in 0..TIMES_MAX as u64 + 10 {
            counts.passed(key(&(number / 1000).to_string()), number);
        }
        assert!(counts.times <= TIMES_MAX);
    }
}
