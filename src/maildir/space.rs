//! What is left on the disk, looked at seldom and reckoned between.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::disk::Left;
use super::locked;

/// Between two looks at the disk passes at least this time, unless mail is refused.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// With fewer files than these left to be made, the disk is full: a message needs several.
const FILES_MIN: u64 = 16;

pub(super) struct Space(Mutex<(u64, Instant)>);

impl Space {
    pub(super) fn new(left: Left) -> Self {
        Self(Mutex::new((octets(left), Instant::now())))
    }

    /// The octets that are left, as far as is known.
    pub(super) fn octets(&self) -> u64 {
        locked(&self.0).0
    }

    pub(super) fn is(&self, left: Left) {
        *locked(&self.0) = (octets(left), Instant::now());
    }

    /// So many octets were written. Tells whether it is time for a look.
    pub(super) fn spend(&self, written: u64) -> bool {
        let mut known = locked(&self.0);
        known.0 = known.0.saturating_sub(written);
        if known.1.elapsed() < LOOK_AGAIN {
            return false;
        }
        known.1 = Instant::now();
        true
    }
}

fn octets(left: Left) -> u64 {
    if left.files.is_some_and(|files| files < FILES_MIN) { 0 } else { left.octets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_files_to_be_made_is_full_and_one_that_counts_none_is_not() {
        for (files, octets) in [(None, 1 << 30), (Some(16), 1 << 30), (Some(15), 0), (Some(0), 0)] {
            assert_eq!(Space::new(Left { octets: 1 << 30, files }).octets(), octets);
        }
    }

    #[test]
    fn what_is_written_is_reckoned_between_two_looks() {
        let space = Space::new(Left { octets: 100, files: None });
        assert!(!space.spend(30));
        assert_eq!(space.octets(), 70);
        space.spend(90);
        assert_eq!(space.octets(), 0);
    }
}
