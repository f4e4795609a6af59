//! Why the store refused: one type, for its callers and for its own steps.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::disk::FreeSpace;

/// Why the store did not do what it was asked. Nothing of a message is left.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// Too little space is free for a message to begin. The disk is full, or
    /// [`Options::free_bytes_min`](super::Options::free_bytes_min) is more than it has.
    Full(Shortage),
    /// Too many messages wait for the disk: it is slow, or it hangs.
    Busy,
    /// An operation of the file system failed. Mostly the disk or a quota is full
    /// ([`StoreError::is_full`]), a folder has another owner, or the disk is broken.
    Io {
        /// What was attempted.
        doing: Doing,
        /// The folder that it was for: the mail folder's path before the store is open, and
        /// afterwards a mailbox's or a domain's name. Empty if it was for no folder alone.
        folder: String,
        /// Why it failed.
        source: Arc<io::Error>,
        /// What was left when the disk was full.
        free: Option<FreeSpace>,
    },
}

/// What a disk has too little of for a message to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Octets, with no message.
    Octets {
        /// The octets that are free.
        free: u64,
    },
    /// Octets, with this message.
    Message {
        /// The octets that are free.
        free: u64,
        /// The octets of the message.
        octets: u64,
    },
    /// Files (inodes).
    Files {
        /// The files that can still be made.
        free: u64,
    },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets { free } => write!(f, "only {free} octets are free"),
            // Free space above the reserve would be no reason by itself.
            Self::Message { free, octets } => {
                write!(f, "only {free} octets are free, and the message has {octets}")
            }
            Self::Files { free } => write!(f, "only {free} files (inodes) are free"),
        }
    }
}

impl StoreError {
    /// Whether there is too little space, or a quota is used up: what the client hears is 452.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Busy => false,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
        }
    }

    /// For a caller whose callback was dropped without a call: no thread could be started for it.
    #[must_use]
    pub fn given_up() -> Self {
        Self::commit("the store has no thread for it")
    }

    /// A step of a commit panicked.
    pub(super) fn panicked() -> Self {
        Self::commit("a step of it panicked")
    }

    fn commit(why: &str) -> Self {
        Self::io(Doing::Commit, "", io::Error::other(why))
    }

    /// Nothing can be made in it any more, and a folder of its name is another one.
    pub(super) fn mail_folder_is_gone() -> Self {
        let error = io::Error::new(
            io::ErrorKind::NotFound,
            "the mail folder was removed; all mail is refused with 451 until the server is started \
             again",
        );
        Self::io(Doing::UseMailFolder, "", error)
    }

    /// A recipient's name, or its domain's, makes no folder's name.
    pub(super) fn unnamed() -> Self {
        let error = io::Error::new(
            io::ErrorKind::InvalidFilename,
            "a recipient's name, or its domain, cannot be the name of a folder",
        );
        Self::io(Doing::NameFolders, "", error)
    }

    fn io(doing: Doing, folder: &str, source: io::Error) -> Self {
        Self::Io { doing, folder: folder.to_owned(), source: Arc::new(source), free: None }
    }

    /// Whether a folder below the mail folder was removed while it was used.
    pub(super) fn is_missing_folder(&self) -> bool {
        matches!(self, Self::Io { doing, source, .. }
            if source.kind() == io::ErrorKind::NotFound && *doing != Doing::UseMailFolder)
    }

    /// Whether the process, or the system, has no descriptor left.
    pub(super) fn is_out_of_descriptors(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        let error = source.raw_os_error().map(Errno::from_raw_os_error);
        matches!(error, Some(Errno::MFILE | Errno::NFILE))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(shortage) => shortage.fmt(f),
            Self::Busy => f.write_str("too many messages wait for the disk"),
            Self::Io { doing, folder, source, free } => {
                let gap = if folder.is_empty() { "" } else { " " };
                write!(f, "cannot {doing}{gap}{folder}: {source}")?;
                free.map_or(Ok(()), |free| write!(f, "; {free}"))
            }
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full(_) | Self::Busy => None,
            Self::Io { source, .. } => Some(&**source),
        }
    }
}

