//! The picture as SVG.
//!
//! A state is a card: its name, the comment on it, and, after a round arrow, the events that do
//! not leave it; after a crossed circle those that are refused, with their codes. Lines forward,
//! lines back and lines to the end have a colour each, with their events on them; a refusal that
//! moves on leaves along a dashed one. What an error is about is red, on lines of its own, and the
//! error is told below.
//!
//! Who wants to light, count or click it finds each state as `<g class="state" data-state="STATE">`
//! and each cell of the table once, as `data-cell="STATE EVENT"` on its name. The `<g class="arrow">`
//! around it is the arrow, which several cells may share: `closest(".arrow")`. Arrows to one state
//! share the last part of their way; the first draws it, and the others have it as `fsm-same`, which
//! is not displayed.
//!
//! The background is part of the picture and follows the
//! reader's choice of light or dark, so that it can be read on any page. There is no id in it, no
//! script and no empty line: it can be in Markdown, and twice on one page.

use std::fmt::Write as _;

use super::order::{Neighbours, order};
use super::place::{Size, place};
use super::rank::{Kind, Layers, Link, rank};
use super::text::{float, proportional_width, xml};
use super::{Accent, Definition, Edge, Marks, edges, title};
use words::{DOC_SIZE, LINE, Words, caption};

mod cards;
mod lines;
mod run;
mod words;

pub use run::{Leg, svg_of_run};

const MARGIN: f64 = 28.0;
const ARROW: f64 = 7.0;
/// The way from the dot to the first state.
const ENTRY: f64 = 26.0;

const STYLE: &str = "\
.fsm{max-width:100%;height:auto}\
.fsm-page{fill:#ffffff;stroke:#d1d9e0}\
.fsm-card{fill:#f6f8fa;stroke:#818b98;stroke-width:1.25}\
.fsm-ring{fill:none;stroke:#818b98;stroke-width:1.25}\
.fsm-dot{fill:#1f2328}\
.fsm-name{fill:#1f2328;font-weight:600;font-size:14px}\
.fsm-doc{fill:#59636e;font-size:12px}\
.fsm-stay{fill:#59636e;font-size:11.5px}\
.fsm-turn{fill:none;stroke:#59636e;stroke-width:1.3;stroke-linecap:round;stroke-linejoin:round}\
.fsm-mono{font-family:ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono','Liberation Mono',monospace}\
.fsm-sans{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans','Liberation Sans',sans-serif}\
.fsm-line{fill:none;stroke-width:1.5;stroke-linecap:round}\
.fsm-event{font-size:11.5px;text-anchor:middle}\
.fsm-same{display:none}\
.fsm-line.fsm-no{stroke-dasharray:3 4}\
.fsm-line.fsm-on{stroke:#0969da}.fsm-fill.fsm-on{fill:#0969da}\
.fsm-line.fsm-back{stroke:#8250df}.fsm-fill.fsm-back{fill:#8250df}\
.fsm-line.fsm-end{stroke:#9a6700}.fsm-fill.fsm-end{fill:#9a6700}\
@media (prefers-color-scheme:dark){\
.fsm-page{fill:#0d1117;stroke:#3d444d}\
.fsm-card{fill:#161b22;stroke:#768390}\
.fsm-ring{stroke:#768390}\
.fsm-dot{fill:#f0f6fc}\
.fsm-name{fill:#f0f6fc}\
.fsm-doc,.fsm-stay{fill:#9198a1}\
.fsm-turn{stroke:#9198a1}\
.fsm-line.fsm-on{stroke:#4493f8}.fsm-fill.fsm-on{fill:#4493f8}\
.fsm-line.fsm-back{stroke:#ab7df8}.fsm-fill.fsm-back{fill:#ab7df8}\
.fsm-line.fsm-end{stroke:#d29922}.fsm-fill.fsm-end{fill:#d29922}\
}";

/// What an error is about. It is a part of the pictures that have something of it.
const MARK_STYLE: &str = "\
.fsm-line.fsm-mark{stroke:#cf222e;stroke-width:2.5}.fsm-turn.fsm-mark{stroke:#cf222e}\
.fsm-fill.fsm-mark,.fsm-stay.fsm-mark,.fsm-doc.fsm-mark{fill:#cf222e}\
@media (prefers-color-scheme:dark){\
.fsm-line.fsm-mark,.fsm-turn.fsm-mark{stroke:#f85149}\
.fsm-fill.fsm-mark,.fsm-stay.fsm-mark,.fsm-doc.fsm-mark{fill:#f85149}\
}";

/// Lines to the end, back and forward; then those along which a refusal leaves; and both for each
/// accent, in its order. The last lie above the others.
const CLASSES: [&str; 16] = [
    "fsm-end",
    "fsm-back",
    "fsm-on",
    "fsm-end fsm-no",
    "fsm-back fsm-no",
    "fsm-on fsm-no",
    "fsm-kept",
    "fsm-kept fsm-no",
    "fsm-other",
    "fsm-other fsm-no",
    "fsm-gone",
    "fsm-gone fsm-no",
    "fsm-new",
    "fsm-new fsm-no",
    "fsm-mark",
    "fsm-mark fsm-no",
];

/// A text below a picture.
pub(super) struct Note {
    pub accent: Accent,
    pub text: String,
}

/// What a picture has beside its definition.
pub(super) struct Look {
    pub title: String,
    /// The styles of what is set apart.
    pub style: String,
    /// For each state what sets it apart; the plain ones at the end may be left out.
    pub states: Vec<Accent>,
    pub notes: Vec<Note>,
    /// The steps of a conversation.
    pub legs: Vec<run::Lit>,
}

