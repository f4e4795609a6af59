//! `postman fsm try`: a session at the prompt, by the code that the server runs.
//!
//! Each line goes to a session without a socket and a disk; what it answers is shown, with the
//! row of the definition that fired, the state before and after, and, when it has changed, what is
//! accepted now. To undo is to play all lines but the last again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::prompt::Prompt;
use super::{Defines, End, print};
use crate::autofsm::{self, Cell, milliseconds, same_name};
use crate::cli::states::States;
use crate::config::Config;
use crate::dialogue::{Dialogue, Ending, Peer, Play as _};
use crate::smtp::machine::{EventId, Position, Transition};
use crate::smtp::session::Input;

#[derive(Args)]
pub(in crate::cli) struct Try {
    /// The definition; without one the built-in.
    #[arg(value_name = "FILE")]
    states: Option<PathBuf>,
    /// A key of the configuration, as in `users: Listed(["joe"])`; may be given more than once.
    #[arg(long, value_name = "KEY: VALUE", value_parser = key)]
    set: Vec<(String, String)>,
    /// Put the faults of this file into it.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    #[command(flatten)]
    defines: Defines,
}

/// The commands of the prompt, with what they do.
pub(super) const WORDS: &[(&str, &str)] = &[
    (":undo", "take the last line back"),
    (":encrypted", "end the handshake that follows STARTTLS, without cryptography"),
    (":later TIME", "let time pass for the counts of faults: `:later 61s`"),
    (":states", "list the states, and what each accepts"),
    (":save FILE", "write this session as a dialogue, which `fsm play` replays and checks"),
    (":help", "this"),
    (":quit", "leave, as the end of input does"),
];

fn key(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once(':').ok_or("expected `key: value`")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// What differs from a dialogue's configuration: a prompt is for exploring, so that each user has a
/// mailbox and may send anywhere.
const KEYS: &[(&str, &str)] = &[("users", "Any"), ("relay_from", "[\"127.0.0.0/8\"]")];

/// What the client did.
enum Said {
    Line(String),
    /// Its part of the handshake.
    Encrypted,
    /// Nothing, for a time.
    Later(String),
}

struct Trial {
    states: States,
    config: Config,
    /// The keys of the configuration, as lines of a dialogue.
    keys: String,
    peer: Peer,
    said: Vec<Said>,
    /// The session so far as a dialogue.
    dialogue: String,
    /// What is accepted now, as it was shown last: the same again would drown the answer.
    shown: String,
}

pub(super) fn try_it(options: &Try) -> Result<(), End> {
    let (states, faults) = (options.states.as_deref(), options.faults.as_deref());
    let states = States::load_to_try(states, faults, &options.defines.names())?;
    // A dialogue's small limits are for tests; the prompt shows the size that the server offers.
    let size =
        ("message_bytes_max".to_owned(), Config::default().limits.message_bytes_max.to_string());
    let keys = KEYS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let keys: BTreeMap<String, String> =
        keys.chain([size]).chain(options.set.iter().cloned()).collect();
    let keys = keys
        .into_iter()
        .fold(String::new(), |text, (key, value)| text + &format!("! {key}: {value}\n"));
    let config = Dialogue::parse(&format!("{keys}S: 220\n")).and_then(|dialogue| dialogue.config());
    let config = config.map_err(|failure| format!("cannot use these keys: {}", failure.got))?;
    let peer = states.peer(&config);
    let mut trial = Trial {
        states,
        config,
        keys,
        peer,
        said: Vec::new(),
        dialogue: String::new(),
        shown: String::new(),
    };
    let mut begin = format!(
        "{}: type what a client would; :help lists the other commands\n",
        trial.states.about()
    );
    if !trial.states.is_accepted() {
        begin += "   it has errors, so that no server runs it; a `!` tells where one is met\n";
    }
    print(&(begin + &trial.restart()))?;
    if io::stdin().is_terminal() {
        at_prompt(&mut trial)?;
    } else {
        from_pipe(&mut trial)?;
    }
    if trial.states.is_accepted() { Ok(()) } else { Err(End::Findings) }
}

fn at_prompt(trial: &mut Trial) -> Result<(), End> {
    let mut prompt = Prompt::open()?;
    while let Some(line) = prompt.read(trial.peer.position(), trial.peer.is_open())? {
        let Some(text) = trial.line(&line) else { break };
        print(&text)?;
    }
    Ok(())
}

/// The same without a terminal: each line is shown as it is taken.
fn from_pipe(trial: &mut Trial) -> Result<(), End> {
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("cannot read the input: {error}"))?;
        let line = line.strip_suffix('\r').unwrap_or(&line);
        let mark = if line.starts_with(':') && !line.starts_with("::") { "" } else { "C: " };
        print(&format!("{mark}{line}\n"))?;
        let Some(text) = trial.line(line) else { break };
        print(&text)?;
    }
    Ok(())
}

