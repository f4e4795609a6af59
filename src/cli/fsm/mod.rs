//! `postman fsm`: look at a definition, the built-in one or any of AutoFSM's. A file a tool.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{End, print};
use crate::autofsm::{self, Compilation, Definition};
use crate::smtp::machine::BUILT;
use crate::smtp::vocabulary::VOCABULARY;

mod check;
mod diff;
mod explain;
mod file;
mod picture;

const BUILT_SOURCE: &str = include_str!("../../../smtp-states.def");

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
}

pub(super) fn run(command: &Fsm) -> Result<(), End> {
    match command {
        Fsm::Table(options) => picture::table(options),
        Fsm::Dot(file) => picture::picture(file, autofsm::dot),
        Fsm::Mermaid(file) => picture::picture(file, autofsm::mermaid),
        Fsm::Svg(file) => picture::svg(file),
        Fsm::Check(options) => check::check(options),
        Fsm::Diff(options) => diff::diff(options),
        Fsm::Explain(options) => explain::explain(options),
    }
}

/// Compiles a definition, or says what is wrong with it. The flag says whether it was checked
/// as one to be served: by default one is that gives a reply anywhere.
fn definition(file: &File) -> Result<(Definition, bool), End> {
    let Source { name, text: source } = source(file.path.as_deref())?;
    let Compilation { definition, mut diagnostics } = autofsm::compile(&source, None);
    let answers =
        definition.as_ref().is_some_and(|found| found.cells.iter().flatten().any(|cell| cell.reply.is_some()));
    let served = file.served || (answers && !file.foreign);
    let mut found = definition;
    if served {
        Compilation { definition: found, diagnostics } = autofsm::compile(&source, Some(&VOCABULARY));
    }
    let _ = io::stderr().write_all(autofsm::render(&diagnostics, &name, &source).as_bytes());
    found.map(|definition| (definition, served)).ok_or(End::Findings)
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
