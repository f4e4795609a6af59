//! `postman fsm table | dot`: a definition as a picture.

use clap::{Args, ValueEnum};

use super::{End, File, definition, print};
use crate::autofsm;

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
    let (definition, _) = definition(&options.file)?;
    match options.format {
        Form::Text => print(&autofsm::table(&definition)),
        Form::Json => print(&autofsm::json(&definition)),
    }
}

pub(super) fn dot(file: &File) -> Result<(), End> {
    print(&autofsm::dot(&definition(file)?.0))
}
