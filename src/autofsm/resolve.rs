//! Attributes into the table, with AutoFSM's meaning and more than its care.
//!
//! `init` is the first state and `done` the last; neither is declared. A cell that no row sets
//! is invalid. No `next`: stay. No `ttype`: `<state>_<event>`. `ttype = noop`: no action.
//! `tst = "*"` is every state, `tev = "*"` every event, and a row without `"*"` is the
//! exception to it. What autogen passes over without a word is an error here.

use super::lexer::Comment;
use super::parser::{Attribute, Content, Value};
use super::{Cell, Definition, Diagnostic, Event, Property, Reply, Span, State, normal, place, same_name};

const IMPLIED: &[&str] = &["init", "invalid", "done"];

/// A name of a list of these, close to a misspelt one, as a question.
pub fn suggest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let far = (wrong.len() / 3).max(1) + 1;
    let near = known.map(|name| (strsim::damerau_levenshtein(&normal(wrong), &normal(name)), name));
    let best = near.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance)?;
    Some(format!("did you mean `{}`?", best.1))
}

struct Resolver<'a> {
    source: &'a str,
    comments: &'a [Comment],
    found: &'a mut Vec<Diagnostic>,
    definition: Definition,
    /// For each cell the row that set it, and whether by `"*"`.
    setters: Vec<Option<(Span, bool)>>,
}

pub(super) fn resolve(
    source: &str,
    attributes: &[Attribute],
    comments: &[Comment],
    found: &mut Vec<Diagnostic>,
) -> Definition {
    let definition = Definition {
        prefix: None,
        states: vec![State { name: "init".to_owned(), doc: String::new(), span: Span::default() }],
        events: Vec::new(),
        keywords: Vec::new(),
        cells: Vec::new(),
        properties: Vec::new(),
    };
    let mut resolver = Resolver { source, comments, found, definition, setters: Vec::new() };
    resolver.names(attributes);
    resolver.rows(attributes);
    resolver.rest(attributes);
    resolver.warn();
    resolver.definition
}

/// The values of all attributes of this name: a repeated attribute appends.
fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a Value> {
    attributes.iter().filter(move |attribute| same_name(&attribute.name, name)).flat_map(|attribute| &attribute.values)
}

