//! One client's conversation.
//!
//! **Give the session one input, then take outputs until there are none.** Inputs are octets,
//! the answer to a question, the end of a handshake, silence, hang-up; outputs are replies,
//! questions, content and the record of each step ([`Input`], [`Output`]). The session holds no
//! socket, no file and no clock.
//!
//! The way of octets: [`Session::handle`] takes them, and [`Outputs`] gives them to the framer, as
//! the outputs are taken. A line goes to `Session::line` (`lines.rs`), which refuses what can be no
//! command, and else to `Session::command`. Content goes to `Session::content`.
//!
//! The life of a command: the line is parsed, looked up in the table and judged; only then the
//! machine steps, in one place (`Session::step`), and the action does its work (`actions/`). A
//! refused command leaves the state alone, and no action can choose a state: every session is a
//! path in the graph that the build has proven things about.
//!
//! ```
//! use std::sync::Arc;
//! use postman::{autofsm, config::Config, smtp::machine::Machine, smtp::vocabulary::VOCABULARY};
//! use postman::smtp::session::{Client, Input, Output, Question, Session};
//!
//! // `smtp::machine::BUILT` is the machine that the build made of smtp-states.def; this one is loaded.
//! let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp-states.def"));
//! let definition = autofsm::compile(page, Some(&VOCABULARY)).definition.unwrap();
//! let machine = Machine::load("smtp-states.def", &definition).unwrap();
//! let local = Some([127, 0, 0, 1].into());
//! let client = Client { id: "1".to_owned(), address: local, local, may_relay: false, refused: false };
//! let mut session = Session::new(Arc::new(Config::default().settings(machine)), client);
//! let text = "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\nSubject: hi\r\n.\r\n";
//! let (mut inputs, mut content, mut code) = (vec![Input::Octets(text.as_bytes()), Input::Connect], Vec::new(), 0);
//! while let Some(input) = inputs.pop() {
//!     let mut outputs = session.handle(input);
//!     while let Some(output) = outputs.next() {
//!         match output {
//!             Output::Reply(reply) => code = reply.code,               // 220, 250, 250, 250, 354, 250
//!             Output::Content(octets) => content.extend_from_slice(octets),
//!             Output::Ask(Question::Room(_)) => inputs.push(Input::Room(Ok(()))),
//!             Output::Ask(Question::User(_)) => inputs.push(Input::User(Ok(()))),
//!             Output::Ask(Question::Store) => inputs.push(Input::Stored(Ok(()))),
//!             Output::Ask(Question::Handshake) => inputs.push(Input::Handshake(Ok(()))),
//!             Output::Encrypt => inputs.push(Input::Encrypted),     // after the handshake
//!             Output::Wait(_) => inputs.push(Input::Waited),        // after that time; only faults ask
//!             Output::Open(_) | Output::Discard | Output::Close => {}
//!             Output::Octets(_) | Output::Cut | Output::Reset | Output::Hang | Output::Fault(_) => {} // of faults
//!             Output::Step(_) | Output::Line(..) | Output::Refused(_) => {}                 // for a log
//!         }
//!     }
//! }
//! assert_eq!((code, content.as_slice()), (250, &b"Subject: hi\r\n"[..]));
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use rust_fsm::StateMachine;

use super::faults::{Effect, Track};
use super::framer::{Lines, Run};
use super::machine::{EventId, Position, Protocol, Transition};
use super::path::Syntax;
use super::reply::{self, Reply};
use super::vocabulary::{Action, VOCABULARY};

pub(super) mod actions;
mod caller;
mod contract;
mod driver;
mod faults;
mod headers;
mod lines;
mod outputs;
mod things;

use actions::{Accepted, Acted, Appended, Contradiction, Judged};
pub use contract::{
    Client, Domains, Fired, Input, Limits, LineEnd, NoUser, Output, Question, Refusal, Refused,
    Settings, Standing, Step,
};
pub use driver::{World, drive};
pub use outputs::Outputs;
use things::Things;

