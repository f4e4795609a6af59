//! `/state` and `/table`: the machine with its counts, at one moment, and what has changed since
//! another.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::answer::Context;
use super::definition::{Page, cell_name};
use crate::server::{Numbers, Refused, Taken};

/// What stands in the place of an event where a line was none.
const NO_EVENT: &str = "-";

/// The counts of a page at one moment.
#[derive(Clone, PartialEq)]
pub(super) struct Snapshot {
    pub(super) taken: Vec<Taken>,
    pub(super) refused: Vec<Refused>,
    pub(super) standing: Vec<(&'static str, u64)>,
    /// How often each fault fired.
    pub(super) fired: Vec<u64>,
    pub(super) numbers: Numbers,
}

impl Snapshot {
    /// The counts of all listeners that serve the page's machine.
    pub(super) fn of(page: &Page, numbers: Numbers) -> Self {
        let knows = |known: &[String], name: &str| known.iter().any(|one| one == name);
        let definition = &page.definition;
        let (mut taken, mut refused, mut standing) = (Vec::new(), Vec::new(), Vec::new());
        for counters in &page.counters {
            // All have one machine, so that each list has its order.
            if taken.is_empty() {
                taken = counters.taken().collect::<Vec<_>>();
                standing = counters.standing().collect::<Vec<_>>();
            } else {
                taken
                    .iter_mut()
                    .zip(counters.taken())
                    .for_each(|(all, one)| all.count += one.count);
                standing.iter_mut().zip(counters.standing()).for_each(|(all, one)| all.1 += one.1);
            }
            for one in counters.refused() {
                add(&mut refused, one);
            }
        }
        // A machine has the states of its whole definition, and here they are those that are served.
        taken.retain(|cell| {
            knows(&definition.states, cell.state) && knows(&definition.events, cell.event)
        });
        standing.retain(|(state, _)| knows(&definition.states, state));
        let fired = definition.faults.iter().flat_map(|faults| faults.report());
        let fired = fired.map(|report| report.fired).collect();
        Self { taken, refused, standing, fired, numbers }
    }

    /// The members that are others than in an earlier snapshot; all of them without one.
    fn members(&self, page: &Page, earlier: Option<&Self>) -> Map<String, Value> {
        let mut members = Map::new();
        let mut add = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        let cells = self.taken.iter().enumerate().filter_map(|(place, cell)| {
            let Some(earlier) = earlier else { return Some(cell_json(cell)) };
            let name = cell_name(cell.state, cell.event);
            (earlier.taken.get(place) != Some(cell))
                .then(|| json!({"cell": name, "taken": cell.count}))
        });
        let cells: Vec<_> = cells.collect();
        if earlier.is_none() || !cells.is_empty() {
            add("cells", cells.into());
        }
        let is_new = |one: &&Refused| earlier.is_none_or(|earlier| !earlier.refused.contains(one));
        let refused: Vec<_> = self.refused.iter().filter(is_new).map(refused_json).collect();
        if earlier.is_none() || !refused.is_empty() {
            add("refused", refused.into());
        }
        let sessions = self.standing.iter();
        let sessions = sessions
            .filter(|one| earlier.is_none_or(|earlier| !earlier.standing.contains(one)))
            .map(|(state, count)| ((*state).to_owned(), (*count).into()));
        let sessions: Map<String, Value> = sessions.collect();
        if earlier.is_none() || !sessions.is_empty() {
            add("sessions", sessions.into());
        }
        if earlier.is_none_or(|earlier| earlier.fired != self.fired) {
            add("faults", faults_json(page).into());
        }
        if earlier.is_none_or(|earlier| !is_same(&earlier.numbers, &self.numbers)) {
            add("totals", numbers_json(&self.numbers));
        }
        if earlier.is_none_or(|earlier| earlier.numbers.messages != self.numbers.messages) {
            add("stored", self.numbers.messages.into());
        }
        members
    }

    /// What has changed since an earlier snapshot; `None` if nothing has.
    pub(super) fn changes(&self, page: &Page, earlier: &Self) -> Option<Value> {
        let members = self.members(page, Some(earlier));
        (!members.is_empty()).then(|| members.into())
    }

