//! `postman fsm explain`: why a state treats an event as it does, and what a client sees of it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Checked, End, File, Source, checked, print};
use crate::autofsm::{Cell, Definition, Span, place, same_name, suggest};
use crate::smtp::machine::Machine;
use crate::smtp::rehearsal::rehearse;
use crate::smtp::vocabulary::VOCABULARY;

const USAGE: &str = "postman fsm explain [OPTIONS] [FILE] <STATE> <EVENT>";

#[derive(Args)]
#[command(override_usage = USAGE)]
pub(in crate::cli) struct Explain {
    /// The definition (without one the built-in), a state and an event.
    #[arg(num_args = 0.., value_name = "WORD")]
    words: Vec<OsString>,
    /// Check it as one for this server, even if no row has a reply.
    #[arg(long, conflicts_with = "foreign")]
    served: bool,
    /// Check it as one of another program's, even if a row has a reply.
    #[arg(long)]
    foreign: bool,
}

/// A question about one cell, and all that its answer is made of.
struct Question<'a> {
    source: &'a Source,
    definition: &'a Definition,
    /// The machine, where a client can talk to it.
    machine: Option<&'static Machine>,
    state: usize,
    event: usize,
}

pub(super) fn explain(options: &Explain) -> Result<(), End> {
    let (path, state, event) = match options.words.as_slice() {
        [path, state, event] => (Some(PathBuf::from(path)), state, event),
        [state, event] => (None, state, event),
        words => return Err(End::Error(format!("explain takes two words or three, not {}: {USAGE}", words.len()))),
    };
    let file = File { path, served: options.served, foreign: options.foreign };
    let checked = checked(&file)?;
    let machine = checked.machine();
    let Checked { source, definition, .. } = &checked;
    let state = number("state", &state.to_string_lossy(), definition.states.iter().map(|state| state.name.as_str()))?;
    let event = number("event", &event.to_string_lossy(), definition.events.iter().map(|event| event.name.as_str()))?;
    print(&Question { source, definition, machine, state, event }.answer())
}

fn number<'a>(kind: &str, wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<usize, End> {
    known.clone().position(|name| same_name(name, wanted)).ok_or_else(|| {
        let hint = suggest(wanted, known.clone())
            .unwrap_or_else(|| format!("the {kind}s are {}", known.collect::<Vec<_>>().join(", ")));
        End::Error(format!("no {kind} is called `{}`; {hint}", wanted.escape_debug()))
    })
}

impl Question<'_> {
    fn state_name(&self, state: usize) -> &str {
        self.definition.states.get(state).map_or("", |state| state.name.as_str())
    }

    fn event_name(&self, event: usize) -> &str {
        self.definition.events.get(event).map_or("", |event| event.name.as_str())
    }

    fn answer(&self) -> String {
        let (state, event) = (self.state_name(self.state), self.event_name(self.event));
        let mut text = format!("{event} in {state}: ");
        match self.definition.cell(self.state, self.event) {
            Some(cell) => {
                text += &self.does(cell);
                text += "\n\nthe row that decides it:\n";
                text += &self.row(cell.block);
                if !cell.overridden.is_empty() {
                    text += "\nwhat it overrides, the last first:\n";
                    cell.overridden.iter().for_each(|span| text += &self.row(*span));
                }
            }
            None => text += &self.refuses(),
        }
        text + &self.dialogue()
    }

    fn does(&self, cell: &Cell) -> String {
        let action = cell.action.as_deref().unwrap_or("no action");
        let reply = cell.reply.as_ref().map_or(String::new(), |reply| format!(", reply {}", reply.code));
        let next =
            if cell.next == self.state { "stays".to_owned() } else { format!("then {}", self.state_name(cell.next)) };
        format!("{action}{reply}, {next}")
    }

    /// Why there is no cell, and what has one.
    fn refuses(&self) -> String {
        if self.state + 1 == self.definition.states.len() {
            return "nothing happens after the last state".to_owned();
        }
        let accepted: Vec<_> = (0..self.definition.events.len())
            .filter(|event| self.definition.cell(self.state, *event).is_some())
            .map(|event| self.event_name(event))
            .collect();
        let accepted = if accepted.is_empty() { "nothing".to_owned() } else { accepted.join(", ") };
        let state = self.state_name(self.state);
        let reads = |name: &str| {
            let event = self.definition.events.iter().position(|event| same_name(&event.name, name));
            event.is_some_and(|event| self.definition.cell(self.state, event).is_some())
        };
        let event = self.event_name(self.event);
        let is_framers = same_name(event, VOCABULARY.content) || same_name(event, VOCABULARY.end);
        let why = match self.machine {
            Some(_) if reads(VOCABULARY.content) => "never heard: all that comes there is content",
            Some(_) if is_framers => "no row, so none comes there: a line is a command",
            _ => "no row, so it is refused and nothing changes",
        };
        format!("{why}\n{state} accepts {accepted}\n")
    }

    /// A row with its place, as it stands in the source, a line a line.
    fn row(&self, span: Span) -> String {
        /// A longer row is cut, in lines.
        const LINES_MAX: usize = 20;
        let source = &self.source.text;
        let ((first, column), (last, _)) = (place(source, span.start), place(source, span.end));
        let mut text = format!("{}:{first}:{column}\n", self.source.name);
        let width = last.to_string().len();
        let lines = source.lines().enumerate().skip(first - 1).take(last + 1 - first);
        for (number, line) in lines.take(LINES_MAX) {
            let _ = writeln!(text, "  {:>width$} | {}", number + 1, line.trim_end());
        }
        text
    }

    /// The shortest dialogue that comes to the state and gives the event: as the session holds it
    /// where it can, else as events and states.
    fn dialogue(&self) -> String {
        let Some(way) = self.definition.way_to(self.state) else {
            return format!("\nno dialogue leads to {}\n", self.state_name(self.state));
        };
        let mut text = String::from("\nthe shortest dialogue:\n");
        let Some(machine) = self.machine else {
            for (state, event) in way.into_iter().chain([(self.state, self.event)]) {
                let next = self.definition.cell(state, event).map_or("refused", |cell| self.state_name(cell.next));
                let _ = writeln!(text, "   C: {:<7} {} -> {next}", self.event_name(event), self.state_name(state));
            }
            return text;
        };
        let mut events: Vec<_> = way.into_iter().map(|(_, event)| self.event_name(event)).collect();
        if self.state + 1 < self.definition.states.len() {
            events.push(self.event_name(self.event));
        }
        let mut state = "";
        for exchange in rehearse(machine, &events) {
            if !exchange.line.is_empty() {
                let _ = writeln!(text, "   C: {}", exchange.line);
            }
            for reply in &exchange.replies {
                let _ = writeln!(text, "   S: {reply}");
            }
            state = exchange.state;
        }
        let _ = writeln!(text, "   = {state}");
        text
    }
}
