//! `postman fsm table | dot | mermaid | svg`: a definition as a picture.

use clap::{Args, ValueEnum};

use super::{End, File, checked, print};
use crate::autofsm::{self, Definition};

#[derive(Args)]
pub(in crate::cli) struct Table {
    #[command(flatten)]
    file: File,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

pub(super) fn table(options: &Table) -> Result<(), End> {
    let definition = checked(&options.file)?.definition;
    match options.format {
        Form::Text => print(&autofsm::table(&definition)),
        Form::Json => print(&autofsm::json(&definition)),
    }
}

/// Prints a picture of the definition.
pub(super) fn picture(file: &File, draw: impl Fn(&Definition) -> String) -> Result<(), End> {
    print(&draw(&checked(file)?.definition))
}

pub(super) fn svg(file: &File) -> Result<(), End> {
    let picture = autofsm::svg(&checked(file)?.definition);
    print(
        &picture.ok_or_else(|| {
            "too many transitions to draw: see `fsm table --format json`".to_owned()
        })?,
    )
}