/// The most of a refused line that goes to the log, in octets.
const SHOWN_BYTES_MAX: usize = 256;
/// The longest list of expected commands in a 503, in octets.
const EXPECTED_BYTES_MAX: usize = 400;

/// What a session waits for: the answer to a question, with what follows from it, or the handshake.
#[derive(Debug)]
enum Waiting {
    /// A command that was judged except for this answer, before its step; its line is for the log.
    Command { event: EventId, accepted: Accepted, line: String },
    /// The step of `deliver`, which was made, and its reply if the answer is yes.
    Step { step: Step, reply: Reply },
    /// The handshake after STARTTLS.
    Handshake,
}

/// A conversation.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Session {
    /// What all sessions share.
    settings: Arc<Settings>,
    /// The client, and what it may do.
    client: Client,
    /// Where the protocol is.
    machine: StateMachine<Protocol>,
    /// The machine's event for a piece of content.
    content: Option<EventId>,
    /// The machine's event for the end of content.
    end: Option<EventId>,
    /// What the client gave: the things of the vocabulary.
    things: Things,
    /// Outputs that were not taken yet.
    queue: VecDeque<Output<'static>>,
    /// What the session waits for; it reads nothing meanwhile.
    waiting: Option<Waiting>,
    /// Octets that arrived before the answer to a question.
    unread: Vec<u8>,
    /// Cuts lines out of what the client sends.
    lines: Lines,
    /// Whether octets follow the line that is read.
    is_followed: bool,
    /// The lines of [`command::PROXY_V2_LINES`](super::command::PROXY_V2_LINES) that the session
    /// began with, while it has no others.
    proxy_v2_lines: usize,
    /// The event of what was read last; `None` if that is no command of the machine.
    at_hand: Option<EventId>,
    /// Messages that were opened, which number their ids.
    messages: u32,
    /// Refused commands in a row.
    errors: usize,
    /// Command lines so far.
    commands: usize,
    /// Recipients of all messages so far.
    recipients_in_all: usize,
    /// Whether the server stops once the store has answered.
    stopping: bool,
    /// Whether it has ended.
    closed: bool,
    /// The event whose action did not find what it needs.
    contradiction: Option<EventId>,
    /// How far it is in the faults, if there are any.
    faults: Option<Box<Track>>,
    /// What a fault does with the answer that is next.
    effect: Option<Box<Effect>>,
    /// Whether a fault's pause holds back all outputs.
    paused: bool,
}

impl Session {
    /// A session before its greeting.
    #[must_use]
    pub fn new(settings: Arc<Settings>, client: Client) -> Self {
        let table = settings.machine;
        let faults = settings.faults.clone().map(|faults| Box::new(Track::new(faults)));
        Self {
            settings,
            client,
            machine: StateMachine::from_state(Position::initial(table)),
            content: table.event(VOCABULARY.content),
            end: table.event(VOCABULARY.end),
            things: Things { is_encrypted: table.encrypted_at.is_some(), ..Things::default() },
            queue: VecDeque::new(),
            waiting: None,
            unread: Vec::new(),
            lines: Lines::new(),
            is_followed: false,
            proxy_v2_lines: 0,
            at_hand: None,
            messages: 0,
            errors: 0,
            commands: 0,
            recipients_in_all: 0,
            stopping: false,
            closed: false,
            contradiction: None,
            faults,
            effect: None,
            paused: false,
        }
    }

    // The life of a command, from here to `finish`.

    /// One command line of printable text: parse, look, judge.
    fn command(&mut self, line: &str) {
        let Some((event, argument)) = self.parse(line) else {
            return self.refuse(line, reply::unknown_command());
        };
        self.at_hand = Some(event);
        let Some(cell) = self.position().look(event) else {
            return self.refuse(line, self.not_now(event));
        };
        if self.client.refused && !self.position().leads_to_the_end(event) {
            return self.refuse(line, reply::only_quit());
        }
        if cell.is_refusal() {
            // Its answer is all, and as 503 is: before the argument is read.
            return self.accept(event, Accepted::Answer, line);
        }
        match self.judge(event, cell, argument) {
            Err(reply) => self.refuse(line, reply),
            Ok(Judged::Accepted(accepted)) => self.accept(event, accepted, line),
            Ok(Judged::End(reply)) => {
                self.note_refused(line, reply.code);
                self.end(reply);
            }
            Ok(Judged::Ask(question, accepted)) => {
                self.ask(question, Waiting::Command { event, accepted, line: line.to_owned() });
            }
        }
    }