impl Trial {
    /// Takes a line that was typed, and returns what to show; `None` at the end.
    fn line(&mut self, line: &str) -> Option<String> {
        let Some(word) = line.strip_prefix(':').filter(|word| !word.starts_with(':')) else {
            let line =
                if line.starts_with("::") { line.get(1..).unwrap_or_default() } else { line };
            return Some(if self.peer.is_open() { self.client(line) } else { self.over() });
        };
        let (word, argument) = word.split_once(' ').unwrap_or((word, ""));
        Some(match (word, argument.trim()) {
            ("quit" | "q", "") => return None,
            ("undo" | "u", "") => self.undo(),
            ("encrypted", "") if self.peer.shakes_hands() => self.encrypted(),
            ("encrypted", "") => {
                "   nothing to encrypt: the server has not answered 220 to STARTTLS\n".to_owned()
            }
            ("later", time) => self.later(time),
            ("states", "") => self.list(),
            ("save", "") => "   :save needs a file's name\n".to_owned(),
            ("save", name) => self.save(name),
            ("help", _) => help(),
            _ => format!("   there is no `:{}`; the commands are\n{}", word.escape_debug(), help()),
        })
    }

    fn over(&self) -> String {
        let text = if self.peer.is_open() {
            ""
        } else {
            "   the server has closed; :undo goes back, :quit leaves\n"
        };
        text.to_owned()
    }

    /// A new session, up to its greeting.
    fn restart(&mut self) -> String {
        self.peer = self.states.peer(&self.config);
        self.dialogue =
            format!("# A session at `postman fsm try`, by {}.\n{}", self.states.name, self.keys);
        let said = self.take_replies() + &self.faults();
        self.shown.clear();
        let now = self.now();
        format!("{said}   {}\n{now}", self.peer.position().name())
    }

    /// Takes the replies. A dialogue has the first line of each.
    fn take_replies(&mut self) -> String {
        let mut text = String::new();
        while let Some(reply) = self.peer.take_reply() {
            for (index, line) in reply.lines().enumerate() {
                text += &format!("S: {line}\n");
                if index == 0 {
                    self.dialogue += &format!("S: {line}\n");
                }
            }
        }
        text
    }

    /// The faults that fired, how long they let the client wait, and whether they ended the
    /// connection.
    fn faults(&mut self) -> String {
        let mut text = String::new();
        let waited = self.peer.take_waited();
        let ended = match self.peer.ending() {
            Some(Ending::Reset) => "* reset\n",
            Some(Ending::Hang) => "* hangs\n",
            None => "",
        };
        if waited > 0 {
            text += &format!("* waited {waited}ms\n");
        }
        text += ended;
        self.dialogue += &text;
        for says in self.peer.take_fired() {
            let faults = &self.states.definition.faults;
            let place = faults.iter().find(|fault| fault.says == says);
            let place = place.map_or(String::new(), |fault| self.states.fault_place(fault));
            text += &format!("   ! {place}: {}\n", says.escape_debug());
        }
        text
    }

    /// A line of the client's.
    fn client(&mut self, line: &str) -> String {
        self.said.push(Said::Line(line.to_owned()));
        let before = self.peer.position();
        let gap = if line.is_empty() { "" } else { " " };
        self.dialogue += &format!("C:{gap}{line}\n");
        self.peer.give(Input::Octets(format!("{line}\r\n").as_bytes()));
        let said = self.take_replies() + &self.faults();
        let after = self.peer.position();
        let steps = self.peer.take_steps();
        if said.is_empty() && steps.is_empty() {
            // More content: there is nothing to tell.
            return String::new();
        }
        let mut text = said;
        for step in &steps {
            let cell = self.cell(step.from, step.event);
            text += &match cell.is_some_and(Cell::is_refusal) {
                true if step.from == step.to => format!("   refused: still {}\n", step.from),
                true => format!("   refused: {} --{}--> {}\n", step.from, step.event, step.to),
                false => {
                    format!("   {} --{}--> {}   {}\n", step.from, step.event, step.to, step.action)
                }
            };
            text += &cell.map_or(String::new(), |cell| self.row(cell));
            text += &self.errors(step.from, step.event);
        }
        if let Some(event) = self.peer.contradiction() {
            text += &self.contradicted(after, event);
        } else if steps.is_empty() {
            text += &format!("   refused: still {}\n", before.name());
            text += &self.errors_of_refusal(before, line);
        }
        if !self.peer.reads_content() || before.name() != after.name() {
            self.dialogue += &format!("= {}\n", after.name());
            text += &self.now();
        }
        text + &self.over()
    }

    /// The handshake, without cryptography.
    fn encrypted(&mut self) -> String {
        self.said.push(Said::Encrypted);
        self.dialogue += "* encrypted\n";
        self.peer.give(Input::Encrypted);
        format!("* encrypted\n{}", self.now())
    }

    /// Time passes.
    fn later(&mut self, time: &str) -> String {
        let Some(milliseconds) = milliseconds(time) else {
            return "   :later needs a time, such as 200ms, 61s, 2min or 1h\n".to_owned();
        };
        self.said.push(Said::Later(time.to_owned()));
        self.dialogue += &format!("* later {time}\n");
        self.peer.pass(milliseconds);
        format!("* later {time}\n")
    }

