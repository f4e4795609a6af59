//! Syncs of one folder that overlap: those of the names that messages were moved to.
//!
//! **Goal.** A message whose move has ended waits for one sync of the folder, and not also for the
//! end of one that another message has begun. On a disk whose syncs take long and go on beside each
//! other (a network volume) that is a third of the time.
//!
//! **The difficulty** is the error of a sync. The kernel reports an error to each *open* folder
//! once (its `errseq_t`, Linux 4.13). Two syncs through one handle are one reader: the first one
//! that ends takes the error, and the other one says that all is well though its name is lost.
//!
//! **Plan.** Each sync has a handle of its own, opened before the moves that it is for. An error
//! after the opening is reported to that handle, whatever other handles were told. An error before
//! the opening that another handle was told is known from that other sync: [`FolderSync::sync`]
//! waits for those that were running at the opening, and fails if one has failed since. They began
//! earlier, and so they have nearly always ended.
//!
//! Where the kernel or the file system is not known to report so, a sync also waits for all others
//! that overlap it.
//!
//! **Invariants.** A sync that returns `Ok` began after its ticket was made, and no sync that could
//! have been told of a loss of the names that were made since then has failed.
//!
//! **Tested** below, and by the simulated disk, whose errors are reported once to each handle too:
//! `tests/crash.rs`, `tests/failing.rs`.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use super::disk::{Disk, Handle};
use super::locked;

/// The syncs of one folder.
pub(super) struct FolderSync {
    /// Whether an error is reported to each handle.
    reports_to_each: bool,
    /// What is running, and what has failed.
    state: Mutex<State>,
    /// Notified at the end of each sync.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the latest sync.
    next: u64,
    /// The numbers of those that are running.
    running: BTreeSet<u64>,
    /// How many have failed.
    failures: u64,
    /// How the last of these failed.
    failure: Option<io::ErrorKind>,
    /// Those that wait for the end of another.
    waiting: usize,
}

/// What a sync needs to know from before the moves that it is for.
pub(super) struct Ticket {
    /// The folder, opened for this sync alone.
    handle: Handle,
    /// [`State::failures`] before the opening.
    failures: u64,
    /// The syncs that were running after the opening.
    running: BTreeSet<u64>,
}

impl FolderSync {
    pub(super) fn new(reports_to_each: bool) -> Self {
        Self { reports_to_each, state: Mutex::default(), ended: Condvar::new() }
    }

    /// To be called before the moves whose names are to be synced.
    ///
    /// # Errors
    /// The folder cannot be opened again.
    pub(super) fn ticket(&self, disk: &dyn Disk, folder: &Handle) -> io::Result<Ticket> {
        let failures = locked(&self.state).failures;
        let handle = disk.open_folder(folder, ".")?;
        let running = locked(&self.state).running.clone();
        Ok(Ticket { handle, failures, running })
    }

    /// Syncs the folder.
    ///
    /// # Errors
    /// This sync failed, or another one that may have been told of the loss of these names.
    pub(super) fn sync(&self, disk: &dyn Disk, ticket: &Ticket) -> io::Result<()> {
        self.sync_by(ticket, |handle| disk.sync_folder(handle))
    }

