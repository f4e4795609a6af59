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

/// Where messages share their syncs, so many turns are taken at once: one writes while the other
/// waits for the disk.
const TURNS: usize = 2;
/// A turn that takes longer holds no other back.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many files, and so many octets in them, go in one turn; and those of one message.
const FILES: usize = 64;
const BYTES: u64 = 4 << 20;

pub(super) struct Line {
    state: Mutex<State>,
    is_empty: Condvar,
    /// So many are taken at once while none takes too long, and so many at most.
    turns_usual: usize,
    turns_max: usize,
    files_max: usize,
}

struct State {
    waiting: VecDeque<Waiting>,
    turns: usize,
    begun: Instant,
    /// Whether somebody stands by.
    watched: bool,
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

impl Line {
    /// Where syncs are not shared, each message has a turn of its own, and all threads take turns.
    pub(super) fn new(share: bool, threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State { waiting: VecDeque::new(), turns: 0, begun: Instant::now(), watched: false }),
            is_empty: Condvar::new(),
            turns_usual: if share { TURNS.min(threads_max) } else { threads_max },
            turns_max: threads_max,
            files_max: if share { FILES } else { 1 },
        }
    }

    /// Whether somebody stands by, on a thread of his own, while all the usual turns are taken.
    pub(super) fn is_watched(&self) -> bool {
        self.turns_usual < self.turns_max
    }
}

impl Inner {
    /// Lets a message wait for its turn.
    pub(super) fn wait_in_line(
        self: &Arc<Self>,
        draft: Draft,
        done: impl FnOnce(Result<Vec<Delivered>, Failure>) + Send + 'static,
    ) {
        let counted = Counted::new(self);
        let done = Box::new(move |result| {
            drop(counted);
            done(result);
        });
        let line = &self.line;
        let mut state = locked(&line.state);
        state.waiting.push_back(Waiting { draft, done });
        if state.turns < line.turns_usual {
            state.turns += 1;
            drop(state);
            Turn::new(self).queue();
        } else if line.is_watched() && !state.watched {
            state.watched = true;
            drop(state);
            let store = Arc::clone(self);
            self.pool.run(move || store.stand_by());
        }
    }

    /// Begins another turn when those that are taken are over their time, while anybody waits.
    fn stand_by(self: &Arc<Self>) {
        let line = &self.line;
        let mut state = locked(&line.state);
        while !state.waiting.is_empty() {
            let left = PATIENCE.saturating_sub(state.begun.elapsed());
            if left.is_zero() && state.turns < line.turns_max {
                state.turns += 1;
                state.begun = Instant::now();
                drop(state);
                Turn::new(self).queue();
                state = locked(&line.state);
            } else {
                // Where each thread has a turn there is nothing to begin.
                let left = if left.is_zero() { PATIENCE } else { left };
                state = line.is_empty.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.watched = false;
    }

    /// Whoever stands first, and with it as many as go in one turn.
    fn next_turn(&self) -> Vec<Waiting> {
        let mut state = locked(&self.line.state);
        let (mut files, mut octets) = (0_usize, 0_u64);
        let fits = |waiting: &Waiting| {
            let (first, recipients) = (files == 0, waiting.draft.message.envelope.recipients.len().max(1));
            files += recipients;
            octets = octets.saturating_add(waiting.draft.octets.saturating_mul(recipients as u64));
            first || (files <= self.line.files_max && octets <= BYTES)
        };
        let count = state.waiting.iter().map(fits).take_while(|fits| *fits).count();
        state.begun = Instant::now();
        state.waiting.drain(..count).collect()
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        locked(&self.line.state).turns
    }

    /// Makes them safe together and tells each, those first of whom nothing has to be taken back.
    fn finish(self: &Arc<Self>, mut commits: Vec<Commit>, mut dones: Vec<Done>) {
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
struct Turn {
    store: Arc<Inner>,
    ended: bool,
}

impl Turn {
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
        for Waiting { draft, done } in store.next_turn() {
            let parts = catch_unwind(AssertUnwindSafe(|| store.files(draft)));
            match parts.unwrap_or_else(|_| Err(Fault::panic().into())) {
                Ok((message, files)) => {
                    let alone = files.iter().any(|file| store.folders.is_elsewhere(file.target.place, file.folder()));
                    let commit = Commit::new(message, files);
                    if alone {
                        let finishing = Arc::clone(store);
                        store.pool.run(move || finishing.finish(vec![commit], vec![done]));
                    } else {
                        commits.push(commit);
                        dones.push(done);
                    }
                }
                Err(failure) => done(Err(failure)),
            }
        }
        store.finish(commits, dones);
        let mut state = locked(&store.line.state);
        // One too many ends, where somebody sees to it that the others go on.
        let is_surplus = state.turns > store.line.turns_usual && state.watched;
        if state.waiting.is_empty() || is_surplus {
            state.turns -= 1;
            store.line.is_empty.notify_all();
            drop(state);
            self.ended = true;
        } else {
            drop(state);
            self.queue();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // No thread could be had for it. Where none is left nobody is to wait for one.
        let mut state = locked(&self.store.line.state);
        state.turns -= 1;
        let left = if state.turns == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        state.watched = false;
        drop(state);
        drop(left);
    }
}
