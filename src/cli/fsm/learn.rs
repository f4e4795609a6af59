//! `postman fsm learn`: what a server does, as a definition.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::host::Manners;
use super::interrupt::interrupted;
use super::test::served;
use super::{Defines, End, print};
use crate::autofsm::{self, Definition, Severity, StateIndex};
use crate::conformance::{
    Depth, Effort, Host, Learned, Learner, Lost, Model, Said, Stuck, SymbolKind, definition,
    symbols,
};

#[derive(Args)]
pub(in crate::cli) struct Learn {
    /// The server.
    #[arg(value_name = "HOST:PORT")]
    server: String,
    /// The definition whose commands are said, whose names the states get, and whose `never` and
    /// `always` are put to what was learned; without one the built-in.
    #[arg(value_name = "FILE")]
    states: Option<PathBuf>,
    /// What a hypothesis is put to, before random words: `extra` is for a server that may have one
    /// state more.
    #[arg(long, value_enum, default_value = "states")]
    depth: Amount,
    /// Say the lines that must be refused, too: a server that counts its errors then has a state for
    /// each number of them.
    #[arg(long)]
    probes: bool,
    /// The most sessions.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    sessions_max: usize,
    /// How many random words of 12 lines a hypothesis is put to.
    #[arg(long, value_name = "N", default_value_t = 500)]
    random_words: usize,
    /// What the random words depend on.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    manners: Manners,
    #[command(flatten)]
    defines: Defines,
}

#[derive(Clone, Copy, ValueEnum)]
enum Amount {
    States,
    Extra,
}

pub(super) fn learn(options: &Learn) -> Result<(), End> {
    let line = options.manners.line();
    let (states, name) = served(options.states.as_deref(), &options.defines, line)?;
    let mut symbols = symbols(&states.definition, &options.manners.values());
    symbols.retain(|symbol| options.probes || symbol.kind != SymbolKind::Probe);
    let model = Model::new(states.definition.as_ref().clone(), symbols, false);
    let depth = match options.depth {
        Amount::States => Depth::States,
        Amount::Extra => Depth::Extra,
    };
    let effort = Effort {
        depth,
        sessions_max: options.sessions_max,
        random_words: options.random_words,
        seed: options.seed,
    };
    let what = format!(
        "up to {} sessions, and some hundred messages, as many as it takes",
        options.sessions_max
    );
    let mut host = options.manners.admit(&options.server, &what)?;
    let mut student = Learner::new(&model, &mut host, effort);
    let (examined, stuck) = match examined(&model, &mut student)? {
        Ok(examined) => (examined, None),
        Err(stuck) => match student.latest.take() {
            Some(latest) => (Examined::new(latest), Some(stuck)),
            None => return Err(End::Error(why(&stuck, &options.server))),
        },
    };
    let learned = &examined.learned;
    let written = definition(&model, learned);
    let asked = format!("{} sessions, {} commands", student.sessions, student.commands);
    let mut about = vec![
        format!("{} as it was learned, by the commands of {name}.", options.server),
        format!("{asked}; {} states, {} lines.", learned.access.len(), model.symbols.len()),
        format!(
            "Not proven of the server: it is equal for what was asked, up to {} states.",
            learned.access.len() + usize::from(depth == Depth::Extra)
        ),
        "A row's words are the reference's where the code is the same; they were not compared."
            .to_owned(),
    ];
    about.extend(
        model.symbols.iter().map(|symbol| format!("  {:<14} {}", symbol.name, symbol.line)),
    );
    if let Some(stuck) = &stuck {
        about.push("Unfinished:".to_owned());
        about.extend(why(stuck, &options.server).lines().map(|line| format!("  {line}")));
        about.extend(not_asked(&model, learned));
    }
    let page = autofsm::page(&written.definition, &about);
    print(&page)?;
    match stuck {
        Some(stuck @ Stuck::Lost(Lost::Stopped)) => {
            return Err(interrupted(&why(&stuck, &options.server)));
        }
        Some(stuck) => return Err(End::Error(why(&stuck, &options.server))),
        None => {}
    }
    tell(&format!(
        "{asked}: {} states; equal up to {} states and these lines, and not proven of the server",
        learned.access.len(),
        learned.access.len() + usize::from(depth == Depth::Extra),
    ));
    examined.told(written.definition.properties.len())
}

