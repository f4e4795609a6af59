//! The store: the only code that writes mail.
//!
//! A [`Draft`] collects a message; [`Store::commit`] makes it safe for every recipient, in
//! mailboxes (Maildir) and in the queue for other servers, and only then calls back with `Ok`.
//! File work runs on the store's own threads; no method waits for the disk but [`Store::open`]
//! and [`Store::close`]. It knows no socket and no executor.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::smtp::envelope::Envelope;

mod commit;
mod disk;
mod form;
#[cfg(test)]
pub(crate) mod gate;
mod name;
mod owner;
#[cfg(test)]
mod tests;

use disk::{Disk, Durable, RealDisk, write_all};

/// The folder of the queue for other servers.
const QUEUE: &str = ".OTHER_SERVERS";
/// The folder of the owners' locks.
const OWNERS: &str = ".owners";
/// A thread's stack: said here, so that the environment does not say it.
const STACK_BYTES: usize = 1 << 20;
/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// What a file in a mailbox looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A message that mail readers show, with LF line ends.
    #[default]
    Message,
    /// The same, with each octet of the content as it came: its lines, and ours, end in CR LF.
    MessageAsItCame,
    /// Exactly the queue's form.
    Envelope,
}

/// How a store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the mailboxes.
    pub root: PathBuf,
    /// What files in mailboxes look like.
    pub format: Format,
    /// The name that `Received:` fields give this server.
    pub host: String,
    /// The most threads for file work.
    pub threads_max: usize,
    /// How much content of one message stays in memory, in octets.
    pub memory_bytes_max: usize,
    /// With more messages than these waiting for the disk, no other begins.
    pub waiting_max: usize,
    /// With less free space than this, in octets, no message begins.
    pub free_bytes_min: u64,
}

/// The store cannot be opened: what was attempted, and why it failed.
#[derive(Debug)]
pub struct OpenError(String, io::Error);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}

/// Why a message was not taken. Nothing of it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no space, or a quota is used up.
    Full(String),
    /// Too many messages wait for the disk.
    Busy,
    /// Anything else.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(cause) | Self::Broken(cause) => f.write_str(cause),
            Self::Busy => f.write_str("too many messages wait for the disk"),
        }
    }
}

impl From<commit::Fault> for Failure {
    fn from(fault: commit::Fault) -> Self {
        let cause = format!("cannot {}: {}", fault.what, fault.error);
        match fault.error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(cause),
            _ => Self::Broken(cause),
        }
    }
}

type Job = Box<dyn FnOnce(&Inner) + Send>;

#[derive(Default)]
struct Pool {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Inner {
    options: Options,
    disk: Box<dyn Disk>,
    root: OwnedFd,
    owner: owner::Owner,
    durable: Durable,
    counter: AtomicU64,
    free_bytes: AtomicU64,
    waiting: AtomicUsize,
    pool: Mutex<Pool>,
    changed: Condvar,
}

/// The mailboxes and the queue. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// Whether a draft takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fill {
    /// It does.
    Room,
    /// Its memory is full: [`Store::spill`] it first.
    Full,
}

/// A message that is coming in. Dropped, it is forgotten, and nothing of it is left.
pub struct Draft {
    envelope: Arc<Envelope>,
    time: u64,
    /// The content's begin, by which its headers are known.
    begin: Vec<u8>,
    memory: Vec<u8>,
    memory_bytes_max: usize,
    /// An unnamed file with the content so far, and its length. It goes with its handle.
    spool: Option<(OwnedFd, u64)>,
    failure: Option<Failure>,
}

/// A field name longer than this is none.
const BEGIN_BYTES: usize = 1024;

impl Draft {
    /// Takes content. It does no I/O.
    pub fn push(&mut self, content: &[u8]) -> Fill {
        if self.failure.is_some() {
            return Fill::Room;
        }
        let missing = BEGIN_BYTES.saturating_sub(self.begin.len());
        self.begin.extend_from_slice(content.get(..missing).unwrap_or(content));
        self.memory.extend_from_slice(content);
        if self.memory.len() > self.memory_bytes_max { Fill::Full } else { Fill::Room }
    }

    /// The octets of content so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.memory.len() as u64 + self.spool.as_ref().map_or(0, |(_, octets)| *octets)
    }
}

