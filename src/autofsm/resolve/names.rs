//! The names of states and events.

use std::collections::HashMap;

use super::super::diagnostic::shown;
use super::super::lexer::Comment;
use super::super::{Event, Span, State, normal};
use super::{Doubt, Resolver};

/// The longest name.
pub(super) const NAME_BYTES_MAX: usize = 100;
/// The most states, and the most events. A table is for people.
const NAMES_MAX: usize = 4_096;
/// The most cells: more must not cost their memory.
const CELLS_MAX: usize = 250_000;

struct Name {
    word: String,
    doc: String,
    span: Span,
}

impl Resolver<'_> {
    pub(super) fn names(&mut self, comments: &[Comment]) {
        let states = self.declare("state", &["init", "invalid", "done"], comments);
        self.definition.states.extend(states.into_iter().map(|Name { word, doc, span }| State {
            name: word,
            doc,
            span,
        }));
        self.definition.states.push(State {
            name: "done".to_owned(),
            doc: String::new(),
            span: Span::default(),
        });
        let events = self.declare("event", &["invalid"], comments);
        self.definition.events.extend(events.into_iter().map(|Name { word, doc, span }| Event {
            name: word,
            display: None,
            doc,
            span,
        }));
        if self.definition.events.is_empty()
            && self.named("event").is_empty()
            && !self.is_in_doubt(Doubt::Names)
        {
            self.say(Span::default(), "no `event` is declared");
            self.doubts.insert(Doubt::Names);
        }
        if self.definition.states.len().saturating_mul(self.definition.events.len()) > CELLS_MAX {
            let last = self.definition.events.last().map_or(Span::default(), |event| event.span);
            self.say(last, format!("states times events are more than {CELLS_MAX}"));
            self.definition.events.clear();
            self.doubts.insert(Doubt::Names);
        }
        let index = |(index, name): (usize, &String)| (normal(name), index);
        self.states =
            self.definition.states.iter().map(|state| &state.name).enumerate().map(index).collect();
        self.events =
            self.definition.events.iter().map(|event| &event.name).enumerate().map(index).collect();
        self.check_joined();
        self.definition.cells =
            vec![None; self.definition.states.len() * self.definition.events.len()];
    }

    fn declare(&mut self, kind: &'static str, implied: &[&str], comments: &[Comment]) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        let mut known: HashMap<String, Span> = HashMap::new();
        let attributes = self.named(kind);
        if attributes.iter().any(|attribute| attribute.broken) {
            self.doubts.insert(Doubt::Names);
        }
        for (attribute, value) in
            attributes.iter().flat_map(|it| it.values.iter().map(move |value| (it, value)))
        {
            let Some(name) = self.text(value) else {
                self.doubts.insert(Doubt::Names);
                continue;
            };
            let is_name = name.starts_with(|char: char| char.is_ascii_alphabetic())
                && name
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || b"-_^".contains(&octet));
            if attribute.broken && name.contains('\n') {
                // A string that swallowed what follows: that was reported.
            } else if !is_name || name.len() > NAME_BYTES_MAX {
                let message = format!("`{}` cannot be the name of a {kind}", shown(name));
                let help = format!(
                    "a letter, then letters, digits, `-`, `_`, `^`, at most {NAME_BYTES_MAX}"
                );
                self.say_with(value.span, message, help);
                self.doubts.insert(Doubt::Names);
            } else if implied.contains(&&*normal(name)) {
                self.say(
                    value.span,
                    format!("the {kind} `{name}` is always there and is not declared"),
                );
            } else if let Some(first) = known.get(&normal(name)) {
                let message = format!("the {kind} `{name}` is declared twice");
                let diagnostic =
                    super::Diagnostic::error(value.span, message).also("the first", *first);
                self.keep(diagnostic);
            } else {
                known.insert(normal(name), value.span);
                names.push(Name { word: name.to_owned(), doc: String::new(), span: value.span });
            }
        }
        if let Some(one_more) = names.get(NAMES_MAX) {
            self.say(one_more.span, format!("more {kind}s than {NAMES_MAX} are not read"));
            names.truncate(NAMES_MAX);
            self.doubts.insert(Doubt::Names);
        }
        self.docs(&mut names, comments);
        names
    }

    /// Gives each name the comment that follows it on its line.
    fn docs(&self, names: &mut [Name], comments: &[Comment]) {
        let mut next = usize::MAX;
        for name in names.iter_mut().rev() {
            let place = comments.partition_point(|comment| comment.span.start < name.span.end);
            let line_end = self.lines.next(name.span.end);
            let beside =
                comments.get(place).filter(|comment| comment.span.start < line_end.min(next));
            name.doc = beside.map_or(String::new(), |comment| comment.text.clone());
            next = name.span.start;
        }
    }

    /// AutoFSM keeps a cell in a shell variable, called by state and event with a `_` between:
    /// `b_c` in `a` and `c` in `a_b` would be one.
    fn check_joined(&mut self) {
        let mut joined = Vec::new();
        for (index, state) in self.definition.states.iter().enumerate() {
            let name = normal(&state.name);
            for (place, _) in name.match_indices('_') {
                let (before, after) = name.split_at(place);
                let Some(&shorter) = self.states.get(before) else { continue };
                for (event, longer) in self.definition.events.iter().enumerate() {
                    let tail = normal(&longer.name);
                    let tail = tail.strip_prefix(after.get(1..).unwrap_or_default());
                    let short = tail
                        .and_then(|tail| tail.strip_prefix('_'))
                        .and_then(|tail| self.events.get(tail));
                    joined.extend(short.map(|short| (shorter, event, index, *short)));
                    if joined.len() > super::SUGGESTIONS_MAX {
                        return;
                    }
                }
            }
        }
        for (state, event, other_state, other_event) in joined {
            let (states, events) = (&self.definition.states, &self.definition.events);
            let message = format!(
                "`{}` in `{}` and `{}` in `{}` are one name to GNU autogen",
                events[event].name,
                states[state].name,
                events[other_event].name,
                states[other_state].name
            );
            let span = events[event].span;
            self.say_with(span, message, "it joins state and event with a `_`: rename one of them");
        }
    }
}
