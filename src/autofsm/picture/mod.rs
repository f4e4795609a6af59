//! A definition as a picture: a graph for Graphviz, for Mermaid, and as SVG.
//!
//! The SVG needs no other tool. Its layout is the layered one of Sugiyama, Tagawa and Toda
//! (1981): states in rows (`rank`), each row in the order that crosses least (`order`), each
//! thing as straight below its neighbours as room allows (`place`), and then drawn (`svg`).
//! Nothing in it is random, so that the same definition gives the same octets.
//!
//! What errors are about (`Marks`) is drawn apart: a line of its own along the cells of a run, and on
//! the state that lacks a cell the event that has no row there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Cell, Definition, Marks, normal};

mod compare;
mod order;
mod place;
mod rank;
mod svg;
mod text;

pub use compare::svg_of_both;
pub use svg::{Leg, svg, svg_of_run};
pub(super) use text::quoted;

/// What the events of an edge have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Style {
    /// They are refused, with words of the definition's own or because no row is there.
    is_refused: bool,
    /// What sets them apart.
    accent: Accent,
}

/// What sets the events of an edge, or a state, apart from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Accent {
    /// Nothing.
    #[default]
    Plain,
    /// Beside what differs: both definitions have it.
    Kept,
    /// Both definitions have it, and it does or answers something else.
    Changed,
    /// Only the old definition has it.
    Gone,
    /// Only the new definition has it.
    New,
    /// An error is about it.
    Marked,
}

impl Accent {
    /// Its class in the SVG.
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Kept => " fsm-kept",
            Self::Changed => " fsm-other",
            Self::Gone => " fsm-gone",
            Self::New => " fsm-new",
            Self::Marked => " fsm-mark",
        }
    }
}

/// The events of one kind that lead from one state to another.
struct Edge {
    from: usize,
    to: usize,
    style: Style,
    /// Numbers of events, in the order of their declaration.
    events: Vec<usize>,
    /// What is written of each event: its name; of a refusal with the code.
    names: Vec<String>,
}

/// What is written of an event: its name; of a refusal with the code.
fn name(definition: &Definition, state: usize, event: usize) -> String {
    let name = &definition.events[event].name;
    let Some(cell) = definition.cell(state, event) else {
        return format!("{name} no row");
    };
    match cell.reply.as_ref().filter(|_| cell.is_refusal()) {
        Some(reply) => format!("{name} {}", reply.code),
        None => name.clone(),
    }
}

/// The edges of a definition, parallel ones of one kind merged, by state and then by the state they
/// lead to. An event that lacks its row leads from its state to itself.
fn edges(definition: &Definition, marks: &Marks<'_>) -> Vec<Edge> {
    let mut edges: BTreeMap<(usize, usize, Style), Vec<usize>> = BTreeMap::new();
    for from in 0..definition.states.len() {
        for event in 0..definition.events.len() {
            let accent = if marks.has(from, event) { Accent::Marked } else { Accent::Plain };
            let Some(cell) = definition.cell(from, event) else { continue };
            let style = Style { is_refused: cell.is_refusal(), accent };
            edges.entry((from, cell.next, style)).or_default().push(event);
        }
    }
    for missing in marks.missing(definition) {
        let (state, style) = (missing.state.0, Style { is_refused: true, accent: Accent::Marked });
        edges.entry((state, state, style)).or_default().push(missing.event.0);
    }
    let edge = |((from, to, style), events): (_, Vec<usize>)| {
        let names = events.iter().map(|event| name(definition, from, *event)).collect();
        Edge { from, to, style, events, names }
    };
    edges.into_iter().map(edge).collect()
}

/// The states that are drawn: all, but for a last one that nothing leads to.
fn drawn(definition: &Definition, edges: &[Edge]) -> usize {
    let last = definition.states.len().saturating_sub(1);
    let is_reached = edges.iter().any(|edge| edge.to == last && edge.from != last);
    if is_reached { last + 1 } else { last }
}

