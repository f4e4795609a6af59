//! `postman fsm`: look at a definition, the built-in one or any of AutoFSM's. A file a tool.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::states::{BUILT_SOURCE, FaultsText, fault_place};
use super::{End, print};
use crate::autofsm::{self, Definition, Diagnostic, Marks};
use crate::smtp::faults::RULES;
use crate::smtp::machine::{BUILT, Machine};
use crate::smtp::vocabulary::VOCABULARY;

mod against;
mod check;
pub(super) mod diff;
pub(super) mod explain;
pub(super) mod file;
mod host;
mod interrupt;
mod learn;
mod path;
mod picture;
mod play;
mod prompt;
mod test;
mod try_it;

#[derive(Subcommand)]
pub(super) enum Fsm {
    /// Print the table: what follows each event in each state.
    Table(picture::Table),
    /// Print a graph for Graphviz.
    Dot(File),
    /// Print a state diagram for Mermaid, as GitHub and GitLab show it.
    Mermaid(File),
    /// Print a picture; no other tool is needed.
    Svg(File),
    /// Say what is wrong with the definition.
    Check(check::Check),
    /// Say what a client could notice between two definitions: exit 0 nothing, 1 something.
    Diff(diff::Diff),
    /// Say which row decides what a state does with an event, and what a client sees of it.
    Explain(explain::Explain),
    /// Be the client: a session at the prompt, without a port and a disk.
    Try(try_it::Try),
    /// Replay dialogues, and check them: with a session in memory, or with a server.
    Play(play::Play),
    /// Put a server to the definition: exit 0 it passes, 1 it does not, 2 that is not known.
    Test(test::Test),
    /// Learn what a server does, and print it as a definition.
    Learn(learn::Learn),
}

#[derive(Args)]
pub(super) struct File {
    /// The definition; without one the built-in.
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
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

/// The names that a definition's `#ifdef` and `#ifndef` find defined.
#[derive(Args, Clone, Default)]
pub(super) struct Defines {
    /// Define a name for `#ifdef` and `#ifndef`, as `autogen -D` does. The build and `serve` define
    /// none. May be given more than once.
    #[arg(short = 'D', long = "define", value_name = "NAME[=VALUE]", value_parser = define)]
    names: Vec<String>,
}

impl Defines {
    pub(super) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// Checks the NAME of `-D NAME` or `-D NAME=VALUE`: an `#ifdef` could ask for it.
fn define(text: &str) -> Result<String, &'static str> {
    let name = text.split('=').next().unwrap_or_default();
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"_-^:".contains(&octet);
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(
            "expected NAME or NAME=VALUE, the name of letters, digits, `_`, `-`, `^` and `:`",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn run(command: &Fsm) -> Result<(), End> {
    match command {
        Fsm::Table(options) => picture::table(options),
        Fsm::Dot(file) => picture::dot(file),
        Fsm::Mermaid(file) => picture::mermaid(file),
        Fsm::Svg(file) => picture::svg(file),
        Fsm::Check(options) => check::check(options),
        Fsm::Diff(options) => diff::diff(options),
        Fsm::Explain(options) => explain::explain(options),
        Fsm::Try(options) => try_it::try_it(options),
        Fsm::Play(options) => play::play(options),
        Fsm::Test(options) => test::test(options),
        Fsm::Learn(options) => learn::learn(options),
    }
}

/// A definition that was looked at.
struct Found {
    source: Source,
    /// None if there is an error.
    definition: Option<Definition>,
    /// A definition with an error, if all its cells are known.
    refused: Option<Definition>,
    diagnostics: Vec<Diagnostic>,
    /// Whether it was checked as one to be served: by default one is that gives a reply anywhere.
    served: bool,
}

/// A definition that has no errors.
struct Checked {
    source: Source,
    definition: Definition,
    served: bool,
    faults: Option<FaultsText>,
}

impl Checked {
    /// The machine, where a client can talk to it.
    fn machine(&self) -> Option<&'static Machine> {
        if self.served { Machine::load(&self.source.name, &self.definition) } else { None }
    }
}

/// A definition all whose cells are known, with its findings: errors among them, or not.
struct Known {
    source: Source,
    definition: Definition,
    diagnostics: Vec<Diagnostic>,
    served: bool,
    is_accepted: bool,
    /// The file of its faults, if they have one of their own.
    faults: Option<FaultsText>,
}

impl Known {
    /// What the errors are about.
    fn marks(&self) -> Marks<'_> {
        Marks::of(&self.definition, &self.diagnostics)
    }

    /// The machine, where a client can talk to it: one with errors is never served.
    fn machine(&self) -> Option<&'static Machine> {
        let is_served = self.served && self.is_accepted;
        if is_served { Machine::load(&self.source.name, &self.definition) } else { None }
    }

    /// How the tool that has shown it ends.
    fn verdict(&self) -> Result<(), End> {
        if self.is_accepted { Ok(()) } else { Err(End::Findings) }
    }
}

/// Reads and compiles a definition. It is read once: it may be a pipe.
fn look(file: &File) -> Result<Found, End> {
    let source = source(file.path.as_deref())?;
    let defines = file.defines.names();
    let mut found = autofsm::compile_with(&source.text, None, &defines);
    let is_ours = |definition: &Definition| definition.accepts_by(&VOCABULARY);
    let is_mute =
        !found.answers && found.definition.as_ref().or(found.refused.as_ref()).is_some_and(is_ours);
    let served = file.served || ((found.answers || is_mute) && !file.foreign);
    if served {
        found = autofsm::compile_with(&source.text, Some(&RULES), &defines);
        if is_mute && let Some(first) = found.diagnostics.first_mut() {
            let help = first.help.take().unwrap_or_default();
            first.help =
                Some(format!("{help}; if it is for another program, check it with `--foreign`"));
        }
    }
    let autofsm::Compilation { definition, refused, diagnostics, .. } = found;
    Ok(Found { source, definition, refused, diagnostics, served })
}

/// Compiles a definition to show it, and says what is wrong with it. Without all its cells there is
/// nothing to show.
fn known(file: &File) -> Result<Known, End> {
    let Found { source, definition, refused, diagnostics, served } = look(file)?;
    let said = autofsm::render(&diagnostics, &source.name, &source.text);
    let _ = io::stderr().write_all(said.as_bytes());
    let is_accepted = definition.is_some();
    let mut definition = definition.or(refused).ok_or(End::Findings)?;
    let faults = file.faults.as_deref();
    if faults.is_some() && !served {
        return Err(End::Error("only a definition for this server has faults".to_owned()));
    }
    let faults = faults.map(|path| FaultsText::load(path, &mut definition)).transpose()?;
    Ok(Known { source, definition, diagnostics, served, is_accepted, faults })
}

/// Compiles a definition, or says what is wrong with it.
fn checked(file: &File) -> Result<Checked, End> {
    let Known { source, definition, served, is_accepted, faults, .. } = known(file)?;
    if !is_accepted {
        return Err(End::Findings);
    }
    Ok(Checked { source, definition, served, faults })
}

/// A definition's text, and the name to show with its places.
struct Source {
    name: String,
    text: String,
}

fn source(path: Option<&Path>) -> Result<Source, End> {
    Ok(match path {
        None => Source { name: BUILT.source.to_owned(), text: BUILT_SOURCE.to_owned() },
        Some(path) => Source { name: path.display().to_string(), text: file::read(path)? },
    })
}
