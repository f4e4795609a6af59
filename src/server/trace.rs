//! The trace of a session: the dialogue in the form that `postman fsm play` takes, one log line for
//! each of its lines, or a file of its own (`transcript.rs`). What the store or the list of users
//! answered is in it. Content is left out of the log, and is in the file.
//!
//! ```text
//! 0001 ! domain: "postman.local"
//! 0001 S: 220 postman.local ESMTP Postman
//! 0001 * verdict full
//! 0001 C: MAIL FROM:<a@x.org>
//! 0001 S: 452 4.3.1 Out of space, try again later
//! ```

use std::fmt::Write as _;

use super::dialogues::Kept;
use super::octets::Octets;
use super::terms::Terms;
use super::transcript::{Transcript, Transcripts};
use crate::config::Config;
use crate::smtp::reply::{self, Reply};
use crate::smtp::session::{Client, Fired, Input, Limits, LineEnd, NoUser, Refusal, Settings};

/// What the log's levels know these lines by.
pub(super) const TARGET: &str = "postman::trace";

/// How much of a line that is too long is shown, in octets.
const SHOWN_BYTES_MAX: usize = 256;

/// Where the lines go.
enum Place {
    /// The log, with the session's id before each.
    Log(String),
    /// The memory, for who looks at the server while it runs: the same lines as the log's.
    Live(Kept),
    /// A file, which has what the client sent to the octet.
    File(Transcript, Octets),
}

/// The trace of one session.
pub(super) struct Trace {
    /// Where it is written.
    place: Place,
    /// The longest command line: how a line beyond it is shown.
    line_bytes_max: usize,
    /// What the client sent, held back until its reply: the verdict that it needs comes before it.
    held: Vec<String>,
    /// The octets of content so far.
    content_octets: usize,
    /// Whether the client's line is the end of content.
    is_end: bool,
    /// Whether that content is in the trace.
    shows_content: bool,
    /// Whether a fault has fired, and nothing was said since.
    is_waiting: bool,
    /// What a fault has sent in the place of replies, and no line has yet.
    sent: Vec<u8>,
}

/// Octets as a dialogue has them after `O: `.
pub(super) fn escape(octets: &[u8]) -> String {
    let mut text = String::new();
    for octet in octets {
        match octet {
            b'\\' => text += "\\\\",
            // ` * 3` at the end would be a number of times.
            b' '..=b'~' if *octet != b'*' => text.push(char::from(*octet)),
            _ => drop(write!(text, "\\x{octet:02x}")),
        }
    }
    text
}

/// A line whose rest is not known, but that it is too long.
pub(super) fn too_long(beginning: &[u8], end: LineEnd, line_bytes_max: usize) -> Vec<String> {
    let shown = escape(beginning.get(..SHOWN_BYTES_MAX).unwrap_or(beginning));
    let end = if end == LineEnd::Lf { "\\n" } else { "\\r\\n" };
    vec![format!("O: {shown}"), format!("O: x * {line_bytes_max}"), format!("O: {end}")]
}

impl Trace {
    /// A trace in the log.
    pub(super) fn new(client: &Client, config: &Config, settings: &Settings) -> Self {
        Self::begin(Place::Log(client.id.clone()), client, config, settings)
    }

    /// A trace in memory.
    pub(super) fn live(
        dialogue: Kept,
        client: &Client,
        config: &Config,
        settings: &Settings,
    ) -> Self {
        Self::begin(Place::Live(dialogue), client, config, settings)
    }

    /// A trace in a file of its own.
    pub(super) fn transcript(
        transcripts: &Transcripts,
        client: &Client,
        config: &Config,
        terms: &Terms,
    ) -> Self {
        let settings = &terms.settings;
        let transcript = transcripts.begin(&client.id, client.address, &terms.served.played_by);
        Self::begin(Place::File(transcript, Octets::default()), client, config, settings)
    }

    /// Writes the keys of the configuration on which the replies depend.
    fn begin(place: Place, client: &Client, config: &Config, settings: &Settings) -> Self {
        let mut trace = Self {
            place,
            line_bytes_max: config.limits.line_bytes_max,
            held: Vec::new(),
            content_octets: 0,
            is_end: false,
            shows_content: false,
            is_waiting: false,
            sent: Vec::new(),
        };
        for (key, value) in keys(client, config) {
            trace.write(&format!("! {key}: {value}"));
        }
        for command in settings.machine.left_out {
            trace.write(&format!("! without: {command}"));
        }
        if settings.machine.encrypted_at.is_some() {
            trace.write("! encrypted: yes");
        }
        trace
    }

