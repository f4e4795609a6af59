//! `#if`, `#ifdef`, `#ifndef`, `#else` and `#endif`: what of the text is read, and what is passed over.

use super::super::diagnostic::{keep, shown};
use super::super::lexer::{Lexer, is_name};
use super::super::{Diagnostic, Span};
use super::{Line, is_blank, word};

const CLOSE_IT: &str = "close it with `#endif`, in the first column";

/// An `#ifdef` or `#ifndef` whose text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    span: Span,
    /// Its `#else`, once that was passed.
    other: Option<Span>,
}

/// Where skipping ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// At the `#endif` of an `#if`, which hides its `#else` and `#elif` too.
    EndOfIf,
    /// At the `#endif` that follows an `#else`.
    End,
    /// At the `#else` or the `#endif` of an `#ifdef` that is not true.
    ElseOrEnd,
    /// At `#endmac`.
    EndOfMacro,
}

impl Lexer<'_, '_> {
    pub(super) fn condition(&mut self, line: &Line<'_>) {
        let given = line.rest.trim_start_matches(is_blank);
        let length = given.bytes().position(|octet| !is_name(octet)).unwrap_or(given.len());
        let name = given.get(..length).unwrap_or_default();
        if name.is_empty() && given.is_empty() {
            let help =
                "what follows is read if the name is defined, or is not, as in `#ifdef DEBUG`";
            self.say(
                line.span.start,
                line.span.end,
                format!("`#{}` needs a name", line.word),
                help,
            );
        } else if name.len() < given.len() {
            let message = format!("GNU autogen takes all of `{}` for the name", shown(given));
            let help = "end the line right after the name: a comment stands on another line";
            self.say(line.rest_span.start, line.rest_span.end, message, help);
        }
        let is_defined = self.directives.defined.iter().any(|defined| defined == name);
        let condition = Condition { span: line.span, other: None };
        if is_defined == (line.word == "ifdef") {
            self.directives.open.push(condition);
        } else if let Some(other) = self.skip(Until::ElseOrEnd, line.word, line.span) {
            self.directives.open.push(Condition { other: Some(other), ..condition });
        }
    }

    /// An `#if` that looks as if it could be true. What it hides has been passed.
    pub(super) fn check_if(&mut self, line: &Line<'_>) {
        // One without its end was reported.
        let is_open = self.found.last().is_some_and(|last| last.span == line.span);
        if is_open || line.rest.trim_matches(is_blank) == "0" {
            return;
        }
        let hidden = self.source().get(line.span.end..self.place).unwrap_or_default().trim_end();
        let lines = hidden.matches('\n').count().saturating_sub(1);
        let message = format!(
            "to GNU autogen an `#if` is never true: the text up to its `#endif` is passed over ({lines} lines)"
        );
        let help =
            "`#if 0` if this is meant; if not, take `#if` and `#endif` away, or use `#ifdef`";
        keep(self.found, Diagnostic::warning(line.span, message).help(Some(help.to_owned())));
    }

    /// An `#else` after text that is read: what follows is passed over.
    pub(super) fn other(&mut self, line: &Line<'_>) {
        self.check_tail(&line.rest, line.rest_span);
        match self.directives.open.pop() {
            Some(Condition { other: Some(first), .. }) => self.second_else(line.span, Some(first)),
            Some(_) => {}
            None => {
                self.say(
                    line.span.start,
                    line.span.end,
                    "no `#ifdef` is open here",
                    "take this `#else` away",
                );
                return;
            }
        }
        self.skip(Until::End, "else", line.span);
    }

    fn second_else(&mut self, span: Span, first: Option<Span>) {
        let mut diagnostic =
            Diagnostic::error(span, "a second `#else`, which GNU autogen passes over");
        if let Some(first) = first {
            diagnostic = diagnostic.also("the first", first);
        }
        keep(self.found, diagnostic.help(Some("take one of them away".to_owned())));
    }

    /// Passes over text as GNU autogen does, which sees neither strings nor comments in it. Returns
    /// the place of the `#else` at which it ends; at an `#endif`, or at the file's end, `None`.
    pub(super) fn skip(&mut self, until: Until, begun: &str, opened: Span) -> Option<Span> {
        // For each conditional within: whether an `#elif` may be in it.
        let mut inside: Vec<bool> = Vec::new();
        loop {
            let rest = self.rest();
            let char = if rest.starts_with('#') {
                Some(0)
            } else {
                rest.find("\n#").map(|place| place + 1)
            };
            let Some(char) = char else {
                self.place = self.source().len();
                self.directives.in_doubt = true;
                let (end, help) = match until {
                    Until::EndOfMacro => ("endmac", "close it with `#endmac`, in the first column"),
                    _ => ("endif", CLOSE_IT),
                };
                self.say(
                    opened.start,
                    opened.end,
                    format!("this `#{begun}` has no `#{end}`"),
                    help,
                );
                return None;
            };
            let start = self.place + char;
            let after = rest.get(char + 1..).unwrap_or_default();
            let text = after.trim_start_matches(is_blank);
            self.place = start + 1 + (after.len() - text.len());
            let found = word(text);
            let is_own = inside.is_empty();
            let span = Span { start, end: self.line_end() };
            let in_if = inside.last().copied().unwrap_or(until == Until::EndOfIf);
            match (found, until) {
                ("endmac", Until::EndOfMacro) => {
                    self.pass_tail(found, span);
                    return None;
                }
                (_, Until::EndOfMacro) => {}
                ("endif", _) => {
                    self.pass_tail(found, span);
                    inside.pop()?;
                }
                ("else", Until::ElseOrEnd) if is_own => {
                    self.pass_tail(found, span);
                    return Some(span);
                }
                ("else", Until::End) if is_own => self.second_else(span, Some(opened)),
                ("elif", _) if !in_if => {
                    let message = "`#elif` has a meaning in `#if` only, which is never true";
                    self.say(span.start, span.end, message, "write `#else`, and an `#ifdef` in it");
                }
                ("if", _) => inside.push(true),
                ("ifdef" | "ifndef", _) => inside.push(in_if),
                _ => {}
            }
        }
    }

    /// Passes what follows the word at which the lexer is, to the next line.
    fn pass_tail(&mut self, word: &str, span: Span) {
        let tail = Span { start: self.place + word.len(), end: span.end };
        let text = self.source().get(tail.start..tail.end).unwrap_or_default();
        self.check_tail(text, tail);
        self.check_comment(text, tail.start);
        self.place = (span.end + 1).min(self.source().len());
    }

    /// What follows `#else` or `#endif` has no effect: a comment, or a name, but not a row.
    pub(super) fn check_tail(&mut self, tail: &str, span: Span) {
        let is_code = tail.contains(['=', ';', '{', '}']) && !tail.trim_start().starts_with('/');
        if is_code || tail.ends_with('\\') {
            let help = "put it on a line of its own";
            self.say(
                span.start,
                span.end.max(span.start + 1),
                "what follows on this line has no effect",
                help,
            );
        }
    }

    /// At the file's end: what is still open was not closed.
    pub(in crate::autofsm) fn end_directives(&mut self) {
        for Condition { span, .. } in std::mem::take(&mut self.directives.open) {
            let source = self.source().get(span.start + 1..span.end).unwrap_or_default();
            let opener = word(source.trim_start_matches(is_blank)).to_owned();
            self.doubt(span, format!("this `#{opener}` has no `#endif`"), CLOSE_IT);
        }
    }
}
