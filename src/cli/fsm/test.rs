//! `postman fsm test`: any server, put to the definition.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::file::read;
use super::host::{Line, Manners};
use super::interrupt::interrupted;
use super::{Defines, End, print};
use crate::autofsm::StateIndex;
use crate::cli::states::States;
use crate::config::Tls;
use crate::conformance::{
    Depth, Deviations, Form, Lost, Model, Options, Report, Word, dialogue, plan, run, symbols,
};
use crate::server;

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// The definition; without one the built-in.
    #[arg(value_name = "FILE")]
    states: Option<PathBuf>,
    /// The server.
    #[arg(long, value_name = "HOST:PORT", required_unless_present_any = ["dry_run", "write"])]
    against: Option<String>,
    /// How much is tried: each cell once; each cell, and the state after it; the same after each
    /// pair of cells, for a server that hides a state.
    #[arg(long, value_enum, default_value = "states")]
    depth: Amount,
    /// Try only this state, or this event in it.
    #[arg(long, value_name = "STATE [EVENT]")]
    only: Option<String>,
    /// Compare codes, too, where the definition gives one.
    #[arg(long)]
    codes: bool,
    /// The known deviations: `STATE EVENT WORD` a line, WORD as in the JSON's `deviation`. One that no
    /// longer holds fails.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// How to say it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write each finding as a dialogue into this folder.
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
    /// Write the suite as dialogues into this folder, and send nothing.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["expect", "findings"])]
    write: Option<PathBuf>,
    /// Say what would be sent, and send nothing.
    #[arg(long, conflicts_with_all = ["write", "expect", "findings"])]
    dry_run: bool,
    #[command(flatten)]
    manners: Manners,
    #[command(flatten)]
    defines: Defines,
}

#[derive(Clone, Copy, ValueEnum)]
enum Amount {
    Tour,
    States,
    Extra,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
    Tap,
}

/// A definition as its listener serves it, and the name to show.
pub(super) fn served(
    path: Option<&Path>,
    defines: &Defines,
    line: Line,
) -> Result<(States, String), End> {
    let mut states = States::load_with(path, None, &defines.names())?;
    let mut name = states.name.clone();
    let whole = states.machine;
    if line.has_certificate && whole.encrypted().is_none() {
        return Err(End::Error(format!(
            "cannot put a server that encrypts to {name}: it has no row for STARTTLS in its first state"
        )));
    }
    let served = server::served(whole, line.tls, line.has_certificate).unwrap_or(whole);
    let left_out = served.left_out;
    let begin = served.encrypted_at.map(|begin| StateIndex(usize::from(begin.0)));
    if let Some(begin) = begin {
        name += ", as it is served encrypted from the first octet";
        states.definition = Arc::new(states.definition.begun_at(begin));
    } else if !left_out.is_empty() {
        name += &format!(", as it is served without {}", left_out.join(", "));
    }
    if !left_out.is_empty() {
        states.definition = Arc::new(states.definition.without(left_out));
    }
    Ok((states, name))
}

pub(super) fn test(options: &Test) -> Result<(), End> {
    let line = options.manners.line();
    let (states, name) = served(options.states.as_deref(), &options.defines, line)?;
    let values = options.manners.values();
    let symbols = symbols(&states.definition, &values);
    let mut model = Model::new(states.definition.as_ref().clone(), symbols, options.codes);
    model.from_first_octet = line.tls == Tls::FirstOctet;
    let depth = match options.depth {
        Amount::Tour => Depth::Tour,
        Amount::States => Depth::States,
        Amount::Extra => Depth::Extra,
    };
    let only = options.only.as_deref().map(|text| model.place(text)).transpose();
    let only = only.map_err(|why| format!("cannot use --only: {why}"))?;
    let how = Options { depth, only };
    let known = match &options.expect {
        Some(path) => Deviations::parse(&read(path)?, &model)
            .map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))?,
        None => Deviations::default(),
    };
    let words = plan(&model, how);
    let mails: usize = words.iter().map(|word| model.mails(word)).sum();
    let commands: usize = words.iter().map(Vec::len).sum();
    let what = format!("{commands} commands in {} sessions, and {mails} messages", words.len());
    if let Some(folder) = &options.write {
        return write(&model, &words, folder);
    }
    let Some(server) = options.against.as_ref().filter(|_| !options.dry_run) else {
        let lines =
            model.symbols.iter().map(|symbol| format!("  {:<14} {}\n", symbol.name, symbol.line));
        let lines: String = lines.collect();
        return print(&format!("{name}: {what} to {}\n{lines}", values.recipient));
    };
    let mut host = options.manners.admit(server, &what)?;
    let mut report = run(&model, how, &mut host);
    report.expect(&known);
    if let Some(folder) = &options.findings {
        save(&report, folder)?;
    }
    let form = match options.format {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        Format::Junit => Form::Junit,
        Format::Tap => Form::Tap,
    };
    print(&report.written(form, &format!("{server} put to {name}")))?;
    match report.doubt() {
        Some(doubt) if report.lost == Some(Lost::Stopped) => {
            Err(interrupted(&format!("inconclusive: {doubt}")))
        }
        _ if report.fails() => Err(End::Findings),
        Some(doubt) => Err(End::Error(format!("inconclusive: {doubt}"))),
        None => Ok(()),
    }
}

/// Makes a folder for dialogues; one that is there is taken as it is.
fn folder(path: &Path) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .create(path)
        .map_err(|error| format!("cannot make the folder {}: {error}", path.display()))
}

/// Writes a dialogue. It replaces no file.
fn file(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Writes the suite.
fn write(model: &Model, words: &[Word], into: &Path) -> Result<(), End> {
    folder(into)?;
    for (word, number) in words.iter().zip(1..) {
        let names: Vec<&str> = word.iter().map(|symbol| model.name(*symbol)).collect();
        let text = dialogue(model, word, &[names.join(" ")]);
        file(&into.join(format!("{number:05}.smtp")), &text)?;
    }
    print(&format!("{}: {} dialogues written\n", into.display(), words.len()))
}

/// Writes the findings.
fn save(report: &Report, into: &Path) -> Result<(), End> {
    folder(into)?;
    for finding in &report.findings {
        let name = format!("{}-{}.smtp", finding.state, finding.event);
        // A name of a definition may have any character.
        let plain = |char: char| {
            if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '_' }
        };
        let name: String = name.chars().map(plain).collect();
        file(&into.join(name), &finding.dialogue)?;
    }
    Ok(())
}