    fn write(&mut self, line: &str) {
        match &mut self.place {
            Place::Log(id) => ::log::trace!(target: TARGET, "{id} {line}"),
            Place::Live(dialogue) => dialogue.write(line),
            Place::File(transcript, _) => transcript.write(line),
        }
    }

    /// What the session is told: of an answer, what differs from the player's own, which is yes.
    pub(super) fn input(&mut self, input: &Input<'_>) {
        let refusal = |refusal: &Refusal| match refusal {
            Refusal::Full => "* verdict full",
            Refusal::Busy => "* verdict busy",
            Refusal::Broken => "* verdict broken",
        };
        if let Place::File(_, octets) = &mut self.place {
            match input {
                Input::Octets(arrived) => octets.push(arrived),
                Input::Silence | Input::Stop | Input::HangUp if !self.is_waiting => {
                    self.held.extend(octets.rest());
                    self.write_held();
                }
                // A player does not wait: it would hear the answer.
                Input::Silence | Input::Stop | Input::HangUp => self.give_up(),
                _ => {}
            }
        }
        match input {
            Input::Room(Err(why))
            | Input::Stored(Err(why))
            | Input::Handshake(Err(why))
            | Input::User(Err(NoUser::Unavailable(why))) => {
                self.write(refusal(why));
            }
            Input::User(Err(NoUser::Unknown)) => self.write("* verdict unknown"),
            Input::Encrypted => self.write("* encrypted"),
            Input::Silence => self.write("* silence"),
            Input::Stop => self.write("* stop"),
            Input::HangUp => self.write("# the client hung up"),
            // The player sees by itself that a name is too long for a mailbox.
            Input::User(Ok(()) | Err(NoUser::NameTooLong))
            | Input::Room(Ok(()))
            | Input::Stored(Ok(()))
            | Input::Handshake(Ok(()))
            | Input::Connect
            | Input::Waited
            | Input::Octets(_) => {}
        }
    }

    pub(super) fn line(&mut self, octets: &[u8], end: LineEnd, is_end_of_content: bool) {
        self.write_sent();
        let is_plain = octets.iter().all(|octet| matches!(octet, b' '..=b'~'));
        self.is_end = is_end_of_content;
        if let Place::File(_, sent) = &mut self.place {
            if is_end_of_content {
                let (lines, is_whole) = sent.message();
                self.held.extend(lines);
                self.shows_content = is_whole;
            } else {
                self.held.extend(sent.line(octets, end, self.line_bytes_max));
            }
            return;
        }
        if is_end_of_content {
            self.held
                .push(format!("# {} octets of content", std::mem::take(&mut self.content_octets)));
        }
        match end {
            LineEnd::CrLf if is_plain => {
                self.held.push(format!("C: {}", String::from_utf8_lossy(octets)));
            }
            LineEnd::CrLf => self.held.push(format!("O: {}\\r\\n", escape(octets))),
            LineEnd::Lf => self.held.push(format!("O: {}\\n", escape(octets))),
            LineEnd::TooLong => self.held.extend(too_long(octets, end, self.line_bytes_max)),
        }
    }

    /// A message begins.
    pub(super) fn open(&mut self) {
        if let Place::File(_, octets) = &mut self.place {
            octets.open();
        }
    }

    pub(super) fn content(&mut self, content: &[u8]) {
        self.content_octets += content.len();
    }

    /// Writes what a fault has sent, as the replies that a player takes.
    fn write_sent(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        let mut is_first = true;
        for line in sent.split_inclusive(|octet| *octet == b'\n') {
            let plain = line.iter().take_while(|octet| matches!(octet, b' '..=b'~')).count();
            let shown = String::from_utf8_lossy(line.get(..plain).unwrap_or_default());
            self.write(&format!("{} {shown}", if is_first { "S:" } else { "#" }));
            is_first = line.get(3) == Some(&b' ');
        }
    }

    /// Leaves out a command whose answer did not leave, and all that follows.
    fn give_up(&mut self) {
        self.held.clear();
        if let Place::File(transcript, _) = &mut self.place {
            transcript.end("a fault waited, and the session ended before its answer");
        }
    }

    /// Writes what the client has said.
    fn write_held(&mut self) {
        self.write_sent();
        self.is_waiting = false;
        let held = std::mem::take(&mut self.held);
        if let Place::File(transcript, _) = &mut self.place
            && !held.is_empty()
        {
            transcript.may_end();
        }
        for line in held {
            self.write(&line);
        }
    }

