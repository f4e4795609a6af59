//! The definition compiler: text in GNU AutoFSM's syntax becomes a checked, proven table.
//!
//! Stricter than AutoFSM, never different: a definition that [`compile`] accepts gives under
//! GNU `autogen` the same next state and the same transition type in every cell.
//!
//! ```text
//! text --lexer, directives, parser--> attributes --slips--> mended ones --resolve--> Definition
//!   of a             by         what it checks
//!   row              fitting    it does what it answers; the vocabulary says what that is
//!   table            served     each action finds what it needs, content ends, all can end
//!   table            keywords   each keyword that stands for a command is offered somewhere
//!   property         proof      never and always; expression reads them
//!   fault            faults     where it may fire; automaton follows its expression
//!   finding          causes     the order; those of one cause are one; diagnostic shows them
//! Definition --rust--> the table that is built; --page--> a page again; --diff--> another
//! Definition, findings --marks, picture, show--> for people
//! ```
//!
//! Each module that follows runs of the machine uses `graph`'s walk.
//!
//! This module knows nothing of SMTP, nor of the rest of this crate: the build script includes
//! it by path, so that what the build checks and what the command line checks is one piece of
//! code, and an import of anything else would not compile. The caller hands in what it can
//! act upon, as a [`Vocabulary`].

mod automaton;
mod causes;
mod definition;
mod diagnostic;
mod diff;
mod directives;
mod expression;
mod faults;
mod fitting;
mod graph;
mod keywords;
mod lexer;
mod marks;
mod page;
mod parser;
mod picture;
mod proof;
mod resolve;
mod rust;
mod served;
mod show;
mod slips;
mod vocabulary;

pub use automaton::{Automaton, Progress};
pub use definition::{Cell, Definition, Event, Keyword, Property, Reply, Span, State};
pub use diagnostic::{Diagnostic, Severity, place, render, short};
pub use diff::{Change, Comparison, Difference, diff, offers};
pub use faults::{
    Answer, Code, Count, Ending, FAULTS_MAX, Fault, FaultCompilation, Pace,
    compile as compile_faults, milliseconds, refused_in_a_build,
};
pub use graph::{EventIndex, Move, Node, NodeIndex, Run, StateIndex, Walk};
pub use marks::Marks;
pub use page::page;
pub use picture::{Leg, dot, mermaid, svg, svg_of_both, svg_of_run};
pub use resolve::suggest;
pub use rust::rust;
pub use show::{grid, json, table};
pub use vocabulary::{
    ActionSpec, Argument, CommandSpec, CountKey, KeywordSpec, PatternReader, Vocabulary,
};

use resolve::Resolved;

/// What [`compile`] made of a text.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// The definition; none if there is an error.
    pub definition: Option<Definition>,
    /// A definition with an error, if all its cells are known all the same: to be looked at, and not
    /// to be served.
    pub refused: Option<Definition>,
    /// Whether any row gives a reply, as those do that are to be served. Known with errors, too.
    pub answers: bool,
    /// The findings: errors before warnings, each sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a definition. With a vocabulary it is checked as one to be served.
#[must_use]
pub fn compile(source: &str, rules: Option<&Vocabulary>) -> Compilation {
    compile_with(source, rules, &[])
}

