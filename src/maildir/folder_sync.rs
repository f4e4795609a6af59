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
//! **Tested** by the simulated disk, whose errors
//! are reported once to each handle too: `tests/crash.rs`, `tests/failing.rs`.

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
        let number = {
            let mut state = locked(&self.state);
            state.next += 1;
            let number = state.next;
            state.running.insert(number);
            number
        };
        // Should it panic, it has failed.
        let mut running = Running { shared: self, number, failure: Some(io::ErrorKind::Other) };
        let synced = disk.sync_folder(&ticket.handle);
        running.failure = synced.as_ref().err().map(io::Error::kind);
        drop(running);
        synced?;
        let mut state = locked(&self.state);
        let mut others = ticket.running.clone();
        if !self.reports_to_each {
            others.extend(&state.running);
        }
        while !others.is_disjoint(&state.running) {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
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
        drop(state);
        self.shared.ended.notify_all();
    }
}
