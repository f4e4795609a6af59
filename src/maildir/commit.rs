//! **250 after the dot means: for every recipient, the whole message is on stable storage under
//! its final name.** This file is that sentence, line by line, for all messages that wait for the
//! disk at the same time: they share their syncs, and nothing else.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::disk::{Disk as _, Handle};
use super::file::{File, Message};
use super::folder_sync::Ticket;
use super::folders::Home;
use super::{Doing, Inner, StoreError, context};

/// So often another name is tried where a file has ours.
const NAMES_MAX: usize = 16;

/// How often a message is written again whose folders were renamed or removed while it was written.
const ROUNDS_MAX: u32 = 4;

/// A message in all of its files; or in one, where each recipient has a result of its own.
pub(super) struct Commit {
    message: Arc<Message>,
    pub files: Vec<File>,
    /// Whether it has come so far.
    pub kept: Result<(), StoreError>,
    rounds: u32,
}

/// Makes each of them safe and says so in `kept`; nothing is to be left of the others
/// ([`Commit::take_back`]). What fails for one fails for no other; only a failed sync fails all
/// that it was for.
///
/// To be called again for each that is not over ([`Commit::is_over`]).
pub(super) fn commit(store: &Arc<Inner>, commits: &mut [Commit]) {
    let steps = catch_unwind(AssertUnwindSafe(|| {
        // 0. The folders of new mailboxes, and their names, are safe.
        open_folders(store, commits);
        // 1. Each file, whole, in a tmp folder: no reader looks there.
        each(commits, |commit| commit.write(store));
        // 2. Their octets are safe.
        sync_contents(store, commits);
        // 3. Each under its final name. A reader that meets it now meets all of it.
        let moves = moves(store, commits);
        each(commits, |commit| commit.rename(store));
        // 4. Their names are safe too.
        sync_names(store, commits, moves);
        // 5. Their octets are there, and no sync of everything has failed since the first.
        each(commits, |commit| commit.new_files().try_for_each(|file| file.is_kept(store)));
        // 6. They are where their names lead: a folder that was renamed took them along.
        each(commits, |commit| commit.settle(store));
    }));
    if steps.is_err() {
        each(commits, |_| Err(StoreError::panicked()));
    }
}

impl Commit {
    pub(super) fn new(message: Arc<Message>, files: Vec<File>) -> Self {
        Self { message, files, kept: Ok(()), rounds: 0 }
    }

    /// Whether it is safe, or has failed.
    pub(super) fn is_over(&self) -> bool {
        self.kept.is_err() || self.files.iter().all(|file| file.is_safe)
    }

    /// The files that are not safe yet.
    fn new_files(&mut self) -> impl Iterator<Item = &mut File> {
        self.files.iter_mut().filter(|file| !file.is_safe)
    }

    fn write(&mut self, store: &Arc<Inner>) -> Result<(), StoreError> {
        let message = Arc::clone(&self.message);
        self.new_files().try_for_each(|file| file.write(store, &message))
    }

    fn rename(&mut self, store: &Inner) -> Result<(), StoreError> {
        let time = self.message.time;
        self.new_files().try_for_each(|file| file.rename(store, time))
    }

    /// A file in a folder that was renamed, replaced or removed is taken back from there and is new
    /// again.
    fn settle(&mut self, store: &Inner) -> Result<(), StoreError> {
        self.rounds += 1;
        for file in &mut self.files {
            if file.is_in_place(store)? {
                file.is_safe = true;
            } else if self.rounds < ROUNDS_MAX {
                file.start_over(store);
            } else {
                let moved = io::Error::other(
                    "it was renamed or removed each time that the message was written",
                );
                return context(Doing::Deliver, file.folder(), Err(moved));
            }
        }
        Ok(())
    }

    /// Nothing is left of one that was not kept.
    pub(super) fn take_back(&self, store: &Inner) {
        if let Err(error) = &self.kept {
            self.files.iter().for_each(|file| file.take_back(store));
            store.after_an_error(error);
        }
    }
}

/// The next step of all that have come so far. One that panics breaks no other.
fn each(commits: &mut [Commit], step: impl Fn(&mut Commit) -> Result<(), StoreError>) {
    for commit in commits.iter_mut().filter(|commit| commit.kept.is_ok()) {
        commit.kept = catch_unwind(AssertUnwindSafe(|| step(commit)))
            .unwrap_or_else(|_| Err(StoreError::panicked()));
    }
}