/// A graph for Graphviz: an edge for each pair of states, with all the events that lead along it.
#[must_use]
pub fn dot(definition: &Definition, marks: &Marks<'_>) -> String {
    let edges = edges(definition, marks);
    let mut text = String::from(
        "digraph fsm {\n  rankdir = LR;\n  node [shape = box, style = rounded, fontname = monospace];\n  \
         edge [fontname = monospace, fontsize = 10];\n  start [shape = point, width = 0.15];\n",
    );
    let lines = marks.lines(definition);
    if !lines.is_empty() {
        let label: String = lines.iter().map(|line| inner(line) + "\\l").collect();
        let _ = writeln!(
            text,
            "  label = \"{label}\";\n  labeljust = l;\n  fontname = monospace;\n  fontsize = 10;\n  fontcolor = \"#cf222e\";"
        );
    }
    let last = definition.states.len().saturating_sub(1);
    let states = definition.states.iter().take(drawn(definition, &edges));
    for (index, state) in states.enumerate() {
        let shape = if index == last { ", peripheries = 2" } else { "" };
        let tip = if state.doc.is_empty() {
            String::new()
        } else {
            format!(", tooltip = {}", quoted(&state.doc))
        };
        let _ = writeln!(text, "  s{index} [label = {}{shape}{tip}];", quoted(&state.name));
    }
    text += "  start -> s0;\n";
    for edge in edges {
        let label: Vec<_> = edge.names.iter().map(|name| inner(name)).collect();
        let attributes = match (edge.style.is_refused, edge.style.accent == Accent::Marked) {
            (false, false) => "",
            (true, false) => ", style = dashed, color = gray50, fontcolor = gray50",
            (false, true) => ", color = \"#cf222e\", fontcolor = \"#cf222e\", penwidth = 2",
            (true, true) => {
                ", style = dashed, color = \"#cf222e\", fontcolor = \"#cf222e\", penwidth = 2"
            }
        };
        let label = label.join("\\n");
        let _ =
            writeln!(text, "  s{} -> s{} [label = \"{label}\"{attributes}];", edge.from, edge.to);
    }
    text + "}\n"
}

/// A text within quotes.
fn inner(text: &str) -> String {
    let quoted = quoted(text);
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// A state diagram for Mermaid, as GitHub and GitLab show it within Markdown. A line in it can have
/// no colour, so that what an error is about has a `!`, and its states are framed in red.
#[must_use]
pub fn mermaid(definition: &Definition, marks: &Marks<'_>) -> String {
    let edges = edges(definition, marks);
    let mut text = String::from("stateDiagram-v2\n");
    for line in marks.lines(definition) {
        // Within a comment, too, `%%{` would begin an instruction to Mermaid.
        let _ = writeln!(text, "    %% ! {}", line.replace("%%", "% %"));
    }
    let last = definition.states.len().saturating_sub(1);
    let states = definition.states.iter().take(drawn(definition, &edges));
    for (index, state) in states.enumerate() {
        // The number keeps names apart that only differ for us, and from Mermaid's own words.
        let _ = writeln!(text, "    state \"{}\" as s{index}", state.name);
    }
    text += "    [*] --> s0\n";
    for edge in &edges {
        let mark = if edge.style.accent == Accent::Marked { "! " } else { "" };
        let names = edge.names.join(", ");
        let _ = writeln!(text, "    s{} --> s{} : {mark}{names}", edge.from, edge.to);
    }
    if drawn(definition, &edges) > last {
        let _ = writeln!(text, "    s{last} --> [*]");
    }
    let marked = edges.iter().filter(|edge| edge.style.accent == Accent::Marked);
    let marked: BTreeSet<_> = marked.flat_map(|edge| [edge.from, edge.to]).collect();
    if !marked.is_empty() {
        let states: Vec<_> = marked.iter().map(|state| format!("s{state}")).collect();
        text += "    classDef marked stroke:#cf222e,stroke-width:3px\n";
        let _ = writeln!(text, "    class {} marked", states.join(","));
    }
    text
}

/// What the picture is called.
fn title(definition: &Definition) -> String {
    definition.prefix.as_deref().map_or_else(
        || "The machine".to_owned(),
        |prefix| format!("The machine {}", normal(prefix)),
    )
}
