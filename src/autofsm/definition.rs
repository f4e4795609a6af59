//! A compiled definition: states, events, cells and properties, each with its place in the text.

use std::collections::BTreeMap;

use super::{Fault, Vocabulary, same_name, served};

/// A compiled definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The `prefix` attribute, `smtp`.
    pub prefix: Option<String>,
    /// The states in the order of the table: `init`, those declared, `done`. (`invalid` is no
    /// state of ours: it is the absence of a cell.)
    pub states: Vec<State>,
    /// The events in the order of their declaration.
    pub events: Vec<Event>,
    /// The values of `keyword`.
    pub keywords: Vec<Keyword>,
    /// One entry a state and event, at `state * events.len() + event`.
    pub cells: Vec<Option<Cell>>,
    /// The cells that a row takes back, by state and event, with that row first and then the rows
    /// that it overrides, the last one first. (`ttype = invalid` takes back what a `"*"` row set.)
    pub taken_back: BTreeMap<(usize, usize), Vec<Span>>,
    /// What was written of `never` and `always`.
    pub properties: Vec<Property>,
    /// The faults of a definition to be served.
    pub faults: Vec<Fault>,
}

impl Definition {
    /// The cell of a state and an event, by their numbers.
    #[must_use]
    pub fn cell(&self, state: usize, event: usize) -> Option<&Cell> {
        if event >= self.events.len() {
            return None;
        }
        self.cells.get(state * self.events.len() + event)?.as_ref()
    }

    /// The cell of a state and an event if the event is accepted there: a row that refuses it is a
    /// cell, too, but its event is no letter of a run.
    #[must_use]
    pub fn accepted(&self, state: usize, event: usize) -> Option<&Cell> {
        self.cell(state, event).filter(|cell| !cell.is_refusal())
    }

    /// Whether a row accepts a command by the action that does what the command means, and the
    /// action is one that needs something: so that the definition is surely one for this server.
    #[must_use]
    pub fn accepts_by(&self, rules: &Vocabulary) -> bool {
        served::cells(self).any(|(_, event, cell)| {
            let action = served::action(rules, cell).filter(|action| !action.needs.is_empty());
            let name = &self.events[event].name;
            let mut commands = rules.commands.iter().filter(|known| same_name(known.name, name));
            action.is_some_and(|action| {
                commands.any(|command| command.actions.contains(&action.name))
            })
        })
    }
}

/// A keyword of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub name: String,
    /// The number of the command that it stands for, if there is one.
    pub command: Option<usize>,
    /// Where the word is.
    pub span: Span,
}

/// A `never` or `always` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What it says in words.
    pub says: String,
    /// Where `says` has its value, quotes included.
    pub says_span: Span,
    /// The expression over events: `path` of a `never`, `after` of an `always`.
    pub path: String,
    /// Where the expression stands, quotes included.
    pub path_span: Span,
    /// The events of an `always`; none for a `never`.
    pub accepts: Option<Vec<usize>>,
    /// Where each event of `accepts` stands, in the same order.
    pub accepts_spans: Vec<Span>,
    /// Where the block begins.
    pub span: Span,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The name as it was declared.
    pub name: String,
    /// The comment beside its declaration, or "".
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name as it was declared.
    pub name: String,
    /// The display name (`NOOP = "NOOP [text]";`): for a command, its syntax.
    pub display: Option<String>,
    /// The comment beside its declaration, or "".
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// What happens to an event in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The index of the next state.
    pub next: usize,
    /// The transition type; none where the definition says `noop`.
    pub action: Option<String>,
    /// The answer, where the definition gives one.
    pub reply: Option<Reply>,
    /// Where the reply is written.
    pub reply_span: Option<Span>,
    /// What a finding about this cell points at: the row's `ttype`; the row if it has none.
    pub culprit: Span,
    /// The row that decided this cell, from `{` to `}`.
    pub row: Span,
    /// The rows that this one overrode here, whole, the last one first.
    pub overridden: Vec<Span>,
}

impl Cell {
    /// The row refuses its event with words of its own: its reply is 4xx or 5xx. If it moves, the
    /// move is a part of the graph, but the event was not accepted.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.code >= 400)
    }
}

/// The `reply` attribute: `reply = 250;` or `reply = '250 2.0.0 text';`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The words after the code, if there are any.
    pub text: Option<String>,
}

/// A piece of the source, in octets from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first octet.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}