/// Makes the new mailboxes of a batch side by side, each by its own thread, so that their syncs
/// wait for the disk at the same time.
fn open_folders(store: &Arc<Inner>, commits: &mut [Commit]) {
    let mut seen = HashSet::new();
    let mut new = Vec::new();
    let files =
        commits.iter().filter(|commit| commit.kept.is_ok()).flat_map(|commit| &commit.files);
    for File { target, .. } in files.filter(|file| file.open_file().is_err()) {
        let key = (target.place, target.folder.clone());
        if !store.folders.is_known(key.0, &key.1) && seen.insert(key.clone()) {
            new.push((key, Ok(())));
        }
    }
    if new.len() < 2 {
        return;
    }
    let opening = Arc::clone(store);
    let opened = store.pool.for_each_parallel(new, move |((place, folder), opened)| {
        *opened = Err(StoreError::panicked());
        *opened = opening.folders.home(&opening, *place, folder).map(drop);
    });
    // A mailbox that failed is not tried again for this batch: its next sync would lie.
    let failed: HashMap<_, _> =
        opened.into_iter().filter_map(|(key, opened)| Some((key, opened.err()?))).collect();
    each(commits, |commit| {
        let error = commit
            .new_files()
            .find_map(|file| failed.get(&(file.target.place, file.target.folder.clone())).cloned());
        error.map_or(Ok(()), Err)
    });
}

/// The octets of a file, to be synced: the number of its commit, and its own there.
struct Octets {
    place: (usize, usize),
    file: Handle,
    synced: io::Result<()>,
}

/// Of many files those beside the mail folder are synced by one sync of everything, where that can
/// be relied on. Every other is synced by itself, and many of them by all threads that are free, so
/// that they wait for the disk at the same time.
fn sync_contents(store: &Arc<Inner>, commits: &mut [Commit]) {
    let (mut shared, mut own) = (Vec::new(), Vec::new());
    for (number, commit) in commits.iter().enumerate().filter(|(_, commit)| commit.kept.is_ok()) {
        for (place, file) in commit.files.iter().enumerate().filter(|(_, file)| !file.is_safe) {
            let Ok(open) = file.open_file() else { continue };
            let octets =
                Octets { place: (number, place), file: open.handle.clone(), synced: not_yet() };
            if open.home.on_root_fs { &mut shared } else { &mut own }.push(octets);
        }
    }
    if store.syncfs.pays_off_for(shared.len()) {
        let synced = store.syncfs.wait(|| store.disk.sync_fs(&store.root));
        for octets in &mut shared {
            octets.synced = same(&synced);
        }
    } else {
        own.append(&mut shared);
    }
    let syncing = Arc::clone(store);
    own = store.pool.for_each_parallel(own, move |octets| {
        let begin = Instant::now();
        octets.synced = syncing.disk.sync_file(&octets.file);
        syncing.syncfs.file_took(begin.elapsed());
    });
    for Octets { place: (number, place), synced, .. } in shared.into_iter().chain(own) {
        let Some(commit) = commits.get_mut(number).filter(|commit| commit.kept.is_ok()) else {
            continue;
        };
        commit.kept =
            context(Doing::SyncFile, commit.files.get(place).map_or("", File::folder), synced);
    }
}

/// A folder that files move to, to be synced afterwards.
struct Moves {
    home: Arc<Home>,
    ticket: io::Result<Ticket>,
    synced: io::Result<()>,
}

fn moves(store: &Inner, commits: &[Commit]) -> Vec<Moves> {
    let files =
        commits.iter().filter(|commit| commit.kept.is_ok()).flat_map(|commit| &commit.files);
    let files = files.filter(|file| !file.is_safe);
    let mut seen = HashSet::new();
    let homes = files.filter_map(|file| file.open_file().ok()).map(|open| &open.home);
    let homes = homes.filter(|home| seen.insert(Arc::as_ptr(home))).map(Arc::clone);
    let ticket = |home: &Home| home.dest_sync.ticket(&store.disk, &home.dest);
    homes.map(|home| Moves { ticket: ticket(&home), home, synced: not_yet() }).collect()
}

