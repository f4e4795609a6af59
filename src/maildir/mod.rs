//! The store: the only code that writes mail.
//!
//! A [`Draft`] collects a message; [`Store::commit`] makes it safe for every recipient, in
//! mailboxes (Maildir) and in the queue for other servers, and only then calls back with `Ok`.
//! File work runs on the store's own threads; no method waits for the disk but [`Store::open`]
//! and [`Store::close`]. It knows no socket and no executor.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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
mod syncfs;
#[cfg(test)]
mod tests;
mod unique;

use commit::Commit;
pub use disk::FreeSpace;
use disk::{Disk, Handle, RealDisk, RetryInterrupted};
pub use draft::{Draft, Fill};
use error::context;
pub use error::{Doing, Shortage, StoreError};
use file::{File, Message};
use folders::Folders;
use group_commit::{Counted, GroupCommit};
pub use name::takes_name;
use opening::Opening;
use pool::Pool;
use space::Space;
use syncfs::SyncFs;
use unique::Names;

/// The folder of the queue for other servers.
const QUEUE: &str = ".OTHER_SERVERS";
/// So many mailboxes are held open at most, and so many descriptors of a process a held one needs
/// to be worth its two.
const HELD_MAX: u64 = 128;
const DESCRIPTORS_PER_HELD: u64 = 16;

/// A panic elsewhere leaves these states whole: each is changed in one go.
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

/// A file in which a message is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its path below the mail folder.
    pub path: String,
    /// Its recipients, as positions in the envelope's list.
    pub recipients: Vec<usize>,
}

/// The folders that a start has made: the mail folder first, then those above it. Dropping this
/// removes those that are empty, unless they are kept.
#[derive(Debug)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// The folders, the innermost first.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.0
    }

    /// Leaves them in place.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for folder in &self.0 {
            // A folder with something in it is not removed, nor what is above it.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

struct Inner {
    options: Options,
    disk: RetryInterrupted<dyn Disk>,
    root: Handle,
    owner: owner::Owner,
    folders: Folders,
    pool: Arc<Pool>,
    group_commit: GroupCommit,
    syncfs: SyncFs,
    names: Names,
    tmp_names: AtomicU64,
    space: Space,
    waiting: AtomicUsize,
}

/// The mailboxes and the queue. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

fn open_root(root: &Path) -> Result<Handle, StoreError> {
    context(Doing::OpenMailFolder, &root.display().to_string(), owner::open_root(root))
}

impl Store {
    /// Makes the mail folder, and the folders above it, if they are not there.
    ///
    /// # Errors
    /// It cannot be made or opened. What was made of it is removed.
    pub fn make_folder(root: &Path) -> Result<Made, StoreError> {
        let missing = root
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = Made(missing.map(Path::to_owned).collect());
        open_root(root).map(|_| made)
    }

    /// Takes a lock in the mail folder as [`Store::open`] does, and gives it back.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn try_folder(root: &Path) -> Result<(), StoreError> {
        let folder = open_root(root)?;
        let owner = owner::Owner::take(&RealDisk, &folder);
        let owner = context(Doing::LockMailFolder, &root.display().to_string(), owner)?;
        owner.give_back(&RealDisk, &folder);
        Ok(())
    }

    /// Opens the store; the folder is made if it is not there. What dead servers have left in
    /// `tmp` folders is swept in the background.
    ///
    /// # Errors
    /// The folder cannot be made, opened or locked.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let root = open_root(&options.root)?;
        Self::with_disk(options, Box::new(RealDisk), root)
    }

    fn with_disk(options: Options, disk: Box<dyn Disk>, root: Handle) -> Result<Self, StoreError> {
        let shown = options.root.display().to_string();
        let disk = RetryInterrupted(disk);
        let owner = context(Doing::LockMailFolder, &shown, owner::Owner::take(&disk, &root))?;
        let left = context(Doing::AskFreeSpace, &shown, disk.left(&root))?;
        let names = context(Doing::DrawNames, &shown, Names::new())?;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let held_max = limit.map_or(HELD_MAX, |limit| (limit / DESCRIPTORS_PER_HELD).min(HELD_MAX));
        let has_reserve = options.free_bytes_min > 0;
        let shares = disk.sync_fs_is_reliable(&root);
        let folders = Folders::new(usize::try_from(held_max).unwrap_or_default(), shares);
        let group_commit = GroupCommit::new(shares, options.threads_max.max(1));
        let threads_max = options.threads_max + usize::from(group_commit.has_watchdog());
        let store = Self(Arc::new_cyclic(|weak: &Weak<Inner>| {
            let weak = Weak::clone(weak);
            Inner {
                pool: Pool::new(threads_max, move || {
                    if let Some(store) = weak.upgrade() {
                        store.on_idle();
                    }
                }),
                group_commit,
                syncfs: SyncFs::new(shares),
                options,
                disk,
                root,
                owner,
                folders,
                names,
                tmp_names: AtomicU64::new(0),
                space: Space::new(left, has_reserve),
                waiting: AtomicUsize::new(0),
            }
        }));
        store.run(|store| store.sweep());
        Ok(store)
    }

    /// Whether a message of so many octets may begin.
    ///
    /// # Errors
    /// [`StoreError::Full`] below the reserve of free space, [`StoreError::Busy`] when too many wait.
    pub fn room(&self, octets: u64) -> Result<(), StoreError> {
        if self.0.waiting.load(Ordering::Relaxed) >= self.0.options.waiting_max {
            return Err(StoreError::Busy);
        }
        match self.0.space.shortage(octets, self.0.options.free_bytes_min) {
            Some(shortage) => Err(StoreError::Full(shortage)),
            None => Ok(()),
        }
    }

    /// The same after a look at the disk, since space may have come back while nothing was written.
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

    /// Moves a draft's content from memory to disk. What fails is told by its commit.
    pub fn spill(&self, mut draft: Draft, done: impl FnOnce(Draft) + Send + 'static) {
        self.run(move |_| {
            draft.spill();
            done(draft);
        });
    }

    /// Makes a message safe for every recipient. When it is, `done` receives its files; else the
    /// error, and nothing of the message is left. It is called exactly once, on another thread.
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