    fn sync_by(
        &self,
        ticket: &Ticket,
        sync: impl FnOnce(&Handle) -> io::Result<()>,
    ) -> io::Result<()> {
        let number = {
            let mut state = locked(&self.state);
            state.next += 1;
            let number = state.next;
            state.running.insert(number);
            number
        };
        // Should it panic, it has failed.
        let mut running = Running { shared: self, number, failure: Some(io::ErrorKind::Other) };
        let synced = sync(&ticket.handle);
        running.failure = synced.as_ref().err().map(io::Error::kind);
        drop(running);
        synced?;
        let mut state = locked(&self.state);
        let mut others = ticket.running.clone();
        if !self.reports_to_each {
            others.extend(&state.running);
        }
        while !others.is_disjoint(&state.running) {
            state.waiting += 1;
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        if state.failures != ticket.failures {
            return Err(state.failure.unwrap_or(io::ErrorKind::Other).into());
        }
        Ok(())
    }
}

struct Running<'a> {
    shared: &'a FolderSync,
    number: u64,
    failure: Option<io::ErrorKind>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.shared.state);
        state.running.remove(&self.number);
        if self.failure.is_some() {
            state.failures += 1;
            state.failure = self.failure;
        }
        let has_waiting = state.waiting > 0;
        drop(state);
        if has_waiting {
            self.shared.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use super::super::disk::RealDisk;
    use super::super::owner;
    use super::*;

    /// A sync that has begun, and ends as it is told.
    struct Begun {
        end: Sender<io::Result<()>>,
        thread: JoinHandle<io::Result<()>>,
    }

    impl Begun {
        fn end(self, synced: io::Result<()>) -> io::Result<()> {
            self.end.send(synced).unwrap();
            self.thread.join().unwrap()
        }
    }

    fn folder(reports_to_each: bool) -> Arc<FolderSync> {
        Arc::new(FolderSync::new(reports_to_each))
    }

    fn ticket(folder: &FolderSync) -> Ticket {
        let dir = tempfile::tempdir().unwrap();
        folder.ticket(&RealDisk, &owner::open_root(dir.path()).unwrap()).unwrap()
    }

    fn begin(folder: &Arc<FolderSync>, ticket: Ticket) -> Begun {
        let (end, ended) = channel();
        let (started, is_started) = channel();
        let folder = Arc::clone(folder);
        let thread = thread::spawn(move || {
            folder.sync_by(&ticket, |_| {
                started.send(()).unwrap();
                ended.recv().unwrap()
            })
        });
        is_started.recv().unwrap();
        Begun { end, thread }
    }

    fn failed() -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn syncs_overlap_and_one_that_began_before_the_ticket_delays_its_sync_only_to_its_own_end() {
        let folder = folder(true);
        let first = begin(&folder, ticket(&folder));
        // A ticket that was made while the first ran.
        let second = begin(&folder, ticket(&folder));
        assert_eq!(locked(&folder.state).running.len(), 2);
        second.end.send(Ok(())).unwrap();
        // The second has ended, and waits: of its error the first may be told.
        let waits = || locked(&folder.state).waiting > 0;
        while !waits() && !second.thread.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(waits(), "it has not waited for the first");
        first.end(Ok(())).unwrap();
        second.thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_sync_that_fails_fails_each_whose_ticket_was_there_though_its_own_sync_says_that_all_is_well()
     {
        for reports_to_each in [true, false] {
            let folder = folder(reports_to_each);
            let before = ticket(&folder);
            let first = begin(&folder, ticket(&folder));
            let during = ticket(&folder);
            first.end(failed()).unwrap_err();
            for ticket in [before, during] {
                let told = begin(&folder, ticket).end(Ok(())).unwrap_err();
                assert_eq!(told.kind(), io::ErrorKind::StorageFull);
            }
            begin(&folder, ticket(&folder)).end(Ok(())).unwrap();
        }
    }

    #[test]
    fn where_an_error_is_told_to_one_handle_a_sync_waits_for_each_that_overlaps_it() {
        let overlap = |folder: &Arc<FolderSync>| {
            let (one, other) = (ticket(folder), ticket(folder));
            (begin(folder, one), begin(folder, other))
        };
        let told_each = folder(true);
        let (one, other) = overlap(&told_each);
        one.end(Ok(())).unwrap();
        other.end(failed()).unwrap_err();
        let told_once = folder(false);
        let (one, other) = overlap(&told_once);
        one.end.send(Ok(())).unwrap();
        other.end(failed()).unwrap_err();
        assert!(one.thread.join().unwrap().is_err(), "the other one was told of its loss");
    }

    #[test]
    fn a_sync_that_panics_has_failed() {
        let folder = folder(true);
        let (one, other) = (ticket(&folder), ticket(&folder));
        let panics = Arc::clone(&folder);
        let thread = thread::spawn(move || panics.sync_by(&one, |_| panic!("planted")));
        assert!(thread.join().is_err());
        begin(&folder, other).end(Ok(())).unwrap_err();
        assert!(locked(&folder.state).running.is_empty());
    }
}
