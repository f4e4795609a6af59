//! The free space on the disk: asked for seldom, and estimated in between.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::disk::FreeSpace;
use super::error::Shortage;
use super::locked;

/// The shortest time between two questions to the disk, unless mail is refused.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// With fewer files than these left to be made, the disk is full: a message needs several.
const FILES_MIN: u64 = 16;

pub(super) struct Space {
    /// What is left, as far as is known.
    known: Mutex<Known>,
    /// With fewer files than this left to be made, no message begins.
    files_min: u64,
}

struct Known {
    /// What the disk had then, less what was written since.
    left: FreeSpace,
    /// When the disk was asked.
    at: Instant,
}

impl Space {
    /// Without a reserve the disk is filled to the last file.
    pub(super) fn new(left: FreeSpace, has_reserve: bool) -> Self {
        Self {
            known: Mutex::new(Known { left, at: Instant::now() }),
            files_min: if has_reserve { FILES_MIN } else { 0 },
        }
    }

    /// What is missing for a message of this size, as far as is known, if a reserve is to be left
    /// beside it.
    pub(super) fn shortage(&self, octets: u64, reserve: u64) -> Option<Shortage> {
        let FreeSpace { octets: free, files } = locked(&self.known).left;
        match files {
            Some(free) if free < self.files_min => Some(Shortage::Files { free }),
            _ if free < reserve => Some(Shortage::Octets { free }),
            _ if free < reserve.saturating_add(octets) => Some(Shortage::Message { free, octets }),
            _ => None,
        }
    }

    /// What is left, as far as is known.
    pub(super) fn left(&self) -> FreeSpace {
        locked(&self.known).left
    }

    pub(super) fn update(&self, left: FreeSpace) {
        *locked(&self.known) = Known { left, at: Instant::now() };
    }

    /// Takes off what was written, in octets. Returns whether it is time to ask the disk.
    pub(super) fn spend(&self, written: u64) -> bool {
        let mut known = locked(&self.known);
        known.left.octets = known.left.octets.saturating_sub(written);
        if known.at.elapsed() < LOOK_AGAIN {
            return false;
        }
        known.at = Instant::now();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_octets_or_files() {
        const FREE: u64 = 1 << 20;
        let no_files = |free| Some(Shortage::Files { free });
        for (files, missing) in
            [(None, None), (Some(16), None), (Some(15), no_files(15)), (Some(0), no_files(0))]
        {
            let left = FreeSpace { octets: FREE, files };
            assert_eq!(Space::new(left, true).shortage(0, FREE), missing);
            assert_eq!(Space::new(left, false).shortage(0, 0), None);
        }
        let space = Space::new(FreeSpace { octets: FREE, files: Some(99) }, true);
        for (octets, reserve, missing) in [
            (0, FREE, None),
            (FREE, 0, None),
            (0, FREE + 1, Some("only 1048576 octets are free")),
            (9, FREE + 1, Some("only 1048576 octets are free")),
            (9, FREE - 8, Some("only 1048576 octets are free, and the message has 9")),
            (
                u64::MAX,
                1,
                Some("only 1048576 octets are free, and the message has 18446744073709551615"),
            ),
        ] {
            let shown = space.shortage(octets, reserve).map(|shortage| shortage.to_string());
            assert_eq!(shown.as_deref(), missing, "{octets} {reserve}");
        }
    }

    #[test]
    fn what_is_left_is_told_with_the_files_where_the_disk_counts_them() {
        let left = |files| Space::new(FreeSpace { octets: 7, files }, true).left().to_string();
        assert_eq!(left(None), "7 octets are free");
        assert_eq!(left(Some(0)), "7 octets and 0 files (inodes) are free");
    }

    #[test]
    fn what_is_written_is_reckoned_between_two_looks() {
        let space = Space::new(FreeSpace { octets: 100, files: None }, true);
        assert!(!space.spend(30));
        assert_eq!(space.left().octets, 70);
        space.spend(90);
        assert_eq!(space.left().octets, 0);
    }
}
