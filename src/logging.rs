//! The log: one line an event, to the console and to any number of files, each with its level.
//!
//! Times are UTC, to the millisecond, so that neither the environment nor daylight saving changes
//! them.
//!
//! Lines go through a bounded channel to one thread that writes them, so that neither a slow
//! disk nor a full one stops a session. Lines that find the channel full are counted, and the
//! count is logged when there is room again.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::Log;

/// The most lines that wait for the writer.
const LINES_MAX: usize = 4096;
/// Lines that arrive within this time are written together.
const GATHER: Duration = Duration::from_millis(2);
/// How long shutdown waits for queued log lines.
const END_SECONDS_MAX: Duration = Duration::from_secs(5);
/// The most octets of a hostile text that are shown.
const SHOWN_BYTES_MAX: usize = 256;

/// The writer's stack, in octets. Set here, since an environment variable would set it otherwise.
const STACK_BYTES: usize = 1 << 20;

enum Message {
    /// A line for one of the outputs; 0 is the console.
    Line(usize, String),
    Wake,
    End,
}

struct Sink {
    /// To the thread that writes.
    channel: SyncSender<Message>,
    /// The output: 0 is the console.
    number: usize,
    /// Lines that found the channel full and are not reported yet.
    lost: &'static AtomicU64,
}

static LOST: AtomicU64 = AtomicU64::new(0);

impl log::Log for Sink {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{}\n", record.args());
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let line = if lost > 0 { format!("({lost} lines were lost here)\n{line}") } else { line };
        if self.channel.try_send(Message::Line(self.number, line)).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// The running log. Dropping it writes the queued lines.
#[derive(Debug)]
pub struct Logging {
    /// To the thread that writes.
    channel: SyncSender<Message>,
    /// Not a message of the channel, since a full channel would lose it.
    reopen: Arc<AtomicBool>,
    /// That thread.
    writer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Senders and recipients are not for every user of this host to read.
    options.append(true).mode(0o640);
    options
}

fn open(path: &Path) -> io::Result<File> {
    options().create(true).open(path)
}

/// The log's files, open. Dropping them removes those that were made here and have no line yet.
#[derive(Debug)]
pub struct LogFiles {
    /// The files, in the order of the configuration.
    files: Vec<(PathBuf, File)>,
    /// Those that were missing.
    made: Vec<PathBuf>,
}

impl LogFiles {
    /// Opens the files of a log; those that are missing are made.
    ///
    /// # Errors
    /// A file that cannot be opened, by name.
    pub fn open(log: &Log) -> Result<Self, String> {
        let mut opened = Self { files: Vec::new(), made: Vec::new() };
        for (path, _) in &log.files {
            let file = match options().create_new(true).open(path) {
                Ok(file) => {
                    opened.made.push(path.clone());
                    Ok(file)
                }
                Err(_) => open(path),
            };
            let file = file.map_err(|error| {
                let folder = path
                    .parent()
                    .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
                let missing = folder.map_or_else(String::new, |folder| {
                    format!("; there is no folder {}", folder.display())
                });
                format!("cannot open the log {}: {error}{missing}", path.display())
            })?;
            opened.files.push((path.clone(), file));
        }
        Ok(opened)
    }

