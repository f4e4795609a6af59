//! What a client could notice between two definitions: behaviour, not lines of text.
//!
//! Both machines are deterministic, so one walk over pairs of states, from both `init`s along the
//! events that both accept or both refuse, meets every run: a refusal can move, too. Where no pair
//! differs, the two are equal for every run, whatever their states are called; by breadth the walk
//! finds the shortest run to each difference.

use std::collections::HashSet;

use super::graph::{EventIndex, Node, NodeIndex, StateIndex, Walk};
use super::served::action;
use super::{Cell, Definition, Span, Vocabulary, normal, same_name};

/// How two definitions are compared, and the states that the comparison begins in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison<'r> {
    /// The vocabulary, if both are served: then the keywords are compared where they are offered,
    /// else as a list.
    pub rules: Option<&'r Vocabulary>,
    /// The state that each starts in, by its number.
    pub start: (usize, usize),
    /// Whether only what a client sees counts: neither actions nor keywords.
    pub replies_only: bool,
}

/// How two definitions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The old one accepts the event here, the new one does not.
    Gone,
    /// The new one accepts the event here, the old one does not.
    New,
    /// Neither accepts it, and they refuse it otherwise.
    Refusal,
    /// Both accept it, and do something else.
    Action,
    /// Both accept it, and answer otherwise.
    Reply,
    /// After it one has ended, and the other goes on.
    End,
    /// The event has another syntax in HELP and 501.
    Syntax,
    /// The list of keywords is another, or what is offered of them after the event.
    Keywords,
}

/// One difference, with the shortest run that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How they differ.
    pub change: Change,
    /// The events that lead there.
    pub run: Vec<String>,
    /// The event after which the difference shows; none for a list of keywords.
    pub event: Option<String>,
    /// The old definition's cell, where there is one.
    pub old: Option<Cell>,
    /// The new definition's cell, where there is one.
    pub new: Option<Cell>,
}

/// A state of each machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    old: StateIndex,
    new: StateIndex,
}

impl Node for Pair {
    fn state(&self) -> StateIndex {
        self.old
    }
}

/// All differences; none means that no client can notice any.
#[must_use]
pub fn diff(old: &Definition, new: &Definition, comparison: &Comparison<'_>) -> Vec<Difference> {
    let mut found = whole(old, new, comparison);
    // Each event of either, by its number in both; a name that one lacks is a cell that it lacks.
    let number = |events: &Definition, name: &str| {
        events.events.iter().position(|event| same_name(&event.name, name))
    };
    let mut names: Vec<&str> = old.events.iter().map(|event| event.name.as_str()).collect();
    names.extend(
        new.events
            .iter()
            .map(|event| event.name.as_str())
            .filter(|name| number(old, name).is_none()),
    );
    let events: Vec<_> = names.iter().map(|name| (number(old, name), number(new, name))).collect();

    let start = Pair { old: StateIndex(comparison.start.0), new: StateIndex(comparison.start.1) };
    let mut known = HashSet::from([start]);
    let mut walk = Walk::new();
    walk.meet(start, None);
    // One edit of a row for several states is one difference.
    let mut said: HashSet<(Change, usize, Option<Span>, Option<Span>)> = HashSet::new();
    while let Some(at) = walk.visit() {
        let pair = *walk.node(at);
        for (event, (of_old, of_new)) in events.iter().enumerate() {
            let one = of_old.and_then(|event| old.cell(pair.old.0, event));
            let other = of_new.and_then(|event| new.cell(pair.new.0, event));
            for change in changes(old, new, one, other, comparison) {
                if said.insert((
                    change,
                    event,
                    one.map(|cell| cell.row),
                    other.map(|cell| cell.row),
                )) {
                    found.push(Difference {
                        change,
                        run: run(&walk, &names, at),
                        event: Some(names[event].to_owned()),
                        old: one.cloned(),
                        new: other.cloned(),
                    });
                }
            }
            // Where only one accepts it, or has ended, there is nothing more to compare.
            let after =
                |cell: Option<&Cell>, state| cell.map_or(state, |cell| StateIndex(cell.next));
            let next = Pair { old: after(one, pair.old), new: after(other, pair.new) };
            if accepts(one) == accepts(other)
                && is_last(old, next.old.0) == is_last(new, next.new.0)
                && known.insert(next)
            {
                walk.meet(next, Some((at, EventIndex(event))));
            }
        }
    }
    found
}

