//! The folders' cache: the folders that files go to, opened, made where they are missing, and held
//! for the next message.
//!
//! **Goal.** A message to a mailbox that was used a moment ago opens, makes and syncs no folder.
//!
//! **The difficulty.** A handle follows its folder wherever that goes. A mailbox that was renamed,
//! replaced or removed goes on under the handle, and a message that is written there is not where
//! its recipient looks. And a folder's name is a change of the folder above it: until that is
//! synced, a power loss takes the mailbox away with all that was safe in it.
//!
//! **Plan.** The folders of one mailbox, or of one domain's queue, are a [`Home`]. It is held for
//! [`HELD_FOR`] after it was opened, and used only if its folders are still where their names say:
//! two `stat`s. That a name could lead elsewhere right after this is why each commit asks again
//! after its last sync (`commit.rs`, step 6). What is opened here was never looked up by a path of
//! more than one name, and no symbolic link is followed.
//!
//! The first time that this process meets a folder, its name is synced in the folder above, also if
//! the folder was there: an earlier process may have made it and ended before the sync. Then the
//! folder is known to be durable, by its path and its identity, which holds the time when it was
//! made. A folder that was removed and made again is another one. All folders of a home are made
//! first, and then the folders above them are synced at the same time, so that a new mailbox waits
//! for one sync, however long that takes. The syncs of one folder overlap, and share what is known
//! of their errors ([`FolderSync`]); if one fails, the folders that were made are removed again.
//!
//! **Invariants.**
//! - No message is written to a folder whose name is not on stable storage.
//! - A held home costs two descriptors and no lock while it is used. At most `held_max` are held;
//!   the oldest one makes room. All are closed when descriptors run out, and each after an error.
//! - What is remembered is bounded ([`KNOWN_MAX`]). To forget it costs a sync, never a message.
//! - A folder that is removed while it is opened is opened again, [`OPENINGS_MAX`] times in all.
//!   Only the mail folder itself is never made again: what a user put in its place is not ours.
//!
//! **Measured** by strace, in system calls before a message's file is created: 2 for a mailbox that
//! is held, 14 for one that is known and not held, 26 for one that is made, of which 4 are syncs.
//!
//! **Tested** by operations that fail, and by folders that are renamed or removed before each
//! operation (`tests/failing.rs`, `tests/failing/meddled.rs`), by a power loss after each operation
//! (`tests/crash.rs`), with links, renamed and removed folders on the real disk (`tests.rs`), and
//! by `tests/syscall-order`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::smtp::envelope::Place;

use super::disk::{Disk, Handle, Identity, Number};
use super::folder_sync::{FolderSync, Ticket};
use super::{Doing, Inner, QUEUE, StoreError, context, locked};

/// How long a home is held open for the next message.
const HELD_FOR: Duration = Duration::from_secs(1);
/// How often a folder is opened that is removed while it is opened.
const OPENINGS_MAX: usize = 3;
/// The most folders that are remembered, of each kind; then all of them are forgotten.
const KNOWN_MAX: usize = 65_536;

/// Where the files of one mailbox, or of one domain's queue, are written.
pub(super) struct Home {
    /// Where its files are written.
    pub tmp: Handle,
    /// Where they are moved to: `new`, or the domain's own folder.
    pub dest: Handle,
    /// The syncs of `dest`.
    pub dest_sync: FolderSync,
    /// The folders from the mail folder down to `dest`: their paths, and which they are.
    path: Vec<(String, Number)>,
    /// Whether it is on the same file system as the mail folder.
    pub on_root_fs: bool,
    /// When it was opened: it is held for a while from then on.
    opened: Instant,
}

