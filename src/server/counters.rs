//! What is counted of a machine while it is served: how often each cell was taken, what was refused
//! where and with which code, and how many sessions stand in each state.
//!
//! The session counts nothing: a connection counts what it takes out of its session (`Tally`). An
//! event costs one relaxed addition, and a move of the machine three. A reader sees each number as
//! it was at some moment, and not all of them as they were at one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::dialogues::Kept;
use crate::smtp::machine::{Machine, Position, StateId};
use crate::smtp::session::{Refused as RefusedLine, Step};

/// The codes that refusals are counted by. Another one, which a fault or a row may have, is counted
/// as [`OTHER_CODE`].
const CODES: [u16; 24] = [
    421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 523, 530, 534, 535, 538, 550, 551,
    552, 553, 554, 555, 556,
];
/// Stands for a code that is not in the list.
pub const OTHER_CODE: u16 = 0;

/// What is counted of one machine.
#[derive(Debug)]
pub struct Counters {
    /// The machine, as it is served.
    machine: &'static Machine,
    /// For each cell, at its place in the machine, how often it was taken.
    taken: Vec<AtomicU64>,
    /// What was refused: for each state, each event and what is none, each code and the others.
    refused: Vec<AtomicU64>,
    /// For each state the sessions that stand in it.
    standing: Vec<AtomicU64>,
}

/// What was refused in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The state's name.
    pub state: &'static str,
    /// The event's name; `None` for what is no command of the machine.
    pub event: Option<&'static str>,
    /// The reply's code, or [`OTHER_CODE`].
    pub code: u16,
    /// How often.
    pub count: u64,
}

/// A cell, and how often it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The state before.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
    /// The state after.
    pub next: &'static str,
    /// The code, if the row refuses its event with words of its own.
    pub code: Option<u16>,
    /// How often.
    pub count: u64,
}

fn zeros(number: usize) -> Vec<AtomicU64> {
    (0..number).map(|_| AtomicU64::new(0)).collect()
}

impl Counters {
    /// Those of a machine that is about to be served, all at nought. Their size is the machine's.
    #[must_use]
    pub fn new(machine: &'static Machine) -> Self {
        let (states, events) = (machine.states.len(), machine.events.len());
        Self {
            machine,
            taken: zeros(states * events),
            refused: zeros(states * (events + 1) * (CODES.len() + 1)),
            standing: zeros(states),
        }
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &'static Machine {
        self.machine
    }

