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

mod operations;
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

    /// One on which this was left by a crash; no server that ran before lives.
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
    pub(super) fn fail_sync(&self, handle: &Handle, error: Errno) {
        // At one moment: a sync that ends between the loss and its error would be told of neither.
        if let (Ok(node), Handle::Simulated(_, told)) = (locked(&self.0).node(handle), handle) {
            node.lose();
            node.errors += 1;
            node.error = Some(error);
            told.store(node.errors, Ordering::SeqCst);
        }
    }

    /// The same for everything.
    pub(super) fn fail_sync_fs(&self) {
        locked(&self.0).state.nodes.iter_mut().for_each(|node| Arc::make_mut(node).lose());
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

    /// Removes all files that are seen, permanently.
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
