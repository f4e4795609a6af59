//! Attributes into the table, with AutoFSM's meaning and more than its care.
//!
//! `init` is the first state and `done` the last; neither is declared. A cell that no row sets
//! is invalid. No `next`: stay. No `ttype`: `<state>_<event>`. `ttype = noop`: no action.
//! `tst = "*"` is every state, `tev = "*"` every event, and a row without `"*"` is the
//! exception to it. What autogen passes over without a word is an error here.

mod attributes;
mod cells;
mod names;
mod rows;
mod syntax;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::causes::Used;
use super::diagnostic::{Lines, keep, shown};
use super::parser::{Attribute, Content, Parsed, Value};
use super::{Cell, Definition, Diagnostic, Span, State, Vocabulary, normal, same_name};

/// A name of a list of these, close to a misspelt one, as a question.
pub fn suggest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let wrong = (wrong.len() <= names::NAME_BYTES_MAX).then(|| normal(wrong))?;
    let far = (wrong.len() / 3).max(1) + 1;
    let near = known.filter(|name| name.len().abs_diff(wrong.len()) <= far).take(1_000);
    let near = near.map(|name| (strsim::damerau_levenshtein(&wrong, &normal(name)), name));
    let best =
        near.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance)?;
    Some(format!("did you mean `{}`?", best.1))
}

/// The most suggestions: a file of nothing but wrong names has no use for more.
const SUGGESTIONS_MAX: usize = 100;

/// The unknown parts of a table: a finding that would follow from one is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Some declarations could not be read: a name may be known, or not.
    Names,
    /// A row was not read, or not all of it: what nothing reaches or uses may be in it.
    Rows,
    /// A reply is missing, or was not read: a row may refuse.
    Replies,
    /// An action is not known, or missing.
    Actions,
}

/// A table, and how far it can be relied upon.
pub(super) struct Resolved {
    pub definition: Definition,
    /// Whether any row gives a reply, right or wrong.
    pub answers: bool,
    /// The names that the rows use.
    pub used: Used,
    /// Its unknown parts.
    pub doubts: BTreeSet<Doubt>,
    /// Rows that set no cell, by the events of theirs that are known: what is wrong with them by
    /// themselves can be reported.
    pub loose: Vec<(usize, Cell)>,
}

impl Resolved {
    /// Each row was read, and its cells are in the table. If not, what the machine as a whole lacks
    /// may only follow from that.
    pub(super) fn has_cells(&self) -> bool {
        !self.doubts.contains(&Doubt::Names) && !self.doubts.contains(&Doubt::Rows)
    }

    /// Each cell has its reply: which of them refuse is known.
    pub(super) fn has_replies(&self) -> bool {
        !self.doubts.contains(&Doubt::Replies)
    }

    /// Each row has an action of the vocabulary.
    pub(super) fn knows_actions(&self) -> bool {
        !self.doubts.contains(&Doubt::Actions)
    }
}

struct Resolver<'a> {
    lines: Lines<'a>,
    /// What a server can do, if the definition is to be served.
    rules: Option<&'a Vocabulary>,
    top: &'a [Attribute<'a>],
    /// The attributes of the file by their names.
    by_name: HashMap<String, Vec<&'a Attribute<'a>>>,
    found: &'a mut Vec<Diagnostic>,
    definition: Definition,
    states: HashMap<String, usize>,
    events: HashMap<String, usize>,
    suggestions_left: usize,
    used: Used,
    loose: Vec<(usize, Cell)>,
    doubts: BTreeSet<Doubt>,
}

