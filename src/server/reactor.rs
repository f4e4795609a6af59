//! Serves clients on the reactor's own thread.
//!
//! async-io starts a thread of its own that waits for events. A thread in `async_io::block_on`
//! waits for them too, and the two take the reactor from each other: an event may arrive at the
//! thread that does not serve, which wakes the other (`futex`) and then looks ten times, ever less
//! often, whether it is needed again. A client that pauses between its commands so costs 17 system
//! calls a command.
//!
//! Here no thread is in `async_io::block_on`, so async-io's thread alone waits, and its wakers do
//! the work where they are called: on that thread, between two waits. An event costs no change of
//! threads, and a command 8 system calls: five for a wait (polling 3.11), one to arm the socket,
//! a read and a write.
//!
//! Invariants:
//! - The tasks run on one thread at a time: the one that holds `run`. A waker that finds it held rings
//!   the bell, so that the work is done after the next event, which the bell is; no wake is lost.
//! - A thread that is not the reactor's (the store's, the main thread) runs no task: it rings the
//!   bell.
//! - A task never blocks; while it runs, the reactor waits. Disk and log have threads of their own.
//!
//! Tested by `suite::system_calls` and below.

use std::cell::Cell;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use async_io::Async;
use rustix::event::{EventfdFlags, eventfd};
use smol::Executor;

use super::log;

thread_local! {
    /// Whether the reactor calls wakers on this thread.
    static IS_REACTOR: Cell<bool> = const { Cell::new(false) };
}

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs the tasks of an executor on the reactor's thread. Dropping it ends that.
pub(super) struct Driver(Arc<Inner>);

struct Inner {
    /// The executor, and its tasks' run, which never ends; `None` when the server has stopped.
    run: Mutex<Option<(Arc<Executor<'static>>, Run)>>,
    bell: Async<OwnedFd>,
    /// Whether the bell was rung and not yet heard, so that it is not rung twice.
    rung: AtomicBool,
}

/// The bell's waker. It holds the driver weakly, since the bell's source in the reactor holds it.
struct Bell(Weak<Inner>);

fn run(executor: Arc<Executor<'static>>) -> Run {
    Box::pin(async move { executor.run(pending()).await })
}

impl Driver {
    /// Starts to run the executor's tasks.
    ///
    /// # Errors
    /// The system has no descriptor for the bell.
    pub(super) fn start(executor: &Arc<Executor<'static>>) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let run = (Arc::clone(executor), run(Arc::clone(executor)));
        let inner = Arc::new(Inner {
            run: Mutex::new(Some(run)),
            bell: Async::new_nonblocking(bell)?,
            rung: AtomicBool::new(false),
        });
        inner.listen(&Waker::from(Arc::new(Bell(Arc::downgrade(&inner)))));
        // The reactor's thread learns that it is, and looks for tasks.
        inner.ring();
        Ok(Self(inner))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let run = self.0.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not under the lock: tasks that end may wake others.
        drop(run);
    }
}

impl Inner {
    /// Runs the tasks that are ready, on this thread.
    fn work(self: &Arc<Self>) {
        let mut held = match self.run.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.ring(),
        };
        let Some((executor, tasks)) = held.as_mut() else { return };
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        if catch_unwind(AssertUnwindSafe(|| tasks.as_mut().poll(&mut context))).is_err() {
            // The task that panicked is gone, and the panic is in the log; the others go on.
            *tasks = run(Arc::clone(executor));
            self.ring();
        }
    }

    /// Lets the reactor's thread do the work. The write can only fail if the counter is full,
    /// and then it has rung.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            let _ = rustix::io::write(self.bell.get_ref(), &1_u64.to_ne_bytes());
        }
    }

    /// Silences the bell and waits for its next ring.
    fn listen(&self, waker: &Waker) {
        let mut context = Context::from_waker(waker);
        while let Poll::Ready(heard) = self.bell.poll_readable(&mut context) {
            if let Err(error) = heard {
                log::reactor_failed(&error);
                break;
            }
            let _ = rustix::io::read(self.bell.get_ref(), &mut [0; 8]);
        }
        // What was woken before this is found by the work that follows; what is woken later rings.
        self.rung.store(false, Ordering::SeqCst);
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if IS_REACTOR.get() { self.work() } else { self.ring() }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        IS_REACTOR.set(true);
        if let Some(inner) = self.0.upgrade() {
            inner.listen(&Waker::from(self));
            inner.work();
        }
    }
}

/// Whether the reactor's thread has a stack for sessions: the standard library's 2 MiB. Its size is
/// what this variable says, since async-io starts the thread; no variable may make it too small.
pub(super) fn has_stack() -> bool {
    std::env::var_os("RUST_MIN_STACK").is_none()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn tasks_run_on_the_reactors_thread_whoever_wakes_them_and_a_panic_ends_one() {
        let executor = Arc::new(Executor::new());
        let driver = Driver::start(&executor).unwrap();
        let (ask, asked) = async_channel::unbounded::<u32>();
        let (answer, answers) = std::sync::mpsc::channel();
        executor.spawn(async { panic!("a task that panics") }).detach();
        let task = async move {
            while let Ok(number) = asked.recv().await {
                answer.send((number, IS_REACTOR.get())).unwrap();
            }
        };
        executor.spawn(task).detach();
        for number in 0..1000 {
            let ask = ask.clone();
            if number % 10 == 0 {
                thread::spawn(move || ask.try_send(number)).join().unwrap().unwrap();
            } else {
                ask.try_send(number).unwrap();
            }
        }
        for number in 0..1000 {
            assert_eq!(answers.recv().unwrap(), (number, true));
        }
        assert!(!IS_REACTOR.get());
        // Without its driver the executor runs nothing, and what its tasks hold is free.
        drop((driver, executor));
        assert!(ask.is_closed() && answers.recv().is_err());
    }
}
