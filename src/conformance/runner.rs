//! The run of a suite: each deviation is repeated, and other ways are looked for to the states
//! behind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::model::{Model, Word};
use super::report::Report;
use super::session::{Heard, Host, Lost, Went, play};
use super::suite::{Depth, cover, identifiers, suite};
use super::verdicts;
use crate::autofsm::StateIndex;

/// A cell: a state and a symbol, by their numbers.
pub(super) type Place = (usize, usize);

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much.
    pub depth: Depth,
    /// Only this state, and only this symbol of it.
    pub only: Option<(usize, Option<usize>)>,
}

/// How often a session is tried again whose trouble may pass.
const RETRIES: u32 = 3;

/// What the last symbol of a word brought, where it was not what is expected.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Another answer, twice.
    Off(Heard),
    /// What may pass, each time.
    Doubtful(String),
    /// Not the same each time: what was exchanged in two sessions.
    Random(Vec<String>, Vec<String>),
}

/// A suite that is run.
pub(super) struct Runner<'m, H> {
    pub model: &'m Model,
    pub options: Options,
    host: &'m mut H,
    /// Words all of whose symbols were answered as expected.
    pub fine: HashSet<Word>,
    /// The cells that such words met.
    pub met: HashSet<Place>,
    /// Words whose last symbol alone was not.
    pub outcomes: BTreeMap<Word, Outcome>,
    /// The words that tell each state from the others.
    pub identifiers: Vec<Vec<Word>>,
    /// Why it ended early.
    pub lost: Option<Lost>,
    pub sessions: usize,
    pub commands: usize,
    pub mails: usize,
}

/// The words that a run would say to a server that keeps the definition.
#[must_use]
pub fn plan(model: &Model, options: Options) -> Vec<Word> {
    words(model, options, &cover(&model.machine, |_, _| true))
}

fn words(model: &Model, options: Options, ways: &[Option<Word>]) -> Vec<Word> {
    let Some((state, symbol)) = options.only else {
        return suite(&model.machine, options.depth, ways);
    };
    let way = ways.get(state).cloned().flatten();
    let wanted: Vec<_> =
        (0..ways.len()).map(|other| way.clone().filter(|_| other == state)).collect();
    let mut words = suite(&model.machine, options.depth, &wanted);
    if let (Some(way), Depth::Tour) = (&way, options.depth) {
        // A tour goes on to other states.
        let all = (0..model.machine.symbols()).map(|symbol| [way.as_slice(), &[symbol]].concat());
        words = all.collect();
    }
    if let (Some(way), Some(symbol)) = (way, symbol) {
        words.retain(|word| word.get(way.len()) == Some(&symbol) && word.starts_with(&way));
    }
    words
}

/// Runs the suite of a model against a host.
pub fn run<H: Host>(model: &Model, options: Options, host: &mut H) -> Report {
    let identifiers = match options.depth {
        Depth::Tour => vec![Vec::new(); model.machine.states()],
        _ => identifiers(&model.machine),
    };
    let mut runner = Runner {
        model,
        options,
        host,
        fine: HashSet::from([Word::new()]),
        met: HashSet::new(),
        outcomes: BTreeMap::new(),
        identifiers,
        lost: None,
        sessions: 0,
        commands: 0,
        mails: 0,
    };
    let mut ways = cover(&model.machine, |_, _| true);
    let mut bad: BTreeSet<Place> = BTreeSet::new();
    let mut moved = BTreeMap::new();
    let mut next = words(model, options, &ways);
    loop {
        runner.say_all(next);
        let before = (bad.len(), ways.clone());
        let judged = verdicts::judge(&runner, &ways, &mut moved);
        bad.extend(judged.bad());
        // Another way to what is behind a cell that fails.
        let others = cover(&model.machine, |state, symbol| !bad.contains(&(state.0, symbol)));
        for (way, other) in ways.iter_mut().zip(others) {
            let is_bad = |way: &Word| cells(model, way).any(|cell| bad.contains(&cell));
            if other.is_some() && way.as_ref().is_some_and(is_bad) {
                *way = other;
            }
        }
        next = match options.depth {
            Depth::Tour => runner.left_out(&ways),
            _ if before == (bad.len(), ways.clone()) => Vec::new(),
            _ => words(model, options, &ways),
        };
        if runner.lost.is_some() || next.is_empty() {
            return runner.report(judged);
        }
    }
}

/// The cells that a word meets.
pub(super) fn cells(model: &Model, word: &[usize]) -> impl Iterator<Item = Place> {
    model.machine.follow(word).zip(word).map(|((state, _), symbol)| (state.0, *symbol))
}

