//! **250 after the dot means: for every recipient, the whole message is on stable storage under
//! its final name.** This file is that sentence, line by line.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::disk::{Disk, folder, write_all};
use super::form::{LineEnds, Target, targets};
use super::{Draft, Inner, QUEUE};
use crate::smtp::envelope::Place;

/// How much is read of a spooled content at once, in octets.
const PIECE_BYTES: usize = 64 * 1024;
/// So often another name is tried where a file has ours.
const NAMES_MAX: usize = 16;

/// A file on its way: in `tmp`, then under its final name.
struct Written {
    tmp: OwnedFd,
    tmp_name: String,
    last: OwnedFd,
    last_name: Option<String>,
}

/// What was attempted, and why it failed.
pub(super) struct Fault {
    pub what: String,
    pub error: io::Error,
}

fn at<T>(what: impl Into<String>, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(|error| Fault { what: what.into(), error })
}

/// Makes the message safe for every recipient, or leaves nothing of it.
pub(super) fn commit(store: &Inner, draft: &Draft) -> Result<(), Fault> {
    let disk = &*store.disk;
    let mut written = Vec::new();
    let result = write_and_move(store, disk, draft, &mut written);
    if result.is_err() {
        // Nothing of a refused message is left. What cannot be removed now is swept later; a
        // file that a reader has moved meanwhile was seen, and will come again.
        for file in &written {
            if let Some(name) = &file.last_name {
                let _ = disk.remove(file.last.as_fd(), name);
                let _ = disk.sync(file.last.as_fd());
            }
            let _ = disk.remove(file.tmp.as_fd(), &file.tmp_name);
        }
    }
    result
}

fn write_and_move(store: &Inner, disk: &dyn Disk, draft: &Draft, written: &mut Vec<Written>) -> Result<(), Fault> {
    let unnamed = || io::Error::new(io::ErrorKind::InvalidFilename, "the name fits no path component");
    let targets = at("name the folders", targets(&draft.envelope).ok_or_else(unnamed))?;
    // 1. Each file, whole and synced, in a tmp folder: no reader looks there.
    for target in &targets {
        write(store, disk, draft, target, written)?;
    }
    // 2. Each under its final name. A reader that meets it now meets all of it.
    for file in &mut *written {
        at("move the message", move_file(disk, draft.time, file))?;
    }
    // 3. The names are safe too.
    for file in &*written {
        at("sync the folder", disk.sync(file.last.as_fd()))?;
    }
    Ok(())
}

fn write(
    store: &Inner,
    disk: &dyn Disk,
    draft: &Draft,
    target: &Target,
    written: &mut Vec<Written>,
) -> Result<(), Fault> {
    let what = |doing: &str| format!("{doing} {}", target.folder);
    let base = match target.place {
        Place::Local => at("open the maildir", store.root.try_clone())?,
        Place::Remote => at(what("open the queue of"), folder(disk, &store.durable, store.root.as_fd(), QUEUE))?,
    };
    let path = match target.place {
        Place::Local => target.folder.clone(),
        Place::Remote => format!("{QUEUE}/{}", target.folder),
    };
    let open = |at: &OwnedFd, path: &str| folder(disk, &store.durable, at.as_fd(), path);
    let home = at(what("open the folder"), open(&base, &path))?;
    let tmp = at(what("open tmp of"), open(&home, &format!("{path}/tmp")))?;
    let last = match target.place {
        Place::Remote => home,
        Place::Local => {
            at(what("open cur of"), open(&home, &format!("{path}/cur")))?;
            at(what("open new of"), open(&home, &format!("{path}/new")))?
        }
    };
    let tmp_name = store.tmp_name();
    let file = at(what("create a file in"), disk.create(tmp.as_fd(), &tmp_name))?;
    written.push(Written { tmp, tmp_name, last, last_name: None });
    at(what("write to"), fill(store, disk, draft, target, &file))?;
    at(what("sync a file in"), disk.sync(file.as_fd()))
}

/// Headers, then the content: from the spool what was spooled, then what is in memory.
fn fill(store: &Inner, disk: &dyn Disk, draft: &Draft, target: &Target, file: &OwnedFd) -> io::Result<()> {
    let format = store.options.format;
    let mut ends = (!target.keeps_line_ends(format)).then(LineEnds::default);
    let headers = target.headers(&draft.envelope, draft.time, &store.options.host, format, &draft.begin);
    let mut out = headers.into_bytes();
    let mut put = |content: &[u8], out: &mut Vec<u8>| match &mut ends {
        Some(ends) => ends.convert(content, out),
        None => out.extend_from_slice(content),
    };
    if let Some((spool, octets)) = &draft.spool {
        let mut piece = vec![0; PIECE_BYTES];
        let mut offset = 0;
        while offset < *octets {
            let read = disk.read(spool.as_fd(), &mut piece, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            put(piece.get(..read).unwrap_or_default(), &mut out);
            write_all(disk, file, &out)?;
            out.clear();
            offset += read as u64;
        }
    }
    put(&draft.memory, &mut out);
    if let Some(ends) = &mut ends {
        ends.finish(&mut out);
    }
    write_all(disk, file, &out)
}

fn move_file(disk: &dyn Disk, time: u64, file: &mut Written) -> io::Result<()> {
    for _ in 0..NAMES_MAX {
        let name = format!("{time}_{}", super::random()?);
        match disk.rename(file.tmp.as_fd(), &file.tmp_name, file.last.as_fd(), &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                // An error does not always mean that it did not happen.
                file.last_name = Some(name);
                return Err(error);
            }
            Ok(()) => {
                file.last_name = Some(name);
                return Ok(());
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
