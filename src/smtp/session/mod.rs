//! One client's conversation.
//!
//! **Give the session one input, then take outputs until there are none.** Inputs are octets,
//! the verdict on something it asked, silence, hang-up; outputs are replies, questions, content
//! and the record of each step. It holds no socket, no file and no clock.
//!
//! The life of a command: the framer yields a line; it is parsed, looked up in the table,
//! judged, and only then the machine steps, in one place (`Session::step`), and the server
//! acts. A refused command leaves the state alone, and no action can choose a state: every
//! session is a path in the graph that the build has proven things about.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rust_fsm::StateMachine;

use super::command;
use super::command::ArgumentError;
use super::envelope::{Envelope, Recipient};
use super::framer::{Line, Lines, Run};
use super::machine::{EventId, Position, Protocol, Transition};
use super::path::{Domain, LocalPart, Mailbox, ReversePath, Syntax};
use super::reply::{self, Reply};
use super::vocabulary::{Action, VOCABULARY};

mod act;
mod content;
mod contract;
mod judge;
mod trace;

use content::Message;
pub use contract::{Client, Input, Output, Question, Settings, Verdict};
pub use trace::Step;

/// So much of a refused line goes to the log, in octets.
const SHOWN_BYTES_MAX: usize = 256;

/// How a TLS client begins, RFC 8446 5.1. Its hello may carry a ticket that somebody else's server chose,
/// lines of SMTP in it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A question that was asked, with what follows from its answer.
#[derive(Debug)]
enum Waiting {
    Sender(EventId, ReversePath, String),
    Recipient(EventId, Recipient, String),
    Verify(EventId, LocalPart, String),
    Store(Step, Reply),
}

/// A conversation.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    client: Client,
    machine: StateMachine<Protocol>,
    queue: VecDeque<Output<'static>>,
    waiting: Option<Waiting>,
    unread: Vec<u8>,
    lines: Lines,
    helo: Option<(String, &'static str)>,
    sender: Option<ReversePath>,
    recipients: Vec<Recipient>,
    message: Option<Message>,
    messages: u32,
    errors: usize,
    commands: usize,
    /// The lines of [`command::PROXY_V2_LINES`] that the session began with, while it has no others.
    proxy_v2_lines: usize,
    recipients_in_all: usize,
    stopping: bool,
    closed: bool,
}

impl Session {
    /// A session before its greeting.
    #[must_use]
    pub fn new(settings: Arc<Settings>, client: Client) -> Self {
        let machine = StateMachine::from_state(Position::initial(settings.machine));
        Self {
            settings,
            client,
            machine,
            queue: VecDeque::new(),
            waiting: None,
            unread: Vec::new(),
            lines: Lines::new(),
            helo: None,
            sender: None,
            recipients: Vec::new(),
            message: None,
            messages: 0,
            errors: 0,
            commands: 0,
            proxy_v2_lines: 0,
            recipients_in_all: 0,
            stopping: false,
            closed: false,
        }
    }

