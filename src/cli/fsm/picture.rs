//! `postman fsm table | dot | mermaid | svg`: a definition as a picture.

use clap::{Args, ValueEnum};

use super::{End, File, known, print};
use crate::autofsm::{self, Definition, Marks};

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
    let draw = match options.format {
        Form::Text => autofsm::table,
        Form::Json => autofsm::json,
    };
    show(&options.file, |definition, marks| Ok(draw(definition, marks)))
}

pub(super) fn dot(file: &File) -> Result<(), End> {
    show(file, |definition, marks| Ok(autofsm::dot(definition, marks)))
}

pub(super) fn mermaid(file: &File) -> Result<(), End> {
    show(file, |definition, marks| Ok(autofsm::mermaid(definition, marks)))
}

pub(super) fn svg(file: &File) -> Result<(), End> {
    show(file, |definition, marks| {
        let picture = autofsm::svg(definition, marks);
        picture
            .ok_or_else(|| "too many transitions to draw: see `fsm table --format json`".to_owned())
    })
}

/// Prints a definition, also one with errors if all its cells are known: that is when one needs to
/// see it.
fn show(
    file: &File,
    draw: impl Fn(&Definition, &Marks<'_>) -> Result<String, String>,
) -> Result<(), End> {
    let known = known(file)?;
    print(&draw(&known.definition, &known.marks())?)?;
    known.verdict()
}