impl Store {
    /// Makes the mail folder if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn make_folder(root: &Path) -> Result<(), OpenError> {
        let made = owner::open_root(root).map(drop);
        made.map_err(|error| OpenError(format!("cannot open the mail folder {}", root.display()), error))
    }

    /// Opens the store; the folder is made if it is not there. What dead servers have left in
    /// `tmp` folders is swept in the background.
    ///
    /// # Errors
    /// The folder cannot be made, opened or locked.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Self::with_disk(options, Box::new(RealDisk))
    }

    fn with_disk(options: Options, disk: Box<dyn Disk>) -> Result<Self, OpenError> {
        let shown = options.root.display().to_string();
        let failed = |what: &str, error: io::Error| OpenError(format!("cannot {what} {shown}"), error);
        let root = owner::open_root(&options.root).map_err(|error| failed("open the mail folder", error))?;
        let owner = owner::Owner::take(&root).map_err(|error| failed("lock", error))?;
        let store = Self(Arc::new(Inner {
            options,
            disk,
            root,
            owner,
            durable: Durable::default(),
            counter: AtomicU64::new(0),
            free_bytes: AtomicU64::new(u64::MAX),
            waiting: AtomicUsize::new(0),
            pool: Mutex::default(),
            changed: Condvar::new(),
        }));
        store.0.look_at_space();
        store.run(Box::new(|store| owner::sweep(&store.root, &store.owner)));
        Ok(store)
    }

    /// Whether a message of so many octets may begin.
    ///
    /// # Errors
    /// [`Failure::Full`] below the reserve of free space, [`Failure::Busy`] when too many wait.
    pub fn room(&self, octets: u64) -> Result<(), Failure> {
        if self.0.waiting.load(Ordering::Relaxed) >= self.0.options.waiting_max {
            return Err(Failure::Busy);
        }
        let free = self.0.free_bytes.load(Ordering::Relaxed);
        if free < self.0.options.free_bytes_min.saturating_add(octets) {
            // Space may have come back while nothing was written.
            self.run(Box::new(Inner::look_at_space));
            return Err(Failure::Full(format!("only {free} octets are free")));
        }
        Ok(())
    }

    /// Begins a message that came at this Unix time, in seconds.
    #[must_use]
    pub fn begin(&self, envelope: Envelope, time: u64) -> Draft {
        Draft {
            envelope: Arc::new(envelope),
            time,
            begin: Vec::new(),
            memory: Vec::new(),
            memory_bytes_max: self.0.options.memory_bytes_max,
            spool: None,
            failure: None,
        }
    }

    /// Moves a draft's content from memory to disk. What fails is told by its commit.
    pub fn spill(&self, mut draft: Draft, done: impl FnOnce(Draft) + Send + 'static) {
        self.run(Box::new(move |store| {
            if let Err(fault) = store.spill(&mut draft) {
                draft.failure = Some(fault.into());
                draft.spool = None;
            }
            draft.memory = Vec::new();
            done(draft);
        }));
    }

    /// Makes a message safe for every recipient; `done` hears when it is, or that nothing of
    /// it is left. It is called exactly once, on another thread.
    pub fn commit(&self, draft: Draft, done: impl FnOnce(Result<(), Failure>) + Send + 'static) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        self.run(Box::new(move |store| {
            let result = catch_unwind(AssertUnwindSafe(|| match &draft.failure {
                Some(failure) => Err(failure.clone()),
                None => commit::commit(store, &draft).map_err(Failure::from),
            }));
            let result = result.unwrap_or_else(|_| Err(Failure::Broken("a commit panicked".to_owned())));
            store.waiting.fetch_sub(1, Ordering::Relaxed);
            done(result);
            store.look_at_space();
        }));
    }

    /// Finishes what waits and stops the threads, but waits no longer than this. Tells whether
    /// all was finished.
    #[must_use]
    pub fn close(&self, within: Duration) -> bool {
        let Ok(mut pool) = self.0.pool.lock() else {
            return false;
        };
        pool.closed = true;
        self.0.changed.notify_all();
        let working = |pool: &mut Pool| pool.threads > 0;
        let Ok((pool, waited)) = self.0.changed.wait_timeout_while(pool, within, working) else {
            return false;
        };
        drop(pool);
        if !waited.timed_out() {
            self.0.owner.leave(&self.0.root);
        }
        !waited.timed_out()
    }

    fn run(&self, job: Job) {
        let Ok(mut pool) = self.0.pool.lock() else {
            return;
        };
        pool.jobs.push_back(job);
        if pool.idle == 0 && pool.threads < self.0.options.threads_max.max(1) {
            let inner = Arc::clone(&self.0);
            let started =
                thread::Builder::new().name("store".to_owned()).stack_size(STACK_BYTES).spawn(move || inner.work());
            pool.threads += usize::from(started.is_ok());
        }
        self.0.changed.notify_one();
    }
}

impl Inner {
    /// A thread's life.
    fn work(&self) {
        let Ok(mut pool) = self.pool.lock() else {
            return;
        };
        loop {
            if let Some(job) = pool.jobs.pop_front() {
                drop(pool);
                // A job that panics breaks no one else's.
                let _ = catch_unwind(AssertUnwindSafe(|| job(self)));
                match self.pool.lock() {
                    Ok(again) => pool = again,
                    Err(_) => return,
                }
                continue;
            }
            if pool.closed {
                break;
            }
            pool.idle += 1;
            let waited = self.changed.wait_timeout(pool, IDLE);
            let Ok((again, waited)) = waited else { return };
            pool = again;
            pool.idle -= 1;
            if waited.timed_out() && pool.jobs.is_empty() {
                break;
            }
        }
        pool.threads -= 1;
        self.changed.notify_all();
    }

    fn look_at_space(&self) {
        if let Ok(found) = rustix::fs::fstatvfs(self.root.as_fd()) {
            self.free_bytes.store(found.f_bavail.saturating_mul(found.f_frsize), Ordering::Relaxed);
        }
    }

    /// A name in `tmp`: this server's, and unique in it.
    fn tmp_name(&self) -> String {
        format!("{}.{}", self.owner.id, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    fn spill(&self, draft: &mut Draft) -> Result<(), commit::Fault> {
        let fault = |what: &str| {
            let what = what.to_owned();
            move |error| commit::Fault { what, error }
        };
        if draft.spool.is_none() {
            // The file loses its name at once: however this server ends, nothing is left.
            let owners = self.disk.open_folder(self.root.as_fd(), OWNERS).map_err(fault("open the spool"))?;
            let name = format!("spool.{}", self.tmp_name());
            let file = self.disk.create(owners.as_fd(), &name).map_err(fault("create a spool"))?;
            self.disk.remove(owners.as_fd(), &name).map_err(fault("unlink a spool"))?;
            draft.spool = Some((file, 0));
        }
        if let Some((file, octets)) = &mut draft.spool {
            write_all(&*self.disk, file, &draft.memory).map_err(fault("write to the spool"))?;
            *octets += draft.memory.len() as u64;
        }
        Ok(())
    }
}

/// At least 64 random bits.
fn random() -> io::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(octets))
}