pub(super) fn resolve<'a>(
    source: &'a str,
    parsed: &'a Parsed<'a>,
    rules: Option<&'a Vocabulary>,
    found: &'a mut Vec<Diagnostic>,
) -> Resolved {
    let definition = Definition {
        prefix: None,
        states: vec![State { name: "init".to_owned(), doc: String::new(), span: Span::default() }],
        events: Vec::new(),
        keywords: Vec::new(),
        cells: Vec::new(),
        taken_back: BTreeMap::new(),
        properties: Vec::new(),
        faults: Vec::new(),
    };
    let answers = answers(&parsed.attributes);
    let mut by_name: HashMap<String, Vec<&Attribute<'_>>> = HashMap::new();
    for attribute in &parsed.attributes {
        by_name.entry(normal(attribute.name)).or_default().push(attribute);
    }
    let doubts =
        if parsed.broken { BTreeSet::from([Doubt::Names, Doubt::Rows]) } else { BTreeSet::new() };
    let mut resolver = Resolver {
        lines: Lines::new(source),
        rules: rules.filter(|_| answers),
        top: &parsed.attributes,
        by_name,
        found,
        definition,
        states: HashMap::new(),
        events: HashMap::new(),
        suggestions_left: SUGGESTIONS_MAX,
        used: Used::default(),
        loose: Vec::new(),
        doubts,
    };
    resolver.names(&parsed.comments);
    resolver.used.states.resize(resolver.definition.states.len(), false);
    resolver.used.events.resize(resolver.definition.events.len(), false);
    resolver.rows();
    if let (Some(rules), false, [first, ..]) =
        (rules, answers, resolver.named("transition").as_slice())
    {
        let message = if resolver.definition.accepts_by(rules) {
            "no row has a `reply`, and the commands and actions are those of this server"
        } else {
            "no row has a `reply`: this is not a definition for this server"
        };
        let help = "each row of one says what the client is answered, as in `reply = 250;`";
        resolver.say_with(first.span, message, help);
    }
    resolver.rest();
    resolver.warn();
    if resolver.is_in_doubt(Doubt::Names) {
        // What they say of names that were not read would be nonsense.
        resolver.definition.properties.clear();
    }
    Resolved {
        doubts: resolver.doubts,
        definition: resolver.definition,
        answers,
        used: resolver.used,
        loose: resolver.loose,
    }
}

