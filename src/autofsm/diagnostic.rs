//! A finding, and how it is shown: place, culprit, caret, help.
//!
//! A message shows at most one line of the source, and of that line no more than fits a screen, so
//! that its cost does not depend on the size of the file.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Run, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is accepted, but surely not as it was meant.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The culprit.
    pub span: Span,
    /// What is wrong, in one lower-case sentence.
    pub message: String,
    /// Another place that belongs to it, and what is there: `the other row`.
    pub also: Option<(&'static str, Span)>,
    /// What to do about it.
    pub help: Option<String>,
    /// More lines that explain it: a dialogue.
    pub notes: Vec<String>,
    /// The run that shows it; without moves if none does. Its last event may be one that the state
    /// has no cell for, where it should have one.
    pub run: Run,
    /// Other findings may follow from it: it is shown before them.
    pub(super) is_cause: bool,
    /// The undeclared name that it is about.
    pub(super) unknown: Option<Unknown>,
}

/// A name that is used and not declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// `state` or `event`.
    pub kind: &'static str,
    /// The name as it is written.
    pub name: String,
}

impl Diagnostic {
    pub(super) fn error(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            severity: Severity::Error,
            span,
            message,
            also: None,
            help: None,
            notes: Vec::new(),
            run: Run::default(),
            is_cause: false,
            unknown: None,
        }
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Other findings may follow from it.
    pub(super) fn cause(mut self) -> Self {
        self.is_cause = true;
        self
    }

    /// It is about a name that is not declared.
    pub(super) fn unknown(mut self, kind: &'static str, name: &str) -> Self {
        self.unknown = Some(Unknown { kind, name: name.to_owned() });
        self
    }

    pub(super) fn also(mut self, what: &'static str, span: Span) -> Self {
        self.also = Some((what, span));
        self
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(super) fn notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// A run shows it.
    pub(super) fn run(mut self, run: Run) -> Self {
        self.run = run;
        self
    }
}

/// The most findings that are kept: a file of nothing but mistakes costs no more memory.
pub(super) const FOUND_MAX: usize = 10_000;
/// Warnings take no more room than this: the first error is always kept, and refuses the file.
const WARNINGS_MAX: usize = 5_000;
/// The most findings that are shown; the rest is counted.
const SHOWN_MAX: usize = 100;
/// The most characters of a source line that are shown, and how many of them before the culprit.
const LINE_CHARS_MAX: usize = 140;
const BEFORE_CHARS_MAX: usize = 60;

/// Keeps a finding, unless there are too many already.
pub(super) fn keep(found: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
    let room = if diagnostic.severity == Severity::Error { FOUND_MAX } else { WARNINGS_MAX };
    if found.len() < room {
        found.push(diagnostic);
    }
}

/// A piece of a file as a message shows it: escaped, and not the whole of a long one.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let cut = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(place, _)| place);
    let dots = if cut < text.len() { "..." } else { "" };
    format!("{}{dots}", text.get(..cut).unwrap_or_default().escape_debug())
}

/// The starts of a text's lines, so that a place is found without reading all that is before it.
pub(super) struct Lines<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let after = source
            .bytes()
            .enumerate()
            .filter(|(_, octet)| *octet == b'\n')
            .map(|(place, _)| place + 1);
        Self { source, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The number of an octet's line, from 0.
    fn number(&self, octet: usize) -> usize {
        self.starts.partition_point(|start| *start <= octet).saturating_sub(1)
    }

    /// The first octet of the line after an octet's.
    pub(super) fn next(&self, octet: usize) -> usize {
        self.starts.get(self.number(octet) + 1).copied().unwrap_or(self.source.len())
    }

    /// Line and column of an octet, both from 1; the column counts characters.
    pub(super) fn place(&self, octet: usize) -> (usize, usize) {
        let octet = self.source.floor_char_boundary(octet);
        let number = self.number(octet);
        let start = self.starts.get(number).copied().unwrap_or_default();
        (number + 1, self.source.get(start..octet).unwrap_or_default().chars().count() + 1)
    }

    /// The part of a culprit's line that is shown, and where the culprit is in it.
    fn window(&self, span: Span) -> (String, std::ops::Range<usize>) {
        let start = self.source.floor_char_boundary(span.start.min(self.source.len()));
        let line_start = self.starts.get(self.number(start)).copied().unwrap_or_default();
        let line = self.source.get(line_start..self.next(start)).unwrap_or_default();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let at = (start - line_start).min(line.len());
        let end =
            line.ceil_char_boundary(span.end.saturating_sub(line_start).clamp(at, line.len()));
        if line.len() <= LINE_CHARS_MAX || line.chars().nth(LINE_CHARS_MAX).is_none() {
            return (line.to_owned(), at..end);
        }
        let (before, after) = line.split_at_checked(at).unwrap_or((line, ""));
        let from =
            before.char_indices().rev().nth(BEFORE_CHARS_MAX - 1).map_or(0, |(place, _)| place);
        let to = after
            .char_indices()
            .nth(LINE_CHARS_MAX - BEFORE_CHARS_MAX)
            .map_or(line.len(), |(place, _)| at + place);
        let (left, right) =
            (if from > 0 { "..." } else { "" }, if to < line.len() { "..." } else { "" });
        let text = format!("{left}{}{right}", line.get(from..to).unwrap_or_default());
        let shift = |place: usize| place.min(to) - from + left.len();
        (text, shift(at)..shift(end))
    }
}