/// Compiles a definition with these names defined to its `#ifdef` and `#ifndef`, each as `NAME` or
/// `NAME=VALUE`: as `autogen -D NAME` does. The build and the server define none.
#[must_use]
pub fn compile_with(source: &str, rules: Option<&Vocabulary>, defines: &[&str]) -> Compilation {
    let mut diagnostics = Vec::new();
    let (mut resolved, mut comments, mut checked) = (None, Vec::new(), Checked::default());
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("larger than {} MiB", SOURCE_BYTES_MAX >> 20);
        diagnostics.push(Diagnostic::error(Span::default(), message));
    } else {
        let mut parsed = parser::parse(source, defines, &mut diagnostics);
        // A file without our header is not ours, and nothing more is reported.
        let is_well_formed = !has_error(&diagnostics);
        if is_well_formed || !parsed.attributes.is_empty() {
            slips::mend(&mut parsed, rules.is_some(), &mut diagnostics);
            let mut found = resolve::resolve(source, &parsed, rules, &mut diagnostics);
            // In a definition to be served no row may be lost without a word.
            let is_served = rules.is_some() && (found.answers || has_error(&diagnostics));
            let overruns = causes::overruns(source, &parsed.comments, is_served);
            let is_whole = is_well_formed && (!is_served || overruns.is_empty());
            diagnostics.extend(overruns);
            checked =
                check(source, &found, rules.filter(|_| found.answers), is_whole, &mut diagnostics);
            let served = rules.filter(|_| found.answers);
            // Of a machine that is not whole nothing is known of where a fault fires.
            if let (Some(rules), true) = (served, checked.is_proven) {
                found.definition.faults = faults::check(
                    source,
                    &parsed.attributes,
                    &found.definition,
                    rules,
                    &mut diagnostics,
                );
            }
            resolved = Some(found);
            comments = parsed.comments;
        }
    }
    causes::order(source, resolved.as_ref(), &comments, &mut diagnostics);
    let is_accepted = !has_error(&diagnostics);
    // What was not proven is never handed out as accepted, whatever was said of it.
    debug_assert!(checked.is_proven || !is_accepted);
    let answers = resolved.as_ref().is_some_and(|found| found.answers);
    let known = resolved.map(|found| found.definition).filter(|_| checked.has_cells);
    let (definition, refused) =
        if is_accepted && checked.is_proven { (known, None) } else { (None, known) };
    Compilation { definition, refused, answers, diagnostics }
}

/// How far a definition was checked.
#[derive(Clone, Copy, Default)]
struct Checked {
    /// Each of its cells is known.
    has_cells: bool,
    /// The machine was checked as a whole.
    is_proven: bool,
}

fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// All that is checked of a table. Rows are checked by themselves whatever else is wrong; what
/// holds of the machine as a whole, only where each row is in it: else it may follow from a mistake
/// that was reported.
fn check(
    source: &str,
    found: &Resolved,
    rules: Option<&Vocabulary>,
    is_well_formed: bool,
    said: &mut Vec<Diagnostic>,
) -> Checked {
    let definition = &found.definition;
    let has_cells = found.has_cells() && is_well_formed;
    let is_whole = has_cells && found.has_replies();
    // A refusal that moves is a mistake, and so is a row that says a closing code and goes on: what
    // the rules say of such a move would follow from it.
    let last = definition.states.len().saturating_sub(1);
    let strays = rules.is_some_and(|rules| {
        served::cells(definition).any(|(state, _, cell)| {
            cell.is_refusal() && ![state, last].contains(&cell.next)
                || served::only_says_it_closes(definition, rules, cell)
        })
    });
    let mut lacking = Vec::new();
    if let Some(rules) = rules {
        let cells = served::cells(definition).map(|(_, event, cell)| (event, cell));
        let loose = found.loose.iter().map(|(event, cell)| (*event, cell));
        let fits = fitting::check_rows(definition, rules, cells.chain(loose), said);
        if is_whole && found.knows_actions() {
            lacking = served::check(definition, rules, fits && !strays, said);
            keywords::check(definition, rules, said);
            fitting::check_replies(definition, rules, said);
        }
    }
    let is_sound = is_whole && !strays;
    proof::check(source, definition, is_sound, &lacking, said);
    Checked { has_cells, is_proven: is_sound && (rules.is_none() || found.knows_actions()) }
}

/// The most that a definition may have, in octets.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Whether two names are one: case does not count, and `-`, `_` and `^` are one character.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().map(folded).eq(other.bytes().map(folded))
}

fn folded(octet: u8) -> u8 {
    if matches!(octet, b'-' | b'^') { b'_' } else { octet.to_ascii_lowercase() }
}

fn normal(name: &str) -> String {
    name.chars()
        .map(|char| if matches!(char, '-' | '^') { '_' } else { char.to_ascii_lowercase() })
        .collect()
}
