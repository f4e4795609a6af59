//! One file on its way: its headers, then the content, from memory or from the file into which it
//! was written while it came.

use std::io;
use std::sync::Arc;

use crate::smtp::envelope::{Envelope, Place};

use super::disk::{Disk as _, Handle, write_all};
use super::folders::Home;
use super::form::{Head, LineEnds, Target};
use super::opening::Opening;
use super::{Delivered, Doing, Inner, QUEUE, StoreError, context};

/// How much is copied and written at once, in octets.
const PIECE_BYTES: usize = 64 * 1024;

/// What all files of a message have in common.
pub(super) struct Message {
    /// Its sender and its recipients.
    pub envelope: Arc<Envelope>,
    /// When it arrived, in seconds of Unix time.
    pub time: u64,
    /// How the content begins, once that is known; nothing of it goes to a file before.
    pub opening: Option<Opening>,
    /// The content; if there is a spool, what follows it.
    pub memory: Vec<u8>,
    /// The content that is in the first file already.
    pub spool: Option<Spool>,
}

/// Content that is in the first file already.
pub(super) struct Spool {
    /// That file.
    handle: Handle,
    /// Where the content starts in it, in octets.
    from: u64,
    /// Where the content ends in it, so far.
    to: u64,
    /// [`OpenFile::failures`] of that file.
    failures: u64,
    /// Set where its line ends are converted already: what waits at its end.
    ends: Option<LineEnds>,
}

/// A file: in `tmp`, then under its final name.
pub(super) struct File {
    /// Its folder, and the recipients that it is for.
    pub target: Target,
    /// The file on the disk, once it was made.
    open: Option<OpenFile>,
    /// Whether it is on stable storage under its final name.
    pub is_safe: bool,
}

pub(super) struct OpenFile {
    /// The folders that it is written to.
    pub home: Arc<Home>,
    /// Its name in `tmp`.
    pub tmp_name: String,
    /// Its name in `new` or in the queue, from the attempt to move it there on.
    pub final_name: Option<String>,
    /// Its folder, or its name in `tmp`, was removed before it could be moved.
    pub is_lost: bool,
    /// The file.
    pub handle: Handle,
    /// The failed syncs of everything before it was made.
    pub failures: u64,
    /// What goes with the next write.
    out: Vec<u8>,
    /// The octets that were written.
    pub octets: u64,
    /// Where the content starts, in octets.
    content_at: u64,
    /// The octets of content that are still to be written after the headers.
    replaced: usize,
    /// Converts line ends; `None` if they stay as they came.
    ends: Option<LineEnds>,
}

impl File {
    pub(super) fn new(target: Target) -> Self {
        Self { target, open: None, is_safe: false }
    }

    pub(super) fn folder(&self) -> &str {
        &self.target.folder
    }

