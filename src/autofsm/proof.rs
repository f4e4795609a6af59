//! `never` and `always`, proven over the whole graph.
//!
//! A run is a sequence of events that the machine accepts, from `init`. A `never` is broken by a
//! run that its expression matches whole; an `always` by a run that matches, after which the state
//! does not accept one of the events that it promises. A refusal is no letter of a run: its event
//! was not accepted. If it moves, the run goes on in another state, by the same letters; if it ends
//! the session, nothing is promised any more.
//!
//! Both ask whether *some* run is so, which a walk over pairs of a state and a step of the
//! expression answers exactly: there are finitely many, and going through them by the number of
//! events finds the shortest such run.

use super::expression::{Step, read};
use super::graph::{EventIndex, Move, Node, NodeIndex, Run, StateIndex, Walk};
use super::{Definition, Diagnostic, Property, Span, place};

/// The most pairs of a state and a step that one proof may have: it bounds its memory.
const PAIRS_MAX: usize = 4_000_000;
/// The most moves that all proofs of a file may look at: it bounds their time.
const MOVES_MAX: usize = 400_000_000;

enum Verdict {
    /// No run breaks it.
    Proven,
    /// No run comes so near that one more event could matter.
    Untouched,
    /// This run does, refusals that move included; for an `always` with the event that is not
    /// accepted after it.
    Broken(Run, Option<EventIndex>),
}

/// Proves each property, or says how it can be broken. Where there are other errors, only what is
/// wrong with the expressions themselves is said: about a broken machine a proof says nothing. That
/// a state does not accept an event is not said of these states, which lack a row as it is.
pub(super) fn check(
    source: &str,
    definition: &Definition,
    prove: bool,
    lacking: &[StateIndex],
    found: &mut Vec<Diagnostic>,
) {
    let (mut moves_left, before) = (MOVES_MAX, found.len());
    // That a rule is idle may follow from the same mistake as that another one is broken.
    let mut idle = Vec::new();
    for property in &definition.properties {
        let Some(steps) = read(source, definition, &property.path, property.path_span, found)
        else {
            continue;
        };
        if !prove {
            continue;
        }
        let pairs = steps.len().saturating_mul(definition.states.len());
        let moves = steps.len().saturating_mul(definition.cells.len());
        if pairs > PAIRS_MAX || moves > moves_left {
            found.push(
                Diagnostic::error(property.path_span, "this is too much to prove")
                    .help(Some("a shorter expression, or fewer properties".to_owned())),
            );
            continue;
        }
        moves_left -= moves;
        match walk(definition, property, &steps) {
            Verdict::Proven => {}
            Verdict::Untouched => idle.push(untouched(property)),
            Verdict::Broken(run, Some(_)) if lacking.contains(&run.end(definition)) => {}
            Verdict::Broken(run, refused) => {
                found.push(broken(source, definition, property, run, refused));
            }
        }
    }
    if found.len() == before && lacking.is_empty() {
        found.append(&mut idle);
    }
}

/// What a run says that breaks a rule; for an `always` with the event that is not accepted after it.
fn broken(
    source: &str,
    definition: &Definition,
    property: &Property,
    mut run: Run,
    refused: Option<EventIndex>,
) -> Diagnostic {
    let says = property.says.escape_debug();
    let message = match refused {
        None => format!("this can happen: {says}"),
        Some(_) => format!("this is not always so: {says}"),
    };
    let mut notes = dialogue(source, definition, &run, refused.is_none());
    match refused {
        Some(event) => {
            let state = run.end(definition);
            let cell = definition.cell(state.0, event.0);
            let refusal = cell.and_then(|cell| Some((cell, cell.reply.as_ref()?)));
            let why = refusal.map_or("has no row for it".to_owned(), |(cell, reply)| {
                let (row, column) = place(source, cell.culprit.start);
                format!("refuses it with {}      the row at {row}:{column}", reply.code)
            });
            let name = &definition.events[event.0].name;
            notes.push(format!("C: {name:<7} {} {why}", definition.states[state.0].name));
            run.moves.push(Move { state, event });
        }
        None if run.moves.is_empty() => {
            notes.push("the expression matches before anything is said".to_owned());
        }
        None => {}
    }
    // The start of the block: a caret under all of it would hide the words.
    let begin = Span { start: property.span.start, end: property.span.start + 1 };
    let (line, column) = place(source, begin.start);
    let help = format!("if this is what you want, change the rule: it is at {line}:{column}");
    Diagnostic::error(begin, message).notes(notes).help(Some(help)).run(run)
}

/// A rule that no edit of a last row could break.
fn untouched(property: &Property) -> Diagnostic {
    let says = property.says.escape_debug();
    let message = match property.accepts {
        None => format!(
            "no conversation gets as far as the last event of `path`, so this forbids nothing: {says}"
        ),
        Some(_) => format!("no conversation is as `after` says, so this promises nothing: {says}"),
    };
    let help = "is the expression what you mean? `.*` at its start stands for all that came before";
    Diagnostic::warning(property.path_span, message).help(Some(help.to_owned()))
}

