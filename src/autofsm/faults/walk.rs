//! Where each fault may fire: a walk over the machine together with the expressions of faults.
//!
//! A node is a state with how far its conversation has come in some expressions. A fault that fires
//! whenever its path matches closes the way of the conversation where it refuses or ends it, and
//! hides the later ones that match with it. A conversation has the event of content once for each
//! message: in how many pieces content comes is chance.

use std::collections::BTreeSet;

use super::super::diagnostic::keep;
use super::super::graph::{EventIndex, Node, StateIndex, Walk};
use super::super::{
    Cell, CountKey, Definition, Diagnostic, Move, Progress, Run, Vocabulary, served,
};
use super::{Answer, Code, Fault, read, values};

mod messages;

use messages::{hidden, never, unknown};

/// The most nodes of one walk: it bounds its memory.
const NODES_MAX: usize = 100_000;
/// The most moves that the walks of a file may look at: it bounds their time.
const MOVES_MAX: usize = 2_000_000;

/// A state, how far its conversation is in the expressions, and what it holds of the things that are
/// asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    state: StateIndex,
    /// The last event was a piece of content.
    in_content: bool,
    progress: Vec<Progress>,
    held: BTreeSet<&'static str>,
}

impl Node for Point {
    fn state(&self) -> StateIndex {
        self.state
    }
}

/// What a walk found of one fault.
#[derive(Default)]
struct Findings {
    /// The cells where it fires.
    cells: Vec<Move>,
    /// The first way to it.
    run: Option<Run>,
    /// It fires at the greeting.
    greets: bool,
    /// A key that is not known on some way to it, and that way.
    unknown: Option<(CountKey, Run)>,
    /// The nearest that a conversation comes: how many events are missing, which, and the way.
    nearest: Option<(usize, Vec<bool>, Run)>,
}

struct Walker<'a> {
    definition: &'a Definition,
    rules: &'a Vocabulary,
    moves_left: usize,
}

/// Finds where each fault may fire, and says what is wrong: it can never, or an earlier one hides
/// it, or what it says there does not fit.
pub(super) fn check(
    definition: &Definition,
    rules: &Vocabulary,
    faults: &mut [Fault],
    found: &mut Vec<Diagnostic>,
) {
    let mut walker = Walker { definition, rules, moves_left: MOVES_MAX };
    let mut all = Vec::new();
    for number in 0..faults.len() {
        let others: Vec<usize> = (0..faults.len())
            .filter(|other| *other == number || faults[*other].is_unconditional())
            .collect();
        let alone = walker.walk(faults, number, &[number]);
        let together = walker.walk(faults, number, &others);
        let (Some(alone), Some(together)) = (alone, together) else {
            let help = "a shorter expression, or fewer faults".to_owned();
            let said = Diagnostic::error(faults[number].path_span, "this is too much to prove");
            keep(found, said.help(Some(help)));
            return;
        };
        if alone.run.is_none() {
            keep(found, never(definition, rules, &faults[number], &alone));
        } else if let Some((key, run)) = &alone.unknown {
            keep(found, unknown(definition, &faults[number], *key, run));
        } else if !walker.fits(&faults[number], &alone, found) {
            // It was said.
        } else if together.run.is_none() {
            keep(found, hidden(definition, rules, faults, number, &alone));
        }
        all.push(if together.run.is_some() { together } else { alone });
    }
    for (fault, findings) in faults.iter_mut().zip(all) {
        fault.cells = findings.cells;
        fault.run = findings.run.unwrap_or_default();
    }
}

/// Whether a fault is one for this event: those inside content have none but that.
fn is_of(rules: &Vocabulary, definition: &Definition, fault: &Fault, event: EventIndex) -> bool {
    let is_content = served::event(definition, rules.content) == Some(event.0);
    fault.content.is_some() == is_content
}

/// Whether nothing follows where a fault fires each time. The end of content is taken all the same.
fn stops(rules: &Vocabulary, definition: &Definition, fault: &Fault, event: EventIndex) -> bool {
    let is_end = served::event(definition, rules.end) == Some(event.0);
    fault.end.is_some() || fault.refuses() && !is_end
}

