//! What is written on a card, on a line and below the picture, and how much room it takes.

use super::super::place::Size;
use super::super::rank::Kind;
use super::super::text::{fixed_width, float, label_columns, proportional_width, wrap};
use super::super::{Definition, Edge, Style};

pub(super) const NAME_SIZE: f64 = 14.0;
pub(super) const DOC_SIZE: f64 = 12.0;
pub(super) const EVENT_SIZE: f64 = 11.5;
pub(super) const LINE: f64 = 15.0;
/// A comment on a card breaks at about as many columns.
const DOC_COLUMNS: usize = 30;
/// The text below the picture breaks at the picture's width, but not below this number of columns.
const CAPTION_COLUMNS_MIN: usize = 40;

/// Events of a state that do not leave it, those of one style.
pub(super) struct Block {
    pub style: Style,
    pub lines: Vec<String>,
}

/// The text on a card or on a line.
#[derive(Default)]
pub(super) struct Words {
    pub name: String,
    pub doc: Vec<String>,
    pub blocks: Vec<Block>,
    pub label: Vec<String>,
}

impl Words {
    pub(super) fn of(definition: &Definition, edges: &[Edge], kind: Kind) -> Self {
        match kind {
            Kind::Bend => Self::default(),
            Kind::Label(edge) => {
                let names = edges[edge].names(definition);
                Self { label: wrap(&names, label_columns(&names)), ..Self::default() }
            }
            Kind::State(state) => {
                let own = edges.iter().filter(|edge| (edge.from, edge.to) == (state, state));
                let blocks = own.map(|edge| {
                    let names = edge.names(definition);
                    let lines = wrap(&names, label_columns(&names).max(24));
                    Block { style: edge.style, lines }
                });
                let about = &definition.states[state];
                Self {
                    name: about.name.clone(),
                    doc: wrap(about.doc.split_whitespace(), DOC_COLUMNS),
                    blocks: blocks.collect(),
                    label: Vec::new(),
                }
            }
        }
    }

    pub(super) fn size(&self) -> Size {
        if !self.label.is_empty() {
            let width = widest(&self.label, |line| fixed_width(line, EVENT_SIZE));
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

pub(super) fn widest(lines: &[String], width: impl Fn(&str) -> f64) -> f64 {
    lines.iter().map(|line| width(line)).fold(0.0, f64::max)
}

pub(super) fn block_width(lines: &[String]) -> f64 {
    widest(lines, |line| fixed_width(line, EVENT_SIZE))
}

/// The texts below a picture of this width, each on lines of its own.
pub(super) fn caption(texts: &[String], width: f64) -> Vec<String> {
    let mut columns = CAPTION_COLUMNS_MIN;
    while proportional_width(&"x".repeat(columns + 1), DOC_SIZE) <= width {
        columns += 1;
    }
    texts.iter().flat_map(|text| wrap(text.split_whitespace(), columns)).collect()
}
