//! The file operations that the store needs, and nothing else writes by.
//!
//! Folders are opened relative to held handles and never through a symbolic link. There are three
//! disks: the real one; for tests one that fails the N-th operation, and one in memory that
//! knows what is durable and can crash after any operation.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, SeekFrom, StatxFlags,
};
use rustix::io::Errno;

/// An open file or folder. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) enum Handle {
    Real(Arc<OwnedFd>),
    /// The number of a file or folder on the disk in memory, and the errors that this handle was
    /// told.
    #[cfg(test)]
    Simulated(usize, Arc<std::sync::atomic::AtomicU64>),
}

impl Handle {
    pub(super) fn real(file: OwnedFd) -> Self {
        Self::Real(Arc::new(file))
    }

    // Only a disk in memory has handles that are none.
    #[cfg_attr(not(test), allow(clippy::unnecessary_wraps))]
    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Real(file) => Ok(file.as_fd()),
            #[cfg(test)]
            Self::Simulated(..) => Err(Errno::BADF.into()),
        }
    }
}

/// The free space of a disk, for users other than root.
#[derive(Clone, Copy, Debug)]
pub struct FreeSpace {
    /// Octets that can still be written.
    pub octets: u64,
    /// Files (inodes) that can still be made; `None` if the file system has no such bound.
    pub files: Option<u64>,
}

impl fmt::Display for FreeSpace {
    /// A disk may be full of octets or of files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { octets, files } = self;
        match files {
            Some(files) => write!(f, "{octets} octets and {files} files (inodes) are free"),
            None => write!(f, "{octets} octets are free"),
        }
    }
}

/// Which folder it is, and no other before or after it: device, number, and when it was made.
pub(super) type Identity = (u64, u64, i64, u32);

/// A folder's device and inode number: no other folder's for as long as it is held.
pub(super) type Number = (u64, u64);

/// File operations, each one step that can fail.
pub(super) trait Disk: Send + Sync {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle>;
    /// Makes a folder; one that is there already is an error of its own kind.
    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()>;
    /// Creates a file that is not there yet.
    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle>;
    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle>;
    /// Writes at the end of what was written by this handle; perhaps not all.
    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize>;
    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Content and size of a file reach stable storage.
    fn sync_file(&self, file: &Handle) -> io::Result<()>;
    /// The names in a folder reach stable storage.
    fn sync_folder(&self, folder: &Handle) -> io::Result<()>;
    /// Everything on the file system of this folder reaches stable storage.
    fn sync_fs(&self, folder: &Handle) -> io::Result<()>;
    /// Whether [`Disk::sync_fs`] is known to keep what [`Disk::sync_file`] keeps, and to tell where
    /// it failed.
    fn sync_fs_is_reliable(&self, folder: &Handle) -> bool;
    /// Fails if the file has a hole in its first `octets` octets. With delayed allocation ext4 can
    /// run out of blocks after a write has returned, drop the data, and report success from syncfs.
    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()>;
    /// Moves a file; never over another.
    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()>;
    fn remove(&self, at: &Handle, name: &str) -> io::Result<()>;
    /// Removes a folder that is empty.
    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()>;
    fn names(&self, folder: &Handle) -> io::Result<Vec<String>>;
    /// How long ago a file was written. None where that lies in the future.
    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>>;
    /// Locks a file for as long as the handle is held. Returns `false` if it is locked already.
    fn lock(&self, file: &Handle) -> io::Result<bool>;
    fn left(&self, at: &Handle) -> io::Result<FreeSpace>;
    /// None where the file system does not tell when it was made: numbers are used again.
    fn identity(&self, folder: &Handle) -> Option<Identity>;
    /// Which folder is at a path, `.` for the handle's own; a symbolic link at its end is not a
    /// folder.
    fn number(&self, at: &Handle, path: &str) -> io::Result<Number>;
}

/// The real one.
pub(super) struct RealDisk;

pub(super) const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The file systems on which syncfs was tested by the crash suite: ext4 (and its ancestors), XFS.
const SYNCS_ALL: [u64; 2] = [0xEF53, 0x5846_5342];

/// Whether syncfs of this Linux hands on the errors of all files (5.8) and of the file system
/// itself (5.17).
fn tells_of_failures(release: &str) -> bool {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(17))
}

