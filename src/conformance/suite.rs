//! Which sessions tell a machine from each of its faulty relatives.
//!
//! [`Depth::States`] is the HSI method (Petrenko, Yevtushenko, Luo): reach each state, say each
//! symbol there, and then the words that tell the state after it from all others. It finds each wrong answer and
//! each wrong target of a server that has no more states than the definition. [`Depth::Extra`] says
//! two symbols in between, which allows for one hidden state; [`Depth::Tour`] meets each cell once,
//! and does not look which state follows.

use std::collections::{BTreeSet, HashSet};

use super::model::{Answer, Mealy, Word};
use crate::autofsm::{EventIndex, Node, StateIndex, Walk};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Each cell once.
    Tour,
    /// Each cell, and the state after it.
    States,
    /// The same after each cell, for a server with one state more.
    Extra,
}

/// The most refusals in one session of a tour: servers lose their patience, some at ten.
const REFUSALS_MAX: usize = 8;

/// Two states of one machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair(StateIndex, StateIndex);

impl Node for Pair {
    fn state(&self) -> StateIndex {
        self.0
    }
}

/// The numbers of the symbols on the way to a node.
fn word<N: Node>(walk: &Walk<N>, at: crate::autofsm::NodeIndex, last: Option<usize>) -> Word {
    let run = walk.run(at, last.map(EventIndex));
    run.moves.iter().map(|step| step.event.0).collect()
}

/// For each state a shortest word that leads there along the cells that may be used; none if none
/// does, or if the connection is closed there.
#[must_use]
pub fn cover<A: Answer>(
    machine: &Mealy<A>,
    is_usable: impl Fn(StateIndex, usize) -> bool,
) -> Vec<Option<Word>> {
    cover_from(machine, StateIndex(0), is_usable)
}

/// The same, from another state than the initial one.
pub(super) fn cover_from<A: Answer>(
    machine: &Mealy<A>,
    begin: StateIndex,
    is_usable: impl Fn(StateIndex, usize) -> bool,
) -> Vec<Option<Word>> {
    let mut ways = vec![None; machine.states()];
    let mut walk = Walk::new();
    let mut known = HashSet::from([begin]);
    walk.meet(begin, None);
    while let Some(at) = walk.visit() {
        let state = *walk.node(at);
        if machine.is_closed(state) {
            continue;
        }
        if let Some(way) = ways.get_mut(state.0) {
            *way = Some(word(&walk, at, None));
        }
        for symbol in machine.by_preference().filter(|symbol| is_usable(state, *symbol)) {
            if let Some((_, next)) = machine.cell(state, symbol)
                && known.insert(*next)
            {
                walk.meet(*next, Some((at, EventIndex(symbol))));
            }
        }
    }
    ways
}

/// A shortest word that the two states answer otherwise, as far as it can be heard; none if no
/// client can tell them apart.
#[must_use]
pub fn separating<A: Answer>(
    machine: &Mealy<A>,
    one: StateIndex,
    other: StateIndex,
) -> Option<Word> {
    let mut walk = Walk::new();
    let mut known = HashSet::from([Pair(one, other)]);
    walk.meet(Pair(one, other), None);
    while let Some(at) = walk.visit() {
        let Pair(one, other) = *walk.node(at);
        for symbol in 0..machine.symbols() {
            let (Some((said, next)), Some((also, follows))) =
                (machine.cell(one, symbol), machine.cell(other, symbol))
            else {
                continue;
            };
            let (is_heard, is_other) = (said.is_heard(), said.differs(also));
            if is_heard && also.is_heard() && is_other {
                return Some(word(&walk, at, Some(symbol)));
            }
            let pair = Pair(*next, *follows);
            if is_heard == also.is_heard() && !is_other && next != follows && known.insert(pair) {
                walk.meet(pair, Some((at, EventIndex(symbol))));
            }
        }
    }
    None
}

