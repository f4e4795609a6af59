//! For tests: a disk in memory that knows what is durable and can crash after any operation.
//!
//! Of what was not synced each name, each page and each size persists or not, independently of the
//! others: a rename may leave the old name, the new, both or neither. What was synced stays. A sync
//! that fails loses what it was to keep, and the next one says that all is well.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use crate::maildir::disk::{Disk, FreeSpace, Handle, Identity, Number};
use crate::maildir::locked;

mod state;

pub(super) use state::State;
use state::{Node, PAGE_BYTES, copy_page};

/// A mailbox on another file system, which a sync of everything does not reach.
pub(super) const ELSEWHERE: &str = "carol";
/// After this many operations another thread may go on. A busy machine takes long for each time.
const YIELD_STEPS: u64 = 5;

/// A sync that does nothing: a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    NoSyncOfFiles,
    /// Of the folder made by this name; `/` is the root.
    NoSyncOf(&'static str),
    /// Files are synced after their move, and after the folder.
    SyncsFilesLast,
    NoSyncFs,
    /// A sync of everything finds no place for octets, and says that all is well; the file has a
    /// hole.
    NoPlace,
}

struct World {
    state: State,
    history: Option<Vec<State>>,
    locks: HashSet<usize>,
    lie: Lie,
    late: Vec<usize>,
    left: FreeSpace,
    sync_fs_is_reliable: bool,
    is_alone: bool,
    steps: u64,
}

/// The disk. Clones are the same one.
#[derive(Clone)]
pub(super) struct Simulated(Arc<Mutex<World>>);

/// A handle for the tests themselves.
fn simulated(number: usize) -> Handle {
    Handle::Simulated(number, Arc::default())
}

impl World {
    fn node(&mut self, handle: &Handle) -> io::Result<&mut Node> {
        let Handle::Simulated(number, _) = handle else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(Arc::make_mut(&mut self.state.nodes[*number]))
    }

