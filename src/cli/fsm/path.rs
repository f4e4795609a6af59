//! `postman fsm play --table`: the table, with the path of a dialogue in it.

use crate::autofsm::{grid, same_name};
use crate::dialogue::Heard;
use crate::smtp::machine::Machine;

/// The table of a machine, where each cell that a dialogue came through has the numbers of its
/// steps: `client_init [1]`. An `x` stands before those that were refused.
pub(super) fn path(machine: &Machine, heard: &[Heard]) -> String {
    let states = machine.states.split_last().map_or(&[][..], |(_, before)| before);
    let states: Vec<_> = states.iter().map(|state| state.name).collect();
    let events: Vec<_> = machine.events.iter().map(|event| event.name).collect();
    let cell = |event: usize, state: usize| {
        let numbers = |is_refused: bool| {
            let numbered = (1..).zip(heard);
            let here = numbered.filter(|(_, heard)| {
                heard.is_refused == is_refused
                    && same_name(heard.state, states[state])
                    && same_name(&heard.event, events[event])
            });
            ranges(here.map(|(number, _)| number))
        };
        let (taken, refused) = (numbers(false), numbers(true));
        let taken = if taken.is_empty() { taken } else { format!("[{taken}]") };
        let refused = if refused.is_empty() { refused } else { format!("x[{refused}]") };
        let words = [next(machine, state, event), taken, refused];
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    };
    let mut text = grid(&states, &events, cell);
    let is_known = |heard: &&Heard| events.iter().any(|event| same_name(event, &heard.event));
    let unknown = (1..).zip(heard).filter(|(_, heard)| !is_known(heard));
    for (number, heard) in unknown {
        let line = heard.event.escape_debug();
        text += &format!("x[{number}] in {}: no command: {line}\n", heard.state);
    }
    text
}

/// What the table says of a cell, as `fsm table` does.
fn next(machine: &Machine, state: usize, event: usize) -> String {
    let cell = machine.cells.get(state * machine.events.len() + event).copied().flatten();
    let Some(cell) = cell else { return String::new() };
    let next = usize::from(cell.next.0);
    let name = machine.states.get(next).map_or("", |state| state.name);
    let name = if next == state { "=" } else { name };
    match cell.reply.filter(|_| cell.is_refusal()) {
        Some(reply) if next == state => reply.code.to_string(),
        Some(reply) => format!("{} {name}", reply.code),
        None => name.to_owned(),
    }
}

/// Numbers in order, those that follow one another as `3-7`.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let range = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}
