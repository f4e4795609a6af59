//! The store: the only code that writes mail.
//!
//! A [`Draft`] collects a message; [`Store::commit`] makes it safe for every recipient, in
//! mailboxes (Maildir) and in the queue for other servers, and only then calls back with `Ok`.
//! File work runs on the store's own threads; only [`Store::open`] and [`Store::close`] wait for
//! the disk. It knows no socket and no executor.
//!
//! The files of this room, in the order of a message:
//!
//! | file | holds |
//! |---|---|
//! | `start.rs`, `owner.rs` | the mail folder, opened and locked; what dead servers left is swept |
//! | `draft.rs`, `opening.rs` | a message whose content is arriving; how its content begins |
//! | `form.rs`, `name.rs` | which files it becomes, their content, and their folders' names |
//! | `group_commit.rs`, `scheduler.rs` | messages wait, form batches, and share syncs |
//! | `commit.rs` | a batch: write, sync, rename, sync, look |
//! | `file.rs`, `unique.rs` | one file, in `tmp` and under its final name |
//! | `folders.rs` | the folders that files go to, held open for the next message |
//! | `syncfs.rs`, `shared_sync.rs`, `folder_sync.rs` | syncs that serve many |
//! | `pool.rs`, `space.rs` | the threads; the free space |
//! | `disk.rs` | the operations of the file system, each of which the tests let fail |
//! | `error.rs` | what was attempted, where, and why it failed |
//!
//! `docs/durability.md` has each step of a commit with what it protects from.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::smtp::envelope::Envelope;

mod commit;
mod disk;
mod draft;
mod error;
mod file;
mod folder_sync;
mod folders;
mod form;
#[cfg(test)]
pub(crate) mod gate;
mod group_commit;
mod name;
mod opening;
mod owner;
mod pool;
mod scheduler;
mod shared_sync;
mod space;
mod start;
mod syncfs;
#[cfg(test)]
mod tests;
mod unique;

use commit::Commit;
pub use disk::FreeSpace;
use disk::{Disk, Handle, RetryInterrupted};
pub use draft::{Draft, Fill};
use error::context;
pub use error::{Doing, Shortage, StoreError};
use file::{File, Message};
use folders::Folders;
use group_commit::{Counted, GroupCommit};
pub use name::{Naming, takes_name};
use opening::Opening;
use pool::Pool;
use space::Space;
pub use start::Made;
use syncfs::SyncFs;
use unique::Names;

/// The folder of the queue for other servers.
const QUEUE: &str = ".OTHER_SERVERS";

/// A panic elsewhere leaves these states complete: each is changed in one go.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    /// The content, octet by octet, and nothing of ours.
    ContentAlone,
}

/// How a store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the mailboxes.
    pub root: PathBuf,
    /// What files in mailboxes look like.
    pub format: Format,
    /// How mailboxes are named.
    pub naming: Naming,
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

/// A file in which a message is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its path below the mail folder.
    pub path: String,
    /// Its recipients, as positions in the envelope's list.
    pub recipients: Vec<usize>,
}

/// What the clones of a store share.
struct Inner {
    options: Options,
    disk: RetryInterrupted<dyn Disk>,
    /// The mail folder, held from the start to the end, wherever its name leads.
    root: Handle,
    /// This server's lock in it.
    owner: owner::Owner,
    folders: Folders,
    pool: Arc<Pool>,
    group_commit: GroupCommit,
    syncfs: SyncFs,
    /// Final names.
    names: Names,
    /// The number of the next file in `tmp`.
    tmp_names: AtomicU64,
    space: Space,
    /// The messages that wait for the disk, and those in batches.
    waiting: AtomicUsize,
}