    fn find(&mut self, at: &Handle, name: &str) -> io::Result<usize> {
        self.node(at)?.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name(&mut self, at: &Handle, name: &str, value: Option<usize>) -> io::Result<()> {
        let node = self.node(at)?;
        match value {
            Some(value) => node.names.insert(name.to_owned(), value),
            None => node.names.remove(name),
        };
        node.changes.entry(name.to_owned()).or_default().push(value);
        Ok(())
    }

    fn make(&mut self, at: &Handle, name: &str, folder: bool) -> io::Result<Handle> {
        if self.find(at, name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.node(at)?.removed {
            return Err(io::ErrorKind::NotFound.into());
        }
        let number = self.state.nodes.len();
        self.state.nodes.push(Arc::new(Node { title: name.to_owned(), folder, ..Node::default() }));
        self.name(at, name, Some(number))?;
        Ok(self.open(number))
    }

    /// Errors before the opening are no longer told.
    fn open(&self, number: usize) -> Handle {
        Handle::Simulated(number, Arc::new(AtomicU64::new(self.state.nodes[number].errors)))
    }

    fn keep_file(&mut self, number: usize) {
        let node = Arc::make_mut(&mut self.state.nodes[number]);
        node.safe.resize(node.octets.len(), 0);
        for page in std::mem::take(&mut node.pages) {
            copy_page(&node.octets, &mut node.safe, page);
        }
        node.sizes.clear();
    }

    /// What a file was when a sync began is safe; what was written since is not.
    fn keep_octets(&mut self, number: usize, then: &Node) {
        let node = Arc::make_mut(&mut self.state.nodes[number]);
        if node.octets == then.octets {
            self.keep_file(number);
        }
    }

    fn record(&mut self) {
        if let Some(history) = &mut self.history {
            history.push(self.state.clone());
        }
    }
}

impl Simulated {
    /// An empty one.
    pub(super) fn new() -> Self {
        let root = Node { title: "/".to_owned(), folder: true, ..Node::default() };
        Self::restarted(State { nodes: vec![Arc::new(root)], answered: Vec::new() })
    }

    /// One on which this was left by a crash; nobody who ran before lives.
    pub(super) fn restarted(state: State) -> Self {
        let left = FreeSpace { octets: u64::MAX, files: None };
        Self(Arc::new(Mutex::new(World {
            state,
            history: None,
            locks: HashSet::new(),
            lie: Lie::None,
            late: Vec::new(),
            left,
            sync_fs_is_reliable: true,
            is_alone: false,
            steps: 0,
        })))
    }

    pub(super) fn root() -> Handle {
        simulated(0)
    }

    pub(super) fn lie(&self, lie: Lie) {
        locked(&self.0).lie = lie;
    }

    /// It knows no sync of everything that can be relied on.
    pub(super) fn without_sync_fs(self) -> Self {
        locked(&self.0).sync_fs_is_reliable = false;
        self
    }

    /// One thread uses it: there is nothing to yield to, and on a busy machine each yield takes
    /// long.
    pub(super) fn alone(self) -> Self {
        locked(&self.0).is_alone = true;
        self
    }

    pub(super) fn has_left(&self, left: FreeSpace) {
        locked(&self.0).left = left;
    }

    /// From now on each state is remembered.
    pub(super) fn remember(&self) {
        let mut world = locked(&self.0);
        world.history = Some(vec![world.state.clone()]);
    }

    pub(super) fn history(&self) -> Vec<State> {
        locked(&self.0).history.take().unwrap_or_default()
    }

    pub(super) fn state(&self) -> State {
        locked(&self.0).state.clone()
    }

    /// A client was answered 250.
    pub(super) fn answer(&self, message: usize) {
        let mut world = locked(&self.0);
        world.state.answered.push(message);
        world.record();
    }

    /// What a sync that fails does: it is lost, and no longer known to be unsynced. Each other
    /// handle is told once.
    pub(super) fn fail_sync(&self, handle: &Handle) {
        self.lose(handle);
        if let (Ok(node), Handle::Simulated(_, told)) = (locked(&self.0).node(handle), handle) {
            node.errors += 1;
            told.store(node.errors, Ordering::SeqCst);
        }
    }

    fn lose(&self, handle: &Handle) {
        if let Ok(node) = locked(&self.0).node(handle) {
            node.pages.clear();
            node.sizes.clear();
            node.changes.clear();
        }
    }

    /// The same for everything.
    pub(super) fn fail_sync_fs(&self) {
        let count = locked(&self.0).state.nodes.len();
        (0..count).for_each(|number| self.lose(&simulated(number)));
    }

    /// The folder at a path below the root.
    pub(super) fn folder(&self, path: &str) -> Option<Handle> {
        let mut folder = Self::root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = self.open_folder(&folder, name).ok()?;
        }
        Some(folder)
    }

    /// Somebody else removes a folder with all that is in it; no name can be made in it any more.
    pub(super) fn remove_tree(&self, path: &str) {
        let Some(Handle::Simulated(number, _)) = self.folder(path) else { return };
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.folder(above).unwrap();
        let mut world = locked(&self.0);
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            let handle = simulated(number);
            for (name, child) in world.node(&handle).unwrap().names.clone() {
                world.name(&handle, &name, None).unwrap();
                open.push(child);
            }
            world.node(&handle).unwrap().removed = true;
        }
        world.name(&above, name, None).unwrap();
    }

    /// Removes all files that are seen, for good.
    pub(super) fn remove_mail(&self) {
        let mut world = locked(&self.0);
        for number in 1..world.state.nodes.len() {
            let files: Vec<String> = {
                let names = world.state.nodes[number].names.iter();
                names
                    .filter(|(_, child)| !world.state.nodes[**child].folder)
                    .map(|(name, _)| name.clone())
                    .collect()
            };
            let node = Arc::make_mut(&mut world.state.nodes[number]);
            for name in files {
                node.names.remove(&name);
                node.safe_names.remove(&name);
                node.changes.remove(&name);
            }
        }
    }

    fn change<T>(&self, operation: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = locked(&self.0);
        let result = operation(&mut world);
        if result.is_ok() {
            world.record();
        }
        world.steps += 1;
        let yields = !world.is_alone && world.steps.is_multiple_of(YIELD_STEPS);
        drop(world);
        if yields {
            // Other threads may come between.
            thread::yield_now();
        }
        result
    }
}