    fn ask(&mut self, question: Question, waiting: Waiting) {
        self.queue.push_back(Output::Ask(question));
        self.waiting = Some(waiting);
    }

    /// Goes on with what has waited for this answer.
    fn answered(&mut self, answer: Result<(), Reply>) {
        match (self.waiting.take(), answer) {
            (Some(Waiting::Command { accepted: Accepted::StartTls, line, .. }), Ok(()))
                if !self.unread.is_empty() =>
            {
                // They came in the clear while the caller looked for its answer.
                let reply = reply::clear_after_start_tls();
                self.note_refused(&line, reply.code);
                self.end(reply);
            }
            (Some(Waiting::Command { event, accepted, line }), Ok(())) => {
                self.accept(event, accepted, &line);
            }
            (Some(Waiting::Command { line, .. }), Err(reply)) => self.refuse(&line, reply),
            (Some(Waiting::Step { step, reply }), answer) => {
                if answer.is_ok() {
                    self.meet_stored();
                }
                self.finish(step, answer.err().unwrap_or(reply));
            }
            (None | Some(Waiting::Handshake), _) => {
                debug_assert!(false, "an answer without a question");
            }
        }
        if self.stopping {
            self.end_pauses();
        }
        if self.stopping && !self.closed {
            self.end(reply::stopping());
        }
    }

    /// An accepted command: step, drop what the vocabulary says, act.
    fn accept(&mut self, event: EventId, accepted: Accepted, line: &str) {
        if self.faults.is_some() && self.is_refused_by_fault(event, &accepted, line) {
            return;
        }
        let Some((step, cell)) = self.step(event) else {
            return self.contradict(event);
        };
        let dropped = self.things.drop_for(cell.action);
        match self.act(cell, accepted, dropped) {
            Ok(Acted::Reply(reply)) => self.finish(step, reply),
            Ok(Acted::Ask(question, reply)) => self.ask(question, Waiting::Step { step, reply }),
            Ok(Acted::Encrypt(reply)) => {
                self.finish(step, reply);
                if !self.closed {
                    self.begin_encryption();
                }
            }
            Err(Contradiction) => return self.contradict(event),
        }
        debug_assert!(
            self.closed || self.things.follow(cell.action) || self.is_refused(),
            "{cell:?} did not what the vocabulary says"
        );
    }

    /// **The one place where the state changes**: along a cell of the table whose action finds what
    /// it needs, or not at all.
    fn step(&mut self, event: EventId) -> Option<(Step, &'static Transition)> {
        let from = self.position();
        let cell = from.look(event)?;
        if !cell.is_refusal() && !self.things.allow(cell.action) {
            return None;
        }
        self.machine.consume(&event).ok()?;
        if let (Some(track), false) = (&mut self.faults, cell.is_refusal()) {
            track.step(event);
        }
        let (event, to) = (from.machine().event_name(event), self.position().name());
        Some((Step { from: from.name(), event, action: cell.action.name(), code: 0, to }, cell))
    }

    fn finish(&mut self, mut step: Step, usual: Reply) {
        let effect = self.effect.take();
        let reply = effect.as_ref().and_then(|effect| effect.reply.clone()).unwrap_or(usual);
        step.code = reply.code;
        self.queue.push_back(Output::Step(step));
        // A row that declines its command (502) is neither an error of the client nor a success.
        if reply.code < 400 {
            self.errors = 0;
        }
        match effect {
            Some(effect) => {
                self.say_by(&effect, reply);
                if self.position().is_final() && !self.closed {
                    self.queue.push_back(Output::Close);
                    self.closed = true;
                }
            }
            None if self.position().is_final() => self.end(reply),
            None => self.say(reply),
        }
    }