/// An error of the file system, with what was attempted and for which folder.
pub(super) fn context<T>(
    doing: Doing,
    folder: &str,
    result: io::Result<T>,
) -> Result<T, StoreError> {
    result.map_err(|source| StoreError::io(doing, folder, source))
}

macro_rules! doings {
    ($( $name:ident $key:literal $words:literal; )*) => {
        /// What the store attempted. As text it goes with "cannot", and before a folder's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Doing {
            $( #[doc = concat!("To ", $words, " ...")] $name, )*
        }

        impl Doing {
            /// One word, for logs.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $( Self::$name => $key, )* }
            }
        }

        impl fmt::Display for Doing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( Self::$name => $words, )* })
            }
        }
    };
}

doings! {
    // At the start.
    OpenMailFolder "open_mail_folder" "open the mail folder";
    LockMailFolder "lock_mail_folder" "lock the mail folder";
    AskFreeSpace "ask_free_space" "ask for the free space of";
    DrawNames "draw_names" "draw random names for";

    // A message's folders.
    UseMailFolder "use_mail_folder" "use the mail folder";
    NameFolders "name_folders" "name the folders of a message";
    OpenFolder "open_folder" "open the folder";
    OpenTmp "open_tmp" "open tmp of";
    OpenCur "open_cur" "open cur of";
    OpenNew "open_new" "open new of";
    CheckFolder "check_folder" "check the folder";

    // Its files, in the order of a commit.
    CreateFile "create_file" "create a file in";
    WriteHeaders "write_headers" "write the headers of a file in";
    Write "write" "write to";
    Copy "copy" "copy the content to";
    FindFile "find_file" "find the open file of";
    SyncFile "sync_file" "sync a file in";
    ChooseName "choose_name" "find a free name in";
    Rename "rename" "move a message in";
    SyncFolder "sync_folder" "sync the folder";
    SyncFileSystem "sync_file_system" "sync the file system of";
    FindOctets "find_octets" "find all octets of a file in";
    Deliver "deliver" "deliver to";

    // All of it.
    Commit "commit" "commit a message";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors are equal if they say the same. For tests only: two errors of a disk are never one.
    impl PartialEq for StoreError {
        fn eq(&self, other: &Self) -> bool {
            self.to_string() == other.to_string()
        }
    }

    #[test]
    fn an_error_says_what_was_attempted_where_and_why() {
        let full = io::Error::from(Errno::NOSPC);
        let shown = format!("cannot sync the folder user: {full}");
        let error = context::<()>(Doing::SyncFolder, "user", Err(full)).unwrap_err();
        assert_eq!(error.to_string(), shown);
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(Errno::NOSPC.raw_os_error()));
        let panicked = StoreError::panicked();
        assert_eq!(panicked.to_string(), "cannot commit a message: a step of it panicked");
        assert!(StoreError::Busy.source().is_none());
    }

    #[test]
    fn the_errors_that_a_client_hears_as_452_are_those_of_space() {
        let of = |errno: Errno| context::<()>(Doing::Write, "user", Err(errno.into())).unwrap_err();
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert!(of(errno).is_full(), "{errno}");
        }
        for errno in [Errno::IO, Errno::ROFS, Errno::MFILE, Errno::ACCESS] {
            assert!(!of(errno).is_full(), "{errno}");
        }
        assert!(StoreError::Full(Shortage::Files { free: 0 }).is_full());
        assert!(!StoreError::Busy.is_full());
    }

    #[test]
    fn the_mail_folder_that_is_gone_is_not_looked_for_again() {
        let missing = io::ErrorKind::NotFound.into();
        assert!(
            context::<()>(Doing::OpenNew, "user", Err(missing)).unwrap_err().is_missing_folder()
        );
        assert!(!StoreError::mail_folder_is_gone().is_missing_folder());
    }
}