    /// The table, a row an event and a column a state: where each cell leads and how often it was
    /// taken, or how often the event was refused (`x17`).
    pub(super) fn table(&self, page: &Page) -> String {
        let (states, events) = (&page.definition.states, &page.definition.events);
        // Nothing happens after the last state, so it needs no column.
        let states = states.split_last().map_or(&[][..], |(_, before)| before);
        let counted = |state: &str, event: Option<&str>| {
            let is_here = |one: &&Refused| one.state == state && one.event == event;
            self.refused.iter().filter(is_here).map(|one| one.count).sum::<u64>()
        };
        let cell = |state: &str, event: &str| {
            let taken = self.taken.iter().find(|one| (one.state, one.event) == (state, event));
            let refused = match counted(state, Some(event)) {
                0 => String::new(),
                count => format!("x{count}"),
            };
            let Some(cell) = taken else { return refused };
            let next = match cell.code {
                _ if cell.next != state => cell.next.to_owned(),
                Some(code) => code.to_string(),
                None => "=".to_owned(),
            };
            let words = [next, cell.count.to_string(), refused];
            let is_said = |word: &&String| !word.is_empty() && *word != "0";
            words.iter().filter(is_said).cloned().collect::<Vec<_>>().join(" ")
        };
        let mut rows = vec![[String::new()].into_iter().chain(states.iter().cloned()).collect()];
        for event in events {
            let cells = states.iter().map(|state| cell(state, event));
            rows.push([event.clone()].into_iter().chain(cells).collect::<Vec<_>>());
        }
        let none = states.iter().map(|state| match counted(state, None) {
            0 => String::new(),
            count => format!("x{count}"),
        });
        rows.push(["no command".to_owned()].into_iter().chain(none).collect());
        let standing = states.iter().map(|state| {
            let found = self.standing.iter().find(|(name, _)| name == state);
            found.map_or_else(String::new, |(_, count)| count.to_string())
        });
        rows.push(["sessions".to_owned()].into_iter().chain(standing).collect());
        aligned(&rows)
    }
}

/// Adds a count to that of the same refusal, or to the list.
fn add(all: &mut Vec<Refused>, one: Refused) {
    let key = |one: &Refused| (one.state, one.event, one.code);
    match all.iter_mut().find(|known| key(known) == key(&one)) {
        Some(known) => known.count += one.count,
        None => all.push(one),
    }
}

/// Whether two are the same but for the time.
fn is_same(one: &Numbers, other: &Numbers) -> bool {
    *one == Numbers { uptime_seconds: one.uptime_seconds, ..*other }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn cell_json(cell: &Taken) -> Value {
    json!({
        "cell": cell_name(cell.state, cell.event),
        "state": cell.state,
        "event": cell.event,
        "next": cell.next,
        "code": cell.code,
        "taken": cell.count,
    })
}

fn refused_json(refused: &Refused) -> Value {
    let event = refused.event.unwrap_or(NO_EVENT);
    json!({
        "cell": cell_name(refused.state, event),
        "state": refused.state,
        "event": event,
        "code": refused.code,
        "count": refused.count,
    })
}

fn numbers_json(numbers: &Numbers) -> Value {
    json!({
        "sessions": numbers.sessions,
        "turned_away": numbers.turned_away,
        "messages": numbers.messages,
        "octets": numbers.octets,
        "syncs": numbers.syncs,
        "open": numbers.open,
        "uptime_seconds": numbers.uptime_seconds,
    })
}

/// The faults of a page, in their order.
pub(super) fn faults_json(page: &Page) -> Vec<Value> {
    let reports = page.definition.faults.iter().flat_map(|faults| faults.report());
    let reports = reports.zip(&page.definition.fault_cells).map(|(report, cells)| {
        let cells: Vec<_> = cells.iter().map(|(state, event)| cell_name(state, event)).collect();
        json!({
            "says": report.says,
            "fired": report.fired,
            "cells": cells,
            "dialogue": format!("{}{}", report.dialogue, report.condition),
        })
    });
    reports.collect()
}

/// `/state`.
pub(super) fn json(context: &Context, pages: &[Page], number: usize, snapshot: &Snapshot) -> Value {
    let Some(page) = pages.get(number) else { return Value::Null };
    let about = |page: &Page| {
        json!({
            "name": page.definition.name,
            "sha256": page.definition.sha256,
            "listeners": page.listeners,
        })
    };
    let mut all = snapshot.members(page, None);
    for (name, value) in [
        ("definition", {
            let mut about = about(page);
            about["number"] = number.into();
            about
        }),
        ("definitions", pages.iter().map(about).collect()),
        ("states", page.definition.states.clone().into()),
        ("events", page.definition.events.clone().into()),
        ("messages", context.mail.is_some().into()),
        ("changes", true.into()),
    ] {
        all.insert(name.to_owned(), value);
    }
    all.into()
}