    /// Answers a line that changes nothing. Many errors in a row, with no command between that
    /// succeeds, end the session; a refusal for now (4xx) is not the client's error.
    fn refuse(&mut self, line: &str, reply: Reply) {
        let code = reply.code;
        self.note_refused(line, code);
        self.say(reply);
        if code >= 500 {
            self.errors += 1;
            if self.errors >= self.settings.limits.errors_max {
                self.end(reply::too_many_errors());
            }
        }
    }

    fn is_refused(&self) -> bool {
        self.settings.standing == Standing::Refused
    }

    /// The machine led where the compiler proves that none leads. Nothing is invented.
    fn contradict(&mut self, event: EventId) {
        debug_assert!(
            self.is_refused(),
            "{:?} is where the compiler proves that it cannot be",
            self.position().look(event)
        );
        self.contradiction = Some(event);
        self.end(reply::broken());
    }

    fn say(&mut self, reply: Reply) {
        self.queue.push_back(Output::Reply(reply));
    }

    fn end(&mut self, last: Reply) {
        // In a handshake nothing is said: it would go over the line in the clear.
        let is_heard = !matches!(self.waiting.take(), Some(Waiting::Handshake));
        self.discard_open();
        if is_heard {
            self.say(last);
        }
        self.queue.push_back(Output::Close);
        self.closed = true;
    }

    fn discard_open(&mut self) {
        let message = self.things.message.take();
        self.discard(message);
    }

    /// Hands out a line for the log.
    fn show(&mut self, octets: &[u8], end: LineEnd) {
        if self.settings.shows_lines {
            self.queue.push_back(Output::Line(octets.to_vec(), end));
        }
    }

    /// Has the log show a refused line; the log escapes it.
    fn note_refused(&mut self, line: &str, code: u16) {
        let shown = line.get(..line.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or_default();
        let event = self.at_hand.map(|event| self.settings.machine.event_name(event));
        self.queue.push_back(Output::Refused(Refused { line: shown.to_owned(), event, code }));
    }

    /// 503, saying what the state would accept.
    fn not_now(&self, event: EventId) -> Reply {
        let position = self.position();
        let mut text = format!("{} not now; expected", position.machine().event_name(event));
        let mut between = " ";
        for expected in position.accepted() {
            // A reply line has its bound, and half a name would not help.
            if text.len() + expected.name.len() > EXPECTED_BYTES_MAX {
                text += ", ...";
                break;
            }
            text += &format!("{between}{}", expected.name);
            between = ", ";
        }
        Reply::new(503, "5.5.1", text)
    }

    /// The event of content, if the state has a cell for it.
    fn content_event(&self) -> Option<EventId> {
        self.content.filter(|event| self.position().look(*event).is_some())
    }

    /// Takes one run of content, or its end, which is never refused. Returns the number of octets
    /// that were taken, and the run if the store is to have it.
    fn content(&mut self, event: EventId, octets: &[u8]) -> (usize, Option<Run>) {
        self.at_hand = Some(event);
        match (self.append(event, octets), self.end) {
            (Ok((taken, Appended::Kept(run))), _) => {
                if self.faults.is_some() {
                    self.meet_content(match &run {
                        Run::Octets(range) => octets.get(range.clone()).unwrap_or_default(),
                        Run::HeldCr => b"\r",
                        Run::End => b"",
                    });
                }
                (taken, Some(run))
            }
            (Ok((taken, Appended::Skipped)), _) => (taken, None),
            (Ok((taken, Appended::End)), Some(end)) => {
                self.at_hand = Some(end);
                self.show(b".", LineEnd::CrLf);
                self.accept(end, Accepted::Deliver, ".");
                (taken, None)
            }
            (Ok((_, Appended::End)), None) | (Err(Contradiction), _) => {
                self.contradict(event);
                (octets.len(), None)
            }
        }
    }
}
