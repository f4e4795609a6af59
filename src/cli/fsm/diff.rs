//! `postman fsm diff`: what a client could notice between two definitions.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Defines, End, print};
use crate::autofsm::{self, Cell, Change, Comparison, Definition, Difference, Fault, same_name};
use crate::smtp::vocabulary::VOCABULARY;

mod side;

use side::Side;

#[derive(Args)]
pub(in crate::cli) struct Diff {
    /// The definition as it was.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The definition as it is.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare them as foreign definitions, even if a row has a reply.
    #[arg(long)]
    foreign: bool,
    /// Compare what follows from this state on; two names if it is called otherwise in NEW.
    #[arg(long, value_name = "STATE[=STATE]")]
    from: Option<String>,
    /// Compare what a client sees: neither actions nor keywords.
    #[arg(long)]
    replies: bool,
    /// Print one picture of both: what is new is green, what is gone is red and dashed.
    #[arg(long, conflicts_with_all = ["from", "replies"])]
    svg: bool,
    /// The name to show for both, if they are temporary copies, as git's are.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    defines: Defines,
}

/// What one edit of a row did.
struct Edit<'d> {
    /// The differences that show it, the one with the shortest run first.
    differences: Vec<&'d Difference>,
    /// The row that leads elsewhere, if what differs only does so after it: how many events of the
    /// run come before it.
    turn: Option<usize>,
}

pub(super) fn diff(options: &Diff) -> Result<(), End> {
    let from = options.from.as_deref().map(|from| from.split_once('=').unwrap_or((from, from)));
    let old = Side::read(&options.old, from.map(|(old, _)| old), options)?;
    let new = Side::read(&options.new, from.map(|(_, new)| new), options)?;
    let served = old.machine.is_some() && new.machine.is_some();
    let comparison = Comparison {
        rules: served.then_some(&VOCABULARY),
        start: (old.start, new.start),
        replies_only: options.replies,
    };
    let found = autofsm::diff(old.definition(), new.definition(), &comparison);
    let faults = faults(old.definition(), new.definition());
    if found.is_empty() && faults.is_empty() {
        return print(&if options.svg {
            picture(&old, &new, &[equal(&old, &new, options)])?
        } else {
            equal(&old, &new, options)
        });
    }
    let edits = edits(&old, &new, &found);
    if options.svg {
        let edits = edits.iter().map(|edit| headline(&old, &new, edit));
        let faults = faults.iter().filter_map(|fault| fault.lines().next()).map(str::to_owned);
        let notes: Vec<_> = edits.chain(faults).collect();
        print(&picture(&old, &new, &notes)?)?;
        return Err(End::Findings);
    }
    let mut text = String::new();
    for edit in &edits {
        text += &shown(&old, &new, edit);
    }
    for fault in &faults {
        text += fault;
        text.push('\n');
    }
    let number = edits.len() + faults.len();
    let _ = writeln!(text, "{number} difference{}", if number == 1 { "" } else { "s" });
    print(&text)?;
    Err(End::Findings)
}

/// What differs between two definitions that are served, a line for each change: what a client
/// notices first where, and faults.
pub(in crate::cli) fn changes(old: &Definition, new: &Definition) -> Vec<String> {
    let comparison = Comparison { rules: Some(&VOCABULARY), start: (0, 0), replies_only: false };
    let mut lines: Vec<String> = Vec::new();
    for difference in autofsm::diff(old, new, &comparison) {
        let title = title(&difference);
        // The first one has the shortest way.
        if lines.iter().any(|line| line.split(", after ").next() == Some(&title)) {
            continue;
        }
        let run = difference.run.join(", ");
        lines.push(if run.is_empty() { title } else { format!("{title}, after {run}") });
    }
    let faults = faults(old, new);
    lines.extend(
        faults
            .iter()
            .filter_map(|text| Some(text.lines().next()?.trim_end_matches(':').to_owned())),
    );
    lines
}

/// Both as one picture, with what a client notices below it, a line for each edit.
fn picture(old: &Side, new: &Side, notes: &[String]) -> Result<String, End> {
    /// More lines than these are a text, and no caption.
    const NOTES_MAX: usize = 12;
    let mut shown: Vec<_> = notes.iter().take(NOTES_MAX).cloned().collect();
    if notes.len() > shown.len() {
        shown.push(format!("and {} more", notes.len() - shown.len()));
    }
    let picture = autofsm::svg_of_both(old.definition(), new.definition(), &shown);
    picture.ok_or_else(|| End::Error("too many transitions to draw".to_owned()))
}

