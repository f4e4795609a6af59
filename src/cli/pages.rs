//! `postman manual` and `postman completions`, hidden commands: what packages ship, made of the same
//! description by which the command line is read.
//!
//! They are commands, and no step of the build, so that who has the program by `cargo install` has
//! them too, and each program makes what fits it.

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, End, print};

#[derive(Args)]
pub(super) struct Manual {
    /// The page: `postman` or one of its commands, such as `postman-fsm-check`.
    #[arg(value_name = "PAGE", default_value = "postman")]
    page: String,
    /// Print the names of all pages.
    #[arg(long)]
    list: bool,
}

#[derive(Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// The whole command line, with the full name of each command.
fn commands() -> Command {
    let mut command = Arguments::command();
    command.build();
    command
}

/// The commands that are not hidden, with the names of their pages.
fn pages(name: &str, command: &Command, found: &mut Vec<(String, Command)>) {
    found.push((name.to_owned(), command.clone()));
    for below in command.get_subcommands() {
        if !below.is_hide_set() && below.get_name() != "help" {
            pages(&format!("{name}-{}", below.get_name()), below, found);
        }
    }
}

pub(super) fn manual(options: &Manual) -> Result<(), End> {
    let mut found = Vec::new();
    pages("postman", &commands(), &mut found);
    if options.list {
        let names: Vec<_> = found.into_iter().map(|(name, _)| name + "\n").collect();
        return print(&names.concat());
    }
    let page = found.into_iter().find(|(name, _)| *name == options.page);
    let (name, command) = page.ok_or_else(|| {
        format!("there is no page `{}`; `--list` names all", options.page.escape_debug())
    })?;
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command).title(name.to_uppercase()).render(&mut text);
    page.map_err(|error| format!("cannot make the page: {error}"))?;
    print(&String::from_utf8_lossy(&text))
}

pub(super) fn completions(options: &Completions) -> Result<(), End> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut commands(), "postman", &mut text);
    print(&String::from_utf8_lossy(&text))
}
