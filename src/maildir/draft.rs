//! A message whose content is arriving.

use std::sync::Arc;

use super::file::{File, Message};
use super::form::targets;
use super::opening::Opening;
use super::{Inner, StoreError};

/// Whether a draft takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fill {
    /// It does.
    Room,
    /// Its memory is full: [`super::Store::spill`] it first.
    Full,
}

/// A message that is arriving. Dropping it leaves nothing of it.
pub struct Draft {
    /// The store that it is for.
    pub(super) store: Arc<Inner>,
    /// What all its files have in common.
    pub(super) message: Message,
    /// The files that it becomes, from the first spill on: what was spilled is in the first.
    pub(super) files: Vec<File>,
    /// The content so far, in octets.
    pub(super) octets: u64,
    /// The error of a spill: the commit reports it.
    pub(super) error: Option<StoreError>,
}

impl Draft {
    /// Takes content. It does no I/O.
    pub fn push(&mut self, content: &[u8]) -> Fill {
        self.octets += content.len() as u64;
        if self.error.is_some() {
            return Fill::Room;
        }
        let message = &mut self.message;
        message.memory.extend_from_slice(content);
        // While the opening is undecided all content is in memory: nothing was spilled.
        message.opening = message.opening.take().or_else(|| Opening::read(&message.memory, false));
        let is_full = message.memory.len() > self.store.options.memory_bytes_max;
        if is_full && message.opening.is_some() { Fill::Full } else { Fill::Room }
    }

    /// The octets of content so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Moves the content from memory to the first file.
    pub(super) fn spill(&mut self) {
        if self.message.opening.is_none() {
            return;
        }
        let store = Arc::clone(&self.store);
        let spilled = self.files().and_then(|()| match self.files.first_mut() {
            Some(file) => file.spill(&store, &self.message),
            None => Ok(()),
        });
        self.message.memory.clear();
        if let Err(error) = spilled {
            self.forget();
            store.after_an_error(&error);
            self.error = Some(store.with_free_space(error));
            self.message.memory = Vec::new();
        }
    }

    /// Names the files to be.
    pub(super) fn files(&mut self) -> Result<(), StoreError> {
        if self.files.is_empty() {
            let targets = targets(&self.message.envelope, self.store.options.naming)
                .ok_or_else(StoreError::unnamed)?;
            self.files = targets.into_iter().map(File::new).collect();
        }
        Ok(())
    }

    fn forget(&mut self) {
        for file in std::mem::take(&mut self.files) {
            if file.open_file().is_ok() {
                file.take_back(&self.store);
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let (store, files) = (Arc::clone(&self.store), std::mem::take(&mut self.files));
        if files.iter().any(|file| file.open_file().is_ok()) {
            // Not here: the thread that drops it must not wait for the disk.
            let pool = Arc::clone(&store.pool);
            pool.run(move || files.iter().for_each(|file| file.take_back(&store)));
        }
    }
}
