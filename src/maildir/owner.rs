//! Which server owns what in `tmp`: locks that end with their servers, and the sweep by them.
//!
//! Each server holds a lock on a file of its own, `.owner.ID` in the mail folder, while it lives;
//! its files in `tmp` begin with that ID. The kernel drops the lock however the server ends, in
//! whatever container it ran, so a lock that can be had tells a dead owner for sure. The locks are
//! files and not a folder, since programs list the mail folder's folders to find the users.
//!
//! Older servers held their locks in a folder, `.owners`. While one of them lives, its lock there
//! counts like any other, and the folder stays; afterwards the folder is removed. Such a server
//! does not know our lock: our files in `tmp` are a stranger's to it, which it removes after 36
//! hours. No message of ours takes that long, and a message whose file in `tmp` is removed is
//! written again.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::disk::{Disk, Handle};
use super::{QUEUE, unique};

/// A lock's name in the mail folder: this, and the owner's ID.
const LOCK: &str = ".owner.";
/// The end of a lock's name until it is locked, so that no sweep takes it for a dead server's.
const STARTING: &str = ".new";
/// The folder of older servers' locks. There a lock that was not locked yet was `new.ID`.
const OLD_LOCKS: &str = ".owners";
/// Files of no known owner are other programs'; Maildir gives them 36 hours.
const STRANGERS_AGE: Duration = Duration::from_hours(36);
/// A server that has not locked its file after this time has ended while it started.
const STARTING_AGE: Duration = Duration::from_mins(1);

/// This server's lock.
pub(super) struct Owner {
    /// 16 hexadecimal digits, which begin the names of its files in `tmp`.
    pub id: String,
    /// The file that is locked while this is held.
    _lock: Handle,
}

/// Makes and opens the mail folder. Its name in the folder above is on stable storage afterwards:
/// with the folder all mail would be gone.
pub(super) fn open_root(path: &Path) -> io::Result<Handle> {
    make_durable(path)?;
    Ok(Handle::real(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
}

fn make_durable(path: &Path) -> io::Result<()> {
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    let made = match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_durable(above)?;
            fs::DirBuilder::new().mode(0o700).create(path).map(|()| true)
        }
        other => other.map(|()| true),
    };
    let made = match made {
        Err(_) if path.is_dir() => false,
        other => other?,
    };
    // An earlier process may have made it and ended before the sync.
    match fs::File::open(above).and_then(|above| above.sync_all()) {
        Err(_) if !made => Ok(()),
        other => other,
    }
}

impl Owner {
    pub(super) fn take(disk: &dyn Disk, root: &Handle) -> io::Result<Self> {
        let id = format!("{:016x}", unique::random()?);
        let name = lock_name(&id);
        let starting = format!("{name}{STARTING}");
        let lock = disk.create(root, &starting)?;
        if !disk.lock(&lock)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.rename(root, &starting, root, &name)?;
        // Known before any file of this owner can be: one in `tmp` that outlived a power loss
        // without it would be a stranger's.
        disk.sync_folder(root)?;
        Ok(Self { id, _lock: lock })
    }

    /// Removes the lock of a server that wrote nothing.
    pub(super) fn give_back(&self, disk: &dyn Disk, root: &Handle) {
        let _ = disk.remove(root, &lock_name(&self.id));
    }

    /// An orderly end leaves nothing to sweep.
    pub(super) fn leave(&self, disk: &dyn Disk, root: &Handle) {
        self.give_back(disk, root);
        // Older servers may have left it empty.
        let _ = disk.remove_folder(root, OLD_LOCKS);
    }
}

fn lock_name(id: &str) -> String {
    format!("{LOCK}{id}")
}

/// Whether a text is an owner's ID. Only such a text may mark files in `tmp` as a dead server's.
fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

/// A file that is an owner's lock, or that is left from one.
struct Lock<'a> {
    /// The folder that it is in.
    folder: &'a Handle,
    /// Its name there.
    name: String,
    /// What it says of its owner.
    kind: Kind,
}

enum Kind {
    /// Locked while the owner of this ID lives.
    Held(String),
    /// A server's that starts, or ended while it started.
    Starting,
    /// What a server of this ID has written beside its lock.
    Beside(String),
}

/// All locks: those in the mail folder, and those of older servers.
fn all_locks<'a>(disk: &dyn Disk, root: &'a Handle, old: Option<&'a Handle>) -> Vec<Lock<'a>> {
    let mut locks = Vec::new();
    for name in disk.names(root).unwrap_or_default() {
        let kind = match name.strip_prefix(LOCK) {
            Some(id) if is_id(id) => Kind::Held(id.to_owned()),
            Some(rest) if rest.strip_suffix(STARTING).is_some_and(is_id) => Kind::Starting,
            _ => continue,
        };
        locks.push(Lock { folder: root, name, kind });
    }
    if let Some(folder) = old {
        locks.extend(old_locks(folder, disk.names(folder).unwrap_or_default()));
    }
    locks
}

