//! A machine as a client meets it: what each word gets for an answer in each state.
//!
//! The table of a definition says what a command does; here a state of content hears nothing but
//! its end, a command without a row is refused and changes nothing, and a word that no definition
//! has, a *probe*, is refused wherever commands are heard.

use super::words::{Kind, Symbol, action};
use crate::autofsm::{Definition, StateIndex, same_name};
use crate::smtp::vocabulary::VOCABULARY;

/// Some symbols, one after the other, by their numbers.
pub type Word = Vec<usize>;

/// What a machine answers, where it is to be told from others.
pub trait Answer: Clone {
    /// Whether a client hears it: content has no answer before its end.
    fn is_heard(&self) -> bool;
    /// Whether a client can tell the two apart, if it hears both.
    fn differs(&self, other: &Self) -> bool;
}

/// States, symbols, and for each pair the answer and the next state; none once the connection is
/// closed. The first state is the initial one.
#[derive(Clone, Debug)]
pub struct Mealy<A> {
    /// How many symbols there are.
    width: usize,
    /// At `state * width + symbol`.
    cells: Vec<Option<(A, StateIndex)>>,
    /// The symbol that goes first, where several lead on.
    preferred: Option<usize>,
}

impl<A: Answer> Mealy<A> {
    /// A machine of these cells.
    #[must_use]
    pub fn new(width: usize, cells: Vec<Option<(A, StateIndex)>>) -> Self {
        Self { width: width.max(1), cells, preferred: None }
    }

    /// The same; where a symbol leads to a state as others do, the way there goes along it.
    #[must_use]
    pub fn preferring(self, preferred: Option<usize>) -> Self {
        Self { preferred, ..self }
    }

    /// All symbols, the preferred one first.
    pub fn by_preference(&self) -> impl Iterator<Item = usize> {
        let others = (0..self.width).filter(|symbol| Some(*symbol) != self.preferred);
        self.preferred.into_iter().chain(others)
    }

    /// How many states there are, the closed one among them if the machine has one.
    #[must_use]
    pub fn states(&self) -> usize {
        self.cells.len() / self.width
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.width
    }

    /// What a state answers to a symbol, and the state after it.
    #[must_use]
    pub fn cell(&self, state: StateIndex, symbol: usize) -> Option<&(A, StateIndex)> {
        if symbol >= self.width {
            return None;
        }
        self.cells.get(state.0 * self.width + symbol)?.as_ref()
    }

    /// Whether nothing can be said in a state: the connection is closed.
    #[must_use]
    pub fn is_closed(&self, state: StateIndex) -> bool {
        (0..self.width).all(|symbol| self.cell(state, symbol).is_none())
    }

    /// The cells that a word meets, with their states; it ends early where the connection is closed.
    pub fn follow(&self, word: &[usize]) -> impl Iterator<Item = (StateIndex, &A)> {
        let mut state = StateIndex(0);
        word.iter().map_while(move |symbol| {
            let before = state;
            let (answer, next) = self.cell(state, *symbol)?;
            state = *next;
            Some((before, answer))
        })
    }

    /// The state after a word; none if the connection is closed before its end.
    #[must_use]
    pub fn after(&self, word: &[usize]) -> Option<StateIndex> {
        word.iter().try_fold(StateIndex(0), |state, symbol| Some(self.cell(state, *symbol)?.1))
    }
}

/// The sorts of answers that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// 2xx: it was done.
    Done,
    /// 3xx: content is awaited.
    More,
    /// 4xx or 5xx: nothing was done.
    Refused,
    /// Nothing: it is content.
    Silent,
}

impl Sort {
    /// The sort of a code.
    #[must_use]
    pub fn of(code: u16) -> Self {
        match code {
            0..300 => Self::Done,
            300..400 => Self::More,
            _ => Self::Refused,
        }
    }

    /// In words, after "expected".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "to be accepted (2xx)",
            Self::More => "to be asked for content (3xx)",
            Self::Refused => "to be refused (5xx)",
            Self::Silent => "no answer inside content",
        }
    }
}

/// The answer that the definition gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its sort.
    pub sort: Sort,
    /// The code of the row, if it has one and codes count.
    pub code: Option<u16>,
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

