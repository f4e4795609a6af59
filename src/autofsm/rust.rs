//! The definition as Rust: what the build script writes and the server includes.

use std::fmt::Write as _;

use super::diagnostic::Lines;
use super::{Cell, Definition, Vocabulary, normal};

/// Writes the table as Rust, to be included where the types `Machine`, `State`, `StateId`, `Event`,
/// `EventId`, `Keyword`, `Transition`, `ReplySpec` and `Action` are in scope. Each cell says which line of `page`, the
/// definition that `source` names, it comes from.
#[must_use]
pub fn rust(definition: &Definition, rules: &Vocabulary, source: &str, page: &str) -> String {
    let mut text = format!(
        "// The protocol of {source}, as build.rs compiled it. Edits here are lost: edit {source}.\n\n"
    );
    for (index, state) in definition.states.iter().enumerate() {
        let doc = match (state.doc.as_str(), index) {
            ("", 0) => "just connected".to_owned(),
            ("", _) if index + 1 == definition.states.len() => {
                "the end: the server closes".to_owned()
            }
            ("", _) => format!("`{}`", state.name),
            (doc, _) => doc.to_owned(),
        };
        let _ = writeln!(
            text,
            "/// {doc}\npub const {}: StateId = StateId({index});",
            constant(&state.name)
        );
    }
    text += "\n/// A cell: do this, go there, answer that.\n\
             const fn to(next: StateId, action: Action, reply: Option<ReplySpec>) -> Option<Transition> {\n    \
             Some(Transition { next, action, reply })\n}\n\
             /// A reply whose words are the server's.\n\
             const fn code(code: u16) -> Option<ReplySpec> {\n    Some(ReplySpec { code, text: None })\n}\n\
             /// A reply whose words are the definition's.\n\
             #[allow(dead_code, reason = \"a definition may have no words of its own\")]\n\
             const fn says(code: u16, text: &'static str) -> Option<ReplySpec> {\n    Some(ReplySpec { code, text: Some(text) })\n}\n\n";
    let _ = write!(
        text,
        "/// The whole protocol.\npub static MACHINE: Machine = Machine {{\n    source: {source:?},\n    states: &[\n"
    );
    for state in &definition.states {
        let _ = writeln!(text, "        State {{ name: {:?}, doc: {:?} }},", state.name, state.doc);
    }
    text += "    ],\n    events: &[\n";
    for event in &definition.events {
        let _ = writeln!(
            text,
            "        Event {{ name: {:?}, syntax: {:?}, doc: {:?} }},",
            event.name, event.display, event.doc
        );
    }
    text += "    ],\n    keywords: &[\n";
    for keyword in &definition.keywords {
        let command =
            keyword.command.map_or("None".to_owned(), |event| format!("Some(EventId({event}))"));
        let _ =
            writeln!(text, "        Keyword {{ name: {:?}, command: {command} }},", keyword.name);
    }
    text += "    ],\n    left_out: &[],\n    encrypted_at: None,\n    cells: &[\n";
    let lines = Lines::new(page);
    let width = definition.events.iter().map(|event| event.name.len()).max().unwrap_or(0);
    for (state, row) in
        definition.states.iter().zip(definition.cells.chunks(definition.events.len().max(1)))
    {
        let _ = writeln!(text, "        // {}", state.name);
        for (event, cell) in definition.events.iter().zip(row) {
            let (cell, row) = match cell {
                None => ("None".to_owned(), String::new()),
                Some(cell) => {
                    let row = format!(" // {source}:{}", lines.place(cell.row.start).0);
                    (transition(definition, rules, cell), row)
                }
            };
            let _ = writeln!(text, "        /* {:<width$} */ {cell},{row}", event.name);
        }
    }
    text += "    ],\n};\n";
    text
}

fn constant(name: &str) -> String {
    normal(name).to_ascii_uppercase()
}

fn transition(definition: &Definition, rules: &Vocabulary, cell: &Cell) -> String {
    let named = |action: &&super::ActionSpec| Some(action.name) == cell.action.as_deref();
    let variant = rules.actions.iter().find(named).map_or("", |action| action.variant);
    let reply = match &cell.reply {
        None => "None".to_owned(),
        Some(reply) => match &reply.text {
            None => format!("code({})", reply.code),
            Some(words) => format!("says({}, {words:?})", reply.code),
        },
    };
    let next =
        definition.states.get(cell.next).map_or(String::new(), |state| constant(&state.name));
    format!("to({next}, Action::{variant}, {reply})")
}
