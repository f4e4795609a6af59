//! The command line: serve, check, config, certificate, wait, mail, top, ready, fsm. Exit 0 fine, 1 findings, 2
//! could not run; `serve -- CMD` ends as its command does.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

mod certificate;
mod command;
mod descendants;
mod fsm;
mod listening;
mod mail;
mod pages;
mod ready;
mod serve;
mod shown;
mod start;
mod states;
mod swap;
mod top;

use certificate::Certificate;
use fsm::Fsm;
use serve::{Check, Serve};

/// An SMTP receiver whose protocol is one file.
#[derive(Parser)]
#[command(name = "postman", version = env!("POSTMAN_VERSION"), args_conflicts_with_subcommands = true)]
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
    /// Start as `serve` does, up to the first client, and take everything back.
    Check(Check),
    /// Print the default configuration, a comment for each key.
    Config,
    /// Make a certificate for TLS.
    #[command(subcommand)]
    Certificate(Certificate),
    /// Wait for a message, and print its file.
    Wait(mail::Wait),
    /// Look at received messages, and remove them.
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Watch a running server: the table with its counts.
    Top(top::Top),
    /// Ask whether a server greets: 0 if it does, 1 if not.
    Ready(ready::Ready),
    /// Print a page of the manual.
    #[command(hide = true)]
    Manual(pages::Manual),
    /// Print the completions for a shell.
    #[command(hide = true)]
    Completions(pages::Completions),
    /// Look at a definition: the built-in one, or any of AutoFSM's.
    #[command(subcommand)]
    Fsm(Fsm),
}

/// What ends a command early.
enum End {
    /// It could not run, for one reason a line.
    Error(String),
    /// There are findings, which are printed already.
    Findings,
    /// A command that was run ended so.
    Status(u8),
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
        None => serve::serve(&arguments.serve),
        Some(Command::Serve(options)) => serve::serve(&options),
        Some(Command::Check(options)) => serve::check(&options),
        Some(Command::Wait(wait)) => mail::wait(&wait),
        Some(Command::Mail(command)) => mail::run(&command),
        Some(Command::Ready(ready)) => ready::run(&ready),
        Some(Command::Manual(options)) => pages::manual(&options),
        Some(Command::Completions(options)) => pages::completions(&options),
        Some(Command::Config) => print(&Config::sample()),
        Some(Command::Certificate(command)) => certificate::run(&command),
        Some(Command::Top(options)) => top::top(&options),
        Some(Command::Fsm(command)) => fsm::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Findings) => ExitCode::from(1),
        Err(End::Status(status)) => ExitCode::from(status),
        Err(End::Error(message)) => {
            for line in message.lines() {
                let _ = writeln!(io::stderr(), "postman: {}", in_words(line));
            }
            ExitCode::from(2)
        }
    }
}

/// A message without the number that the standard library adds to the system's words.
fn in_words(message: &str) -> String {
    let number = message
        .split_once(" (os error ")
        .and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
    number.map_or_else(|| message.to_owned(), |(before, (_, after))| format!("{before}{after}"))
}

/// Prints; a reader that went away ends it quietly.
fn print(text: &str) -> Result<(), End> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(End::Error(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}
