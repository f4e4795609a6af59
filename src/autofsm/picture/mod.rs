//! A definition as a picture: a graph for Graphviz, for Mermaid, and as SVG.
//!
//! The SVG needs no other tool. Its layout is the layered one of Sugiyama, Tagawa and Toda
//! (1981): states in rows (`rank`), each row in the order that crosses least (`order`), each
//! thing as straight below its neighbours as room allows (`place`), and then drawn (`svg`).
//! Nothing in it is random, so that the same definition gives the same octets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Definition, normal};

mod order;
mod place;
mod rank;
mod svg;
mod text;

pub use svg::svg;
pub(super) use text::quoted;

/// All the events that lead from one state to another; those that are refused apart.
struct Edge {
    from: usize,
    to: usize,
    /// The events are refused, with words of the definition's own.
    refused: bool,
    /// Numbers of events, in the order of their declaration.
    events: Vec<usize>,
}

impl Edge {
    /// The names of its events; of a refusal with the code.
    fn names(&self, definition: &Definition) -> Vec<String> {
        let name = |event: &usize| {
            let code = definition.cell(self.from, *event).filter(|cell| cell.is_refusal());
            let code =
                code.and_then(|cell| cell.reply.as_ref()).map(|reply| format!(" {}", reply.code));
            format!("{}{}", definition.events[*event].name, code.unwrap_or_default())
        };
        self.events.iter().map(name).collect()
    }
}

/// The edges of a definition, parallel ones merged, by state and then by the state they lead to.
fn edges(definition: &Definition) -> Vec<Edge> {
    let mut edges: BTreeMap<(usize, usize, bool), Vec<usize>> = BTreeMap::new();
    for from in 0..definition.states.len() {
        for event in 0..definition.events.len() {
            if let Some(cell) = definition.cell(from, event) {
                edges.entry((from, cell.next, cell.is_refusal())).or_default().push(event);
            }
        }
    }
    edges
        .into_iter()
        .map(|((from, to, refused), events)| Edge { from, to, refused, events })
        .collect()
}

/// A graph for Graphviz: an edge for each pair of states, with all the events that lead along it.
#[must_use]
pub fn dot(definition: &Definition) -> String {
    let mut text = String::from(
        "digraph fsm {\n  rankdir = LR;\n  node [shape = box, style = rounded, fontname = monospace];\n  \
         edge [fontname = monospace, fontsize = 10];\n  start [shape = point, width = 0.15];\n",
    );
    let last = definition.states.len().saturating_sub(1);
    for (index, state) in definition.states.iter().enumerate() {
        let shape = if index == last { ", peripheries = 2" } else { "" };
        let tip = if state.doc.is_empty() {
            String::new()
        } else {
            format!(", tooltip = {}", quoted(&state.doc))
        };
        let _ = writeln!(text, "  s{index} [label = {}{shape}{tip}];", quoted(&state.name));
    }
    text += "  start -> s0;\n";
    for edge in edges(definition) {
        let names = edge.names(definition);
        let label =
            names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join("\\n").replace('"', "");
        let style =
            if edge.refused { ", style = dashed, color = gray50, fontcolor = gray50" } else { "" };
        let _ = writeln!(text, "  s{} -> s{} [label = \"{label}\"{style}];", edge.from, edge.to);
    }
    text + "}\n"
}

/// A state diagram for Mermaid, as GitHub and GitLab show it within Markdown.
#[must_use]
pub fn mermaid(definition: &Definition) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let last = definition.states.len().saturating_sub(1);
    for (index, state) in definition.states.iter().enumerate() {
        // The number keeps names apart that only differ for us, and from Mermaid's own words.
        let _ = writeln!(text, "    state \"{}\" as s{index}", state.name);
    }
    text += "    [*] --> s0\n";
    for edge in edges(definition) {
        let _ = writeln!(
            text,
            "    s{} --> s{} : {}",
            edge.from,
            edge.to,
            edge.names(definition).join(", ")
        );
    }
    let _ = writeln!(text, "    s{last} --> [*]");
    text
}

/// What the picture is called.
fn title(definition: &Definition) -> String {
    definition.prefix.as_deref().map_or_else(
        || "The machine".to_owned(),
        |prefix| format!("The machine {}", normal(prefix)),
    )
}
