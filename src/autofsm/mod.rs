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

use std::collections::BTreeMap;

mod causes;
mod diagnostic;
mod diff;
mod directives;
mod expression;
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

pub use diagnostic::{Diagnostic, Severity, place, render};
pub use diff::{Change, Comparison, Difference, diff, offers};
pub use graph::{EventIndex, Move, Run, StateIndex};
pub use marks::Marks;
pub use page::page;
pub use picture::{dot, mermaid, svg};
pub use resolve::suggest;
pub use rust::rust;
pub use show::{json, table};

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
            let found = resolve::resolve(source, &parsed, rules, &mut diagnostics);
            // In a definition to be served no row may be lost without a word.
            let is_served = rules.is_some() && (found.answers || has_error(&diagnostics));
            let overruns = causes::overruns(source, &parsed.comments, is_served);
            let is_whole = is_well_formed && (!is_served || overruns.is_empty());
            diagnostics.extend(overruns);
            checked =
                check(source, &found, rules.filter(|_| found.answers), is_whole, &mut diagnostics);
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
        .map(|sign| if matches!(sign, '-' | '^') { '_' } else { sign.to_ascii_lowercase() })
        .collect()
}

/// What a server can do: the actions that a definition to be served may name.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The actions, each with what the compiler must prove of it.
    pub actions: &'static [ActionSpec],
    /// The commands that have a meaning of their own; a row may accept them by their actions only.
    pub commands: &'static [CommandSpec],
    /// The commands, and other words that a client would take for an offer, whose meaning the
    /// server cannot keep: a row may only refuse them.
    pub unable: &'static [&'static str],
    /// The commands that a server keeps only if it has what they need: else it leaves out their
    /// rows.
    pub conditional: &'static [&'static str],
    /// The event that stands for a piece of content. It is not a client's, and is not answered.
    pub content: &'static str,
    /// The event that stands for the end of content. It is not a client's, and is never refused.
    pub end: &'static str,
    /// The keywords that it can keep. One that is the name of a command is kept by that command.
    pub keywords: &'static [KeywordSpec],
    /// The action whose answer offers the keywords.
    pub offering: &'static str,
    /// The action of `content`, and of no other event.
    pub append: &'static str,
    /// The action of `end`, and of no other event.
    pub deliver: &'static str,
    /// The thing that a session may hold only where content is read.
    pub message: &'static str,
    /// The action of a row that refuses: it gives the row's reply, and does nothing else.
    pub refusing: &'static str,
    /// The code that asks for content.
    pub content_code: u16,
    /// The codes that say that the connection closes: a row has one if it leads to the last state.
    pub closing_codes: &'static [u16],
    /// Codes of success that promise what no row does, each with what it says.
    pub other_codes: &'static [(u16, &'static str)],
}

/// A keyword that has a meaning.
#[derive(Clone, Copy, Debug)]
pub struct KeywordSpec {
    /// The word.
    pub name: &'static str,
    /// The command that it stands for, if there is one: it is offered where that is accepted.
    pub command: Option<&'static str>,
}

impl Vocabulary {
    /// The keyword of this name, in any case.
    fn keyword(&self, word: &str) -> Option<&KeywordSpec> {
        self.keywords.iter().find(|known| known.name.eq_ignore_ascii_case(word))
    }
}

/// A command that has a meaning: what a success promises.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// The event's name.
    pub name: &'static str,
    /// The actions that do it.
    pub actions: &'static [&'static str],
    /// The codes of success that say that one of these actions was done.
    pub codes: &'static [u16],
    /// The word that a client writes before the argument, with its colon; "" if there is none.
    pub word: &'static str,
}

/// Whether an action takes an argument; without one that is required, or with one that is
/// refused, its command is never accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// There must be none.
    Refused,
    /// There may be one, where the command's syntax shows it.
    Optional,
    /// There must be one.
    Required,
}

/// One action: its name, and what it needs, gives and drops of the conversation's resources.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// The word in the definition, `add_recipient`.
    pub name: &'static str,
    /// The same as a Rust variant, `AddRecipient`, for the generated table.
    pub variant: &'static str,
    /// Whether it looks for an argument after the command's verb.
    pub argument: Argument,
    /// What a session must hold on every path that leads here, each as a phrase: `a sender`.
    pub needs: &'static [&'static str],
    /// What it must not hold on any path that leads here.
    pub lacks: &'static [&'static str],
    /// What it holds afterwards.
    pub gives: &'static [&'static str],
    /// What it no longer holds afterwards, but for what the action also `gives`.
    pub drops: &'static [&'static str],
}