    /// Starts the log that these are the files of.
    ///
    /// # Errors
    /// A log that runs already.
    pub fn start(mut self, log: &Log) -> Result<Logging, String> {
        self.made.clear();
        Logging::start(log, std::mem::take(&mut self.files))
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        for path in &self.made {
            if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Logging {
    fn start(log: &Log, files: Vec<(PathBuf, File)>) -> Result<Self, String> {
        let (channel, messages) = sync_channel(LINES_MAX);
        let mut dispatch = fern::Dispatch::new().format(|out, message, record| {
            out.finish(format_args!(
                "{} {:<5} {message}",
                chrono::Utc::now().format("%F %T%.3f"),
                record.level()
            ));
        });
        // Only our own lines: those of libraries have another form.
        let levels =
            std::iter::once(log.console_level).chain(log.files.iter().map(|(_, level)| *level));
        for (number, level) in levels.enumerate() {
            let output: Box<dyn log::Log> =
                Box::new(Sink { channel: channel.clone(), number, lost: &LOST });
            let only_ours = |metadata: &log::Metadata<'_>| metadata.target().starts_with("postman");
            dispatch = dispatch
                .chain(fern::Dispatch::new().level(level.0).filter(only_ours).chain(output));
        }
        dispatch.apply().map_err(|error| format!("cannot start the log: {error}"))?;
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        let named = thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
        let writer = named.spawn(move || write(&messages, files, &asked));
        let writer = writer.map_err(|error| format!("cannot start the log: {error}"))?;
        Ok(Self { channel, reopen, writer: Some(writer) })
    }

    /// Opens the files again, for rotation.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::SeqCst);
        let _ = self.channel.try_send(Message::Wake);
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let until = Instant::now() + END_SECONDS_MAX;
        let is_finished =
            |writer: &Option<JoinHandle<()>>| writer.as_ref().is_none_or(JoinHandle::is_finished);
        // A log disk that hangs must not keep a server from stopping.
        while !is_finished(&self.writer) && Instant::now() < until {
            let _ = self.channel.try_send(Message::End);
            thread::sleep(GATHER);
        }
        if is_finished(&self.writer)
            && let Some(writer) = self.writer.take()
        {
            let _ = writer.join();
        }
    }
}

/// Writes the lines, many at once: a wake of this thread and a write cost a session more than its
/// line does.
fn write(messages: &Receiver<Message>, files: Vec<(PathBuf, File)>, reopen: &AtomicBool) {
    let mut outputs = Outputs { console: Vec::new(), files, waiting: Vec::new(), told: false };
    outputs.waiting.resize_with(outputs.files.len(), Vec::new);
    while let Ok(first) = messages.recv() {
        // The end does not wait for more lines.
        if !matches!(first, Message::End) {
            thread::sleep(GATHER);
        }
        for message in std::iter::once(first).chain(messages.try_iter().take(LINES_MAX)) {
            match message {
                Message::Line(0, line) => outputs.console.extend_from_slice(line.as_bytes()),
                Message::Line(number, line) => {
                    if let Some(waiting) = outputs.waiting.get_mut(number - 1) {
                        waiting.extend_from_slice(line.as_bytes());
                    }
                }
                Message::Wake => {}
                Message::End => {
                    outputs.flush();
                    return;
                }
            }
        }
        outputs.flush();
        if reopen.swap(false, Ordering::SeqCst) && outputs.reopen() {
            log::info!("- logs reopened");
        }
    }
}

struct Outputs {
    /// The lines that wait for standard error.
    console: Vec<u8>,
    /// The files, with their paths, to open them again.
    files: Vec<(PathBuf, File)>,
    /// The lines that wait for each file.
    waiting: Vec<Vec<u8>>,
    /// Whether an error of a file was reported since the files were opened.
    told: bool,
}

impl Outputs {
    fn flush(&mut self) {
        let _ = io::stderr().write_all(&self.console);
        self.console.clear();
        for ((_, file), waiting) in self.files.iter_mut().zip(&mut self.waiting) {
            let result = file.write_all(waiting);
            waiting.clear();
            if let (Err(error), false) = (result, self.told) {
                // Once: a full log disk must not fill the console too.
                self.told = true;
                let _ = writeln!(io::stderr(), "postman: cannot write to a log: {error}");
            }
        }
    }

    /// Whether all could be opened. A line says of each other one that it could not.
    fn reopen(&mut self) -> bool {
        let mut all = true;
        for (path, file) in &mut self.files {
            match open(path) {
                Ok(opened) => *file = opened,
                // The old file is better than none.
                Err(error) => {
                    all = false;
                    log::error!(
                        "- cannot reopen the log {}: {error}; its old file is written to",
                        escape(&path.display().to_string())
                    );
                }
            }
        }
        self.told = false;
        all
    }
}

/// Hostile text made fit for one log line: printable ASCII without quotes, and bounded.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut shown = String::new();
    for octet in text.bytes().take(SHOWN_BYTES_MAX) {
        match octet {
            b'"' | b'\\' => {
                let _ = write!(shown, "\\{}", char::from(octet));
            }
            b' '..=b'~' => shown.push(char::from(octet)),
            _ => {
                let _ = write!(shown, "\\x{octet:02x}");
            }
        }
    }
    if text.len() > SHOWN_BYTES_MAX {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_adds_no_line_and_closes_no_quote() {
        assert_eq!(escape("a\"\r\n\u{1b}[2J\\é"), "a\\\"\\x0d\\x0a\\x1b[2J\\\\\\xc3\\xa9");
        assert_eq!(escape(&"x".repeat(1000)).len(), SHOWN_BYTES_MAX + 3);
    }
}
