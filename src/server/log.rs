//! What the server logs: one line an event, in one grammar. What is logged of a session is counted
//! here, too (`counters.rs`).
//!
//! ```text
//! 0001 connect client=192.0.2.7
//! 0001 refused code=550 line="RCPT TO:<bob@example.org>" reply="5.1.1 No such user here"
//! 0001 message id=0001-1 from=<a@x.org> rcpts=1 size=1834 message_id="<1@x.org>" result=250 to=<user@example.org> file=user/new/1608416175_27
//! 0001 disconnect
//! ```
//!
//! First the session's id, or `-` for what belongs to no session; then the event, and `key=value`.
//! What a client sent is escaped, and bounded: a message with many recipients goes on in lines with
//! the event `files`, so that each recipient is named and no line is long.

use std::io;
use std::net::IpAddr;

use ::log::{Level, debug, error, info, log_enabled, warn};

use super::certificates::About;
use super::counters::Tally;
use super::dialogues::Kept;
use super::terms::Terms;
use super::trace::{TARGET, Trace};
use super::transcript::Transcripts;
use crate::config::Config;
use crate::logging::escape;
use crate::maildir::{Delivered, StoreError};
use crate::smtp::envelope::{Encryption, Envelope};
use crate::smtp::reply::{self, Reply};
use crate::smtp::session::{Client, Fired, Input, LineEnd, Refused, Step};

pub mod swap;
mod transaction;

use transaction::Transaction;

/// The most refused commands that are logged for a session; one more line says that the rest is
/// left out.
const REFUSALS_LOGGED: u32 = 50;

/// What the session calls the content of a message that it refused.
const CONTENT: &str = "(the message)";
/// What is refused of a client that is not served.
const CONNECTION: &str = "(the connection)";

/// The log of one session.
pub(super) struct SessionLog {
    /// The session's id, which begins each of its lines.
    id: String,
    /// Refused commands so far.
    refused: u32,
    /// The line that the next reply answers, as the client sent it.
    line: Vec<u8>,
    /// The line that the next reply refuses.
    refusal: Option<String>,
    /// The message that is open.
    message: Option<Box<Transaction>>,
    /// Whether the line is encrypted.
    is_encrypted: bool,
    /// The last reply, if it was a refusal.
    last: Option<String>,
    /// Whether the server ends the session.
    closes: bool,
    /// The dialogue: for the log, at the level `trace`, and for `--transcripts`.
    traces: Vec<Trace>,
    /// What is counted.
    tally: Tally,
}

/// A reply as the log shows it, without its code.
fn words(reply: &Reply) -> String {
    let gap = if reply.enhanced.is_empty() { "" } else { " " };
    escape(&format!("{}{gap}{}", reply.enhanced, reply.lines.join(" / ")))
}

/// A client's address; one on a unix socket has none.
pub(super) fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}

impl SessionLog {
    /// The log of a client that has connected.
    pub(super) fn new(
        client: &Client,
        terms: &Terms,
        transcripts: Option<&Transcripts>,
        dialogue: Kept,
    ) -> Self {
        let config = &terms.config;
        info!("{} connect client={}", client.id, shown(client.address));
        let mut traces = Vec::new();
        if log_enabled!(target: TARGET, Level::Trace) {
            traces.push(Trace::new(client, config, &terms.settings));
        }
        if let Some(transcripts) = transcripts {
            traces.push(Trace::transcript(transcripts, client, config, terms));
        }
        if dialogue.is_kept() {
            traces.push(Trace::live(dialogue.clone(), client, config, &terms.settings));
        }
        let mut tally = Tally::begin(&terms.counters, dialogue);
        if client.refused {
            let line = CONNECTION.to_owned();
            tally.refused(&Refused { line, event: None, code: reply::no_service().code });
        }
        Self {
            id: client.id.clone(),
            refused: 0,
            line: Vec::new(),
            refusal: client.refused.then(|| CONNECTION.to_owned()),
            message: None,
            is_encrypted: false,
            last: None,
            closes: false,
            traces,
            tally,
        }
    }

    pub(super) fn input(&mut self, input: &Input<'_>) {
        for trace in &mut self.traces {
            trace.input(input);
        }
    }

