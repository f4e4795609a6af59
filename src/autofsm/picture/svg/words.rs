//! What is written on a card, on a line and below the picture, and how much room it takes.

use std::ops::Range;

use super::super::place::Size;
use super::super::rank::Kind;
use super::super::text::{broken, fixed_width, float, label_columns, proportional_width, wrap};
use super::super::{Definition, Edge};
use super::Note;

pub(super) const NAME_SIZE: f64 = 14.0;
pub(super) const DOC_SIZE: f64 = 12.0;
pub(super) const EVENT_SIZE: f64 = 11.5;
pub(super) const LINE: f64 = 15.0;
/// A comment on a card breaks at about as many columns.
const DOC_COLUMNS: usize = 30;
/// The text below the picture breaks at the picture's width, but not below this number of columns.
const CAPTION_COLUMNS_MIN: usize = 40;

/// A line of events: their numbers in their edge, and how they look together.
pub(super) struct Line {
    pub events: Range<usize>,
    pub text: String,
}

/// The events of an edge, line by line.
fn lines(edge: &Edge, columns_max: usize) -> Vec<Line> {
    let line = |events: Range<usize>| {
        let text = edge.names.get(events.clone()).unwrap_or_default().join(" ");
        Line { events, text }
    };
    broken(&edge.names, columns_max).into_iter().map(line).collect()
}

/// Events of a state that do not leave it, those of one edge.
pub(super) struct Block {
    pub edge: usize,
    pub lines: Vec<Line>,
}

/// The text on a card or on a line.
#[derive(Default)]
pub(super) struct Words {
    pub name: String,
    pub doc: Vec<String>,
    pub blocks: Vec<Block>,
    pub label: Vec<Line>,
}

impl Words {
    pub(super) fn of(definition: &Definition, edges: &[Edge], kind: Kind) -> Self {
        match kind {
            Kind::Bend => Self::default(),
            Kind::Label(edge) => {
                let edge = &edges[edge];
                Self { label: lines(edge, label_columns(&edge.names)), ..Self::default() }
            }
            Kind::State(state) => {
                let numbered = edges.iter().enumerate();
                let own = numbered.filter(|(_, edge)| (edge.from, edge.to) == (state, state));
                let blocks = own.map(|(number, edge)| {
                    let lines = lines(edge, label_columns(&edge.names).max(24));
                    Block { edge: number, lines }
                });
                let about = &definition.states[state];
                Self {
                    name: about.name.clone(),
                    doc: wrap(&about.doc, DOC_COLUMNS),
                    blocks: blocks.collect(),
                    label: Vec::new(),
                }
            }
        }
    }

    pub(super) fn size(&self) -> Size {
        if !self.label.is_empty() {
            let width = block_width(&self.label);
            return Size { width: width + 8.0, height: float(self.label.len()) * LINE + 4.0 };
        }
        if self.name.is_empty() {
            return Size { width: 4.0, height: 0.0 };
        }
        let name = fixed_width(&self.name, NAME_SIZE) * 1.04;
        let doc = widest(&self.doc, |line| proportional_width(line, DOC_SIZE));
        let own = self.blocks.iter().map(|block| block_width(&block.lines) + 18.0);
        let width = name.max(doc).max(own.fold(0.0, f64::max));
        let between = 5.0 * float(self.blocks.len());
        let own: usize = self.blocks.iter().map(|block| block.lines.len()).sum();
        let lines = float(self.doc.len() + own);
        // An even width keeps the middle on a whole pixel.
        Size { width: (width / 2.0).ceil() * 2.0 + 30.0, height: 34.0 + lines * LINE + between }
    }
}

fn widest(lines: &[String], width: impl Fn(&str) -> f64) -> f64 {
    lines.iter().map(|line| width(line)).fold(0.0, f64::max)
}

pub(super) fn block_width(lines: &[Line]) -> f64 {
    lines.iter().map(|line| fixed_width(&line.text, EVENT_SIZE)).fold(0.0, f64::max)
}

/// The texts below a picture of this width, each on lines of its own.
pub(super) fn caption(notes: &[Note], width: f64) -> Vec<Note> {
    let mut columns = CAPTION_COLUMNS_MIN;
    while proportional_width(&"x".repeat(columns + 1), DOC_SIZE) <= width {
        columns += 1;
    }
    let lines = |note: &Note| {
        let accent = note.accent;
        wrap(&note.text, columns).into_iter().map(move |text| Note { accent, text })
    };
    notes.iter().flat_map(lines).collect()
}
