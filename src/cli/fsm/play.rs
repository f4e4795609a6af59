//! `postman fsm play`: dialogues played and checked, as the tests do it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::against::{Target, seconds};
use super::file::read_up_to;
use super::{Defines, End, path, print};
use crate::autofsm::svg_of_run;
use crate::cli::states::States;
use crate::dialogue::{Dialogue, Mismatch, Patience};

/// The longest dialogue that is read, in octets: longer than any transcript.
const DIALOGUE_BYTES_MAX: usize = 16 << 20;

#[derive(Args)]
pub(in crate::cli) struct Play {
    /// The dialogues. Of each the first line that goes otherwise is shown.
    #[arg(value_name = "DIALOGUE", required = true)]
    dialogues: Vec<PathBuf>,
    /// The definition; without one the dialogue's own, or the built-in.
    #[arg(long, value_name = "FILE")]
    states: Option<PathBuf>,
    /// The faults; without them the dialogue's own, or none.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Print the table with the path of each dialogue: its steps are numbered, and an `x` stands before
    /// what was refused.
    #[arg(long, conflicts_with = "against")]
    table: bool,
    /// Print a picture of the machine in which the dialogue goes its way, step by step: SVG, without a
    /// script. It takes one dialogue.
    #[arg(long, conflicts_with_all = ["against", "table"])]
    svg: bool,
    /// Play them to a server over a socket, each in a connection of its own. What a socket does not
    /// show (`= STATE`, `* stored`, `* discarded`) is not looked at.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["states", "faults", "names"])]
    against: Option<String>,
    /// How long the server is waited for: for the connection, and for each reply.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10",
        requires = "against")]
    timeout: Duration,
    /// The line is encrypted from the first octet (RFC 8314). No certificate is verified, here and
    /// at `* encrypted`.
    #[arg(long, requires = "against")]
    tls: bool,
    #[command(flatten)]
    defines: Defines,
}

pub(super) fn play(options: &Play) -> Result<(), End> {
    if let Some(name) = &options.against {
        return play_against(&Target::resolve(name, options.tls)?, options);
    }
    let (states, faults) = (options.states.as_deref(), options.faults.as_deref());
    let states = States::load_to_try(states, faults, &options.defines.names())?;
    if options.svg && options.dialogues.len() > 1 {
        return Err(End::Error("a picture shows one dialogue".to_owned()));
    }
    // What a refused definition does can be seen; that it does so is not fine.
    let mut failed = !states.is_accepted();
    for path in &options.dialogues {
        let (name, text) = (path.display(), read_up_to(DIALOGUE_BYTES_MAX, path)?);
        match play_one(path, &text, &states, options)? {
            // The output is the picture.
            Ok(()) if options.svg => {}
            Ok(()) => print(&format!("{name}: ok\n"))?,
            Err(mismatch) => {
                failed = true;
                let _ = writeln!(io::stderr(), "{name}:{mismatch}");
            }
        }
    }
    if failed { Err(End::Findings) } else { Ok(()) }
}

/// What a dialogue names as its own and the command line does not; an error with the line that
/// names it, and what it is.
fn own_states(
    path: &Path,
    dialogue: &Dialogue,
    options: &Play,
) -> Result<Option<States>, (usize, String, End)> {
    let own = |name: &Option<String>, given: bool| {
        name.as_ref().filter(|_| !given).map(|name| path.with_file_name(name))
    };
    let definition = own(&dialogue.definition, options.states.is_some());
    let faults = own(&dialogue.faults, options.faults.is_some());
    let (line, what) = match (&definition, &faults) {
        (None, None) => return Ok(None),
        (_, Some(faults)) => (dialogue.faults_line(), ("faults without findings", faults)),
        (Some(definition), None) => {
            (dialogue.definition_line(), ("a definition without findings", definition))
        }
    };
    let name = what.1.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = format!("{} in `{}`", what.0, name.escape_debug());
    let definition = definition.as_deref().or(options.states.as_deref());
    let faults = faults.as_deref().or(options.faults.as_deref());
    let loaded = States::load_with(definition, faults, &options.defines.names());
    loaded.map(Some).map_err(|end| (line, what, end))
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
    let own;
    let states = match own_states(path, &dialogue, options) {
        Ok(None) => states,
        Ok(Some(states)) => {
            own = states;
            &own
        }
        Err((line, _, End::Error(error))) => {
            return Err(End::Error(format!("{}:{line}: {error}", path.display())));
        }
        Err((line, what, End::Findings)) => {
            let (expected, got) = (what, "those above".to_owned());
            return Ok(Err(Mismatch { line, expected, got }));
        }
        Err((_, _, end @ End::Status(_))) => return Err(end),
    };
    let (mut shown, mut is_drawn) = (String::new(), true);
    let played = dialogue.check_states(states.machine).and_then(|()| {
        let machine = dialogue.machine(states.machine)?;
        let faults = states.fresh_faults();
        if let (Some(faults), Some(due)) = (&faults, &dialogue.due) {
            faults.list(due.iter().cloned());
        }
        let mut peer = states.peer_with(machine, &config, faults);
        let played = dialogue.play(&mut peer, |most| most);
        if options.table {
            shown = path::path(machine, peer.heard());
        }
        if options.svg {
            match svg_of_run(&states.definition, &peer.legs()) {
                Some(picture) => shown = picture,
                None => is_drawn = false,
            }
        }
        played
    });
    if !is_drawn {
        return Err(End::Error("too many transitions to draw".to_owned()));
    }
    // One that goes otherwise shows how far it went.
    print(&shown)?;
    Ok(played)
}

/// Plays all to a server. One that is not played is said, and is no success.
fn play_against(target: &Target, options: &Play) -> Result<(), End> {
    let patience = Patience { timeout: options.timeout, stop: None };
    let (mut failed, mut left_out) = (false, 0);
    for path in &options.dialogues {
        let (name, text) = (path.display(), read_up_to(DIALOGUE_BYTES_MAX, path)?);
        let dialogue = match Dialogue::parse(&text) {
            Ok(dialogue) => dialogue,
            Err(mismatch) => {
                failed = true;
                let _ = writeln!(io::stderr(), "{name}:{mismatch}");
                continue;
            }
        };
        if let Some((line, why)) = dialogue.obstacle() {
            left_out += 1;
            let _ = writeln!(io::stderr(), "{name}:{line}: not played: {why}");
            continue;
        }
        match dialogue.play(&mut target.connect(patience)?, |most| most) {
            Ok(()) => {
                let unseen = dialogue.not_looked_at().join(", ");
                let unseen =
                    if unseen.is_empty() { unseen } else { format!(" (not looked at: {unseen})") };
                print(&format!("{name}: ok{unseen}\n"))?;
            }
            Err(mismatch) => {
                failed = true;
                let _ = writeln!(io::stderr(), "{name}:{mismatch}");
                let presumed = dialogue.presumes().join(", ");
                if !presumed.is_empty() {
                    let _ = writeln!(io::stderr(), "  it is for a server with {presumed}");
                }
            }
        }
    }
    let all = options.dialogues.len();
    match (failed, left_out) {
        (true, _) => Err(End::Findings),
        (false, 0) => Ok(()),
        (false, _) => Err(End::Error(format!(
            "{left_out} of {all} dialogues not played: play them without --against, to a session in memory"
        ))),
    }
}
