//! Messages that wait for the disk, and who takes them: whoever comes while others are on their way waits
//! for the next turn and shares it with all who came meanwhile. Nobody waits for company.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::commit::{Commit, commit};
use super::file::File;
use super::{Delivered, Draft, Failure, Fault, Inner, locked};

/// Where messages share their syncs, so many batches are taken at once: one writes while the other
/// waits for the disk.
const BATCHES_AT_ONCE: usize = 2;
/// A turn that takes longer holds no other back.
const BATCH_STALL: Duration = Duration::from_millis(100);
/// So many files, and so many octets in them, go in one turn; and those of one message.
const BATCH_FILES_MAX: usize = 64;
const BATCH_BYTES_MAX: u64 = 4 << 20;

pub(super) struct GroupCommit {
    state: Mutex<State>,
    is_empty: Condvar,
    /// So many are taken at once while none takes too long, and so many at most.
    batches_usual: usize,
    batches_max: usize,
    files_max: usize,
}

struct State {
    waiting: VecDeque<Waiting>,
    batches: usize,
    begun: Instant,
    /// Whether somebody stands by.
    watchdog_running: bool,
}

type Done = Box<dyn FnOnce(Result<Vec<Delivered>, Failure>) + Send>;

struct Waiting {
    draft: Draft,
    done: Done,
}

/// A message that waits for the disk, counted.
pub(super) struct Counted(Arc<Inner>);

impl Counted {
    pub(super) fn new(store: &Arc<Inner>) -> Self {
        store.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(store))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GroupCommit {
    /// Where syncs are not shared, each message has a turn of its own, and all threads take batches.
    pub(super) fn new(share: bool, threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                batches: 0,
                begun: Instant::now(),
                watchdog_running: false,
            }),
            is_empty: Condvar::new(),
            batches_usual: if share { BATCHES_AT_ONCE.min(threads_max) } else { threads_max },
            batches_max: threads_max,
            files_max: if share { BATCH_FILES_MAX } else { 1 },
        }
    }

    /// Whether somebody stands by, on a thread of his own, while all the usual batches are taken.
    pub(super) fn has_watchdog(&self) -> bool {
        self.batches_usual < self.batches_max
    }
}

impl Inner {
    /// Lets a message wait for its turn.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        draft: Draft,
        done: impl FnOnce(Result<Vec<Delivered>, Failure>) + Send + 'static,
    ) {
        let counted = Counted::new(self);
        let done = Box::new(move |result| {
            drop(counted);
            done(result);
        });
        let group = &self.group_commit;
        let mut state = locked(&group.state);
        state.waiting.push_back(Waiting { draft, done });
        if state.batches < group.batches_usual {
            state.batches += 1;
            drop(state);
            Batch::new(self).queue();
        } else if group.has_watchdog() && !state.watchdog_running {
            state.watchdog_running = true;
            drop(state);
            let store = Arc::clone(self);
            self.pool.run(move || store.watchdog());
        }
    }

    /// Begins another turn when those that are taken are over their time, while anybody waits.
    fn watchdog(self: &Arc<Self>) {
        let group = &self.group_commit;
        let mut state = locked(&group.state);
        while !state.waiting.is_empty() {
            let left = BATCH_STALL.saturating_sub(state.begun.elapsed());
            if left.is_zero() && state.batches < group.batches_max {
                state.batches += 1;
                state.begun = Instant::now();
                drop(state);
                Batch::new(self).queue();
                state = locked(&group.state);
            } else {
                // Where each thread has a turn there is nothing to begin.
                let left = if left.is_zero() { BATCH_STALL } else { left };
                state = group.is_empty.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.watchdog_running = false;
    }

    /// Whoever stands first, and with it as many as go in one turn.
    fn next_batch(&self) -> Vec<Waiting> {
        let mut state = locked(&self.group_commit.state);
        let (mut files, mut octets) = (0_usize, 0_u64);
        let fits = |waiting: &Waiting| {
            let (first, recipients) = (files == 0, waiting.draft.message.envelope.recipients.len().max(1));
            files += recipients;
            octets = octets.saturating_add(waiting.draft.octets.saturating_mul(recipients as u64));
            first || (files <= self.group_commit.files_max && octets <= BATCH_BYTES_MAX)
        };
        let count = state.waiting.iter().map(fits).take_while(|fits| *fits).count();
        state.begun = Instant::now();
        state.waiting.drain(..count).collect()
    }

    #[cfg(test)]
    pub(super) fn batches(&self) -> usize {
        locked(&self.group_commit.state).batches
    }

    /// Makes them safe together and tells each, those first of whom nothing has to be taken back.
    fn commit_batch(self: &Arc<Self>, mut commits: Vec<Commit>, mut dones: Vec<Done>) {
        while !commits.is_empty() {
            commit(self, &mut commits);
            let all = commits.into_iter().zip(dones);
            let (over, again): (Vec<_>, Vec<_>) = all.partition(|(commit, _)| commit.is_over());
            let (kept, failed): (Vec<_>, Vec<_>) = over.into_iter().partition(|(commit, _)| commit.kept.is_ok());
            for (commit, done) in kept.into_iter().chain(failed) {
                let taken_back = catch_unwind(AssertUnwindSafe(|| commit.take_back(self)));
                let delivered = commit.files.iter().filter_map(File::delivered).collect();
                let kept = taken_back.map_err(|_| Fault::panic()).and(commit.kept);
                done(kept.map(|()| delivered).map_err(Failure::from));
            }
            (commits, dones) = again.into_iter().unzip();
        }
    }
}

/// A turn that is taken, and the next one after it.
struct Batch {
    store: Arc<Inner>,
    ended: bool,
}

impl Batch {
    fn new(store: &Arc<Inner>) -> Self {
        Self { store: Arc::clone(store), ended: false }
    }

    /// Behind the other work of the store's threads.
    fn queue(self) {
        let pool = Arc::clone(&self.store.pool);
        pool.run(move || self.take());
    }

    fn take(mut self) {
        let store = &self.store;
        let (mut commits, mut dones) = (Vec::new(), Vec::new());
        for Waiting { draft, done } in store.next_batch() {
            let parts = catch_unwind(AssertUnwindSafe(|| store.files(draft)));
            match parts.unwrap_or_else(|_| Err(Fault::panic().into())) {
                Ok((message, files)) => {
                    let alone = files.iter().any(|file| store.folders.is_on_other_fs(file.target.place, file.folder()));
                    let commit = Commit::new(message, files);
                    if alone {
                        let finishing = Arc::clone(store);
                        store.pool.run(move || finishing.commit_batch(vec![commit], vec![done]));
                    } else {
                        commits.push(commit);
                        dones.push(done);
                    }
                }
                Err(failure) => done(Err(failure)),
            }
        }
        store.commit_batch(commits, dones);
        let mut state = locked(&store.group_commit.state);
        // One too many ends, where somebody sees to it that the others go on.
        let is_surplus = state.batches > store.group_commit.batches_usual && state.watchdog_running;
        if state.waiting.is_empty() || is_surplus {
            state.batches -= 1;
            store.group_commit.is_empty.notify_all();
            drop(state);
            self.ended = true;
        } else {
            drop(state);
            self.queue();
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // No thread could be had for it. Where none is left nobody is to wait for one.
        let mut state = locked(&self.store.group_commit.state);
        state.batches -= 1;
        let left = if state.batches == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        state.watchdog_running = false;
        drop(state);
        drop(left);
    }
}
