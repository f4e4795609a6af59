//! The protocol's table, and the one way to move in it.
//!
//! A [`Machine`] is a plain value: the build writes one as a `static` ([`BUILT`]), the loader
//! makes the same value from a file ([`Machine::load`]), and nothing else in the server can tell
//! which it got. [`Machine::without`] leaves out the rows that a server cannot keep.
//!
//! A session is at a [`Position`]. To look is [`Position::look`], which moves nothing; to step is
//! `StateMachine::consume` of `rust_fsm`, which asks [`Protocol`], and so `look`, for the cell. No
//! code outside the generated table names a state.

use rust_fsm::StateMachineImpl;

use super::loaded::Loaded;
use super::vocabulary::{Action, VOCABULARY};
use crate::autofsm;

/// A state: what may be said now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The name in the definition.
    pub name: &'static str,
    /// The definition's comment on it, or "".
    pub doc: &'static str,
}

/// An event: a command, or a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name in the definition: for a command, its verb.
    pub name: &'static str,
    /// The command's syntax, if the definition has it.
    pub syntax: Option<&'static str>,
    /// The definition's comment on it, or "".
    pub doc: &'static str,
}

/// A keyword of a service extension. RFC 5321 4.1.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// The command that the keyword stands for, if there is one: EHLO offers the keyword only where
    /// that command is accepted next.
    pub command: Option<EventId>,
}

/// A valid cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Where it leads.
    pub next: StateId,
    /// The action.
    pub action: Action,
    /// The reply, if the definition has one.
    pub reply: Option<ReplySpec>,
}

/// A reply as the definition gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplySpec {
    /// Three digits.
    pub code: u16,
    /// The words after it, if the definition has any.
    pub text: Option<&'static str>,
}

/// The number of a state in its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateId(pub u16);

/// The number of an event in its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(pub u16);

/// A complete protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// The file it was made from.
    pub source: &'static str,
    /// The states; the first is the initial one, the last the final one.
    pub states: &'static [State],
    /// The events.
    pub events: &'static [Event],
    /// What EHLO may offer.
    pub keywords: &'static [Keyword],
    /// The commands whose rows were left out, since the server cannot keep them.
    pub left_out: &'static [&'static str],
    /// The state in which a session begins whose line is encrypted from the first octet. `None`: the
    /// line is clear, and the first state is the begin.
    pub encrypted_at: Option<StateId>,
    /// A place for each state and event, at `state * events.len() + event`.
    pub cells: &'static [Option<Transition>],
}

/// The table that the build made of `smtp-states.def`. A card is a state; a round arrow shows
/// what does not leave it; violet leads back, and brown to the end.
///
#[doc = include_str!(concat!(env!("OUT_DIR"), "/smtp_states.svg"))]
#[allow(clippy::unnecessary_wraps, reason = "the helpers stand for cells, of which some are none")]
pub mod built {
    #[allow(unused_imports, reason = "a definition may have no keyword")]
    use super::{Action, Event, EventId, Keyword, Machine, ReplySpec, State, StateId, Transition};
    include!(concat!(env!("OUT_DIR"), "/smtp_states.rs"));
}
pub use built::MACHINE as BUILT;

/// The cell of a definition; none if its action is not ours.
fn transition(cell: &autofsm::Cell, loaded: &mut Loaded) -> Option<Transition> {
    let word = cell.action.as_deref()?;
    Some(Transition {
        next: StateId(u16::try_from(cell.next).ok()?),
        action: *Action::ALL.iter().find(|action| action.name() == word)?,
        reply: cell.reply.as_ref().map(|reply| ReplySpec {
            code: reply.code,
            text: reply.text.as_deref().map(|text| loaded.text(text)),
        }),
    })
}

impl Transition {
    /// The row refuses its event with words of its own: its reply is 4xx or 5xx.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.reply.is_some_and(|reply| reply.code >= 400)
    }
}

