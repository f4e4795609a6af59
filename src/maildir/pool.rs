//! The store's own threads: all file work runs here, so that a slow disk stops no other thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::locked;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);
/// A thread's stack: said here, so that the environment does not say it.
const STACK_BYTES: usize = 1 << 20;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    /// The jobs that no thread has taken.
    jobs: VecDeque<Job>,
    /// The threads that live.
    threads: usize,
    /// The threads that wait for a job.
    idle: usize,
    /// Whether threads end when no job is left.
    closed: bool,
}

/// Threads that come with work and go without.
pub(super) struct Pool {
    /// The jobs and the threads.
    state: Mutex<State>,
    /// Notified when a job is added, and at the close.
    work: Condvar,
    /// Notified when a thread ends.
    ended: Condvar,
    /// The most threads.
    threads_max: usize,
    /// Called when a thread has found nothing to do for a while.
    on_idle: Box<dyn Fn() + Send + Sync>,
}

impl Pool {
    pub(super) fn new(threads_max: usize, on_idle: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            threads_max: threads_max.max(1),
            on_idle: Box::new(on_idle),
        })
    }

    /// Runs a job on a thread, soon. If no thread can be started at all, it is dropped.
    pub(super) fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut state = locked(&self.state);
        state.jobs.push_back(Box::new(job));
        // A thread that was woken is still idle until it has the lock: count the jobs, not the
        // sleepers.
        if state.jobs.len() > state.idle && state.threads < self.threads_max {
            let pool = Arc::clone(self);
            let thread = thread::Builder::new().name("store".to_owned()).stack_size(STACK_BYTES);
            let started = thread.spawn(move || pool.work());
            state.threads += usize::from(started.is_ok());
        }
        let dropped =
            if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        self.work.notify_one();
        drop(dropped);
    }

    /// Whether work waits for a thread.
    pub(super) fn has_jobs(&self) -> bool {
        !locked(&self.state).jobs.is_empty()
    }

    /// A thread's life.
    fn work(&self) {
        let mut state = locked(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A job that panics breaks no one else's.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = locked(&self.state);
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (again, waited) =
                self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                drop(state);
                // It may touch the disk, and so nothing waits for it.
                let _ = catch_unwind(AssertUnwindSafe(|| (self.on_idle)()));
                state = locked(&self.state);
                if state.jobs.is_empty() {
                    break;
                }
            }
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    /// Finishes what waits and stops the threads, but waits no longer than this. Tells whether
    /// all was finished.
    pub(super) fn close(&self, within: Duration) -> bool {
        let mut state = locked(&self.state);
        state.closed = true;
        self.work.notify_all();
        let working = |state: &mut State| state.threads > 0;
        let waited = self
            .ended
            .wait_timeout_while(state, within, working)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    /// Does the same work on many things at once, with the help of all threads that are free.
    pub(super) fn for_each_parallel<T: Send + 'static>(
        self: &Arc<Self>,
        mut things: Vec<T>,
        work: impl Fn(&mut T) + Send + Sync + 'static,
    ) -> Vec<T> {
        let count = things.len();
        if count < 2 {
            // There is nothing to share.
            let _ = catch_unwind(AssertUnwindSafe(|| things.iter_mut().for_each(work)));
            return things;
        }
        let crew = Arc::new(ParallelFor {
            things: things.into_iter().map(|thing| Mutex::new(Some(thing))).collect(),
            next: AtomicUsize::new(0),
            done: Mutex::new(0),
            changed: Condvar::new(),
            work,
        });
        for _ in 1..count.min(self.threads_max) {
            let crew = Arc::clone(&crew);
            self.run(move || while crew.step() {});
        }
        // The caller works too: it never waits for a helper that has not begun.
        while crew.step() {}
        let mut done = locked(&crew.done);
        while *done < count {
            done = crew.changed.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        drop(done);
        crew.things.iter().filter_map(|thing| locked(thing).take()).collect()
    }
}

struct ParallelFor<T, W> {
    /// What is worked on; `None` while a thread has it.
    things: Vec<Mutex<Option<T>>>,
    /// The position of the first that no thread has taken.
    next: AtomicUsize,
    /// How many are done.
    done: Mutex<usize>,
    /// Notified when one is done.
    changed: Condvar,
    /// What is done with each.
    work: W,
}

impl<T, W: Fn(&mut T)> ParallelFor<T, W> {
    /// Works on the next thing. Returns `false` if there is no other.
    fn step(&self) -> bool {
        let Some(thing) = self.things.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
            return false;
        };
        if let Some(thing) = &mut *locked(thing) {
            // What a panic leaves undone, the thing itself says.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.work)(thing)));
        }
        *locked(&self.done) += 1;
        self.changed.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_many_things_ends_though_every_thread_waits_for_such_work() {
        for threads in 1..4 {
            let pool = Pool::new(threads, || {});
            let (sender, results) = std::sync::mpsc::channel();
            for _ in 0..8 {
                let (inner, sender) = (Arc::clone(&pool), sender.clone());
                pool.run(move || {
                    sender
                        .send(
                            inner
                                .for_each_parallel((0..5).collect(), |thing: &mut i32| *thing += 1),
                        )
                        .unwrap();
                });
            }
            for _ in 0..8 {
                assert_eq!(results.recv().unwrap(), [1, 2, 3, 4, 5]);
            }
            assert!(pool.close(Duration::from_mins(1)));
        }
    }

    #[test]
    fn a_panic_gives_everything_back() {
        let pool = Pool::new(3, || {});
        let things = pool.for_each_parallel(vec![1, 2, 3], |thing| {
            assert_ne!(*thing, 2, "planted");
            *thing += 10;
        });
        assert_eq!(things, [11, 2, 13]);
        assert!(pool.close(Duration::from_mins(1)));
    }

    #[test]
    fn a_job_that_hangs_holds_no_other_back() {
        let pool = Pool::new(2, || {});
        let (end, hung) = std::sync::mpsc::channel::<()>();
        let (done, both) = std::sync::mpsc::channel();
        // Two jobs at once for one sleeper: the second must not wait for the first.
        pool.run(|| {});
        pool.run(move || assert!(hung.recv().is_err()));
        pool.run(move || done.send(()).unwrap());
        both.recv_timeout(Duration::from_mins(1)).unwrap();
        drop(end);
        assert!(pool.close(Duration::from_mins(1)));
    }
}
