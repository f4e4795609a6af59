//! Who owns what in `tmp`: locks that die with their servers, and the sweep by them.
//!
//! Each server holds a lock on a file of its own in `.owners` while it lives; its files in `tmp`
//! begin with that file's name. The kernel drops the lock however the server ends, in whatever
//! container it ran, so a lock that can be had tells a dead owner for sure.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::disk::{Disk, Handle};
use super::{OWNERS, QUEUE, unique};

/// Files of no known owner are other programs'; Maildir gives them 36 hours.
const STRANGERS_AGE: Duration = Duration::from_hours(36);

/// This server's lock.
pub(super) struct Owner {
    pub id: String,
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
    // Whoever made it may not have come so far as to sync it.
    match fs::File::open(above).and_then(|above| above.sync_all()) {
        Err(_) if !made => Ok(()),
        other => other,
    }
}

fn owners(disk: &dyn Disk, root: &Handle) -> io::Result<Handle> {
    match disk.make_folder(root, OWNERS) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => disk.open_folder(root, OWNERS),
    }
}

impl Owner {
    pub(super) fn take(disk: &dyn Disk, root: &Handle) -> io::Result<Self> {
        let folder = owners(disk, root)?;
        let id = format!("{:016x}", unique::random()?);
        // Made under another name, so that no sweep meets it before it is locked.
        let before = format!("new.{id}");
        let lock = disk.create(&folder, &before)?;
        if !disk.lock(&lock)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.rename(&folder, &before, &folder, &id)?;
        // Known before any file of this owner can be: one in `tmp` that outlived a power loss
        // without it would be a stranger's.
        disk.sync_folder(&folder)?;
        disk.sync_folder(root)?;
        Ok(Self { id, _lock: lock })
    }

    /// An orderly end leaves nothing to sweep.
    pub(super) fn leave(&self, disk: &dyn Disk, root: &Handle) {
        if let Ok(folder) = owners(disk, root) {
            let _ = disk.remove(&folder, &self.id);
        }
    }
}

/// Removes what dead servers left in `tmp` folders. A living one's files are never touched.
pub(super) fn sweep(disk: &dyn Disk, root: &Handle, own: &Owner) {
    let Ok(folder) = owners(disk, root) else { return };
    let names = |folder: &Handle| disk.names(folder).unwrap_or_default();
    let (mut dead, mut living) = (Vec::new(), vec![own.id.clone()]);
    let mut locks = Vec::new();
    for name in names(&folder).into_iter().filter(|name| *name != own.id && !name.contains('.')) {
        let Ok(file) = disk.open_file(&folder, &name) else { continue };
        if matches!(disk.lock(&file), Ok(true)) {
            locks.push(file);
            dead.push(name);
        } else {
            living.push(name);
        }
    }
    let mut homes: Vec<Handle> = Vec::new();
    for name in names(root).iter().filter(|name| !name.starts_with('.')) {
        homes.extend(disk.open_folder(root, name));
    }
    if let Ok(queue) = disk.open_folder(root, QUEUE) {
        homes.extend(names(&queue).iter().flat_map(|name| disk.open_folder(&queue, name)));
    }
    let is_old = |folder: &Handle, name: &str| matches!(disk.age(folder, name), Ok(Some(age)) if age > STRANGERS_AGE);
    let mut all_gone = true;
    for tmp in homes.iter().flat_map(|home| disk.open_folder(home, "tmp")) {
        let mut swept = false;
        for name in names(&tmp) {
            let owner = name.split('.').next().unwrap_or_default();
            let is = |ids: &[String]| ids.iter().any(|id| id == owner);
            if is(&dead) || (!is(&living) && is_old(&tmp, &name)) {
                all_gone &= disk.remove(&tmp, &name).is_ok();
                swept = true;
            }
        }
        // Else a file could come back and find its owner forgotten.
        if swept {
            all_gone &= disk.sync_folder(&tmp).is_ok();
        }
    }
    // A start that was cut short leaves an empty file here.
    for name in names(&folder).iter().filter(|name| name.contains('.')) {
        let is_of_dead = name.split('.').nth(1).is_some_and(|owner| dead.iter().any(|id| id == owner));
        if is_of_dead || is_old(&folder, name) {
            let _ = disk.remove(&folder, name);
        }
    }
    if all_gone {
        for name in dead {
            let _ = disk.remove(&folder, &name);
        }
    }
}