impl Machine {
    /// Makes the machine of a definition that was compiled with [`VOCABULARY`]. It lives as
    /// long as the process, as the built one does; a definition with the same table gets the same
    /// machine again.
    ///
    /// Returns `None` if the definition names an action that is not ours, or if the machines that
    /// were loaded so far take [`BYTES_MAX`](super::loaded::BYTES_MAX) octets.
    #[must_use]
    pub fn load(source: &str, definition: &autofsm::Definition) -> Option<&'static Self> {
        let mut loaded = Loaded::lock();
        if !loaded.has_room() {
            return None;
        }
        let mut cells = Vec::with_capacity(definition.cells.len());
        for place in &definition.cells {
            cells.push(match place {
                Some(found) => Some(transition(found, &mut loaded)?),
                None => None,
            });
        }
        let states = definition
            .states
            .iter()
            .map(|state| State { name: loaded.text(&state.name), doc: loaded.text(&state.doc) });
        let states = states.collect();
        let events = definition.events.iter().map(|event| Event {
            name: loaded.text(&event.name),
            syntax: event.display.as_deref().map(|text| loaded.text(text)),
            doc: loaded.text(&event.doc),
        });
        let events = events.collect();
        let keywords = definition.keywords.iter().map(|keyword| Keyword {
            name: loaded.text(&keyword.name),
            command: keyword.command.and_then(|event| u16::try_from(event).ok()).map(EventId),
        });
        let keywords = keywords.collect();
        let source = loaded.text(source);
        Some(loaded.whole(source, (states, events, keywords), cells))
    }

    /// The machine without the rows of some commands, for a server that cannot keep them. States,
    /// events and keywords are as before; but a command without a row is unknown
    /// ([`Machine::command`]), and its keyword is not offered ([`Position::offered`]). Fewer rows
    /// allow fewer conversations: what no client can bring about stays so.
    ///
    /// It lives as long as the process, and is made once. If no such command has a row, it is the
    /// machine itself.
    #[must_use]
    pub fn without(&'static self, commands: &[&'static str]) -> &'static Self {
        let has_rows = |name: &&str| self.event(name).is_some_and(|event| self.has_row(event));
        let left_out: Vec<&'static str> = commands.iter().copied().filter(has_rows).collect();
        if left_out.is_empty() {
            return self;
        }
        let width = self.events.len();
        let is_kept = |column: usize| {
            let name = self.events.get(column).map_or("", |event| event.name);
            !left_out.iter().any(|out| out.eq_ignore_ascii_case(name))
        };
        let cells = || {
            let cells = self.cells.iter().enumerate();
            Some(cells.map(|(place, cell)| cell.filter(|_| is_kept(place % width))).collect())
        };
        Loaded::lock().part(self, left_out.clone(), self.encrypted_at, cells)
    }

    /// The machine of a line that is encrypted from the first octet (RFC 8314): it begins where the
    /// row for STARTTLS in the first state leads, and leaves out the rows that encrypt. `None` if the
    /// first state has no such row. It lives as long as the process, and is made once.
    #[must_use]
    pub fn encrypted(&'static self) -> Option<&'static Self> {
        let position = Position::initial(self);
        let events = self.events.iter().filter_map(|event| self.event(event.name));
        let mut found = events.filter_map(|event| {
            let cell = position.look(event).filter(|cell| cell.action == Action::StartTls)?;
            Some((self.event_name(event), cell.next))
        });
        let (command, begin) = found.next()?;
        let rest = self.without(&[command]);
        Some(Loaded::lock().part(rest, rest.left_out.to_vec(), Some(begin), || None))
    }

    /// Whether some conversation ends with a message that is delivered.
    #[must_use]
    pub fn delivers(&'static self) -> bool {
        let width = self.events.len().max(1);
        let mut reached = vec![usize::from(Position::initial(self).state.0)];
        let mut next = 0;
        while let Some(state) = reached.get(next).copied() {
            next += 1;
            for cell in self.cells.iter().skip(state * width).take(width).flatten() {
                if cell.action == Action::Deliver {
                    return true;
                }
                let to = usize::from(cell.next.0);
                if !reached.contains(&to) {
                    reached.push(to);
                }
            }
        }
        false
    }

    /// The event of this name, in any case.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<EventId> {
        let index = self.events.iter().position(|event| event.name.eq_ignore_ascii_case(name))?;
        u16::try_from(index).ok().map(EventId)
    }

    /// The name of an event.
    #[must_use]
    pub fn event_name(&self, event: EventId) -> &'static str {
        // An id is made by `event` alone, so that it has its event.
        self.events.get(usize::from(event.0)).map_or("", |event| event.name)
    }

    /// The syntax of a command as HELP and 501 show it: at least its name.
    #[must_use]
    pub fn syntax(&self, event: EventId) -> &'static str {
        self.events.get(usize::from(event.0)).map_or("", |event| event.syntax.unwrap_or(event.name))
    }

    /// The event that a verb means. The framer's two events are not commands, and neither is an
    /// event without a row.
    #[must_use]
    pub fn command(&self, verb: &str) -> Option<EventId> {
        let is_framers =
            [VOCABULARY.content, VOCABULARY.end].iter().any(|name| verb.eq_ignore_ascii_case(name));
        let event = if is_framers { None } else { self.event(verb) };
        event.filter(|event| self.has_row(*event))
    }

    fn has_row(&self, event: EventId) -> bool {
        self.rows(event).next().is_some()
    }

    /// The cells of an event, whatever the state.
    fn rows(&self, event: EventId) -> impl Iterator<Item = &'static Transition> {
        let width = self.events.len().max(1);
        self.cells.iter().skip(usize::from(event.0)).step_by(width).flatten()
    }

    /// What an event brings about in the states that accept it.
    pub fn actions(&self, event: EventId) -> impl Iterator<Item = Action> {
        self.rows(event).filter(|cell| !cell.is_refusal()).map(|cell| cell.action)
    }

    /// Whether a verb means a command that some state accepts.
    #[must_use]
    pub fn accepts(&self, verb: &str) -> bool {
        self.command(verb).is_some_and(|event| self.actions(event).next().is_some())
    }

    /// The commands that some state accepts, in the order of their declaration.
    pub fn commands(&self) -> impl Iterator<Item = &'static Event> {
        self.events.iter().filter(|event| self.accepts(event.name))
    }

    /// Whether the definition has this keyword, in any case.
    #[must_use]
    pub fn has_keyword(&self, name: &str) -> bool {
        self.keywords.iter().any(|keyword| keyword.name.eq_ignore_ascii_case(name))
    }
}

