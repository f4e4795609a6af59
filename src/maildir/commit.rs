//! **250 after the dot means: for every recipient, the whole message is on stable storage under
//! its final name.** This file is that sentence, line by line.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::disk::Disk as _;
use super::file::{File, Message};
use super::{Fault, Inner, at};

/// So often another name is tried where a file has ours.
const NAMES_MAX: usize = 16;

/// Makes the message safe in each of these files, or leaves nothing of it.
pub(super) fn commit(store: &Arc<Inner>, message: &Arc<Message>, mut files: Vec<File>) -> Result<(), Fault> {
    let kept = catch_unwind(AssertUnwindSafe(|| keep(store, message, &mut files)));
    let kept = kept.unwrap_or_else(|_| Err(Fault::panic()));
    if let Err(fault) = &kept {
        for file in &files {
            file.take_back(store);
        }
        store.after_a_fault(fault);
    }
    kept
}

fn keep(store: &Arc<Inner>, message: &Arc<Message>, files: &mut Vec<File>) -> Result<(), Fault> {
    // 1. Each file, whole and synced, in a tmp folder: no reader looks there.
    let whole = Arc::clone(message);
    each(store, files, move |store, file| {
        file.write(store, &whole)?;
        file.sync(store)
    })?;
    // 2. Each under its final name. A reader that meets it now meets all of it.
    for file in &mut *files {
        file.rename(store, message.time)?;
    }
    // 3. The names are safe too.
    each(store, files, |store, file| file.sync_name(store))
}

/// One recipient's work is done here; that of many by all threads that are free, so that they wait for
/// the disk at the same time.
fn each(
    store: &Arc<Inner>,
    files: &mut Vec<File>,
    work: impl Fn(&Inner, &mut File) -> Result<(), Fault> + Send + Sync + 'static,
) -> Result<(), Fault> {
    if let [file] = files.as_mut_slice() {
        return work(store, file);
    }
    let (pool, store) = (&store.pool, Arc::clone(store));
    let (back, result) = pool.together(std::mem::take(files), Fault::panic, move |file: &mut File| work(&store, file));
    *files = back;
    result
}

impl File {
    fn sync(&self, store: &Inner) -> Result<(), Fault> {
        let synced = self.begun()?;
        at("sync a file in", self.folder(), store.disk.sync_file(&synced.handle))
    }

    fn rename(&mut self, store: &Inner, time: u64) -> Result<(), Fault> {
        let folder = self.folder().to_owned();
        let file = self.begun_mut()?;
        file.failures = file.home.last_sync.failures();
        for _ in 0..NAMES_MAX {
            let name = format!("{time}_{}", store.names.next());
            match store.disk.rename(&file.home.tmp, &file.tmp_name, &file.home.last, &name) {
                // Never over another file: ours gets another name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                moved => {
                    // An error does not always mean that it did not happen.
                    file.last_name = Some(name);
                    return at("move a message in", &folder, moved);
                }
            }
        }
        at("find a name in", &folder, Err(io::ErrorKind::AlreadyExists.into()))
    }

    fn sync_name(&self, store: &Inner) -> Result<(), Fault> {
        let file = self.begun()?;
        let synced = file.home.last_sync.wait(file.failures, || store.disk.sync_folder(&file.home.last));
        at("sync the folder", self.folder(), synced)
    }

    /// Nothing of a refused message is left. What cannot be removed from `tmp` now is swept later; a
    /// file that a reader has moved meanwhile was seen, and will come again.
    pub(super) fn take_back(&self, store: &Inner) {
        store.folders.forget(self.target.place, self.folder());
        let Ok(file) = self.begun() else { return };
        if let Some(name) = &file.last_name {
            let _ = store.disk.remove(&file.home.last, name);
            let _ = store.disk.sync_folder(&file.home.last);
        }
        let _ = store.disk.remove(&file.home.tmp, &file.tmp_name);
    }
}