    /// Each cell of the machine, state by state.
    pub fn taken(&self) -> impl Iterator<Item = Taken> + '_ {
        let width = self.machine.events.len().max(1);
        let cells = self.machine.cells.iter().zip(&self.taken).enumerate();
        cells.filter_map(move |(place, (cell, count))| {
            let cell = cell.as_ref()?;
            Some(Taken {
                state: self.state_name(place / width),
                event: self.machine.events.get(place % width)?.name,
                next: self.state_name(usize::from(cell.next.0)),
                code: cell.reply.filter(|_| cell.is_refusal()).map(|reply| reply.code),
                count: count.load(Ordering::Relaxed),
            })
        })
    }

    /// What was refused so far.
    pub fn refused(&self) -> impl Iterator<Item = Refused> + '_ {
        let (events, codes) = (self.machine.events.len() + 1, CODES.len() + 1);
        self.refused.iter().enumerate().filter_map(move |(place, count)| {
            let count = count.load(Ordering::Relaxed);
            (count > 0).then(|| Refused {
                state: self.state_name(place / codes / events),
                event: self.machine.events.get(place / codes % events).map(|event| event.name),
                code: CODES.get(place % codes).copied().unwrap_or(OTHER_CODE),
                count,
            })
        })
    }

    /// Each state, and the sessions that stand in it now.
    pub fn standing(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let states = self.machine.states.iter().zip(&self.standing);
        states.map(|(state, count)| (state.name, count.load(Ordering::Relaxed)))
    }

    fn state_name(&self, state: usize) -> &'static str {
        self.machine.states.get(state).map_or("", |state| state.name)
    }

    fn add_taken(&self, state: StateId, event: usize) {
        let place = usize::from(state.0) * self.machine.events.len() + event;
        if let Some(count) = self.taken.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add_refused(&self, state: StateId, event: Option<&str>, code: u16) {
        let events = self.machine.events.len();
        let event = event.and_then(|event| self.event(event)).unwrap_or(events);
        let code = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len());
        let place = (usize::from(state.0) * (events + 1) + event) * (CODES.len() + 1) + code;
        if let Some(count) = self.refused.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stand(&self, state: StateId) {
        if let Some(count) = self.standing.get(usize::from(state.0)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn leave(&self, state: StateId) {
        if let Some(count) = self.standing.get(usize::from(state.0)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn event(&self, name: &str) -> Option<usize> {
        self.machine.events.iter().position(|event| event.name == name)
    }

    fn state(&self, name: &str) -> Option<StateId> {
        let state = self.machine.states.iter().position(|state| state.name == name)?;
        u16::try_from(state).ok().map(StateId)
    }
}

/// What one session adds to the counters of its machine, and to its own dialogue. Dropped, it
/// stands nowhere any more.
#[derive(Debug)]
pub struct Tally {
    /// The machine's counters.
    counters: Arc<Counters>,
    /// Its dialogue.
    dialogue: Kept,
    /// Where the session is, by the steps so far.
    state: StateId,
    /// Whether the refusal of the line at hand is counted.
    is_counted: bool,
}

impl Tally {
    /// A session without a dialogue.
    #[must_use]
    pub fn alone(counters: &Arc<Counters>) -> Self {
        Self::begin(counters, Kept::nowhere())
    }

    /// A session that begins.
    pub(super) fn begin(counters: &Arc<Counters>, dialogue: Kept) -> Self {
        let state = Position::initial(counters.machine).state();
        counters.stand(state);
        Self { counters: Arc::clone(counters), dialogue, state, is_counted: false }
    }

    /// The machine moved. A row that refuses is taken, and its event is refused.
    pub fn step(&mut self, step: &Step) {
        let counters = &*self.counters;
        if step.code >= 400 && !self.is_counted {
            counters.add_refused(self.state, Some(step.event), step.code);
            self.dialogue.refused();
        }
        if let Some(event) = counters.event(step.event) {
            counters.add_taken(self.state, event);
        }
        self.dialogue.step(step);
        if step.from == step.to {
            return;
        }
        if let Some(next) = counters.state(step.to) {
            counters.leave(self.state);
            counters.stand(next);
            self.state = next;
        }
    }

    /// A line was refused.
    pub(super) fn refused(&mut self, refused: &RefusedLine) {
        self.counters.add_refused(self.state, refused.event, refused.code);
        self.dialogue.refused();
        self.is_counted = true;
    }

    /// A fault fired.
    pub(super) fn fault(&self) {
        self.dialogue.fault();
    }

    /// A message was stored.
    pub(super) fn stored(&self) {
        self.dialogue.stored();
    }

    /// The client sent a line: the next refusal is another.
    pub(super) fn line(&mut self) {
        self.is_counted = false;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.counters.leave(self.state);
        self.dialogue.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::machine::of_the_tests;

    fn step(from: &'static str, event: &'static str, to: &'static str, code: u16) -> Step {
        Step { from, event, action: "", code, to }
    }

    fn standing(counters: &Counters) -> Vec<(&'static str, u64)> {
        counters.standing().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_session_stands_in_one_state_and_then_in_none() {
        let counters = Arc::new(Counters::new(of_the_tests()));
        let mut tally = Tally::alone(&counters);
        assert_eq!(standing(&counters), [("init", 1)]);
        tally.step(&step("init", "EHLO", "client_init", 250));
        let other = Tally::alone(&counters);
        assert_eq!(standing(&counters), [("init", 1), ("client_init", 1)]);
        drop(tally);
        assert_eq!(standing(&counters), [("init", 1)]);
        drop(other);
        assert_eq!(standing(&counters), []);
    }

    #[test]
    fn each_cell_has_its_count() {
        let counters = Arc::new(Counters::new(of_the_tests()));
        let mut tally = Tally::alone(&counters);
        for _ in 0..3 {
            tally.step(&step("init", "NOOP", "init", 250));
        }
        tally.step(&step("init", "EHLO", "client_init", 250));
        let taken: Vec<_> = counters
            .taken()
            .filter(|cell| cell.count > 0)
            .map(|cell| (cell.state, cell.event, cell.next, cell.count))
            .collect();
        let mut wanted = [("init", "EHLO", "client_init", 1), ("init", "NOOP", "init", 3)];
        let place = |name: &str| counters.event(name);
        wanted.sort_by_key(|cell| place(cell.1));
        assert_eq!(taken, wanted);
    }

    #[test]
    fn a_refusal_is_counted_once_at_its_state_with_its_code() {
        let counters = Arc::new(Counters::new(of_the_tests()));
        let mut tally = Tally::alone(&counters);
        let refused = |event, code| RefusedLine { line: String::new(), event, code };
        // A line that is refused, a line that is no command, and a code that nobody knows.
        for (event, code) in [(Some("MAIL"), 503), (Some("MAIL"), 503), (None, 500), (None, 599)] {
            tally.line();
            tally.refused(&refused(event, code));
        }
        // A refusal that the session has told of, and then its step.
        tally.line();
        tally.refused(&refused(Some("END"), 550));
        tally.step(&step("init", "END", "init", 550));
        // A row that refuses by itself.
        tally.line();
        tally.step(&step("init", "VRFY", "init", 502));
        let mut refused: Vec<_> = counters
            .refused()
            .map(|refused| (refused.state, refused.event, refused.code, refused.count))
            .collect();
        refused.sort_unstable();
        assert_eq!(
            refused,
            [
                ("init", None, 0, 1),
                ("init", None, 500, 1),
                ("init", Some("END"), 550, 1),
                ("init", Some("MAIL"), 503, 2),
                ("init", Some("VRFY"), 502, 1),
            ]
        );
    }
}
