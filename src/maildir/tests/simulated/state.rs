//! All that is on the disk in memory, and what a crash can leave of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Small, so that small messages have several.
pub(super) const PAGE_BYTES: usize = 512;

/// A file or a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The name by which it was made.
    pub(super) title: String,
    pub(super) folder: bool,
    pub(super) octets: Vec<u8>,
    pub(super) safe: Vec<u8>,
    /// Of a folder: its syncs that failed.
    pub(super) errors: u64,
    /// The last one: each handle is told the same.
    pub(super) error: Option<rustix::io::Errno>,
    /// Of a folder: whether it was removed.
    pub(super) removed: bool,
    /// Of a file: whether octets that it had found no place.
    pub(super) hole: bool,
    /// Of a file: pages and sizes that are not synced.
    pub(super) pages: BTreeSet<usize>,
    pub(super) sizes: Vec<usize>,
    pub(super) names: BTreeMap<String, usize>,
    pub(super) safe_names: BTreeMap<String, usize>,
    /// Of a folder: what each name was since the last sync, in order.
    pub(super) changes: BTreeMap<String, Vec<Option<usize>>>,
    /// Of a folder: how many changes of each name came before those, and are synced or lost.
    pub(super) settled: BTreeMap<String, usize>,
}

/// All that is on the disk, and who was answered 250.
#[derive(Clone, Debug)]
pub(in crate::maildir::tests) struct State {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(in crate::maildir::tests) answered: Vec<usize>,
}

/// One thing that a crash decides.
enum Choice {
    Name(usize, String, Vec<Option<usize>>),
    Page(usize, usize),
    Size(usize, Vec<usize>),
}

impl Choice {
    fn count(&self) -> usize {
        match self {
            Self::Name(_, _, values) => values.len(),
            Self::Page(..) => 2,
            Self::Size(_, sizes) => sizes.len(),
        }
    }
}

impl State {
    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            for (name, changes) in &node.changes {
                let mut values = vec![node.safe_names.get(name).copied()];
                values.extend(changes);
                values.sort_unstable();
                values.dedup();
                choices.push(Choice::Name(number, name.clone(), values));
            }
            choices.extend(node.pages.iter().map(|page| Choice::Page(number, *page)));
            if !node.sizes.is_empty() {
                let mut sizes = vec![node.safe.len()];
                sizes.extend(&node.sizes);
                choices.push(Choice::Size(number, sizes));
            }
        }
        choices.retain(|choice| choice.count() > 1);
        choices
    }

    /// In how many ways a crash can end now.
    pub(in crate::maildir::tests) fn remainders(&self) -> usize {
        self.choices().iter().fold(1, |all, choice| all.saturating_mul(choice.count()))
    }

    /// What is left after a crash: `pick` decides, given the number of ways.
    pub(in crate::maildir::tests) fn crash(&self, mut pick: impl FnMut(usize) -> usize) -> Self {
        let mut after = self.clone();
        for node in &mut after.nodes {
            if !node.changes.is_empty()
                || node.names != node.safe_names
                || !node.sizes.is_empty()
                || !node.pages.is_empty()
                || node.octets != node.safe
            {
                let node = Arc::make_mut(node);
                node.names.clone_from(&node.safe_names);
                node.octets.clone_from(&node.safe);
                node.changes.clear();
                node.settled.clear();
                node.pages.clear();
                node.sizes.clear();
            }
        }
        let mut kept_pages = Vec::new();
        for choice in self.choices() {
            let picked = pick(choice.count());
            match choice {
                Choice::Name(number, name, values) => {
                    let node = Arc::make_mut(&mut after.nodes[number]);
                    match values[picked] {
                        Some(value) => node.names.insert(name, value),
                        None => node.names.remove(&name),
                    };
                }
                Choice::Page(number, page) if picked == 1 => kept_pages.push((number, page)),
                Choice::Page(..) => {}
                Choice::Size(number, sizes) => {
                    // What no page has reached is zeros.
                    Arc::make_mut(&mut after.nodes[number]).octets.resize(sizes[picked], 0);
                }
            }
        }
        for (number, page) in kept_pages {
            copy_page(
                &self.nodes[number].octets,
                &mut Arc::make_mut(&mut after.nodes[number]).octets,
                page,
            );
        }
        for node in &mut after.nodes {
            let node = Arc::make_mut(node);
            node.safe.clone_from(&node.octets);
            node.safe_names.clone_from(&node.names);
        }
        after
    }

    /// What is below a folder of the root, by number.
    pub(super) fn below(&self, name: &str) -> HashSet<usize> {
        let mut found: HashSet<usize> =
            self.nodes[0].names.get(name).copied().into_iter().collect();
        let mut open: Vec<usize> = found.iter().copied().collect();
        while let Some(number) = open.pop() {
            open.extend(self.nodes[number].names.values());
            found.extend(self.nodes[number].names.values());
        }
        found
    }

    /// All files below the root: their path's folder, and content.
    pub(in crate::maildir::tests) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), 0)];
        while let Some((path, number)) = open.pop() {
            for (name, child) in &self.nodes[number].names {
                let node = &self.nodes[*child];
                if node.folder {
                    open.push((format!("{path}/{name}"), *child));
                } else {
                    found.push((path.clone(), node.octets.clone()));
                }
            }
        }
        found.sort();
        found
    }
}

pub(super) fn copy_page(from: &[u8], to: &mut [u8], page: usize) {
    let begin = page * PAGE_BYTES;
    let end = (begin + PAGE_BYTES).min(from.len()).min(to.len());
    if begin < end {
        to[begin..end].copy_from_slice(&from[begin..end]);
    }
}

impl Node {
    /// The names as they were when a sync began are safe; unless another sync, which began later,
    /// has kept a later one already.
    pub(super) fn keep_names(&mut self, then: &Self) {
        for (name, values) in &then.changes {
            let settled = self.settled.entry(name.clone()).or_default();
            let total = then.settled.get(name).copied().unwrap_or_default() + values.len();
            let Some(count) = total.checked_sub(*settled).filter(|count| *count > 0) else {
                continue;
            };
            *settled = total;
            match values.last().copied().flatten() {
                Some(value) => self.safe_names.insert(name.clone(), value),
                None => self.safe_names.remove(name),
            };
            if let Some(changes) = self.changes.get_mut(name) {
                changes.drain(..count.min(changes.len()));
            }
        }
        self.changes.retain(|_, changes| !changes.is_empty());
    }

    /// What is not synced is lost, and no longer known to be unsynced.
    pub(super) fn lose(&mut self) {
        self.pages.clear();
        self.sizes.clear();
        for (name, values) in std::mem::take(&mut self.changes) {
            *self.settled.entry(name).or_default() += values.len();
        }
    }
}
