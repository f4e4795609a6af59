//! `postman wait` and `postman mail`: received messages, for a person at a prompt and for a script
//! that tests what a program sends.
//!
//! They read the mail folder as any reader does (`reader/`), and need no server.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};

use super::{End, print};
use crate::reader::{Folder, Message, Time, folder};

/// How often the folder is looked at for a new message.
const LOOK: Duration = Duration::from_millis(20);

/// Which messages are meant.
#[derive(Args)]
pub(super) struct Which {
    /// The mail folder; without it `POSTMAN_MAILDIR`, which `serve -- CMD` sets, or `./maildir`.
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Only those to this recipient: an address, or the part before its `@`.
    #[arg(long, value_name = "WHO")]
    to: Option<String>,
    /// Only those with this text in their subject.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
}

#[derive(Args)]
pub(super) struct Wait {
    #[command(flatten)]
    which: Which,
    /// How long to wait: `10s`, `500ms` or `2min`.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: Time,
}

#[derive(Subcommand)]
pub(super) enum Mail {
    /// A line for each message: its file, recipients, sender and subject.
    List {
        #[command(flatten)]
        which: Which,
        /// The form of the output.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show messages: header, text, and the names of what is attached.
    Show {
        #[command(flatten)]
        which: Which,
        /// The octets of their files instead.
        #[arg(long)]
        source: bool,
    },
    /// Remove messages. The folder must be named, by `--maildir` or `POSTMAN_MAILDIR`.
    Clear {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

impl Which {
    /// The folder that is named: by the option, or for the command that `serve -- CMD` has started.
    fn named(&self) -> Option<PathBuf> {
        self.maildir.clone().or_else(|| std::env::var_os("POSTMAN_MAILDIR").map(PathBuf::from))
    }

    fn folder(&self) -> Folder {
        Folder::at(self.named().unwrap_or_else(|| "./maildir".into()))
    }

    fn means(&self, message: &Message) -> bool {
        self.to.as_deref().is_none_or(|to| message.is_to(to))
            && self.subject.as_deref().is_none_or(|text| message.has_subject(text))
    }

    /// The messages that are meant, in the order in which they came.
    fn messages(&self) -> Result<Vec<Message>, String> {
        let files = self.folder().files()?;
        // A reader may have removed one meanwhile.
        let messages = files.into_iter().filter_map(|file| Message::read(file).transpose());
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        Ok(messages.into_iter().filter(|message| self.means(message)).collect())
    }

    fn in_words(&self) -> String {
        let mut words = String::new();
        if let Some(to) = &self.to {
            words += &format!(" to {to}");
        }
        if let Some(text) = &self.subject {
            words += &format!(" with `{text}` in its subject");
        }
        words
    }
}

/// Waits for a message, and prints its file.
pub(super) fn wait(wait: &Wait) -> Result<(), End> {
    let (which, begun) = (&wait.which, Instant::now());
    let folder = which.folder();
    let mut others = HashSet::new();
    let mut latest = None;
    loop {
        for file in folder.files_if_there()? {
            if others.contains(&file.path) {
                continue;
            }
            let Some(message) = Message::read(file)? else { continue };
            if which.means(&message) {
                return print(&format!("{}\n", message.path.display()));
            }
            others.insert(message.path.clone());
            latest = Some(message);
        }
        if begun.elapsed() >= wait.timeout.0 {
            break;
        }
        thread::sleep(LOOK.min(wait.timeout.0));
    }
    let seconds = wait.timeout.0.as_secs_f64();
    let mut text =
        format!("postman: no message{} within {seconds} s in {folder}\n", which.in_words());
    if let Some(message) = latest {
        text += &format!(
            "postman: {} messages there do not match; the latest: {message}\n",
            others.len()
        );
    }
    let _ = io::stderr().write_all(text.as_bytes());
    Err(End::Findings)
}

pub(super) fn run(command: &Mail) -> Result<(), End> {
    match command {
        Mail::List { which, format: Format::Text } => {
            let mut text = String::new();
            for message in which.messages()? {
                text += &format!("{} {message}\n", message.path.display());
            }
            print(&text)
        }
        Mail::List { which, format: Format::Json } => {
            let values: Vec<_> = which.messages()?.iter().map(Message::json).collect();
            let text = serde_json::to_string_pretty(&values);
            print(&(text.map_err(|error| format!("cannot write JSON: {error}"))? + "\n"))
        }
        Mail::Show { which, source: false } => {
            let texts: Vec<_> = which.messages()?.iter().map(Message::shown).collect();
            print(&texts.join("\n"))
        }
        Mail::Show { which, source: true } => {
            for message in which.messages()? {
                let _ = io::stdout().write_all(&message.octets);
            }
            Ok(())
        }
        Mail::Clear { which } => clear(which),
    }
}

fn clear(which: &Which) -> Result<(), End> {
    let folder = which.folder();
    if which.named().is_none() {
        return Err(End::Error(format!(
            "cannot clear {folder} unasked: name the folder, by `--maildir` or POSTMAN_MAILDIR"
        )));
    }
    let mut removed = 0;
    for message in which.messages()? {
        removed += usize::from(folder::remove(&message.path)?);
    }
    print(&format!("{removed} messages removed\n"))
}