/// Whether any row gives a reply.
fn answers(attributes: &[Attribute<'_>]) -> bool {
    values(attributes, "transition").any(|value| match &value.content {
        Content::Block(block) => block.iter().any(|attribute| normal(attribute.name) == "reply"),
        _ => false,
    })
}

/// The values of the attributes of this name: a repeated attribute appends.
fn values<'a>(attributes: &'a [Attribute<'a>], name: &str) -> impl Iterator<Item = &'a Value<'a>> {
    attributes
        .iter()
        .filter(move |attribute| normal(attribute.name) == name)
        .flat_map(|attribute| &attribute.values)
}

/// The start of a value: a caret under a whole block would hide what it says.
fn head(value: &Value<'_>) -> Span {
    match value.content {
        Content::Block(_) => Span { start: value.span.start, end: value.span.start + 1 },
        _ => value.span,
    }
}

impl<'a> Resolver<'a> {
    fn is_in_doubt(&self, doubt: Doubt) -> bool {
        self.doubts.contains(&doubt)
    }

    fn keep(&mut self, diagnostic: Diagnostic) {
        keep(self.found, diagnostic);
    }

    fn say(&mut self, span: Span, message: impl Into<String>) {
        self.keep(Diagnostic::error(span, message));
    }

    fn say_with(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.keep(Diagnostic::error(span, message).help(Some(help.into())));
    }

    /// The attributes of the file that have this name.
    fn named(&self, name: &str) -> Vec<&'a Attribute<'a>> {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    fn top_values(&self, name: &str) -> Vec<&'a Value<'a>> {
        self.named(name).into_iter().flat_map(|attribute| &attribute.values).collect()
    }

    fn text<'v>(&mut self, value: &'v Value<'v>) -> Option<&'v str> {
        match &value.content {
            Content::Text(text) => Some(text),
            Content::Block(_) => {
                self.say(head(value), "expected a word, not a block");
                None
            }
            Content::Unread => None,
        }
    }

    /// The text of an attribute that has one value, if it is there.
    fn one<'v>(&mut self, given: &[&'v Value<'v>], key: &str) -> Option<(&'v str, Span)> {
        let (first, more) = given.split_first()?;
        if let Some(second) = more.first() {
            self.say(head(second), format!("`{key}` has one value"));
        }
        self.text(first).map(|text| (text, first.span))
    }

    fn state(&mut self, name: &str, span: Span) -> Option<usize> {
        let index = self.states.get(&normal(name)).copied();
        if index.is_none() {
            self.undeclared("state", name, span);
        }
        mark(&mut self.used.states, index)
    }

    fn event(&mut self, name: &str, span: Span) -> Option<usize> {
        let index = self.events.get(&normal(name)).copied();
        if index.is_none() {
            self.undeclared("event", name, span);
        }
        mark(&mut self.used.events, index)
    }

    fn undeclared(&mut self, kind: &'static str, name: &str, span: Span) {
        self.doubts.insert(Doubt::Rows);
        if self.is_in_doubt(Doubt::Names) {
            return;
        }
        let (states, events) = (&self.definition.states, &self.definition.events);
        let help = match kind {
            _ if self.suggestions_left == 0 => None,
            _ if let Some(help) = self.known_as(kind, name) => Some(help),
            "state" => suggest(name, states.iter().map(|state| &*state.name)),
            _ => suggest(name, events.iter().map(|event| &*event.name)),
        };
        self.suggestions_left = self.suggestions_left.saturating_sub(1);
        let message = format!("no {kind} is called `{}`", shown(name));
        self.keep(Diagnostic::error(span, message).help(help).unknown(kind, name));
    }

    /// What a name that is not declared as this kind is instead, and where it belongs; or that it is
    /// one that the server knows.
    fn known_as(&self, kind: &str, name: &str) -> Option<String> {
        let (is_state, is_event) =
            (self.states.contains_key(&normal(name)), self.events.contains_key(&normal(name)));
        let name = shown(name);
        if is_state {
            return Some(format!("`{name}` is a state: it belongs to `tst` or `next`"));
        }
        if is_event {
            return Some(format!("`{name}` is an event: it belongs to `tev`"));
        }
        let rules = self.rules?;
        if rules.actions.iter().any(|action| action.name == name) {
            return Some(format!("`{name}` is an action: it belongs to `ttype`"));
        }
        let commands = rules.commands.iter().map(|command| command.name);
        let mut events = commands.chain([rules.content, rules.end]);
        let is_known = kind == "event" && events.any(|known| same_name(known, &name));
        is_known.then(|| format!("declare it: `event = {name};`"))
    }

    fn warn(&mut self) {
        if self.is_in_doubt(Doubt::Rows) || self.is_in_doubt(Doubt::Replies) {
            return;
        }
        let reached = self.definition.reached();
        let (mut used, events) =
            (vec![false; self.definition.events.len()], self.definition.events.len().max(1));
        for (index, cell) in self.definition.cells.iter().enumerate() {
            used[index % events] |= cell.is_some();
        }
        let declared = self.definition.states.len().saturating_sub(2);
        for (state, _) in
            self.definition.states.iter().zip(reached).skip(1).take(declared).filter(|(_, is)| !is)
        {
            let message = format!("nothing reaches the state `{}`", state.name);
            keep(self.found, Diagnostic::warning(state.span, message));
        }
        for (event, _) in self.definition.events.iter().zip(used).filter(|(_, is)| !is) {
            let message = format!("no row uses the event `{}`", event.name);
            keep(self.found, Diagnostic::warning(event.span, message));
        }
    }
}

/// Notes that a declared name is used.
fn mark(used: &mut [bool], index: Option<usize>) -> Option<usize> {
    if let Some(used) = index.and_then(|index| used.get_mut(index)) {
        *used = true;
    }
    index
}
