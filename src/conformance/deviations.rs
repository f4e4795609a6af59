//! The deviations of a server that are known: a line a cell, which says what the server does there.

use super::model::Model;
use crate::autofsm::{StateIndex, same_name, suggest};

/// A deviation that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The line of its file, from 1.
    pub line: usize,
    /// The cell.
    pub place: (usize, usize),
    /// The state's name.
    pub state: String,
    /// The symbol's name.
    pub event: String,
    /// What the server does there: a code, `moved`, `closed`, `open`, `silent`, `random`, `unasked`, `foreign`,
    /// `handshake`.
    pub word: String,
}

/// Those of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviations {
    /// In the order of the file.
    pub entries: Vec<Deviation>,
}

/// What a server may do otherwise, beside a code.
const WORDS: &[&str] =
    &["moved", "closed", "open", "silent", "random", "unasked", "foreign", "handshake"];

impl Deviations {
    /// Reads a list: `STATE EVENT WORD` a line; what follows a `#` is a comment.
    ///
    /// # Errors
    /// The line, and what is wrong with it.
    pub fn parse(text: &str, model: &Model) -> Result<Self, (usize, String)> {
        let mut entries: Vec<Deviation> = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<&str> =
                line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let fail = |message: String| Err((number, message));
            let [state, event, word] = words.as_slice() else {
                if words.is_empty() {
                    continue;
                }
                return fail(format!(
                    "expected `STATE EVENT WORD`, as in `init RSET 503`, got {} words",
                    words.len()
                ));
            };
            let is_code = word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit());
            if !is_code && !WORDS.contains(word) {
                let known = WORDS.join(", ");
                let word = word.escape_debug();
                return fail(format!("expected a code or one of {known}, got `{word}`"));
            }
            let place = match (state_of(model, state), event_of(model, event)) {
                (Ok(state), Ok(event)) => (state, event),
                (Err(message), _) | (_, Err(message)) => return fail(message),
            };
            if let Some(other) = entries.iter().find(|other| other.place == place) {
                return fail(format!("line {} is about the same cell", other.line));
            }
            entries.push(Deviation {
                line: number,
                place,
                state: (*state).to_owned(),
                event: (*event).to_owned(),
                word: (*word).to_owned(),
            });
        }
        Ok(Self { entries })
    }
}

/// The number of a state; else what is wrong with the name.
pub(super) fn state_of(model: &Model, name: &str) -> Result<usize, String> {
    let open =
        (0..model.machine.states()).filter(|state| !model.machine.is_closed(StateIndex(*state)));
    let names: Vec<&str> = open.map(|state| model.state(StateIndex(state))).collect();
    number("state", name, &names)
}

/// The number of a symbol; else what is wrong with the name.
pub(super) fn event_of(model: &Model, name: &str) -> Result<usize, String> {
    let names: Vec<&str> = model.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    number("event", name, &names)
}

fn number(kind: &str, name: &str, names: &[&str]) -> Result<usize, String> {
    names.iter().position(|known| same_name(known, name)).ok_or_else(|| {
        let hint = suggest(name, names.iter().copied())
            .unwrap_or_else(|| format!("there are {}", names.join(", ")));
        format!("no {kind} is called `{}`; {hint}", name.escape_debug())
    })
}

impl Model {
    /// The cell, or all cells of a state, that `STATE` or `STATE EVENT` names.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub fn place(&self, text: &str) -> Result<(usize, Option<usize>), String> {
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            [state] => Ok((state_of(self, state)?, None)),
            [state, event] => Ok((state_of(self, state)?, Some(event_of(self, event)?))),
            _ => Err("expected `STATE` or `STATE EVENT`".to_owned()),
        }
    }
}
