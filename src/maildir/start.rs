//! The start of a store: its folder, its lock, and what a start that goes no further takes back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Weak};

use super::disk::{Disk, Handle, RealDisk, RetryInterrupted};
use super::error::{Doing, StoreError, context};
use super::folders::Folders;
use super::group_commit::GroupCommit;
use super::pool::Pool;
use super::space::Space;
use super::syncfs::SyncFs;
use super::unique::Names;
use super::{Inner, Options, Store, owner};

/// The most mailboxes that are held open.
const HELD_MAX: u64 = 128;
/// The descriptors that a process may have for each mailbox that it holds open. One costs two.
const DESCRIPTORS_PER_HELD: u64 = 16;

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

    /// A store on this disk, in the mail folder that is open at `root`.
    pub(super) fn with_disk(
        options: Options,
        disk: Box<dyn Disk>,
        root: Handle,
    ) -> Result<Self, StoreError> {
        let shown = options.root.display().to_string();
        let disk = RetryInterrupted::new(disk);
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
}
