//! The machine as a graph, and the one way to walk through it.
//!
//! A [`Walk`] goes by breadth through nodes that its caller chooses: states; states with what is at
//! hand in them; a state beside a step of an expression, or beside a state of another machine. Each
//! node keeps the node and the event that led to it, so that the way to a node is a [`Run`], and no
//! run to it is shorter. A caller says once for each node that it is new: the walk ends because
//! nodes are finitely many.

use super::{Cell, Definition};

/// The number of a state in its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateIndex(pub usize);

/// The number of an event in its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventIndex(pub usize);

/// An event in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// The state before.
    pub state: StateIndex,
    /// The event.
    pub event: EventIndex,
}

impl Move {
    /// The move as a line of a dialogue: `C: MAIL    client_init -> begin_transaction`. A refusal
    /// says so, and an event without a row leads to `refused`.
    #[must_use]
    pub fn line(self, definition: &Definition) -> String {
        let name =
            |state: usize| definition.states.get(state).map_or("", |state| state.name.as_str());
        let event = definition.events.get(self.event.0).map_or("", |event| event.name.as_str());
        let cell = definition.cell(self.state.0, self.event.0);
        let next = cell.map_or("refused", |cell| name(cell.next));
        let line = format!("C: {event:<7} {} -> {next}", name(self.state.0));
        match cell.filter(|cell| cell.is_refusal()).and_then(|cell| cell.reply.as_ref()) {
            Some(reply) => format!("{line}      refused with {}", reply.code),
            None => line,
        }
    }
}

/// A way through the machine: the moves one after the other, from `init`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The moves; none stays in `init`.
    pub moves: Vec<Move>,
}

impl Run {
    /// The state after the last move.
    #[must_use]
    pub fn end(&self, definition: &Definition) -> StateIndex {
        let cell = self.moves.last().and_then(|last| definition.cell(last.state.0, last.event.0));
        StateIndex(cell.map_or(0, |cell| cell.next))
    }

    /// The run as a dialogue, a line for each move.
    #[must_use]
    pub fn dialogue(&self, definition: &Definition) -> Vec<String> {
        self.moves.iter().map(|step| step.line(definition)).collect()
    }
}

/// What a walk goes through.
pub trait Node {
    /// The state that it stands for.
    fn state(&self) -> StateIndex;
}

impl Node for StateIndex {
    fn state(&self) -> StateIndex {
        *self
    }
}

/// The number of a node in its walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeIndex(usize);

/// The nodes that were met, by the number of events that lead to them.
#[derive(Debug)]
pub struct Walk<N> {
    /// Each with the node and the event before it.
    nodes: Vec<(N, Option<(NodeIndex, EventIndex)>)>,
    /// How many were gone on from.
    visited: usize,
}

impl<N> Default for Walk<N> {
    fn default() -> Self {
        Self { nodes: Vec::new(), visited: 0 }
    }
}

impl<N: Node> Walk<N> {
    /// A walk that has met nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Meets a node that was not met before; `before` led to it.
    pub fn meet(&mut self, node: N, before: Option<(NodeIndex, EventIndex)>) {
        self.nodes.push((node, before));
    }

    /// The next node to go on from; none at the end.
    pub fn visit(&mut self) -> Option<NodeIndex> {
        let next = NodeIndex(self.visited);
        self.visited += usize::from(self.visited < self.nodes.len());
        (next.0 < self.visited).then_some(next)
    }

    /// A node that was met.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> &N {
        &self.nodes[node.0].0
    }

    /// The nodes that were met, in that order.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.nodes.iter().map(|(node, _)| node)
    }

    /// The way to a node, with one more move if there is one.
    #[must_use]
    pub fn run(&self, mut node: NodeIndex, last: Option<EventIndex>) -> Run {
        let step = |node, event| Move { state: self.node(node).state(), event };
        let mut moves: Vec<_> = last.map(|event| step(node, event)).into_iter().collect();
        while let Some((before, event)) = self.nodes[node.0].1 {
            moves.push(step(before, event));
            node = before;
        }
        moves.reverse();
        Run { moves }
    }
}

impl Definition {
    /// What a state has rows for, accepted or refused, by the number of the event.
    pub fn cells_of(&self, state: StateIndex) -> impl Iterator<Item = (EventIndex, &Cell)> {
        (0..self.events.len())
            .filter_map(move |event| Some((EventIndex(event), self.cell(state.0, event)?)))
    }