/// The faults that only one of the two has, or that do something else under the same words.
fn faults(old: &Definition, new: &Definition) -> Vec<String> {
    let (was, is) = (&old.faults, &new.faults);
    let line = |side: &Definition, fault: &Fault, what: &str| {
        let says = fault.shown();
        let (run, more) = (fault.dialogue(side), fault.condition());
        format!("the fault \"{says}\" {what}:\n   # fires at {run}{more}\n")
    };
    let differs = |fault: &&Fault, others: &[Fault]| !others.iter().any(|one| one.is_same(fault));
    let named = |fault: &Fault, others: &[Fault]| others.iter().any(|one| one.says == fault.says);
    let gone = was.iter().filter(|fault| differs(fault, is) && !named(fault, is));
    let gone = gone.map(|fault| line(old, fault, "is gone"));
    let changed = is.iter().filter(|fault| differs(fault, was)).map(|fault| {
        let what = if named(fault, was) { "does something else" } else { "is new" };
        line(new, fault, what)
    });
    gone.chain(changed).collect()
}

fn equal(old: &Side, new: &Side, options: &Diff) -> String {
    let (was, is) = (old.state_name(old.start), new.state_name(new.start));
    let run = match &options.from {
        Some(_) if same_name(was, is) => format!("every run from {is}"),
        Some(_) => format!("every run from {was} in the old one, {is} in the new one"),
        None => "every run".to_owned(),
    };
    let what = if options.replies { "" } else { ", do the same" };
    format!("equal: after {run} both accept the same{what} and answer the same\n")
}

/// The differences by the edits that made them: those of one row, and those after a row that leads
/// elsewhere now.
fn edits<'d>(old: &Side, new: &Side, found: &'d [Difference]) -> Vec<Edit<'d>> {
    let mut edits: Vec<Edit<'d>> = Vec::new();
    let rows = |difference: &Difference| {
        let row = |cell: &Option<Cell>| cell.as_ref().map(|cell| cell.row);
        (difference.event.clone(), row(&difference.old), row(&difference.new))
    };
    for difference in found {
        let turn = turn(old, new, difference);
        let row = turn.and_then(|turn| row_of_turn(old, difference, turn));
        let same = edits.iter_mut().find(|edit| {
            let first = edit.differences[0];
            match (edit.turn, turn) {
                (Some(its), Some(_)) => row_of_turn(old, first, its) == row,
                (None, None) => {
                    difference.old.is_some()
                        && difference.new.is_some()
                        && rows(first) == rows(difference)
                }
                _ => false,
            }
        });
        match same {
            Some(edit) => edit.differences.push(difference),
            None => edits.push(Edit { differences: vec![difference], turn }),
        }
    }
    edits
}

/// The states of both sides along a run, each before its event.
fn along<'s>(
    old: &'s Side,
    new: &'s Side,
    run: &'s [String],
) -> impl Iterator<Item = (usize, usize, &'s str)> {
    let (mut was, mut is) = (old.start, new.start);
    run.iter().map_while(move |event| {
        let before = (was, is, event.as_str());
        was = old.cell(was, event)?.next;
        is = new.cell(is, event)?.next;
        Some(before)
    })
}

/// The first event of a run that leads the two to different states. A state that the other does not
/// have is a renamed one.
fn turn(old: &Side, new: &Side, difference: &Difference) -> Option<usize> {
    along(old, new, &difference.run).position(|(was, is, event)| {
        let (Some(was), Some(is)) = (old.cell(was, event), new.cell(is, event)) else {
            return false;
        };
        let (was, is) = (old.state_name(was.next), new.state_name(is.next));
        !same_name(was, is) && (new.has_state(was) || old.has_state(is))
    })
}

fn row_of_turn<'s>(
    old: &'s Side,
    difference: &'s Difference,
    turn: usize,
) -> Option<(usize, &'s str)> {
    let mut state = old.start;
    for (number, event) in difference.run.iter().enumerate() {
        let cell = old.cell(state, event)?;
        if number == turn {
            return Some((cell.row.start, event));
        }
        state = cell.next;
    }
    None
}