/// The machine of the tests' own page, which stays what it is whatever becomes of the project's.
#[cfg(test)]
pub(crate) fn of_the_tests() -> &'static Machine {
    static MACHINE: std::sync::LazyLock<&Machine> = std::sync::LazyLock::new(|| {
        let source = include_str!("../../tests/smtp-states.def");
        let definition = autofsm::compile(source, Some(&VOCABULARY)).definition.unwrap();
        Machine::load("smtp-states.def", &definition).unwrap()
    });
    &MACHINE
}

/// Where a session is: a state, and the machine that it is a state of.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The table.
    machine: &'static Machine,
    /// The state in it.
    state: StateId,
}

impl Position {
    /// The start of a conversation.
    #[must_use]
    pub const fn initial(machine: &'static Machine) -> Self {
        let state = match machine.encrypted_at {
            None => StateId(0),
            Some(state) => state,
        };
        Self { machine, state }
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &'static Machine {
        self.machine
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> StateId {
        self.state
    }

    /// The state's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.machine.states.get(usize::from(self.state.0)).map_or("", |state| state.name)
    }

    /// The cell for an event. Looking moves nothing.
    #[must_use]
    pub fn look(&self, event: EventId) -> Option<&'static Transition> {
        let width = self.machine.events.len();
        let column = usize::from(event.0);
        if column >= width {
            return None;
        }
        self.machine.cells.get(usize::from(self.state.0) * width + column)?.as_ref()
    }

    /// The commands that are accepted here.
    pub fn accepted(&self) -> impl Iterator<Item = &'static Event> {
        let position = *self;
        self.machine.commands().filter(move |event| {
            let cell = position.machine.event(event.name).and_then(|event| position.look(event));
            cell.is_some_and(|cell| !cell.is_refusal())
        })
    }

    /// The keywords that EHLO's answer offers if EHLO leads here: those that stand for no command,
    /// and those whose command is accepted here.
    pub fn offered(&self) -> impl Iterator<Item = &'static str> {
        let position = *self;
        let is_accepted = move |event| position.look(event).is_some_and(|cell| !cell.is_refusal());
        let is_kept = move |keyword: &&Keyword| keyword.command.is_none_or(is_accepted);
        self.machine.keywords.iter().filter(is_kept).map(|keyword| keyword.name)
    }

    /// What EHLO offers a client that says it here; `None` if it is refused.
    #[must_use]
    pub fn offered_by_ehlo(&self) -> Option<Vec<&'static str>> {
        let cell = self.look(self.machine.event("EHLO")?)?;
        (!cell.is_refusal()).then(|| Self { state: cell.next, ..*self }.offered().collect())
    }

    /// Whether an event leads to the last state from here.
    #[must_use]
    pub fn leads_to_the_end(&self, event: EventId) -> bool {
        self.look(event).is_some_and(|cell| Self { state: cell.next, ..*self }.is_final())
    }

    /// Whether this is the last state: the server closes.
    #[must_use]
    pub fn is_final(&self) -> bool {
        usize::from(self.state.0) + 1 == self.machine.states.len()
    }
}

/// The protocol as `rust_fsm` sees it.
#[derive(Debug)]
pub struct Protocol;

impl StateMachineImpl for Protocol {
    type Input = EventId;
    type State = Position;
    type Output = &'static Transition;
    const INITIAL_STATE: Position = Position::initial(&BUILT);

    fn transition(position: &Position, event: &EventId) -> Option<Position> {
        position.look(*event).map(|cell| Position { state: cell.next, ..*position })
    }

    fn output(position: &Position, event: &EventId) -> Option<&'static Transition> {
        position.look(*event)
    }
}
