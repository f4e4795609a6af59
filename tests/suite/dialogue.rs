//! The dialogues of `tests/dialogues`, by the player that `postman fsm play` uses, with a peer that
//! holds the session to its contract.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::path::Path;

use postman::autofsm;
use postman::config::Config;
pub(crate) use postman::dialogue::Act;
use postman::dialogue::{Play, Verdict};
use postman::smtp::machine::Machine;
use postman::smtp::session::Input;
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::{Peer, page};

impl Play for Peer {
    fn give(&mut self, input: Input<'_>) {
        Peer::give(self, input);
    }

    fn take_reply(&mut self) -> Option<String> {
        Peer::take_reply(self)
    }

    fn state(&self) -> &str {
        self.session.position().name()
    }

    fn answer_next(&mut self, verdict: Verdict) {
        let question = self.questions;
        self.verdicts.insert(question, verdict);
    }

    fn take_misfit(&mut self) -> Option<String> {
        None
    }

    fn shakes_hands(&self) -> bool {
        self.shakes_hands
    }

    fn take_stored(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.stored)
    }

    fn has_message(&self) -> bool {
        self.draft || !self.stored.is_empty()
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");

pub(crate) struct Dialogue {
    pub(crate) name: String,
    read: postman::dialogue::Dialogue,
}

impl Deref for Dialogue {
    type Target = postman::dialogue::Dialogue;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

impl Dialogue {
    /// All of `tests/dialogues`, in order.
    pub(crate) fn all() -> Vec<Self> {
        let mut files: Vec<_> =
            fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "smtp"));
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let read = postman::dialogue::Dialogue::parse(&fs::read_to_string(path).unwrap());
            Self { read: read.unwrap_or_else(|failure| panic!("{name}:{failure}")), name }
        };
        files.iter().map(read).collect()
    }

    pub(crate) fn config(&self) -> Config {
        self.read.config().unwrap_or_else(|failure| panic!("{}:{failure}", self.name))
    }

    /// A session at its begin.
    pub(crate) fn peer(&self) -> Peer {
        let machine = self.machine(self.whole_machine());
        let machine = machine.unwrap_or_else(|failure| panic!("{}:{failure}", self.name));
        Peer::with_machine(&self.config(), machine)
    }

    /// The machine of the definition that it names, or of the tests' own page, with all rows.
    fn whole_machine(&self) -> &'static Machine {
        let Some(name) = &self.definition else { return page() };
        let text = fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
        let compiled = autofsm::compile(&text, Some(&VOCABULARY));
        let shown = autofsm::render(&compiled.diagnostics, name, &text);
        let definition = compiled.definition.unwrap_or_else(|| panic!("{shown}"));
        Machine::load(name, &definition).unwrap()
    }

    /// Plays it; `cut` says how many of the octets at hand come at once. Returns the verdicts
    /// by the number of their question.
    pub(crate) fn play(&self, cut: impl FnMut(usize) -> usize) -> BTreeMap<usize, Verdict> {
        let mut peer = self.peer();
        self.read.play(&mut peer, cut).unwrap_or_else(|failure| panic!("{}:{failure}", self.name));
        std::mem::take(&mut peer.verdicts)
    }
}
