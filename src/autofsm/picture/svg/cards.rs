//! The cards of the states, the labels on the lines, and the text below.

use std::fmt::Write as _;

use super::super::rank::Kind;
use super::super::text::xml;
use super::lines::head;
use super::words::{Block, LINE, Line, block_width};
use super::{ARROW, Drawing, ENTRY, MARGIN, Note, number};

/// A round arrow: three quarters of a circle, and its head.
const ROUND_ARROW: &str = "a4.3 4.3 0 1 0 1.2 3.2m-1.2 -3.2m.6 -3v3h-3";
/// A crossed circle: a circle, and a bar.
const CROSSED_CIRCLE: &str = "a4.3 4.3 0 1 0 .1 .1l-6.1 6.1";

impl Drawing<'_> {
    pub(super) fn card(&mut self, node: usize, state: usize) {
        let (x, top) = (self.middles[node], self.end(node, false));
        if state == 0 {
            let from = top - ENTRY;
            let [x, y, start, stop] = [x, from, from, top - ARROW].map(number);
            let _ =
                writeln!(self.text, "<circle class=\"fsm-dot\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>");
            let _ =
                writeln!(self.text, "<path class=\"fsm-line fsm-on\" d=\"M{x} {start}V{stop}\"/>");
            self.text += &head(self.middles[node], top, false, "fsm-on");
        }
        let name = xml(&self.definition.states[state].name);
        let accent = self.look.states.get(state).copied().unwrap_or_default().class();
        let _ = writeln!(self.text, "<g class=\"state{accent}\" data-state=\"{name}\">");
        self.text += &self.shape(node, "fsm-card", 0.0);
        if state == self.last() {
            self.text += &self.shape(node, "fsm-ring", -3.5);
        }
        let words = std::mem::take(&mut self.words[node]);
        let mut base = top + 22.0;
        self.centred("fsm-name fsm-mono", x, base, &words.name);
        for line in &words.doc {
            base += LINE;
            self.centred("fsm-doc fsm-sans", x, base, line);
        }
        for block in &words.blocks {
            base = self.beside_sign(block, x, base + 5.0);
        }
        self.text += "</g>\n";
        self.light_frame(node, state);
    }

    /// A card's outline, with all sides this much farther out.
    pub(super) fn shape(&self, node: usize, class: &str, grow: f64) -> String {
        let (width, height) = (self.sizes[node].width, self.sizes[node].height);
        let (left, top) = (self.middles[node] - width / 2.0, self.end(node, false));
        let [left, top, width, height, round] =
            [left - grow, top - grow, width + 2.0 * grow, height + 2.0 * grow, 8.0 + grow]
                .map(number);
        format!(
            "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>\n"
        )
    }

    fn centred(&mut self, class: &str, x: f64, base: f64, line: &str) {
        let (x, y, line) = (number(x), number(base), xml(line));
        let _ = writeln!(
            self.text,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{line}</text>"
        );
    }

    /// Events of a card after a sign, the widest line in the middle; returns the base of the last.
    fn beside_sign(&mut self, block: &Block, x: f64, mut base: f64) -> f64 {
        let width = block_width(&block.lines) + 16.0;
        let left = (x - width / 2.0).round();
        let (sign_x, sign_y) = (number(left + 9.0), number(base + LINE - 8.5));
        let style = self.edges[block.edge].style;
        let sign = if style.is_refused { CROSSED_CIRCLE } else { ROUND_ARROW };
        let mark = style.accent.class();
        let sign = format!("<path class=\"fsm-turn{mark}\" d=\"M{sign_x} {sign_y}{sign}\"/>\n");
        let legs = self.legs_along(&self.edges[block.edge]);
        self.light(&legs, &sign);
        let _ = write!(self.text, "<g class=\"arrow\">\n{sign}");
        for line in &block.lines {
            base += LINE;
            let (x, y) = (number(left + 16.0), number(base));
            let begin = format!("<text class=\"fsm-stay{mark} fsm-mono\" x=\"{x}\" y=\"{y}\">");
            self.light_event(&legs, block.edge, line, &begin);
            let _ = writeln!(self.text, "{begin}{}</text>", self.events(block.edge, line));
        }
        self.text += "</g>\n";
        base
    }

    /// A line of events, each with the name of its cell.
    fn events(&self, edge: usize, line: &Line) -> String {
        let edge = &self.edges[edge];
        let state = &self.definition.states[edge.from].name;
        let event = |number: usize| {
            let event = &self.definition.events[edge.events[number]].name;
            let (cell, name) = (xml(&format!("{state} {event}")), xml(&edge.names[number]));
            format!("<tspan data-cell=\"{cell}\">{name}</tspan>")
        };
        line.events.clone().map(event).collect::<Vec<_>>().join(" ")
    }

    /// The events on a line.
    pub(super) fn label(&mut self, node: usize, class: &str) {
        let Kind::Label(edge) = self.layers.nodes[node].kind else { return };
        let legs = self.legs_along(&self.edges[edge]);
        let mut base = self.end(node, false) + 1.0;
        for line in std::mem::take(&mut self.words[node]).label {
            base += LINE;
            let (x, y) = (number(self.middles[node]), number(base - 2.0));
            let begin =
                format!("<text class=\"fsm-event fsm-mono fsm-fill {class}\" x=\"{x}\" y=\"{y}\">");
            self.light_event(&legs, edge, &line, &begin);
            let _ = writeln!(self.text, "{begin}{}</text>", self.events(edge, &line));
        }
    }

    /// What the colours mean, line by line from this height on.
    pub(super) fn caption(&mut self, notes: &[Note], mut base: f64) {
        for note in notes {
            base += LINE;
            let (x, y, line) = (number(MARGIN), number(base), xml(&note.text));
            let accent = note.accent.class();
            let _ = writeln!(
                self.text,
                "<text class=\"fsm-doc{accent} fsm-sans\" x=\"{x}\" y=\"{y}\">{line}</text>"
            );
        }
    }
}
