//! `postman fsm explain`: why a state treats an event as it does, and what a client sees of it.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Defines, End, FaultsText, File, Source, fault_place, known, print};
use crate::autofsm::{
    Cell, Definition, EventIndex, Marks, Move, Span, StateIndex, offers, place, same_name, suggest,
};
use crate::cli::shown::served;
use crate::dialogue::rehearse;
use crate::server::Now;
use crate::smtp::machine::Machine;
use crate::smtp::vocabulary::VOCABULARY;

const USAGE: &str = "postman fsm explain [OPTIONS] [FILE] [STATE] [EVENT]";

#[derive(Args)]
#[command(override_usage = USAGE)]
pub(in crate::cli) struct Explain {
    /// The definition (without one the built-in); then a state and an event, or only one of them.
    #[arg(num_args = 0.., value_name = "WORD")]
    words: Vec<OsString>,
    /// Check it as one for this server, even if no row has a reply.
    #[arg(long, conflicts_with = "foreign")]
    served: bool,
    /// Check it as one of another program's, even if a row has a reply.
    #[arg(long)]
    foreign: bool,
    /// Put the faults of this file into it.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    #[command(flatten)]
    defines: Defines,
}

/// What the answer is made of.
struct Question<'a> {
    source: &'a Source,
    definition: &'a Definition,
    /// The file of its faults, if they have one of their own.
    faults: Option<&'a FaultsText>,
    /// What its errors are about.
    marks: Marks<'a>,
    /// The machine, where a client can talk to it.
    machine: Option<&'static Machine>,
}

/// What is asked about.
#[derive(Clone, Copy)]
enum Subject {
    Cell(usize, usize),
    State(usize),
    Event(usize),
}

pub(super) fn explain(options: &Explain) -> Result<(), End> {
    let (path, words) = match options.words.as_slice() {
        [file, words @ ..] if is_file(file, words.len()) => (Some(PathBuf::from(file)), words),
        words => (None, words),
    };
    if words.is_empty() || words.len() > 2 {
        return Err(End::Error(format!("explain takes a state, an event, or both: {USAGE}")));
    }
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let file = File {
        path,
        served: options.served,
        foreign: options.foreign,
        faults: options.faults.clone(),
        defines: options.defines.clone(),
    };
    let known = known(&file)?;
    let (source, definition) = (&known.source, &known.definition);
    let (marks, machine) = (known.marks(), known.machine());
    let question = Question { source, definition, faults: known.faults.as_ref(), marks, machine };
    print(&match subject(definition, &words)? {
        Subject::Cell(state, event) => question.cell(state, event),
        Subject::State(state) => question.state(state),
        Subject::Event(event) => question.event(event),
    })?;
    known.verdict()
}

/// What `explain` says of these words, by a definition as a listener serves it.
///
/// # Errors
/// One line: no state or event is called so.
pub(in crate::cli) fn explain_served(now: &Now, words: &[&str]) -> Result<String, String> {
    let definition = served(now);
    let words: Vec<_> = words.iter().map(|word| Cow::Borrowed(*word)).collect();
    if words.is_empty() || words.len() > 2 {
        return Err("explain takes a state, an event, or both".to_owned());
    }
    let subject = subject(&definition, &words).map_err(|end| match end {
        End::Error(why) => why,
        End::Findings | End::Status(_) => "there is no such cell".to_owned(),
    })?;
    let source = Source { name: now.page.name.clone(), text: now.page.text.clone() };
    let faults = now.source.as_ref();
    let faults =
        faults.map(|text| FaultsText { name: "faults".to_owned(), source: text.to_string() });
    let question = Question {
        source: &source,
        definition: &definition,
        faults: faults.as_ref(),
        marks: Marks::of(&definition, &[]),
        machine: Some(now.machine),
    };
    Ok(match subject {
        Subject::Cell(state, event) => question.cell(state, event),
        Subject::State(state) => question.state(state),
        Subject::Event(event) => question.event(event),
    })
}