/// Line and column of an octet, both from 1; the column counts characters.
#[must_use]
pub fn place(source: &str, octet: usize) -> (usize, usize) {
    let before = source.get(..source.floor_char_boundary(octet)).unwrap_or(source);
    let line = before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Shows the findings as a person reads them.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file: &str, source: &str) -> String {
    let lines = Lines::new(source);
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        show(&mut text, diagnostic, file, &lines);
    }
    let left = diagnostics.get(SHOWN_MAX..).unwrap_or_default();
    let count = |severity| left.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let counted = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let counted: Vec<_> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} more {word}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if !counted.is_empty() {
        text += &format!("{file}: and {}\n", counted.join(", "));
    }
    text
}

/// The findings for editors, a line each: `file:line:column: error: text`, and in brackets what helps
/// and what explains it.
#[must_use]
pub fn short(diagnostics: &[Diagnostic], file: &str, source: &str) -> String {
    let lines = Lines::new(source);
    let mut text = String::new();
    for found in diagnostics {
        let (line, column) = lines.place(found.span.start);
        let word = if found.severity == Severity::Error { "error" } else { "warning" };
        text += &format!("{file}:{line}:{column}: {word}: {}", found.message);
        let also = found.also.map(|(what, span)| {
            let (line, column) = lines.place(span.start);
            format!("{what} is at {line}:{column}")
        });
        let words = |note: &String| note.split_whitespace().collect::<Vec<_>>().join(" ");
        let more = found.help.iter().cloned().chain(also).chain(found.notes.iter().map(words));
        let more: Vec<_> = more.collect();
        if !more.is_empty() {
            text += &format!(" [{}]", more.join("; "));
        }
        text.push('\n');
    }
    text
}

fn show(text: &mut String, diagnostic: &Diagnostic, file: &str, lines: &Lines<'_>) {
    let (line, column) = lines.place(diagnostic.span.start);
    let (word, level) = match diagnostic.severity {
        Severity::Error => ("error", Level::ERROR),
        Severity::Warning => ("warning", Level::WARNING),
    };
    *text += &format!("{file}:{line}:{column}: {word}: {}\n", diagnostic.message);
    let (shown, culprit) = lines.window(diagnostic.span);
    if !shown.is_empty() {
        let snippet = Snippet::source(shown)
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(culprit));
        let group = level.no_name().primary_title("").element(snippet);
        let report = Renderer::plain().render(&[group]);
        // The lines before would repeat what is above.
        let source_line = |line: &&str| !line.starts_with(|char: char| char.is_ascii_digit());
        for line in report.lines().skip_while(source_line).take(2) {
            *text += &format!("   {}\n", line.trim_end());
        }
    }
    if let Some((what, span)) = diagnostic.also {
        let (line, column) = lines.place(span.start);
        *text += &format!("   {what} is at {line}:{column}\n");
    }
    for note in &diagnostic.notes {
        *text += &format!("   {note}\n");
    }
    if let Some(help) = &diagnostic.help {
        *text += &format!("   help: {help}\n");
    }
}
