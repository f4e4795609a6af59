//! The file operations that the store needs, and nothing else writes by.
//!
//! Folders are opened relative to held handles and never through a symbolic link. Tests put a
//! disk here that fails the N-th operation.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

/// File operations; each handle is an open file or folder.
pub(super) trait Disk: Send + Sync {
    fn open_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd>;
    /// Makes a folder; one that is there already is an error of its own kind.
    fn make_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()>;
    /// Creates a file that is not there yet.
    fn create(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd>;
    fn write(&self, file: BorrowedFd<'_>, octets: &[u8]) -> io::Result<usize>;
    fn read(&self, file: BorrowedFd<'_>, octets: &mut [u8], offset: u64) -> io::Result<usize>;
    fn sync(&self, handle: BorrowedFd<'_>) -> io::Result<()>;
    /// Moves a file; never over another.
    fn rename(&self, from: BorrowedFd<'_>, name: &str, to: BorrowedFd<'_>, new: &str) -> io::Result<()>;
    fn remove(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()>;
}

/// The real one.
pub(super) struct RealDisk;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Disk for RealDisk {
    fn open_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
        Ok(retry_on_intr(|| rustix::fs::openat(at, name, FOLDER, Mode::empty()))?)
    }

    fn make_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::mkdirat(at, name, Mode::RWXU))?)
    }

    fn create(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| rustix::fs::openat(at, name, flags, Mode::RUSR | Mode::WUSR))?)
    }

    fn write(&self, file: BorrowedFd<'_>, octets: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::write(file, octets))?)
    }

    fn read(&self, file: BorrowedFd<'_>, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(file, &mut *octets, offset))?)
    }

    fn sync(&self, handle: BorrowedFd<'_>) -> io::Result<()> {
        // Not repeated, not even when interrupted: after a failed sync a second one may lie.
        Ok(rustix::fs::fsync(handle)?)
    }

    fn rename(&self, from: BorrowedFd<'_>, name: &str, to: BorrowedFd<'_>, new: &str) -> io::Result<()> {
        match retry_on_intr(|| rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE)) {
            // Some file systems know no NOREPLACE; a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                retry_on_intr(|| rustix::fs::linkat(from, name, to, new, AtFlags::empty()))?;
                Ok(retry_on_intr(|| rustix::fs::unlinkat(from, name, AtFlags::empty()))?)
            }
            other => Ok(other?),
        }
    }

    fn remove(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(at, name, AtFlags::empty()))?)
    }
}

/// Opens a folder, making it where it is not there. The first time that this process meets it,
/// its name in the parent is synced: whoever made it may not have come so far.
pub(super) fn folder(disk: &dyn Disk, durable: &Durable, at: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_durable = durable.lock().is_ok_and(|known| known.contains(path));
    match disk.open_folder(at, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match disk.make_folder(at, name) {
            // Another thread was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        },
        Ok(folder) if is_durable => return Ok(folder),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    disk.sync(at)?;
    if let Ok(mut known) = durable.lock() {
        known.insert(path.to_owned());
    }
    disk.open_folder(at, name)
}

/// The folders whose names in their parents are known to be on stable storage.
pub(super) type Durable = Mutex<HashSet<String>>;

/// Writes all of it; a short write goes on.
pub(super) fn write_all(disk: &dyn Disk, file: &OwnedFd, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        let written = disk.write(file.as_fd(), octets)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        octets = octets.get(written..).unwrap_or_default();
    }
    Ok(())
}