/// Whether the first word is a file: of three words it must be one; else it is if there is such a
/// file, or if it looks like a path.
fn is_file(word: &OsStr, others: usize) -> bool {
    let looks_like_one = || word.to_string_lossy().contains(['/', '.']);
    others >= 2 || looks_like_one() || Path::new(word).is_file()
}

/// The state and the event that the words name, in either order.
fn subject(definition: &Definition, words: &[Cow<'_, str>]) -> Result<Subject, End> {
    let state =
        |word: &str| definition.states.iter().position(|state| same_name(&state.name, word));
    let event =
        |word: &str| definition.events.iter().position(|event| same_name(&event.name, word));
    match words {
        [word] => {
            let known = || definition.states.iter().map(|state| &*state.name);
            let events = || definition.events.iter().map(|event| &*event.name);
            let found = state(word).map(Subject::State).or_else(|| event(word).map(Subject::Event));
            found.ok_or_else(|| {
                let hint = suggest(word, known().chain(events()));
                let hint = hint.unwrap_or_else(|| {
                    format!("the states are {}", known().collect::<Vec<_>>().join(", "))
                });
                End::Error(format!("no state or event is called `{}`; {hint}", word.escape_debug()))
            })
        }
        [first, second, ..] => {
            let (of_state, of_event) = match (state(first), event(second)) {
                // They changed places.
                (None, _) | (_, None) if state(second).is_some() && event(first).is_some() => {
                    (second, first)
                }
                // One of them did, and the other is misspelt.
                (None, None) if state(second).is_some() || event(first).is_some() => {
                    (second, first)
                }
                _ => (first, second),
            };
            let state = number(
                "state",
                of_state,
                definition.states.iter().map(|state| state.name.as_str()),
            )?;
            let event = number(
                "event",
                of_event,
                definition.events.iter().map(|event| event.name.as_str()),
            )?;
            Ok(Subject::Cell(state, event))
        }
        [] => Err(End::Error(USAGE.to_owned())),
    }
}

fn number<'a>(
    kind: &str,
    wanted: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<usize, End> {
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

    /// Why a state treats an event as it does.
    fn cell(&self, state: usize, event: usize) -> String {
        let mut text = format!("{} in {}: ", self.event_name(event), self.state_name(state));
        let (row, overridden) = if let Some(cell) = self.definition.cell(state, event) {
            text += &self.does(state, cell);
            text += &self.offers(cell);
            text += "\n\nthe row that decides it:\n";
            (Some(cell.row), cell.overridden.as_slice())
        } else {
            text += &self.refuses(state, event);
            match self.taken_back(state, event) {
                Some((row, overridden)) => {
                    text += "\nthe row that takes it back:\n";
                    (Some(row), overridden)
                }
                None => (None, &[][..]),
            }
        };
        text.extend(row.map(|row| self.row(row)));
        text += &self.errors([(state, event)].into_iter());
        text += &self.faults(|here| here == (state, event));
        if !overridden.is_empty() {
            text += "\nwhat it overrides, the last first:\n";
            text.extend(overridden.iter().map(|span| self.row(*span)));
        }
        text + &self.dialogue(state, Some(event))
    }

    /// The errors that are about these cells, each once, with its place.
    fn errors(&self, cells: impl Iterator<Item = (usize, usize)>) -> String {
        let mut lines: Vec<String> = Vec::new();
        for error in cells.flat_map(|(state, event)| self.marks.errors_of(state, event)) {
            let (line, column) = place(&self.source.text, error.span.start);
            let run = if error.run.moves.is_empty() { "" } else { "on the run of " };
            let line = format!("{run}{}:{line}:{column}: {}", self.source.name, error.message);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let title = if lines.is_empty() { "" } else { "\nwhat is wrong here:\n" };
        lines.iter().fold(title.to_owned(), |text, line| text + "  ! " + line + "\n")
    }

    /// The faults that may fire in some of these cells, each with its place.
    fn faults(&self, is_asked: impl Fn((usize, usize)) -> bool) -> String {
        let mut text = String::new();
        for fault in &self.definition.faults {
            if !fault.cells.iter().any(|step| is_asked((step.state.0, step.event.0))) {
                continue;
            }
            let at = fault_place(self.faults, &self.source.name, &self.source.text, fault);
            let (says, run) = (fault.shown(), fault.dialogue(self.definition));
            let _ = writeln!(text, "  ! {at}: {says}: fires at {run}{}", fault.condition());
        }
        if text.is_empty() { text } else { format!("\nfaults that may fire here:\n{text}") }
    }

    /// A name, with a mark if an error is about the cell.
    fn marked(&self, name: &str, state: usize, event: usize) -> String {
        let mark = if self.marks.has(state, event) { " !" } else { "" };
        format!("{name}{mark}")
    }

    /// What a client is offered in the answer, and which keywords it is not offered there.
    fn offers(&self, cell: &Cell) -> String {
        let offered = self.machine.and_then(|_| offers(self.definition, cell, &VOCABULARY));
        let Some(offered) = offered.filter(|_| !cell.is_refusal()) else { return String::new() };
        let mut text = format!("\noffers {}", offered.join(" "));
        let names =
            self.definition.keywords.iter().map(|keyword| keyword.name.to_ascii_uppercase());
        let rest: Vec<_> = names.filter(|name| !offered.contains(name)).collect();
        if !rest.is_empty() {
            let next = self.state_name(cell.next);
            let _ = write!(text, "; not {}, which {next} does not accept", rest.join(", "));
        }
        text
    }

    /// The row that takes a cell back, and what it overrides.
    fn taken_back(&self, state: usize, event: usize) -> Option<(Span, &[Span])> {
        let (row, overridden) = self.definition.taken_back.get(&(state, event))?.split_first()?;
        Some((*row, overridden))
    }

    /// What a state accepts, and what happens then.
    fn state(&self, state: usize) -> String {
        let about = self.definition.states.get(state).map_or("", |state| state.doc.as_str());
        let about = if about.is_empty() { String::new() } else { format!(" ({about})") };
        let mut text = format!("{}{about}:\n", self.state_name(state));
        let events = 0..self.definition.events.len();
        let (rows, refused): (Vec<_>, Vec<_>) =
            events.partition(|event| self.definition.cell(state, *event).is_some());
        text += &self.list(rows.iter().map(|event| (self.event_name(*event), state, *event)));
        let name = |event| self.marked(self.event_name(event), state, event);
        let refused: Vec<_> = refused.into_iter().map(name).collect();
        if !refused.is_empty() {
            let _ = writeln!(text, "no row: {}", refused.join(", "));
        }
        text += &self.errors((0..self.definition.events.len()).map(|event| (state, event)));
        text += &self.faults(|(other, _)| other == state);
        text + &self.dialogue(state, None)
    }

    /// Where an event is accepted, and what happens then.
    fn event(&self, event: usize) -> String {
        let found = self.definition.events.get(event);
        let (about, syntax) =
            found.map_or(("", None), |event| (event.doc.as_str(), event.display.as_deref()));
        let about = syntax.map_or(about, |syntax| if about.is_empty() { syntax } else { about });
        let about = if about.is_empty() { String::new() } else { format!(" ({about})") };
        let mut text = format!("{}{about}:\n", self.event_name(event));
        let states = 0..self.definition.states.len();
        let (rows, refused): (Vec<_>, Vec<_>) =
            states.partition(|state| self.definition.cell(*state, event).is_some());
        text += &self.list(rows.iter().map(|state| (self.state_name(*state), *state, event)));
        let name = |state| self.marked(self.state_name(state), state, event);
        let refused: Vec<_> = refused.into_iter().map(name).collect();
        if !refused.is_empty() {
            let _ = writeln!(text, "no row: {}", refused.join(", "));
        }
        text += &self.errors((0..self.definition.states.len()).map(|state| (state, event)));
        text + &self.faults(|(_, other)| other == event)
    }

    /// Cells, a line each: its title, what it does, and the place of its row.
    fn list<'t>(&self, cells: impl Iterator<Item = (&'t str, usize, usize)>) -> String {
        let lines: Vec<_> = cells
            .filter_map(|(title, state, event)| {
                let cell = self.definition.cell(state, event)?;
                let (line, column) = place(&self.source.text, cell.row.start);
                let row = format!("{}:{line}:{column}", self.source.name);
                Some((title, self.does(state, cell), self.marked(&row, state, event)))
            })
            .collect();
        let title_width = lines.iter().map(|(title, ..)| title.len()).max().unwrap_or(0);
        let does_width = lines.iter().map(|(_, does, _)| does.len()).max().unwrap_or(0);
        lines.iter().fold(String::new(), |text, (title, does, row)| {
            text + &format!("  {title:<title_width$}  {does:<does_width$}  {row}\n")
        })
    }

    fn does(&self, state: usize, cell: &Cell) -> String {
        let action = cell.action.as_deref().unwrap_or("no action");
        let reply =
            cell.reply.as_ref().map_or(String::new(), |reply| format!(", reply {}", reply.code));
        let does = match &cell.reply {
            Some(reply) if cell.is_refusal() => format!("refused with {}", reply.code),
            _ => format!("{action}{reply}"),
        };
        let next = if cell.next == state {
            "stays".to_owned()
        } else {
            format!("then {}", self.state_name(cell.next))
        };
        format!("{does}, {next}")
    }

    /// Why there is no cell, and what has one.
    fn refuses(&self, state: usize, event: usize) -> String {
        if state + 1 == self.definition.states.len() {
            return "nothing happens after the last state".to_owned();
        }
        let accepted: Vec<_> = (0..self.definition.events.len())
            .filter(|event| self.definition.accepted(state, *event).is_some())
            .map(|event| self.event_name(event))
            .collect();
        let accepted = if accepted.is_empty() { "nothing".to_owned() } else { accepted.join(", ") };
        let reads = |name: &str| {
            let event =
                self.definition.events.iter().position(|event| same_name(&event.name, name));
            event.is_some_and(|event| self.definition.cell(state, event).is_some())
        };
        let number = event;
        let event = self.event_name(event);
        let is_framers = same_name(event, VOCABULARY.content) || same_name(event, VOCABULARY.end);
        let why = match self.machine {
            Some(_) if reads(VOCABULARY.content) => "never heard: all that comes there is content",
            Some(_) if is_framers => "no row, so none comes there: a line is a command",
            _ if self.taken_back(state, number).is_some() => {
                "taken back, so it is refused and nothing changes"
            }
            _ => "no row, so it is refused and nothing changes",
        };
        format!("{why}\n{} accepts {accepted}\n", self.state_name(state))
    }

    /// A row with its place, as it is in the source, line by line.
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

    /// The shortest dialogue that leads to the state, and there gives the event: as the session
    /// holds it if it can, else as events and states.
    fn dialogue(&self, state: usize, event: Option<usize>) -> String {
        let Some(mut run) = self.definition.shortest_run(|known| known.0 == state) else {
            return format!("\nno dialogue leads to {}\n", self.state_name(state));
        };
        if run.moves.is_empty() && event.is_none() {
            return String::new();
        }
        let mut text = String::from("\nthe shortest dialogue:\n");
        let asked = event.map(|event| Move { state: StateIndex(state), event: EventIndex(event) });
        let Some(machine) = self.machine else {
            run.moves.extend(asked);
            return run
                .dialogue(self.definition)
                .iter()
                .fold(text, |text, line| text + &format!("   {line}\n"));
        };
        // After the last state nothing is heard.
        run.moves.extend(asked.filter(|asked| asked.state.0 + 1 < self.definition.states.len()));
        let events: Vec<_> = run.moves.iter().map(|step| self.event_name(step.event.0)).collect();
        let mut state = "";
        for exchange in rehearse(machine, &events) {
            if !exchange.line.is_empty() {
                let _ = writeln!(text, "   C: {}", exchange.line);
            }
            for answer in exchange.answers() {
                let _ = writeln!(text, "   {answer}");
            }
            state = exchange.state;
        }
        let _ = writeln!(text, "   = {state}");
        text
    }
}