struct Drawing<'d> {
    definition: &'d Definition,
    layers: Layers,
    words: Vec<Words>,
    edges: &'d [Edge],
    look: Look,
    sizes: Vec<Size>,
    middles: Vec<f64>,
    /// The top and the height of each row.
    rows: Vec<(f64, f64)>,
    text: String,
    /// What shines with each leg.
    lights: Vec<String>,
}

/// A picture of more lines than these shows nothing, and its layout takes long.
const EDGES_MAX: usize = 5000;

/// The states as cards in rows, with lines that have their events on them. Nothing for a
/// definition with more than 5,000 pairs of states that an event connects.
#[must_use]
pub fn svg(definition: &Definition, marks: &Marks<'_>) -> Option<String> {
    let note = |text| Note { accent: Accent::Marked, text };
    let notes: Vec<_> = marks.lines(definition).into_iter().map(note).collect();
    let style = if notes.is_empty() { "" } else { MARK_STYLE }.to_owned();
    let look =
        Look { title: title(definition), style, states: Vec::new(), notes, legs: Vec::new() };
    draw(definition, &edges(definition, marks), look)
}

/// The same of these edges between the definition's states.
pub(super) fn draw(definition: &Definition, edges: &[Edge], look: Look) -> Option<String> {
    if edges.len() > EDGES_MAX {
        return None;
    }
    let mut layers = rank(definition, edges);
    let neighbours = Neighbours::of(&layers);
    order(&mut layers, &neighbours, definition.states.len() - 1);
    let words: Vec<Words> =
        layers.nodes.iter().map(|node| Words::of(definition, edges, node.kind)).collect();
    let sizes: Vec<Size> = words.iter().map(Words::size).collect();
    let middles = place(&layers, &neighbours, &sizes);
    let (rows, text, lights) = (Vec::new(), String::new(), vec![String::new(); look.legs.len()]);
    let mut drawing =
        Drawing { definition, layers, words, edges, look, sizes, middles, rows, text, lights };
    Some(drawing.draw())
}

fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

impl Drawing<'_> {
    fn last(&self) -> usize {
        self.definition.states.len() - 1
    }

    fn class(&self, link: &Link) -> &'static str {
        // Lines that meet are drawn as one, so that a refusal is told by its first piece.
        let is_refusal = [link.upper, link.lower].iter().any(|node| {
            matches!(self.layers.nodes[*node].kind, Kind::Label(edge) if self.edges[edge].style.is_refused)
        });
        let accents = [Accent::Kept, Accent::Changed, Accent::Gone, Accent::New, Accent::Marked];
        if let Some(number) = accents.iter().position(|accent| *accent == link.accent) {
            return CLASSES[6 + 2 * number + usize::from(is_refusal)];
        }
        let kind = if link.target == self.last() { 0 } else { 1 + usize::from(!link.back) };
        CLASSES[kind + if is_refusal { 3 } else { 0 }]
    }

    /// Rows from top to bottom; if lines go far to the side, the rows are farther apart.
    fn stack(&mut self) {
        let mut reach = vec![0.0_f64; self.layers.rows.len()];
        for link in &self.layers.links {
            let across = (self.middles[link.upper] - self.middles[link.lower]).abs();
            let far = &mut reach[self.layers.nodes[link.upper].row];
            *far = far.max(across);
        }
        let mut top = MARGIN + ENTRY;
        for (row, across) in self.layers.rows.iter().zip(reach) {
            let height = row.iter().map(|node| self.sizes[*node].height).fold(0.0, f64::max);
            self.rows.push((top, height));
            top += height + (20.0 + across * 0.08).min(72.0).round();
        }
    }

    /// The upper or the lower end of a node.
    fn end(&self, node: usize, lower: bool) -> f64 {
        let (top, height) = self.rows[self.layers.nodes[node].row];
        if self.layers.nodes[node].kind == Kind::Bend {
            return if lower { top + height } else { top };
        }
        let middle = top + height / 2.0;
        middle + self.sizes[node].height / if lower { 2.0 } else { -2.0 }
    }

    /// The room that the drawing takes: its right end, without the margins, and its lower end.
    fn extent(&self) -> (f64, f64) {
        let rights = self.middles.iter().zip(&self.sizes);
        let right = rights.map(|(middle, size)| middle + size.width / 2.0).fold(0.0, f64::max);
        (right, self.rows.last().map_or(0.0, |(top, height)| top + height))
    }

    fn draw(&mut self) -> String {
        self.stack();
        let (right, bottom) = self.extent();
        let notes = caption(&self.look.notes, right);
        let widths = notes.iter().map(|note| proportional_width(&note.text, DOC_SIZE));
        let right = widths.fold(right, f64::max);
        let room = if notes.is_empty() { 0.0 } else { float(notes.len()) * LINE + 12.0 };
        let (beside, lower) = self.words_extent();
        let width = (right + beside + 2.0 * MARGIN).ceil();
        let height = (bottom + room).max(lower) + MARGIN;
        for middle in &mut self.middles {
            *middle += MARGIN;
        }
        let (wide, high, name) = (number(width), number(height), xml(&self.look.title));
        let (more, classes) = (std::mem::take(&mut self.look.style), self.classes());
        let _ = writeln!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\" role=\"img\" class=\"{classes}\">\n\
             <title>{name}</title>\n<style>{STYLE}{more}</style>\n\
             <rect class=\"fsm-page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
            number(width - 1.0),
            number(height - 1.0),
        );
        self.arrows();
        for node in 0..self.layers.nodes.len() {
            if let Kind::State(state) = self.layers.nodes[node].kind {
                self.card(node, state);
            }
        }
        self.caption(&notes, bottom + 12.0);
        self.lit(right + 2.0 * MARGIN);
        std::mem::take(&mut self.text) + "</svg>\n"
    }
}
