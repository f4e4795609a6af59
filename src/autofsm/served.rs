//! What a definition must keep to be served: so that no edit can make the server deliver
//! nothing to nobody, or lose what it was sent.

use std::collections::BTreeSet;

use super::diagnostic::keep;
use super::graph::{Node, StateIndex, Walk};
use super::{ActionSpec, Cell, Definition, Diagnostic, Vocabulary, same_name};

type Resources = BTreeSet<&'static str>;

/// A state, with what is at hand in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    state: StateIndex,
    at_hand: Resources,
}

impl Node for Place {
    fn state(&self) -> StateIndex {
        self.state
    }
}

/// `fits` says whether each row does what it is meant to: else a need would only follow from that.
pub(super) fn check(
    definition: &Definition,
    rules: &Vocabulary,
    fits: bool,
    found: &mut Vec<Diagnostic>,
) {
    let before = found.len();
    check_content(definition, rules, found);
    check_end(definition, found);
    if fits && found.len() == before {
        prove_needs(definition, rules, found);
    }
}

pub(super) fn event(definition: &Definition, name: &str) -> Option<usize> {
    definition.events.iter().position(|event| same_name(&event.name, name))
}

pub(super) fn action<'r>(rules: &'r Vocabulary, cell: &Cell) -> Option<&'r ActionSpec> {
    let name = cell.action.as_deref()?;
    rules.actions.iter().find(|action| action.name == name)
}

pub(super) fn cells(definition: &Definition) -> impl Iterator<Item = (usize, usize, &Cell)> {
    let events = definition.events.len().max(1);
    definition
        .cells
        .iter()
        .enumerate()
        .filter_map(move |(index, cell)| Some((index / events, index % events, cell.as_ref()?)))
}

/// READ and END are the framer's: it yields nothing else where READ has a cell.
fn check_content(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let (content, end) = (event(definition, rules.content), event(definition, rules.end));
    let name = |index: usize| &definition.events[index].name;
    for state in 0..definition.states.len() {
        let has = |event: Option<usize>| event.and_then(|event| definition.cell(state, event));
        let shown = &definition.states[state].name;
        match (has(content), has(end)) {
            (Some(cell), None) => keep(
                found,
                Diagnostic::error(cell.row, format!("`{shown}` reads content that nothing ends"))
                    .help(Some(format!("add a row for {}", rules.end))),
            ),
            (None, Some(cell)) => keep(
                found,
                Diagnostic::error(
                    cell.row,
                    format!("`{shown}` has {} without {}", rules.end, rules.content),
                ),
            ),
            (Some(_), Some(_)) => {
                for index in 0..definition.events.len() {
                    if let Some(cell) = definition.cell(state, index)
                        && Some(index) != content
                        && Some(index) != end
                    {
                        let message = format!(
                            "`{}` is never heard in `{shown}`: all that comes there is content",
                            name(index)
                        );
                        keep(found, Diagnostic::error(cell.row, message));
                    }
                }
            }
            (None, None) => {}
        }
    }
    for (_, index, cell) in cells(definition) {
        let word = cell.action.as_deref().unwrap_or_default();
        let framers = match word {
            _ if word == rules.append => content,
            _ if word == rules.deliver => end,
            _ if Some(index) == content || Some(index) == end => None,
            _ => continue,
        };
        if framers != Some(index) {
            let message = format!("`{word}` is not what `{}` can do", name(index));
            let help = format!(
                "`{}` is what `{}` does, `{}` what `{}` does, and nothing else",
                rules.append, rules.content, rules.deliver, rules.end
            );
            keep(found, Diagnostic::error(cell.row, message).help(Some(help)));
        }
    }
}

fn check_end(definition: &Definition, found: &mut Vec<Diagnostic>) {
    let last = definition.states.len() - 1;
    let mut ends = vec![false; definition.states.len()];
    ends[last] = true;
    let mut before = vec![Vec::new(); definition.states.len()];
    for (state, _, cell) in cells(definition) {
        before[cell.next].push(state);
    }
    let mut open = vec![last];
    while let Some(next) = open.pop() {
        for state in std::mem::take(&mut before[next]) {
            if !std::mem::replace(&mut ends[state], true) {
                open.push(state);
            }
        }
    }
    for (state, is_reached) in definition.reached().into_iter().enumerate() {
        if is_reached && !ends[state] {
            let state = &definition.states[state];
            let help = format!("add a row with `next = {}`", definition.states[last].name);
            keep(
                found,
                Diagnostic::error(
                    state.span,
                    format!("no way leads from `{}` to `done`", state.name),
                )
                .help(Some(help)),
            );
        }
    }
}

/// The most missing things that are reported, each with its dialogue.
const UNPROVEN_MAX: usize = 100;
/// The most lines of a dialogue that are shown.
const DIALOGUE_LINES_MAX: usize = 24;

/// Walks every path, the shortest first, with what is at hand on it.
fn prove_needs(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let content = event(definition, rules.content);
    let start = Place { state: StateIndex(0), at_hand: Resources::new() };
    let mut known = BTreeSet::from([start.clone()]);
    let mut walk = Walk::new();
    walk.meet(start, None);
    let mut reported = BTreeSet::new();
    while let Some(at) = walk.visit() {
        let Place { state, at_hand } = walk.node(at).clone();
        for (event, cell) in definition.cells_of(state) {
            if reported.len() >= UNPROVEN_MAX {
                return;
            }
            // A refusal does nothing and moves nothing, but that it may end the session.
            let Some(spec) = action(rules, cell).filter(|_| !cell.is_refusal()) else { continue };
            let mut then: Resources =
                at_hand.iter().copied().filter(|thing| !spec.drops.contains(thing)).collect();
            then.extend(spec.gives);
            let reads =
                content.is_some_and(|content| definition.cell(cell.next, content).is_some());
            let missing = spec.needs.iter().find(|need| !at_hand.contains(*need));
            let left = spec.lacks.iter().find(|thing| at_hand.contains(*thing));
            let wrong = if let Some(missing) = missing {
                Some((
                    *missing,
                    format!("`{}` needs {missing}, and there is a way here without", spec.name),
                ))
            } else if let Some(left) = left {
                Some((
                    *left,
                    format!(
                        "`{}` must not find {left}, and there is a way here with one",
                        spec.name
                    ),
                ))
            } else if then.contains(rules.message) && !reads {
                let next = &definition.states[cell.next].name;
                let message = format!(
                    "`{}` leaves {} in `{next}`, which reads no content",
                    spec.name, rules.message
                );
                Some(("", message))
            } else {
                None
            };
            if let Some((thing, message)) = wrong {
                if reported.insert((cell.row, thing)) {
                    let dialogue = shortened(walk.run(at, Some(event)).dialogue(definition));
                    keep(found, Diagnostic::error(cell.row, message).notes(dialogue));
                }
                continue;
            }
            let next = Place { state: StateIndex(cell.next), at_hand: then };
            if known.insert(next.clone()) {
                walk.meet(next, Some((at, event)));
            }
        }
    }
}

/// A dialogue without the middle, if it is long.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > DIALOGUE_LINES_MAX {
        let half = DIALOGUE_LINES_MAX / 2;
        let left = lines.len() - 2 * half;
        lines.splice(half..half + left, [format!("... {left} more ...")]);
    }
    lines
}
