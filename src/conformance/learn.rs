//! A server's machine, learned from its answers: L# (Vaandrager, Garhewal, Rot, Wißmann).
//!
//! The tree of all answers has a *basis*, nodes that are apart from each other, and its frontier,
//! their children. A child that is apart from the whole basis joins it; one that is not yet apart
//! from two of it is asked for what tells these apart. Once each child is like one of the basis
//! there is a hypothesis, to which the words of the reference's suite are put, those of its own, and
//! random ones.

use super::model::{Mealy, Model, Word};
use super::session::{Heard, Host, Lost, greeted, say};
use super::suite::{Depth, cover, cover_from, identifiers, suite};
use super::tree::{NodeId, Said, Tree};
use super::words::Kind;
use crate::autofsm::StateIndex;
use crate::dialogue::Play as _;

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The suite that a hypothesis is put to.
    pub depth: Depth,
    /// The most sessions.
    pub sessions_max: usize,
    /// Random words, after the suite.
    pub random_words: usize,
    /// What they depend on.
    pub seed: u64,
}

/// How long a random word is.
const RANDOM_LENGTH: usize = 12;
/// How often a connection that does not come is tried again.
const RETRIES: u32 = 3;

/// Why learning ended without a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// There is no session.
    Lost(Lost),
    /// The same lines were not answered alike: what was exchanged, and what it was before.
    Random(Vec<String>, Vec<String>),
    /// The most sessions were held.
    Exhausted(usize),
}

/// A machine that was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The states, and behind them the closed one.
    pub machine: Mealy<Said>,
    /// A word that leads to each state, but the closed one.
    pub access: Vec<Word>,
}

/// What a learner knows.
pub struct Learner<'m, H> {
    /// The reference, whose symbols are said.
    model: &'m Model,
    /// The server.
    host: &'m mut H,
    /// All answers.
    tree: Tree,
    /// Words that lead to the basis.
    basis: Vec<Word>,
    /// The bounds.
    effort: Effort,
    /// Sessions so far.
    pub sessions: usize,
    /// Lines that were said so far.
    pub commands: usize,
    /// The latest hypothesis. Once the user has ended it before there is one, what is known; a cell
    /// of it that was not asked is none.
    pub latest: Option<Learned>,
}

impl<'m, H: Host> Learner<'m, H> {
    /// A learner that knows nothing.
    pub fn new(model: &'m Model, host: &'m mut H, effort: Effort) -> Self {
        let (tree, basis) = (Tree::new(), vec![Word::new()]);
        Self { model, host, tree, basis, effort, sessions: 0, commands: 0, latest: None }
    }