/// The mailboxes and the queue. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Whether a message of this size, in octets, may begin.
    ///
    /// # Errors
    /// [`StoreError::Full`] below the reserve of free space, [`StoreError::Busy`] when too many
    /// wait.
    pub fn room(&self, octets: u64) -> Result<(), StoreError> {
        if self.0.waiting.load(Ordering::Relaxed) >= self.0.options.waiting_max {
            return Err(StoreError::Busy);
        }
        match self.0.space.shortage(octets, self.0.options.free_bytes_min) {
            Some(shortage) => Err(StoreError::Full(shortage)),
            None => Ok(()),
        }
    }

    /// The same after the disk was asked, since space may have come back while nothing was written.
    /// `done` is called exactly once, on another thread.
    pub fn look_for_room(
        &self,
        octets: u64,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let store = self.clone();
        self.run(move |inner| {
            inner.look_at_space();
            done(store.room(octets));
        });
    }

    /// Begins a message that came at this Unix time, in seconds.
    #[must_use]
    pub fn begin(&self, envelope: Envelope, time: u64) -> Draft {
        Draft {
            store: Arc::clone(&self.0),
            message: Message {
                envelope: Arc::new(envelope),
                time,
                opening: None,
                memory: Vec::new(),
                spool: None,
            },
            files: Vec::new(),
            octets: 0,
            error: None,
        }
    }

    /// Moves a draft's content from memory to disk. An error is reported by its commit.
    pub fn spill(&self, mut draft: Draft, done: impl FnOnce(Draft) + Send + 'static) {
        self.run(move |_| {
            draft.spill();
            done(draft);
        });
    }

    /// Makes a message safe for every recipient. When it is, `done` receives its files; else the
    /// error, and nothing of the message is left. It is called exactly once, on another thread. The
    /// message waits for its batch in `group_commit.rs`, and is made safe in `commit.rs`.
    pub fn commit(
        &self,
        draft: Draft,
        done: impl FnOnce(Result<Vec<Delivered>, StoreError>) + Send + 'static,
    ) {
        self.0.enqueue(draft, done);
    }

    /// Makes a message safe for each recipient on its own, as LMTP wants it (RFC 2033 4.2): `done`
    /// hears a result for each, in the envelope's order. Those in one file share theirs. It is
    /// called exactly once, on another thread.
    pub fn commit_each(
        &self,
        draft: Draft,
        done: impl FnOnce(Vec<Result<(), StoreError>>) + Send + 'static,
    ) {
        let counted = Counted::new(&self.0);
        self.run(move |store| {
            let mut results =
                vec![Err(StoreError::panicked()); draft.message.envelope.recipients.len()];
            match catch_unwind(AssertUnwindSafe(|| store.commit_each(draft))) {
                Ok(Ok(commits)) => {
                    for Commit { files, kept, .. } in commits {
                        let kept = kept.map_err(|error| store.with_free_space(error));
                        for number in files.iter().flat_map(|file| &file.target.numbers) {
                            if let Some(place) = results.get_mut(*number) {
                                place.clone_from(&kept);
                            }
                        }
                    }
                }
                Ok(Err(error)) => results.fill(Err(error)),
                Err(_) => {}
            }
            drop(counted);
            done(results);
        });
    }

    /// How often something was synced so far: a file, a folder, or the file system.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.disk.syncs()
    }

    /// Finishes what waits and stops the threads, but waits no longer than this. Tells whether
    /// all was finished.
    #[must_use]
    pub fn close(&self, within: Duration) -> bool {
        let finished = self.0.pool.close(within);
        if finished {
            self.0.owner.leave(&self.0.disk, &self.0.root);
        }
        finished
    }

    fn run(&self, job: impl FnOnce(&Arc<Inner>) + Send + 'static) {
        let store = Arc::clone(&self.0);
        self.0.pool.run(move || job(&store));
    }
}

impl Inner {
    /// Splits a draft into what its files have in common and the files.
    fn files(&self, mut draft: Draft) -> Result<(Arc<Message>, Vec<File>), StoreError> {
        if let Some(error) = draft.error.take() {
            return Err(error);
        }
        draft.files()?;
        let files = std::mem::take(&mut draft.files);
        let message = Message {
            envelope: Arc::clone(&draft.message.envelope),
            time: draft.message.time,
            opening: draft
                .message
                .opening
                .take()
                .or_else(|| Opening::read(&draft.message.memory, true)),
            memory: std::mem::take(&mut draft.message.memory),
            spool: files.first().and_then(File::spooled),
        };
        if self.space.spend(draft.octets.saturating_mul(files.len() as u64)) {
            self.look_at_space();
        }
        Ok((Arc::new(message), files))
    }

    /// Each file is a commit of its own.
    fn commit_each(self: &Arc<Self>, draft: Draft) -> Result<Vec<Commit>, StoreError> {
        let (message, files) = self.files(draft)?;
        let alone = |file| Commit::new(Arc::clone(&message), vec![file]);
        let mut commits: Vec<Commit> = files.into_iter().map(alone).collect();
        while !commits.iter().all(Commit::is_over) {
            commit::commit(self, &mut commits);
        }
        for commit in &commits {
            commit.take_back(self);
        }
        Ok(commits)
    }

    /// An error as it is reported. A full disk may lack octets or files, and an operator looks for
    /// the first: what is left of both is added. A quota is not the disk's.
    fn with_free_space(&self, mut error: StoreError) -> StoreError {
        if let StoreError::Io { source, free, .. } = &mut error
            && source.kind() == io::ErrorKind::StorageFull
        {
            self.look_at_space();
            *free = Some(self.space.left());
        }
        error
    }

    fn after_an_error(&self, error: &StoreError) {
        if error.is_out_of_descriptors() {
            self.folders.close(true);
        }
    }

    fn sweep(&self) {
        owner::sweep(&self.disk, &self.root, &self.owner);
    }

    /// For a thread that has found nothing to do for a while.
    fn on_idle(&self) {
        self.folders.close(false);
        // Such a server may have started and ended at any time since ours started.
        if owner::old_locks_can_go(&self.disk, &self.root, &self.owner) {
            self.sweep();
        }
    }

    fn look_at_space(&self) {
        if let Ok(left) = self.disk.left(&self.root) {
            self.space.update(left);
        }
    }

    /// A name in `tmp`: this server's, and unique in it.
    fn tmp_name(&self) -> String {
        format!("{}.{}", self.owner.id, self.tmp_names.fetch_add(1, Ordering::Relaxed))
    }
}
