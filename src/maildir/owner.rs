//! Who owns what in `tmp`: locks that die with their servers, and the sweep by them.
//!
//! Each server holds a lock on a file of its own in `.owners` while it lives; its files in `tmp`
//! begin with that file's name. The kernel drops the lock however the server ends, in whatever
//! container it ran, so a lock that can be had tells a dead owner for sure.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fsync, openat, statat, unlinkat};
use rustix::io::Errno;

use super::{OWNERS, QUEUE};

/// Files of no known owner are other programs'; Maildir gives them 36 hours.
const STRANGERS_AGE: Duration = Duration::from_hours(36);

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// This server's lock.
pub(super) struct Owner {
    pub id: String,
    _lock: OwnedFd,
}

/// Makes and opens the mail folder. Its name in the folder above is on stable storage afterwards:
/// with the folder all mail would be gone.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    make_durable(path)?;
    Ok(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
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
    // Whoever made it may not have come so far as to sync it.
    match fs::File::open(above).and_then(|above| above.sync_all()) {
        Err(_) if !made => Ok(()),
        other => other,
    }
}

fn owners(root: &OwnedFd) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(root, OWNERS, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(openat(root, OWNERS, FOLDER, Mode::empty())?)
}

impl Owner {
    pub(super) fn take(root: &OwnedFd) -> io::Result<Self> {
        let folder = owners(root)?;
        let id = format!("{:016x}", super::random()?);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // Made under another name, so that no sweep meets it before it is locked.
        let before = format!("new.{id}");
        let lock = openat(&folder, before.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        rustix::fs::renameat(&folder, before.as_str(), &folder, id.as_str())?;
        // Known before any file of this owner can be: one in `tmp` that outlived a power loss
        // without it would be a stranger's.
        fsync(&folder)?;
        fsync(root)?;
        Ok(Self { id, _lock: lock })
    }

    /// An orderly end leaves nothing to sweep.
    pub(super) fn leave(&self, root: &OwnedFd) {
        if let Ok(folder) = owners(root) {
            let _ = unlinkat(&folder, self.id.as_str(), AtFlags::empty());
        }
    }
}

fn names(folder: BorrowedFd<'_>) -> Vec<String> {
    let Ok(entries) = Dir::read_from(folder) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "." && name != "..").collect()
}

/// Removes what dead servers left in `tmp` folders. A living one's files are never touched.
pub(super) fn sweep(root: &OwnedFd, own: &Owner) {
    let Ok(folder) = owners(root) else { return };
    let (mut dead, mut living) = (Vec::new(), vec![own.id.clone()]);
    let mut locks = Vec::new();
    for name in names(folder.as_fd()).into_iter().filter(|name| *name != own.id && !name.contains('.')) {
        let Ok(file) = openat(&folder, name.as_str(), OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            locks.push(file);
            dead.push(name);
        } else {
            living.push(name);
        }
    }
    let mut homes: Vec<OwnedFd> = Vec::new();
    for name in names(root.as_fd()).iter().filter(|name| !name.starts_with('.')) {
        homes.extend(openat(root, name.as_str(), FOLDER, Mode::empty()));
    }
    if let Ok(queue) = openat(root, QUEUE, FOLDER, Mode::empty()) {
        for name in names(queue.as_fd()) {
            homes.extend(openat(&queue, name.as_str(), FOLDER, Mode::empty()));
        }
    }
    for tmp in homes.iter().filter_map(|home| openat(home, "tmp", FOLDER, Mode::empty()).ok()) {
        for name in names(tmp.as_fd()) {
            let owner = name.split('.').next().unwrap_or_default();
            let is = |ids: &[String]| ids.iter().any(|id| id == owner);
            if is(&dead) || (!is(&living) && is_old(&tmp, &name)) {
                let _ = unlinkat(&tmp, name.as_str(), AtFlags::empty());
            }
        }
    }
    // A start or a spill that was cut short leaves an empty file here.
    for name in names(folder.as_fd()).iter().filter(|name| name.contains('.')) {
        let is_of_dead = name.split('.').nth(1).is_some_and(|owner| dead.iter().any(|id| id == owner));
        if is_of_dead || is_old(&folder, name) {
            let _ = unlinkat(&folder, name.as_str(), AtFlags::empty());
        }
    }
    for name in dead {
        let _ = unlinkat(&folder, name.as_str(), AtFlags::empty());
    }
}

fn is_old(folder: &OwnedFd, name: &str) -> bool {
    let Ok(found) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let seconds = u64::try_from(found.st_mtime).unwrap_or_default();
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    age.is_ok_and(|age| age > STRANGERS_AGE)
}