    /// The shortest run from `init` to a state of this kind, refusals that move included; none if
    /// no run leads to one.
    #[must_use]
    pub fn shortest_run(&self, is_wanted: impl Fn(StateIndex) -> bool) -> Option<Run> {
        let mut walk = Walk::new();
        let mut known = vec![false; self.states.len()];
        self.walk(&mut walk, &mut known, StateIndex(0), is_wanted)
            .map(|found| walk.run(found, None))
    }

    /// Which states some run reaches.
    pub(super) fn reached(&self) -> Vec<bool> {
        let mut known = vec![false; self.states.len()];
        self.walk(&mut Walk::new(), &mut known, StateIndex(0), |_| false);
        known
    }

    /// Which states have a way to one of these, refusals that move included; these among them.
    pub(super) fn leading_to(&self, ends: impl Iterator<Item = StateIndex>) -> Vec<bool> {
        let mut before = vec![Vec::new(); self.states.len()];
        for state in (0..self.states.len()).map(StateIndex) {
            for (event, cell) in self.cells_of(state) {
                before[cell.next].push((event, state));
            }
        }
        let mut known = vec![false; self.states.len()];
        let mut walk = Walk::new();
        for end in ends.filter(|end| !std::mem::replace(&mut known[end.0], true)) {
            walk.meet(end, None);
        }
        while let Some(at) = walk.visit() {
            for (event, state) in std::mem::take(&mut before[walk.node(at).0]) {
                if !std::mem::replace(&mut known[state.0], true) {
                    walk.meet(state, Some((at, event)));
                }
            }
        }
        known
    }

    /// Walks through the states that `start` leads to and that are not known, until one is wanted.
    pub(super) fn walk(
        &self,
        walk: &mut Walk<StateIndex>,
        known: &mut [bool],
        start: StateIndex,
        is_wanted: impl Fn(StateIndex) -> bool,
    ) -> Option<NodeIndex> {
        let is_new = |known: &mut [bool], state: usize| {
            known.get_mut(state).is_some_and(|is| !std::mem::replace(is, true))
        };
        if is_new(known, start.0) {
            walk.meet(start, None);
        }
        while let Some(at) = walk.visit() {
            let state = *walk.node(at);
            if is_wanted(state) {
                return Some(at);
            }
            for (event, cell) in self.cells_of(state) {
                if is_new(known, cell.next) {
                    walk.meet(StateIndex(cell.next), Some((at, event)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    fn definition() -> Definition {
        let source = "AutoGen Definitions fsm; state = a, b, c; event = go, jump, stop; transition =
            { tst = init; tev = go; next = a; reply = 200; }, { tst = a; tev = go; next = b; reply = 200; },
            { tst = init; tev = jump; next = b; reply = 450; }, { tst = b; tev = go; next = done; reply = 200; },
            { tst = c; tev = stop; next = done; reply = 200; };";
        compile(source, None).definition.expect("it compiles")
    }

    #[test]
    fn the_shortest_run_is_a_dialogue_and_a_refusal_that_moves_is_on_the_way() {
        let definition = definition();
        let run = definition.shortest_run(|state| state == StateIndex(4)).unwrap();
        let dialogue = ["C: jump    init -> b      refused with 450", "C: go      b -> done"];
        assert_eq!(
            (run.dialogue(&definition), run.end(&definition)),
            (dialogue.map(str::to_owned).into(), StateIndex(4))
        );
        assert_eq!(definition.shortest_run(|state| state.0 == 0), Some(Run::default()));
        assert_eq!(definition.shortest_run(|state| state.0 == 3), None);
        assert_eq!(definition.reached(), [true, true, true, false, true]);
        let leading = |end| definition.leading_to([StateIndex(end)].into_iter());
        assert_eq!(leading(1), [true, true, false, false, false]);
        assert_eq!(leading(4), [true; 5]);
    }

    #[test]
    fn an_event_without_a_row_is_refused() {
        let definition = definition();
        let nothing = Move { state: StateIndex(1), event: EventIndex(2) };
        assert_eq!(nothing.line(&definition), "C: stop    a -> refused");
    }
}
