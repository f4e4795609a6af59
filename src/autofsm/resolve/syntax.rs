//! A command's syntax, as HELP and 501 show it: it begins with the word that the client types, and
//! between that and the argument is what the command is written with, and nothing else.

use super::super::diagnostic::shown;
use super::super::slips::nearest;
use super::super::{Span, same_name};
use super::Resolver;

impl Resolver<'_> {
    /// Checks a syntax. Returns it as it was meant, so that what is asked of it later follows from
    /// no mistake that was reported.
    pub(super) fn syntax(&mut self, event: &str, text: &str, span: Span) -> String {
        let Some(rules) = self.rules.filter(|_| !text.is_empty()) else { return text.to_owned() };
        if [rules.content, rules.end].iter().any(|name| same_name(event, name)) {
            return text.to_owned();
        }
        let command = rules.commands.iter().find(|command| same_name(event, command.name));
        let word = command.map(|command| command.word);
        let (verb, argument) = verb_and_argument(event, text);
        let wrong_verb = (!verb.eq_ignore_ascii_case(event)).then_some(verb);
        let wrong_word = word.and_then(|word| wrong_word(word, argument));
        let argument =
            wrong_word.as_ref().map_or(argument.to_owned(), |wrong| wrong.argument.clone());
        let right =
            if argument.is_empty() { event.to_owned() } else { format!("{event} {argument}") };
        let message = match (wrong_verb, wrong_word) {
            (None, None) => return text.to_owned(),
            (Some(verb), _) => format!(
                "the syntax of {event} begins with `{}`, which clients would be shown",
                shown(verb)
            ),
            (None, Some(wrong)) => match (word.unwrap_or_default(), wrong.found) {
                ("", found) => format!(
                    "the syntax of {event} has `{}`, and no such word belongs to the command",
                    shown(&found)
                ),
                (word, found) if found.is_empty() => {
                    format!("the syntax of {event} is without the command's `{word}`")
                }
                (word, found) => format!(
                    "the syntax of {event} has `{}`, and the command is written with `{word}`",
                    shown(&found)
                ),
            },
        };
        self.say_with(span, message, format!("write `{}`", shown(&right)));
        right
    }
}

/// The first word of a syntax, and what is the argument if that word is meant to be the event's.
fn verb_and_argument<'t>(event: &str, text: &'t str) -> (&'t str, &'t str) {
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    if verb.eq_ignore_ascii_case(event) {
        return (verb, argument);
    }
    let rest = text.get(event.len()..).unwrap_or_default();
    let begins = text.get(..event.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(event))
        && !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
    if begins {
        // Something stands where the blank belongs.
        let verb = text.split(['<', '[', ' ']).next().unwrap_or(verb);
        return (verb, rest.trim_start_matches(['_', '-', ':', '=']));
    }
    let is_missing = verb.contains([':', '<', '['])
        || !argument.is_empty() && nearest(verb, [event].into_iter()).is_none();
    (verb, if is_missing { text } else { argument })
}

/// A word before the argument that the command is not written with.
struct WrongWord {
    /// The text that is there instead; "" without one.
    found: String,
    /// The argument with the right word.
    argument: String,
}

/// What is wrong between the verb and the argument of a command that is written with this word.
/// What is in `<>` or `[]`, or a name in small letters, stands for something and is no word of the
/// command.
fn wrong_word(word: &str, argument: &str) -> Option<WrongWord> {
    let argument = argument.trim();
    // Without an argument, or with one that may be left out, the action says what is missing.
    if argument.is_empty() || argument.starts_with('[') {
        return None;
    }
    let before = argument.split(['<', '[']).next().unwrap_or_default();
    let (found, rest) = match before.rfind(':') {
        Some(colon) => argument.split_at(colon + 1),
        // A word in capitals, before `<` or `[`, is one that lacks its colon.
        None if before.len() < argument.len() && !before.is_empty() && !word.is_empty() => {
            argument.split_at(before.len())
        }
        None => ("", argument),
    };
    let is_right = found.eq_ignore_ascii_case(word);
    if is_right && (found.is_empty() || !rest.starts_with(' ')) {
        let (before, after) = rest.split_at(stray(rest)?);
        let found = after.split_whitespace().next().unwrap_or_default();
        let found = found.split_inclusive(':').next().unwrap_or_default().to_owned();
        let argument = format!("{word}{}", before.trim_end());
        return Some(WrongWord { found, argument });
    }
    let blank = if is_right { " " } else { "" };
    let rest = rest.trim_start();
    let is_named = !rest.is_empty() && !rest.starts_with(['<', '[']) && !word.is_empty();
    let argument = if is_named { format!("{word}<{rest}>") } else { format!("{word}{rest}") };
    Some(WrongWord { found: format!("{}{blank}", found.trim_end()), argument })
}

/// Where a word with a colon begins that is in no brackets.
fn stray(argument: &str) -> Option<usize> {
    let (mut depth, mut begin) = (0_usize, 0);
    for (place, character) in argument.char_indices() {
        match character {
            '<' | '[' => depth += 1,
            '>' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some(begin),
            _ => {}
        }
        if matches!(character, ' ' | '>' | ']') {
            begin = place + 1;
        }
    }
    None
}