/// The cells of a hypothesis that nothing is known of: each state's, after the way there.
fn not_asked(model: &Model, learned: &Learned) -> Vec<String> {
    let names = |word: &[usize], between| {
        let names: Vec<&str> = word.iter().map(|symbol| model.name(*symbol)).collect();
        names.join(between)
    };
    let mut lines = Vec::new();
    for (state, access) in learned.access.iter().enumerate() {
        let is_open = |symbol: &usize| learned.machine.cell(StateIndex(state), *symbol).is_none();
        let open: Vec<usize> = (0..model.symbols.len()).filter(is_open).collect();
        if !open.is_empty() {
            let way = if access.is_empty() {
                "at first".to_owned()
            } else {
                format!("after {}", names(access, " "))
            };
            lines.push(format!("  not asked {way}: {}", names(&open, ", ")));
        }
    }
    lines
}

fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Why there is no machine, in lines.
fn why(stuck: &Stuck, server: &str) -> String {
    match stuck {
        Stuck::Lost(Lost::Server(why)) => format!("cannot go on with {server}: {why}"),
        Stuck::Lost(Lost::Stopped) => "interrupted: what is known is not complete".to_owned(),
        Stuck::Exhausted(sessions) => {
            format!("no machine after {sessions} sessions; --sessions-max allows more")
        }
        Stuck::Random(now, before) => {
            let mut text = format!("{server} does not always answer alike; one session:\n");
            for line in now {
                text += &format!("   {line}\n");
            }
            text += "and another:\n";
            for line in before {
                text += &format!("   {line}\n");
            }
            text
        }
    }
}

/// A machine, and the properties that it breaks, or that need what was not asked, in lines.
struct Examined {
    learned: Learned,
    broken: Vec<String>,
    open: Vec<String>,
}

impl Examined {
    fn new(learned: Learned) -> Self {
        Self { learned, broken: Vec::new(), open: Vec::new() }
    }

    /// Tells how many of all properties hold, and what is wrong with the others.
    fn told(&self, all: usize) -> Result<(), End> {
        self.broken.iter().chain(&self.open).for_each(|text| tell(text));
        let hold = all.saturating_sub(self.broken.len() + self.open.len());
        tell(&format!("{hold} of {all} properties hold of what was learned"));
        if self.broken.is_empty() { Ok(()) } else { Err(End::Findings) }
    }
}

/// Learns, and puts the properties to what was learned. A dialogue that breaks one is played to the
/// server once more before it is told; where that goes otherwise there was more to learn.
fn examined<H: Host>(
    model: &Model,
    student: &mut Learner<'_, H>,
) -> Result<Result<Examined, Stuck>, End> {
    let mut corrected = HashSet::new();
    'learning: loop {
        let learned = match student.learn() {
            Ok(learned) => learned,
            Err(stuck) => return Ok(Err(stuck)),
        };
        let written = definition(model, &learned);
        let found = autofsm::compile(&autofsm::page(&written.definition, &[]), None).diagnostics;
        let mut examined = Examined::new(learned);
        let learned = &examined.learned;
        for error in found.iter().filter(|found| found.severity == Severity::Error) {
            let events = error.run.moves.iter().map(|step| step.event.0);
            let word: Vec<usize> =
                events.filter_map(|event| written.symbols.get(event).copied()).collect();
            // The handshake was not tried, so that nothing behind it was asked.
            let said = learned.machine.follow(&word).map(|(_, said)| said).collect::<Vec<_>>();
            if said.len() < word.len() && matches!(said.last(), Some(Said::Untried(_))) {
                examined.open.push(format!("not asked: {}", error.message));
                continue;
            }
            match student.confirm(learned, &word) {
                Ok(Some(notes)) => examined.broken.push(told(&written.definition, error, &notes)),
                Ok(None) if corrected.insert(word) => continue 'learning,
                Ok(None) => {
                    return Err(End::Error(format!(
                        "what was learned is not what the server does: {}; ask for more, with --depth extra or --random-words",
                        error.message
                    )));
                }
                Err(stuck) => return Ok(Err(stuck)),
            }
        }
        return Ok(Ok(examined));
    }
}

/// A broken property: its moves, and what was exchanged.
fn told(definition: &Definition, error: &autofsm::Diagnostic, notes: &[String]) -> String {
    let lines: Vec<_> = notes.iter().map(|line| format!("   {line}")).collect();
    format!("broken: {}\n{}\n{}", error.message, shown(definition, error), lines.join("\n"))
}

/// The moves of the dialogue that breaks a property.
fn shown(definition: &Definition, error: &autofsm::Diagnostic) -> String {
    let lines = error.run.dialogue(definition);
    lines.iter().map(|line| format!("   # {line}")).collect::<Vec<_>>().join("\n")
}
