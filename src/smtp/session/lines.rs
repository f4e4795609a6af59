//! Lines outside content: which are commands, and which show that another protocol speaks.

use super::{Action, EventId, LineEnd, Session, Syntax, reply};
use crate::smtp::command;
use crate::smtp::framer::Line;
use crate::smtp::reply::Reply;

/// How a TLS client begins, RFC 8446 5.1. Its hello may carry a ticket that another server chose,
/// with lines of SMTP in it.
const TLS_HANDSHAKE: u8 = 0x16;

impl Session {
    /// One line outside content.
    pub(super) fn line(&mut self, line: Line<'_>) {
        match &line {
            Line::Whole(octets) => self.show(octets, LineEnd::CrLf),
            Line::BareLf(octets) => self.show(octets, LineEnd::Lf),
            Line::TooLong(octets) => self.show(octets, LineEnd::TooLong),
        }
        self.at_hand = None;
        self.commands += 1;
        if self.commands > self.settings.limits.commands_max {
            self.end(reply::too_many_commands());
            return;
        }
        // The signature of the PROXY protocol's version 2 is lines too, and only the third shows
        // what the empty ones before it were.
        let signature = command::PROXY_V2_LINES.get(self.proxy_v2_lines);
        let goes_on = matches!(&line, Line::Whole(octets) if signature == Some(&octets.as_ref()));
        self.proxy_v2_lines = if goes_on { self.proxy_v2_lines + 1 } else { usize::MAX };
        match line {
            Line::BareLf(octets) => self.refuse_unread(&octets, reply::bare_lf()),
            Line::TooLong(octets) => self.refuse_unread(&octets, reply::line_too_long()),
            Line::Whole(octets) => match std::str::from_utf8(&octets) {
                Ok(text) if text.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) => {
                    self.text(text);
                }
                _ => match self.eight_bit_greeting(&octets) {
                    Some(text) => self.text(&text),
                    None => self.refuse_unread(&octets, reply::not_text()),
                },
            },
        }
    }

    fn text(&mut self, line: &str) {
        match other_protocol(line) {
            Some((shown, reply)) => self.end_for(&shown, reply),
            None => self.command(line),
        }
    }

    /// A command's event and argument. Returns `None` if the machine has no such command.
    pub(super) fn parse<'a>(&self, line: &'a str) -> Option<(EventId, &'a str)> {
        let words = command::split(line, self.settings.syntax)?;
        Some((self.settings.machine.command(words.verb)?, words.argument))
    }

    /// The line, if it is a greeting that may have octets above 127 in its name, as printable
    /// ASCII.
    fn eight_bit_greeting(&self, octets: &[u8]) -> Option<String> {
        let text = command::with_eight_bit_name(octets)
            .filter(|_| self.settings.syntax == Syntax::Lenient)?;
        let (event, _) = self.parse(&text)?;
        let is_greeting = |action| matches!(action, Action::Greet | Action::GreetExtended);
        self.settings.machine.actions(event).any(is_greeting).then_some(text)
    }

    /// Refuses a line that is not a command whatever it says, or ends the session if another
    /// protocol speaks.
    fn refuse_unread(&mut self, octets: &[u8], reply: Reply) {
        let line = String::from_utf8_lossy(octets);
        if octets.first() == Some(&TLS_HANDSHAKE) {
            self.end_for(&line, reply::not_http());
        } else if self.proxy_v2_lines == command::PROXY_V2_LINES.len() {
            self.end_for("(a PROXY preamble, version 2)", reply::not_proxy());
        } else if let Some((shown, reply)) = other_protocol(&line) {
            self.end_for(&shown, reply);
        } else {
            self.refuse(&line, reply);
        }
    }

    /// Ends a session in which another protocol speaks: more of it may read as commands.
    fn end_for(&mut self, line: &str, reply: Reply) {
        self.note_refused(line, reply.code);
        self.end(reply);
    }
}

/// If a line is of another protocol: what the log shows, and the last reply.
fn other_protocol(line: &str) -> Option<(String, Reply)> {
    if command::is_http(line) {
        Some((line.to_owned(), reply::not_http()))
    } else if command::is_proxy(line) {
        Some((format!("(a PROXY preamble, version 1) {line}"), reply::not_proxy()))
    } else {
        None
    }
}