    /// The line is encrypted from now on.
    pub(super) fn encrypted(&mut self, how: Option<Encryption>, name: Option<&str>) {
        self.is_encrypted = true;
        let Some(Encryption { version, cipher }) = how else { return };
        let name = name.map_or_else(String::new, |name| format!(" name=\"{}\"", escape(name)));
        info!("{} encrypted version={version} cipher={cipher}{name}", self.id);
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    pub(super) fn handshake_failed(&self, why: &str) {
        info!("{} handshake failed=\"{}\"", self.id, escape(why));
    }

    pub(super) fn line(&mut self, line: Vec<u8>, end: LineEnd) {
        // Once a message is open only its end is a line.
        if let Some(message) = &mut self.message {
            message.is_whole = true;
        }
        for trace in &mut self.traces {
            trace.line(&line, end, self.message.is_some());
        }
        self.line = line;
        self.tally.line();
    }

    pub(super) fn refused(&mut self, refused: Refused) {
        self.tally.refused(&refused);
        self.refusal = Some(refused.line);
    }

    pub(super) fn step(&mut self, step: &Step) {
        self.tally.step(step);
        debug!(
            "{} {} --{}--> {} {} {}",
            self.id, step.from, step.event, step.to, step.action, step.code
        );
        // A row that refuses its command is a refusal like any other.
        if step.code >= 400 && self.refusal.is_none() {
            self.refusal = Some(String::from_utf8_lossy(&self.line).into_owned());
        }
    }

    pub(super) fn open(&mut self, envelope: &Envelope) {
        for trace in &mut self.traces {
            trace.open();
        }
        let recipients =
            envelope.recipients.iter().map(|recipient| escape(&recipient.mailbox.to_string()));
        self.message = Some(Box::new(Transaction {
            id: envelope.id.clone(),
            sender: escape(&envelope.sender.to_string()),
            recipients: recipients.collect(),
            ..Transaction::default()
        }));
    }

    pub(super) fn content(&mut self, content: &[u8]) {
        if let Some(message) = &mut self.message {
            message.octets += content.len() as u64;
            message.message_id.scan(content);
        }
        for trace in &mut self.traces {
            trace.content(content);
        }
    }

    /// The octets of the open message's content so far.
    pub(super) fn octets_of_content(&self) -> u64 {
        self.message.as_ref().map_or(0, |message| message.octets)
    }

    pub(super) fn delivered(&mut self, files: Vec<Delivered>) {
        self.tally.stored();
        if let Some(message) = &mut self.message {
            message.files = files;
        }
    }

    /// The store refused. What an operator can change is named: the key, and the folder.
    pub(super) fn not_stored(&self, error: &StoreError, config: &Config) {
        let is_shortage = error.is_full() || matches!(error, StoreError::Busy);
        if is_shortage && self.refused >= REFUSALS_LOGGED {
            return;
        }
        let (id, root) = (&self.id, escape(&config.maildir_path.display().to_string()));
        match error {
            StoreError::Full(shortage) => error!(
                "{id} store error=\"{shortage}\" free_bytes_min={} maildir_path=\"{root}\"",
                config.free_bytes_min
            ),
            StoreError::Busy => error!(
                "{id} store error=\"{error}\" commits_waiting_max={}",
                config.commits_waiting_max
            ),
            StoreError::Io { doing, folder, source, free } => {
                let mut keys = format!(" doing={}", doing.key());
                if !folder.is_empty() {
                    keys += &format!(" folder=\"{}\"", escape(folder));
                }
                if error.is_full() {
                    keys += &format!(" free_bytes_min={}", config.free_bytes_min);
                }
                let mut cause = source.to_string();
                if let Some(free) = free {
                    cause += &format!("; {free}");
                }
                let cause = escape(&cause);
                error!("{id} store error=\"{cause}\"{keys} maildir_path=\"{root}\"");
            }
        }
    }

    /// The reply to the line that came last.
    pub(super) fn reply(&mut self, reply: &Reply, enhanced: bool) {
        let refusal = self.refusal.take();
        for trace in &mut self.traces {
            trace.reply(reply, enhanced, refusal.as_deref() == Some(CONTENT));
        }
        self.answered(reply, refusal);
    }

    /// A fault fired. If another answer is sent, this says what became of the line all the same.
    pub(super) fn fault(&mut self, fired: &Fired) {
        info!("{} fault says=\"{}\"", self.id, escape(&fired.says));
        self.tally.fault();
        for trace in &mut self.traces {
            trace.fault(fired);
        }
        if let Some(reply) = &fired.unsaid {
            let refusal = self.refusal.take();
            self.answered(reply, refusal);
        }
    }

    /// Octets that a fault sends in the place of a reply.
    pub(super) fn octets(&mut self, octets: &[u8]) {
        for trace in &mut self.traces {
            trace.octets(octets);
        }
    }

    /// A fault breaks the connection off.
    pub(super) fn break_off(&mut self) {
        for trace in &mut self.traces {
            trace.break_off();
        }
    }

    /// What became of the line that came last.
    fn answered(&mut self, reply: &Reply, refusal: Option<String>) {
        let code = reply.code;
        self.last = (code >= 400).then(|| format!("code={code} reply=\"{}\"", words(reply)));
        if let Some(message) = self.message.take_if(|message| message.is_whole) {
            let why = if code >= 400 {
                format!("{code} reply=\"{}\"", words(reply))
            } else {
                code.to_string()
            };
            for line in message.lines(&self.id, &why) {
                info!("{line}");
            }
        } else if let Some(line) = refusal {
            self.refused += 1;
            if self.refused < REFUSALS_LOGGED {
                info!(
                    "{} refused code={code} line=\"{}\" reply=\"{}\"",
                    self.id,
                    escape(&line),
                    words(reply)
                );
            } else if self.refused == REFUSALS_LOGGED {
                info!("{} further refusals are not logged", self.id);
            }
        }
    }

    /// The session ends the connection.
    pub(super) fn close(&mut self) {
        self.closes = true;
        for trace in &mut self.traces {
            trace.close();
        }
    }

    /// The connection is over; `None` if the session panicked.
    pub(super) fn disconnect(self, ended: Option<io::Result<()>>) {
        let id = &self.id;
        if let Some(message) = &self.message {
            // It came in part, or its session panicked.
            for line in message.lines(id, "none") {
                info!("{line}");
            }
        }
        match (ended, self.last.filter(|_| self.closes)) {
            (Some(Ok(())), None) => info!("{id} disconnect"),
            (Some(Ok(())), Some(reply)) => info!("{id} disconnect {reply}"),
            (Some(Err(error)), _) => info!("{id} disconnect error=\"{error}\""),
            (None, _) => error!("{id} disconnect error=panic"),
        }
    }
}

/// Clients that were turned away. One line a second at most, however many they are.
#[derive(Default)]
pub(super) struct Refusals {
    /// The second of the last line.
    second: u64,
    /// Clients that were turned away after it, in that second.
    others: u64,
}

impl Refusals {
    pub(super) fn log(&mut self, second: u64, client: Option<IpAddr>, reason: &str) {
        if self.second == second {
            self.others += 1;
            return;
        }
        info!("- refused client={} reason={reason} others={}", shown(client), self.others);
        *self = Self { second, others: 0 };
    }
}

/// The server listens, and these clients may relay.
pub(super) fn relay(from: &str) {
    info!("- relay from=\"{from}\"");
}

/// A certificate was read while the server runs, and new handshakes use it.
pub(super) fn certificate_read(about: &About) {
    let names = about.names.join(",");
    info!(
        "- certificate chain=\"{}\" names=\"{}\" until={}",
        escape(&about.chain),
        escape(&names),
        about.until
    );
}

/// A certificate was read again, and cannot be used.
pub(super) fn certificate_refused(why: &str) {
    error!("- certificate refused=\"{}\"; the one before it stays", escape(why));
}

pub(super) fn certificate_warning(warning: &str) {
    warn!("- {warning}");
}

/// The server takes no new clients.
pub(super) fn stopping() {
    info!("- stopping");
}

pub(super) fn stopped() {
    info!("- stopped");
}

/// Sessions did not end in time.
pub(super) fn stop_cuts(sessions: usize, seconds: u64) {
    warn!(
        "- stopping: closing {sessions} sessions that did not end within stop_seconds_max={seconds}"
    );
}

/// Messages that were not answered are left.
pub(super) fn stop_leaves_messages() {
    warn!("- stopping: the storage is too slow; messages that were not answered are not stored");
}

/// A session's transcript could not be written.
pub(super) fn not_transcribed(session: &str, error: &io::Error) {
    warn!("{session} cannot write the transcript: {error}");
}

/// So many messages as the server was to take were stored.
pub(super) fn enough() {
    info!("- enough messages");
}

pub(super) fn signal_failed(error: &io::Error) {
    warn!("- signal error=\"{error}\"");
}

pub(super) fn reactor_failed(error: &io::Error) {
    error!("- reactor error=\"{error}\"");
}

/// Whether each client must hurry.
pub(super) fn pressed(is_pressed: bool) {
    warn!("- pressed={is_pressed}");
}

pub(super) fn accept_failed(error: &io::Error) {
    warn!("- accept error=\"{error}\"");
}

pub(super) fn accept_works() {
    warn!("- accept works again");
}

pub(super) fn not_notified(error: &io::Error) {
    warn!("- cannot notify the service manager: {error}");
}

pub(super) fn few_descriptors(wanted: usize, most: usize, descriptors: u64) {
    warn!("- connections_max is {wanted} and is held to {most}: {descriptors} file descriptors");
}

pub(super) fn descriptors_not_raised(error: rustix::io::Errno) {
    warn!("- cannot raise the limit of file descriptors: {error}");
}

pub(super) fn panicked(who: &str, place: &str, message: &str) {
    error!("{who} panic at={place} message=\"{}\"", escape(message));
}
