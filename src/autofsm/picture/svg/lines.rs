//! The lines between the cards: where they meet a card, their arrows, and the rows that they pass.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::place::settle;
use super::super::rank::{Kind, Link};
use super::super::text::float;
use super::{ARROW, CLASSES, Drawing, number};

/// How much of a picture tells again what several arrows share, in octets. Of the arrows beyond that
/// only what they are the first to draw can be lit.
const SHARED_BYTES_MAX: usize = 1 << 20;

/// An arrow's head: its tip, and whether it points up.
#[derive(Clone, Copy)]
struct Head {
    x: f64,
    y: f64,
    is_up: bool,
}

/// A line, piece by piece. Upright pieces that follow one another are one.
#[derive(Default)]
struct Way {
    path: String,
    /// The last piece, if it is upright: its place, its top and its bottom.
    upright: Option<(f64, f64, f64)>,
}

impl Way {
    fn add_upright(&mut self, x: f64, top: f64, bottom: f64) {
        let meets = |one: f64, other: f64| (one - other).abs() < 0.05;
        if let Some((place, first, last)) = &mut self.upright
            && meets(*place, x)
            && (meets(*last, top) || meets(*first, bottom))
        {
            (*first, *last) = (first.min(top), last.max(bottom));
            return;
        }
        self.flush();
        self.upright = Some((x, top, bottom));
    }

    fn add_bent(&mut self, piece: &str) {
        self.flush();
        self.path += piece;
    }

    fn flush(&mut self) {
        if let Some((x, top, bottom)) = self.upright.take() {
            let [x, top, bottom] = [x, top, bottom].map(number);
            let _ = write!(self.path, "M{x} {top}V{bottom}");
        }
    }

    fn shape(&self, class: &str) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        format!("<path class=\"fsm-line {class}\" d=\"{}\"/>\n", self.path)
    }
}

/// The way of an arrow from its state on: what it is the first to draw, by class; and what others
/// have drawn already, which is there to be shown when this arrow is lit by itself.
#[derive(Default)]
struct Route {
    own: Vec<(&'static str, Way)>,
    shared: Vec<(&'static str, Way)>,
    head: Option<(Head, &'static str)>,
}

impl Route {
    fn way(&mut self, is_own: bool, class: &'static str) -> &mut Way {
        let ways = if is_own { &mut self.own } else { &mut self.shared };
        let known = ways.iter().position(|(known, _)| *known == class);
        let number = known.unwrap_or_else(|| {
            ways.push((class, Way::default()));
            ways.len() - 1
        });
        &mut ways[number].1
    }
}

/// An arrow's head, its tip there.
pub(super) fn head(x: f64, y: f64, up: bool, class: &str) -> String {
    let base = if up { y + ARROW } else { y - ARROW };
    let (left, right) = (x - ARROW * 0.55, x + ARROW * 0.55);
    let [x, y, base, left, right] = [x, y, base, left, right].map(number);
    format!("<path class=\"fsm-fill {class}\" d=\"M{x} {y}L{left} {base}H{right}Z\"/>\n")
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

    /// The arrows between states, a group each: its line, its head and its events. Those of one kind
    /// follow one another, and what is marked lies above the others.
    pub(super) fn arrows(&mut self) {
        let ports = self.ports();
        let mut onward: Vec<Option<usize>> = vec![None; self.layers.nodes.len()];
        let mut firsts: Vec<(usize, usize)> = Vec::new();
        for (index, link) in self.layers.links.iter().enumerate() {
            let (from, to) = link.ends();
            if !matches!(self.layers.nodes[from].kind, Kind::State(_)) {
                onward[from] = Some(index);
            }
            if matches!(self.layers.nodes[to].kind, Kind::Label(_)) {
                let class = self.class(link);
                let place = CLASSES.iter().position(|known| *known == class);
                firsts.push((place.unwrap_or_default(), index));
            }
        }
        firsts.sort_unstable();
        let mut tips = BTreeSet::new();
        let mut shared_bytes = 0;
        for (_, first) in firsts {
            let link = self.layers.links[first];
            let route = self.route(first, &onward, &ports);
            let legs = self.legs_along(&self.edges[link.edge]);
            self.text += "<g class=\"arrow\">\n";
            for (class, way) in &route.own {
                self.text += &way.shape(class);
            }
            let before = self.text.len();
            for (class, way) in &route.shared {
                if shared_bytes < SHARED_BYTES_MAX {
                    self.text += &way.shape(&format!("{class} fsm-same"));
                }
            }
            shared_bytes += self.text.len() - before;
            for (class, way) in route.own.iter().chain(&route.shared) {
                self.light(&legs, &way.shape(class));
            }
            if let Some((Head { x, y, is_up }, class)) = route.head {
                let is_first = tips.insert((number(x), number(y), is_up, class));
                let same = if is_first { "" } else { " fsm-same" };
                self.text += &head(x, y, is_up, &format!("{class}{same}"));
                self.light(&legs, &head(x, y, is_up, class));
            }
            self.label(link.ends().1, self.class(&link));
            self.text += "</g>\n";
        }
    }

    /// The way along which a link leads, up to a state.
    fn route(&self, first: usize, onward: &[Option<usize>], ports: &[(f64, f64)]) -> Route {
        let mut route = Route::default();
        let edge = self.layers.links[first].edge;
        let mut next = Some(first);
        while let Some(index) = next {
            let link = &self.layers.links[index];
            let (is_own, class, (from, to)) = (link.edge == edge, self.class(link), link.ends());
            if self.layers.nodes[from].kind == Kind::Bend {
                // In the rows that a line passes it is upright.
                let (top, height) = self.rows[self.layers.nodes[from].row];
                route.way(is_own, class).add_upright(self.middles[from], top, top + height);
            }
            let head = self.piece(link, ports[index], route.way(is_own, class));
            route.head = head.map(|head| (head, class));
            next = onward[to];
        }
        for (_, way) in route.own.iter_mut().chain(&mut route.shared) {
            way.flush();
        }
        route
    }

    /// Adds what is drawn of a link; at a state it ends with a head.
    fn piece(&self, link: &Link, (from, to): (f64, f64), way: &mut Way) -> Option<Head> {
        let (mut begin, mut stop) = (self.end(link.upper, true), self.end(link.lower, false));
        let row = self.layers.nodes[link.upper].row;
        let (leave, arrive) = (self.rows[row].0 + self.rows[row].1, self.rows[row + 1].0);
        let mut head = None;
        if self.layers.nodes[link.ends().1].kind == Kind::State(link.target) {
            if link.back {
                head = Some(Head { x: from, y: begin, is_up: true });
                begin += ARROW - 1.0;
            } else {
                head = Some(Head { x: to, y: stop, is_up: false });
                stop -= ARROW - 1.0;
            }
        }
        let (leave, arrive) = (leave.max(begin), arrive.min(stop));
        let half = number(f64::midpoint(leave, arrive));
        let [left, right] = [from, to].map(number);
        if left == right {
            way.add_upright(from, begin, stop);
        } else {
            let [begin, leave, arrive, stop] = [begin, leave, arrive, stop].map(number);
            way.add_bent(&format!(
                "M{left} {begin}V{leave}C{left} {half} {right} {half} {right} {arrive}V{stop}"
            ));
        }
        head
    }
}
