//! The rows: `transition = { tst; tev; next; ttype; reply; }`.

use std::collections::HashSet;

use super::super::diagnostic::shown;
use super::super::parser::{Attribute, Content, Value};
use super::super::slips::nearest;
use super::super::{Cell, Reply, Span, Vocabulary, normal, same_name};
use super::cells::SETS_MAX;
use super::{Doubt, Resolver, head, suggest, values};

/// One side of a row: its states or its events.
pub(super) struct Side {
    pub indices: Vec<usize>,
    /// It is `"*"`.
    pub any: bool,
    /// It is a list.
    list: Option<Span>,
    /// Each of its names is known; without this `indices` are those that are.
    right: bool,
}

impl Side {
    const WRONG: Self = Self { indices: Vec::new(), any: false, list: None, right: false };
}

/// What a row says of each of its cells.
pub(super) struct Row {
    pub next: Option<usize>,
    /// The transition type as it is written, and where.
    pub action: Option<(String, Span)>,
    pub reply: Option<(Reply, Span)>,
    pub span: Span,
    /// `ttype = invalid`: its cells are as if no row had set them.
    pub takes_back: bool,
}

/// The most events of a row without cells that are looked at.
const LOOSE_MAX: usize = 100;

fn action_names(rules: &Vocabulary) -> String {
    rules.actions.iter().map(|action| action.name).collect::<Vec<_>>().join(", ")
}

/// The cell of a row that sets none: it leads nowhere.
fn loose(action: &str, reply: Option<&(Reply, Span)>, culprit: Span, row: Span) -> Cell {
    let (action, (reply, reply_span)) = (Some(action.to_owned()), reply.cloned().unzip());
    Cell { next: 0, action, reply, reply_span, culprit, row, overridden: Vec::new() }
}

