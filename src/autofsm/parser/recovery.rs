//! What is said of a mistake, and where reading goes on after it: one mistake is one finding.

use super::super::diagnostic::keep;
use super::super::lexer::Kind;
use super::super::{Diagnostic, Span};
use super::Parser;

impl Parser<'_, '_> {
    pub(super) fn say(&mut self, span: Span, message: impl Into<String>, help: &str) {
        if self.lost {
            return;
        }
        let help = (!help.is_empty()).then(|| help.to_owned());
        keep(self.lexer.found, Diagnostic::error(span, message).help(help));
    }

    /// Whether a string has swallowed lines before this mistake: then it is the mistake, and what
    /// follows it is read inside out.
    fn is_lost(&mut self) -> bool {
        let text = self.lexer.source().get(self.last.start..self.last.end).unwrap_or_default();
        let (lines, span) = (text.matches('\n').count(), self.last);
        if !self.lost && self.last_is_text && lines > 0 {
            let message = format!(
                "this string goes on for {} lines: does it lack its closing quote?",
                lines + 1
            );
            // What was read ahead is inside out already.
            self.lexer.found.retain(|found| found.span.start < span.end);
            self.say(span, message, "what follows it is not read");
            (self.lost, self.broken) = (true, true);
        }
        self.lost
    }

    /// Says what is expected instead of the next word.
    pub(super) fn unexpected(&mut self, expected: &str) {
        self.broken = true;
        if self.is_lost() {
            return;
        }
        match self.peek().map(|token| (token.span, token.kind == Kind::Unread)) {
            Some((_, true)) => {}
            Some((span, false)) => self.say(span, format!("expected {expected}"), ""),
            None => {
                let last = self.last;
                self.say(last, format!("the file ends here: expected {expected}"), "");
            }
        }
    }

    /// Says that a `,`, `;` or `}` is missing after the last word.
    pub(super) fn missing(&mut self, char: char) {
        let end = self.last.end;
        let span = Span { start: end, end };
        // Where one is missing two may be, but one is enough to say.
        if !self.is_lost() && self.lexer.found.last().is_none_or(|last| last.span != span) {
            self.say(span, format!("a `{char}` is missing here"), "");
        }
    }

    /// Passes what belongs to the mistake: up to `;`, the end of the block, or the next attribute.
    pub(super) fn recover(&mut self, depth: usize) {
        let mut inside = 0_usize;
        while let Some(kind) = self.peek().map(|token| token.kind.clone()) {
            match kind {
                Kind::Punct('{') => inside += 1,
                Kind::Punct('}') if inside == 0 && depth > 0 => return,
                Kind::Punct('}') => inside = inside.saturating_sub(1),
                Kind::Punct(';') if inside == 0 => {
                    self.take();
                    return;
                }
                _ if inside == 0 && self.is_attribute() => return,
                _ => {}
            }
            self.take();
        }
    }

    pub(super) fn skip_block(&mut self) {
        let mut inside = 1_usize;
        while inside > 0 {
            match self.take().map(|token| token.kind) {
                Some(Kind::Punct('{')) => inside += 1,
                Some(Kind::Punct('}')) => inside -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }
}
