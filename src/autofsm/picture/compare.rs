//! Two definitions in one picture: what both have in grey, what is new and what is gone in colour.
//!
//! Names count here, and not what a client can notice: that is what `diff` compares. The states and
//! the events of both are drawn, each once. A cell that leads elsewhere is an arrow that is gone and
//! one that is new; one that only does or answers something else is an arrow of its own.

use std::collections::BTreeMap;

use super::super::{Cell, Definition, normal, same_name};
use super::svg::{Look, Note, draw};
use super::{Accent, Edge, Style, name, title};

/// One of the two, with the numbers that its states and events have in the union.
struct Side<'d> {
    definition: &'d Definition,
    /// For each state of the union its own number.
    states: Vec<Option<usize>>,
    /// The same for each event.
    events: Vec<Option<usize>>,
    /// For each own state its number in the union.
    places: Vec<usize>,
}

impl<'d> Side<'d> {
    fn of(definition: &'d Definition, union: &Definition) -> Self {
        let state =
            |name: &str| definition.states.iter().position(|own| same_name(&own.name, name));
        let event =
            |name: &str| definition.events.iter().position(|own| same_name(&own.name, name));
        let states: Vec<_> = union.states.iter().map(|known| state(&known.name)).collect();
        let mut places = vec![0; definition.states.len()];
        for (place, own) in states.iter().enumerate() {
            if let Some(slot) = own.and_then(|own| places.get_mut(own)) {
                *slot = place;
            }
        }
        let events = union.events.iter().map(|known| event(&known.name)).collect();
        Self { definition, states, events, places }
    }

    /// A cell by its numbers in the union, leading to a state of the union; and what is written of
    /// it.
    fn cell(&self, state: usize, event: usize) -> Option<(Cell, String)> {
        let (state, event) = ((*self.states.get(state)?)?, (*self.events.get(event)?)?);
        let cell = self.definition.cell(state, event)?;
        let next = *self.places.get(cell.next)?;
        Some((Cell { next, ..cell.clone() }, name(self.definition, state, event)))
    }
}

/// All states and events, those of the new one first; `init` stays the first state, and `done` the
/// last. Its cells are the new one's, and the old one's where the new one has none.
fn union(old: &Definition, new: &Definition) -> Definition {
    let mut union = Definition { faults: Vec::new(), ..new.clone() };
    let is_new = |name: &str| !new.states.iter().any(|state| same_name(&state.name, name));
    let last = union.states.pop();
    union.states.extend(old.states.iter().filter(|state| is_new(&state.name)).cloned());
    union.states.extend(last);
    let is_new = |name: &str| !new.events.iter().any(|event| same_name(&event.name, name));
    union.events.extend(old.events.iter().filter(|event| is_new(&event.name)).cloned());
    let (was, is) = (Side::of(old, &union), Side::of(new, &union));
    let width = union.events.len();
    let cell = |place: usize| {
        let (state, event) = (place / width, place % width);
        is.cell(state, event).or_else(|| was.cell(state, event)).map(|(cell, _)| cell)
    };
    union.cells = (0..union.states.len() * width).map(cell).collect();
    union
}

/// What is drawn of a cell: the state that follows, how, and the words.
fn arrows(
    old: Option<&(Cell, String)>,
    new: Option<&(Cell, String)>,
) -> Vec<(usize, Style, String)> {
    let arrow = |(cell, words): &(Cell, String), accent| {
        let style = Style { is_refused: cell.is_refusal(), accent };
        (cell.next, style, words.clone())
    };
    let (Some(was), Some(is)) = (old, new) else {
        let gone = old.map(|was| arrow(was, Accent::Gone));
        return gone.into_iter().chain(new.map(|is| arrow(is, Accent::New))).collect();
    };
    let action = |cell: &Cell| cell.action.as_deref().map(normal);
    if (was.0.next, was.0.is_refusal()) != (is.0.next, is.0.is_refusal()) {
        return vec![arrow(was, Accent::Gone), arrow(is, Accent::New)];
    }
    if (action(&was.0), &was.0.reply) == (action(&is.0), &is.0.reply) {
        return vec![arrow(is, Accent::Kept)];
    }
    vec![arrow(is, Accent::Changed)]
}