impl Disk for Simulated {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        let mut world = locked(&self.0);
        let number = match (name, at) {
            (".", Handle::Simulated(number, _)) => *number,
            _ => world.find(at, name)?,
        };
        if world.state.nodes[number].folder {
            Ok(world.open(number))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| world.make(at, name, true).map(drop))
    }

    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        self.change(|world| world.make(at, name, false))
    }

    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        let mut world = locked(&self.0);
        let number = world.find(at, name)?;
        Ok(world.open(number))
    }

    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        self.change(|world| {
            let node = world.node(file)?;
            let begin = node.octets.len();
            node.octets.extend_from_slice(octets);
            node.pages.extend(begin / PAGE_BYTES..node.octets.len().div_ceil(PAGE_BYTES));
            node.sizes.push(node.octets.len());
            Ok(octets.len())
        })
    }

    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = locked(&self.0);
        let there = &world.node(file)?.octets;
        let rest = there.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(octets.len());
        octets[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        let Handle::Simulated(number, _) = *file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.change(|world| {
            match world.lie {
                Lie::NoSyncOfFiles => {}
                Lie::SyncsFilesLast => world.late.push(number),
                _ => world.keep_file(number),
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        // It takes time, and keeps what stood when it began.
        let begun = self.change(|world| Ok(world.node(folder)?.changes.clone()))?;
        if let Handle::Simulated(_, told) = folder {
            let errors = locked(&self.0).node(folder)?.errors;
            if told.swap(errors, Ordering::SeqCst) != errors {
                return Err(Errno::IO.into());
            }
        }
        self.change(|world| {
            let (lie, node) = (world.lie, world.node(folder)?);
            if lie != Lie::NoSyncOf(node.title.clone().leak()) {
                node.keep_names(begun);
            }
            Ok(())
        })?;
        self.change(|world| {
            for number in std::mem::take(&mut world.late) {
                world.keep_file(number);
            }
            Ok(())
        })
    }

    fn sync_fs(&self, _: &Handle) -> io::Result<()> {
        // It takes time too; of what is written meanwhile it keeps nothing.
        let begun = self.change(|world| Ok(world.state.nodes.clone()))?;
        let dirty = |then: &Node| {
            !then.changes.is_empty() || !then.pages.is_empty() || !then.sizes.is_empty()
        };
        let elsewhere = locked(&self.0).state.below(ELSEWHERE);
        for (number, then) in begun.into_iter().enumerate().filter(|(_, then)| dirty(then)) {
            if elsewhere.contains(&number) {
                continue;
            }
            self.change(|world| {
                match world.lie {
                    Lie::NoSyncFs => return Ok(()),
                    Lie::SyncsFilesLast => world.late.push(number),
                    Lie::NoPlace => {
                        let node = world.node(&simulated(number))?;
                        node.hole |= !node.folder;
                        node.pages.clear();
                        node.sizes.clear();
                    }
                    _ => world.keep_octets(number, &then),
                }
                world.node(&simulated(number))?.keep_names(then.changes.clone());
                Ok(())
            })?;
        }
        Ok(())
    }

    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        let mut world = locked(&self.0);
        let node = world.node(file)?;
        let has = !node.hole && node.octets.len() as u64 == octets;
        if has { Ok(()) } else { Err(io::Error::other("a hole")) }
    }

    fn sync_fs_is_reliable(&self, _: &Handle) -> bool {
        locked(&self.0).sync_fs_is_reliable
    }

    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        self.change(|world| {
            let number = world.find(from, name)?;
            if world.node(to)?.removed {
                return Err(io::ErrorKind::NotFound.into());
            }
            if world.find(to, new).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.name(from, name, None)?;
            world.name(to, new, Some(number))
        })
    }

    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| {
            world.find(at, name)?;
            world.name(at, name, None)
        })
    }

    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| {
            let number = world.find(at, name)?;
            if !world.state.nodes[number].names.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            world.name(at, name, None)
        })
    }

    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        Ok(locked(&self.0).node(folder)?.names.keys().cloned().collect())
    }

    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        locked(&self.0).find(at, name).map(|_| Some(Duration::ZERO))
    }

    fn lock(&self, file: &Handle) -> io::Result<bool> {
        let Handle::Simulated(number, _) = *file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(locked(&self.0).locks.insert(number))
    }

    fn left(&self, _: &Handle) -> io::Result<FreeSpace> {
        Ok(locked(&self.0).left)
    }

    fn identity(&self, folder: &Handle) -> Option<Identity> {
        // No number is used twice here, and one mailbox is on another file system.
        let Handle::Simulated(number, _) = *folder else { return None };
        let device = u64::from(locked(&self.0).state.nodes[number].title == ELSEWHERE);
        Some((device, number as u64, 0, 0))
    }

    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        let mut world = locked(&self.0);
        let mut folder = at.clone();
        for name in path.split('/').filter(|name| *name != ".") {
            folder = simulated(world.find(&folder, name)?);
        }
        let node = world.node(&folder)?;
        if !node.folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let Handle::Simulated(number, _) = folder else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((0, number as u64))
    }
}
