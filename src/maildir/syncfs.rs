//! One sync of the whole file system (syncfs), in place of one for each file.
//!
//! **Goal.** The octets of all files of a batch are safe after one call, however many they are.
//!
//! **The difficulty.** It carries along what others have written to that file system, and is slow
//! where they wrote much; its failure may be about a file of theirs; and the kernel reports an
//! error once to each handle, so that a second call would lie.
//!
//! **Plan.** It is used where its promise is known (`Disk::sync_fs_is_reliable`), one call at a
//! time and by one handle ([`SharedSync`]). It is used for two files or more, where it is quicker
//! than a sync of each file by a thread of its own. That is measured while the store runs: the time
//! of the last calls of both kinds. The time of a syncfs counts half as much again while another
//! call runs, since ours has to wait for its end. A syncfs that was slow is so not repeated soon;
//! its time is forgotten bit by bit, and it is tried again.
//!
//! **Invariants.** A call that fails fails every message that had begun to write before it ended
//! ([`SyncFs::none_failed_since`]), whatever its own sync says; and for a minute each file is
//! synced by itself.
//!
//! **Measured**: a syncfs of 50 files takes about as long as two fdatasyncs on ext4 and XFS
//! (docs/performance.md). **Tested** below, by the simulated disk (`tests/crash.rs`,
//! `tests/failing.rs`), and on ext4 and XFS by `tests/torture/run plug-ext4 plug-xfs no-place`.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::locked;
use super::shared_sync::SharedSync;

/// It may pay off for this many files.
const FILES_MIN: usize = 2;
/// What a sync by another thread costs beside its time: that thread has to be woken, and the
/// processor has others to serve.
const THREAD: Duration = Duration::from_micros(300);
/// Folders whose syncs take less are synced one after the other.
const QUICK: Duration = Duration::from_millis(1);
/// After one that failed, none for this time.
const PAUSE: Duration = Duration::from_mins(1);

pub(super) struct SyncFs {
    /// Whether the file system promises enough.
    is_usable: bool,
    /// The call that is running, and the callers that wait.
    shared: SharedSync,
    /// When a call failed last.
    failed: Mutex<Option<Instant>>,
    /// What decides between a call and a sync of each file.
    times: Mutex<Times>,
}

/// How long syncs have taken, the last ones weighing most.
#[derive(Default)]
struct Times {
    /// A sync of one file.
    file: Mean,
    /// A sync of one folder.
    folder: Mean,
    /// A syncfs.
    file_system: Mean,
}

#[derive(Default)]
struct Mean(Option<Duration>);

impl Mean {
    fn add(&mut self, took: Duration) {
        self.0 = Some(self.0.map_or(took, |mean| (mean * 7 + took) / 8));
    }
}

impl SyncFs {
    pub(super) fn new(is_usable: bool) -> Self {
        Self {
            is_usable,
            shared: SharedSync::default(),
            failed: Mutex::default(),
            times: Mutex::default(),
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// Whether it is the best for this many files.
    pub(super) fn pays_off_for(&self, files: usize) -> bool {
        let has_failed = || locked(&self.failed).is_some_and(|failed| failed.elapsed() < PAUSE);
        if !self.is_usable || files < FILES_MIN || has_failed() {
            return false;
        }
        let mut times = locked(&self.times);
        let (Some(file), Some(file_system)) = (times.file.0, times.file_system.0) else {
            return true;
        };
        let waits = if self.shared.is_running() { file_system / 2 } else { Duration::ZERO };
        let others = u32::try_from(files - 1).unwrap_or(u32::MAX);
        let pays_off = file_system + waits <= file + THREAD.saturating_mul(others);
        if !pays_off {
            // What is not used is not measured: it is tried again some time.
            times.file_system = Mean(Some(file_system.saturating_sub(file_system / 64)));
        }
        pays_off
    }

    /// Whether folders are synced one after the other.
    pub(super) fn folders_are_quick(&self) -> bool {
        self.is_usable && locked(&self.times).folder.0.is_none_or(|folder| folder < QUICK)
    }

    /// A file's own sync has taken this time.
    pub(super) fn file_took(&self, took: Duration) {
        locked(&self.times).file.add(took);
    }

    /// A folder's sync has taken this time.
    pub(super) fn folder_took(&self, took: Duration) {
        locked(&self.times).folder.add(took);
    }

    /// To be asked before the first octet is written.
    pub(super) fn failures(&self) -> u64 {
        self.shared.failures()
    }

    /// One that has failed since `failures` was asked may have been about these octets: the next
    /// sync would lie.
    pub(super) fn none_failed_since(&self, failures: u64) -> io::Result<()> {
        self.shared.failure_since(failures).map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Syncs the file system, or lets another thread do it, as [`SharedSync::wait`] does.
    pub(super) fn wait(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.shared.wait(self.failures(), || {
            let begin = Instant::now();
            let synced = sync();
            locked(&self.times).file_system.add(begin.elapsed());
            if synced.is_err() {
                *locked(&self.failed) = Some(Instant::now());
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
        let syncfs = SyncFs::new(true);
        assert!(syncfs.pays_off_for(2) && !syncfs.pays_off_for(1), "one file is synced by itself");
        let before = syncfs.failures();
        syncfs.wait(|| Ok(())).unwrap();
        assert!(syncfs.none_failed_since(before).is_ok() && syncfs.pays_off_for(2));
        syncfs.wait(|| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(syncfs.none_failed_since(before).is_err());
        syncfs.wait(|| Ok(())).unwrap();
        assert!(syncfs.none_failed_since(before).is_err(), "a second sync would lie");
        assert!(syncfs.none_failed_since(syncfs.failures()).is_ok() && !syncfs.pays_off_for(50));
    }

    #[test]
    fn one_that_is_slower_than_syncs_of_each_file_is_not_used_for_a_while_and_one_that_is_not_known_never()
     {
        let syncfs = SyncFs::new(true);
        syncfs.file_took(Duration::from_millis(1));
        assert!(syncfs.pays_off_for(2), "nothing is known of it");
        let took = |time| locked(&syncfs.times).file_system = Mean(Some(time));
        took(Duration::from_millis(2));
        // 1.3 ms with a second thread, and 2.2 ms with four more.
        assert!(!syncfs.pays_off_for(2) && syncfs.pays_off_for(5));
        took(Duration::from_secs(2));
        let refused = (0..2000).take_while(|_| !syncfs.pays_off_for(50)).count();
        assert!((100..500).contains(&refused), "it is tried again after {refused} batches");
        assert!(!SyncFs::new(false).pays_off_for(50));
    }

    #[test]
    fn while_one_runs_its_end_has_to_be_worth_the_wait() {
        let syncfs = SyncFs::new(true);
        syncfs.file_took(Duration::from_millis(5));
        locked(&syncfs.times).file_system = Mean(Some(Duration::from_millis(5)));
        assert!(syncfs.pays_off_for(2));
        syncfs
            .wait(|| {
                assert!(!syncfs.pays_off_for(2), "two files are synced at once, each by itself");
                assert!(syncfs.pays_off_for(20), "twenty wait");
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn folders_are_synced_at_the_same_time_where_a_sync_takes_long() {
        let syncfs = SyncFs::new(true);
        assert!(syncfs.folders_are_quick());
        syncfs.folder_took(Duration::from_millis(5));
        assert!(!syncfs.folders_are_quick());
    }
}
