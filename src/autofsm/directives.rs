//! AutoGen's directives: the lines that start with `#`.
//!
//! GNU autogen has a preprocessor of its own, which looks like C's and differs from it. It is read
//! here as measured on autogen 5.18.16:
//!
//! - `#if` is never true, whatever follows it, and its `#else` is passed over too.
//! - `#ifdef` and `#ifndef` take the rest of the line as the name, and compare it with the names of
//!   `#define` and of `-D` letter by letter. The environment does not count.
//! - `#define NAME value` defines the name; the value is never put into the text.
//! - While text is passed over, a directive is found only in the first column, and neither strings
//!   nor comments are seen. Elsewhere a `#` within them is theirs.
//! - `#pragma`, `#ident`, `#let`, `#line`, `#!`, `#macdef` to `#endmac`, `#assert` of anything but
//!   shell or Scheme, and `#include` of a name in quotes or `< >` have no effect.
//!
//! What brings in other text (`#include`, `#shell`), what runs a program (`#assert`), and what sets
//! an option of the command is refused. So is what GNU autogen reads otherwise than it looks.

use std::borrow::Cow;

use super::diagnostic::{keep, shown};
use super::lexer::{Lexer, is_name};
use super::{Diagnostic, Span};

/// The directives of AutoGen, with which a misspelt one is compared.
const DIRECTIVES: &[&str] = &[
    "ifdef", "ifndef", "else", "endif", "define", "undef", "if", "elif", "include", "error",
    "shell", "endshell", "macdef", "endmac", "option", "assert", "line", "pragma", "ident", "let",
];

/// The most names that may be defined: each `#ifdef` looks through them.
const DEFINED_MAX: usize = 1_000;

/// Misspelt directives are recognised this often: a file of nothing else has no use for more.
const SUGGESTIONS_MAX: usize = 100;

const CLOSE_IT: &str = "close it with `#endif`, in the first column";

/// An `#ifdef` or `#ifndef` whose text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    span: Span,
    /// Its `#else`, once that was passed.
    other: Option<Span>,
}

/// What the directives of a file have done so far.
#[derive(Debug, Default)]
pub(super) struct Directives {
    defined: Vec<String>,
    open: Vec<Condition>,
    /// A directive was refused that may have brought in names, or hidden them.
    pub in_doubt: bool,
    /// A line that is not a directive has been reported. One report is enough.
    unknown_reported: bool,
    /// How many more such lines are compared with the directives.
    suggestions_left: usize,
}

impl Directives {
    /// With these names defined, each as `NAME` or `NAME=VALUE`.
    pub(super) fn new(defines: &[&str]) -> Self {
        let name = |define: &&str| define.split('=').next().unwrap_or_default().to_owned();
        Self {
            defined: defines.iter().map(name).collect(),
            suggestions_left: SUGGESTIONS_MAX,
            ..Self::default()
        }
    }
}

/// Where skipping ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At the `#endif` of an `#if`, which hides its `#else` and `#elif` too.
    EndOfIf,
    /// At the `#endif` that follows an `#else`.
    End,
    /// At the `#else` or the `#endif` of an `#ifdef` that is not true.
    ElseOrEnd,
    /// At `#endmac`.
    EndOfMacro,
}

/// One directive that is read: its word, what follows, and where each is.
struct Line<'a> {
    word: &'a str,
    /// What follows the word, a continued line as one.
    rest: Cow<'a, str>,
    /// From the `#` to the end of its first line.
    span: Span,
    /// The place of `rest`, as far as it is on the first line.
    rest_span: Span,
    is_indented: bool,
}

