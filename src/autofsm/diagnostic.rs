//! What the compiler has to say, and how it is shown: place, culprit, caret, help.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is taken, but surely not as it was meant.
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
    /// What to do about it.
    pub help: Option<String>,
    /// More lines that explain it: a dialogue, another place.
    pub notes: Vec<String>,
}

impl Diagnostic {
    pub(super) fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, message: message.into(), help: None, notes: Vec::new() }
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(super) fn notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }
}

/// Line and column of an octet, both from 1; the column counts characters.
#[must_use]
pub fn place(source: &str, octet: usize) -> (usize, usize) {
    let before = source.get(..source.floor_char_boundary(octet)).unwrap_or(source);
    let line = before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The most findings that are shown; the rest is counted.
const SHOWN_MAX: usize = 100;

/// Shows the findings as a person reads them.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file: &str, source: &str) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        let (line, column) = place(source, diagnostic.span.start);
        let (word, level) = match diagnostic.severity {
            Severity::Error => ("error", Level::ERROR),
            Severity::Warning => ("warning", Level::WARNING),
        };
        text += &format!("{file}:{line}:{column}: {word}: {}\n", diagnostic.message);
        let start = source.floor_char_boundary(diagnostic.span.start.min(source.len()));
        let end = source.ceil_char_boundary(diagnostic.span.end.clamp(start, source.len()));
        // One line of source is enough, and a long span would hide the message.
        let end = source.get(start..end).and_then(|part| part.find('\n')).map_or(end, |length| start + length);
        let snippet = Snippet::source(source).annotation(AnnotationKind::Primary.span(start..end));
        let group = level.no_name().primary_title("").element(snippet);
        let shown = Renderer::plain().render(&[group]);
        // The first lines would say again what stands above.
        for line in
            shown.lines().filter(|line| line.starts_with(|sign: char| sign.is_ascii_digit()) || line.contains('^'))
        {
            text += &format!("  {}\n", line.trim_end());
        }
        for note in &diagnostic.notes {
            text += &format!("   {note}\n");
        }
        if let Some(help) = &diagnostic.help {
            text += &format!("  help: {help}\n");
        }
    }
    if let Some(more) = diagnostics.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        text += &format!("{file}: and {more} more\n");
    }
    text
}
