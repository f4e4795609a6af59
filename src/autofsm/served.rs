//! What a definition must keep to be served: so that no edit can make the server deliver
//! a message without recipients, or lose what it was sent.

use std::collections::BTreeSet;

use super::diagnostic::keep;
use super::graph::{Node, Run, StateIndex, Walk};
use super::{ActionSpec, Cell, Definition, Diagnostic, Severity, Vocabulary, same_name};

type Resources = BTreeSet<&'static str>;

/// A state, with what a session holds in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    state: StateIndex,
    held: Resources,
}

impl Node for Place {
    fn state(&self) -> StateIndex {
        self.state
    }
}

/// Returns the states that lack a row of content: what is wrong there follows from that. `fits` says
/// whether each row does what it is meant to: else a need would only follow from that.
pub(super) fn check(
    definition: &Definition,
    rules: &Vocabulary,
    fits: bool,
    found: &mut Vec<Diagnostic>,
) -> Vec<StateIndex> {
    let before = found.len();
    let lacking = check_content(definition, rules, found);
    check_framers(definition, rules, found);
    check_end(definition, rules, &lacking, found);
    if fits && found.len() == before {
        prove_needs(definition, rules, found);
    }
    // That nothing uses an event follows from a row that is missing and was reported.
    for name in [rules.content, rules.end] {
        let unused = event(definition, name).filter(|_| !lacking.is_empty());
        let span = unused.map(|event| definition.events[event].span);
        found.retain(|one| one.severity == Severity::Error || Some(one.span) != span);
    }
    lacking
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

/// The framer's two events are in the same states, and no other is there: it yields nothing else
/// where content has a cell. Returns the states that have only one of the two.
fn check_content(
    definition: &Definition,
    rules: &Vocabulary,
    found: &mut Vec<Diagnostic>,
) -> Vec<StateIndex> {
    let framers = [rules.content, rules.end].map(|name| event(definition, name));
    let mut lacking = Vec::new();
    for (state, shown) in definition.states.iter().enumerate() {
        let shown = &shown.name;
        let cells = framers.map(|event| event.and_then(|event| definition.cell(state, event)));
        let (cell, message, missing) = match cells {
            [Some(cell), None] => {
                (cell, format!("`{shown}` reads content that nothing ends"), rules.end)
            }
            [None, Some(cell)] => (
                cell,
                format!("`{shown}` has {} without {}", rules.end, rules.content),
                rules.content,
            ),
            [Some(piece), Some(end)] => {
                check_unheard(definition, StateIndex(state), framers, found);
                if piece.next != state {
                    found.push(moves_by_pieces(shown, rules, piece));
                }
                if reads_content(definition, rules, end.next) {
                    lacking.push(StateIndex(state));
                    found.push(goes_on_reading(definition, rules, end));
                }
                continue;
            }
            [None, None] => continue,
        };
        lacking.push(StateIndex(state));
        let help = format!("add a row for {missing}");
        keep(found, Diagnostic::error(cell.culprit, message).help(Some(help)).cause());
    }
    lacking
}

/// Whether a state has a row for the framer's events.
pub(super) fn reads_content(definition: &Definition, rules: &Vocabulary, state: usize) -> bool {
    let framers = [rules.content, rules.end].map(|name| event(definition, name));
    framers.iter().flatten().any(|event| definition.cell(state, *event).is_some())
}

/// How content is cut into pieces depends on the network, and so would the state.
fn moves_by_pieces(state: &str, rules: &Vocabulary, piece: &Cell) -> Diagnostic {
    let message = format!(
        "the row for {} leaves `{state}`, and content comes in pieces of any size",
        rules.content
    );
    let help = "leave out `next`: else the network would decide what follows".to_owned();
    Diagnostic::error(piece.culprit, message).help(Some(help))
}

/// The end of content leads to where content is read.
fn goes_on_reading(definition: &Definition, rules: &Vocabulary, cell: &Cell) -> Diagnostic {
    let next = &definition.states[cell.next].name;
    let message = format!(
        "content ends with `{}`, and this row leads to `{next}`, which reads more",
        rules.end
    );
    let help = "a `next` that leads on to a state for commands".to_owned();
    Diagnostic::error(cell.culprit, message).help(Some(help)).cause()
}

/// Where content is read, no row has another event than the framer's.
fn check_unheard(
    definition: &Definition,
    state: StateIndex,
    framers: [Option<usize>; 2],
    found: &mut Vec<Diagnostic>,
) {
    let shown = &definition.states[state.0].name;
    for (event, cell) in definition.cells_of(state) {
        if !framers.contains(&Some(event.0)) {
            let message = format!(
                "`{}` is never heard in `{shown}`: all that comes there is content",
                definition.events[event.0].name
            );
            keep(found, Diagnostic::error(cell.culprit, message));
        }
    }
}

/// The framer's two events have an action each, which no other event has.
fn check_framers(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let framers = [rules.content, rules.end].map(|name| event(definition, name));
    for (_, index, cell) in cells(definition) {
        let word = cell.action.as_deref().unwrap_or_default();
        let wanted = match word {
            _ if word == rules.append => framers[0],
            _ if word == rules.deliver => framers[1],
            _ if framers.contains(&Some(index)) => None,
            _ => continue,
        };
        if wanted != Some(index) {
            let name = &definition.events[index].name;
            let message = format!("`{word}` is not what `{name}` can do");
            let help = format!(
                "`{}` is what `{}` does, `{}` what `{}` does, and nothing else",
                rules.append, rules.content, rules.deliver, rules.end
            );
            keep(found, Diagnostic::error(cell.culprit, message).help(Some(help)));
        }
    }
}

/// Whether a row says that the connection closes, and goes on. `fitting` reports it.
pub(super) fn only_says_it_closes(
    definition: &Definition,
    rules: &Vocabulary,
    cell: &Cell,
) -> bool {
    let says = cell.reply.as_ref().is_some_and(|reply| rules.closing_codes.contains(&reply.code));
    says && cell.next + 1 != definition.states.len()
}

/// Each state has a way to the end. Those that have one to a state that lacks a row of content, or
/// to one whose row only says that it closes, may have it once that is mended.
fn check_end(
    definition: &Definition,
    rules: &Vocabulary,
    lacking: &[StateIndex],
    found: &mut Vec<Diagnostic>,
) {
    let last = definition.states.len() - 1;
    let says = cells(definition)
        .filter(|(.., cell)| only_says_it_closes(definition, rules, cell))
        .map(|(state, ..)| StateIndex(state));
    let ends = lacking.iter().copied().chain(says).chain([StateIndex(last)]);
    let leads = definition.leading_to(ends);
    for (index, is_reached) in definition.reached().into_iter().enumerate() {
        if is_reached && !leads[index] {
            let state = &definition.states[index];
            let message = format!("no way leads from `{}` to `done`", state.name);
            let help = format!("add a row with `next = {}`", definition.states[last].name);
            let run = definition.shortest_run(|known| known.0 == index);
            keep(
                found,
                Diagnostic::error(state.span, message)
                    .help(Some(help))
                    .run(run.unwrap_or_default()),
            );
        }
    }
}

/// The most missing things that are reported, each with its dialogue.
const UNPROVEN_MAX: usize = 100;
/// The most lines of a dialogue that are shown.
const DIALOGUE_LINES_MAX: usize = 24;

/// Walks every path, the shortest first, with what a session holds on it.
fn prove_needs(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let start = Place { state: StateIndex(0), held: Resources::new() };
    let mut known = BTreeSet::from([start.clone()]);
    let mut walk = Walk::new();
    walk.meet(start, None);
    let (mut met, mut reported) = (BTreeSet::new(), BTreeSet::new());
    while let Some(at) = walk.visit() {
        let Place { state, held } = walk.node(at).clone();
        for (event, cell) in definition.cells_of(state) {
            if reported.len() >= UNPROVEN_MAX {
                return;
            }
            // A refusal does nothing and moves nothing, but that it may end the session.
            let Some(spec) = action(rules, cell).filter(|_| !cell.is_refusal()) else { continue };
            let then = after(&held, spec);
            if let Some((thing, message)) = wrong(definition, rules, cell, spec, (&held, &then)) {
                if !met.insert((cell.culprit, thing)) {
                    continue;
                }
                let run = walk.run(at, Some(event));
                let said = match lost(definition, rules, &run, spec, thing) {
                    Some(row) => lost_on_the_way(definition, row, cell, spec, thing),
                    None => Diagnostic::error(cell.culprit, message),
                };
                // What one row loses is reported once, whatever needs it.
                if reported.insert((said.span, thing)) {
                    let notes = shortened(run.dialogue(definition));
                    keep(found, said.notes(notes).run(run));
                }
                continue;
            }
            let next = Place { state: StateIndex(cell.next), held: then };
            if known.insert(next.clone()) {
                walk.meet(next, Some((at, event)));
            }
        }
    }
}

/// The row of a run that dropped what its last action needs, if one did.
fn lost<'d>(
    definition: &'d Definition,
    rules: &Vocabulary,
    run: &Run,
    spec: &ActionSpec,
    thing: &str,
) -> Option<&'d Cell> {
    let (_, before) = run.moves.split_last().filter(|_| spec.needs.contains(&thing))?;
    let (mut held, mut row) = (Resources::new(), None);
    for step in before {
        let cell = definition.cell(step.state.0, step.event.0)?;
        let Some(spec) = action(rules, cell).filter(|_| !cell.is_refusal()) else { continue };
        let then = after(&held, spec);
        if held.contains(thing) && !then.contains(thing) {
            row = Some(cell);
        }
        held = then;
    }
    row
}

