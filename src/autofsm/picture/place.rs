//! Where in its row each thing stands: as near to its neighbours as the others leave room.

use super::order::Neighbours;
use super::rank::{Kind, Layers};

/// How often the rows are gone through.
const SWEEPS: usize = 60;

/// How much room a node takes, and how far others keep from it.
pub(super) struct Size {
    pub width: f64,
    pub height: f64,
}

fn gap(one: Kind, other: Kind) -> f64 {
    match (one, other) {
        (Kind::State(_), Kind::State(_)) => 40.0,
        (Kind::State(_), _) | (_, Kind::State(_)) => 24.0,
        (Kind::Bend, Kind::Bend) => 16.0,
        _ => 14.0,
    }
}

/// Places in order, at least `apart` from one another, as near as can be (in the sum of
/// weighted squares) to where each wants to be: neighbours that want the same room pool.
pub(super) fn settle(wanted: &[(f64, f64)], apart: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut shifts = Vec::with_capacity(wanted.len());
    let mut shift = 0.0;
    // A pool: its place, its weight, and how many are in it.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (index, (place, weight)) in wanted.iter().enumerate() {
        if index > 0 {
            shift += apart(index);
        }
        shifts.push(shift);
        let mut pool = (place - shift, *weight, 1);
        while let Some(before) = pools.pop_if(|before| before.0 > pool.0) {
            let weight = before.1 + pool.1;
            pool = ((before.0 * before.1 + pool.0 * pool.1) / weight, weight, before.2 + pool.2);
        }
        pools.push(pool);
    }
    let settled = pools.into_iter().flat_map(|(place, _, count)| std::iter::repeat_n(place, count));
    settled.zip(shifts).map(|(place, shift)| place + shift).collect()
}

/// The horizontal middle of each node.
pub(super) fn place(layers: &Layers, neighbours: &Neighbours, sizes: &[Size]) -> Vec<f64> {
    let apart = |row: &[usize], index: usize| {
        let (one, other) = (row[index - 1], row[index]);
        f64::midpoint(sizes[one].width, sizes[other].width)
            + gap(layers.nodes[one].kind, layers.nodes[other].kind)
    };
    let mut middles = vec![0.0; layers.nodes.len()];
    for row in &layers.rows {
        let packed = settle(&vec![(0.0, 1.0); row.len()], |index| apart(row, index));
        for (node, settled) in row.iter().zip(packed) {
            middles[*node] = settled;
        }
    }
    let count = layers.rows.len();
    for sweep in 0..SWEEPS {
        for step in 0..count {
            let down = sweep % 2 == 0;
            let row = &layers.rows[if down { step } else { count - 1 - step }];
            let wanted: Vec<(f64, f64)> = row
                .iter()
                .map(|node| {
                    // First from one side, so that the rows come together; then from both.
                    let (above, below) = (&neighbours.above[*node], &neighbours.below[*node]);
                    let both = sweep >= SWEEPS / 2;
                    let near = [(above, both || down), (below, both || !down)];
                    let (mut sum, mut weights) = (middles[*node] * 0.05, 0.05);
                    for (near, _) in near.into_iter().filter(|(_, counts)| *counts) {
                        for (other, weight) in near {
                            sum += middles[*other] * weight;
                            weights += weight;
                        }
                    }
                    (sum / weights, weights)
                })
                .collect();
            let settled = settle(&wanted, |index| apart(row, index));
            for (node, settled) in row.iter().zip(settled) {
                middles[*node] = settled;
            }
        }
    }
    align(layers, neighbours, &mut middles, apart);
    straighten(layers, &mut middles, apart);
    let left = layers
        .rows
        .iter()
        .flatten()
        .map(|node| middles[*node] - sizes[*node].width / 2.0)
        .fold(f64::MAX, f64::min);
    middles.iter().map(|middle| (middle - left).round()).collect()
}

