//! The keywords, and what a state lets the server offer of them.
//!
//! A keyword that stands for a command is offered only if the state after the offer accepts the
//! command. So an offer follows from the table, and cannot lie.

use super::diagnostic::keep;
use super::served::{action, cells};
use super::{Definition, Diagnostic, Keyword, Vocabulary, same_name};

impl Keyword {
    /// The command that a keyword stands for, by the number of its event: the one that the
    /// vocabulary names, else the one of the same name.
    pub(super) fn command_of(
        word: &str,
        rules: Option<&Vocabulary>,
        definition: &Definition,
    ) -> Option<usize> {
        let spec = rules.and_then(|rules| rules.keyword(word));
        let command = match spec {
            Some(spec) => spec.command?,
            None => word,
        };
        definition.events.iter().position(|event| same_name(&event.name, command))
    }
}

impl Definition {
    /// The keywords that are offered in an answer after which the machine is in a state, in the
    /// order of the definition.
    pub fn offers(&self, state: usize) -> impl Iterator<Item = &str> {
        let is_kept = move |keyword: &&Keyword| {
            keyword.command.is_none_or(|event| self.accepted(state, event).is_some())
        };
        self.keywords.iter().filter(is_kept).map(|keyword| keyword.name.as_str())
    }
}

/// Whether each keyword that stands for a command is offered somewhere. The table must be whole.
pub(super) fn check(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let offering = |cell: &super::Cell| {
        !cell.is_refusal() && action(rules, cell).is_some_and(|spec| spec.name == rules.offering)
    };
    let after: Vec<usize> =
        cells(definition).filter(|(.., cell)| offering(cell)).map(|(.., cell)| cell.next).collect();
    for keyword in &definition.keywords {
        let Some(event) = keyword.command else { continue };
        let command = &definition.events[event].name;
        if after.iter().any(|state| definition.accepted(*state, event).is_some()) {
            continue;
        }
        let name = &keyword.name;
        let rows = (0..definition.states.len()).filter_map(|state| definition.cell(state, event));
        let (rows, accepting): (usize, usize) =
            rows.fold((0, 0), |(rows, yes), row| (rows + 1, yes + usize::from(!row.is_refusal())));
        let help = Some(format!("write a row for `{command}`, or take the keyword away"));
        if rows == 0 {
            let message = format!("the keyword `{name}` is never offered: `{command}` has no row");
            keep(found, Diagnostic::error(keyword.span, message).help(help));
            continue;
        }
        let why = match accepting {
            0 => format!("each row of `{command}` refuses it"),
            _ => format!("no state after `{}` accepts `{command}`", rules.offering),
        };
        let message = format!("the keyword `{name}` is never offered: {why}");
        keep(found, Diagnostic::warning(keyword.span, message).help(help));
    }
}