/// The faults that a walk follows, in their order.
struct Among<'f> {
    definition: &'f Definition,
    rules: &'f Vocabulary,
    faults: Vec<(usize, &'f Fault)>,
    /// The number of the one that is asked about, in the file.
    number: usize,
    /// The same among those that are followed.
    own: usize,
}

impl Among<'_> {
    fn own(&self) -> &Fault {
        self.faults[self.own].1
    }

    fn start(&self) -> Vec<Progress> {
        self.faults.iter().map(|(_, fault)| fault.automaton.start()).collect()
    }

    fn follow(&self, before: &[Progress], event: EventIndex) -> Vec<Progress> {
        let both = self.faults.iter().zip(before);
        both.map(|((_, fault), progress)| fault.automaton.follow(progress, event.0)).collect()
    }

    /// Whether one of these fires each time, and before the one that is asked about.
    fn is_hidden(&self, fires: impl Fn(usize) -> bool) -> bool {
        let mut earlier = self
            .faults
            .iter()
            .enumerate()
            .filter(|(_, (other, fault))| *other < self.number && fault.is_unconditional());
        earlier.any(|(at, _)| fires(at))
    }

    /// Whether nothing is said any more after the greeting.
    fn ends_at_the_greeting(&self) -> bool {
        self.faults.iter().any(|(_, fault)| {
            let ends = fault.refuses() || fault.end.is_some();
            fault.is_unconditional() && fault.greets() && ends
        })
    }

    /// Whether the first of them that fires each time lets nothing follow.
    fn is_stopped(&self, event: EventIndex, fires: impl Fn(usize) -> bool) -> bool {
        let mut firing = self.faults.iter().enumerate().filter(|(at, _)| fires(*at));
        firing
            .find(|(_, (_, fault))| fault.is_unconditional())
            .is_some_and(|(_, (_, fault))| stops(self.rules, self.definition, fault, event))
    }
}