/// Both definitions as one picture; below it stands what the colours mean, and then the notes.
/// Nothing if there are too many arrows to draw.
#[must_use]
pub fn svg_of_both(old: &Definition, new: &Definition, notes: &[String]) -> Option<String> {
    let union = union(old, new);
    let (was, is) = (Side::of(old, &union), Side::of(new, &union));
    let mut found: BTreeMap<(usize, usize, Style), Edge> = BTreeMap::new();
    for from in 0..union.states.len() {
        for event in 0..union.events.len() {
            let (was, is) = (was.cell(from, event), is.cell(from, event));
            for (to, style, words) in arrows(was.as_ref(), is.as_ref()) {
                let none = Edge { from, to, style, events: Vec::new(), names: Vec::new() };
                let edge = found.entry((from, to, style)).or_insert(none);
                edge.events.push(event);
                edge.names.push(words);
            }
        }
    }
    let edges: Vec<Edge> = found.into_values().collect();
    let state = |(was, is): (&Option<usize>, &Option<usize>)| match (was, is) {
        (None, _) => Accent::New,
        (_, None) => Accent::Gone,
        _ => Accent::Plain,
    };
    let states: Vec<Accent> = was.states.iter().zip(&is.states).map(state).collect();
    let legend = [
        (Accent::New, "green: only in the new definition"),
        (Accent::Gone, "red, dashed: only in the old one"),
        (Accent::Changed, "orange: does or answers something else"),
    ];
    let is_drawn = |accent: Accent| {
        states.contains(&accent) || edges.iter().any(|edge| edge.style.accent == accent)
    };
    let legend = legend.into_iter().filter(|(accent, _)| is_drawn(*accent));
    let legend = legend.map(|(accent, text)| Note { accent, text: text.to_owned() });
    let plain = notes.iter().map(|text| Note { accent: Accent::Plain, text: text.clone() });
    let notes = legend.chain(plain).collect();
    let (title, style) = (title(new), COLOURS.to_owned());
    draw(&union, &edges, Look { title, style, states, notes, legs: Vec::new() })
}

/// The colours of what differs, and the grey of the rest.
const COLOURS: &str = "\
.fsm-line.fsm-kept{stroke:#818b98}.fsm-fill.fsm-kept{fill:#59636e}\
.fsm-line.fsm-new{stroke:#1a7f37;stroke-width:2.5}.fsm-turn.fsm-new{stroke:#1a7f37}\
.fsm-fill.fsm-new,.fsm-stay.fsm-new,.fsm-doc.fsm-new{fill:#1a7f37}\
.fsm-line.fsm-gone{stroke:#cf222e;stroke-width:2;stroke-dasharray:6 5}.fsm-turn.fsm-gone{stroke:#cf222e}\
.fsm-fill.fsm-gone,.fsm-stay.fsm-gone,.fsm-doc.fsm-gone{fill:#cf222e}text.fsm-gone{text-decoration:line-through}\
.fsm-doc.fsm-gone{text-decoration:none}\
.fsm-line.fsm-other{stroke:#bc4c00;stroke-width:2}.fsm-turn.fsm-other{stroke:#bc4c00}\
.fsm-fill.fsm-other,.fsm-stay.fsm-other,.fsm-doc.fsm-other{fill:#bc4c00}\
.fsm-new>.fsm-card{stroke:#1a7f37;stroke-width:2.5}\
.fsm-gone>.fsm-card{stroke:#cf222e;stroke-width:2;stroke-dasharray:6 5}\
@media (prefers-color-scheme:dark){\
.fsm-line.fsm-kept{stroke:#768390}.fsm-fill.fsm-kept{fill:#9198a1}\
.fsm-line.fsm-new,.fsm-turn.fsm-new,.fsm-new>.fsm-card{stroke:#3fb950}\
.fsm-fill.fsm-new,.fsm-stay.fsm-new,.fsm-doc.fsm-new{fill:#3fb950}\
.fsm-line.fsm-gone,.fsm-turn.fsm-gone,.fsm-gone>.fsm-card{stroke:#f85149}\
.fsm-fill.fsm-gone,.fsm-stay.fsm-gone,.fsm-doc.fsm-gone{fill:#f85149}\
.fsm-line.fsm-other,.fsm-turn.fsm-other{stroke:#f0883e}\
.fsm-fill.fsm-other,.fsm-stay.fsm-other,.fsm-doc.fsm-other{fill:#f0883e}\
}";