fn title(difference: &Difference) -> String {
    let event = difference.event.as_deref().unwrap_or_default();
    match difference.change {
        Change::Gone => format!("{event} is no longer accepted"),
        Change::New => format!("{event} is accepted now"),
        Change::Refusal => format!("{event} is refused otherwise"),
        Change::Action => format!("{event} does something else"),
        Change::Reply => format!("{event} is answered otherwise"),
        Change::End => format!("{event} ends the session in one of them only"),
        Change::Syntax => format!("{event} is shown otherwise in HELP"),
        Change::Keywords if event.is_empty() => "the keywords are others".to_owned(),
        Change::Keywords => format!("{event} offers something else"),
    }
}

/// What an edit did, in one line.
fn headline(old: &Side, new: &Side, edit: &Edit<'_>) -> String {
    let first = edit.differences[0];
    let mut along = edit.turn.into_iter().filter_map(|turn| along(old, new, &first.run).nth(turn));
    let Some((was, is, event)) = along.next() else {
        let titles: Vec<_> = edit.differences.iter().map(|difference| title(difference)).collect();
        return titles.join(", ");
    };
    let led = |side: &Side, state| {
        side.cell(state, event).map_or(String::new(), |cell| side.state_name(cell.next).to_owned())
    };
    format!("{event} leads to {}, and led to {}", led(new, is), led(old, was))
}

fn shown(old: &Side, new: &Side, edit: &Edit<'_>) -> String {
    let mut text = headline(old, new, edit);
    if edit.turn.is_some() {
        text.push(':');
        for difference in &edit.differences {
            let _ = write!(text, "\n  {} after it", title(difference));
        }
    }
    text.push('\n');
    text += &evidence(old, new, edit);
    text.push('\n');
    text
}

/// What shows it: the shortest dialogue, with what both answer.
fn evidence(old: &Side, new: &Side, edit: &Edit<'_>) -> String {
    let first = edit.differences[0];
    let event = first.event.as_deref().unwrap_or_default();
    let syntax = |side: &Side| {
        let found = side.definition().events.iter().find(|known| same_name(&known.name, event));
        found.map_or(String::new(), |found| {
            found.display.clone().unwrap_or_else(|| found.name.clone())
        })
    };
    match first.change {
        Change::Keywords if first.event.is_none() => {
            let words = |side: &Side| {
                let names = side.definition().keywords.iter().map(|keyword| keyword.name.as_str());
                names.collect::<Vec<_>>().join(" ")
            };
            return format!("   # old: {}\n   # new: {}\n", words(old), words(new));
        }
        Change::Syntax => return format!("   # old: {}\n   # new: {}\n", syntax(old), syntax(new)),
        _ => {}
    }
    let mut run: Vec<&str> = first.run.iter().map(String::as_str).collect();
    run.push(event);
    // What another action does, a reply need not show: there the table's facts say it.
    let is_seen =
        !edit.differences.iter().any(|one| matches!(one.change, Change::Action | Change::End));
    let as_client = is_seen && old.machine.is_some() && new.machine.is_some();
    let offers = edit.differences.iter().any(|one| one.change == Change::Keywords);
    let played = new.play(&run).filter(|_| old.machine.is_some());
    let mut text = String::new();
    let mut last = Vec::new();
    for exchange in played.iter().flatten() {
        for answer in std::mem::replace(&mut last, exchange.answers()) {
            let _ = writeln!(text, "   {answer}");
        }
        if !exchange.line.is_empty() {
            let _ = writeln!(text, "   C: {}", exchange.line);
        }
    }
    if played.is_none() {
        for event in new.lead.iter().map(String::as_str).chain(run.iter().copied()) {
            let _ = writeln!(text, "   C: {event}");
        }
    }
    // As comments, so that the whole is a dialogue that the new definition plays.
    for (word, side, cell) in [("old", old, &first.old), ("new", new, &first.new)] {
        let row = cell.as_ref().map_or(String::new(), |cell| format!("      {}", side.row(cell)));
        let answer = if offers {
            side.offer(cell.as_ref())
        } else {
            side.answer(&run, cell.as_ref(), as_client)
        };
        let _ = writeln!(text, "   # {word}: {answer}{row}");
    }
    for answer in last {
        let _ = writeln!(text, "   {answer}");
    }
    text
}