/// The folders are synced at the same time if a sync takes long, and else one after the other: on a
/// file system with a journal the first sync carries the others along, and no thread has to be
/// woken.
fn sync_names(store: &Arc<Inner>, commits: &mut [Commit], moves: Vec<Moves>) {
    let syncing = Arc::clone(store);
    let sync = move |moves: &mut Moves| {
        let begin = Instant::now();
        moves.synced = match &moves.ticket {
            Ok(ticket) => moves.home.dest_sync.sync(&syncing.disk, ticket),
            Err(error) => same(&Err(error)),
        };
        syncing.syncfs.folder_took(begin.elapsed());
    };
    let (mut shared, mut own): (Vec<_>, Vec<_>) =
        moves.into_iter().partition(|moves| moves.home.on_root_fs);
    if store.syncfs.folders_are_quick() {
        shared.iter_mut().for_each(&sync);
    } else {
        own.append(&mut shared);
    }
    own = store.pool.for_each_parallel(own, sync);
    let moves = shared.iter().chain(&own);
    let synced: HashMap<_, _> =
        moves.map(|moves| (Arc::as_ptr(&moves.home), &moves.synced)).collect();
    each(commits, |commit| {
        commit.new_files().try_for_each(|file| {
            let synced = synced.get(&Arc::as_ptr(&file.open_file()?.home));
            context(Doing::SyncFolder, file.folder(), synced.map_or_else(not_yet, |it| same(it)))
        })
    });
}

/// Until it is.
fn not_yet() -> io::Result<()> {
    Err(io::Error::other("it was not synced"))
}

/// An error for each whom it is about.
fn same(result: &Result<(), impl Borrow<io::Error>>) -> io::Result<()> {
    match result.as_ref().map_err(Borrow::borrow) {
        Ok(()) => Ok(()),
        Err(error) => Err(error
            .raw_os_error()
            .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)),
    }
}

impl File {
    fn rename(&mut self, store: &Inner, time: u64) -> Result<(), StoreError> {
        let folder = self.folder().to_owned();
        let file = self.open_file_mut()?;
        for _ in 0..NAMES_MAX {
            let name = format!("{time}_{}", store.names.next());
            match store.disk.rename(&file.home.tmp, &file.tmp_name, &file.home.dest, &name) {
                // Never over another file: ours gets another name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Its name in `tmp` was removed, or one of the folders.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    (file.final_name, file.is_lost) = (Some(name), true);
                    return Ok(());
                }
                moved => {
                    // An error does not always mean that it did not happen.
                    file.final_name = Some(name);
                    return context(Doing::Rename, &folder, moved);
                }
            }
        }
        context(Doing::ChooseName, &folder, Err(io::ErrorKind::AlreadyExists.into()))
    }

    fn is_in_place(&self, store: &Inner) -> Result<bool, StoreError> {
        let open = self.open_file()?;
        let is_in_place = context(
            Doing::CheckFolder,
            self.folder(),
            open.home.is_in_place(&store.disk, &store.root),
        )?;
        Ok(is_in_place && !open.is_lost)
    }

    /// What a sync of everything does not tell: that another one failed, or that the file system
    /// found no place for octets that it had taken.
    fn is_kept(&self, store: &Inner) -> Result<(), StoreError> {
        let open = self.open_file()?;
        if !open.home.on_root_fs || !store.syncfs.is_usable() {
            return Ok(());
        }
        context(
            Doing::SyncFileSystem,
            self.folder(),
            store.syncfs.none_failed_since(open.failures),
        )?;
        context(
            Doing::FindOctets,
            self.folder(),
            store.disk.has_no_holes(&open.handle, open.octets),
        )
    }

    /// Nothing of a refused message is left. What cannot be removed from `tmp` now is swept later;
    /// a file that a reader has moved meanwhile was seen, and will come again.
    pub(super) fn take_back(&self, store: &Inner) {
        store.folders.forget(self.target.place, self.folder());
        let Ok(file) = self.open_file() else { return };
        if let Some(name) = &file.final_name {
            let _ = store.disk.remove(&file.home.dest, name);
            // A failure here fails those too whose names are synced in the same folder.
            let sync = &file.home.dest_sync;
            let _ = sync
                .ticket(&store.disk, &file.home.dest)
                .and_then(|ticket| sync.sync(&store.disk, &ticket));
        }
        let _ = store.disk.remove(&file.home.tmp, &file.tmp_name);
    }
}
