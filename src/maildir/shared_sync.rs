//! One sync for all that wait for it: that of a whole file system.
//!
//! **Goal.** Many need the same sync at the same time, and one is enough for all whose changes were
//! made before it began.
//!
//! **Plan.** A caller that finds none running leads: it syncs at once, and never waits for others
//! to join. A caller that arrives while one runs waits for the end of that one, and then one of
//! those that waited leads the next.
//!
//! **Invariants.**
//! - A caller returns only after a sync that began after its call: one that was running may have
//!   missed its change.
//! - One sync runs at a time, and so its error is told to the one that runs it, and to all that
//!   wait.
//! - A failure fails every caller that had taken the count of failures before it: the failed sync
//!   may have been about its change, and the kernel reports an error once. The next sync would lie.
//!
//! **The cost** is time: a caller waits for one sync and a half on average, where two that overlap
//! would take one. Where that matters, [`FolderSync`](super::folder_sync::FolderSync) overlaps.
//!
//! **Tested** below, and by the simulated and failing disks of `tests/`.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use super::locked;

/// A sync that many wait for. One of them runs it for all whose changes were made before it began;
/// a caller that arrives later waits for the next one.
#[derive(Default)]
pub(super) struct SharedSync {
    /// What is running, and what has failed.
    state: Mutex<SyncState>,
    /// Notified at the end of each sync.
    ended: Condvar,
}

#[derive(Default)]
struct SyncState {
    /// The number of syncs that have begun.
    begun: u64,
    /// The number of those that have ended.
    ended: u64,
    /// Whether one is running.
    running: bool,
    /// The number of those that have failed.
    failures: u64,
    /// How the last of these failed.
    failure: Option<io::ErrorKind>,
}

impl SharedSync {
    /// To be asked before the rename whose name is to be synced, and given to [`SharedSync::wait`].
    pub(super) fn failures(&self) -> u64 {
        locked(&self.state).failures
    }

    /// How the last one failed, if one has since `failures` was asked.
    pub(super) fn failure_since(&self, failures: u64) -> Option<io::ErrorKind> {
        let state = locked(&self.state);
        (state.failures != failures).then(|| state.failure.unwrap_or(io::ErrorKind::Other))
    }

    pub(super) fn is_running(&self) -> bool {
        locked(&self.state).running
    }

    /// Returns when a sync that began after this call has ended. One that failed since `failures`
    /// was asked fails this too: it may have been about this name, and the next would lie.
    pub(super) fn wait(
        &self,
        failures: u64,
        sync: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = locked(&self.state);
        let wanted = state.begun + 1;
        loop {
            if state.failures != failures {
                return Err(state.failure.unwrap_or(io::ErrorKind::Other).into());
            }
            if state.ended >= wanted {
                return Ok(());
            }
            if !state.running {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.begun += 1;
        drop(state);
        // Should it panic, it has failed, for the waiting callers too.
        let mut running = Running { shared: self, failure: Some(io::ErrorKind::Other) };
        let result = sync();
        running.failure = result.as_ref().err().map(io::Error::kind);
        drop(running);
        result
    }
}

struct Running<'a> {
    shared: &'a SharedSync,
    failure: Option<io::ErrorKind>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.shared.state);
        state.running = false;
        state.ended = state.begun;
        if self.failure.is_some() {
            state.failures += 1;
            state.failure = self.failure;
        }
        drop(state);
        self.shared.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    /// Runs a sync that says when it has begun and ends when told how, while others wait.
    fn during_a_sync(end: io::Result<()>, others: usize) -> (usize, Vec<io::Result<()>>) {
        let shared = Arc::new(SharedSync::default());
        let syncs = Arc::new(AtomicUsize::new(1));
        let (has_begun, begun): (Sender<()>, Receiver<()>) = channel();
        let (may_end, end_now): (Sender<io::Result<()>>, Receiver<io::Result<()>>) = channel();
        let leader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.wait(0, || {
                    has_begun.send(()).unwrap();
                    end_now.recv().unwrap()
                })
            })
        };
        begun.recv().unwrap();
        let waiting: Vec<_> = (0..others)
            .map(|_| {
                let (shared, syncs) = (Arc::clone(&shared), Arc::clone(&syncs));
                let failures = shared.failures();
                let (is_here, here) = channel();
                let thread = thread::spawn(move || {
                    is_here.send(()).unwrap();
                    shared.wait(failures, || {
                        syncs.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                });
                here.recv().unwrap();
                thread
            })
            .collect();
        assert_eq!(syncs.load(Ordering::SeqCst), 1, "no second sync beside the running one");
        may_end.send(end).unwrap();
        leader.join().unwrap().ok();
        let results = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        (syncs.load(Ordering::SeqCst), results)
    }

    #[test]
    fn a_sync_that_runs_does_not_count_for_who_comes_while_it_runs() {
        for others in 1..5 {
            let (syncs, results) = during_a_sync(Ok(()), others);
            assert!(results.iter().all(Result::is_ok));
            assert!(syncs >= 2, "{others} waited for a sync that had begun before them");
        }
    }

    #[test]
    fn a_sync_that_fails_fails_all_whose_rename_it_may_have_been() {
        let (syncs, results) = during_a_sync(Err(io::ErrorKind::StorageFull.into()), 3);
        assert_eq!(syncs, 1, "no second sync that would lie");
        for result in results {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn a_lone_one_syncs_at_once_and_each_time() {
        let (shared, mut syncs) = (SharedSync::default(), 0);
        for _ in 0..3 {
            shared
                .wait(shared.failures(), || {
                    syncs += 1;
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(syncs, 3);
    }
}
