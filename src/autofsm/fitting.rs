//! A success means that it happened: what a row answers must fit what the row does.
//!
//! [`check_rows`]: a command with a meaning of its own is accepted by its own action only, and how
//! it is written fits the action that reads its argument. [`check_replies`]: a code promises
//! nothing that the row does not do, and a refusal does nothing. What a code and a command mean
//! comes with the vocabulary.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::keep;
use super::served::{action, cells, event, only_says_it_closes, reads_content};
use super::{
    ActionSpec, Argument, Cell, CommandSpec, Definition, Diagnostic, Event, Reply, Span,
    Vocabulary, same_name,
};

/// What an event means to a client.
struct Meaning<'a> {
    /// It has a meaning of its own.
    command: Option<&'a CommandSpec>,
    /// Whatever a row does, the server cannot do it.
    is_unable: bool,
    /// It is a piece of content, or the end: not a client's word.
    is_framers: bool,
}

impl<'a> Meaning<'a> {
    fn of(event: &Event, rules: &'a Vocabulary) -> Self {
        let is = |name: &str| same_name(name, &event.name);
        Self {
            command: rules.commands.iter().find(|command| is(command.name)),
            is_unable: rules.unable.iter().any(|name| is(name)),
            is_framers: is(rules.content) || is(rules.end),
        }
    }
}

/// What each row does by itself, in a table or in rows that set no cell of it. Returns whether each
/// command is accepted by its own action.
pub(super) fn check_rows<'c>(
    definition: &Definition,
    rules: &Vocabulary,
    cells: impl Iterator<Item = (usize, &'c Cell)>,
    found: &mut Vec<Diagnostic>,
) -> bool {
    let meanings: Vec<_> =
        definition.events.iter().map(|event| Meaning::of(event, rules)).collect();
    // One finding for a command's syntax, whatever the number of its rows.
    let mut reported = BTreeSet::new();
    let mut wrong: BTreeMap<Span, (&str, Vec<&CommandSpec>)> = BTreeMap::new();
    let mut unable: BTreeMap<Span, BTreeSet<&str>> = BTreeMap::new();
    for (index, cell) in cells {
        let Some(spec) = action(rules, cell) else { continue };
        let Some((meaning, event)) = meanings.get(index).zip(definition.events.get(index)) else {
            continue;
        };
        // A refusal is given before the argument is read.
        if meaning.is_framers || cell.is_refusal() {
            continue;
        }
        // Where the actions of content may be is asked of the whole table.
        let is_of_content = [rules.append, rules.deliver].contains(&spec.name);
        let command = meaning
            .command
            .filter(|command| !is_of_content && !command.actions.contains(&spec.name));
        if meaning.is_unable && !is_of_content {
            unable.entry(cell.culprit).or_default().insert(&event.name);
        }
        if let Some(owner) = owner(rules, spec.name)
            && meaning.command.is_none()
        {
            let message = format!("`{}` is what `{owner}` does, and no other command", spec.name);
            let help = format!(
                "name the event `{owner}`: a server that lacks what it needs leaves it out"
            );
            if reported.insert(message.clone()) {
                keep(found, Diagnostic::error(cell.culprit, message).help(Some(help)));
            }
        }
        if let Some(command) = command {
            let commands = &mut wrong.entry(cell.culprit).or_insert((spec.name, Vec::new())).1;
            if !commands.iter().any(|known| known.name == command.name) {
                commands.push(command);
            }
        } else if let Some((message, help)) = argument(spec, event, meaning.command.is_none())
            && reported.insert(message.clone())
        {
            keep(found, Diagnostic::error(cell.culprit, message).help(Some(help)));
        }
    }
    let fits = wrong.is_empty() && unable.is_empty();
    report(wrong, unable, found);
    fits
}

/// The command that an action belongs to alone: one whose rows a server may have to leave out.
fn owner(rules: &Vocabulary, action: &str) -> Option<&'static str> {
    let is_conditional = |command: &&CommandSpec| rules.conditional.contains(&command.name);
    let mut commands = rules.commands.iter().filter(is_conditional);
    commands.find(|command| command.actions.contains(&action)).map(|command| command.name)
}

fn report(
    wrong: BTreeMap<Span, (&str, Vec<&CommandSpec>)>,
    unable: BTreeMap<Span, BTreeSet<&str>>,
    found: &mut Vec<Diagnostic>,
) {
    for (span, (action, commands)) in wrong {
        let names: Vec<_> = commands.iter().map(|command| command.name).collect();
        let wanted = |command: &&CommandSpec| {
            format!("`{}` by `{}`", command.name, command.actions.join("` or `"))
        };
        let wanted: Vec<_> = commands.iter().map(wanted).collect();
        let message =
            format!("accepting `{}` promises what `{action}` does not do", names.join("`, `"));
        let help =
            format!("accept {}; or refuse, with a `reply` of 400 or more", wanted.join(", "));
        keep(found, Diagnostic::error(span, message).help(Some(help)));
    }
    for (span, names) in unable {
        let names = names.into_iter().collect::<Vec<_>>().join("`, `");
        let message = format!("accepting `{names}` promises what this server cannot do");
        let help = "leave it out, or refuse it with a `reply` of 400 or more".to_owned();
        keep(found, Diagnostic::error(span, message).help(Some(help)));
    }
}