/// Lines that pass several rows, and a state with what stands alone below it, become quite
/// straight, where that takes no room from others.
fn straighten(layers: &Layers, middles: &mut [f64], apart: impl Fn(&[usize], usize) -> f64 + Copy) {
    let mut position = vec![0; layers.nodes.len()];
    for row in &layers.rows {
        for (index, node) in row.iter().enumerate() {
            position[*node] = index;
        }
    }
    let chains = chains(layers);
    for _ in 0..4 {
        for chain in &chains {
            let mut rest = chain.as_slice();
            while !rest.is_empty() {
                // As many of them as fit on one line.
                let (mut low, mut high, mut length, mut sum) = (f64::MIN, f64::MAX, 0, 0.0);
                for node in rest {
                    let (row, index) = (&layers.rows[layers.nodes[*node].row], position[*node]);
                    let left = if index > 0 {
                        middles[row[index - 1]] + apart(row, index)
                    } else {
                        f64::MIN
                    };
                    let right = row
                        .get(index + 1)
                        .map_or(f64::MAX, |other| middles[*other] - apart(row, index + 1));
                    if low.max(left) > high.min(right) {
                        break;
                    }
                    (low, high, length, sum) =
                        (low.max(left), high.min(right), length + 1, sum + middles[*node]);
                }
                let taken = rest.get(..length.max(1)).unwrap_or_default();
                if length > 1 {
                    let middle = (sum / super::text::float(length)).clamp(low, high);
                    for node in taken {
                        middles[*node] = middle;
                    }
                }
                rest = rest.get(taken.len()..).unwrap_or_default();
            }
        }
    }
}

/// What should be on one line: along the heaviest pieces of line, from the top.
fn chains(layers: &Layers) -> Vec<Vec<usize>> {
    let mut next: Vec<Option<usize>> = vec![None; layers.nodes.len()];
    let mut has_before = vec![false; layers.nodes.len()];
    let mut heavy: Vec<_> = layers.links.iter().filter(|link| link.weight > 1.0).collect();
    heavy.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    for link in heavy {
        if next[link.upper].is_none() && !has_before[link.lower] {
            next[link.upper] = Some(link.lower);
            has_before[link.lower] = true;
        }
    }
    let firsts = (0..layers.nodes.len()).filter(|node| !has_before[*node] && next[*node].is_some());
    firsts.map(|first| std::iter::successors(Some(first), |node| next[*node]).collect()).collect()
}

/// Chains become straight even where others must make room.
fn align(
    layers: &Layers,
    neighbours: &Neighbours,
    middles: &mut [f64],
    apart: impl Fn(&[usize], usize) -> f64 + Copy,
) {
    let mut held: Vec<Option<(f64, f64)>> = vec![None; layers.nodes.len()];
    for chain in chains(layers) {
        let middle =
            chain.iter().map(|node| middles[*node]).sum::<f64>() / super::text::float(chain.len());
        // The spine is stronger than lines that pass by.
        let spine = chain.iter().any(|node| matches!(layers.nodes[*node].kind, Kind::State(_)));
        for node in chain {
            held[node] = Some((middle, if spine { 100_000.0 } else { 1000.0 }));
        }
    }
    for sweep in 0..12 {
        for step in 0..layers.rows.len() {
            let row =
                &layers.rows[if sweep % 2 == 0 { step } else { layers.rows.len() - 1 - step }];
            let wanted: Vec<(f64, f64)> = row
                .iter()
                .map(|node| {
                    if let Some(held) = held[*node] {
                        return held;
                    }
                    let near = neighbours.above[*node].iter().chain(&neighbours.below[*node]);
                    let (sum, weights) = near.fold(
                        (middles[*node] * 0.05, 0.05),
                        |(sum, weights), (other, weight)| {
                            (sum + middles[*other] * weight, weights + weight)
                        },
                    );
                    (sum / weights, 1.0)
                })
                .collect();
            let settled = settle(&wanted, |index| apart(row, index));
            for (node, settled) in row.iter().zip(settled) {
                middles[*node] = settled;
            }
        }
    }
}
