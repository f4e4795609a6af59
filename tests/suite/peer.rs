//! The second peer: a session without a socket, held to its contract.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use postman::autofsm;
use postman::config::{Config, Users};
use postman::dialogue::{Verdict, client, usual_answer};
use postman::maildir::Naming;
use postman::smtp::envelope::Envelope;
use postman::smtp::machine::{Machine, Position};
use postman::smtp::session::{Input, Output, Question, Refused, Session, Step, World, drive};
use postman::smtp::vocabulary::VOCABULARY;

/// The tests' own page: the project's as it was when they were written. On it they hold whatever
/// the project's own becomes; only `machine` follows that one. CI says when the two are no longer
/// the same.
pub(crate) const PAGE: &str = include_str!("../smtp-states.def");

/// The machine of that page.
pub(crate) fn page() -> &'static Machine {
    static MACHINE: LazyLock<&Machine> = LazyLock::new(|| {
        let definition = autofsm::compile(PAGE, Some(&VOCABULARY))
            .definition
            .expect("the tests' own page compiles");
        Machine::load("smtp-states.def", &definition).expect("it can be served")
    });
    &MACHINE
}

/// A session, with the users of its configuration and a store that takes all except where
/// `verdicts` says otherwise. It panics where the session breaks its contract.
pub(crate) struct Peer {
    pub(crate) session: Session,
    around: Around,
    bytes_max: usize,
}

/// What is around the session; it is reached through the peer.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, which a test asserts")]
pub(crate) struct Around {
    users: Users,
    naming: Naming,
    machine: &'static Machine,
    enhanced: bool,
    /// What the session said and `take_reply` has not taken.
    pub(crate) said: Vec<u8>,
    /// The content of the open message.
    pub(crate) content: Vec<u8>,
    /// Whether a message is open.
    pub(crate) draft: bool,
    /// What the store was asked to make safe.
    pub(crate) stored: Vec<Vec<u8>>,
    pub(crate) envelopes: Vec<Envelope>,
    pub(crate) steps: Vec<Step>,
    pub(crate) refused: Vec<(String, u16)>,
    pub(crate) questions: usize,
    /// By the number of their question.
    pub(crate) verdicts: BTreeMap<usize, Verdict>,
    pub(crate) open: bool,
    /// Whether the session waits for the handshake: nothing else is said until then.
    pub(crate) shakes_hands: bool,
    state: &'static str,
    /// Lines that were answered, the connection among them, and replies.
    answered: usize,
    replies: usize,
}

impl Deref for Peer {
    type Target = Around;

    fn deref(&self) -> &Around {
        &self.around
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Around {
        &mut self.around
    }
}

impl Peer {
    /// A session that has greeted its client.
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_machine(config, page())
    }

    /// The same, by another definition.
    pub(crate) fn with_machine(config: &Config, machine: &'static Machine) -> Self {
        let session = Session::new(Arc::new(config.settings(machine)), client(config));
        let around = Around {
            users: config.users.clone(),
            naming: config.mailboxes,
            machine,
            enhanced: session.shows_enhanced(),
            said: Vec::new(),
            content: Vec::new(),
            draft: false,
            stored: Vec::new(),
            envelopes: Vec::new(),
            steps: Vec::new(),
            refused: Vec::new(),
            questions: 0,
            verdicts: BTreeMap::new(),
            open: true,
            shakes_hands: false,
            state: Position::initial(machine).name(),
            answered: 1,
            replies: 0,
        };
        // A line twice (a vector grows by doubling), and an address of 900 octets, in two
        // parts, a recipient.
        let bytes_max =
            2 * config.limits.line_bytes_max.max(512) + 1024 * config.limits.recipients_max;
        let mut peer = Self { session, around, bytes_max };
        peer.give(Input::Connect);
        peer
    }

