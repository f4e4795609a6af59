//! `postman wait` and `postman mail`: received messages, for a person at a prompt and for a script
//! that tests what a program sends.
//!
//! They read the mail folder as any reader does, and need no server: `folder.rs` finds the files,
//! `message.rs` what they say.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};

use super::{End, print};

mod folder;
mod message;

use folder::Folder;
use message::Message;

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

/// A time as an option has it.
#[derive(Clone, Copy)]
struct Time(Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        let factor = match text.get(digits.len()..).unwrap_or_default() {
            "ms" => Some(1),
            "s" | "" => Some(1000),
            "min" => Some(60_000),
            _ => None,
        };
        let number = digits.parse::<u32>().ok().map(u64::from);
        let milliseconds = factor.zip(number).map(|(factor, number)| factor * number);
        let wrong = || format!("`{text}` is not a time such as `10s`, `500ms` or `2min`");
        milliseconds.map(|time| Self(Duration::from_millis(time))).ok_or_else(wrong)
    }
}

impl Which {
    fn folder(&self) -> Folder {
        Folder::of(self.maildir.as_deref())
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
    if !folder.is_named {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_counts_seconds() {
        for (text, expected) in [
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("2min", Some(120_000)),
            ("3", Some(3000)),
            ("", None),
            ("s", None),
            ("1h", None),
            ("-1s", None),
            ("99999999999s", None),
        ] {
            let time = text.parse::<Time>().ok().map(|time| time.0.as_millis());
            assert_eq!(time, expected, "{text}");
        }
    }
}
