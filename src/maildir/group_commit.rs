//! Group commit: messages that wait for the disk at the same time form a batch, and share its
//! syncs.
//!
//! **Goal.** As many messages a second as the disk allows, and no message waits longer than it has to; and a batch that
//! hangs (a mailbox on another file system, a frozen disk) holds no other message back.
//!
//! **Plan.** A message that arrives begins a batch at once if the [`Scheduler`] allows another one; it never waits
//! for others to join it. Else it waits, and the batch that ends next begins another one with all
//! that wait. Messages that arrive before a batch has a thread are divided among the batches that
//! have been begun, so that messages that could go beside each other do not wait for each other's
//! syncs. How many batches are on their way is measured while the store runs (`scheduler.rs`); how
//! a batch syncs is too (`syncfs.rs`).
//!
//! While messages wait and every batch that may be on its way is, a *watchdog* on a thread of its
//! own looks at the time: if no batch has begun for far longer than batches take, it begins another
//! one.
//!
//! **Invariants.**
//! - While a message waits, a batch is on its way, and it looks for waiting messages when it ends.
//! - The number of batches on their way is at most the number of the store's threads.
//! - Each message's callback is called exactly once; successes first, since failures have to be
//!   taken back.
//! - A batch has at most [`BATCH_FILES_MAX`] files and [`BATCH_BYTES_MAX`] octets, or one message.
//!
//! **Tested**: the scheduler alone (`scheduler/tests.rs`), batches on the simulated
//! and the failing disk (`tests/crash.rs`, `tests/failing.rs`), stalls on a disk with a gate
//! (`tests.rs`).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::commit::{Commit, commit};
use super::file::File;
use super::scheduler::{Report, Scheduler};
use super::{Delivered, Draft, Inner, StoreError, locked};

/// The files of a batch, and the octets in them, at most; a single message may have more.
const BATCH_FILES_MAX: usize = 64;
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// The messages that wait, and the batches on their way.
pub(super) struct GroupCommit {
    state: Mutex<State>,
    /// Wakes the watchdog when a batch has ended and nothing waits.
    is_empty: Condvar,
    has_watchdog: bool,
    files_max: usize,
}

struct State {
    waiting: VecDeque<Waiting>,
    scheduler: Scheduler,
    /// The batches that have been begun and have not taken their messages yet.
    queued: usize,
    /// When the last batch began.
    begun: Instant,
    watchdog_running: bool,
}

type Done = Box<dyn FnOnce(Result<Vec<Delivered>, StoreError>) + Send>;

struct Waiting {
    draft: Draft,
    done: Done,
    arrived: Instant,
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
    /// Where syncs are not shared, each message is a batch, and all threads take batches.
    pub(super) fn new(share: bool, threads_max: usize) -> Self {
        let scheduler =
            if share { Scheduler::new(threads_max) } else { Scheduler::fixed(threads_max) };
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                scheduler,
                queued: 0,
                begun: Instant::now(),
                watchdog_running: false,
            }),
            is_empty: Condvar::new(),
            has_watchdog: share && threads_max > 1,
            files_max: if share { BATCH_FILES_MAX } else { 1 },
        }
    }

    /// Whether a thread is needed for the watchdog.
    pub(super) fn has_watchdog(&self) -> bool {
        self.has_watchdog
    }
}

impl State {
    /// Begins the batches that waiting messages need and the scheduler allows; their number.
    fn begin_batches(&mut self) -> usize {
        let before = self.queued;
        while self.queued < self.waiting.len() && self.scheduler.may_begin() {
            self.scheduler.begin();
            self.queued += 1;
        }
        self.queued - before
    }
}