    /// Gives an input, and the answers to what the session asks.
    pub(crate) fn give(&mut self, input: Input<'_>) {
        self.shakes_hands &= !matches!(input, Input::Encrypted);
        drive(&mut self.session, input, &mut self.around);
        assert_eq!(self.session.position().name(), self.state, "a move without a step");
        if matches!(input, Input::HangUp) {
            (self.open, self.shakes_hands) = (false, false);
        }
        if self.open {
            assert_eq!(self.replies, self.answered, "one reply a command");
            assert!(
                !self.draft || self.session.reads_content(),
                "a transaction was dropped, and its message is open"
            );
        } else {
            assert!(self.replies - self.answered <= 1, "one reply a command, and one at the end");
            assert!(!self.draft, "an end that leaves something open");
        }
        let held = self.session.held_bytes();
        assert!(held <= self.bytes_max, "the session holds {held} octets");
    }

    /// The oldest reply that was not taken, whole.
    pub(crate) fn take_reply(&mut self) -> Option<String> {
        let mut end = 0;
        for line in self.said.split_inclusive(|octet| *octet == b'\n') {
            end += line.len();
            if line.get(3) == Some(&b' ') {
                break;
            }
        }
        let reply: Vec<u8> = self.said.drain(..end).collect();
        (end > 0).then(|| String::from_utf8(reply).expect("replies are ASCII"))
    }
}

impl World for Around {
    fn answer(&mut self, question: Question) -> Input<'static> {
        assert!(self.open, "a question after the end: {question:?}");
        if matches!(question, Question::Store) {
            assert!(std::mem::replace(&mut self.draft, false), "no message to store");
            let content = std::mem::take(&mut self.content);
            self.stored.push(content);
        }
        let verdict =
            self.verdicts.get(&self.questions).and_then(|verdict| verdict.answer(&question));
        self.questions += 1;
        verdict.unwrap_or_else(|| usual_answer(&question, &self.users, self.naming))
    }

    fn take(&mut self, output: Output<'_>) {
        assert!(self.open, "an output after the end: {output:?}");
        match output {
            Output::Reply(reply) => {
                reply.write(&mut self.said, self.enhanced);
                self.replies += 1;
            }
            Output::Ask(question) => panic!("the driver answers it: {question:?}"),
            Output::Open(envelope) => {
                assert!(!std::mem::replace(&mut self.draft, true), "a message within a message");
                self.envelopes.push(*envelope);
                self.content.clear();
            }
            Output::Content(content) => {
                assert!(self.draft && !content.is_empty(), "content without a message");
                self.content.extend_from_slice(content);
            }
            Output::Encrypt => {
                assert!(!std::mem::replace(&mut self.shakes_hands, true), "a second handshake");
                assert!(!self.draft, "a message that outlives STARTTLS");
            }
            Output::Discard => {
                assert!(std::mem::replace(&mut self.draft, false), "no message to discard");
                self.content.clear();
            }
            Output::Step(step) => {
                let machine = self.machine;
                let event = machine.event(step.event).expect("an event of the table");
                let row = machine
                    .states
                    .iter()
                    .position(|known| known.name == step.from)
                    .expect("a state of the table");
                let cell = machine.cells[row * machine.events.len() + usize::from(event.0)]
                    .expect("a cell of the table");
                assert_eq!(
                    (step.from, step.to),
                    (self.state, machine.states[usize::from(cell.next.0)].name)
                );
                assert_eq!(step.action, cell.action.name());
                self.state = step.to;
                self.answered += usize::from(step.code > 0);
                self.steps.push(step);
            }
            Output::Line(..) => panic!("nobody asked for lines"),
            Output::Refused(Refused { line, code, .. }) => {
                assert!(line.len() <= 256 * 3, "an unbounded line for the log");
                // A message that is refused has its step, too.
                self.answered += usize::from(line != "(the message)");
                self.refused.push((line, code));
            }
            Output::Close => (self.open, self.shakes_hands) = (false, false),
            Output::Fault(_)
            | Output::Octets(_)
            | Output::Cut
            | Output::Wait(_)
            | Output::Reset
            | Output::Hang => panic!("a fault where there is none: {output:?}"),
        }
    }
}