impl Resolver<'_> {
    pub(super) fn rows(&mut self) {
        let mut setters: Vec<Option<(Span, bool)>> = vec![None; self.definition.cells.len()];
        let mut sets_left = SETS_MAX;
        for attribute in self.named("transition") {
            for value in &attribute.values {
                let Content::Block(block) = &value.content else {
                    self.doubts.insert(Doubt::Rows);
                    if !matches!(value.content, Content::Unread) {
                        self.say_with(
                            value.span,
                            "a transition is a block",
                            "write `{ tst = ...; tev = ...; }`",
                        );
                    }
                    continue;
                };
                let broken = self.is_in_doubt(Doubt::Names)
                    || attribute.broken
                    || block.iter().any(|attribute| attribute.broken);
                let Some((states, events, row)) = self.row(block, value, broken) else {
                    self.doubts.insert(Doubt::Rows);
                    continue;
                };
                self.set(&states, &events, &row, &mut setters, &mut sets_left);
            }
        }
    }

    /// Reads a row; nothing if it sets no cell.
    fn row(
        &mut self,
        block: &[Attribute<'_>],
        value: &Value<'_>,
        broken: bool,
    ) -> Option<(Side, Side, Row)> {
        let states = self.side(block, head(value), "tst", broken);
        let events = self.side(block, head(value), "tev", broken);
        let action = self.action(block);
        let takes_back =
            matches!(&action, Ok(Some((name, _))) if name.eq_ignore_ascii_case("invalid"));
        let next = self.next(block, takes_back);
        let reply = self.reply(block);
        if !broken && !takes_back {
            self.check_served(block, head(value));
        }
        let (Ok(next), Ok(action), true, true, false) =
            (next, &action, states.right, events.right, broken)
        else {
            if let (Ok(Some((name, span))), false) = (action, broken || takes_back) {
                let cell = |event: &usize| (*event, loose(&name, reply.as_ref(), span, value.span));
                self.loose.extend(events.indices.iter().take(LOOSE_MAX).map(cell));
            }
            return None;
        };
        let row = Row { next, action: action.clone(), reply, span: value.span, takes_back };
        if takes_back && row.reply.is_some() {
            self.say_with(
                head(value),
                "a row that takes a cell back answers nothing",
                "leave `reply` out",
            );
            return None;
        }
        if states.any && events.any {
            self.say(head(value), "`\"*\"` on both sides sets no cell in AutoFSM");
            return None;
        }
        for (star, other) in [(&states, &events), (&events, &states)] {
            if let (true, Some(span)) = (star.any, other.list) {
                self.say_with(
                    span,
                    "`\"*\"` goes with one name, not a list",
                    "GNU autogen uses the first only: write a row for each",
                );
                return None;
            }
        }
        Some((states, events, row))
    }

    /// Where a row leads, `None` if it stays or takes back; an error if what is written is wrong.
    fn next(&mut self, block: &[Attribute<'_>], takes_back: bool) -> Result<Option<usize>, ()> {
        let given: Vec<_> = values(block, "next").collect();
        let (message, help, span) = match self.one(&given, "next") {
            None => return if given.is_empty() { Ok(None) } else { Err(()) },
            Some((name, _)) if takes_back && normal(name) == "invalid" => return Ok(None),
            Some((_, span)) if takes_back => (
                "a row that takes a cell back goes nowhere",
                "leave `next` out, or write `next = invalid`",
                span,
            ),
            Some(("*", span)) => (
                "`\"*\"` is not a state to go to",
                "leave `next` out to stay; to go back, give each origin a state of its own: the machine does not \
                 remember where it came from",
                span,
            ),
            Some((name, span)) if normal(name) == "invalid" => (
                "GNU autogen would run the action, and then be in no state",
                "add `ttype = invalid` to take the cell back, or leave the row out",
                span,
            ),
            Some((name, span)) => return self.state(name, span).map(Some).ok_or(()),
        };
        self.say_with(span, message, help);
        Err(())
    }

    /// What a row must have to be served, whatever else is wrong with it.
    fn check_served(&mut self, block: &[Attribute<'_>], row: Span) {
        let Some(rules) = self.rules else { return };
        let has = |name: &str| block.iter().any(|attribute| normal(attribute.name) == name);
        if !has("ttype") {
            let help = format!("it says what the server does: {}", action_names(rules));
            self.say_with(row, "this row has no `ttype`", help);
            self.doubts.insert(Doubt::Actions);
        }
        let is_content = |value: &Value<'_>| match &value.content {
            Content::Text(name) => {
                let known = self.events.contains_key(&normal(name));
                same_name(name, rules.content)
                    || (!known && nearest(name, [rules.content].into_iter()).is_some())
            }
            _ => true,
        };
        if !has("reply") && !values(block, "tev").all(is_content) {
            self.say_with(
                row,
                "this row has no `reply`",
                "it says what the client is answered: `reply = CODE;` or `reply = 'CODE words';`",
            );
            self.doubts.insert(Doubt::Replies);
        }
    }

    /// The states or events of a row's side.
    fn side(
        &mut self,
        block: &[Attribute<'_>],
        row: Span,
        key: &'static str,
        broken: bool,
    ) -> Side {
        let given: Vec<_> = values(block, key).collect();
        if given.is_empty() && !broken {
            self.say(row, format!("this row has no `{key}`"));
        }
        let list = given.get(1).map(|second| second.span);
        let (mut indices, mut known, mut right) = (Vec::new(), HashSet::new(), !given.is_empty());
        for value in given {
            let Some(name) = self.text(value) else {
                right = false;
                continue;
            };
            if name == "*" {
                if list.is_some() {
                    self.say(value.span, "`\"*\"` stands alone, not in a list");
                    return Side::WRONG;
                }
                let all = if key == "tst" {
                    self.definition.states.len() - 1
                } else {
                    self.definition.events.len()
                };
                return Side { indices: (0..all).collect(), any: true, list: None, right: true };
            }
            if key == "tst" && normal(name) == "invalid" {
                self.say(value.span, "`invalid` is no state to be in");
                right = false;
                continue;
            }
            let index = if key == "tst" {
                self.state(name, value.span)
            } else {
                self.event(name, value.span)
            };
            let Some(index) = index else {
                right = false;
                continue;
            };
            if key == "tst" && index + 1 == self.definition.states.len() {
                self.say(value.span, "nothing happens after `done`");
                right = false;
            } else if known.insert(index) {
                indices.push(index);
            } else {
                self.say(value.span, format!("`{}` is twice in this list", shown(name)));
                right = false;
            }
        }
        Side { indices, any: false, list, right }
    }

    /// The transition type, none where it is the default.
    fn action(&mut self, block: &[Attribute<'_>]) -> Result<Option<(String, Span)>, ()> {
        let given: Vec<_> = values(block, "ttype").collect();
        let Some((name, span)) = self.one(&given, "ttype") else {
            return if given.is_empty() { Ok(None) } else { Err(()) };
        };
        let is_word = name.starts_with(|char: char| char.is_ascii_alphabetic())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
        if !is_word || name.len() > 2 * super::names::NAME_BYTES_MAX {
            let message = format!("`{}` cannot be a transition type", shown(name));
            self.say_with(
                span,
                message,
                "a letter, then letters, digits and `_`: it becomes a name in C",
            );
            return Err(());
        }
        if let Some(rules) = self.rules
            && !name.eq_ignore_ascii_case("invalid")
            && !rules.actions.iter().any(|action| action.name == name)
        {
            self.doubts.insert(Doubt::Actions);
            let help = if name.eq_ignore_ascii_case("noop") {
                format!("`{}` gives the reply, and does nothing else", rules.refusing)
            } else {
                let near = suggest(name, rules.actions.iter().map(|action| action.name));
                self.known_as("action", name)
                    .or(near)
                    .unwrap_or_else(|| format!("the actions are {}", action_names(rules)))
            };
            self.say_with(span, format!("no action is called `{}`", shown(name)), help);
        }
        Ok(Some((name.to_owned(), span)))
    }

    fn reply(&mut self, block: &[Attribute<'_>]) -> Option<(Reply, Span)> {
        let given: Vec<_> = values(block, "reply").collect();
        let Some((text, span)) = self.one(&given, "reply") else {
            if !given.is_empty() {
                self.doubts.insert(Doubt::Replies);
            }
            return None;
        };
        let (code, words) = text.split_at_checked(3).unwrap_or((text, ""));
        let valid = matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
        let printable = words.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !valid
            || !printable
            || words.len() > 500
            || !(words.is_empty() || words.starts_with(' '))
        {
            self.doubts.insert(Doubt::Replies);
            let help = "a code from 200 to 599; then, if there are words, a blank and at most 500 printable characters";
            self.say_with(span, format!("`{}` is not a reply", shown(text)), help);
            return None;
        }
        let words = words.trim();
        let text = (!words.is_empty()).then(|| words.to_owned());
        Some((Reply { code: code.parse().unwrap_or_default(), text }, span))
    }
}