impl Answer for Expected {
    fn is_heard(&self) -> bool {
        self.sort != Sort::Silent
    }

    fn differs(&self, other: &Self) -> bool {
        let codes = self.code.zip(other.code);
        let is_other_code = codes.is_some_and(|(one, other)| one != other);
        self.sort != other.sort || self.closes != other.closes || is_other_code
    }
}

/// A definition as a client meets it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The definition, as the listener serves it.
    pub definition: Definition,
    /// What a client can say.
    pub symbols: Vec<Symbol>,
    /// What is answered.
    pub machine: Mealy<Expected>,
    /// Whether the line is encrypted from the first octet.
    pub from_first_octet: bool,
}

impl Model {
    /// The machine of a definition with these symbols. If they count, a row's code is expected, and
    /// not any of its sort.
    #[must_use]
    pub fn new(definition: Definition, symbols: Vec<Symbol>, by_codes: bool) -> Self {
        let last = definition.states.len().saturating_sub(1);
        let mut cells = Vec::new();
        for state in 0..definition.states.len() {
            for symbol in &symbols {
                let cell = (state != last).then(|| expected(&definition, state, symbol));
                cells.push(cell.map(|(answer, next)| {
                    let code = answer.code.filter(|_| by_codes);
                    (Expected { code, ..answer }, next)
                }));
            }
        }
        // A server may offer extensions to those alone who ask for them: a way by EHLO is every client's.
        let extended = |symbol: &Symbol| {
            symbol.event.and_then(|event| action(&definition, event)) == Some("greet_extended")
        };
        let preferred = symbols.iter().position(extended);
        let machine = Mealy::new(symbols.len(), cells).preferring(preferred);
        Self { definition, symbols, machine, from_first_octet: false }
    }

    /// A state's name.
    #[must_use]
    pub fn state(&self, state: StateIndex) -> &str {
        self.definition.states.get(state.0).map_or("", |state| &state.name)
    }

    /// A symbol's name.
    #[must_use]
    pub fn name(&self, symbol: usize) -> &str {
        self.symbols.get(symbol).map_or("", |symbol| &symbol.name)
    }

    /// Whether all that the client sends in a state is content.
    #[must_use]
    pub fn reads_content(&self, state: StateIndex) -> bool {
        reads_content(&self.definition, state.0)
    }

    /// How many messages a word makes the server accept.
    #[must_use]
    pub fn mails(&self, word: &[usize]) -> usize {
        let steps = self.machine.follow(word).zip(word);
        let ends = steps.filter(|((state, answer), symbol)| {
            let is_end = self.symbols.get(**symbol).is_some_and(|symbol| symbol.kind == Kind::End);
            is_end && self.reads_content(*state) && answer.sort == Sort::Done
        });
        ends.count()
    }
}

fn event(definition: &Definition, name: &str) -> Option<usize> {
    definition.events.iter().position(|event| same_name(&event.name, name))
}

fn reads_content(definition: &Definition, state: usize) -> bool {
    let framers = [VOCABULARY.content, VOCABULARY.end];
    let mut events = framers.iter().filter_map(|name| event(definition, name));
    events.any(|event| definition.cell(state, event).is_some())
}

/// What a state answers to a symbol.
fn expected(definition: &Definition, state: usize, symbol: &Symbol) -> (Expected, StateIndex) {
    let last = definition.states.len().saturating_sub(1);
    let hears_commands = !reads_content(definition, state);
    let is_heard = match symbol.kind {
        Kind::Command | Kind::Encrypt => hears_commands,
        Kind::End => !hears_commands,
        Kind::Content | Kind::Probe => false,
    };
    let cell = symbol.event.filter(|_| is_heard).and_then(|event| definition.cell(state, event));
    let Some(cell) = cell else {
        let sort = if hears_commands { Sort::Refused } else { Sort::Silent };
        return (Expected { sort, code: None, closes: false }, StateIndex(state));
    };
    let code = cell.reply.as_ref().map(|reply| reply.code);
    let sort = code.map_or(Sort::Done, Sort::of);
    (Expected { sort, code, closes: cell.next == last }, StateIndex(cell.next))
}