    /// Where the session stands.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.machine.state()
    }

    /// Whether content is expected, so that it is worth reading in large pieces.
    #[must_use]
    pub fn reads_content(&self) -> bool {
        self.content_event().is_some()
    }

    /// Whether enhanced status codes go to the client.
    #[must_use]
    pub fn shows_enhanced(&self) -> bool {
        self.settings.machine.offers("ENHANCEDSTATUSCODES")
    }

    /// How many octets the session holds of what the client sent: the line at hand, octets not
    /// yet looked at, the envelope. Content is none of them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let path = |mailbox: &Mailbox| mailbox.local.as_str().len() + mailbox.domain.folded().len();
        let recipients: usize = self.recipients.iter().map(|recipient| path(&recipient.mailbox)).sum();
        let sender = self.sender.as_ref().and_then(|sender| sender.0.as_ref()).map_or(0, path);
        let helo = self.helo.as_ref().map_or(0, |(name, _)| name.len());
        self.lines.held_bytes() + self.unread.capacity() + recipients + sender + helo
    }

    /// Takes one input. Take the outputs until there are none before the next; octets that
    /// were not yet looked at when a question is asked are kept for later.
    pub fn handle<'a>(&'a mut self, input: Input<'a>) -> Outputs<'a> {
        let mut given: &[u8] = &[];
        match input {
            Input::Connect => {
                if self.client.refused {
                    self.say(reply::no_service());
                } else {
                    let greeting = format!("{} ESMTP Postman", self.settings.domain);
                    self.say(Reply::new(220, "", greeting));
                }
            }
            Input::Octets(octets) => given = octets,
            Input::Verdict(verdict) => self.judged(verdict),
            Input::Silence => self.end(reply::silent()),
            Input::Stop => {
                self.stopping = true;
                if !matches!(self.waiting, Some(Waiting::Store(..))) {
                    self.end(reply::stopping());
                }
            }
            Input::HangUp => {
                self.drop_message();
                self.closed = true;
            }
        }
        let mut held = std::mem::take(&mut self.unread);
        if !held.is_empty() {
            held.extend_from_slice(given);
        }
        Outputs { session: self, held, given, place: 0 }
    }

    fn say(&mut self, reply: Reply) {
        self.queue.push_back(Output::Reply(reply));
    }

    fn end(&mut self, last: Reply) {
        self.waiting = None;
        self.drop_message();
        self.say(last);
        self.queue.push_back(Output::Close);
        self.closed = true;
    }

    /// Tells the log what was refused; the log escapes it.
    fn note_refused(&mut self, line: &str, code: u16) {
        let shown = line.get(..line.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or_default();
        self.queue.push_back(Output::Refused(shown.to_owned(), code));
    }

    /// Answers a line that changes nothing. Many errors in a row, with no command between that
    /// succeeds, end the session; what is refused for now (4xx) is no error of the client's.
    fn refuse(&mut self, line: &str, reply: Reply) {
        let code = reply.code;
        self.note_refused(line, code);
        self.say(reply);
        if code >= 500 {
            self.errors += 1;
            if self.errors >= self.settings.errors_max {
                self.end(reply::too_many_errors());
            }
        }
    }

    /// **The one place where the state changes**: along a cell of the table, or not at all.
    fn step(&mut self, event: EventId) -> Option<(Step, &'static Transition)> {
        let from = self.position();
        let cell = self.machine.consume(&event).ok().flatten()?;
        let name = from.machine().events.get(usize::from(event.0)).map_or("", |event| event.name);
        let step =
            Step { from: from.name(), event: name, action: cell.action.name(), code: 0, to: self.position().name() };
        Some((step, cell))
    }

    /// One line outside content.
    fn line(&mut self, line: Line<'_>) {
        self.commands += 1;
        if self.commands > self.settings.commands_max {
            self.end(reply::too_many_commands());
            return;
        }
        // The signature of the PROXY protocol's version 2 is lines too, and only the third shows what
        // the empty ones before it were.
        let signature = command::PROXY_V2_LINES.get(self.proxy_v2_lines);
        let goes_on = matches!(&line, Line::Whole(octets) if signature == Some(&octets.as_ref()));
        self.proxy_v2_lines = if goes_on { self.proxy_v2_lines + 1 } else { usize::MAX };
        match line {
            Line::BareLf(octets) => self.refuse_unread(&octets, reply::bare_lf()),
            Line::TooLong(octets) => self.refuse_unread(&octets, reply::line_too_long()),
            Line::Whole(octets) => match std::str::from_utf8(&octets) {
                Ok(text) if text.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) => self.judge(text),
                _ => match self.eight_bit_greeting(&octets) {
                    Some(text) => self.judge(&text),
                    None => self.refuse_unread(&octets, reply::not_text()),
                },
            },
        }
    }

    /// The line, if it is a greeting that may have octets above 127 in its name, as printable ASCII.
    fn eight_bit_greeting(&self, octets: &[u8]) -> Option<String> {
        let (machine, syntax) = (self.settings.machine, self.settings.syntax);
        let text = command::with_eight_bit_name(octets).filter(|_| syntax == Syntax::Lenient)?;
        let event = machine.command(command::split(&text, syntax)?.verb)?;
        let is_greeting = |action| matches!(action, Action::Greet | Action::GreetExtended);
        machine.actions(event).any(is_greeting).then_some(text)
    }

    /// Refuses a line that is no command whatever it says, and ends the session if another protocol speaks.
    fn refuse_unread(&mut self, octets: &[u8], reply: Reply) {
        let line = String::from_utf8_lossy(octets);
        if octets.first() == Some(&TLS_HANDSHAKE) || command::is_http(&line) {
            self.end_for(&line, reply::not_http());
        } else if command::is_proxy(&line) {
            self.end_for(&format!("(a PROXY preamble, version 1) {line}"), reply::not_proxy());
        } else if self.proxy_v2_lines == command::PROXY_V2_LINES.len() {
            self.end_for("(a PROXY preamble, version 2)", reply::not_proxy());
        } else {
            self.refuse(&line, reply);
        }
    }

    /// Ends a session in which another protocol speaks: more of it may read as commands.
    fn end_for(&mut self, line: &str, reply: Reply) {
        self.note_refused(line, reply.code);
        self.end(reply);
    }

    fn finish_step(&mut self, mut step: Step, reply: Reply) {
        step.code = reply.code;
        self.queue.push_back(Output::Step(step));
        // A row that declines its command (502) is no error of the client's, and no success.
        if reply.code < 400 {
            self.errors = 0;
        }
        if self.position().is_final() {
            self.end(reply);
        } else {
            self.say(reply);
        }
    }

    fn drop_transaction(&mut self) {
        self.drop_message();
        self.sender = None;
        self.recipients = Vec::new();
    }
}