impl Resolver<'_> {
    fn text<'v>(&mut self, value: &'v Value) -> Option<&'v str> {
        value.text().map_err(|error| self.found.push(error)).ok()
    }

    /// The comment that stands behind a name, on its line.
    fn doc(&self, span: Span) -> String {
        let line = place(self.source, span.start).0;
        let beside =
            |comment: &&Comment| comment.span.start > span.end && place(self.source, comment.span.start).0 == line;
        self.comments.iter().find(beside).map_or(String::new(), |comment| comment.text.clone())
    }

    fn declare(&mut self, attributes: &[Attribute], kind: &str) -> Vec<(String, String, Span)> {
        let mut names: Vec<(String, String, Span)> = Vec::new();
        for value in values(attributes, kind) {
            let Some(name) = self.text(value).map(str::to_owned) else {
                continue;
            };
            let is_name = name.starts_with(|sign: char| sign.is_ascii_alphabetic())
                && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_^".contains(&octet));
            if !is_name {
                let message = format!(
                    "`{}` is no name for {} {kind}",
                    name.escape_debug(),
                    if kind == "event" { "an" } else { "a" }
                );
                self.found.push(
                    Diagnostic::error(value.span, message)
                        .help(Some("a letter, then letters, digits, `-`, `_`, `^`".to_owned())),
                );
            } else if kind == "state" && IMPLIED.iter().any(|implied| same_name(implied, &name)) {
                self.found.push(Diagnostic::error(value.span, format!("`{name}` is always there and is not declared")));
            } else if let Some((first, ..)) = names.iter().find(|(known, ..)| same_name(known, &name)) {
                let message = format!("the {kind} `{first}` is declared twice");
                self.found.push(Diagnostic::error(value.span, message));
            } else {
                let doc = self.doc(value.span);
                names.push((name, doc, value.span));
            }
        }
        if names.len() > usize::from(u16::MAX) / 2 {
            self.found.push(Diagnostic::error(Span::default(), format!("more {kind}s than 32,767 are not read")));
            names.clear();
        }
        names
    }

    fn names(&mut self, attributes: &[Attribute]) {
        let states = self.declare(attributes, "state");
        self.definition.states.extend(states.into_iter().map(|(name, doc, span)| State { name, doc, span }));
        self.definition.states.push(State { name: "done".to_owned(), doc: String::new(), span: Span::default() });
        let events = self.declare(attributes, "event");
        self.definition.events.extend(events.into_iter().map(|(name, doc, span)| Event {
            name,
            display: None,
            doc,
            span,
        }));
        let cells = self.definition.states.len() * self.definition.events.len();
        // A table is for people: a million cells are none, and must not cost their memory.
        if cells > 1_000_000 {
            self.found.push(Diagnostic::error(Span::default(), "states times events are more than 1,000,000"));
            self.definition.events.clear();
        }
        let cells = self.definition.states.len() * self.definition.events.len();
        self.definition.cells = vec![None; cells];
        self.setters = vec![None; cells];
    }

    fn state(&mut self, name: &str, span: Span) -> Option<usize> {
        if same_name(name, "invalid") {
            let message = "`invalid` is where a missing row leads";
            self.found.push(Diagnostic::error(span, message).help(Some("leave the row out".to_owned())));
            return None;
        }
        let index = self.definition.states.iter().position(|state| same_name(&state.name, name));
        if index.is_none() {
            let help = suggest(name, self.definition.states.iter().map(|state| state.name.as_str()));
            self.found
                .push(Diagnostic::error(span, format!("no state is called `{}`", name.escape_debug())).help(help));
        }
        index
    }

    fn event(&mut self, name: &str, span: Span) -> Option<usize> {
        let index = self.definition.events.iter().position(|event| same_name(&event.name, name));
        if index.is_none() {
            let help = suggest(name, self.definition.events.iter().map(|event| event.name.as_str()));
            self.found
                .push(Diagnostic::error(span, format!("no event is called `{}`", name.escape_debug())).help(help));
        }
        index
    }

    /// The states or events of a row's side; the flag says that it is `"*"`.
    fn side(&mut self, block: &[Attribute], row: Span, key: &str) -> Option<(Vec<usize>, bool)> {
        let given: Vec<_> = values(block, key).collect();
        if given.is_empty() {
            self.found.push(Diagnostic::error(row, format!("this row has no `{key}`")));
            return None;
        }
        let mut indices = Vec::new();
        for value in &given {
            let name = self.text(value)?.to_owned();
            if name == "*" {
                if given.len() > 1 {
                    self.found.push(Diagnostic::error(value.span, "`\"*\"` stands alone, not in a list"));
                    return None;
                }
                let all = if key == "tst" { self.definition.states.len() - 1 } else { self.definition.events.len() };
                return Some(((0..all).collect(), true));
            }
            let index = if key == "tst" { self.state(&name, value.span) } else { self.event(&name, value.span) };
            let Some(index) = index else { continue };
            if key == "tst" && index + 1 == self.definition.states.len() {
                self.found.push(Diagnostic::error(value.span, "nothing happens after `done`"));
            } else if indices.contains(&index) {
                self.found.push(Diagnostic::error(value.span, format!("`{name}` stands twice in this list")));
            } else {
                indices.push(index);
            }
        }
        if given.len() > 1 && indices.len() < given.len() {
            return Some((indices, false));
        }
        Some((indices, false))
    }

    fn one<'b>(&mut self, block: &'b [Attribute], key: &'b str) -> Option<(&'b str, Span)> {
        let mut given = values(block, key);
        let first = given.next()?;
        if let Some(second) = given.next() {
            self.found.push(Diagnostic::error(second.span, format!("`{key}` has one value")));
        }
        self.text(first).map(|text| (text, first.span))
    }

    fn reply(&mut self, block: &[Attribute]) -> Option<Reply> {
        let (text, span) = self.one(block, "reply")?;
        let (code, words) = text.split_at_checked(3).unwrap_or((text, ""));
        let valid = code.len() == 3 && matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
        let printable = words.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !valid || !printable || words.len() > 500 || !(words.is_empty() || words.starts_with(' ')) {
            let message = format!("`{}` is no reply", text.chars().take(40).collect::<String>().escape_debug());
            let help = "a code from 200 to 599, then a blank and at most 500 printable signs, if any".to_owned();
            self.found.push(Diagnostic::error(span, message).help(Some(help)));
            return None;
        }
        let words = words.trim();
        Some(Reply { code: code.parse().unwrap_or_default(), text: (!words.is_empty()).then(|| words.to_owned()) })
    }

    fn rows(&mut self, attributes: &[Attribute]) {
        for value in values(attributes, "transition") {
            match &value.content {
                Content::Block(block) => self.row(block, value.span),
                Content::Text(_) => {
                    self.found.push(
                        Diagnostic::error(value.span, "a transition is a block")
                            .help(Some("{ tst = ...; tev = ...; }".to_owned())),
                    );
                }
            }
        }
    }

    fn row(&mut self, block: &[Attribute], span: Span) {
        let (tst, tev) = (self.side(block, span, "tst"), self.side(block, span, "tev"));
        let next = match self.one(block, "next") {
            Some(("*", place)) => {
                self.found.push(Diagnostic::error(place, "`\"*\"` is no state to go to"));
                return;
            }
            Some((name, place)) => match self.state(name, place) {
                Some(index) => Some(index),
                None => return,
            },
            None => None,
        };
        let action = self.one(block, "ttype").map(|(name, place)| (name.to_owned(), place));
        let reply = self.reply(block);
        let (Some((states, any_state)), Some((events, any_event))) = (tst, tev) else {
            return;
        };
        if any_state && any_event {
            self.found.push(Diagnostic::error(span, "`\"*\"` on both sides sets no cell in AutoFSM"));
            return;
        }
        let star = any_state || any_event;
        for &state in &states {
            for &event in &events {
                let index = state * self.definition.events.len() + event;
                if let Some((before, before_star)) = self.setters.get(index).copied().flatten()
                    && !before_star
                {
                    let (line, column) = place(self.source, before.start);
                    let names =
                        format!("`{}` in `{}`", self.definition.events[event].name, self.definition.states[state].name);
                    let message = if star {
                        format!("this \"*\" row would undo the row for {names}")
                    } else {
                        format!("two rows for {names}")
                    };
                    self.found
                        .push(Diagnostic::error(span, message).notes(vec![format!("the other is at {line}:{column}")]));
                    return;
                }
                let action = match &action {
                    Some((name, _)) if same_name(name, "noop") => None,
                    Some((name, _)) => Some(name.clone()),
                    None => Some(normal(&format!(
                        "{}_{}",
                        self.definition.states[state].name, self.definition.events[event].name
                    ))),
                };
                self.setters[index] = Some((span, star));
                let mut overridden = Vec::new();
                if let Some(before) = self.definition.cells[index].take() {
                    overridden.push(before.block);
                    overridden.extend(before.overridden);
                }
                self.definition.cells[index] = Some(Cell {
                    next: next.unwrap_or(state),
                    action,
                    reply: reply.clone(),
                    row: action_span(block, span),
                    block: span,
                    overridden,
                });
            }
        }
    }

    fn rest(&mut self, attributes: &[Attribute]) {
        self.definition.prefix =
            values(attributes, "prefix").next().and_then(|value| value.text().ok()).map(str::to_owned);
        for value in values(attributes, "keyword") {
            if let Some(word) = self.text(value).map(str::to_owned) {
                if word.is_empty() || !word.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
                    self.found
                        .push(Diagnostic::error(value.span, format!("`{}` is no EHLO keyword", word.escape_debug())));
                }
                self.definition.keywords.push(word);
            }
        }
        for index in 0..self.definition.events.len() {
            let name = self.definition.events[index].name.clone();
            let Some(value) = values(attributes, &name).next() else {
                continue;
            };
            let Some(text) = self.text(value).map(str::to_owned) else {
                continue;
            };
            if text.len() > 400 || !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
                self.found.push(Diagnostic::error(value.span, "a display name is at most 400 printable signs"));
            }
            self.definition.events[index].display = Some(text);
        }
        for (kind, key) in [("never", "path"), ("always", "after")] {
            for value in values(attributes, kind) {
                let Content::Block(block) = &value.content else {
                    self.found.push(Diagnostic::error(value.span, format!("`{kind}` takes a block")));
                    continue;
                };
                let says = self.one(block, "says").map(|(text, span)| (text.to_owned(), span));
                let path = self.one(block, key).map(|(text, span)| (text.to_owned(), span));
                let (Some((says, says_span)), Some((path, path_span))) = (says, path) else {
                    self.found.push(Diagnostic::error(value.span, format!("`{kind}` needs `says` and `{key}`")));
                    continue;
                };
                let mut accepts = Vec::new();
                for value in values(block, "accepts").collect::<Vec<_>>() {
                    let name = self.text(value).map(str::to_owned);
                    accepts
                        .extend(name.and_then(|name| self.event(&name, value.span)).map(|event| (event, value.span)));
                }
                let (accepts, accepts_spans): (Vec<_>, _) = accepts.into_iter().unzip();
                self.definition.properties.push(Property {
                    says,
                    says_span,
                    path,
                    path_span,
                    accepts: (kind == "always").then_some(accepts),
                    accepts_spans,
                    span: value.span,
                });
            }
        }
    }

    fn warn(&mut self) {
        let reached = reached(&self.definition);
        for (index, state) in self.definition.states.iter().enumerate() {
            if index > 0 && index + 1 < self.definition.states.len() && !reached[index] {
                self.found.push(Diagnostic::warning(state.span, format!("nothing reaches the state `{}`", state.name)));
            }
        }
        for (index, event) in self.definition.events.iter().enumerate() {
            if (0..self.definition.states.len()).all(|state| self.definition.cell(state, index).is_none()) {
                self.found.push(Diagnostic::warning(event.span, format!("no row uses the event `{}`", event.name)));
            }
        }
    }
}

/// Where a row is shown: at its `ttype`, if it has one.
fn action_span(block: &[Attribute], row: Span) -> Span {
    values(block, "ttype").next().map_or(row, |value| value.span)
}

/// Which states some run reaches.
pub(super) fn reached(definition: &Definition) -> Vec<bool> {
    let mut reached = vec![false; definition.states.len()];
    let mut open = vec![0];
    while let Some(state) = open.pop() {
        if !std::mem::replace(&mut reached[state], true) {
            open.extend(
                (0..definition.events.len()).filter_map(|event| definition.cell(state, event)).map(|cell| cell.next),
            );
        }
    }
    reached
}
