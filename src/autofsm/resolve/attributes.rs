//! The other attributes: AutoFSM's own, and those that it ignores and we define.

use super::super::diagnostic::shown;
use super::super::parser::{Content, Value};
use super::super::slips::{is_taken, nearest};
use super::super::{Diagnostic, Keyword, Property, Span, normal, same_name};
use super::{Doubt, Resolver, head, values};

/// The most `never` and `always` of a file: each is proven.
const PROPERTIES_MAX: usize = 200;
/// The most keywords.
const KEYWORDS_MAX: usize = 100;
impl Resolver<'_> {
    pub(super) fn rest(&mut self) {
        self.check_top();
        self.prefix();
        self.method_and_type();
        self.keywords();
        self.displays();
        for (kind, key) in [("never", "path"), ("always", "after")] {
            for value in self.top_values(kind) {
                self.property(kind, key, value);
            }
        }
    }

    /// AutoFSM looks for a row's attributes outside of it too: a stray one would change every row.
    fn check_top(&mut self) {
        for attribute in self.top {
            if matches!(&*normal(attribute.name), "tst" | "tev" | "next" | "ttype") {
                let message = format!(
                    "outside of a row `{}` would be every row's that has none",
                    shown(attribute.name)
                );
                self.say(attribute.span, message);
            }
        }
    }

    fn prefix(&mut self) {
        let given = self.top_values("prefix");
        let Some((prefix, span)) = self.one(&given, "prefix") else { return };
        let is_word = prefix.starts_with(|char: char| char.is_ascii_alphabetic())
            && prefix.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_^".contains(&octet));
        if is_word {
            self.definition.prefix = Some(prefix.to_owned());
        } else {
            let help =
                "a letter, then letters, digits, `-`, `_`, `^`: it becomes part of names in C";
            self.say_with(span, format!("`{}` cannot be a prefix", shown(prefix)), help);
        }
    }

    /// AutoFSM writes a machine by `method` and `type`, of which it reads the first letters, in any
    /// case. Without a `method`, or with one that begins with `no`, it writes the table alone, and
    /// the `type` does not count.
    fn method_and_type(&mut self) {
        const METHODS: &[(&str, &str)] = &[("call", "callout"), ("case", "case"), ("no", "none")];
        const TYPES: &[(&str, &str)] =
            &[("loop", "looping"), ("step", "stepping"), ("reent", "reentrant")];
        let methods = self.top_values("method");
        let method = self.one(&methods, "method").filter(|(name, _)| !name.is_empty());
        let wanted =
            method.map(|(name, span)| self.by_first_letters("method", name, span, METHODS));
        // A machine is written, or would be if the method were not misspelt.
        let is_machine = wanted.is_some_and(|wanted| wanted != Some("none"));
        let types = self.top_values("type");
        let kind = self.one(&types, "type").filter(|(name, _)| !name.is_empty());
        match (kind, method) {
            (Some((name, span)), _) if is_machine => {
                self.by_first_letters("type", name, span, TYPES);
            }
            (None, Some((name, span))) if is_machine && wanted != Some(None) => {
                let message = format!("the method `{}` needs a `type`", shown(name));
                self.say_with(span, message, "looping, stepping or reentrant");
            }
            _ => {}
        }
    }

    /// The word of a list that a value stands for: the first letters decide, in any case. What does
    /// not look like that word is a warning; what stands for none of them is an error.
    fn by_first_letters(
        &mut self,
        kind: &str,
        given: &str,
        span: Span,
        known: &[(&str, &'static str)],
    ) -> Option<&'static str> {
        let small = given.to_ascii_lowercase();
        let found = known.iter().find(|(first, _)| small.starts_with(first)).map(|(_, word)| *word);
        match found {
            Some(word) if word.starts_with(&small) => {}
            Some(word) => {
                let message =
                    format!("GNU autogen reads the {kind} `{}` as `{word}`", shown(given));
                let help = "the first letters decide: write the whole word".to_owned();
                self.keep(Diagnostic::warning(span, message).help(Some(help)));
            }
            None => {
                let words: Vec<_> = known.iter().map(|(_, word)| *word).collect();
                let help = words
                    .join(", ")
                    .replace(", none", " or none")
                    .replace(", reentrant", " or reentrant");
                self.say_with(span, format!("no {kind} is called `{}`", shown(given)), help);
            }
        }
        found
    }

    fn keywords(&mut self) {
        for value in self.top_values("keyword") {
            let Some(word) = self.text(value) else { continue };
            if word.is_empty()
                || word.len() > 100
                || !word.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            {
                self.say(value.span, format!("`{}` is not a keyword", shown(word)));
            } else if self
                .definition
                .keywords
                .iter()
                .any(|known| known.name.eq_ignore_ascii_case(word))
            {
                self.say(value.span, format!("the keyword `{word}` is listed twice"));
            } else if let Some(help) = self.unkept(word) {
                self.say_with(
                    value.span,
                    format!("this server cannot keep the keyword `{}`", shown(word)),
                    help,
                );
            } else if let Some(command) = self.undeclared_command(word) {
                let message = format!(
                    "the keyword `{word}` is never offered: no event is called `{command}`"
                );
                let help = format!("declare `{command}` and write a row, or take the keyword away");
                self.say_with(value.span, message, help);
            } else if self.definition.keywords.len() < KEYWORDS_MAX {
                let command = Keyword::command_of(word, self.rules, &self.definition);
                let keyword = Keyword { name: word.to_owned(), command, span: value.span };
                self.definition.keywords.push(keyword);
            } else {
                self.say(value.span, format!("more keywords than {KEYWORDS_MAX} are not read"));
                return;
            }
        }
    }

    /// The command that a keyword stands for, if no event is it.
    fn undeclared_command(&self, word: &str) -> Option<&'static str> {
        let rules = self.rules.filter(|_| !self.is_in_doubt(Doubt::Names))?;
        let command = rules.keyword(word)?.command?;
        let is_declared =
            self.definition.events.iter().any(|event| same_name(&event.name, command));
        (!is_declared).then_some(command)
    }

    /// If the server cannot keep what a keyword promises: what it can.
    fn unkept(&mut self, word: &str) -> Option<String> {
        let rules = self.rules.filter(|_| !self.is_in_doubt(Doubt::Names))?;
        let events = self.definition.events.iter().map(|event| event.name.as_str());
        let keywords = rules.keywords.iter().map(|keyword| keyword.name);
        let kept = keywords.clone().chain(events);
        if kept.clone().any(|known| known.eq_ignore_ascii_case(word)) {
            return None;
        }
        let list = keywords.collect::<Vec<_>>().join(", ");
        let list = format!("it can keep {list}, and the name of each command");
        Some(nearest(word, kept).map_or(list, |near| format!("did you mean `{near}`?")))
    }

    fn displays(&mut self) {
        for index in 0..self.definition.events.len() {
            let name = self.definition.events[index].name.clone();
            // An event may be called as an attribute of AutoFSM's; that is no display name then.
            if is_taken(&name) {
                continue;
            }
            let given = self.top_values(&normal(&name));
            let Some((text, span)) = self.one(&given, &name) else { continue };
            let printable = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
            if text.is_empty() || text.len() > 400 || !printable || text.contains("*/") {
                let help =
                    "from 1 to 400 printable characters, without `*/`: it becomes a comment in C";
                self.say_with(span, format!("this cannot be the display name of `{name}`"), help);
            }
            let text = self.syntax(&name, text, span);
            self.definition.events[index].display = Some(text);
        }
    }

    fn property(&mut self, kind: &'static str, key: &'static str, value: &Value<'_>) {
        if self.definition.properties.len() >= PROPERTIES_MAX {
            return self
                .say(head(value), format!("more properties than {PROPERTIES_MAX} are not read"));
        }
        let Content::Block(block) = &value.content else {
            if !matches!(value.content, Content::Unread) {
                self.say(value.span, format!("`{kind}` takes a block"));
            }
            return;
        };
        let says = self.one(&values(block, "says").collect::<Vec<_>>(), "says");
        let path = self.one(&values(block, key).collect::<Vec<_>>(), key);
        let accepted: Vec<_> = values(block, "accepts").collect();
        let whole = says.is_some() && path.is_some() && (kind == "never" || !accepted.is_empty());
        let (Some((says, says_span)), Some((path, path_span)), true) = (says, path, whole) else {
            if !self.is_in_doubt(Doubt::Names) && !block.iter().any(|attribute| attribute.broken) {
                let keys = if kind == "never" {
                    "`says` and `path`"
                } else {
                    "`says`, `after` and `accepts`"
                };
                self.say(head(value), format!("`{kind}` needs {keys}"));
            }
            return;
        };
        let mut accepts = Vec::new();
        let in_doubt = self.is_in_doubt(Doubt::Rows);
        for value in accepted {
            let event = self.text(value).and_then(|name| self.event(name, value.span));
            accepts.extend(event.map(|event| (event, value.span)));
        }
        // A wrong name here says nothing of the rows.
        if !in_doubt {
            self.doubts.remove(&Doubt::Rows);
        }
        let (accepts, accepts_spans): (Vec<_>, _) = accepts.into_iter().unzip();
        self.definition.properties.push(Property {
            says: says.to_owned(),
            says_span,
            path: path.to_owned(),
            path_span,
            accepts: (kind == "always").then_some(accepts),
            accepts_spans,
            span: value.span,
        });
    }
}
