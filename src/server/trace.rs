//! The trace of a session: the dialogue in the form that `postman fsm play` takes, one log line for
//! each of its lines. Content is left out, and what the store or the list of users answered is in
//! it.
//!
//! ```text
//! 0001 ! domain: "postman.local"
//! 0001 S: 220 postman.local ESMTP Postman
//! 0001 * verdict full
//! 0001 C: MAIL FROM:<a@x.org>
//! 0001 S: 452 4.3.1 Out of space, try again later
//! ```

use std::fmt::Write as _;

use crate::config::Config;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Client, Fired, Input, Limits, LineEnd, NoUser, Refusal, Settings};

/// What the log's levels know these lines by.
pub(super) const TARGET: &str = "postman::trace";

/// How much of a line that is too long is shown, in octets.
const SHOWN_BYTES_MAX: usize = 256;

/// The trace of one session.
pub(super) struct Trace {
    /// The session's id.
    id: String,
    /// The longest command line: how a line beyond it is shown.
    line_bytes_max: usize,
    /// What the client sent, held back until its reply: the verdict that it needs comes before it.
    held: Vec<String>,
    /// The octets of content so far.
    content_octets: usize,
    /// Whether the client's line is the end of content.
    is_end: bool,
}

/// Octets as a dialogue has them after `O: `.
fn escape(octets: &[u8]) -> String {
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

impl Trace {
    /// Writes the keys of the configuration on which the replies depend.
    pub(super) fn new(client: &Client, config: &Config, settings: &Settings) -> Self {
        let trace = Self {
            id: client.id.clone(),
            line_bytes_max: config.limits.line_bytes_max,
            held: Vec::new(),
            content_octets: 0,
            is_end: false,
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

    fn write(&self, line: &str) {
        ::log::trace!(target: TARGET, "{} {line}", self.id);
    }

    /// What the session is told: of an answer, what differs from the player's own, which is yes.
    pub(super) fn input(&self, input: &Input<'_>) {
        let refusal = |refusal: &Refusal| match refusal {
            Refusal::Full => "* verdict full",
            Refusal::Busy => "* verdict busy",
            Refusal::Broken => "* verdict broken",
        };
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
        let is_plain = octets.iter().all(|octet| matches!(octet, b' '..=b'~'));
        self.is_end = is_end_of_content;
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
            LineEnd::TooLong => {
                // Of the rest nothing is known, but that it is too long.
                self.held.push(format!(
                    "O: {}",
                    escape(octets.get(..SHOWN_BYTES_MAX).unwrap_or(octets))
                ));
                self.held.push(format!("O: x * {}", self.line_bytes_max));
                self.held.push("O: \\r\\n".to_owned());
            }
        }
    }

    pub(super) fn content(&mut self, content: &[u8]) {
        self.content_octets += content.len();
    }

    /// A reply. After content two things differ when it is played: a refusal that is due to the
    /// content, which is left out, and the message's id.
    pub(super) fn reply(&mut self, reply: &Reply, enhanced: bool, refuses_content: bool) {
        for line in std::mem::take(&mut self.held) {
            self.write(&line);
        }
        let mut octets = Vec::new();
        reply.write(&mut octets, enhanced);
        let text = String::from_utf8_lossy(&octets);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if std::mem::take(&mut self.is_end) {
            let shown = if enhanced { reply.enhanced } else { "" };
            let begin =
                if refuses_content { String::new() } else { format!("{} {shown}", reply.code) };
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
        for line in std::mem::take(&mut self.held) {
            self.write(&line);
        }
        self.write(&format!("# fault: {}", fired.says.escape_debug()));
        if let Some(unsaid) = &fired.unsaid {
            self.is_end = false;
            self.write(&format!("# not said: {} {}", unsaid.code, unsaid.lines.join(" / ")));
        }
    }

    /// Octets in the place of a reply.
    pub(super) fn octets(&self, octets: &[u8]) {
        self.write(&format!("# sent: {}", escape(octets)));
    }

    pub(super) fn close(&self) {
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
    for key in ["syntax", "bare_newline", "vrfy"].iter().chain(Limits::KEYS) {
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