fn is_last(definition: &Definition, state: usize) -> bool {
    state + 1 == definition.states.len()
}

fn accepts(cell: Option<&Cell>) -> bool {
    cell.is_some_and(|cell| !cell.is_refusal())
}

fn changes(
    old: &Definition,
    new: &Definition,
    one: Option<&Cell>,
    other: Option<&Cell>,
    comparison: &Comparison<'_>,
) -> Vec<Change> {
    match (accepts(one), accepts(other)) {
        (true, false) => return vec![Change::Gone],
        (false, true) => return vec![Change::New],
        _ => {}
    }
    let refused = !accepts(one);
    let word = |cell: Option<&Cell>| cell.and_then(|cell| cell.action.as_deref()).map(normal);
    let reply = |cell: Option<&Cell>| cell.and_then(|cell| cell.reply.clone());
    let ends = |definition: &Definition, cell: Option<&Cell>| {
        cell.is_some_and(|cell| is_last(definition, cell.next))
    };
    let offers = comparison.rules.is_some_and(|rules| {
        let of = |definition, cell: Option<&Cell>| {
            cell.filter(|_| !refused).and_then(|cell| offers(definition, cell, rules))
        };
        let (one, other) = (of(old, one), of(new, other));
        one.is_some() && other.is_some() && one != other
    });
    let sees_all = !comparison.replies_only;
    let acts_otherwise = one.is_some() && other.is_some() && word(one) != word(other);
    [
        (sees_all && acts_otherwise, Change::Action),
        (sees_all && offers, Change::Keywords),
        (reply(one) != reply(other), if refused { Change::Refusal } else { Change::Reply }),
        (ends(old, one) != ends(new, other), Change::End),
    ]
    .into_iter()
    .filter_map(|(differs, change)| differs.then_some(change))
    .collect()
}

/// What a cell offers of the keywords, if its action offers any.
#[must_use]
pub fn offers(definition: &Definition, cell: &Cell, rules: &Vocabulary) -> Option<Vec<String>> {
    let is_offer = action(rules, cell).is_some_and(|spec| spec.name == rules.offering);
    is_offer.then(|| definition.offers(cell.next).map(str::to_ascii_uppercase).collect())
}

/// What differs in no one state: the list of keywords, and how commands are written.
fn whole(old: &Definition, new: &Definition, comparison: &Comparison<'_>) -> Vec<Difference> {
    let of = |change, event| Difference { change, run: Vec::new(), event, old: None, new: None };
    let mut found = Vec::new();
    let keywords = |definition: &Definition| -> Vec<String> {
        definition.keywords.iter().map(|keyword| keyword.name.to_ascii_uppercase()).collect()
    };
    let is_list = comparison.rules.is_none() && !comparison.replies_only;
    if is_list && keywords(old) != keywords(new) {
        found.push(of(Change::Keywords, None));
    }
    for event in &old.events {
        let other = new.events.iter().find(|other| same_name(&other.name, &event.name));
        if other.is_some_and(|other| other.display != event.display) {
            found.push(of(Change::Syntax, Some(event.name.clone())));
        }
    }
    found
}

/// The events that lead to a pair; their numbers are those of `names`.
fn run(walk: &Walk<Pair>, names: &[&str], at: NodeIndex) -> Vec<String> {
    walk.run(at, None).moves.iter().map(|step| names[step.event.0].to_owned()).collect()
}