    /// Learns, until nothing that is asked contradicts the hypothesis.
    ///
    /// # Errors
    /// Why there is none; [`latest`](Self::latest) has what is known.
    pub fn learn(&mut self) -> Result<Learned, Stuck> {
        loop {
            match self.grow() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(stuck) => {
                    if stuck == Stuck::Lost(Lost::Stopped) && self.latest.is_none() {
                        self.latest = Some(self.hypothesis());
                    }
                    return Err(stuck);
                }
            }
            let learned = self.hypothesis();
            self.latest = Some(learned.clone());
            let Some(word) = self.counterexample(&learned)? else { return Ok(learned) };
            self.digest(&learned, word)?;
        }
    }

    /// One step towards a hypothesis. Returns false if there is one.
    fn grow(&mut self) -> Result<bool, Stuck> {
        for access in self.basis.clone() {
            for symbol in 0..self.model.symbols.len() {
                let word = [access.as_slice(), &[symbol]].concat();
                self.ask(&word)?;
                if self.basis.contains(&word) || self.ends(&word) {
                    continue;
                }
                let like = self.like(&word);
                match like.as_slice() {
                    [] => {
                        self.basis.push(word);
                        return Ok(true);
                    }
                    [_] => {}
                    [one, other, ..] => {
                        let nodes = (self.basis_node(*one), self.basis_node(*other));
                        if let Some(end) = self.tree.apart(nodes.0, nodes.1) {
                            self.ask(&[word.as_slice(), &end].concat())?;
                            return Ok(true);
                        }
                    }
                }
            }
        }
        Ok(false)
    }

    /// Whether a word ends the connection.
    fn ends(&self, word: &[usize]) -> bool {
        self.tree.answers(word).last().is_some_and(Said::ends)
    }

    fn basis_node(&self, number: usize) -> NodeId {
        self.basis.get(number).and_then(|word| self.tree.at(word)).unwrap_or(0)
    }

    /// Which of the basis a word's node is not apart from.
    fn like(&self, word: &[usize]) -> Vec<usize> {
        let Some(node) = self.tree.at(word) else { return Vec::new() };
        let all = 0..self.basis.len();
        all.filter(|one| self.tree.apart(self.basis_node(*one), node).is_none()).collect()
    }

    fn hypothesis(&self) -> Learned {
        let closed = StateIndex(self.basis.len());
        let width = self.model.symbols.len();
        let mut cells = Vec::new();
        for access in &self.basis {
            for symbol in 0..width {
                let word = [access.as_slice(), &[symbol]].concat();
                let said = self.tree.answers(&word).pop();
                let next = match self.basis.iter().position(|known| *known == word) {
                    Some(place) => StateIndex(place),
                    None => self.like(&word).first().map_or(closed, |one| StateIndex(*one)),
                };
                cells.push(said.map(|said| {
                    let next = if said.ends() { closed } else { next };
                    (said, next)
                }));
            }
        }
        cells.extend((0..width).map(|_| None));
        Learned { machine: Mealy::new(width, cells), access: self.basis.clone() }
    }

    /// A word that the server answers otherwise than the hypothesis.
    fn counterexample(&mut self, learned: &Learned) -> Result<Option<Word>, Stuck> {
        // The reference's own suite first: a young hypothesis has too few states for its own to find
        // much, and where the server conforms nothing else is to be asked.
        let reference = &self.model.machine;
        let mut words = suite(reference, Depth::States, &cover(reference, |_, _| true));
        words.extend(self.reference_behind(learned));
        let ways = cover(&learned.machine, |_, _| true);
        words.extend(suite(&learned.machine, self.effort.depth, &ways));
        let random = (0..self.effort.random_words).map(|number| self.random_word(number));
        let words: Vec<Word> = words.into_iter().chain(random.collect::<Vec<_>>()).collect();
        let all = words.len();
        for (done, word) in words.into_iter().enumerate() {
            self.host.progress(done, all);
            self.ask(&word)?;
            let heard = self.tree.answers(&word);
            let told: Vec<Said> =
                learned.machine.follow(&word).map(|(_, said)| said.clone()).collect();
            let same = heard.iter().zip(&told).take_while(|(one, other)| one == other).count();
            if same < heard.len() || same < told.len() {
                return Ok(Some(word.get(..=same).unwrap_or(&word).to_vec()));
            }
        }
        self.host.progress(all, all);
        Ok(None)
    }

    /// Behind each state the ways of the reference from there, and what tells their ends apart.
    /// The server may have a state twice where the reference has it once, such as a transaction
    /// over a clear line and one over an encrypted line: no suite has a reason to look.
    fn reference_behind(&self, learned: &Learned) -> Vec<Word> {
        let reference = &self.model.machine;
        let ends = identifiers(reference);
        let mut words = Vec::new();
        for access in &learned.access {
            let Some(begin) = reference.after(access) else { continue };
            let ways = cover_from(reference, begin, |_, _| true);
            for (state, way) in ways.iter().enumerate() {
                let Some(way) = way else { continue };
                let way = [access.as_slice(), way].concat();
                // Content answers nothing: what tells it from other content comes after its end.
                let leads = |symbol: &usize| {
                    self.model.reads_content(StateIndex(state))
                        && reference
                            .cell(StateIndex(state), *symbol)
                            .is_some_and(|cell| cell.1.0 != state)
                };
                let on = (0..reference.symbols()).filter(leads).map(|symbol| vec![symbol]);
                for on in std::iter::once(Word::new()).chain(on) {
                    let way = [way.as_slice(), &on].concat();
                    let ends = reference.after(&way).and_then(|state| ends.get(state.0));
                    let ends = ends.into_iter().flatten();
                    words.extend(ends.map(|end| [way.as_slice(), end].concat()));
                }
            }
        }
        words
    }

    /// Plays a word once more. Returns what was exchanged, if it went as the hypothesis says; else
    /// the word was learned from, and there is to be another hypothesis.
    ///
    /// # Errors
    /// There is no session, or it went as no session before.
    pub fn confirm(
        &mut self,
        learned: &Learned,
        word: &[usize],
    ) -> Result<Option<Vec<String>>, Stuck> {
        let told: Vec<Said> = learned.machine.follow(word).map(|(_, said)| said.clone()).collect();
        let (heard, notes) = self.session(word)?;
        if heard == told {
            return Ok(Some(notes));
        }
        self.keep(word, &heard, notes)?;
        self.digest(learned, word.to_vec())?;
        Ok(None)
    }

    /// splitmix64, a word at a time.
    fn random_word(&self, number: usize) -> Word {
        let number = u64::try_from(number).unwrap_or_default();
        let mut seed = self.effort.seed.wrapping_add(number.wrapping_mul(0x1_0001));
        let width = u64::try_from(self.model.symbols.len()).unwrap_or(1).max(1);
        let mut next = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) % width).unwrap_or(0)
        };
        (0..RANDOM_LENGTH).map(|_| next()).collect()
    }

    /// Makes a counterexample shorter, until it tells a child apart from what it was taken for.
    fn digest(&mut self, learned: &Learned, word: Word) -> Result<(), Stuck> {
        let state = |word: &[usize]| learned.machine.after(word).map(|state| state.0);
        let mut word = word;
        loop {
            // The shortest beginning whose node is apart from its state's.
            let found = (1..=word.len()).find_map(|end| {
                let begin = word.get(..end)?;
                let state = state(begin).filter(|state| *state < self.basis.len())?;
                let apart = self.tree.apart(self.basis_node(state), self.tree.at(begin)?)?;
                Some((begin.to_vec(), apart))
            });
            let Some((begin, apart)) = found else { return Ok(()) };
            let is_near = |word: &[usize]| {
                word.split_last().is_none_or(|(_, before)| self.basis.iter().any(|it| it == before))
            };
            if is_near(&begin) {
                return Ok(());
            }
            let frontier = (1..=begin.len())
                .find(|end| {
                    let word = begin.get(..*end).unwrap_or_default();
                    !self.basis.iter().any(|known| known == word)
                })
                .unwrap_or(begin.len());
            let half = frontier.midpoint(begin.len());
            let (first, second) = begin.split_at(half);
            let access = state(first).and_then(|state| self.basis.get(state)).cloned();
            let Some(access) = access else { return Ok(()) };
            let other = [access.as_slice(), second, &apart].concat();
            self.ask(&other)?;
            let nodes = (self.tree.at(first), self.tree.at(&access));
            let is_apart = nodes
                .0
                .zip(nodes.1)
                .is_some_and(|(one, other)| self.tree.apart(one, other).is_some());
            word = if is_apart { first.to_vec() } else { [access.as_slice(), second].concat() };
        }
    }

    /// Has the tree know the answers to a word.
    fn ask(&mut self, word: &[usize]) -> Result<(), Stuck> {
        if self.tree.knows(word) {
            return Ok(());
        }
        let (answers, notes) = self.session(word)?;
        // What a server says when it is busy is not what it always says.
        if answers.iter().any(|said| matches!(said, Said::Code(400..500, _))) {
            let (again, others) = self.session(word)?;
            if again != answers {
                return Err(Stuck::Random(notes, others));
            }
        }
        self.keep(word, &answers, notes)
    }

    /// Has the tree know what was answered to a word.
    fn keep(&mut self, word: &[usize], answers: &[Said], notes: Vec<String>) -> Result<(), Stuck> {
        if self.tree.add(word, answers).is_err() {
            let known = self.tree.answers(word);
            let lines = word.iter().zip(&known).flat_map(|(symbol, said)| {
                let line = self.model.symbols.get(*symbol).map_or("", |symbol| &symbol.line);
                [format!("C: {line}"), format!("S: {}", said.words())]
            });
            return Err(Stuck::Random(notes, lines.collect()));
        }
        Ok(())
    }

    /// One session: what is answered to each symbol, up to the end of the connection.
    ///
    /// # Errors
    /// There is no session.
    pub fn session(&mut self, word: &[usize]) -> Result<(Vec<Said>, Vec<String>), Stuck> {
        let mut troubles = 0;
        loop {
            if self.sessions >= self.effort.sessions_max {
                return Err(Stuck::Exhausted(self.sessions));
            }
            self.host.pause(troubles);
            if self.host.is_stopped() {
                return Err(Stuck::Lost(Lost::Stopped));
            }
            self.sessions += 1;
            match self.once(word) {
                Err(Lost::Server(_)) if troubles < RETRIES => troubles += 1,
                other => return other.map_err(Stuck::Lost),
            }
        }
    }

    fn once(&mut self, word: &[usize]) -> Result<(Vec<Said>, Vec<String>), Lost> {
        let mut peer = self.host.connect().map_err(Lost::Server)?;
        greeted(&mut peer)?;
        let (mut answers, mut notes) = (Vec::new(), Vec::new());
        // Between a 3xx and the end of content nothing is answered.
        let mut in_content = false;
        for symbol in word.iter().filter_map(|symbol| self.model.symbols.get(*symbol)) {
            // A server that counts its unknown commands would be a machine of that many states.
            if !in_content && matches!(symbol.kind, Kind::Content | Kind::End) {
                answers.push(Said::Unsaid);
                continue;
            }
            let is_answered = !in_content || symbol.kind == Kind::End;
            let heard = say(&mut peer, symbol, is_answered);
            if self.host.is_stopped() {
                return Err(Lost::Stopped);
            }
            self.commands += 1;
            let code = if let Heard::Reply(code, _) = heard { code } else { 0 };
            in_content = if is_answered { (300..400).contains(&code) } else { in_content };
            let closed = [221, 421].contains(&code) && peer.closes();
            notes.push(format!("C: {}", symbol.line));
            notes.extend(heard.noted());
            let said = Said::of(&heard, closed);
            let ends = said.ends();
            answers.push(said);
            if ends {
                return Ok((answers, notes));
            }
        }
        if peer.is_open() && !in_content {
            self.host.leave(peer);
        }
        Ok((answers, notes))
    }
}