impl Disk for RealDisk {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        Ok(Handle::real(rustix::fs::openat(at.fd()?, name, FOLDER, Mode::empty())?))
    }

    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(at.fd()?, name, Mode::RWXU)?)
    }

    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        let flags = FILE | OFlags::CREATE | OFlags::EXCL;
        Ok(Handle::real(rustix::fs::openat(at.fd()?, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        Ok(Handle::real(rustix::fs::openat(
            at.fd()?,
            name,
            FILE | OFlags::NONBLOCK,
            Mode::empty(),
        )?))
    }

    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(file.fd()?, octets)?)
    }

    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(file.fd()?, octets, offset)?)
    }

    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        // All that is needed to read it again goes with it: POSIX, fdatasync.
        Ok(rustix::fs::fdatasync(file.fd()?)?)
    }

    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        Ok(rustix::fs::fsync(folder.fd()?)?)
    }

    fn sync_fs(&self, folder: &Handle) -> io::Result<()> {
        Ok(rustix::fs::syncfs(folder.fd()?)?)
    }

    fn sync_fs_is_reliable(&self, folder: &Handle) -> bool {
        let is_known = folder.fd().is_ok_and(|folder| {
            let found =
                rustix::fs::fstatfs(folder).ok().and_then(|found| u64::try_from(found.f_type).ok());
            found.is_some_and(|found| SYNCS_ALL.contains(&found))
        });
        is_known && rustix::system::uname().release().to_str().is_ok_and(tells_of_failures)
    }

    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        // An empty file has neither octets nor holes.
        if octets == 0 || rustix::fs::seek(file.fd()?, SeekFrom::Hole(0))? >= octets {
            return Ok(());
        }
        Err(Errno::IO.into())
    }

    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        let (from, to) = (from.fd()?, to.fd()?);
        match rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
            // Some file systems know no NOREPLACE; a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(from, name, to, new, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(from, name, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(at.fd()?, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(at.fd()?, name, AtFlags::REMOVEDIR)?)
    }

    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder.fd()?)? {
            // A name that is not UTF-8 is not ours.
            names.extend(
                entry?
                    .file_name()
                    .to_str()
                    .ok()
                    .filter(|name| !matches!(*name, "." | ".."))
                    .map(str::to_owned),
            );
        }
        Ok(names)
    }

    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        let found = rustix::fs::statat(at.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let written = Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or_default());
        Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + written).ok())
    }

    fn lock(&self, file: &Handle) -> io::Result<bool> {
        match rustix::fs::flock(file.fd()?, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn left(&self, at: &Handle) -> io::Result<FreeSpace> {
        let found = rustix::fs::fstatvfs(at.fd()?)?;
        let files = (found.f_files > 0).then_some(found.f_favail);
        Ok(FreeSpace { octets: found.f_bavail.saturating_mul(found.f_frsize), files })
    }

    fn identity(&self, folder: &Handle) -> Option<Identity> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let found = rustix::fs::statx(folder.fd().ok()?, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
        let tells = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
        tells.then_some((device, found.stx_ino, found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
    }

    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        let found = rustix::fs::statat(at.fd()?, path, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => Ok((found.st_dev, found.st_ino)),
            _ => Err(Errno::NOTDIR.into()),
        }
    }
}

/// A disk that goes on where a signal interrupted it.
///
/// A sync is not repeated, not even when interrupted: after one that failed a second may lie. Nor
/// is a move: it may have happened.
pub(super) struct RetryInterrupted<D: ?Sized> {
    disk: Box<D>,
    /// The syncs that were asked of it.
    syncs: AtomicU64,
}

impl<D: ?Sized> RetryInterrupted<D> {
    pub(super) fn new(disk: Box<D>) -> Self {
        Self { disk, syncs: AtomicU64::new(0) }
    }

    /// The syncs so far: of files, of folders, and of the file system.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

fn retry_interrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl<D: Disk + ?Sized> Disk for RetryInterrupted<D> {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        retry_interrupted(|| self.disk.open_folder(at, name))
    }
    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        retry_interrupted(|| self.disk.make_folder(at, name))
    }
    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        retry_interrupted(|| self.disk.create(at, name))
    }
    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        retry_interrupted(|| self.disk.open_file(at, name))
    }
    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        retry_interrupted(|| self.disk.write(file, octets))
    }
    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        retry_interrupted(|| self.disk.read(file, octets, offset))
    }
    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_file(file)
    }
    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_folder(folder)
    }
    fn sync_fs(&self, folder: &Handle) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_fs(folder)
    }
    fn sync_fs_is_reliable(&self, folder: &Handle) -> bool {
        self.disk.sync_fs_is_reliable(folder)
    }
    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        retry_interrupted(|| self.disk.has_no_holes(file, octets))
    }
    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        self.disk.rename(from, name, to, new)
    }
    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        retry_interrupted(|| self.disk.remove(at, name))
    }
    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        retry_interrupted(|| self.disk.remove_folder(at, name))
    }
    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        retry_interrupted(|| self.disk.names(folder))
    }
    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        retry_interrupted(|| self.disk.age(at, name))
    }
    fn lock(&self, file: &Handle) -> io::Result<bool> {
        retry_interrupted(|| self.disk.lock(file))
    }
    fn left(&self, at: &Handle) -> io::Result<FreeSpace> {
        retry_interrupted(|| self.disk.left(at))
    }
    fn identity(&self, folder: &Handle) -> Option<Identity> {
        self.disk.identity(folder)
    }
    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        retry_interrupted(|| self.disk.number(at, path))
    }
}

/// Writes all of it; a short write goes on.
pub(super) fn write_all(disk: &dyn Disk, file: &Handle, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        let written = disk.write(file, octets)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        octets = octets.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_of_all_is_relied_upon_from_linux_5_17_on() {
        for (release, tells) in [
            ("4.19.0-27-amd64", false),
            ("5.15.0-1", false),
            ("5.17.0", true),
            ("6.1.0-28-amd64", true),
            ("10.0", true),
            ("", false),
            ("none", false),
        ] {
            assert_eq!(tells_of_failures(release), tells, "{release}");
        }
    }
}