    /// Has what the client sent behind STARTTLS be sent with it; if the answer to STARTTLS has left
    /// already, since a fault let it wait, behind that answer.
    fn join_what_follows(&mut self) {
        let Place::File(_, octets) = &mut self.place else { return };
        let behind = escape(&octets.take_pending());
        match self.held.last_mut() {
            Some(line) => {
                if let Some(said) = line.strip_prefix("C: ") {
                    *line = format!("O: {}\\r\\n{behind}", escape(said.as_bytes()));
                }
            }
            None if behind.is_empty() => {}
            None => self.held.push(format!("O: {behind}")),
        }
    }

    /// A reply. After content two things differ when it is played: a refusal that is due to the
    /// content, if that is left out, and the message's id.
    pub(super) fn reply(&mut self, reply: &Reply, enhanced: bool, refuses_content: bool) {
        if *reply == reply::clear_after_start_tls() {
            self.join_what_follows();
        }
        self.write_held();
        let mut octets = Vec::new();
        reply.write(&mut octets, enhanced);
        let text = String::from_utf8_lossy(&octets);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if std::mem::take(&mut self.is_end) {
            let shown = if enhanced { reply.enhanced } else { "" };
            let begin = if refuses_content && !self.shows_content {
                String::new()
            } else {
                format!("{} {shown}", reply.code)
            };
            self.write(&format!("S: {}", begin.trim_end()));
            self.write(&format!("# {first}"));
        } else {
            self.write(&format!("S: {first}"));
        }
        for line in lines {
            self.write(&format!("# {line}"));
        }
    }

    /// A fault fired, and what it does not say, if the answer is another.
    pub(super) fn fault(&mut self, fired: &Fired) {
        if let Place::File(_, octets) = &mut self.place {
            if octets.is_in_content() {
                self.held.extend(octets.rest());
            }
            self.held.insert(0, format!("* fault {}", fired.says));
            if fired.unsaid.is_some() {
                self.is_end = false;
            }
            self.is_waiting = true;
            return;
        }
        self.write_held();
        self.write(&format!("# fault: {}", fired.says.escape_debug()));
        if let Some(unsaid) = &fired.unsaid {
            self.is_end = false;
            self.write(&format!("# not said: {} {}", unsaid.code, unsaid.lines.join(" / ")));
        }
    }

    /// Octets in the place of a reply.
    pub(super) fn octets(&mut self, octets: &[u8]) {
        if matches!(self.place, Place::File(..)) {
            if self.is_waiting || !self.held.is_empty() {
                self.write_held();
            }
            self.sent.extend_from_slice(octets);
            return;
        }
        self.write(&format!("# sent: {}", escape(octets)));
    }

    /// The connection ends without a last word, by a fault.
    pub(super) fn break_off(&mut self) {
        if matches!(self.place, Place::File(..)) {
            self.write_held();
        }
    }

    pub(super) fn close(&mut self) {
        if matches!(self.place, Place::File(..)) {
            self.write_held();
        }
        self.write("* closed");
    }
}

/// The keys on which replies depend: those that a dialogue sets by itself, and those that differ
/// from the default. Whether a user exists is in the verdicts; the player's client is at 127.0.0.1.
fn keys(client: &Client, config: &Config) -> Vec<(&'static str, String)> {
    let usual = Config::default();
    let here = |holds: bool| if holds { "[\"127.0.0.1\"]" } else { "[]" }.to_owned();
    let mut keys = vec![
        ("domain", format!("\"{}\"", config.domain)),
        ("users", "Any".to_owned()),
        ("relay_from", here(client.may_relay)),
        ("message_bytes_max", config.limits.message_bytes_max.to_string()),
    ];
    if client.refused {
        keys.push(("refuse_from", here(true)));
    }
    for key in ["syntax", "bare_newline", "vrfy", "mailboxes"].iter().chain(Limits::KEYS) {
        let (value, is_written) = (config.written(key), keys.iter().any(|(name, _)| name == key));
        if !is_written && value != usual.written(key) {
            keys.push((key, value));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::Dialogue;

    #[test]
    fn octets_that_are_escaped_are_read_as_what_they_were() {
        let all: Vec<u8> = (0..=255).chain(*b" * 3").collect();
        let text = format!("S: 220\nO: {}\n", escape(&all));
        let acts = Dialogue::parse(&text).unwrap().acts;
        assert_eq!(acts[1].1, crate::dialogue::Act::Octets(all));
    }
}
