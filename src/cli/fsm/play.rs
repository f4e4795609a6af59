//! `postman fsm play`: dialogues played and checked, as the tests do it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::file::read;
use super::{End, print};
use crate::cli::states::States;
use crate::dialogue::{Dialogue, Failure, Peer};

#[derive(Args)]
pub(in crate::cli) struct Play {
    /// The dialogues.
    #[arg(value_name = "DIALOGUE", required = true)]
    dialogues: Vec<PathBuf>,
    /// The definition; without one the dialogue's own, or the built-in.
    #[arg(long, value_name = "FILE")]
    states: Option<PathBuf>,
}

pub(super) fn play(options: &Play) -> Result<(), End> {
    let states = States::load(options.states.as_deref())?;
    let mut failed = false;
    for path in &options.dialogues {
        let (name, text) = (path.display(), read(path)?);
        match play_one(path, &text, &states, options.states.is_some())? {
            Ok(()) => print(&format!("{name}: fine\n"))?,
            Err(failure) => {
                failed = true;
                let _ = writeln!(io::stderr(), "{name}:{failure}");
            }
        }
    }
    if failed { Err(End::Findings) } else { Ok(()) }
}

/// Plays one, by the definition that the command line or the dialogue names.
fn play_one(path: &Path, text: &str, states: &States, given: bool) -> Result<Result<(), Failure>, End> {
    let read = Dialogue::parse(text).and_then(|dialogue| Ok((dialogue.config()?, dialogue)));
    let (config, dialogue) = match read {
        Ok(read) => read,
        Err(failure) => return Ok(Err(failure)),
    };
    let machine = match &dialogue.definition {
        Some(name) if !given => States::load(Some(&path.with_file_name(name)))?.machine,
        _ => states.machine,
    };
    Ok(dialogue.play(&mut Peer::new(&config, machine), |most| most))
}
