//! The files of a mail folder: those of its mailboxes, and those of its queue.

use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of the queue for other servers.
const QUEUE: &str = ".OTHER_SERVERS";

/// A mail folder.
pub(crate) struct Folder {
    path: PathBuf,
}

/// A file with a message in it.
#[derive(Clone)]
pub(crate) struct File {
    pub path: PathBuf,
    /// The mailbox as its address has it; `None` in the queue.
    pub mailbox: Option<String>,
    /// When it came.
    pub time: SystemTime,
    /// Its size, in octets.
    pub size: u64,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl Folder {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The path of a file below the folder.
    pub(crate) fn below<'a>(&self, file: &'a File) -> &'a Path {
        file.path.strip_prefix(&self.path).unwrap_or(&file.path)
    }

    /// Its messages, in the order in which they came.
    pub(crate) fn files(&self) -> Result<Vec<File>, String> {
        let failed = |error: io::Error| format!("cannot read the mail folder {self}: {error}");
        fs::metadata(&self.path).map_err(failed)?;
        self.files_if_there()
    }

    /// The same; none if there is no such folder yet.
    pub(crate) fn files_if_there(&self) -> Result<Vec<File>, String> {
        let mut files = Vec::new();
        for entry in entries(&self.path)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == QUEUE {
                for domain in entries(&entry.path())? {
                    add(&domain.path(), None, &mut files)?;
                }
            } else if !name.starts_with('.') && entry.path().is_dir() {
                let mailbox = plain(&name);
                for place in ["new", "cur"] {
                    add(&entry.path().join(place), Some(&mailbox), &mut files)?;
                }
            }
        }
        files.sort_by(|one: &File, other| (one.time, &one.path).cmp(&(other.time, &other.path)));
        Ok(files)
    }
}

/// What is in a folder; nothing if it is gone.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, String> {
    let read = fs::read_dir(folder).and_then(Iterator::collect);
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        read => read.map_err(|error| format!("cannot read {}: {error}", folder.display())),
    }
}

fn add(folder: &Path, mailbox: Option<&str>, files: &mut Vec<File>) -> Result<(), String> {
    for entry in entries(folder)? {
        // It may be gone by now.
        let Ok(about) = entry.metadata() else { continue };
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if about.is_file() && !is_hidden {
            let time = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let (path, size) = (entry.path(), about.len());
            files.push(File { path, mailbox: mailbox.map(str::to_owned), time, size });
        }
    }
    Ok(())
}

/// A mailbox's name as its address has it: `docs/mailbox.md` has the rule.
fn plain(folder: &str) -> String {
    let (mut octets, mut rest) = (Vec::new(), folder.as_bytes());
    while let [octet, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *octet == b'%');
        let escaped = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => (octets.push(escaped), rest = after.get(2..).unwrap_or_default()).1,
            None => (octets.push(*octet), rest = after).1,
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Removes a message as a reader does. Tells whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool, String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("cannot remove {}: {error}", path.display())),
        Ok(()) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_s_name_is_read_as_its_mailbox() {
        for (folder, mailbox) in [
            ("alice@example.com", "alice@example.com"),
            ("a%20b", "a b"),
            ("%2e.%2fx", "../x"),
            ("100%", "100%"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(plain(folder), mailbox);
        }
    }
}