/// A compiled definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The `prefix` attribute, `smtp`.
    pub prefix: Option<String>,
    /// The states in the order of the table: `init`, those declared, `done`. (`invalid` is no
    /// state of ours: it is the absence of a cell.)
    pub states: Vec<State>,
    /// The events in the order of their declaration.
    pub events: Vec<Event>,
    /// The values of `keyword`.
    pub keywords: Vec<Keyword>,
    /// One entry a state and event, at `state * events.len() + event`.
    pub cells: Vec<Option<Cell>>,
    /// The cells that a row takes back, by state and event, with that row first and then the rows
    /// that it overrides, the last one first. (`ttype = invalid` takes back what a `"*"` row set.)
    pub taken_back: BTreeMap<(usize, usize), Vec<Span>>,
    /// What was written of `never` and `always`.
    pub properties: Vec<Property>,
}

impl Definition {
    /// The cell of a state and an event, by their numbers.
    #[must_use]
    pub fn cell(&self, state: usize, event: usize) -> Option<&Cell> {
        if event >= self.events.len() {
            return None;
        }
        self.cells.get(state * self.events.len() + event)?.as_ref()
    }

    /// The cell of a state and an event if the event is accepted there: a row that refuses it is a
    /// cell, too, but its event is no letter of a run.
    #[must_use]
    pub fn accepted(&self, state: usize, event: usize) -> Option<&Cell> {
        self.cell(state, event).filter(|cell| !cell.is_refusal())
    }

    /// Whether a row accepts a command by the action that does what the command means, and the
    /// action is one that needs something: so that the definition is surely one for this server.
    #[must_use]
    pub fn accepts_by(&self, rules: &Vocabulary) -> bool {
        served::cells(self).any(|(_, event, cell)| {
            let action = served::action(rules, cell).filter(|action| !action.needs.is_empty());
            let name = &self.events[event].name;
            let mut commands = rules.commands.iter().filter(|known| same_name(known.name, name));
            action.is_some_and(|action| {
                commands.any(|command| command.actions.contains(&action.name))
            })
        })
    }
}

/// A keyword of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub name: String,
    /// The number of the command that it stands for, if there is one.
    pub command: Option<usize>,
    /// Where the word is.
    pub span: Span,
}

/// A `never` or `always` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What it says in words.
    pub says: String,
    /// Where `says` has its value, quotes included.
    pub says_span: Span,
    /// The expression over events: `path` of a `never`, `after` of an `always`.
    pub path: String,
    /// Where the expression stands, quotes included.
    pub path_span: Span,
    /// The events of an `always`; none for a `never`.
    pub accepts: Option<Vec<usize>>,
    /// Where each event of `accepts` stands, in the same order.
    pub accepts_spans: Vec<Span>,
    /// Where the block begins.
    pub span: Span,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The name as it was declared.
    pub name: String,
    /// The comment beside its declaration, or "".
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name as it was declared.
    pub name: String,
    /// The display name (`NOOP = "NOOP [text]";`): for a command, its syntax.
    pub display: Option<String>,
    /// The comment beside its declaration, or "".
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// What happens to an event in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The index of the next state.
    pub next: usize,
    /// The transition type; none where the definition says `noop`.
    pub action: Option<String>,
    /// The answer, where the definition gives one.
    pub reply: Option<Reply>,
    /// Where the reply is written.
    pub reply_span: Option<Span>,
    /// What a finding about this cell points at: the row's `ttype`; the row if it has none.
    pub culprit: Span,
    /// The row that decided this cell, from `{` to `}`.
    pub row: Span,
    /// The rows that this one overrode here, whole, the last one first.
    pub overridden: Vec<Span>,
}

impl Cell {
    /// The row refuses its event with words of its own: its reply is 4xx or 5xx. If it moves, the
    /// move is a part of the graph, but the event was not accepted.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.code >= 400)
    }
}

/// The `reply` attribute: `reply = 250;` or `reply = '250 2.0.0 text';`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The words after the code, if there are any.
    pub text: Option<String>,
}

/// A piece of the source, in octets from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first octet.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}
