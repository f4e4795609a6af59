//! The command line: serve, check, config, fsm. Exit 0 fine, 1 findings, 2 could not run.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::autofsm::{self, Compilation, Definition};
use crate::config::{Config, SAMPLE};
use crate::logging::Logging;
use crate::server::Server;
use crate::smtp::machine::BUILT;
use crate::smtp::path::Domain;
use crate::smtp::vocabulary::VOCABULARY;

const BUILT_SOURCE: &str = include_str!("../smtp-states.def");

/// An SMTP receiver whose protocol is one file.
#[derive(Parser)]
#[command(name = "postman", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Receive mail; the default.
    Serve(Serve),
    /// Say what `serve` would do, and start nothing.
    Check(Serve),
    /// Print the default configuration, a comment for each key.
    Config,
    /// Look at a definition: the built-in one, or any of AutoFSM's.
    #[command(subcommand)]
    Fsm(Fsm),
}

#[derive(Args)]
struct Serve {
    /// The configuration file (RON); without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Keep mail in this folder instead.
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Be this domain instead.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Domain::parse(text).map_err(|_| "no domain"))]
    domain: Option<Domain>,
}

#[derive(Subcommand)]
enum Fsm {
    /// Print the table: what follows each event in each state.
    Table {
        #[command(flatten)]
        file: File,
        /// How to print it.
        #[arg(long, value_enum, default_value = "text")]
        format: Form,
    },
    /// Print a graph for Graphviz.
    Dot {
        #[command(flatten)]
        file: File,
    },
    /// Say what is wrong with the definition.
    Check {
        #[command(flatten)]
        file: File,
    },
}

#[derive(Args)]
struct File {
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

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// What ends a command early.
enum End {
    /// It could not run.
    Error(String),
    /// There are findings; they are said.
    Findings,
}

impl From<String> for End {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

/// Runs a command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match arguments.command {
        None => serve(&arguments.serve),
        Some(Command::Serve(options)) => serve(&options),
        Some(Command::Check(options)) => check(&options),
        Some(Command::Config) => print(SAMPLE),
        Some(Command::Fsm(command)) => fsm(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Findings) => ExitCode::from(1),
        Err(End::Error(message)) => {
            let _ = writeln!(io::stderr(), "postman: {message}");
            ExitCode::from(2)
        }
    }
}

/// Prints; a reader that went away ends it quietly.
fn print(text: &str) -> Result<(), End> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(End::Error(format!("cannot print: {error}"))),
        _ => Ok(()),
    }
}

fn configuration(options: &Serve) -> Result<Config, String> {
    let mut config = options.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    if let Some(listen) = options.listen {
        (config.host, config.port) = (listen.ip(), listen.port());
    }
    if let Some(folder) = &options.maildir {
        config.maildir_path.clone_from(folder);
    }
    if let Some(domain) = &options.domain {
        config.domain.clone_from(domain);
    }
    Ok(config)
}

fn check(options: &Serve) -> Result<(), End> {
    let config = configuration(options)?;
    print(&about(&config, SocketAddr::new(config.host, config.port)))
}

/// What a server is, in a few lines.
fn about(config: &Config, address: SocketAddr) -> String {
    format!(
        "  address     {address}\n  domain      {}\n  mail        {}\n  definition  {}, built in\n",
        config.domain,
        config.maildir_path.display(),
        BUILT.source,
    )
}

fn serve(options: &Serve) -> Result<(), End> {
    let config = configuration(options)?;
    let logging = Logging::start(&config.log)?;
    if config.nice != 0
        && let Err(error) = rustix::process::nice(config.nice)
    {
        log::warn!("cannot set the priority to {}: {error}", config.nice);
    }
    let server = Server::bind(config.clone(), &BUILT)?;
    let address = server.address().map_err(|error| format!("cannot tell the address: {error}"))?;
    let ready = || {
        let text = format!(
            "Postman receives mail.\n{}  to stop     Ctrl-C\n  to try it   swaks --to user@{} --server {address}\n",
            about(&config, address),
            config.domain,
        );
        let _ = print(&text);
        log::info!("listening address={address} domain={} definition={}", config.domain, BUILT.source);
    };
    server.run(&logging, ready)?;
    Ok(())
}

fn fsm(command: &Fsm) -> Result<(), End> {
    match command {
        Fsm::Table { file, format } => {
            let (definition, _) = definition(file)?;
            match format {
                Form::Text => print(&autofsm::table(&definition)),
                Form::Json => print(&autofsm::json(&definition)),
            }
        }
        Fsm::Dot { file } => print(&autofsm::dot(&definition(file)?.0)),
        Fsm::Check { file } => {
            let (definition, served) = definition(file)?;
            let rules = if served { "as one for this server" } else { "as another program's" };
            print(&format!(
                "fine, checked {rules}: {} states, {} events, {} transitions\n",
                definition.states.len(),
                definition.events.len(),
                definition.cells.iter().flatten().count()
            ))
        }
    }
}

/// Compiles a definition, or says what is wrong with it. The flag says whether it was checked
/// as one to be served: by default one is that gives a reply anywhere.
fn definition(file: &File) -> Result<(Definition, bool), End> {
    let (name, source) = match &file.path {
        None => (BUILT.source.to_owned(), BUILT_SOURCE.to_owned()),
        Some(path) => (path.display().to_string(), read(path)?),
    };
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

/// The most that a definition may have, in octets.
const SOURCE_BYTES_MAX: u64 = 4 << 20;

fn read(path: &Path) -> Result<String, End> {
    let shown = path.display();
    let size = fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
    if size > SOURCE_BYTES_MAX {
        return Err(End::Error(format!("cannot read {shown}: more than {SOURCE_BYTES_MAX} octets are no definition")));
    }
    Ok(fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?)
}