impl Walker<'_> {
    /// Walks with the expressions of some faults; none if that is too much. Those before `number`
    /// hide it where they fire each time, and all of them may stop a conversation.
    fn walk(&mut self, faults: &[Fault], number: usize, among: &[usize]) -> Option<Findings> {
        let own = among.iter().position(|other| *other == number)?;
        let faults = among.iter().map(|other| (*other, &faults[*other])).collect();
        let (definition, rules) = (self.definition, self.rules);
        let among = Among { definition, rules, faults, number, own };
        let greets = |at: usize| among.faults[at].1.greets();
        let mut findings =
            Findings { greets: greets(own) && !among.is_hidden(greets), ..Findings::default() };
        findings.run = findings.greets.then(Run::default);
        if findings.greets && !among.own().each.is_empty() {
            Self::note_unknown(&mut findings, among.own(), &BTreeSet::new(), Run::default);
        }
        if among.ends_at_the_greeting() {
            return Some(findings);
        }
        let start = Point {
            state: StateIndex(0),
            in_content: false,
            progress: among.start(),
            held: BTreeSet::new(),
        };
        let mut known = BTreeSet::from([start.clone()]);
        let mut walk = Walk::new();
        walk.meet(start, None);
        while let Some(at) = walk.visit() {
            let point = walk.node(at).clone();
            let run = || walk.run(at, None);
            note_nearest(&mut findings, among.own(), &point.progress[own], run);
            let mut followers = Vec::new();
            for (event, cell) in definition.cells_of(point.state) {
                self.moves_left = self.moves_left.checked_sub(among.faults.len())?;
                let run = || walk.run(at, Some(event));
                let next = self.step(&among, &point, (event, cell), &mut findings, run);
                followers.extend(next.map(|next| (event, next)));
            }
            for (event, next) in followers {
                if known.insert(next.clone()) {
                    walk.meet(next, Some((at, event)));
                }
            }
            if known.len() > NODES_MAX {
                return None;
            }
        }
        Some(findings)
    }

    /// One event of a conversation; none if it is not accepted, or nothing follows.
    fn step(
        &self,
        among: &Among<'_>,
        point: &Point,
        (event, cell): (EventIndex, &Cell),
        findings: &mut Findings,
        run: impl Fn() -> Run,
    ) -> Option<Point> {
        let is_content = served::event(self.definition, self.rules.content) == Some(event.0);
        if cell.is_refusal() || is_content && point.in_content {
            return None;
        }
        let progress = among.follow(&point.progress, event);
        let fires = |at: usize| {
            let (_, fault) = among.faults[at];
            fault.automaton.matches(&progress[at])
                && is_of(self.rules, self.definition, fault, event)
        };
        if fires(among.own) && !among.is_hidden(fires) {
            let here = Move { state: point.state, event };
            if !findings.cells.contains(&here) {
                findings.cells.push(here);
            }
            findings.run.get_or_insert_with(&run);
            Self::note_unknown(findings, among.own(), &point.held, &run);
        }
        if among.is_stopped(event, fires) {
            return None;
        }
        let held = self.held_after(&point.held, among.own(), cell);
        Some(Point { state: StateIndex(cell.next), in_content: is_content, progress, held })
    }

    /// What is held after a cell's action, of the things that the keys of a fault need.
    fn held_after(
        &self,
        held: &BTreeSet<&'static str>,
        fault: &Fault,
        cell: &Cell,
    ) -> BTreeSet<&'static str> {
        let mut held = held.clone();
        let is_asked =
            |thing: &str| fault.each.iter().filter_map(|key| key.needs).any(|needs| needs == thing);
        if let Some(spec) = served::action(self.rules, cell) {
            held.retain(|thing| !spec.drops.contains(thing));
            held.extend(spec.gives.iter().filter(|thing| is_asked(thing)));
        }
        held
    }

    fn note_unknown(
        findings: &mut Findings,
        fault: &Fault,
        held: &BTreeSet<&'static str>,
        run: impl FnOnce() -> Run,
    ) {
        let lacks =
            fault.each.iter().find(|key| key.needs.is_some_and(|needs| !held.contains(needs)));
        if let (Some(key), None) = (lacks, &findings.unknown) {
            findings.unknown = Some((*key, run()));
        }
    }

    /// Whether what a fault says fits each row where it fires.
    fn fits(&self, fault: &Fault, findings: &Findings, found: &mut Vec<Diagnostic>) -> bool {
        let rules = self.rules;
        let codes = findings.cells.iter().filter_map(|step| {
            let cell = self.definition.cell(step.state.0, step.event.0)?;
            Some((Some(*step), cell.reply.as_ref().map_or(0, |reply| reply.code)))
        });
        let greeting = findings.greets.then_some((None, rules.greeting_code));
        for (step, code) in greeting.into_iter().chain(codes) {
            let (message, help) = match &fault.answer {
                Answer::Reply(its, _) if !read::agrees(*its, code) => {
                    let its = if let Code::Fixed(its) = its { *its } else { 0 };
                    (
                        format!("it says {its}, where the row says {}", said(code)),
                        "a reply may refuse, or succeed in other words; send other answers as `octets`",
                    )
                }
                Answer::Octets(octets) if values::shape(octets).has_success && code / 100 != 2 => (
                    format!(
                        "these octets say that it succeeded, where the row says {}",
                        said(code)
                    ),
                    "a client would take it for the answer to its message; begin no line with 2",
                ),
                _ => continue,
            };
            let mut notes = Vec::new();
            if let Some(step) = step {
                notes.push(step.line(self.definition));
            }
            let said = Diagnostic::error(fault.path_span, message).help(Some(help.to_owned()));
            keep(found, said.notes(notes));
            return false;
        }
        true
    }
}

fn said(code: u16) -> String {
    if code == 0 { "nothing".to_owned() } else { code.to_string() }
}

fn note_nearest(
    findings: &mut Findings,
    fault: &Fault,
    progress: &Progress,
    run: impl FnOnce() -> Run,
) {
    let Some((missing, wanted)) = fault.automaton.wanted(progress) else { return };
    if findings.nearest.as_ref().is_none_or(|(least, ..)| missing < *least) {
        findings.nearest = Some((missing, wanted, run()));
    }
}
