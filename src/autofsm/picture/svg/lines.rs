//! The lines between the cards: where they meet a card, their arrows, and the rows that they pass.

use std::fmt::Write as _;

use super::super::place::settle;
use super::super::rank::{Kind, Link};
use super::super::text::float;
use super::{ARROW, CLASSES, Drawing, number};

/// An arrow's head: its tip, whether it points up, and its class.
struct Arrow {
    x: f64,
    y: f64,
    is_up: bool,
    class: &'static str,
}

impl Drawing<'_> {
    /// Where lines meet a card: as straight below or above their other end as can be. All that
    /// arrive at a side meet in one point.
    fn ports(&self) -> Vec<(f64, f64)> {
        let ends = |link: &Link| (self.middles[link.upper], self.middles[link.lower]);
        let mut ports: Vec<(f64, f64)> = self.layers.links.iter().map(ends).collect();
        let mut beside: Vec<Vec<usize>> = vec![Vec::new(); self.layers.nodes.len()];
        for (index, link) in self.layers.links.iter().enumerate() {
            beside[link.upper].push(index);
            beside[link.lower].push(index);
        }
        for (node, beside) in beside.iter().enumerate() {
            for lower in [true, false] {
                for (link, place) in self.ports_of(node, lower, beside) {
                    if lower {
                        ports[link].0 = place;
                    } else {
                        ports[link].1 = place;
                    }
                }
            }
        }
        ports
    }

    /// The places on the lower or the upper side of a card, each with its link.
    fn ports_of(&self, node: usize, lower: bool, beside: &[usize]) -> Vec<(usize, f64)> {
        let Kind::State(state) = self.layers.nodes[node].kind else { return Vec::new() };
        // Each port: where it wants to be, how much, and the links that meet there.
        let mut wanted: Vec<(f64, f64, Vec<usize>)> = Vec::new();
        let mut arrivals: Vec<(f64, usize)> = Vec::new();
        for (index, link) in beside.iter().map(|index| (*index, &self.layers.links[*index])) {
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
            let sum: f64 = arrivals.iter().map(|(place, _)| place).sum();
            let place = if lower { sum / float(arrivals.len()) } else { self.middles[node] };
            let links = arrivals.into_iter().map(|(_, index)| index).collect();
            wanted.push((place, 1.0, links));
        }
        wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let room = self.sizes[node].width - 28.0;
        let apart = (room / float(wanted.len().max(2) - 1)).min(22.0);
        let (left, right) = (self.middles[node] - room / 2.0, self.middles[node] + room / 2.0);
        let places: Vec<(f64, f64)> =
            wanted.iter().map(|(place, weight, _)| (place.clamp(left, right), *weight)).collect();
        let settled = settle(&places, |_| apart);
        let over = settled.last().map_or(0.0, |last| (last - right).max(0.0));
        let under = settled.first().map_or(0.0, |first| (left - first).max(0.0));
        let ports = wanted.into_iter().zip(settled).flat_map(|((.., links), place)| {
            let place = (place - over + under).clamp(left, right);
            links.into_iter().map(move |link| (link, place))
        });
        ports.collect()
    }

    /// An arrow's head, its tip there.
    pub(super) fn arrow(&mut self, x: f64, y: f64, up: bool, class: &str) {
        let base = if up { y + ARROW } else { y - ARROW };
        let (left, right) = (x - ARROW * 0.55, x + ARROW * 0.55);
        let [x, y, base, left, right] = [x, y, base, left, right].map(number);
        let _ = writeln!(
            self.text,
            "<path class=\"fsm-fill {class}\" d=\"M{x} {y}L{left} {base}H{right}Z\"/>"
        );
    }

    pub(super) fn lines(&mut self) {
        let ports = self.ports();
        // Lines of one kind are drawn as one path: where many meet there is no darker spot.
        let mut drawn: Vec<(&str, String)> =
            CLASSES.into_iter().map(|class| (class, String::new())).collect();
        let mut arrows = Vec::new();
        for (link, (from, to)) in self.layers.links.iter().zip(&ports) {
            let class = self.class(link);
            let (mut begin, mut stop) = (self.end(link.upper, true), self.end(link.lower, false));
            let row = self.layers.nodes[link.upper].row;
            let (leave, arrive) = (self.rows[row].0 + self.rows[row].1, self.rows[row + 1].0);
            if self.layers.nodes[link.lower].kind == Kind::State(link.target) && !link.back {
                arrows.push(Arrow { x: *to, y: stop, is_up: false, class });
                stop -= ARROW - 1.0;
            }
            if self.layers.nodes[link.upper].kind == Kind::State(link.target) && link.back {
                arrows.push(Arrow { x: *from, y: begin, is_up: true, class });
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
        self.arrows(arrows);
    }

    /// The arrows' heads, one for all that meet; one that is marked lies above the others.
    fn arrows(&mut self, mut arrows: Vec<Arrow>) {
        let key = |arrow: &Arrow| {
            let is_marked = arrow.class.starts_with("fsm-mark");
            (is_marked, number(arrow.x), number(arrow.y), arrow.is_up, arrow.class)
        };
        arrows.sort_by_key(key);
        arrows.dedup_by_key(|arrow| key(arrow));
        for Arrow { x, y, is_up, class } in arrows {
            self.arrow(x, y, is_up, class);
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
                    let [middle, top, height] = [self.middles[node], top, height].map(number);
                    let _ = write!(path, "M{middle} {top}v{height}");
                }
            }
        }
    }
}