impl Home {
    /// Whether its folders are where their names say. One that was renamed, replaced or removed
    /// goes on under its handle, and what is written there is not where its recipient looks.
    pub(super) fn is_in_place(&self, disk: &dyn Disk, root: &Handle) -> io::Result<bool> {
        for (path, expected) in &self.path {
            match disk.number(root, path) {
                Ok(found) if found == *expected => {}
                Ok(_) => return Ok(false),
                Err(error) if is_missing(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// A folder, and whether it was made here. [`io::ErrorKind::NotFound`] means that the folder above
/// was removed.
fn open_or_make(disk: &dyn Disk, at: &Handle, name: &str) -> io::Result<(Handle, bool)> {
    let mut made = false;
    for _ in 0..OPENINGS_MAX {
        match disk.open_folder(at, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map(|folder| (folder, made)),
        }
        made = match disk.make_folder(at, name) {
            Ok(()) => true,
            // Another thread was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
    }
    Err(io::Error::other("it is removed each time that it is made"))
}

/// Whether a folder is on the file system of the mail folder.
fn is_on_root_fs(store: &Inner, folder: &Handle) -> bool {
    let device = |folder| store.disk.identity(folder).map(|(device, ..)| device);
    device(folder).is_some_and(|found| device(&store.root) == Some(found))
}

/// Whether an error says that a folder is not there, or that something else is.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The folders in use.
pub(super) struct Folders {
    /// The homes that are held open, by the recipient's place and the folder's name.
    held: Mutex<HashMap<(Place, String), Arc<Home>>>,
    /// The most that are held open.
    held_max: usize,
    /// Whether the mail folder's file system reports the error of a sync to each handle.
    reports_to_each: bool,
    /// The folders whose names in their parents are known to be on stable storage, by path. A
    /// folder that was removed and made again has another identity, and is not known.
    durable: Mutex<HashMap<String, Identity>>,
    /// Those that were met on another file system than the mail folder's.
    other_file_systems: Mutex<HashSet<(Place, String)>>,
    /// The syncs of folders in which folders are made, by path.
    making: Mutex<HashMap<String, Weak<FolderSync>>>,
}

/// A folder with names that are not known to be on stable storage.
struct Parent {
    /// Its path below the mail folder; "" is the mail folder.
    path: String,
    /// The folder itself.
    handle: Handle,
    /// Its syncs, shared with all that make folders in it.
    sync: Arc<FolderSync>,
    /// What the sync has to know, from before the first of the names.
    ticket: Ticket,
    /// The names.
    names: Vec<NewName>,
    /// How the sync ended.
    synced: io::Result<()>,
}

/// The name of a folder, to be synced in its parent.
struct NewName {
    /// The path of the folder below the mail folder.
    path: String,
    /// The last part of the path.
    name: String,
    /// Whether the folder was made here.
    made: bool,
    /// Which folder it is.
    identity: Option<Identity>,
}

impl Folders {
    pub(super) fn new(held_max: usize, reports_to_each: bool) -> Self {
        Self {
            held: Mutex::default(),
            held_max: held_max.max(1),
            reports_to_each,
            durable: Mutex::default(),
            other_file_systems: Mutex::default(),
            making: Mutex::default(),
        }
    }

    /// The home of a mailbox or a domain. It is made if it is missing.
    pub(super) fn home(
        &self,
        store: &Arc<Inner>,
        place: Place,
        folder: &str,
    ) -> Result<Arc<Home>, StoreError> {
        let key = (place, folder.to_owned());
        let held = locked(&self.held)
            .get(&key)
            .filter(|home| home.opened.elapsed() < HELD_FOR)
            .map(Arc::clone);
        if let Some(home) = held {
            let is_in_place = home.is_in_place(&store.disk, &store.root);
            if context(Doing::CheckFolder, folder, is_in_place)? {
                return Ok(home);
            }
        }
        let mut opened = self.open(store, place, folder);
        for _ in 1..OPENINGS_MAX {
            if !matches!(&opened, Err(error) if error.is_missing_folder()) {
                break;
            }
            // A folder that was opened above was removed before the one below it was made.
            opened = self.open(store, place, folder);
        }
        let home = Arc::new(opened?);
        let mut held = locked(&self.held);
        if held.len() >= self.held_max && !held.contains_key(&key) {
            let oldest =
                held.iter().min_by_key(|(_, home)| home.opened).map(|(key, _)| key.clone());
            oldest.map(|key| held.remove(&key));
        }
        held.insert(key, Arc::clone(&home));
        Ok(home)
    }

    /// Whether the names of its folders are known to be on stable storage, so that to open it takes
    /// no sync.
    pub(super) fn is_known(&self, place: Place, folder: &str) -> bool {
        let last = match place {
            Place::Local => format!("{folder}/new"),
            Place::Remote => format!("{QUEUE}/{folder}/tmp"),
        };
        locked(&self.durable).contains_key(&last)
    }

    /// Makes all folders first, and then syncs their parents at the same time: that takes as long
    /// as one sync.
    fn open(&self, store: &Arc<Inner>, place: Place, folder: &str) -> Result<Home, StoreError> {
        let mut parents = Vec::new();
        let mut home = self.open_folders(store, place, folder, &mut parents)?;
        context(Doing::SyncFolder, folder, self.sync_parents(store, parents))?;
        home.opened = Instant::now();
        Ok(home)
    }

    fn open_folders(
        &self,
        store: &Inner,
        place: Place,
        folder: &str,
        parents: &mut Vec<Parent>,
    ) -> Result<Home, StoreError> {
        let (disk, root): (&dyn Disk, _) = (&store.disk, &store.root);
        let mut open = |at: &Handle, path: &str| self.folder(store, at, path, parents);
        let root_lacks = |name: &str, opened: io::Result<Handle>| match opened {
            // What cannot be made for want of its parent has none: the mail folder itself was
            // removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::mail_folder_is_gone())
            }
            other => context(Doing::OpenFolder, name, other),
        };
        let number =
            |handle: &Handle| context(Doing::CheckFolder, folder, disk.number(handle, "."));
        let (home, path, above) = match place {
            Place::Local => {
                let home = root_lacks(folder, open(root, folder))?;
                let above = (folder.to_owned(), number(&home)?);
                (home, folder.to_owned(), above)
            }
            Place::Remote => {
                let queue = root_lacks(QUEUE, open(root, QUEUE))?;
                let path = format!("{QUEUE}/{folder}");
                let home = context(Doing::OpenFolder, folder, open(&queue, &path))?;
                (home, path, (QUEUE.to_owned(), number(&queue)?))
            }
        };
        let on_root_fs = is_on_root_fs(store, &home);
        if !on_root_fs {
            let mut others = locked(&self.other_file_systems);
            if others.len() >= KNOWN_MAX {
                others.clear();
            }
            others.insert((place, folder.to_owned()));
        }
        let tmp = context(Doing::OpenTmp, folder, open(&home, &format!("{path}/tmp")))?;
        let (dest, path) = match place {
            Place::Remote => (home, path),
            Place::Local => {
                context(Doing::OpenCur, folder, open(&home, &format!("{path}/cur")))?;
                let path = format!("{path}/new");
                (context(Doing::OpenNew, folder, open(&home, &path))?, path)
            }
        };
        let path = vec![above, (path, number(&dest)?)];
        let dest_sync = FolderSync::new(on_root_fs && self.reports_to_each);
        Ok(Home { on_root_fs, tmp, dest, dest_sync, path, opened: Instant::now() })
    }

    /// Opens a folder, and makes it if it is missing. The first time that this process meets it,
    /// its name in the parent is to be synced: an earlier process may have made it and ended before
    /// the sync.
    fn folder(
        &self,
        store: &Inner,
        at: &Handle,
        path: &str,
        parents: &mut Vec<Parent>,
    ) -> io::Result<Handle> {
        let disk = &store.disk;
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        match disk.open_folder(at, name) {
            Ok(folder) if self.is_durable(path, disk.identity(&folder)) => return Ok(folder),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let known = parents.iter().position(|parent| parent.path == above);
        let parent = if let Some(known) = known {
            parents.get_mut(known)
        } else {
            let sync = self.making(above, is_on_root_fs(store, at));
            let ticket = sync.ticket(disk, at)?;
            parents.push(Parent {
                path: above.to_owned(),
                handle: at.clone(),
                sync,
                ticket,
                names: Vec::new(),
                synced: Err(io::Error::other("it was not synced")),
            });
            parents.last_mut()
        };
        // Only now: the ticket is from before the name.
        let (folder, made) = open_or_make(disk, at, name)?;
        let identity = disk.identity(&folder);
        if let Some(parent) = parent {
            let (path, name) = (path.to_owned(), name.to_owned());
            parent.names.push(NewName { path, name, made, identity });
        }
        Ok(folder)
    }

    fn is_durable(&self, path: &str, identity: Option<Identity>) -> bool {
        identity.is_some() && identity == locked(&self.durable).get(path).copied()
    }

    /// Syncs the parents side by side. If one fails, none of the names is there afterwards.
    fn sync_parents(&self, store: &Arc<Inner>, parents: Vec<Parent>) -> io::Result<()> {
        let syncing = Arc::clone(store);
        let mut parents = store.pool.for_each_parallel(parents, move |parent| {
            parent.synced = parent.sync.sync(&syncing.disk, &parent.ticket);
        });
        let failed = parents.iter_mut().position(|parent| parent.synced.is_err());
        if let Some(failed) = failed {
            // The next sync would lie about these names. Folders that were made here are removed,
            // the lowest first, to be made again.
            for Parent { handle, names, .. } in parents.iter().rev() {
                for NewName { name, .. } in names.iter().filter(|name| name.made) {
                    let _ = store.disk.remove_folder(handle, name);
                }
            }
            return parents.swap_remove(failed).synced;
        }
        for NewName { path, identity, .. } in parents.into_iter().flat_map(|parent| parent.names) {
            let Some(identity) = identity else { continue };
            let mut durable = locked(&self.durable);
            if durable.len() >= KNOWN_MAX {
                durable.clear();
            }
            durable.insert(path, identity);
        }
        Ok(())
    }

    /// The syncs of a folder in which folders are made. All that make some at the same time share
    /// what is known of their errors.
    fn making(&self, path: &str, on_root_fs: bool) -> Arc<FolderSync> {
        let mut making = locked(&self.making);
        if let Some(sync) = making.get(path).and_then(Weak::upgrade) {
            return sync;
        }
        making.retain(|_, sync| sync.strong_count() > 0);
        let sync = Arc::new(FolderSync::new(on_root_fs && self.reports_to_each));
        making.insert(path.to_owned(), Arc::downgrade(&sync));
        sync
    }

    /// Whether it is known to be on another file system, which can hang while this one does not.
    pub(super) fn is_on_other_fs(&self, place: Place, folder: &str) -> bool {
        locked(&self.other_file_systems).contains(&(place, folder.to_owned()))
    }

    /// An operation failed there: the next message opens it again.
    pub(super) fn forget(&self, place: Place, folder: &str) {
        locked(&self.held).remove(&(place, folder.to_owned()));
    }

    /// Closes the homes that have been held for long enough; or all, since descriptors have run
    /// out.
    pub(super) fn close(&self, all: bool) {
        locked(&self.held).retain(|_, home| !all && home.opened.elapsed() < HELD_FOR);
    }
}
