//! Rows: each state below those that lead to it, and everything else that takes room.
//!
//! Rows alternate, states and labels, so that a label has a place of its own that nothing
//! crosses. An edge that passes rows bends through each of them, and **all edges to one state
//! share their bends**: many states have an edge to the same few (the end, a reset), and one
//! line that gathers them reads better than a bundle, and costs less. Those that something sets
//! apart share theirs.

use std::collections::BTreeMap;

use super::super::graph::{StateIndex, Walk};
use super::{Accent, Definition, Edge, drawn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A state, by its number.
    State(usize),
    /// The events of an edge, by the edge's number.
    Label(usize),
    /// Where a line passes a row.
    Bend,
}

/// What takes room in a row.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub row: usize,
}

/// A piece of line between two nodes of neighbouring rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub upper: usize,
    pub lower: usize,
    /// The edge that it was made for; others may share it.
    pub edge: usize,
    /// The state that it leads to.
    pub target: usize,
    /// Whether it leads upwards.
    pub back: bool,
    /// What sets its events apart.
    pub accent: Accent,
    /// How much it wants to be straight.
    pub weight: f64,
}

impl Link {
    /// The nodes that it leads from and to.
    pub(super) fn ends(&self) -> (usize, usize) {
        if self.back { (self.lower, self.upper) } else { (self.upper, self.lower) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Layers {
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    /// The nodes of each row, from left to right.
    pub rows: Vec<Vec<usize>>,
}

impl Layers {
    fn node(&mut self, kind: Kind, row: usize) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { kind, row });
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Vec::new);
        }
        if let Some(nodes) = self.rows.get_mut(row) {
            nodes.push(index);
        }
        index
    }

    fn link(&mut self, from: usize, to: usize, (number, edge): (usize, &Edge), weight: f64) {
        let (target, accent) = (edge.to, edge.style.accent);
        let back = self.nodes[from].row > self.nodes[to].row;
        let (upper, lower) = if back { (to, from) } else { (from, to) };
        self.links.push(Link { upper, lower, edge: number, target, back, accent, weight });
    }
}

/// The states in the order in which a client can meet them; the last one stays the last.
fn met(definition: &Definition) -> Vec<usize> {
    let last = definition.states.len().saturating_sub(1);
    let mut known = vec![false; definition.states.len()];
    if let Some(known) = known.get_mut(last) {
        *known = true;
    }
    let mut walk = Walk::new();
    for root in 0..last {
        definition.walk(&mut walk, &mut known, StateIndex(root), |_| false);
    }
    walk.nodes().map(|state| state.0).chain([last]).collect()
}

pub(super) fn rank(definition: &Definition, edges: &[Edge]) -> Layers {
    let order = met(definition);
    let mut place = vec![0; order.len()];
    for (position, state) in order.iter().enumerate() {
        place[*state] = position;
    }
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    for edge in edges {
        // A line back counts too: no two states with a line between them share a row.
        let (first, second) = if place[edge.from] < place[edge.to] {
            (edge.from, edge.to)
        } else {
            (edge.to, edge.from)
        };
        if first != second {
            leaving[first].push(second);
        }
    }
    let mut ranks = vec![0; order.len()];
    for state in &order {
        for next in &leaving[*state] {
            ranks[*next] = ranks[*next].max(ranks[*state] + 1);
        }
    }
    let mut layers = Layers::default();
    let mut states = vec![0; order.len()];
    let drawn = drawn(definition, edges);
    for state in order.iter().filter(|state| **state < drawn) {
        states[*state] = layers.node(Kind::State(*state), ranks[*state] * 2);
    }
    // The way that everything first comes is the picture's spine.
    let (mut reached, last) = (vec![false; order.len()], order.len() - 1);
    let mut bends: BTreeMap<(usize, bool, Accent, usize), usize> = BTreeMap::new();
    let mut sorted: Vec<(usize, &Edge)> =
        edges.iter().enumerate().filter(|(_, edge)| edge.from != edge.to).collect();
    sorted.sort_by_key(|(_, edge)| (place[edge.from], edge.events.first().copied()));
    for (number, edge) in sorted {
        let (from, to) = (ranks[edge.from] * 2, ranks[edge.to] * 2);
        let back = from > to;
        let spine = !back
            && to - from == 2
            && edge.to != last
            && !std::mem::replace(&mut reached[edge.to], true);
        let weight = if spine { 40.0 } else { 1.0 };
        let rows: Vec<usize> =
            if back { (to + 1..from).rev().collect() } else { (from + 1..to).collect() };
        let mut at = layers.node(Kind::Label(number), *rows.first().unwrap_or(&from));
        layers.link(states[edge.from], at, (number, edge), weight);
        let mut gathered = false;
        for row in rows.iter().skip(1) {
            let key = (edge.to, back, edge.style.accent, *row);
            let known = bends.get(&key).copied();
            let bend = known.unwrap_or_else(|| layers.node(Kind::Bend, *row));
            bends.insert(key, bend);
            let straight = if layers.nodes[at].kind == Kind::Bend { 10.0 } else { 1.0 };
            layers.link(at, bend, (number, edge), straight);
            at = bend;
            if known.is_some() {
                gathered = true;
                break;
            }
        }
        if !gathered {
            layers.link(at, states[edge.to], (number, edge), weight);
        }
    }
    layers
}
