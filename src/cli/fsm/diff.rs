//! `postman fsm diff`: what a client could notice between two definitions.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Checked, End, File, checked, print};
use crate::autofsm::{self, Cell, Change, Difference, place};
use crate::smtp::machine::Machine;
use crate::smtp::rehearsal::rehearse;

#[derive(Args)]
pub(in crate::cli) struct Diff {
    /// The definition as it was.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The definition as it is.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare them as another program's, even if a row has a reply.
    #[arg(long)]
    foreign: bool,
}

/// One of the two, with all that is needed to show it.
struct Side {
    checked: Checked,
    machine: Option<&'static Machine>,
}

impl Side {
    fn read(path: &std::path::Path, foreign: bool) -> Result<Self, End> {
        let file = File { path: Some(path.to_owned()), served: false, foreign };
        let checked = checked(&file).map_err(|end| match end {
            // 1 would mean that they differ.
            End::Findings => End::Error(format!("cannot compare {}: it has errors", path.display())),
            error @ End::Error(_) => error,
        })?;
        let machine = checked.machine();
        Ok(Self { checked, machine })
    }

    /// What this side answers to the last of these events: a client's view where it can be served.
    fn answer(&self, run: &[&str], cell: Option<&Cell>, as_client: bool) -> String {
        let mut answer = match self.machine.filter(|_| as_client) {
            Some(machine) => {
                let played = rehearse(machine, run);
                let last = played.get(run.len());
                last.map_or_else(String::new, |exchange| exchange.replies.join(" / "))
            }
            None => self.fact(cell),
        };
        if let Some(cell) = cell {
            let (line, column) = place(&self.checked.source.text, cell.block.start);
            let _ = write!(answer, "      {}:{line}:{column}", self.checked.source.name);
        }
        answer
    }

    fn fact(&self, cell: Option<&Cell>) -> String {
        let Some(cell) = cell else { return "not accepted".to_owned() };
        let next = self.checked.definition.states.get(cell.next).map_or("", |state| state.name.as_str());
        let action = cell.action.as_deref().unwrap_or("no action");
        let reply = cell.reply.as_ref().map_or(String::new(), |reply| {
            format!(", {}{}", reply.code, reply.text.as_ref().map_or(String::new(), |text| format!(" {text}")))
        });
        format!("{action}, to {next}{reply}")
    }
}

pub(super) fn diff(options: &Diff) -> Result<(), End> {
    let old = Side::read(&options.old, options.foreign)?;
    let new = Side::read(&options.new, options.foreign)?;
    let found = autofsm::diff(&old.checked.definition, &new.checked.definition);
    if found.is_empty() {
        return print("equal: after every run both accept the same, do the same and answer the same\n");
    }
    let mut text = String::new();
    for difference in &found {
        text += &shown(&old, &new, difference);
    }
    let number = found.len();
    let _ = writeln!(text, "{number} difference{}", if number == 1 { "" } else { "s" });
    print(&text)?;
    Err(End::Findings)
}

fn shown(old: &Side, new: &Side, difference: &Difference) -> String {
    let event = difference.event.as_deref().unwrap_or_default();
    let title = match difference.change {
        Change::Gone => format!("{event} is no longer accepted"),
        Change::New => format!("{event} is accepted now"),
        Change::Action => format!("{event} does something else"),
        Change::Reply => format!("{event} is answered otherwise"),
        Change::End => format!("{event} ends the session in one of them only"),
        Change::Syntax => format!("{event} is shown otherwise in HELP"),
        Change::Keywords => "EHLO offers something else".to_owned(),
    };
    let mut text = title + "\n";
    let syntax = |side: &Side| {
        let found = side.checked.definition.events.iter().find(|known| autofsm::same_name(&known.name, event));
        found.map_or(String::new(), |found| found.display.clone().unwrap_or_else(|| found.name.clone()))
    };
    let (was, is) = match difference.change {
        Change::Keywords => (old.checked.definition.keywords.join(" "), new.checked.definition.keywords.join(" ")),
        Change::Syntax => (syntax(old), syntax(new)),
        change => {
            let mut run: Vec<&str> = difference.run.iter().map(String::as_str).collect();
            run.push(event);
            for event in &run {
                let _ = writeln!(text, "   C: {event}");
            }
            // What another action does, a reply need not show: there the table's facts say it.
            let as_client =
                !matches!(change, Change::Action | Change::End) && old.machine.is_some() && new.machine.is_some();
            (old.answer(&run, difference.old.as_ref(), as_client), new.answer(&run, difference.new.as_ref(), as_client))
        }
    };
    let _ = writeln!(text, "  old: {was}\n  new: {is}\n");
    text
}
