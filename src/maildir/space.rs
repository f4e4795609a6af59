//! What is left on the disk, looked at seldom and reckoned between.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::disk::FreeSpace;
use super::locked;

/// Between two looks at the disk passes at least this time, unless mail is refused.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// With fewer files than these left to be made, the disk is full: a message needs several.
const FILES_MIN: u64 = 16;

pub(super) struct Space {
    /// The octets that are left, and when that was looked at.
    known: Mutex<(u64, Instant)>,
    files_min: u64,
}

impl Space {
    /// Without a reserve the disk is filled to the last file.
    pub(super) fn new(left: FreeSpace, has_reserve: bool) -> Self {
        let space = Self {
            known: Mutex::new((0, Instant::now())),
            files_min: if has_reserve { FILES_MIN } else { 0 },
        };
        space.update(left);
        space
    }

    /// The octets that are left, as far as is known.
    pub(super) fn octets(&self) -> u64 {
        locked(&self.known).0
    }

    pub(super) fn update(&self, free: FreeSpace) {
        let is_full = free.files.is_some_and(|files| files < self.files_min);
        *locked(&self.known) = (if is_full { 0 } else { free.octets }, Instant::now());
    }

    /// So many octets were written. Tells whether it is time for a look.
    pub(super) fn spend(&self, written: u64) -> bool {
        let mut known = locked(&self.known);
        known.0 = known.0.saturating_sub(written);
        if known.1.elapsed() < LOOK_AGAIN {
            return false;
        }
        known.1 = Instant::now();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_files_to_be_made_is_full_and_one_that_counts_none_is_not() {
        for (files, octets) in [(None, 1 << 30), (Some(16), 1 << 30), (Some(15), 0), (Some(0), 0)] {
            assert_eq!(Space::new(FreeSpace { octets: 1 << 30, files }, true).octets(), octets);
            assert_eq!(Space::new(FreeSpace { octets: 1 << 30, files }, false).octets(), 1 << 30);
        }
    }

    #[test]
    fn what_is_written_is_reckoned_between_two_looks() {
        let space = Space::new(FreeSpace { octets: 100, files: None }, true);
        assert!(!space.spend(30));
        assert_eq!(space.octets(), 70);
        space.spend(90);
        assert_eq!(space.octets(), 0);
    }
}
