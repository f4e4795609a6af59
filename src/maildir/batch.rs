//! Messages that wait for the disk, and who takes them: whoever comes while others are on their way waits
//! for the next turn and shares it with all who came meanwhile. Nobody waits for company.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::commit::{Commit, commit};
use super::{Draft, Failure, Fault, Inner, locked};

/// Where messages share their syncs, so many turns are taken at once: one writes while the other
/// waits for the disk.
const TURNS: usize = 2;
/// A turn that takes longer holds no other back.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// So many files go in one turn, and those of one message.
const FILES: usize = 64;

pub(super) struct Line {
    state: Mutex<State>,
    turns_max: usize,
    files_max: usize,
}

struct State {
    waiting: VecDeque<Waiting>,
    turns: usize,
    begun: Instant,
}

struct Waiting {
    draft: Draft,
    done: Box<dyn FnOnce(Result<(), Failure>) + Send>,
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
            state: Mutex::new(State { waiting: VecDeque::new(), turns: 0, begun: Instant::now() }),
            turns_max: if share { TURNS } else { threads_max },
            files_max: if share { FILES } else { 1 },
        }
    }
}

impl Inner {
    /// Lets a message wait for its turn.
    pub(super) fn wait_in_line(
        self: &Arc<Self>,
        draft: Draft,
        done: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) {
        let counted = Counted::new(self);
        let done = Box::new(move |result| {
            drop(counted);
            done(result);
        });
        let mut state = locked(&self.line.state);
        state.waiting.push_back(Waiting { draft, done });
        if state.turns < self.line.turns_max || state.begun.elapsed() > PATIENCE {
            state.turns += 1;
            drop(state);
            let mut turns = Turns { store: Arc::clone(self), ended: false };
            self.pool.run(move || while turns.take() {});
        }
    }

    /// Whoever stands first, and with it as many as go in one turn. None: nobody waits, and the turn ends.
    fn next_turn(&self) -> Option<Vec<Waiting>> {
        let mut state = locked(&self.line.state);
        if state.waiting.is_empty() {
            state.turns -= 1;
            return None;
        }
        let mut files = 0;
        let fits = |waiting: &Waiting| {
            let first = files == 0;
            files += waiting.draft.message.envelope.recipients.len().max(1);
            first || files <= self.line.files_max
        };
        let count = state.waiting.iter().map(fits).take_while(|fits| *fits).count();
        state.begun = Instant::now();
        Some(state.waiting.drain(..count).collect())
    }
}

/// A thread's turns, one after the other.
struct Turns {
    store: Arc<Inner>,
    ended: bool,
}

impl Turns {
    /// Takes one. False: nobody waits.
    fn take(&mut self) -> bool {
        let store = &self.store;
        let Some(turn) = store.next_turn() else {
            self.ended = true;
            return false;
        };
        let (mut commits, mut dones) = (Vec::new(), Vec::new());
        for Waiting { draft, done } in turn {
            match store.files(draft) {
                Ok((message, files)) => {
                    commits.push(Commit { message, files, kept: Ok(()) });
                    dones.push(done);
                }
                Err(failure) => done(Err(failure)),
            }
        }
        let panicked = catch_unwind(AssertUnwindSafe(|| commit(store, &mut commits))).is_err();
        for (Commit { kept, .. }, done) in commits.into_iter().zip(dones) {
            done(if panicked { Err(Fault::panic().into()) } else { kept.map_err(Failure::from) });
        }
        true
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = locked(&self.store.line.state);
        state.turns -= 1;
        // Where no thread could be had, nobody is to wait for one.
        let left = if state.turns == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        drop(left);
    }
}
