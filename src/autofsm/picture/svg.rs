//! The picture as SVG.
//!
//! A state is a card: its name, the comment on it, and, behind a round arrow, the events that do
//! not leave it; behind a crossed circle those that are refused, with their codes. Lines forward,
//! lines back and lines to the end have a colour each, with their events on them; a refusal that
//! moves on leaves along a dashed one. The background is part of the picture and follows the
//! reader's choice of light or dark, so that it can be read on any page. There is no id in it, no
//! script and no empty line: it can stand in Markdown, and twice on one page.

use std::fmt::Write as _;

use super::order::{Neighbours, order};
use super::place::{Size, place, settle};
use super::rank::{Kind, Layers, Link, rank};
use super::text::{fixed_width, float, label_columns, proportional_width, wrap, xml};
use super::{Definition, Edge, edges, title};

const NAME_SIZE: f64 = 14.0;
const DOC_SIZE: f64 = 12.0;
const EVENT_SIZE: f64 = 11.5;
const LINE: f64 = 15.0;
const MARGIN: f64 = 28.0;
const ARROW: f64 = 7.0;
/// The way from the dot to the first state.
const ENTRY: f64 = 26.0;
/// A comment on a card breaks at about so many columns.
const DOC_COLUMNS: usize = 30;

const STYLE: &str = "\
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

/// Lines to the end, back and forward; then those along which a refusal leaves.
const CLASSES: [&str; 6] =
    ["fsm-end", "fsm-back", "fsm-on", "fsm-end fsm-no", "fsm-back fsm-no", "fsm-on fsm-no"];

/// What stands on a card or on a line.
#[derive(Default)]
struct Words {
    name: String,
    doc: Vec<String>,
    stay: Vec<String>,
    refused: Vec<String>,
    label: Vec<String>,
}

struct Drawing<'d> {
    definition: &'d Definition,
    layers: Layers,
    words: Vec<Words>,
    /// For each edge whether it is a refusal.
    refused: Vec<bool>,
    sizes: Vec<Size>,
    middles: Vec<f64>,
    /// The top and the height of each row.
    rows: Vec<(f64, f64)>,
    text: String,
}

/// A picture of more lines than these shows nothing, and its layout takes long.
const EDGES_MAX: usize = 5000;

/// The states as cards in rows, with lines that have their events on them. Nothing for a
/// definition with more than 5,000 pairs of states that an event connects.
#[must_use]
pub fn svg(definition: &Definition) -> Option<String> {
    let edges = edges(definition);
    if edges.len() > EDGES_MAX {
        return None;
    }
    let mut layers = rank(definition, &edges);
    let neighbours = Neighbours::of(&layers);
    order(&mut layers, &neighbours, definition.states.len() - 1);
    let words: Vec<Words> =
        layers.nodes.iter().map(|node| words(definition, &edges, node.kind)).collect();
    let sizes: Vec<Size> = words.iter().map(size).collect();
    let middles = place(&layers, &neighbours, &sizes);
    let refused = edges.iter().map(|edge| edge.refused).collect();
    let (rows, text) = (Vec::new(), String::new());
    let mut drawing = Drawing { definition, layers, words, refused, sizes, middles, rows, text };
    Some(drawing.draw())
}

fn words(definition: &Definition, edges: &[Edge], kind: Kind) -> Words {
    match kind {
        Kind::Bend => Words::default(),
        Kind::Label(edge) => {
            let names = edges[edge].names(definition);
            Words { label: wrap(&names, label_columns(&names)), ..Words::default() }
        }
        Kind::State(state) => {
            let own = |refused| {
                edges
                    .iter()
                    .find(move |edge| (edge.from, edge.to, edge.refused) == (state, state, refused))
            };
            let [stays, refused] =
                [false, true].map(|is| own(is).map_or(Vec::new(), |edge| edge.names(definition)));
            let state = &definition.states[state];
            Words {
                name: state.name.clone(),
                doc: wrap(state.doc.split_whitespace(), DOC_COLUMNS),
                stay: wrap(&stays, label_columns(&stays).max(24)),
                refused: wrap(&refused, label_columns(&refused).max(24)),
                label: Vec::new(),
            }
        }
    }
}

fn widest(lines: &[String], width: impl Fn(&str) -> f64) -> f64 {
    lines.iter().map(|line| width(line)).fold(0.0, f64::max)
}

