//! The other end of a dialogue: a session without a socket, a disk or a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Ending, Play, Verdict};
use crate::autofsm::Leg;
use crate::config::{Config, Users};
use crate::maildir::{self, Naming};
use crate::smtp::faults::Faults;
use crate::smtp::machine::{EventId, Machine, Position};
use crate::smtp::session::{
    Client, Input, NoUser, Output, Question, Session, Settings, Standing, Step, World, drive,
};

/// A session, with the users of its configuration and a store that takes all except where a verdict
/// says otherwise. The client and the server are both at 127.0.0.1.
#[derive(Debug)]
pub struct Peer {
    session: Session,
    faults: Option<Arc<Faults>>,
    world: Around,
}

/// What the session heard from its client: an event that a row decided, or one that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The state before.
    pub state: &'static str,
    /// The event; for what is no command, the client's line.
    pub event: String,
    /// Whether it was refused.
    pub is_refused: bool,
}

/// What was said, as a dialogue has it: of a reply the first line, of octets too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    line: String,
    /// The step that it belongs to: 0 is the greeting, and then each that was heard.
    step: usize,
}

/// The most octets that are kept of what was said at once.
const SAID_BYTES_MAX: usize = 400;

/// The surroundings of the session.
#[derive(Debug)]
struct Around {
    enhanced: bool,
    users: Users,
    naming: Naming,
    /// What the session said and `take_reply` has not taken.
    said: Vec<u8>,
    /// Whether the session waits for the handshake.
    shakes_hands: bool,
    /// The content of the open message, if there is one.
    draft: Option<Vec<u8>>,
    stored: Vec<Vec<u8>>,
    steps: Vec<Step>,
    /// The state, and all that was heard.
    at: &'static str,
    heard: Vec<Heard>,
    /// What was said, in its order.
    words: Vec<Said>,
    /// Questions so far, by whose number the verdicts are kept.
    questions: usize,
    verdicts: BTreeMap<usize, Verdict>,
    misfit: Option<String>,
    open: bool,
    /// The time, which passes only where somebody says so, in milliseconds.
    now: u64,
    /// How much of it passed in waits that nobody has asked for.
    waited: u64,
    ending: Option<Ending>,
    /// The words of the faults that fired, and were not taken.
    fired: Vec<String>,
}

impl Peer {
    /// A session that has greeted its client.
    #[must_use]
    pub fn new(config: &Config, machine: &'static Machine) -> Self {
        Self::with(config, config.settings(machine))
    }

    /// The same by a machine that the compiler refused: the session ends where an action does not
    /// find what it needs, and [`contradiction`](Self::contradiction) says at which event.
    #[must_use]
    pub fn unproven(config: &Config, machine: &'static Machine) -> Self {
        Self::with(config, Settings { standing: Standing::Refused, ..config.settings(machine) })
    }

    /// A session by settings of one's own, such as those with faults.
    #[must_use]
    pub fn with(config: &Config, settings: Settings) -> Self {
        let faults = settings.faults.clone();
        let session = Session::new(Arc::new(settings), client(config));
        let world = Around {
            enhanced: session.shows_enhanced(),
            users: config.users.clone(),
            naming: config.mailboxes,
            said: Vec::new(),
            shakes_hands: false,
            draft: None,
            stored: Vec::new(),
            steps: Vec::new(),
            at: session.position().name(),
            heard: Vec::new(),
            words: Vec::new(),
            questions: 0,
            verdicts: BTreeMap::new(),
            misfit: None,
            open: true,
            now: 0,
            waited: 0,
            ending: None,
            fired: Vec::new(),
        };
        let mut peer = Self { session, faults, world };
        peer.give(Input::Connect);
        peer
    }

    /// Where the session is in its machine.
    #[must_use]
    pub fn position(&self) -> Position {
        self.session.position()
    }

    /// The event whose action did not find what it needs, so that the session has ended.
    #[must_use]
    pub fn contradiction(&self) -> Option<EventId> {
        self.session.contradiction()
    }

    /// Whether all that the client sends now is content.
    #[must_use]
    pub fn reads_content(&self) -> bool {
        self.session.reads_content()
    }

    /// Takes the words of the faults that fired.
    pub fn take_fired(&mut self) -> Vec<String> {
        std::mem::take(&mut self.world.fired)
    }

    /// All that the session heard.
    #[must_use]
    pub fn heard(&self) -> &[Heard] {
        &self.world.heard
    }

    /// The way through the machine, from the greeting on, with what was said in each step.
    #[must_use]
    pub fn legs(&self) -> Vec<Leg> {
        let heard = &self.world.heard;
        let state = |number: usize| heard.get(number).map_or(self.world.at, |heard| heard.state);
        let leg = |number: usize| {
            let heard = number.checked_sub(1).and_then(|before| heard.get(before));
            Leg {
                from: state(number.saturating_sub(1)).to_owned(),
                event: heard.map(|heard| heard.event.clone()),
                to: state(number).to_owned(),
                is_refused: heard.is_some_and(|heard| heard.is_refused),
                words: Vec::new(),
            }
        };
        let mut legs: Vec<Leg> = (0..=heard.len()).map(leg).collect();
        for Said { line, step } in &self.world.words {
            legs[*step].words.push(line.clone());
        }
        legs
    }

    /// Takes the moves of the machine that were not taken yet.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.world.steps)
    }
}