    /// An error only where the order of the commit is broken.
    pub(super) fn open_file(&self) -> Result<&OpenFile, StoreError> {
        context(
            Doing::FindFile,
            &self.target.folder,
            self.open.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into()),
        )
    }

    pub(super) fn open_file_mut(&mut self) -> Result<&mut OpenFile, StoreError> {
        context(
            Doing::FindFile,
            &self.target.folder,
            self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into()),
        )
    }

    /// Where it is, and for whom; `None` before its final name is known.
    pub(super) fn delivered(&self) -> Option<Delivered> {
        let Target { place, folder, numbers, .. } = &self.target;
        let name = self.open.as_ref()?.final_name.as_ref()?;
        let path = match place {
            Place::Local => format!("{folder}/new/{name}"),
            Place::Remote => format!("{QUEUE}/{folder}/{name}"),
        };
        Some(Delivered { path, recipients: numbers.clone() })
    }

    /// Nothing of it is left, and it is written again from the start, where its name leads now.
    pub(super) fn start_over(&mut self, store: &Inner) {
        self.take_back(store);
        (self.open, self.is_safe) = (None, false);
    }

    /// Writes all of the message that is not written yet.
    pub(super) fn write(
        &mut self,
        store: &Arc<Inner>,
        message: &Message,
    ) -> Result<(), StoreError> {
        if self.open.is_none() {
            self.open(store, message)?;
            if let Some(spool) = &message.spool {
                context(
                    Doing::Copy,
                    &self.target.folder,
                    self.open.as_mut().map_or(Ok(()), |file| file.copy(store, spool)),
                )?;
            }
        }
        let Self { target, open: Some(file), .. } = self else { return Ok(()) };
        file.put(&message.memory);
        if let Some(ends) = &mut file.ends {
            ends.finish(&mut file.out);
        }
        context(Doing::Write, &target.folder, file.flush(store))
    }

    /// Writes content while it comes.
    pub(super) fn spill(
        &mut self,
        store: &Arc<Inner>,
        message: &Message,
    ) -> Result<(), StoreError> {
        if self.open.is_none() {
            self.open(store, message)?;
        }
        let Self { target, open: Some(file), .. } = self else { return Ok(()) };
        file.put(&message.memory);
        context(Doing::Write, &target.folder, file.flush(store))
    }

    /// The content that is in this file already, for others to copy.
    pub(super) fn spooled(&self) -> Option<Spool> {
        let file = self.open.as_ref()?;
        Some(Spool {
            handle: file.handle.clone(),
            from: file.content_at,
            to: file.octets,
            failures: file.failures,
            ends: file.ends.clone(),
        })
    }

    fn open(&mut self, store: &Arc<Inner>, message: &Message) -> Result<(), StoreError> {
        let Target { place, folder, .. } = &self.target;
        let (disk, format) = (&store.disk, store.options.format);
        let tmp_name = store.tmp_name();
        // A copy is as good as what it is copied from.
        let failures =
            message.spool.as_ref().map_or_else(|| store.syncfs.failures(), |spool| spool.failures);
        let mut home = store.folders.home(store, *place, folder)?;
        let mut created = disk.create(&home.tmp, &tmp_name);
        if matches!(&created, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            // The folder that was held is gone: it is made again.
            store.folders.forget(*place, folder);
            home = store.folders.home(store, *place, folder)?;
            created = disk.create(&home.tmp, &tmp_name);
        }
        if created.is_err() {
            // An error does not always mean that it did not happen.
            let _ = disk.remove(&home.tmp, &tmp_name);
        }
        let handle = context(Doing::CreateFile, folder, created)?;
        let opening = message.opening.as_ref();
        let opening = context(
            Doing::WriteHeaders,
            folder,
            opening.ok_or_else(|| io::ErrorKind::InvalidInput.into()),
        )?;
        let head =
            self.target.head(&message.envelope, message.time, &store.options.host, format, opening);
        let Head { text: out, replaced } = head;
        self.open = Some(OpenFile {
            home,
            tmp_name,
            final_name: None,
            is_lost: false,
            handle,
            failures,
            octets: 0,
            content_at: out.len() as u64,
            out,
            replaced,
            ends: (!self.target.keeps_line_ends(format)).then(LineEnds::default),
        });
        Ok(())
    }
}

impl OpenFile {
    fn put(&mut self, content: &[u8]) {
        let replaced = self.replaced.min(content.len());
        self.replaced -= replaced;
        let content = content.get(replaced..).unwrap_or_default();
        self.out.reserve(content.len());
        match &mut self.ends {
            Some(ends) => ends.convert(content, &mut self.out),
            None => self.out.extend_from_slice(content),
        }
    }

    fn flush(&mut self, store: &Inner) -> io::Result<()> {
        write_all(&store.disk, &self.handle, &self.out)?;
        self.octets += self.out.len() as u64;
        // Of a thousand sessions that wait none keeps a buffer.
        self.out = Vec::new();
        Ok(())
    }

    fn copy(&mut self, store: &Inner, spool: &Spool) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut offset = spool.from;
        while offset < spool.to {
            let wanted = usize::try_from(spool.to - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let read = store.disk.read(
                &spool.handle,
                piece.get_mut(..wanted).unwrap_or_default(),
                offset,
            )?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let content = piece.get(..read).unwrap_or_default();
            if spool.ends.is_some() {
                self.out.extend_from_slice(content);
            } else {
                self.put(content);
            }
            self.flush(store)?;
            offset += read as u64;
        }
        if spool.ends.is_some() {
            self.ends.clone_from(&spool.ends);
            self.replaced = 0;
        }
        Ok(())
    }
}