/// For each state the words that tell it from every other that a client can tell it from.
#[must_use]
pub fn identifiers<A: Answer>(machine: &Mealy<A>) -> Vec<Vec<Word>> {
    let mut found = vec![BTreeSet::new(); machine.states()];
    for one in 0..machine.states() {
        for other in one + 1..machine.states() {
            if let Some(word) = separating(machine, StateIndex(one), StateIndex(other)) {
                for state in [one, other] {
                    if let Some(words) = found.get_mut(state) {
                        words.insert(word.clone());
                    }
                }
            }
        }
    }
    found.into_iter().map(|words| words.into_iter().collect()).collect()
}

/// The words to say, the shortest first; none is the beginning of another. `ways` leads to the
/// states that are to be looked at.
#[must_use]
pub fn suite<A: Answer>(machine: &Mealy<A>, depth: Depth, ways: &[Option<Word>]) -> Vec<Word> {
    let mut words = BTreeSet::new();
    if depth == Depth::Tour {
        return tour(machine, ways);
    }
    let identifiers = identifiers(machine);
    let between = if depth == Depth::Extra { 2 } else { 1 };
    let mut identify = |word: &Word| match machine.after(word) {
        Some(state) if !machine.is_closed(state) => {
            let known = identifiers.get(state.0).into_iter().flatten();
            words.extend(known.map(|end| [word.as_slice(), end].concat()));
            words.insert(word.clone());
        }
        _ => drop(words.insert(word.clone())),
    };
    for way in ways.iter().flatten() {
        identify(way);
        let mut front = vec![way.clone()];
        for _ in 0..between {
            let longer = front
                .iter()
                .filter(|word| machine.after(word).is_some_and(|state| !machine.is_closed(state)));
            let add = |word: &Word, symbol| [word.as_slice(), &[symbol]].concat();
            front = longer
                .flat_map(|word| (0..machine.symbols()).map(move |symbol| add(word, symbol)))
                .collect();
            front.iter().for_each(&mut identify);
        }
    }
    without_beginnings(words)
}

/// The words that are not the beginning of another, the shortest first.
fn without_beginnings(words: BTreeSet<Word>) -> Vec<Word> {
    // In this order what a word begins follows it at once.
    let all: Vec<Word> = words.into_iter().collect();
    let is_beginning =
        |place: usize, word: &Word| all.get(place + 1).is_some_and(|next| next.starts_with(word));
    let kept = all.iter().enumerate().filter(|(place, word)| !is_beginning(*place, word));
    let mut kept: Vec<Word> = kept.map(|(_, word)| word.clone()).collect();
    kept.retain(|word| !word.is_empty());
    kept.sort_by_key(Vec::len);
    kept
}

/// Sessions that meet each cell of these states once.
fn tour<A: Answer>(machine: &Mealy<A>, ways: &[Option<Word>]) -> Vec<Word> {
    let mut left: BTreeSet<(usize, usize)> = BTreeSet::new();
    for state in (0..machine.states()).filter(|state| ways.get(*state).is_some_and(Option::is_some))
    {
        left.extend((0..machine.symbols()).map(|symbol| (state, symbol)));
    }
    let mut sessions = Vec::new();
    while let Some(&(state, symbol)) = left.first() {
        // A way that is known leads to the first cell that is left, so that each session has one.
        let mut session = match ways.get(state) {
            Some(Some(way)) => way.clone(),
            _ => break,
        };
        session.push(symbol);
        let (mut at, mut refused) = (StateIndex(0), 0);
        let mut next = 0;
        while let Some(&symbol) = session.get(next) {
            let Some((_, after)) = machine.cell(at, symbol) else { break };
            left.remove(&(at.0, symbol));
            refused += usize::from(*after == at);
            (at, next) = (*after, next + 1);
            // Where it stays is asked first: what leads on comes last.
            if next == session.len() && refused < REFUSALS_MAX {
                let here = left.range((at.0, 0)..(at.0 + 1, 0)).map(|(_, symbol)| *symbol);
                let stays =
                    |symbol: &usize| machine.cell(at, *symbol).is_some_and(|cell| cell.1 == at);
                let here: Vec<usize> = here.collect();
                let chosen = here.iter().find(|symbol| stays(symbol)).or(here.first());
                session.extend(chosen);
            }
        }
        sessions.push(session);
    }
    sessions.sort_by_key(Vec::len);
    sessions
}
