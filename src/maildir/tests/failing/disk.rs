//! A disk whose N-th operation fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::super::simulated::Simulated;
use crate::maildir::disk::{Disk, FreeSpace, Handle, Identity, Number};

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// It does not happen.
    Error(Errno),
    /// It happens, and says that it did not.
    After(Errno),
    /// A write takes some of it only.
    Short,
    /// It happens, and before it another program does this to the mail folder.
    Meddled(fn(&Simulated)),
}

/// Fails the operation at which its count comes to zero; with `all`, each from there on too.
#[derive(Clone)]
pub(super) struct FailingDisk {
    pub(super) disk: Simulated,
    pub(super) left: Arc<AtomicI64>,
    pub(super) how: How,
    pub(super) all: bool,
    pub(super) opened: Arc<AtomicUsize>,
}

impl FailingDisk {
    fn fails(&self) -> bool {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        left == 1 || (self.all && left < 1 && left > i64::MIN / 2)
    }

    fn pass<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.how {
            How::Error(error) if self.fails() => Err(error.into()),
            How::After(error) if self.fails() => operation().and(Err(error.into())),
            How::Short if self.fails() => operation(),
            How::Meddled(meddle) if self.fails() => {
                meddle(&self.disk);
                operation()
            }
            _ => operation(),
        }
    }

    fn sync(&self, handle: &Handle, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.how {
            How::Error(error) | How::After(error) => {
                if self.fails() {
                    self.disk.fail_sync(handle, error);
                    return Err(error.into());
                }
                operation()
            }
            _ => self.pass(operation),
        }
    }
}

impl Disk for FailingDisk {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.pass(|| self.disk.open_folder(at, name))
    }
    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.pass(|| self.disk.make_folder(at, name))
    }
    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        self.pass(|| self.disk.create(at, name))
    }
    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        self.disk.open_file(at, name)
    }
    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        if matches!(self.how, How::Short) && self.fails() {
            return self.disk.write(file, &octets[..octets.len().div_ceil(2)]);
        }
        if matches!(self.how, How::Short) {
            return self.disk.write(file, octets);
        }
        self.pass(|| self.disk.write(file, octets))
    }
    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        // A read takes no more than it likes, always.
        let few = octets.len().min(700);
        self.pass(|| self.disk.read(file, &mut octets[..few], offset))
    }
    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        self.sync(file, || self.disk.sync_file(file))
    }
    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        self.sync(folder, || self.disk.sync_folder(folder))
    }
    fn sync_fs(&self, _: &Handle) -> io::Result<()> {
        match self.how {
            How::Error(error) | How::After(error) => {
                if self.fails() {
                    self.disk.fail_sync_fs();
                    return Err(error.into());
                }
                self.disk.sync_fs(&Simulated::root())
            }
            _ => self.pass(|| self.disk.sync_fs(&Simulated::root())),
        }
    }
    fn sync_fs_is_reliable(&self, folder: &Handle) -> bool {
        self.disk.sync_fs_is_reliable(folder)
    }
    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        self.pass(|| self.disk.has_no_holes(file, octets))
    }
    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        self.pass(|| self.disk.rename(from, name, to, new))
    }
    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.disk.remove(at, name)
    }
    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.disk.remove_folder(at, name)
    }
    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        self.disk.names(folder)
    }
    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        self.disk.age(at, name)
    }
    fn lock(&self, file: &Handle) -> io::Result<bool> {
        self.disk.lock(file)
    }
    fn left(&self, at: &Handle) -> io::Result<FreeSpace> {
        self.disk.left(at)
    }
    fn identity(&self, folder: &Handle) -> Option<Identity> {
        self.disk.identity(folder)
    }
    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        self.pass(|| self.disk.number(at, path))
    }
}