/// The locks of older servers among these names in their folder.
fn old_locks(folder: &Handle, names: Vec<String>) -> Vec<Lock<'_>> {
    let lock = |name: String| {
        let kind = match name.split_once('.') {
            None if is_id(&name) => Kind::Held(name.clone()),
            Some(("new", id)) if is_id(id) => Kind::Starting,
            Some((_, rest)) => Kind::Beside(rest.split('.').next().unwrap_or_default().to_owned()),
            None => return None,
        };
        Some(Lock { folder, name, kind })
    };
    names.into_iter().filter_map(lock).collect()
}

/// The owners that are known: each dead one with its lock, held from here on, so that no other
/// server sweeps beside this one.
struct Known {
    /// IDs with their locks.
    dead: Vec<(String, Handle)>,
    /// IDs.
    living: Vec<String>,
}

impl Known {
    fn new(disk: &dyn Disk, locks: &[Lock], own: &Owner) -> Self {
        let mut known = Self { dead: Vec::new(), living: vec![own.id.clone()] };
        for Lock { folder, name, kind } in locks {
            let Kind::Held(id) = kind else { continue };
            if *id == own.id {
                continue;
            }
            let Ok(file) = disk.open_file(folder, name) else { continue };
            if matches!(disk.lock(&file), Ok(true)) {
                known.dead.push((id.clone(), file));
            } else {
                known.living.push(id.clone());
            }
        }
        known
    }

    fn is_dead(&self, id: &str) -> bool {
        self.dead.iter().any(|(dead, _)| dead == id)
    }

    fn is_living(&self, id: &str) -> bool {
        self.living.iter().any(|living| living == id)
    }
}

fn is_older(disk: &dyn Disk, folder: &Handle, name: &str, than: Duration) -> bool {
    matches!(disk.age(folder, name), Ok(Some(age)) if age > than)
}

/// Removes what dead servers left in `tmp` folders, and then their locks. A living one's files are
/// never touched.
pub(super) fn sweep(disk: &dyn Disk, root: &Handle, own: &Owner) {
    let old = disk.open_folder(root, OLD_LOCKS).ok();
    let locks = all_locks(disk, root, old.as_ref());
    let known = Known::new(disk, &locks, own);
    let all_gone = sweep_tmp(disk, root, &known);
    for lock in locks.iter().filter(|lock| is_over(disk, lock, &known, all_gone)) {
        let _ = disk.remove(lock.folder, &lock.name);
    }
    // It stays while a lock is in it.
    let _ = disk.remove_folder(root, OLD_LOCKS);
}

/// Whether the server of a lock is gone, and, with `all_gone`, what the dead left in `tmp` too.
fn is_over(disk: &dyn Disk, lock: &Lock, known: &Known, all_gone: bool) -> bool {
    let Lock { folder, name, kind } = lock;
    match kind {
        // Else a file could come back after a power loss, and its owner would not be known.
        Kind::Held(id) => all_gone && known.is_dead(id),
        // A living server is locked out before its file is removed.
        Kind::Starting => {
            is_older(disk, folder, name, STARTING_AGE)
                && disk
                    .open_file(folder, name)
                    .is_ok_and(|file| matches!(disk.lock(&file), Ok(true)))
        }
        Kind::Beside(id) => known.is_dead(id) || is_older(disk, folder, name, STRANGERS_AGE),
    }
}

/// Whether the folder of older servers' locks is there, and a sweep would remove it: no such server
/// lives, and nothing else is in it.
pub(super) fn old_locks_can_go(disk: &dyn Disk, root: &Handle, own: &Owner) -> bool {
    let Ok(folder) = disk.open_folder(root, OLD_LOCKS) else { return false };
    let Ok(names) = disk.names(&folder) else { return false };
    let count = names.len();
    let locks = old_locks(&folder, names);
    let known = Known::new(disk, &locks, own);
    locks.len() == count && locks.iter().all(|lock| is_over(disk, lock, &known, true))
}

/// Returns whether all that was to be removed is gone, also after a power loss.
fn sweep_tmp(disk: &dyn Disk, root: &Handle, known: &Known) -> bool {
    let mut all_gone = true;
    // One folder at a time is open: there may be more of them than descriptors.
    let mut sweep_below = |above: &Handle| {
        for name in
            disk.names(above).unwrap_or_default().iter().filter(|name| !name.starts_with('.'))
        {
            all_gone &=
                match disk.open_folder(above, name).and_then(|home| disk.open_folder(&home, "tmp"))
                {
                    Ok(tmp) => sweep_folder(disk, &tmp, known),
                    // Where this server may not look it has not written either.
                    Err(error) => matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::PermissionDenied
                    ),
                };
        }
    };
    sweep_below(root);
    if let Ok(queue) = disk.open_folder(root, QUEUE) {
        sweep_below(&queue);
    }
    all_gone
}

fn sweep_folder(disk: &dyn Disk, tmp: &Handle, known: &Known) -> bool {
    let Ok(names) = disk.names(tmp) else { return false };
    let (mut all_gone, mut swept) = (true, false);
    for name in names {
        let owner = name.split('.').next().unwrap_or_default();
        let is_strange = !known.is_dead(owner) && !known.is_living(owner);
        if known.is_dead(owner) || (is_strange && is_older(disk, tmp, &name, STRANGERS_AGE)) {
            all_gone &= disk.remove(tmp, &name).is_ok();
            swept = true;
        }
    }
    all_gone && (!swept || disk.sync_folder(tmp).is_ok())
}
