//! The other end of a dialogue: a session without a socket, a disk or a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Play;
use crate::config::{Config, Users};
use crate::maildir;
use crate::smtp::machine::{Machine, Position};
use crate::smtp::session::{Client, Input, Output, Question, Session, Step, Verdict};

/// A session, with the users of its configuration and a store that takes all but where a verdict
/// says otherwise. The client and the server are both at 127.0.0.1.
#[derive(Debug)]
pub struct Peer {
    session: Session,
    users: Users,
    /// What the session said and `take_reply` has not taken.
    said: Vec<u8>,
    /// The content of the message at hand, if there is one.
    draft: Option<Vec<u8>>,
    stored: Vec<Vec<u8>>,
    steps: Vec<Step>,
    questions: usize,
    verdicts: BTreeMap<usize, Verdict>,
    open: bool,
}

impl Peer {
    /// A session that has greeted its client.
    #[must_use]
    pub fn new(config: &Config, machine: &'static Machine) -> Self {
        let address = [127, 0, 0, 1].into();
        let may_relay = config.relay_from.iter().any(|network| network.contains(address));
        let refused = config.refuse_from.iter().any(|network| network.contains(address));
        let client = Client { id: "1".to_owned(), address, local: address, may_relay, refused };
        let mut peer = Self {
            session: Session::new(Arc::new(config.settings(machine)), client),
            users: config.users.clone(),
            said: Vec::new(),
            draft: None,
            stored: Vec::new(),
            steps: Vec::new(),
            questions: 0,
            verdicts: BTreeMap::new(),
            open: true,
        };
        peer.give(Input::Connect);
        peer
    }

    /// Where the session stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.session.position()
    }

    /// Whether all that the client sends now is content.
    #[must_use]
    pub fn reads_content(&self) -> bool {
        self.session.reads_content()
    }

    /// Takes the moves of the machine that were not taken yet.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    fn verdict(&mut self, question: &Question) -> Verdict {
        let verdict = match question {
            Question::Recipient(local) if !self.users.contains(local) => Verdict::Unknown,
            Question::Recipient(local) if !maildir::takes_name(local) => Verdict::Unnameable,
            _ => Verdict::Yes,
        };
        if matches!(question, Question::Store) {
            self.stored.extend(self.draft.take());
        }
        let verdict = self.verdicts.get(&self.questions).copied().unwrap_or(verdict);
        self.questions += 1;
        verdict
    }
}

impl Play for Peer {
    fn give(&mut self, input: Input<'_>) {
        let enhanced = self.session.shows_enhanced();
        let mut asked = None;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            match output {
                Output::Reply(reply) => reply.write(&mut self.said, enhanced),
                Output::Ask(question) => asked = Some(question),
                Output::Open(_) => self.draft = Some(Vec::new()),
                Output::Content(content) => self.draft.get_or_insert_default().extend_from_slice(content),
                Output::Discard => self.draft = None,
                Output::Step(step) => self.steps.push(step),
                Output::Refused(..) => {}
                Output::Close => self.open = false,
            }
        }
        drop(outputs);
        if let Some(question) = asked {
            let verdict = self.verdict(&question);
            self.give(Input::Verdict(verdict));
        }
    }

    fn take_reply(&mut self) -> Option<String> {
        let mut end = 0;
        for line in self.said.split_inclusive(|octet| *octet == b'\n') {
            end += line.len();
            if line.get(3) == Some(&b' ') {
                break;
            }
        }
        let reply: Vec<u8> = self.said.drain(..end).collect();
        (end > 0).then(|| String::from_utf8_lossy(&reply).into_owned())
    }

    fn state(&self) -> &str {
        self.session.position().name()
    }

    fn answer_next(&mut self, verdict: Verdict) {
        self.verdicts.insert(self.questions, verdict);
    }

    fn take_stored(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.stored)
    }

    fn has_message(&self) -> bool {
        self.draft.is_some() || !self.stored.is_empty()
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