/// A client at 127.0.0.1, as a configuration treats it.
#[must_use]
pub fn client(config: &Config) -> Client {
    let address = [127, 0, 0, 1].into();
    let may_relay = config.relay_from.iter().any(|network| network.contains(address));
    let refused = config.refuse_from.iter().any(|network| network.contains(address));
    let address = Some(address);
    Client { id: "1".to_owned(), address, local: address, may_relay, refused }
}

/// The answer that a server with these users, and a store with room, gives to a question.
#[must_use]
pub fn usual_answer(question: &Question, users: &Users, naming: Naming) -> Input<'static> {
    match question {
        Question::User(mailbox) if !users.contains(&mailbox.local) => {
            Input::User(Err(NoUser::Unknown))
        }
        Question::User(mailbox) if !maildir::takes_name(mailbox, naming) => {
            Input::User(Err(NoUser::NameTooLong))
        }
        Question::User(_) => Input::User(Ok(())),
        Question::Room(_) => Input::Room(Ok(())),
        Question::Store => Input::Stored(Ok(())),
        Question::Handshake => Input::Handshake(Ok(())),
    }
}

/// What a client sends.
fn said<'i>(input: &Input<'i>) -> Option<&'i [u8]> {
    if let Input::Octets(octets) = input { Some(*octets) } else { None }
}

impl World for Around {
    fn take(&mut self, output: Output<'_>) {
        match output {
            Output::Reply(reply) => reply.write(&mut self.said, self.enhanced),
            Output::Open(_) => self.draft = Some(Vec::new()),
            Output::Content(content) => {
                self.draft.get_or_insert_default().extend_from_slice(content);
            }
            Output::Encrypt => self.shakes_hands = true,
            Output::Discard => self.draft = None,
            Output::Step(step) => {
                self.hear(step.event.to_owned(), false);
                self.at = step.to;
                self.steps.push(step);
            }
            Output::Refused(refused) => {
                let verb = || refused.line.split([' ', ':']).next().unwrap_or_default();
                let event = refused.event.map_or_else(|| verb().to_owned(), str::to_owned);
                self.hear(event, true);
            }
            Output::Close => (self.open, self.shakes_hands) = (false, false),
            Output::Octets(octets) => self.said.extend_from_slice(&octets),
            Output::Wait(milliseconds) => {
                self.now += milliseconds;
                self.waited += milliseconds;
            }
            Output::Reset => (self.open, self.ending) = (false, Some(Ending::Reset)),
            Output::Hang => (self.open, self.ending) = (false, Some(Ending::Hang)),
            Output::Fault(fired) => self.fired.push(fired.says),
            Output::Ask(_) | Output::Cut | Output::Line(..) => {}
        }
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn answer(&mut self, question: Question) -> Input<'static> {
        if matches!(question, Question::Store) {
            self.stored.extend(self.draft.take());
        }
        let verdict = self.verdicts.get(&self.questions).copied();
        self.questions += 1;
        let Some(verdict) = verdict else { return self.usual_answer(&question) };
        verdict.answer(&question).unwrap_or_else(|| {
            self.misfit = Some(format!("{verdict:?} to {question:?}"));
            self.usual_answer(&question)
        })
    }
}

impl Around {
    /// Keeps what was said in a step.
    fn note(&mut self, who: char, octets: &[u8], step: usize) {
        let octets = octets.get(..SAID_BYTES_MAX).unwrap_or(octets);
        let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
        let line = format!("{who}: {}", String::from_utf8_lossy(line).trim_end());
        self.words.push(Said { line, step });
    }

    fn hear(&mut self, event: String, is_refused: bool) {
        self.heard.push(Heard { state: self.at, event, is_refused });
    }

    fn usual_answer(&self, question: &Question) -> Input<'static> {
        usual_answer(question, &self.users, self.naming)
    }
}

impl Play for Peer {
    fn give(&mut self, input: Input<'_>) {
        self.world.shakes_hands &= !matches!(input, Input::Encrypted);
        let (before, octets) = (self.world.heard.len(), said(&input));
        drive(&mut self.session, input, &mut self.world);
        if let Some(octets) = octets {
            // What brings nothing about by itself, as a line of content, goes on with the step before.
            let step = self.world.heard.len().min(before + 1);
            self.world.note('C', octets, step);
        }
    }

    fn take_reply(&mut self) -> Option<String> {
        let mut end = 0;
        for line in self.world.said.split_inclusive(|octet| *octet == b'\n') {
            end += line.len();
            if line.get(3) == Some(&b' ') {
                break;
            }
        }
        let reply: Vec<u8> = self.world.said.drain(..end).collect();
        if end > 0 {
            self.world.note('S', &reply, self.world.heard.len());
        }
        (end > 0).then(|| String::from_utf8_lossy(&reply).into_owned())
    }

    fn state(&self) -> &str {
        self.session.position().name()
    }

    fn answer_next(&mut self, verdict: Verdict) {
        self.world.verdicts.insert(self.world.questions, verdict);
    }

    fn take_misfit(&mut self) -> Option<String> {
        self.world.misfit.take()
    }

    fn shakes_hands(&self) -> bool {
        self.world.shakes_hands
    }

    fn take_stored(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.world.stored)
    }

    fn has_message(&self) -> bool {
        self.world.draft.is_some() || !self.world.stored.is_empty()
    }

    fn is_open(&self) -> bool {
        self.world.open
    }

    fn take_waited(&mut self) -> u64 {
        std::mem::take(&mut self.world.waited)
    }

    fn fire(&mut self, says: &str) {
        if let Some(faults) = &self.faults {
            faults.list_next(says);
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.world.now += milliseconds;
    }

    fn ending(&self) -> Option<Ending> {
        self.world.ending
    }
}