/// A run as a dialogue; the last line says which row allows it, if that is the mistake.
fn dialogue(source: &str, definition: &Definition, run: &Run, allows: bool) -> Vec<String> {
    let mut lines = run.dialogue(definition);
    let last = run.moves.last().and_then(|last| definition.cell(last.state.0, last.event.0));
    if let (Some(line), Some(cell), true) = (lines.last_mut(), last, allows) {
        let (row, column) = place(source, cell.culprit.start);
        *line += &format!("      the row at {row}:{column} allows it");
    }
    lines
}

/// A state, and a step of the expression that an event or the match is next at.
#[derive(Clone, Copy)]
struct Pair {
    state: usize,
    step: usize,
}

impl Node for Pair {
    fn state(&self) -> StateIndex {
        StateIndex(self.state)
    }
}

/// The pairs that are reached.
struct Pairs<'a> {
    steps: &'a [Step],
    reached: Vec<bool>,
    walk: Walk<Pair>,
    /// Pairs at a fork or a jump whose followers are still to be entered.
    open: Vec<Pair>,
}

impl Pairs<'_> {
    /// Enters a state at a step, and all steps that follow without an event.
    fn enter(&mut self, state: usize, step: usize, before: Option<(NodeIndex, EventIndex)>) {
        self.open.push(Pair { state, step });
        while let Some(pair) = self.open.pop() {
            if std::mem::replace(&mut self.reached[state * self.steps.len() + pair.step], true) {
                continue;
            }
            match self.steps[pair.step] {
                Step::Fork(one, other) => {
                    self.open.extend([other, one].map(|step| Pair { state, step }));
                }
                Step::Jump(step) => self.open.push(Pair { state, step }),
                Step::Event(_) | Step::Match => self.walk.meet(pair, before),
            }
        }
    }
}

fn walk(definition: &Definition, property: &Property, steps: &[Step]) -> Verdict {
    let reached = vec![false; steps.len() * definition.states.len()];
    let mut pairs = Pairs { steps, reached, walk: Walk::new(), open: Vec::new() };
    let ends = ends(steps);
    let moving = moving_refusals(definition);
    let mut touched = false;
    pairs.enter(0, 0, None);
    while let Some(at) = pairs.walk.visit() {
        let Pair { state, step } = *pairs.walk.node(at);
        match &steps[step] {
            Step::Match => match &property.accepts {
                None => return Verdict::Broken(pairs.walk.run(at, None), None),
                Some(promised) => {
                    touched = true;
                    let refused =
                        promised.iter().find(|event| definition.accepted(state, **event).is_none());
                    if let Some(event) = refused {
                        return Verdict::Broken(pairs.walk.run(at, None), Some(EventIndex(*event)));
                    }
                }
            },
            Step::Event(events) => {
                // One more event, accepted or not, would match.
                touched |= property.accepts.is_none() && ends[step] && events.contains(&true);
                for event in (0..events.len()).filter(|event| events[*event]) {
                    if let Some(cell) = definition.accepted(state, event) {
                        pairs.enter(cell.next, step + 1, Some((at, EventIndex(event))));
                    }
                }
            }
            Step::Fork(..) | Step::Jump(_) => {}
        }
        for &(event, next) in &moving[state] {
            pairs.enter(next.0, step, Some((at, event)));
        }
    }
    if touched { Verdict::Proven } else { Verdict::Untouched }
}

/// For each state the refusals that lead to another, with the event and that state. Where one ends
/// the session the run is over: no event follows, and nothing was accepted.
fn moving_refusals(definition: &Definition) -> Vec<Vec<(EventIndex, StateIndex)>> {
    let mut moving = vec![Vec::new(); definition.states.len()];
    for (state, event, cell) in super::served::cells(definition) {
        if cell.is_refusal() && cell.next != state && cell.next + 1 != definition.states.len() {
            moving[state].push((EventIndex(event), StateIndex(cell.next)));
        }
    }
    moving
}

/// For each step that takes an event: whether the expression may match right after it.
fn ends(steps: &[Step]) -> Vec<bool> {
    // Backwards until nothing changes: which steps lead to the match without an event.
    let mut leads = vec![false; steps.len()];
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for step in (0..steps.len()).rev() {
            let now = match steps[step] {
                Step::Match => true,
                Step::Fork(one, other) => leads[one] || leads[other],
                Step::Jump(there) => leads[there],
                Step::Event(_) => false,
            };
            changed |= now && !std::mem::replace(&mut leads[step], now);
        }
    }
    (0..steps.len()).map(|step| leads.get(step + 1).copied().unwrap_or(false)).collect()
}
