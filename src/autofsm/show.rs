//! The definition as text: a table, and JSON.

use std::fmt::Write as _;

use super::graph::Move;
use super::picture::quoted;
use super::{Definition, Marks};

/// The table, a row an event and a column a state; a cell shows the state that follows, `=` where
/// it is the same, and nothing where the event is not accepted. A refusal with words of its own is
/// its code, with the state that follows if it is another. What an error is about has a `!`, and the
/// errors are told below.
#[must_use]
pub fn table(definition: &Definition, marks: &Marks<'_>) -> String {
    // Nothing happens after the last state, so it needs no column.
    let states = definition.states.split_last().map_or(&[][..], |(_, before)| before);
    let unmarked = |event: usize, state: usize| {
        let Some(cell) = definition.cell(state, event) else { return String::new() };
        let next = if cell.next == state { "" } else { &*definition.states[cell.next].name };
        match &cell.reply {
            Some(reply) if cell.is_refusal() => {
                format!("{} {next}", reply.code).trim_end().to_owned()
            }
            _ if next.is_empty() => "=".to_owned(),
            _ => next.to_owned(),
        }
    };
    let cell = |event: usize, state: usize| {
        let mark = if marks.has(state, event) { " !" } else { "" };
        format!("{}{mark}", unmarked(event, state)).trim_start().to_owned()
    };
    let names: Vec<_> = states.iter().map(|state| &*state.name).collect();
    let events: Vec<_> = definition.events.iter().map(|event| &*event.name).collect();
    let text = grid(&names, &events, cell);
    let notes = marks.lines(definition);
    let text = if notes.is_empty() { text } else { text + "\n" };
    notes.iter().fold(text, |text, note| text + "! " + note + "\n")
}

/// A row an event and a column a state, each as wide as it must be; `cell` tells what stands where an
/// event (its number first) and a state meet.
#[must_use]
pub fn grid(states: &[&str], events: &[&str], cell: impl Fn(usize, usize) -> String) -> String {
    let row = |event: usize| (0..states.len()).map(|state| cell(event, state)).collect();
    let rows: Vec<Vec<String>> = (0..events.len()).map(row).collect();
    let length = |text: &str| text.chars().count();
    let first = events.iter().map(|event| length(event)).max().unwrap_or(0);
    let width = |(number, state): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(number));
        cells.map(|cell| length(cell)).max().unwrap_or(0).max(length(state))
    };
    let widths: Vec<_> = states.iter().enumerate().map(width).collect();
    let line = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let mut text = format!("{name:<first$}");
        for (shown, width) in cells.zip(&widths) {
            let _ = write!(text, "  {shown:<width$}");
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    };
    let head = line("", &mut states.iter().copied());
    let lines = events.iter().zip(&rows);
    lines.fold(head, |text, (event, row)| text + &line(event, &mut row.iter().map(String::as_str)))
}

/// `{"states": [...], "events": [...], "cells": [{"state", "event", "next", "action", "reply"}],
/// "errors": [{"message", "cells": [{"state", "event"}]}], "faults": [{"says", "cells"}]}`; invalid cells are left out, and what a
/// cell has not is `null`. An error's cells are those of the run that shows it, in its order, or of
/// the row that it is about; a fault's are those where it may fire.
#[must_use]
pub fn json(definition: &Definition, marks: &Marks<'_>) -> String {
    let list = |names: Vec<&str>| names.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
    let states = list(definition.states.iter().map(|state| state.name.as_str()).collect());
    let events = list(definition.events.iter().map(|event| event.name.as_str()).collect());
    let mut cells = Vec::new();
    for (state_index, state) in definition.states.iter().enumerate() {
        for (event_index, event) in definition.events.iter().enumerate() {
            let Some(cell) = definition.cell(state_index, event_index) else {
                continue;
            };
            let next = definition.states.get(cell.next).map_or("", |state| state.name.as_str());
            let reply = cell.reply.as_ref().map(|reply| match &reply.text {
                None => quoted(&reply.code.to_string()),
                Some(text) => quoted(&format!("{} {text}", reply.code)),
            });
            cells.push(format!(
                "    {{\"state\": {}, \"event\": {}, \"next\": {}, \"action\": {}, \"reply\": {}}}",
                quoted(&state.name),
                quoted(&event.name),
                quoted(next),
                cell.action.as_deref().map_or("null".to_owned(), quoted),
                reply.unwrap_or("null".to_owned()),
            ));
        }
    }
    let shown = |key: &str, text: &str, cells: &[Move]| {
        let cell = |step: &Move| {
            let (state, event) =
                (&definition.states[step.state.0], &definition.events[step.event.0]);
            format!("{{\"state\": {}, \"event\": {}}}", quoted(&state.name), quoted(&event.name))
        };
        let cells: Vec<_> = cells.iter().map(cell).collect();
        format!("\n    {{\"{key}\": {}, \"cells\": [{}]}}", quoted(text), cells.join(", "))
    };
    let errors = marks.errors().map(|(error, cells)| shown("message", &error.message, cells));
    let errors: Vec<_> = errors.collect();
    let faults = marks.faults().iter().map(|fault| shown("says", &fault.says, &fault.cells));
    let faults: Vec<_> = faults.collect();
    format!(
        "{{\n  \"states\": [{states}],\n  \"events\": [{events}],\n  \"cells\": [\n{}\n  ],\n  \"errors\": [{}{}],\n  \"faults\": [{}{}]\n}}\n",
        cells.join(",\n"),
        errors.join(","),
        if errors.is_empty() { "" } else { "\n  " },
        faults.join(","),
        if faults.is_empty() { "" } else { "\n  " }
    )
}