/// The mistake in a syntax for an action, and the help. `is_free` tells whether another action may
/// do it.
fn argument(spec: &ActionSpec, event: &Event, is_free: bool) -> Option<(String, String)> {
    let syntax = event.display.as_deref().unwrap_or(&event.name);
    let why = match (spec.argument, shown(syntax)) {
        (Argument::Required, Shown::None) => {
            format!("needs an argument, and `{syntax}` shows none")
        }
        (Argument::Required, Shown::Optional) => {
            format!("needs an argument, and `{syntax}` lets it be left out")
        }
        (Argument::Refused, Shown::Optional | Shown::Required) => {
            format!("takes no argument, and `{syntax}` shows one")
        }
        _ => return None,
    };
    let or = if is_free { "another action, or " } else { "" };
    let argument = if spec.argument == Argument::Refused { "" } else { " ..." };
    let help = format!("{or}another syntax at the top: `{0} = \"{0}{argument}\";`", event.name);
    Some((format!("`{}` {why}", spec.name), help))
}

/// A row's cell, with what is asked of it here.
struct Row<'a> {
    definition: &'a Definition,
    rules: &'a Vocabulary,
    state: usize,
    event: usize,
    cell: &'a Cell,
    spec: &'a ActionSpec,
    meaning: &'a Meaning<'a>,
    /// The state that the row leads to reads content.
    content_follows: bool,
}

/// What a row answers is true. The table must be whole.
pub(super) fn check_replies(
    definition: &Definition,
    rules: &Vocabulary,
    found: &mut Vec<Diagnostic>,
) {
    let meanings: Vec<_> =
        definition.events.iter().map(|event| Meaning::of(event, rules)).collect();
    let (content, end) = (event(definition, rules.content), event(definition, rules.end));
    let mut reported = BTreeSet::new();
    for (state, index, cell) in cells(definition) {
        let (Some(spec), Some(reply)) = (action(rules, cell), &cell.reply) else { continue };
        // Where one of the two rows of content is missing, or the end leads to content, that was
        // reported.
        let content_follows = Some(index) != end && reads_content(definition, rules, cell.next);
        let meaning = &meanings[index];
        let row =
            Row { definition, rules, state, event: index, cell, spec, meaning, content_follows };
        let mistake = if Some(index) == content {
            Some((format!("`{}` is not answered", row.name()), "leave out `reply`".to_owned()))
        } else {
            row.reply(reply, Some(index) == end)
        };
        // A row sets many cells, and is wrong once.
        if let Some((message, help)) = mistake
            && reported.insert((cell.culprit, message.clone()))
        {
            let said = Diagnostic::error(cell.reply_span.unwrap_or(cell.culprit), message);
            let is_cause = only_says_it_closes(definition, rules, cell);
            let said = if is_cause { said.cause() } else { said };
            keep(found, said.help(Some(help)));
        }
    }
}