impl Inner {
    /// Lets a message wait for its batch.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        draft: Draft,
        done: impl FnOnce(Result<Vec<Delivered>, StoreError>) + Send + 'static,
    ) {
        let counted = Counted::new(self);
        let done = Box::new(move |result| {
            drop(counted);
            done(result);
        });
        let group = &self.group_commit;
        let mut state = locked(&group.state);
        state.waiting.push_back(Waiting { draft, done, arrived: Instant::now() });
        let begun = state.begin_batches();
        if begun > 0 {
            drop(state);
            self.queue_batches(begun);
        } else if group.has_watchdog && !state.watchdog_running {
            state.watchdog_running = true;
            drop(state);
            let store = Arc::clone(self);
            self.pool.run(move || store.watchdog());
        }
    }

    fn queue_batches(self: &Arc<Self>, count: usize) {
        for _ in 0..count {
            let batch = Batch { store: Arc::clone(self), is_queued: true, has_ended: false };
            self.pool.run(move || batch.run());
        }
    }

    /// Begins another batch when those on their way have stalled, as long as messages wait.
    fn watchdog(self: &Arc<Self>) {
        let group = &self.group_commit;
        let mut state = locked(&group.state);
        while !state.waiting.is_empty() {
            let stall = state.scheduler.stall();
            let left = stall.saturating_sub(state.begun.elapsed());
            if left.is_zero() && state.queued == 0 && state.scheduler.stalled() {
                state.begun = Instant::now();
                // One, which takes all that wait: each batch that is counted here has to be queued
                // too.
                state.scheduler.begin();
                state.queued += 1;
                drop(state);
                self.queue_batches(1);
                state = locked(&group.state);
            } else {
                // If each thread has a batch there is nothing to begin.
                let left = if left.is_zero() { stall } else { left };
                state = group
                    .is_empty
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        state.watchdog_running = false;
    }

    /// The messages of a batch that has been begun: the first one that waits, and its share of the
    /// others.
    fn next_batch(&self) -> (Vec<Waiting>, Report) {
        let mut state = locked(&self.group_commit.state);
        let (mut files, mut octets) = (0_usize, 0_u64);
        let fits = |waiting: &Waiting| {
            let (first, recipients) =
                (files == 0, waiting.draft.message.envelope.recipients.len().max(1));
            files += recipients;
            octets = octets.saturating_add(waiting.draft.octets.saturating_mul(recipients as u64));
            first || (files <= self.group_commit.files_max && octets <= BATCH_BYTES_MAX)
        };
        let share = state.waiting.len().div_ceil(state.queued.max(1));
        let count = state.waiting.iter().take(share).map(fits).take_while(|fits| *fits).count();
        state.queued = state.queued.saturating_sub(1);
        let now = Instant::now();
        state.begun = now;
        let batch: Vec<Waiting> = state.waiting.drain(..count).collect();
        let waited =
            batch.iter().map(|waiting| now.saturating_duration_since(waiting.arrived)).sum();
        (
            batch,
            Report {
                limit: state.scheduler.limit(),
                messages: count,
                present: 0,
                waited,
                took: Duration::ZERO,
            },
        )
    }

    #[cfg(test)]
    pub(super) fn batches(&self) -> usize {
        locked(&self.group_commit.state).scheduler.in_flight()
    }

    /// Commits the batch and reports each result. Successes are reported first; failures have to be
    /// taken back before they are.
    fn commit_batch(self: &Arc<Self>, mut commits: Vec<Commit>, mut dones: Vec<Done>) {
        while !commits.is_empty() {
            commit(self, &mut commits);
            let all = commits.into_iter().zip(dones);
            let (over, again): (Vec<_>, Vec<_>) = all.partition(|(commit, _)| commit.is_over());
            let (kept, failed): (Vec<_>, Vec<_>) =
                over.into_iter().partition(|(commit, _)| commit.kept.is_ok());
            for (commit, done) in kept.into_iter().chain(failed) {
                let taken_back = catch_unwind(AssertUnwindSafe(|| commit.take_back(self)));
                let delivered = commit.files.iter().filter_map(File::delivered).collect();
                let kept = taken_back.map_err(|_| StoreError::panicked()).and(commit.kept);
                done(kept.map(|()| delivered).map_err(|error| self.with_free_space(error)));
            }
            (commits, dones) = again.into_iter().unzip();
        }
    }
}

/// A batch on its way, and the ones after it on the same thread.
struct Batch {
    store: Arc<Inner>,
    /// Whether it has not taken its messages yet.
    is_queued: bool,
    has_ended: bool,
}

impl Batch {
    fn run(mut self) {
        let store = Arc::clone(&self.store);
        loop {
            self.is_queued = false;
            let (batch, mut report) = store.next_batch();
            let begun = Instant::now();
            store.commit_messages(batch);
            report.took = begun.elapsed();
            report.present = store.waiting.load(Ordering::Relaxed) + report.messages;
            let mut state = locked(&store.group_commit.state);
            state.scheduler.end(report);
            let begun = state.begin_batches();
            if begun == 0 {
                self.has_ended = true;
                if state.waiting.is_empty() && state.watchdog_running {
                    store.group_commit.is_empty.notify_all();
                }
                return;
            }
            drop(state);
            self.is_queued = true;
            store.queue_batches(begun - 1);
            if store.pool.has_jobs() {
                // After the other work of the store's threads.
                let pool = Arc::clone(&store.pool);
                pool.run(move || self.run());
                return;
            }
        }
    }
}

impl Inner {
    fn commit_messages(self: &Arc<Self>, batch: Vec<Waiting>) {
        let (mut commits, mut dones) = (Vec::new(), Vec::new());
        for Waiting { draft, done, .. } in batch {
            let parts = catch_unwind(AssertUnwindSafe(|| self.files(draft)));
            match parts.unwrap_or_else(|_| Err(StoreError::panicked())) {
                Ok((message, files)) => {
                    let alone = files
                        .iter()
                        .any(|file| self.folders.is_on_other_fs(file.target.place, file.folder()));
                    let commit = Commit::new(message, files);
                    if alone {
                        let store = Arc::clone(self);
                        self.pool.run(move || store.commit_batch(vec![commit], vec![done]));
                    } else {
                        commits.push(commit);
                        dones.push(done);
                    }
                }
                Err(error) => done(Err(error)),
            }
        }
        self.commit_batch(commits, dones);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // The pool could not start a thread. If no batch is on its way, the waiting messages fail
        // rather than wait for ever.
        let mut state = locked(&self.store.group_commit.state);
        state.scheduler.give_up();
        state.queued -= usize::from(self.is_queued).min(state.queued);
        let is_last = state.scheduler.in_flight() == 0;
        let left = if is_last { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        drop(left);
    }
}
