//! The order within each row: the one of those tried that crosses least.

use super::rank::{Kind, Layers};
use super::text::float;

/// How often the rows are gone through.
const SWEEPS: usize = 24;
/// With more pieces of line than this, neighbours are not swapped one by one: that would take long.
const SWAPPED_MAX: usize = 6000;

/// For each node its neighbours in the row above and in the row below.
pub(super) struct Neighbours {
    pub above: Vec<Vec<(usize, f64)>>,
    pub below: Vec<Vec<(usize, f64)>>,
}

impl Neighbours {
    pub(super) fn of(layers: &Layers) -> Self {
        let mut all = Self {
            above: vec![Vec::new(); layers.nodes.len()],
            below: vec![Vec::new(); layers.nodes.len()],
        };
        for link in &layers.links {
            all.below[link.upper].push((link.lower, link.weight));
            all.above[link.lower].push((link.upper, link.weight));
        }
        all
    }
}

fn positions(rows: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut positions = vec![0; count];
    for row in rows {
        for (position, node) in row.iter().enumerate() {
            positions[*node] = position;
        }
    }
    positions
}

/// How often pieces of line cross.
fn crossings(layers: &Layers, rows: &[Vec<usize>], positions: &[usize]) -> usize {
    let mut between: Vec<Vec<(usize, usize)>> = vec![Vec::new(); rows.len()];
    for link in &layers.links {
        between[layers.nodes[link.upper].row].push((positions[link.upper], positions[link.lower]));
    }
    let mut total = 0;
    for (mut pairs, row) in between.into_iter().zip(rows.iter().skip(1)) {
        pairs.sort_unstable();
        // A Fenwick tree counts those before that end farther right.
        let mut tree = vec![0_usize; row.len() + 1];
        for (seen, (_, lower)) in pairs.into_iter().enumerate() {
            let (mut index, mut not_right) = (lower + 1, 0);
            while index > 0 {
                not_right += tree[index];
                index &= index - 1;
            }
            total += seen - not_right;
            index = lower + 1;
            while index < tree.len() {
                tree[index] += 1;
                index += index & index.wrapping_neg();
            }
        }
    }
    total
}

/// Crossings of the lines of two neighbours, as they are and swapped.
fn pair(one: &[(usize, f64)], other: &[(usize, f64)], positions: &[usize]) -> (usize, usize) {
    let (mut standing, mut swapped) = (0, 0);
    for (left, _) in one {
        for (right, _) in other {
            match positions[*left].cmp(&positions[*right]) {
                std::cmp::Ordering::Greater => standing += 1,
                std::cmp::Ordering::Less => swapped += 1,
                std::cmp::Ordering::Equal => {}
            }
        }
    }
    (standing, swapped)
}

fn swap(rows: &mut [Vec<usize>], positions: &mut [usize], neighbours: &Neighbours) {
    for _ in 0..8 {
        let mut changed = false;
        for row in rows.iter_mut() {
            for left in 1..row.len() {
                let (one, other) = (row[left - 1], row[left]);
                let (above, above_swapped) =
                    pair(&neighbours.above[one], &neighbours.above[other], positions);
                let (below, below_swapped) =
                    pair(&neighbours.below[one], &neighbours.below[other], positions);
                if above_swapped + below_swapped < above + below {
                    row.swap(left - 1, left);
                    positions.swap(one, other);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// Two orders to begin with: lines back on the left and lines to the end on the right, which is
/// how a conversation is drawn by hand; and as they were found.
fn beginnings(layers: &Layers, last: usize) -> [Vec<Vec<usize>>; 2] {
    let mut side = vec![1_u8; layers.nodes.len()];
    for link in &layers.links {
        for node in [link.upper, link.lower] {
            if !matches!(layers.nodes[node].kind, Kind::State(_)) {
                side[node] = if link.target == last { 2 } else { u8::from(!link.back) };
            }
        }
    }
    let mut sided = layers.rows.clone();
    for row in &mut sided {
        row.sort_by_key(|node| side[*node]);
    }
    [sided, layers.rows.clone()]
}

/// Puts each row into the best order found; `last` is the last state.
pub(super) fn order(layers: &mut Layers, neighbours: &Neighbours, last: usize) {
    let mut best = (usize::MAX, Vec::new());
    for rows in beginnings(layers, last) {
        improve(layers, neighbours, rows, &mut best);
    }
    layers.rows = best.1;
}

fn improve(
    layers: &Layers,
    neighbours: &Neighbours,
    mut rows: Vec<Vec<usize>>,
    best: &mut (usize, Vec<Vec<usize>>),
) {
    let mut places = positions(&rows, layers.nodes.len());
    let crossed = crossings(layers, &rows, &places);
    if crossed < best.0 {
        *best = (crossed, rows.clone());
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let count = rows.len();
        for step in 1..count {
            let index = if down { step } else { count - 1 - step };
            let beside = if down { &neighbours.above } else { &neighbours.below };
            let middle = |node: &usize| {
                let near = &beside[*node];
                let weight: f64 = near.iter().map(|(_, weight)| weight).sum();
                if near.is_empty() {
                    float(places[*node])
                } else {
                    near.iter().map(|(other, weight)| float(places[*other]) * weight).sum::<f64>()
                        / weight
                }
            };
            let mut keyed: Vec<(f64, usize)> =
                rows[index].iter().map(|node| (middle(node), *node)).collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            rows[index] = keyed.into_iter().map(|(_, node)| node).collect();
            for (position, node) in rows[index].iter().enumerate() {
                places[*node] = position;
            }
        }
        if layers.links.len() <= SWAPPED_MAX {
            swap(&mut rows, &mut places, neighbours);
        }
        let crossed = crossings(layers, &rows, &places);
        if crossed < best.0 {
            *best = (crossed, rows.clone());
        }
    }
}
