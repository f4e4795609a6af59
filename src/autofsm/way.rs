//! The shortest way from `init` to a state.

use std::collections::VecDeque;

use super::Definition;

impl Definition {
    /// The shortest run that leads from `init` to a state: each state on the way with the event that
    /// moves on from it, accepted or refused. Nothing where no run leads there, or there is no such state.
    #[must_use]
    pub fn way_to(&self, state: usize) -> Option<Vec<(usize, usize)>> {
        if state >= self.states.len() {
            return None;
        }
        let mut before: Vec<Option<(usize, usize)>> = vec![None; self.states.len()];
        let mut open = VecDeque::from([0]);
        while let Some(at) = open.pop_front() {
            if at == state {
                let mut way = Vec::new();
                let mut at = at;
                while let Some((from, event)) = before[at].filter(|_| at != 0) {
                    way.push((from, event));
                    at = from;
                }
                way.reverse();
                return Some(way);
            }
            for event in 0..self.events.len() {
                if let Some(cell) = self.cell(at, event)
                    && cell.next != 0
                    && before[cell.next].is_none()
                {
                    before[cell.next] = Some((at, event));
                    open.push_back(cell.next);
                }
            }
        }
        None
    }
}