/// The blanks of C.
fn is_blank(sign: char) -> bool {
    matches!(sign, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The word that a text starts with, if it starts with a letter.
fn word(text: &str) -> &str {
    let end = text.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(text.len());
    let word = text.get(..end).unwrap_or_default();
    if word.starts_with(|sign: char| sign.is_ascii_alphabetic()) { word } else { "" }
}

/// The directive that was probably meant: one slip away, or written as C has it elsewhere.
fn meant(wrong: &str) -> Option<&'static str> {
    let small = wrong.to_ascii_lowercase();
    let distance = |known: &&'static str| strsim::damerau_levenshtein(known, &small);
    let near = DIRECTIVES.iter().copied().min_by_key(distance);
    let near = near.filter(|known| *known == small || (small.len() > 2 && distance(known) < 2));
    let begins =
        [("ifdef", "ifdef"), ("ifndef", "ifndef"), ("end", "endif"), ("els", "else"), ("if", "if")];
    near.or_else(|| {
        begins.iter().find(|(begin, _)| small.starts_with(begin)).map(|(_, known)| *known)
    })
}

impl<'a> Lexer<'a, '_> {
    /// Passes the directive that starts here, and what it hides.
    pub(super) fn directive(&mut self) {
        let Some(line) = self.line() else { return };
        let whole = line.span;
        let conditional = ["if", "ifdef", "ifndef", "else", "endif", "macdef"].contains(&line.word);
        if line.is_indented && conditional {
            let message = format!(
                "GNU autogen does not find this `#{}` while it passes over text",
                line.word
            );
            self.say(whole.start, whole.end, message, "start it in the first column");
        }
        match line.word {
            "if" => drop(self.skip(Until::EndOfIf, "if", whole)),
            "ifdef" | "ifndef" => self.condition(&line),
            "else" => self.other(&line),
            "endif" => {
                self.check_tail(&line.rest, line.rest_span);
                if self.directives.open.pop().is_none() {
                    let help = "take this `#endif` away";
                    self.say(whole.start, whole.end, "no `#ifdef` is open here", help);
                }
            }
            "macdef" => drop(self.skip(Until::EndOfMacro, "macdef", whole)),
            "define" => self.define(&line),
            "undef" => self.undefine(&line),
            "line" | "pragma" | "ident" | "let" => {}
            "endmac" | "endshell" => {
                let message = format!("nothing is open here that `#{}` ends", line.word);
                self.say(whole.start, whole.end, message, "take it away");
            }
            _ => self.not_carried_out(&line),
        }
    }

    /// A directive that GNU autogen carries out and the compiler does not, or that is unknown.
    fn not_carried_out(&mut self, line: &Line<'a>) {
        let whole = line.span;
        match line.word {
            "error" => {
                let message = format!("`#error`: {}", shown(line.rest.trim()));
                self.doubt(
                    whole,
                    message,
                    "GNU autogen stops here: a name is missing, or one too many is defined",
                );
            }
            "include" if line.rest.trim_start().starts_with(['"', '<']) => {}
            "include" => {
                self.doubt(
                    whole,
                    "`#include` is not read: a definition is one file",
                    "put the file's text here",
                );
            }
            "shell" => {
                self.doubt(
                    whole,
                    "`#shell` is not read: nothing is run",
                    "put here what the program would print",
                );
                if let Some(length) = self.rest().find("\n#endshell") {
                    self.place += length + 1;
                    self.place = self.line_end();
                }
            }
            "assert" if !line.rest.trim_start().starts_with(['`', '(']) => {}
            "assert" => self.doubt(whole, "`#assert` is not read: nothing is run", "take it away"),
            "option" => {
                self.doubt(
                    whole,
                    "`#option` is not read: it is for the autogen command",
                    "give `-D` for `define`",
                );
            }
            "elif" => {
                let message = "`#elif` has a meaning in `#if` only, which is never true";
                self.doubt(whole, message, "write `#else`, and an `#ifdef` in it");
            }
            wrong => self.unknown(wrong, whole),
        }
    }

    /// Reads the line. Returns `None` if it is no directive, or not to be read as one.
    fn line(&mut self) -> Option<Line<'a>> {
        let (source, start) = (self.source(), self.place);
        let before = source.get(..start).unwrap_or_default();
        let before =
            before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
        let first_end = self.line_end();
        let mut end = first_end;
        while end < source.len() && source.get(..end).is_some_and(|text| text.ends_with('\\')) {
            self.place = end + 1;
            end = self.line_end();
        }
        let inside = source.get(start + 1..end).unwrap_or_default();
        let inside = inside.trim_start_matches(|sign| sign == '\\' || is_blank(sign));
        let word = word(inside);
        if matches!(word, "else" | "endif") {
            // While text is passed over these have one line: what would be read otherwise here is
            // an error.
            end = first_end;
        }
        self.place = (end + 1).min(source.len());
        if before.contains(|sign| !is_blank(sign)) {
            self.say(
                start,
                start + 1,
                "a directive stands alone on its line",
                "put it on a line of its own",
            );
            return None;
        }
        let text = source.get(start + 1..end).unwrap_or_default();
        if text.starts_with('!') {
            return None;
        }
        let odd = text.find(['\r', '\x0b', '\x0c']).map(|place| start + 1 + place);
        if let Some(place) = odd {
            self.odd_blank_at(place);
        }
        let inside = text.trim_start_matches(|sign| sign == '\\' || is_blank(sign));
        let tail = inside.get(word.len()..).unwrap_or_default();
        let rest_span = Span { start: (end - tail.len()).min(first_end), end: first_end };
        let rest = if tail.contains("\\\n") {
            Cow::from(tail.replace("\\\n", "  "))
        } else {
            Cow::from(tail)
        };
        self.check_comment(tail, end - tail.len());
        Some(Line {
            word,
            rest,
            span: Span { start, end: first_end },
            rest_span,
            is_indented: !before.is_empty(),
        })
    }

    /// A comment that starts in a directive's line, which is passed over, has to end there.
    fn check_comment(&mut self, tail: &str, start: usize) {
        if let Some(open) =
            tail.rfind("/*").filter(|open| !tail.get(*open..).unwrap_or_default().contains("*/"))
        {
            let place = start + open;
            let help = "end it on this line: GNU autogen passes over the directive's line alone";
            self.say(
                place,
                place + 2,
                "a comment starts on a directive's line and does not end there",
                help,
            );
        }
    }

    /// Refuses a directive that may bring in names, or hide them.
    fn doubt(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.directives.in_doubt = true;
        self.say(span.start, span.end, message, help);
    }

    fn condition(&mut self, line: &Line<'_>) {
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

    /// An `#else` after text that is read: what follows is passed over.
    fn other(&mut self, line: &Line<'_>) {
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
    fn skip(&mut self, until: Until, begun: &str, opened: Span) -> Option<Span> {
        // For each conditional within: whether an `#elif` may be in it.
        let mut inside: Vec<bool> = Vec::new();
        loop {
            let rest = self.rest();
            let sign = if rest.starts_with('#') {
                Some(0)
            } else {
                rest.find("\n#").map(|place| place + 1)
            };
            let Some(sign) = sign else {
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
            let start = self.place + sign;
            let after = rest.get(sign + 1..).unwrap_or_default();
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
    fn check_tail(&mut self, tail: &str, span: Span) {
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

    fn define(&mut self, line: &Line<'_>) {
        let given = line.rest.trim_start_matches(is_blank);
        let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
        let length = given.find(|sign| !is_part(sign)).unwrap_or(given.len());
        let (name, value) = given.split_at_checked(length).unwrap_or((given, ""));
        if !name.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_') {
            let help = "a letter or `_`, then letters, digits and `_`";
            self.say(line.span.start, line.span.end, "this `#define` defines nothing", help);
        } else if value.starts_with('(') {
            // A macro with arguments is none of AutoGen's, and has no effect.
        } else {
            if value.starts_with(|sign| !is_blank(sign)) {
                let message = format!("this defines `{}` to GNU autogen", shown(name));
                self.say(
                    line.rest_span.start,
                    line.rest_span.end,
                    message,
                    "leave a blank between name and value",
                );
            }
            if self.directives.defined.iter().any(|defined| defined == name) {
                return;
            }
            if self.directives.defined.len() >= DEFINED_MAX {
                let message = format!("more than {DEFINED_MAX} names are not defined");
                return self.doubt(line.span, message, "define only what an `#ifdef` asks for");
            }
            self.directives.defined.push(name.to_owned());
        }
    }

    fn undefine(&mut self, line: &Line<'_>) {
        let name = line.rest.trim_start_matches(is_blank);
        let plain =
            |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b':');
        if name.is_empty() || !name.bytes().all(plain) {
            let message = "`#undef` takes all of the line as a regular expression to GNU autogen";
            self.say(
                line.span.start,
                line.span.end,
                message,
                "write a name alone, and nothing after it",
            );
            return;
        }
        let more = self
            .directives
            .defined
            .iter()
            .find(|defined| *defined != name && defined.contains(name));
        if let Some(more) = more {
            let message =
                format!("GNU autogen takes back `{}` too, which has `{name}` in it", shown(more));
            self.say(line.span.start, line.span.end, message, "rename one of them");
        }
        self.directives.defined.retain(|defined| !defined.contains(name));
    }

    /// GNU autogen passes over such a line with a warning. A slip in a directive is an error.
    fn unknown(&mut self, wrong: &str, span: Span) {
        let may_be = !wrong.is_empty() && self.directives.suggestions_left > 0;
        self.directives.suggestions_left -= usize::from(may_be);
        if let Some(meant) = Some(wrong).filter(|_| may_be).and_then(meant) {
            let message = format!("no directive is called `#{}`", shown(wrong));
            self.doubt(span, message, &format!("did you mean `#{meant}`?"));
        } else if !std::mem::replace(&mut self.directives.unknown_reported, true) {
            let message = "this line is no directive, and has no effect";
            let help = "write a comment as `/* */`: GNU autogen warns of each such line";
            keep(self.found, Diagnostic::warning(span, message).help(Some(help.to_owned())));
        }
    }

    /// At the file's end: what is still open was not closed.
    pub(super) fn end_directives(&mut self) {
        for Condition { span, .. } in std::mem::take(&mut self.directives.open) {
            let source = self.source().get(span.start + 1..span.end).unwrap_or_default();
            let opener = word(source.trim_start_matches(is_blank)).to_owned();
            self.doubt(span, format!("this `#{opener}` has no `#endif`"), CLOSE_IT);
        }
    }
}
