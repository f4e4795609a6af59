//! Strings that lack a quote, or end at one that was meant as an apostrophe. What follows would be
//! read as words: the quote is reported in the place of all that, and reading goes on after it.

use std::borrow::Cow;

use super::super::diagnostic::shown;
use super::super::lexer::Kind;
use super::super::slips::is_taken;
use super::super::{Span, normal};
use super::{Content, Parser, Value};

/// No value is longer than this.
const LINE_BYTES_MAX: usize = 600;
const QUOTES: [char; 2] = ['\'', '"'];

/// Whether the value of an attribute is a text of several words, and not a list of names.
fn has_words(key: &str) -> bool {
    let key = normal(key);
    matches!(&*key, "reply" | "says" | "path" | "after") || !is_taken(&key) && key != "accepts"
}

/// The finding about a text that begins without a quote: its sentence and its help.
fn unquoted(key: &str, text: &str) -> Option<(&'static str, String)> {
    if text.starts_with(QUOTES) {
        // It lacks the other one.
        return None;
    }
    let close = text.chars().next_back().filter(|last| QUOTES.contains(last));
    // AutoGen's own forms.
    let is_other = text.starts_with(['<', '$', '\\']);
    if let Some(quote) = close {
        if let Some(inside) = text.strip_prefix('`') {
            let is_plain = !inside.contains('`');
            let message = "a string does not begin with a backtick";
            return is_plain.then(|| (message, format!("begin it with `{quote}`")));
        }
        let is_single = text.matches(quote).count() % 2 == 1 && !is_other;
        let help = format!("begin it with `{quote}`");
        return is_single.then_some(("this string has no opening quote", help));
    }
    let is_expression = matches!(&*normal(key), "path" | "after");
    let is_other = is_other || text.starts_with('`') || text.starts_with('(') && !is_expression;
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let is_list = first.ends_with(',') || words.next().is_none_or(|next| next.starts_with(','));
    if is_other || is_list || text.contains('=') || text.contains("/*") || text.contains("//") {
        return None;
    }
    let quote = if text.contains('\'') { '"' } else { '\'' };
    let shown = shown(text).replace("\\'", "'").replace("\\\"", "\"");
    let help = format!("put quotes around all of it: `{key} = {quote}{shown}{quote};`");
    Some(("these words have no quotes", help))
}

impl<'a> Parser<'a, '_> {
    /// Passes a value of several words that has no opening quote, or none at all, up to the `;`, the
    /// `}` or the line's end.
    pub(super) fn unquoted(&mut self, key: &str) -> Option<Value<'a>> {
        let (kind, start) = self.peek().map(|token| (token.kind.clone(), token.span.start))?;
        let is_value = matches!(kind, Kind::Name(_) | Kind::Bare(_) | Kind::Unread)
            || matches!(kind, Kind::Punct('[' | '*'));
        if !is_value || !has_words(key) {
            return None;
        }
        let line = self.line_from(start);
        let end = line.find([';', '}']).unwrap_or(line.len());
        let text = line.get(..end).unwrap_or_default().trim_end();
        let (message, help) = unquoted(key, text)?;
        let span = Span { start, end: start + text.len() };
        self.resume(span, start);
        self.say(span, message, &help);
        let meant = text.strip_prefix('`').unwrap_or(text);
        let meant = meant.strip_suffix(QUOTES).unwrap_or(meant);
        Some(Value { content: Content::Text(Cow::Borrowed(meant)), span })
    }

    /// Whether a word follows at once on a string that ended at a quote that was meant as a part of
    /// it. What is left of the string is passed.
    pub(super) fn ends_early(&mut self) -> bool {
        let last = self.last;
        let follows = self.peek().is_some_and(|token| {
            token.span.start == last.end
                && matches!(token.kind, Kind::Name(_) | Kind::Bare(_) | Kind::Unread)
        });
        let string = self.lexer.source().get(last.start..last.end).unwrap_or_default();
        let quote = string.chars().next_back().filter(|quote| QUOTES.contains(quote));
        let Some(quote) = quote.filter(|_| follows && self.last_is_text && !string.contains('\n'))
        else {
            return false;
        };
        let line = self.line_from(last.end);
        let closes = line.rfind(quote).map(|place| place + 1).filter(|end| {
            let after = line.get(*end..).unwrap_or_default().trim();
            after.is_empty() || after.starts_with([';', ',', '}'])
        });
        let end = closes.or_else(|| line.find([';', '}'])).unwrap_or(line.len());
        let other = if quote == '"' { '\'' } else { '"' };
        self.resume(Span { start: last.start, end: last.end + end }, last.end - 1);
        self.say(
            Span { start: last.end - 1, end: last.end },
            "the string ends at this quote, and a word follows at once",
            &format!(
                "write `\\{quote}` for a quote in the string, or put `{other}` around the string"
            ),
        );
        true
    }

    /// The rest of the line from an octet on, or as much of it as a value may be long.
    fn line_from(&self, start: usize) -> &'a str {
        let rest = self.lexer.source().get(start..).unwrap_or_default();
        let rest = rest.get(..rest.floor_char_boundary(LINE_BYTES_MAX)).unwrap_or(rest);
        rest.split('\n').next().unwrap_or_default()
    }

    /// Goes on after a piece that was looked at as words, and forgets what was said from `start` on.
    fn resume(&mut self, passed: Span, start: usize) {
        while self.lexer.found.pop_if(|found| found.span.start >= start).is_some() {}
        while self.lexer.comments.pop_if(|comment| comment.span.start >= start).is_some() {}
        self.ahead.clear();
        self.lexer.place = passed.end;
        (self.last, self.last_is_text, self.broken) = (passed, false, true);
    }
}
