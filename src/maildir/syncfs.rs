//! One sync of the whole file system, in place of one for each file.
//!
//! It costs about as much as two of single files, however many it is for. But it carries along what
//! others have written to that file system, it is slow where they wrote much, and its failure
//! may be about a file of theirs. So it is used where its promise is known, its failure
//! fails all who wrote meanwhile, and after one that failed or was slow each file is synced by itself
//! for a while.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::folders::SharedSync;
use super::locked;

/// It pays for so many files, as was measured (`docs/performance.md`).
const FILES_MIN: usize = 2;
/// It is slow when it takes longer than this and than so long for each of its files, or than this at most.
const SLOW: Duration = Duration::from_millis(250);
const SLOWEST: Duration = Duration::from_secs(1);
const SLOW_PER_FILE: Duration = Duration::from_millis(20);
/// After one that was slow or failed, none for so long.
const PAUSE: Duration = Duration::from_mins(1);

pub(super) struct SyncFs {
    /// Whether the file system promises enough.
    is_usable: bool,
    shared: SharedSync,
    paused: Mutex<Option<Instant>>,
}

impl SyncFs {
    pub(super) fn new(is_usable: bool) -> Self {
        Self { is_usable, shared: SharedSync::default(), paused: Mutex::default() }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// Whether it is the best for so many files.
    pub(super) fn pays_off_for(&self, files: usize) -> bool {
        let is_paused = || locked(&self.paused).is_some_and(|begin| begin.elapsed() < PAUSE);
        self.is_usable && files >= FILES_MIN && !is_paused()
    }

    /// To be asked before the first octet is written.
    pub(super) fn failures(&self) -> u64 {
        self.shared.failures()
    }

    /// One that has failed since `failures` was asked may have been about these octets: the next sync
    /// would lie.
    pub(super) fn none_failed_since(&self, failures: u64) -> io::Result<()> {
        self.shared.failure_since(failures).map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Syncs it for so many files, or lets another do it, as [`SharedSync::wait`] does.
    pub(super) fn wait(&self, files: usize, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.shared.wait(self.failures(), || {
            let begin = Instant::now();
            let synced = sync();
            let files = u32::try_from(files).unwrap_or(u32::MAX);
            let bearable = SLOW_PER_FILE.saturating_mul(files).clamp(SLOW, SLOWEST);
            if synced.is_err() || begin.elapsed() >= bearable {
                *locked(&self.paused) = Some(Instant::now());
            }
            synced
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_failed_fails_those_who_wrote_before_it_and_is_not_used_for_a_while() {
        let whole = SyncFs::new(true);
        assert!(whole.pays_off_for(2) && !whole.pays_off_for(1), "one file is synced by itself");
        let before = whole.failures();
        whole.wait(2, || Ok(())).unwrap();
        assert!(whole.none_failed_since(before).is_ok() && whole.pays_off_for(2));
        whole.wait(2, || Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(whole.none_failed_since(before).is_err());
        whole.wait(2, || Ok(())).unwrap();
        assert!(whole.none_failed_since(before).is_err(), "a second sync would lie");
        assert!(whole.none_failed_since(whole.failures()).is_ok() && !whole.pays_off_for(50));
    }

    #[test]
    fn one_that_was_slow_is_not_used_for_a_while_and_one_that_is_not_known_never() {
        let whole = SyncFs::new(true);
        let slow = || {
            std::thread::sleep(SLOW);
            Ok(())
        };
        whole.wait(2, slow).unwrap();
        assert!(!whole.pays_off_for(50));
        assert!(!SyncFs::new(false).pays_off_for(50));
    }
}