impl<H: Host> Runner<'_, H> {
    /// The first beginning of a word that was not as expected at its last symbol.
    pub(super) fn outcome_within(&self, word: &[usize]) -> Option<(&Word, &Outcome)> {
        (1..=word.len()).find_map(|end| self.outcomes.get_key_value(word.get(..end)?))
    }

    /// The cells that no session of a tour came to, since one before them failed.
    fn left_out(&self, ways: &[Option<Word>]) -> Vec<Word> {
        let asked = words(self.model, self.options, ways);
        let asked: BTreeSet<Place> =
            asked.iter().flat_map(|word| cells(self.model, word)).collect();
        let left = asked.into_iter().filter(|cell| !self.met.contains(cell));
        let words = left.filter_map(|(state, symbol)| {
            let word = [ways.get(state)?.as_deref()?, &[symbol]].concat();
            self.outcome_within(&word).is_none().then_some(word)
        });
        words.collect()
    }

    fn say_all(&mut self, words: Vec<Word>) {
        let all = words.len();
        for (done, word) in words.into_iter().enumerate() {
            self.host.progress(done, all);
            if self.lost.is_some() {
                return;
            }
            if self.fine.contains(&word) || self.outcome_within(&word).is_some() {
                continue;
            }
            if let Err(lost) = self.look(&word) {
                self.lost = Some(lost);
            }
        }
        self.host.progress(all, all);
    }

    /// Says a word, notes what came of it, and repeats a deviation before it is believed.
    fn look(&mut self, word: &Word) -> Result<(), Lost> {
        let mut first = Vec::new();
        let (place, outcome) = match self.attempt(word, &mut first)? {
            Went::Through => {
                self.all_fine(word);
                return Ok(());
            }
            Went::Doubtful(place, why) => (place, Outcome::Doubtful(why)),
            Went::Off(place, heard) => (place, self.repeated(word, place, heard, first)?),
        };
        self.all_fine(word.get(..place).unwrap_or_default());
        self.outcomes.insert(word.get(..=place).unwrap_or_default().to_vec(), outcome);
        Ok(())
    }

    fn all_fine(&mut self, word: &[usize]) {
        for end in 0..=word.len() {
            self.fine.insert(word.get(..end).unwrap_or_default().to_vec());
        }
        self.met.extend(cells(self.model, word));
    }

    /// The same again in a fresh connection.
    fn repeated(
        &mut self,
        word: &Word,
        place: usize,
        heard: Heard,
        first: Vec<String>,
    ) -> Result<Outcome, Lost> {
        let word = word.get(..=place).unwrap_or_default().to_vec();
        let mut second = Vec::new();
        Ok(match self.attempt(&word, &mut second)? {
            Went::Off(again, other) if again == place && other.word() == heard.word() => {
                Outcome::Off(heard)
            }
            Went::Doubtful(_, why) => Outcome::Doubtful(why),
            _ => Outcome::Random(first, second),
        })
    }

    /// One session; again if its trouble may pass.
    fn attempt(&mut self, word: &Word, notes: &mut Vec<String>) -> Result<Went, Lost> {
        let mut troubles = 0;
        loop {
            self.host.pause(troubles);
            notes.clear();
            self.sessions += 1;
            self.commands += word.len();
            let went = play(self.host, self.model, word, notes);
            if went == Ok(Went::Through) {
                self.mails += self.model.mails(word);
            }
            let may_pass = matches!(went, Ok(Went::Doubtful(..)) | Err(Lost::Server(_)));
            if !may_pass || troubles == RETRIES {
                return went;
            }
            troubles += 1;
        }
    }

    /// A word that ends with the same deviation at the same cell, and has no symbol that it can do
    /// without.
    pub(super) fn shortened(&mut self, word: &Word, keep: usize, heard: &Heard) -> Word {
        let mut word = word.clone();
        let mut place = 0;
        let mut kept = keep;
        while place < kept && self.lost.is_none() {
            let mut shorter = word.clone();
            shorter.remove(place);
            let cell = |word: &Word| cells(self.model, word).last();
            let blamed = |word: &Word, place| cells(self.model, word).nth(place);
            let is_whole = cells(self.model, &shorter).count() == shorter.len();
            let is_same = is_whole
                && cell(&shorter) == cell(&word)
                && blamed(&shorter, kept - 1) == blamed(&word, kept)
                && matches!(self.attempt(&shorter, &mut Vec::new()),
                    Ok(Went::Off(at, other)) if at + 1 == shorter.len() && other.word() == heard.word());
            if is_same {
                word = shorter;
                kept -= 1;
            } else {
                place += 1;
            }
        }
        word
    }
}

/// The state after a word, closed or not.
pub(super) fn after(model: &Model, word: &[usize]) -> Option<StateIndex> {
    model.machine.after(word)
}
