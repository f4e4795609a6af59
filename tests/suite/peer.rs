//! The second peer: a session without a socket, held to its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use postman::config::{Config, Users};
use postman::maildir;
use postman::smtp::envelope::Envelope;
use postman::smtp::machine::{BUILT, Machine, Position};
use postman::smtp::session::{Client, Input, Output, Question, Session, Step, Verdict};

/// A session, with the users of its configuration and a store that takes all but where
/// `verdicts` says otherwise. It panics where the session breaks its contract.
pub(crate) struct Peer {
    pub(crate) session: Session,
    users: Users,
    machine: &'static Machine,
    /// What the session said and `take_reply` has not taken.
    pub(crate) said: Vec<u8>,
    /// The content of the message at hand.
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
    state: &'static str,
    /// Lines that were answered, the connection among them, and replies.
    answered: usize,
    replies: usize,
    bytes_max: usize,
}

impl Peer {
    /// A session that has greeted its client.
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_machine(config, &BUILT)
    }

    /// The same, by another definition.
    pub(crate) fn with_machine(config: &Config, machine: &'static Machine) -> Self {
        let address = [127, 0, 0, 1].into();
        let may_relay = config.relay_from.iter().any(|network| network.contains(address));
        let refused = config.refuse_from.iter().any(|network| network.contains(address));
        let client = Client { id: "1".to_owned(), address, local: address, may_relay, refused };
        let session = Session::new(Arc::new(config.settings(machine)), client);
        let mut peer = Self {
            session,
            users: config.users.clone(),
            machine,
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
            state: Position::initial(machine).name(),
            answered: 1,
            replies: 0,
            // A line twice (a vector grows by doubling), and an address of 900 octets, in two
            // parts, a recipient.
            bytes_max: 2 * config.line_bytes_max.max(512) + 1024 * config.recipients_max,
        };
        peer.give(Input::Connect);
        peer
    }

    /// Gives an input, and the answers to what the session asks.
    pub(crate) fn give(&mut self, input: Input<'_>) {
        let mut asked = self.hand(input);
        while let Some(question) = asked {
            let verdict = match question {
                Question::Recipient(local) if !self.users.contains(&local) => Verdict::Unknown,
                Question::Recipient(local) if !maildir::takes_name(&local) => Verdict::Unnameable,
                Question::Store => {
                    assert!(std::mem::replace(&mut self.draft, false), "no message to store");
                    self.stored.push(std::mem::take(&mut self.content));
                    Verdict::Yes
                }
                _ => Verdict::Yes,
            };
            let verdict = self.verdicts.get(&self.questions).copied().unwrap_or(verdict);
            self.questions += 1;
            asked = self.hand(Input::Verdict(verdict));
        }
        if self.open {
            assert_eq!(self.replies, self.answered, "one reply a command");
            assert!(!self.draft || self.session.reads_content(), "a transaction was dropped, and its message is open");
        } else {
            assert!(self.replies - self.answered <= 1, "one reply a command, and one at the end");
        }
        let held = self.session.held_bytes();
        assert!(held <= self.bytes_max, "the session holds {held} octets");
    }

    /// One input, and its outputs up to a question.
    fn hand(&mut self, input: Input<'_>) -> Option<Question> {
        let enhanced = self.session.shows_enhanced();
        let mut asked = None;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            assert!(self.open, "an output after the end: {output:?}");
            match output {
                Output::Reply(reply) => {
                    reply.write(&mut self.said, enhanced);
                    self.replies += 1;
                }
                Output::Ask(question) => assert!(asked.replace(question).is_none(), "two questions at once"),
                Output::Open(envelope) => {
                    assert!(!std::mem::replace(&mut self.draft, true), "a message within a message");
                    self.envelopes.push(*envelope);
                    self.content.clear();
                }
                Output::Content(content) => {
                    assert!(self.draft && !content.is_empty(), "content without a message");
                    self.content.extend_from_slice(content);
                }
                Output::Discard => {
                    assert!(std::mem::replace(&mut self.draft, false), "no message to discard");
                    self.content.clear();
                }
                Output::Step(step) => {
                    let machine = self.machine;
                    let event = machine.event(step.event).expect("an event of the table");
                    let row =
                        machine.states.iter().position(|known| known.name == step.from).expect("a state of the table");
                    let cell =
                        machine.cells[row * machine.events.len() + usize::from(event.0)].expect("a cell of the table");
                    assert_eq!((step.from, step.to), (self.state, machine.states[usize::from(cell.next.0)].name));
                    assert_eq!(step.action, cell.action.name());
                    self.state = step.to;
                    self.answered += usize::from(step.code > 0);
                    self.steps.push(step);
                }
                Output::Refused(line, code) => {
                    assert!(line.len() <= 256 * 3, "an unbounded line for the log");
                    // A message that is refused has its step, too.
                    self.answered += usize::from(line != "(the message)");
                    self.refused.push((line, code));
                }
                Output::Close => self.open = false,
            }
        }
        drop(outputs);
        // The end of data has its step when its answer is known.
        if asked.is_none() {
            assert_eq!(self.session.position().name(), self.state, "a move without a step");
        }
        if matches!(input, Input::HangUp) {
            self.open = false;
        }
        if !self.open {
            assert!(!self.draft && asked.is_none(), "an end that leaves something open");
        }
        asked
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
