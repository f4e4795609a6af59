//! `postman fsm play`: dialogues played and checked, as the tests do it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::file::read;
use super::{Defines, End, print};
use crate::cli::states::States;
use crate::dialogue::{Dialogue, Mismatch};

#[derive(Args)]
pub(in crate::cli) struct Play {
    /// The dialogues. Of each the first line that goes otherwise is shown.
    #[arg(value_name = "DIALOGUE", required = true)]
    dialogues: Vec<PathBuf>,
    /// The definition; without one the dialogue's own, or the built-in.
    #[arg(long, value_name = "FILE")]
    states: Option<PathBuf>,
    #[command(flatten)]
    defines: Defines,
}

pub(super) fn play(options: &Play) -> Result<(), End> {
    let states = States::load_to_try(options.states.as_deref(), &options.defines.names())?;
    // What a refused definition does can be seen; that it does so is not fine.
    let mut failed = !states.is_accepted();
    for path in &options.dialogues {
        let (name, text) = (path.display(), read(path)?);
        match play_one(path, &text, &states, options)? {
            Ok(()) => print(&format!("{name}: ok\n"))?,
            Err(mismatch) => {
                failed = true;
                let _ = writeln!(io::stderr(), "{name}:{mismatch}");
            }
        }
    }
    if failed { Err(End::Findings) } else { Ok(()) }
}

/// Plays one, by the definition that the command line or the dialogue names.
fn play_one(
    path: &Path,
    text: &str,
    states: &States,
    options: &Play,
) -> Result<Result<(), Mismatch>, End> {
    let read = Dialogue::parse(text).and_then(|dialogue| Ok((dialogue.config()?, dialogue)));
    let (config, dialogue) = match read {
        Ok(read) => read,
        Err(mismatch) => return Ok(Err(mismatch)),
    };
    let load = |name: &String| {
        States::load_with(Some(&path.with_file_name(name)), &options.defines.names())
    };
    let own;
    let states = match &dialogue.definition {
        Some(name) if options.states.is_none() => match load(name) {
            Ok(states) => {
                own = states;
                &own
            }
            Err(End::Findings) => {
                let expected =
                    format!("a definition without findings in `{}`", name.escape_debug());
                let got = "those above".to_owned();
                return Ok(Err(Mismatch { line: dialogue.definition_line(), expected, got }));
            }
            Err(End::Error(error)) => {
                return Err(End::Error(format!(
                    "{}:{}: {error}",
                    path.display(),
                    dialogue.definition_line()
                )));
            }
        },
        _ => states,
    };
    let played = dialogue.check_states(states.machine).and_then(|()| {
        let machine = dialogue.machine(states.machine)?;
        dialogue.play(&mut states.peer_by(machine, &config), |most| most)
    });
    Ok(played)
}