    /// The numbers of a state and an event.
    fn numbers(&self, state: &str, event: &str) -> Option<(usize, usize)> {
        let definition = &self.states.definition;
        let state = definition.states.iter().position(|known| same_name(&known.name, state))?;
        let event = definition.events.iter().position(|known| same_name(&known.name, event))?;
        Some((state, event))
    }

    fn cell(&self, state: &str, event: &str) -> Option<&Cell> {
        let (state, event) = self.numbers(state, event)?;
        self.states.definition.cell(state, event)
    }

    /// The errors of the definition that are about what a state does with an event.
    fn errors(&self, state: &str, event: &str) -> String {
        let Some((state, event)) = self.numbers(state, event) else { return String::new() };
        let marks = self.states.marks();
        let mut text = String::new();
        for error in marks.errors_of(state, event) {
            let (line, column) = autofsm::place(&self.states.source, error.span.start);
            let run = if error.run.moves.is_empty() { "" } else { "on the run of " };
            text += &format!("   ! {run}{}:{line}:{column}: {}\n", self.states.name, error.message);
        }
        text
    }

    /// Those about a command that has no row, though a rule wants one.
    fn errors_of_refusal(&self, position: Position, line: &str) -> String {
        let verb = line.split_whitespace().next().unwrap_or_default();
        if position.machine().event(verb).and_then(|event| position.look(event)).is_some() {
            return String::new();
        }
        self.errors(position.name(), verb)
    }

    /// The session has ended, since what a cell says cannot be done.
    fn contradicted(&self, position: Position, event: EventId) -> String {
        let (state, event_name) = (position.name(), position.machine().event_name(event));
        let why = match position.look(event) {
            Some(cell) => {
                format!("`{}` cannot be done at {event_name} in {state}", cell.action.name())
            }
            None => format!("{event_name} has no row in {state}"),
        };
        format!("   the session cannot go on: {why}\n") + &self.errors(state, event_name)
    }

    /// The row that decides a cell: its place and its text.
    fn row(&self, cell: &Cell) -> String {
        let (states, source) = (&self.states, self.states.source.as_str());
        let (line, column) = autofsm::place(source, cell.row.start);
        let text = source.get(cell.row.start..cell.row.end).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("   {}:{line}:{column}: {text}\n", states.name)
    }

    /// What is accepted now, if that has changed.
    fn now(&mut self) -> String {
        if !self.peer.is_open() {
            return String::new();
        }
        let now = if self.peer.shakes_hands() {
            "   now: the handshake; `:encrypted` ends it\n".to_owned()
        } else if self.peer.reads_content() {
            "   now: content, up to a line that is a single dot\n".to_owned()
        } else {
            format!("   now: {}\n", accepted(self.peer.position()))
        };
        if now == self.shown {
            return String::new();
        }
        self.shown.clone_from(&now);
        now
    }

    fn undo(&mut self) -> String {
        if self.said.pop().is_none() {
            return "   there is nothing to undo\n".to_owned();
        }
        let said = std::mem::take(&mut self.said);
        self.restart();
        for said in said {
            drop(match said {
                Said::Line(line) => self.client(&line),
                Said::Encrypted => self.encrypted(),
                Said::Later(time) => self.later(&time),
            });
        }
        let last = self.said.last().map_or(String::new(), |said| match said {
            Said::Line(line) => format!(", after `{}`", line.escape_debug()),
            Said::Encrypted => ", after the handshake".to_owned(),
            Said::Later(time) => format!(", {time} later"),
        });
        self.shown.clear();
        let now = self.now();
        format!("   back in {}{last}\n{now}", self.peer.position().name())
    }

    fn list(&self) -> String {
        let machine = self.states.machine;
        let here = self.peer.position().name();
        let width = machine.states.iter().map(|state| state.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (index, state) in machine.states.iter().enumerate() {
            let mark = if state.name == here { '*' } else { ' ' };
            let row = machine.cells.iter().skip(index * machine.events.len()).zip(machine.events);
            let accepted = |cell: &Option<Transition>| cell.is_some_and(|cell| !cell.is_refusal());
            let accepts: Vec<_> =
                row.filter(|(cell, _)| accepted(cell)).map(|(_, event)| event.name).collect();
            let doc =
                if state.doc.is_empty() { String::new() } else { format!("({}) ", state.doc) };
            text +=
                format!(" {mark} {:<width$}  {doc}{}", state.name, accepts.join(" ")).trim_end();
            text.push('\n');
        }
        text
    }

    fn save(&self, name: &str) -> String {
        let file = OpenOptions::new().write(true).create_new(true).open(name);
        match file.and_then(|mut file| file.write_all(self.dialogue.as_bytes())) {
            Ok(()) => format!("   saved; `postman fsm play {name}` replays and checks it\n"),
            Err(error) => format!("   cannot save {name}: {error}\n"),
        }
    }
}

fn accepted(position: Position) -> String {
    let names: Vec<_> = position.accepted().map(|event| event.name).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

fn help() -> String {
    let mut text = String::new();
    for (word, what) in WORDS {
        text += &format!("   {word:<12} {what}\n");
    }
    text + "   Everything else goes to the server; `::x` sends `:x`.\n"
}
