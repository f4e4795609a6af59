//! For tests: a disk whose syncs wait until a gate is opened.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};

use super::disk::{Disk, RealDisk};
use super::{OpenError, Options, Store};

/// The gate: closed at first.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Waits until a sync waits.
    pub(crate) fn is_reached(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| !state.open).unwrap());
    }
}

struct GatedDisk(Gate);

impl Disk for GatedDisk {
    fn open_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
        RealDisk.open_folder(at, name)
    }
    fn make_folder(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        RealDisk.make_folder(at, name)
    }
    fn create(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
        RealDisk.create(at, name)
    }
    fn write(&self, file: BorrowedFd<'_>, octets: &[u8]) -> io::Result<usize> {
        RealDisk.write(file, octets)
    }
    fn read(&self, file: BorrowedFd<'_>, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        RealDisk.read(file, octets, offset)
    }
    fn sync(&self, handle: BorrowedFd<'_>) -> io::Result<()> {
        self.0.pass();
        RealDisk.sync(handle)
    }
    fn rename(&self, from: BorrowedFd<'_>, name: &str, to: BorrowedFd<'_>, new: &str) -> io::Result<()> {
        RealDisk.rename(from, name, to, new)
    }
    fn remove(&self, at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        RealDisk.remove(at, name)
    }
}

/// A store on such a disk.
pub(crate) fn open(options: Options, gate: Gate) -> Result<Store, OpenError> {
    Store::with_disk(options, Box::new(GatedDisk(gate)))
}