impl Row<'_> {
    /// What is wrong with the reply, and what would be right.
    fn reply(&self, reply: &Reply, is_end: bool) -> Option<(String, String)> {
        let promise = match self.cell.is_refusal() {
            true if is_end => {
                let message = format!(
                    "no row refuses `{}`: its answer says whether the message is safe",
                    self.name()
                );
                Some((message, self.usual_codes()))
            }
            true => self.refusal(reply.code),
            false => self.success(reply.code),
        };
        promise.or_else(|| self.closing(reply.code)).or_else(|| status(reply))
    }

    /// A refusal changes nothing, but that it may close the connection.
    fn refusal(&self, code: u16) -> Option<(String, String)> {
        let (does, refusing) = (self.spec.name, self.rules.refusing);
        if does != refusing {
            let message = format!(
                "{code} tells the client that nothing was done, but this row does `{does}`"
            );
            return Some((
                message,
                format!(
                    "a row that refuses has `ttype = {refusing};`; one that accepts answers 2xx"
                ),
            ));
        }
        if self.cell.next != self.state && !self.closes() {
            let next = &self.definition.states[self.cell.next].name;
            let message = format!(
                "{code} tells the client that nothing changed, but this row goes on to `{next}`"
            );
            let free = if self.meaning.command.is_none() { ", or answer 2xx" } else { "" };
            return Some((message, format!("leave out `next`{free}")));
        }
        None
    }

    fn success(&self, code: u16) -> Option<(String, String)> {
        let asks = self.rules.content_code;
        let usual = "a code from 200 to 299".to_owned();
        if !self.content_follows && code == asks {
            return Some((format!("{code} asks for content, and none is read after it"), usual));
        }
        if self.content_follows && code != asks {
            return Some((
                format!("content follows, and {code} does not ask for any"),
                format!("`reply = {asks};`"),
            ));
        }
        if code >= 300 && code != asks {
            return Some((format!("{code} asks for more, and nothing reads it"), usual));
        }
        // With another action the code is wrong for that reason, and `actions` says so.
        let does = |command: &&CommandSpec| command.actions.contains(&self.spec.name);
        let command = self.meaning.command.filter(does);
        if let Some(command) = command.filter(|command| !command.codes.contains(&code)) {
            let message = format!(
                "`{}` is accepted with {}, not with {code}",
                command.name,
                numbers(command.codes)
            );
            let or = if self.spec.name == self.rules.refusing {
                "; or refuse, with a `reply` of 400 or more"
            } else {
                ""
            };
            return Some((message, self.usual_codes() + or));
        }
        // An action says the same under another verb.
        let is_free = self.meaning.command.is_none() && self.spec.name != self.rules.refusing;
        let meant = self.rules.commands.iter().find(does).filter(|_| is_free);
        if let Some(meant) = meant.filter(|meant| !meant.codes.contains(&code)) {
            let (does, codes) = (self.spec.name, numbers(meant.codes));
            let message = format!("`{does}` is answered with {codes}, not with {code}");
            return Some((
                message,
                format!("`reply = {codes};`").replace(" or ", ";`, or `reply = "),
            ));
        }
        if command.is_some() || meant.is_some() || self.meaning.is_unable {
            return None;
        }
        let (_, says) = self.rules.other_codes.iter().find(|(other, _)| *other == code)?;
        Some((format!("{code} says {says}, which no row brings about"), usual))
    }

    /// The connection closes if and only if the code says so.
    fn closing(&self, code: u16) -> Option<(String, String)> {
        let last = self.definition.states.last().map_or("", |state| state.name.as_str());
        let says = self.rules.closing_codes.contains(&code);
        if says && !self.closes() {
            let message = format!(
                "{code} says that the connection closes, and this row does not lead to `{last}`"
            );
            let needs_it = self.meaning.command.is_some_and(|command| {
                command.codes.iter().all(|code| self.rules.closing_codes.contains(code))
            });
            let or = if needs_it { "" } else { "; or use another code" };
            return Some((message, format!("write `next = {last};`{or}")));
        }
        if says || !self.closes() {
            return None;
        }
        let message = format!(
            "this row leads to `{last}`, which closes the connection, and {code} does not say so"
        );
        let is_refusal = |code: u16| code >= 400;
        let right =
            self.rules.closing_codes.iter().find(|right| is_refusal(**right) == is_refusal(code));
        let allowed =
            self.meaning.command.filter(|_| !is_refusal(code)).map(|command| command.codes);
        let right = right.filter(|right| allowed.is_none_or(|allowed| allowed.contains(right)));
        let help = match right {
            Some(code) => format!("`reply = {code};`, or another `next`"),
            None => format!("another `next`: `{}` does not close the connection", self.name()),
        };
        Some((message, help))
    }

    fn closes(&self) -> bool {
        self.cell.next + 1 == self.definition.states.len()
    }

    fn name(&self) -> &str {
        &self.definition.events[self.event].name
    }

    fn usual_codes(&self) -> String {
        let codes = self.meaning.command.map_or(&[][..], |command| command.codes);
        codes.iter().map(|code| format!("`reply = {code};`")).collect::<Vec<_>>().join(" or ")
    }
}

fn numbers(codes: &[u16]) -> String {
    codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}

/// A status in a reply's words, as `2.1.5`, is of the reply's own class.
/// A status in a reply's words, as `2.1.5`, is of the reply's own class.
fn status(reply: &Reply) -> Option<(String, String)> {
    let word = reply.text.as_deref()?.split(' ').next()?;
    let parts: Vec<_> = word.split('.').collect();
    let is_number = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
    };
    if parts.len() != 3 || !parts.iter().all(is_number) {
        return None;
    }
    let class = (reply.code / 100).to_string();
    let help = match class.as_str() {
        "3" => "leave it out: a code from 300 to 399 has none".to_owned(),
        _ if parts[0] == class => return None,
        _ => format!("a status that begins with {class}, or none"),
    };
    Some((format!("`{word}` contradicts {}", reply.code), help))
}

/// How a command's syntax shows its argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    None,
    Optional,
    Required,
}

fn shown(syntax: &str) -> Shown {
    match syntax.split_ascii_whitespace().nth(1) {
        None => Shown::None,
        Some(word) if word.starts_with('[') => Shown::Optional,
        Some(_) => Shown::Required,
    }
}
