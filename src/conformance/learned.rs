//! What was learned as a definition: its states are called as the reference's are, by the way that
//! leads there, and it has the reference's properties.

use super::learn::Learned;
use super::model::Model;
use super::tree::Said;
use super::words::Kind;
use crate::autofsm::{Cell, Definition, Event, Property, Reply, Span, State, StateIndex};

/// A definition, and for each of its events the symbol that stands for it.
#[derive(Clone, Debug)]
pub struct Written {
    /// The definition.
    pub definition: Definition,
    /// The symbols, by the number of the event.
    pub symbols: Vec<usize>,
}

/// Writes a machine as a definition. Refusals that move nothing are empty cells.
#[must_use]
pub fn definition(model: &Model, learned: &Learned) -> Written {
    let states: Vec<usize> =
        (0..learned.access.len()).filter(|state| !is_dead(learned, *state)).collect();
    let symbols: Vec<usize> = (0..model.symbols.len())
        .filter(|symbol| {
            let is_probe =
                model.symbols.get(*symbol).is_some_and(|symbol| symbol.kind == Kind::Probe);
            !is_probe || states.iter().any(|state| cell(model, learned, *state, *symbol).is_some())
        })
        .collect();
    let events = symbols.iter().filter_map(|symbol| model.symbols.get(*symbol)).map(|symbol| {
        let display =
            symbol.event.and_then(|event| model.definition.events.get(event)?.display.clone());
        let is_probe = symbol.kind == Kind::Probe;
        let name = if is_probe {
            symbol.name.to_uppercase().replace('-', "_")
        } else {
            symbol.name.clone()
        };
        let doc = if is_probe { symbol.line.clone() } else { String::new() };
        Event { name, display, doc, span: Span::default() }
    });
    let done = states.len();
    let mut cells = Vec::new();
    for state in &states {
        cells.extend(symbols.iter().map(|symbol| {
            let cell = cell(model, learned, *state, *symbol)?;
            let next = states.iter().position(|known| *known == cell.next).unwrap_or(done);
            Some(Cell { next, ..cell })
        }));
    }
    cells.extend(symbols.iter().map(|_| None));
    let properties =
        model.definition.properties.iter().filter_map(|property| kept(model, &symbols, property));
    let definition = Definition {
        prefix: model.definition.prefix.clone(),
        states: named(model, learned, &states),
        events: events.collect(),
        keywords: Vec::new(),
        cells,
        taken_back: std::collections::BTreeMap::new(),
        properties: properties.collect(),
        faults: Vec::new(),
    };
    Written { definition, symbols }
}

/// Whether the connection is closed in a state, whatever is said: the reply before was the last.
fn is_dead(learned: &Learned, state: usize) -> bool {
    let mut cells = (0..learned.machine.symbols())
        .map(|symbol| learned.machine.cell(StateIndex(state), symbol));
    let is_dead = |cell: Option<&(Said, _)>| {
        cell.is_some_and(|(said, _)| matches!(said, Said::Closed | Said::Unsaid))
    };
    state > 0 && cells.all(is_dead)
}

/// The states, and `done`.
fn named(model: &Model, learned: &Learned, states: &[usize]) -> Vec<State> {
    let mut found: Vec<State> = Vec::new();
    for access in states.iter().filter_map(|state| learned.access.get(*state)) {
        let state = model.machine.after(access);
        // A session that is encrypted from the first octet begins elsewhere in the reference.
        let theirs = state.map_or("other", |state| model.state(state));
        let known = if access.is_empty() { "init" } else { theirs };
        let is_free = |name: &str| name != "done" && found.iter().all(|state| state.name != name);
        let numbered = (2..).map(|number| format!("{known}_{number}"));
        let mut names = std::iter::once(known.to_owned()).chain(numbered);
        let name = names.find(|name| is_free(name)).unwrap_or_default();
        found.push(State { name, doc: String::new(), span: Span::default() });
    }
    found.push(State { name: "done".to_owned(), doc: String::new(), span: Span::default() });
    found
}

/// A property with the numbers of the learned events.
fn kept(model: &Model, symbols: &[usize], property: &Property) -> Option<Property> {
    let number = |event: &usize| {
        symbols.iter().position(|symbol| {
            model.symbols.get(*symbol).is_some_and(|symbol| symbol.event == Some(*event))
        })
    };
    let accepts = match &property.accepts {
        Some(accepts) => Some(accepts.iter().map(number).collect::<Option<Vec<_>>>()?),
        None => None,
    };
    Some(Property { accepts, ..property.clone() })
}

/// A cell; none for a refusal that moves nothing, and for a command inside content.
fn cell(model: &Model, learned: &Learned, state: usize, symbol: usize) -> Option<Cell> {
    let (said, next) = learned.machine.cell(StateIndex(state), symbol)?;
    let kind = model.symbols.get(symbol)?.kind;
    let stays = next.0 == state;
    if *said == Said::Closed {
        // Nothing was done, and nothing was said; a definition has a code for each refusal.
        let text = Some("closed without a reply".to_owned());
        return Some(plain(next.0, Some(Reply { code: 421, text })));
    }
    let code = match said {
        Said::Code(code, _) => Some(*code),
        Said::Untried(code) => {
            // An end would claim that the server can do nothing more; where it is, is all that is known.
            return Some(plain(state, Some(Reply { code: *code, text: None })));
        }
        Said::Silent if stays && kind != Kind::Content => return None,
        Said::Silent => None,
        Said::Other(what) if !stays => {
            // What it was moved the server all the same, and a row is what says so.
            let text = Some(format!("no reply of SMTP: {what}"));
            return Some(plain(next.0, Some(Reply { code: 500, text })));
        }
        Said::Closed | Said::Unsaid | Said::Other(_) => return None,
    };
    // The reference's row, if it has the same code: its words are taken over unseen.
    let row = learned.access.get(state).and_then(|access| {
        let state = model.machine.after(access)?;
        let event = model.symbols.get(symbol)?.event?;
        model.definition.cell(state.0, event)?.reply.clone()
    });
    let row = row.filter(|reply| Some(reply.code) == code);
    if code.is_some_and(|code| code >= 400) && stays && row.is_none() {
        return None;
    }
    let reply = row.or_else(|| code.map(|code| Reply { code, text: None }));
    Some(plain(next.0, reply))
}

/// A cell without an action and a place in a text.
fn plain(next: usize, reply: Option<Reply>) -> Cell {
    let (culprit, row) = (Span::default(), Span::default());
    Cell { next, action: None, reply, reply_span: None, culprit, row, overridden: Vec::new() }
}
