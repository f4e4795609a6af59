//! `--transcripts DIR`: each session as a dialogue that `postman fsm play` takes, in a file of its
//! own, when the session is over.
//!
//! A file is `2026-11-28T10-39-32.123Z-0001.smtp`: the time at which the server began, and the
//! session's id. It appears whole. One thread writes them, so that no session waits for the disk.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::STACK_BYTES;
use super::log;

/// The most dialogues that wait for the writer.
const WAITING_MAX: usize = 4096;
/// The longest dialogue, in octets; what follows is left out.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// Makes the folder of the transcripts, if it is not there.
///
/// # Errors
/// One line: what was attempted, and the cause.
pub fn make_folder(folder: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        format!("cannot make the folder for transcripts {}: {error}", folder.display())
    })
}

/// The thread that writes. Dropping it waits until all is written.
pub struct Transcripts {
    /// To the thread; `None` once it is to end.
    channel: Option<SyncSender<(String, String)>>,
    /// The thread.
    writer: Option<JoinHandle<()>>,
}

impl Transcripts {
    /// Starts it, for a folder that is there.
    ///
    /// # Errors
    /// One line: the thread could not be started.
    pub fn start(folder: PathBuf) -> Result<Self, String> {
        let (channel, dialogues) = sync_channel(WAITING_MAX);
        let begun = chrono::Utc::now().format("%Y-%m-%dT%H-%M-%S%.3fZ").to_string();
        let writer = thread::Builder::new()
            .name("transcripts".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || write(&folder, &begun, &dialogues))
            .map_err(|error| format!("cannot start the writer of transcripts: {error}"))?;
        Ok(Self { channel: Some(channel), writer: Some(writer) })
    }

    /// The transcript of a session that begins. `played_by` are the lines that name the files of
    /// definition and faults.
    pub(super) fn begin(
        &self,
        session: &str,
        client: Option<IpAddr>,
        played_by: &str,
    ) -> Transcript {
        let client = super::log::shown(client);
        Transcript {
            session: session.to_owned(),
            text: format!("# session {session} of {client}\n{played_by}"),
            is_full: false,
            channel: self.channel.clone(),
        }
    }
}

impl Drop for Transcripts {
    fn drop(&mut self) {
        self.channel = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Writes what arrives, until nobody is left to send.
fn write(folder: &Path, begun: &str, dialogues: &Receiver<(String, String)>) {
    for (session, text) in dialogues {
        if let Err(error) = write_one(folder, &format!("{begun}-{session}.smtp"), &text) {
            log::not_transcribed(&session, &error);
        }
    }
}

fn write_one(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}"));
    // Senders, recipients and content are not for every user of this host to read.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    fs::rename(unfinished, folder.join(name))
}

/// A session's dialogue so far. Dropping it hands it to the writer.
pub(super) struct Transcript {
    /// The session's id.
    session: String,
    /// Its lines.
    text: String,
    /// Whether the rest is left out.
    is_full: bool,
    /// To the writer.
    channel: Option<SyncSender<(String, String)>>,
}

impl Transcript {
    /// Adds a line.
    pub(super) fn write(&mut self, line: &str) {
        if !self.is_full {
            self.text += line;
            self.text.push('\n');
        }
    }

    /// What follows does not play: it is left out.
    pub(super) fn end(&mut self, why: &str) {
        self.write(&format!("# {why}"));
        self.is_full = true;
    }

    /// What the client has sent next begins here: from here on lines can be left out.
    pub(super) fn may_end(&mut self) {
        if !self.is_full && self.text.len() > TEXT_BYTES_MAX {
            self.end("the rest is left out");
        }
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if self.text.lines().all(|line| line.starts_with(['#', '!'])) {
            // Nothing was said: a handshake has failed.
            return;
        }
        let dialogue = (std::mem::take(&mut self.session), std::mem::take(&mut self.text));
        if let Some(channel) = self.channel.take()
            && let Err(lost) = channel.try_send(dialogue)
        {
            let (std::sync::mpsc::TrySendError::Full((session, _))
            | std::sync::mpsc::TrySendError::Disconnected((session, _))) = lost;
            log::not_transcribed(&session, &io::Error::other("too many wait for the disk"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_has_a_file_and_none_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let client = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..2 {
            let transcripts = Transcripts::start(folder.path().to_owned()).unwrap();
            for session in ["0001", "0002"] {
                transcripts.begin(session, client, "").write("S: 220");
            }
            drop(transcripts);
            // The next server begins in another millisecond.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 4, "{files:?}");
        for file in files {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(text.ends_with(" of 127.0.0.1\nS: 220\n"), "{text}");
        }
    }

    #[test]
    fn a_long_dialogue_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let transcripts = Transcripts::start(folder.path().to_owned()).unwrap();
        let mut transcript = transcripts.begin("0001", None, "");
        for _ in 0..100 {
            transcript.may_end();
            transcript.write(&"x".repeat(1 << 20));
        }
        assert!(transcript.text.len() < TEXT_BYTES_MAX + (2 << 20));
        assert!(transcript.text.ends_with("# the rest is left out\n"));
    }
}
