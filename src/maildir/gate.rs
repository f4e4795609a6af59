//! For tests: a disk whose syncs of files, and of folders if asked for, wait until a gate is opened.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::disk::{Disk, FreeSpace, Handle, Identity, Number, RealDisk};
use super::{Options, Store, StoreError, owner};

/// The gate: closed at first.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    holds_folders: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// From now on syncs of folders wait too.
    pub(crate) fn holds_folders(&self) {
        self.0.0.lock().unwrap().holds_folders = true;
    }

    /// Waits until a sync waits.
    pub(crate) fn is_reached(&self) {
        self.is_reached_by(1);
    }

    /// Waits until so many do.
    pub(crate) fn is_reached_by(&self, syncs: usize) {
        let waits = |state: &mut State| state.waiting < syncs;
        let reached = self
            .0
            .1
            .wait_timeout_while(self.0.0.lock().unwrap(), Duration::from_secs(20), waits)
            .unwrap();
        assert!(!reached.1.timed_out(), "{syncs} syncs were to wait");
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
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        RealDisk.open_folder(at, name)
    }
    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        RealDisk.make_folder(at, name)
    }
    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        RealDisk.create(at, name)
    }
    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        RealDisk.open_file(at, name)
    }
    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        RealDisk.write(file, octets)
    }
    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        RealDisk.read(file, octets, offset)
    }
    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        self.0.pass();
        RealDisk.sync_file(file)
    }
    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        if self.0.0.0.lock().unwrap().holds_folders {
            self.0.pass();
        }
        RealDisk.sync_folder(folder)
    }
    fn sync_fs(&self, folder: &Handle) -> io::Result<()> {
        self.0.pass();
        RealDisk.sync_fs(folder)
    }
    fn sync_fs_is_reliable(&self, _: &Handle) -> bool {
        true
    }
    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        RealDisk.has_no_holes(file, octets)
    }
    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        RealDisk.rename(from, name, to, new)
    }
    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        RealDisk.remove(at, name)
    }
    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        RealDisk.remove_folder(at, name)
    }
    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        RealDisk.names(folder)
    }
    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        RealDisk.age(at, name)
    }
    fn lock(&self, file: &Handle) -> io::Result<bool> {
        RealDisk.lock(file)
    }
    fn left(&self, at: &Handle) -> io::Result<FreeSpace> {
        RealDisk.left(at)
    }
    fn identity(&self, folder: &Handle) -> Option<Identity> {
        RealDisk.identity(folder)
    }
    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        RealDisk.number(at, path)
    }
}

/// A store on such a disk.
pub(crate) fn open(options: Options, gate: Gate) -> Result<Store, StoreError> {
    let root = owner::open_root(&options.root).unwrap();
    Store::with_disk(options, Box::new(GatedDisk(gate)), root)
}
