//! What a row answers, and how its command is written, must fit what the row does. Nothing here
//! stops a server, but each mistake would mislead every client: a command that is always refused
//! for its argument, content that nobody was asked for, a refusal after which all has changed.

use std::collections::BTreeSet;

use super::diagnostic::keep;
use super::served::{action, cells, event};
use super::{ActionSpec, Argument, Cell, Definition, Diagnostic, Event, Vocabulary, same_name};

/// How a command's syntax shows its argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    None,
    Optional,
    Required,
}

/// What a row says of its command's argument, in a table or in rows that set no cell of it.
pub(super) fn check_arguments<'c>(
    definition: &Definition,
    rules: &Vocabulary,
    cells: impl Iterator<Item = (usize, &'c Cell)>,
    found: &mut Vec<Diagnostic>,
) {
    let mut said = BTreeSet::new();
    for (index, cell) in cells {
        let Some((spec, event)) = action(rules, cell).zip(definition.events.get(index)) else { continue };
        let is_command = ![rules.content, rules.end].iter().any(|name| same_name(&event.name, name));
        if let Some((message, help)) = argument(spec, event).filter(|_| is_command)
            // A row stands for many cells, and is wrong once.
            && said.insert((cell.row, message.clone()))
        {
            keep(found, Diagnostic::error(cell.row, message).help(Some(help)));
        }
    }
}

/// Whether a row's reply fits what it does. The table must be whole.
pub(super) fn check(definition: &Definition, rules: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let (content, end) = (event(definition, rules.content), event(definition, rules.end));
    let mut said = BTreeSet::new();
    for (state, index, cell) in cells(definition) {
        let Some(spec) = action(rules, cell) else { continue };
        let is_command = Some(index) != content && Some(index) != end;
        let content_follows =
            is_command && content.is_some_and(|content| definition.cell(cell.next, content).is_some());
        let moves_on = cell.next != state && cell.next + 1 != definition.states.len();
        let mistakes = cell.reply.as_ref().and_then(|reply| code(reply.code, spec, content_follows, moves_on));
        if let Some((message, help)) = mistakes {
            // A row stands for many cells, and is wrong once.
            if said.insert((cell.row, message.clone())) {
                found.push(Diagnostic::error(cell.row, message).help(Some(help)));
            }
        }
    }
}

type Mistake = Option<(String, String)>;

fn argument(spec: &ActionSpec, event: &Event) -> Mistake {
    let syntax = event.display.as_deref().unwrap_or(&event.name);
    let why = match (spec.argument, shown(syntax)) {
        (Argument::Required, Shown::None) => format!("needs an argument, and `{syntax}` shows none"),
        (Argument::Required, Shown::Optional) => format!("needs an argument, and `{syntax}` lets it be left out"),
        (Argument::Refused, Shown::Optional | Shown::Required) => {
            format!("takes no argument, and `{syntax}` shows one")
        }
        _ => return None,
    };
    let help = format!("another action, or another syntax at the top: `{0} = \"{0} ...\";`", event.name);
    Some((format!("`{}` {why}", spec.name), help))
}

fn code(code: u16, spec: &ActionSpec, content_follows: bool, moves_on: bool) -> Mistake {
    let does = !spec.gives.is_empty() || !spec.drops.is_empty();
    let (message, help) = if content_follows != (300..400).contains(&code) {
        if content_follows {
            (format!("content follows, and {code} does not ask for any"), "a code from 300 to 399")
        } else {
            (format!("{code} asks for content, and none is read after it"), "a code from 200 to 299")
        }
    } else if code >= 400 && (does || moves_on) {
        let message = format!("{code} says that nothing has happened, and the row does `{}` or moves on", spec.name);
        (message, "a row's reply is for success; a command that is refused gets its own code and changes nothing")
    } else {
        return None;
    };
    Some((message, help.to_owned()))
}

fn shown(syntax: &str) -> Shown {
    match syntax.split_ascii_whitespace().nth(1) {
        None => Shown::None,
        Some(word) if word.starts_with('[') => Shown::Optional,
        Some(_) => Shown::Required,
    }
}