/// The outputs that one input brings about.
#[derive(Debug)]
pub struct Outputs<'a> {
    session: &'a mut Session,
    /// Octets that were kept from earlier inputs, with the given ones behind them.
    held: Vec<u8>,
    given: &'a [u8],
    place: usize,
}

impl Outputs<'_> {
    fn octets(&self) -> &[u8] {
        if self.held.is_empty() { self.given } else { &self.held }
    }

    /// The next output; none when the session wants the next input.
    #[expect(clippy::should_implement_trait, reason = "an output borrows from the octets, which Iterator cannot say")]
    pub fn next(&mut self) -> Option<Output<'_>> {
        loop {
            if let Some(output) = self.session.queue.pop_front() {
                return Some(output);
            }
            let octets = if self.held.is_empty() { self.given } else { &self.held };
            let rest = octets.get(self.place..).unwrap_or_default();
            if rest.is_empty() || self.session.closed || self.session.waiting.is_some() {
                return None;
            }
            if let Some(event) = self.session.content_event() {
                let (taken, run) = self.session.run(event, rest);
                let start = self.place;
                self.place += taken;
                match run {
                    None | Some(Run::End) => {}
                    Some(Run::HeldCr) => return Some(Output::Content(b"\r")),
                    Some(Run::Octets(range)) => {
                        let range = start + range.start..start + range.end;
                        return self.octets().get(range).map(Output::Content);
                    }
                }
            } else {
                let (taken, line) = self.session.lines.take(rest, self.session.settings.line_bytes_max);
                self.place += taken;
                if let Some(line) = line {
                    self.session.line(line);
                }
            }
        }
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        let rest = self.octets().get(self.place..).unwrap_or_default();
        if !rest.is_empty() && !self.session.closed {
            self.session.unread = rest.to_vec();
        }
    }
}