fn size(words: &Words) -> Size {
    if !words.label.is_empty() {
        let width = widest(&words.label, |line| fixed_width(line, EVENT_SIZE));
        return Size { width: width + 8.0, height: float(words.label.len()) * LINE + 4.0 };
    }
    if words.name.is_empty() {
        return Size { width: 4.0, height: 0.0 };
    }
    let name = fixed_width(&words.name, NAME_SIZE) * 1.04;
    let doc = widest(&words.doc, |line| proportional_width(line, DOC_SIZE));
    let blocks = [&words.stay, &words.refused].into_iter().filter(|lines| !lines.is_empty());
    let own = blocks
        .clone()
        .map(|lines| widest(lines, |line| fixed_width(line, EVENT_SIZE)) + 18.0)
        .fold(0.0, f64::max);
    let between = 5.0 * float(blocks.count());
    let lines = float(words.doc.len() + words.stay.len() + words.refused.len());
    let width = name.max(doc).max(own);
    // An even width keeps the middle on a whole pixel.
    Size { width: (width / 2.0).ceil() * 2.0 + 30.0, height: 34.0 + lines * LINE + between }
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
        let is_refusal = [link.upper, link.lower].iter().any(
            |node| matches!(self.layers.nodes[*node].kind, Kind::Label(edge) if self.refused[edge]),
        );
        let kind = if link.target == self.last() { 0 } else { 1 + usize::from(!link.back) };
        CLASSES[kind + if is_refusal { 3 } else { 0 }]
    }

    /// Rows from top to bottom; where lines go far to the side, the rows stand farther apart.
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

    /// Where lines meet a card: as straight below or above their other end as can be. All that
    /// arrive at a side meet in one point.
    fn ports(&self) -> Vec<(f64, f64)> {
        let mut ports: Vec<(f64, f64)> = self
            .layers
            .links
            .iter()
            .map(|link| (self.middles[link.upper], self.middles[link.lower]))
            .collect();
        let mut beside: Vec<Vec<usize>> = vec![Vec::new(); self.layers.nodes.len()];
        for (index, link) in self.layers.links.iter().enumerate() {
            beside[link.upper].push(index);
            beside[link.lower].push(index);
        }
        for (node, found) in self.layers.nodes.iter().enumerate() {
            let Kind::State(state) = found.kind else { continue };
            for lower in [true, false] {
                // Each port: where it wants to be, how much, and the links that meet there.
                let mut wanted: Vec<(f64, f64, Vec<usize>)> = Vec::new();
                let mut arrivals: Vec<(f64, usize)> = Vec::new();
                for (index, link) in
                    beside[node].iter().map(|index| (*index, &self.layers.links[*index]))
                {
                    let (own, other) =
                        if lower { (link.upper, link.lower) } else { (link.lower, link.upper) };
                    if own != node {
                        continue;
                    }
                    if link.target == state && link.back == lower {
                        arrivals.push((self.middles[other], index));
                    } else {
                        wanted.push((self.middles[other], link.weight, vec![index]));
                    }
                }
                if !arrivals.is_empty() {
                    let place = arrivals.iter().map(|(place, _)| place).sum::<f64>()
                        / float(arrivals.len());
                    let place = if lower { place } else { self.middles[node] };
                    wanted.push((
                        place,
                        1.0,
                        arrivals.into_iter().map(|(_, index)| index).collect(),
                    ));
                }
                wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
                let room = self.sizes[node].width - 28.0;
                let apart = (room / float(wanted.len().max(2) - 1)).min(22.0);
                let (left, right) =
                    (self.middles[node] - room / 2.0, self.middles[node] + room / 2.0);
                let places: Vec<(f64, f64)> = wanted
                    .iter()
                    .map(|(place, weight, _)| (place.clamp(left, right), *weight))
                    .collect();
                let settled = settle(&places, |_| apart);
                let over = settled.last().map_or(0.0, |last| (last - right).max(0.0));
                let under = settled.first().map_or(0.0, |first| (left - first).max(0.0));
                for ((.., links), place) in wanted.iter().zip(settled) {
                    for link in links {
                        let place = (place - over + under).clamp(left, right);
                        if lower {
                            ports[*link].0 = place;
                        } else {
                            ports[*link].1 = place;
                        }
                    }
                }
            }
        }
        ports
    }

    fn draw(&mut self) -> String {
        self.stack();
        let width = self
            .middles
            .iter()
            .zip(&self.sizes)
            .map(|(middle, size)| middle + size.width / 2.0)
            .fold(0.0, f64::max);
        let (width, height) = (
            (width + 2.0 * MARGIN).ceil(),
            self.rows.last().map_or(0.0, |(top, height)| top + height + MARGIN),
        );
        for middle in &mut self.middles {
            *middle += MARGIN;
        }
        let (wide, high, name) = (number(width), number(height), xml(&title(self.definition)));
        let _ = writeln!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\" role=\"img\" style=\"max-width:100%;height:auto\">\n\
             <title>{name}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"fsm-page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
            number(width - 1.0),
            number(height - 1.0),
        );
        self.lines();
        let mut classes = vec![""; self.layers.nodes.len()];
        for link in &self.layers.links {
            (classes[link.upper], classes[link.lower]) = (self.class(link), self.class(link));
        }
        for (node, class) in classes.into_iter().enumerate() {
            match self.layers.nodes[node].kind {
                Kind::State(state) => self.card(node, state),
                Kind::Label(_) => self.label(node, class),
                Kind::Bend => {}
            }
        }
        std::mem::take(&mut self.text) + "</svg>\n"
    }

    /// An arrow's head, its tip there.
    fn arrow(&mut self, x: f64, y: f64, up: bool, class: &str) {
        let base = if up { y + ARROW } else { y - ARROW };
        let (left, right) = (x - ARROW * 0.55, x + ARROW * 0.55);
        let [x, y, base, left, right] = [x, y, base, left, right].map(number);
        let _ = writeln!(
            self.text,
            "<path class=\"fsm-fill {class}\" d=\"M{x} {y}L{left} {base}H{right}Z\"/>"
        );
    }

    fn lines(&mut self) {
        let ports = self.ports();
        // Lines of one kind are drawn as one path: where many meet there is no darker spot.
        let mut arrows: Vec<(String, String, bool, &str, f64, f64)> = Vec::new();
        let mut drawn: Vec<(&str, String)> =
            CLASSES.into_iter().map(|class| (class, String::new())).collect();
        for (link, (from, to)) in self.layers.links.iter().zip(&ports) {
            let class = self.class(link);
            let (start, stop) = (self.end(link.upper, true), self.end(link.lower, false));
            let row = self.layers.nodes[link.upper].row;
            let (leave, arrive) = (self.rows[row].0 + self.rows[row].1, self.rows[row + 1].0);
            let mut stop = stop;
            let mut begin = start;
            if self.layers.nodes[link.lower].kind == Kind::State(link.target) && !link.back {
                arrows.push((number(*to), number(stop), false, class, *to, stop));
                stop -= ARROW - 1.0;
            }
            if self.layers.nodes[link.upper].kind == Kind::State(link.target) && link.back {
                arrows.push((number(*from), number(start), true, class, *from, start));
                begin += ARROW - 1.0;
            }
            let Some((_, path)) = drawn.iter_mut().find(|(known, _)| *known == class) else {
                continue;
            };
            let (leave, arrive) = (leave.max(begin), arrive.min(stop));
            let half = f64::midpoint(leave, arrive);
            let [from, to, begin, leave, half, arrive, stop] =
                [*from, *to, begin, leave, half, arrive, stop].map(number);
            if from == to {
                let _ = write!(path, "M{from} {begin}V{stop}");
            } else {
                let _ = write!(
                    path,
                    "M{from} {begin}V{leave}C{from} {half} {to} {half} {to} {arrive}V{stop}"
                );
            }
        }
        self.bends(&mut drawn);
        for (class, path) in drawn {
            if !path.is_empty() {
                let _ = writeln!(self.text, "<path class=\"fsm-line {class}\" d=\"{path}\"/>");
            }
        }
        arrows.sort_by(|one, other| {
            (&one.0, &one.1, one.2, one.3).cmp(&(&other.0, &other.1, other.2, other.3))
        });
        arrows.dedup_by(|one, other| {
            (&one.0, &one.1, one.2, one.3) == (&other.0, &other.1, other.2, other.3)
        });
        for (_, _, up, class, x, y) in arrows {
            self.arrow(x, y, up, class);
        }
    }

    /// Adds what is drawn in the rows that a line passes: there it is upright.
    fn bends(&self, drawn: &mut [(&str, String)]) {
        let mut passing: Vec<Option<&Link>> = vec![None; self.layers.nodes.len()];
        for link in &self.layers.links {
            passing[link.lower].get_or_insert(link);
        }
        for (node, link) in passing.into_iter().enumerate() {
            if let (Kind::Bend, Some(link)) = (self.layers.nodes[node].kind, link) {
                let class = self.class(link);
                let (top, height) = self.rows[self.layers.nodes[node].row];
                if let Some((_, path)) = drawn.iter_mut().find(|(known, _)| *known == class) {
                    let _ = write!(
                        path,
                        "M{} {}v{}",
                        number(self.middles[node]),
                        number(top),
                        number(height)
                    );
                }
            }
        }
    }

    fn card(&mut self, node: usize, state: usize) {
        let (x, top) = (self.middles[node], self.end(node, false));
        let (width, height) = (self.sizes[node].width, self.sizes[node].height);
        let left = x - width / 2.0;
        if state == 0 {
            let from = top - ENTRY;
            let [x, y, start, stop] = [x, from, from, top - ARROW].map(number);
            let _ =
                writeln!(self.text, "<circle class=\"fsm-dot\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>");
            let _ =
                writeln!(self.text, "<path class=\"fsm-line fsm-on\" d=\"M{x} {start}V{stop}\"/>");
            self.arrow(self.middles[node], top, false, "fsm-on");
        }
        let shape = |class: &str, grow: f64| {
            let [left, top, width, height, round] =
                [left - grow, top - grow, width + 2.0 * grow, height + 2.0 * grow, 8.0 + grow]
                    .map(number);
            format!(
                "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>\n"
            )
        };
        self.text += &shape("fsm-card", 0.0);
        if state == self.last() {
            self.text += &shape("fsm-ring", -3.5);
        }
        let words = std::mem::take(&mut self.words[node]);
        let mut base = top + 22.0;
        let middle = number(x);
        let _ = writeln!(
            self.text,
            "<text class=\"fsm-name fsm-mono\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            number(base),
            xml(&words.name)
        );
        for line in &words.doc {
            base += LINE;
            let _ = writeln!(
                self.text,
                "<text class=\"fsm-doc fsm-sans\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                number(base),
                xml(line)
            );
        }
        // A round arrow: three quarters of a circle, and its head. A crossed circle: a circle, and
        // a bar.
        let signs =
            ["a4.3 4.3 0 1 0 1.2 3.2m-1.2 -3.2m.6 -3v3h-3", "a4.3 4.3 0 1 0 .1 .1l-6.1 6.1"];
        for (lines, sign) in [&words.stay, &words.refused].into_iter().zip(signs) {
            if !lines.is_empty() {
                base = self.beside_sign(lines, sign, x, base + 5.0);
            }
        }
    }

    /// Events of a card behind a sign, the widest line in the middle; returns where the last
    /// stands.
    fn beside_sign(&mut self, lines: &[String], sign: &str, x: f64, mut base: f64) -> f64 {
        let block = widest(lines, |line| fixed_width(line, EVENT_SIZE)) + 16.0;
        let left = (x - block / 2.0).round();
        let (sign_x, sign_y) = (number(left + 9.0), number(base + LINE - 8.5));
        let _ = writeln!(self.text, "<path class=\"fsm-turn\" d=\"M{sign_x} {sign_y}{sign}\"/>");
        for line in lines {
            base += LINE;
            let (x, y, line) = (number(left + 16.0), number(base), xml(line));
            let _ = writeln!(
                self.text,
                "<text class=\"fsm-stay fsm-mono\" x=\"{x}\" y=\"{y}\">{line}</text>"
            );
        }
        base
    }

    fn label(&mut self, node: usize, class: &str) {
        let mut base = self.end(node, false) + 1.0;
        for line in std::mem::take(&mut self.words[node]).label {
            base += LINE;
            let _ = writeln!(
                self.text,
                "<text class=\"fsm-event fsm-mono fsm-fill {class}\" x=\"{}\" y=\"{}\">{}</text>",
                number(self.middles[node]),
                number(base - 2.0),
                xml(&line)
            );
        }
    }
}
