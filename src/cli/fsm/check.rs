//! `postman fsm check`: what is wrong with a definition.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Checked, End, FaultsText, File, Found, checked, fault_place, look, print};
use crate::autofsm::{self, Severity};

#[derive(Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    file: File,
    /// How to say it: for people; as a list for programs; or a line for each finding, as editors read
    /// a compiler's.
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Short,
}

/// A finding for editors and CI: lines and columns from 1, columns in characters, the end
/// exclusive.
#[derive(Serialize)]
struct Finding<'a> {
    file: &'a str,
    severity: &'static str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    message: &'a str,
    help: Option<&'a str>,
    notes: &'a [String],
    also: Option<Also>,
}

/// Another place that belongs to a finding: the other of two rows.
#[derive(Serialize)]
struct Also {
    message: &'static str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

fn json(found: &Found) -> String {
    let findings: Vec<_> = found
        .diagnostics
        .iter()
        .map(|one| {
            let (line, column) = autofsm::place(&found.source.text, one.span.start);
            let (end_line, end_column) =
                autofsm::place(&found.source.text, one.span.end.max(one.span.start));
            Finding {
                file: &found.source.name,
                severity: if one.severity == Severity::Error { "error" } else { "warning" },
                line,
                column,
                end_line,
                end_column,
                message: &one.message,
                help: one.help.as_deref(),
                notes: &one.notes,
                also: one.also.map(|(message, span)| {
                    let (line, column) = autofsm::place(&found.source.text, span.start);
                    let (end_line, end_column) = autofsm::place(&found.source.text, span.end);
                    Also { message, line, column, end_line, end_column }
                }),
            }
        })
        .collect();
    // Text, numbers and lists always have a form in JSON.
    serde_json::to_string_pretty(&findings).unwrap_or_default() + "\n"
}

/// The findings a line each, those of a file of faults too, and whether there is no error.
fn short(options: &Check) -> Result<(String, bool), End> {
    let found = look(&options.file)?;
    let text = autofsm::short(&found.diagnostics, &found.source.name, &found.source.text);
    let is_fine = found.definition.is_some();
    let Some((definition, path)) = found.definition.zip(options.file.faults.as_ref()) else {
        return Ok((text, is_fine));
    };
    let (faults, is_fine) = FaultsText::short(path, &definition)?;
    Ok((text + &faults, is_fine))
}

pub(super) fn check(options: &Check) -> Result<(), End> {
    if options.format == Form::Json {
        let found = look(&options.file)?;
        print(&json(&found))?;
        return if found.definition.is_some() { Ok(()) } else { Err(End::Findings) };
    }
    if options.format == Form::Short {
        let (text, is_fine) = short(options)?;
        print(&text)?;
        return if is_fine { Ok(()) } else { Err(End::Findings) };
    }
    let Checked { definition, served, source, faults } = checked(&options.file)?;
    let rules = if served { "definition for this server" } else { "foreign definition" };
    let mut text = format!(
        "ok, checked as a {rules}: {} states, {} events, {} transitions\n",
        definition.states.len(),
        definition.events.len(),
        definition.cells.iter().flatten().count()
    );
    for property in &definition.properties {
        let kind = if property.accepts.is_none() { "never" } else { "always" };
        text += &format!("proven, {kind:<6}  {}\n", property.says.escape_debug());
    }
    if !definition.faults.is_empty() {
        text += "warning: a server misbehaves by these faults; they are for tests only\n";
    }
    for fault in &definition.faults {
        let at = fault_place(faults.as_ref(), &source.name, &source.text, fault);
        let run = fault.dialogue(&definition);
        text += &format!(
            "fault  {}\n       at {at}, fires at {run}{}\n",
            fault.shown(),
            fault.condition()
        );
    }
    print(&text)
}