/// It is that row which leads to the wrong state, and not the one that misses the thing there.
fn lost_on_the_way(
    definition: &Definition,
    row: &Cell,
    needing: &Cell,
    spec: &ActionSpec,
    thing: &str,
) -> Diagnostic {
    let (does, next) =
        (row.action.as_deref().unwrap_or_default(), &definition.states[row.next].name);
    let message = format!(
        "after `{does}` there is no longer {thing}, and this row leads to `{next}`, from where a way \
         leads to `{}`, which needs {thing}",
        spec.name
    );
    let help = format!("another `next`; or take `{next}` out of the other row's `tst`");
    Diagnostic::error(row.culprit, message)
        .also("the row that needs it", needing.culprit)
        .help(Some(help))
        .cause()
}

/// What a session holds after an action.
fn after(held: &Resources, spec: &ActionSpec) -> Resources {
    let kept = held.iter().copied().filter(|thing| !spec.drops.contains(thing));
    kept.chain(spec.gives.iter().copied()).collect()
}

/// What an action does not find, or finds and must not, or leaves where it is of no use: the thing,
/// and the sentence. The resources are those before it and after it.
fn wrong(
    definition: &Definition,
    rules: &Vocabulary,
    cell: &Cell,
    spec: &ActionSpec,
    (held, then): (&Resources, &Resources),
) -> Option<(&'static str, String)> {
    let name = spec.name;
    if let Some(missing) = spec.needs.iter().find(|need| !held.contains(*need)) {
        let message = format!("`{name}` needs {missing}, and there is a way here without");
        return Some((missing, message));
    }
    if let Some(left) = spec.lacks.iter().find(|thing| held.contains(*thing)) {
        let message = format!("`{name}` must not find {left}, and there is a way here with one");
        return Some((left, message));
    }
    let reads = event(definition, rules.content)
        .is_some_and(|content| definition.cell(cell.next, content).is_some());
    if then.contains(rules.message) && !reads {
        let next = &definition.states[cell.next].name;
        let message =
            format!("`{name}` leaves {} in `{next}`, which reads no content", rules.message);
        return Some(("", message));
    }
    None
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
