//! Text into words: AutoGen's lexical forms as AutoFSM's definitions use them.
//!
//! Comments `/* */` and `//`; names of letters, digits, `-`, `_`, `^`; numbers; `"C strings"`,
//! of which adjacent ones join; `'raw strings'`; and the signs `{ } = , ;`. Other forms of
//! AutoGen's (directives, shell, Scheme, here-strings) get an error that names them.

use super::{Diagnostic, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word(String),
    Text(String),
    Sign(char),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// A comment, without its marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub text: String,
    pub span: Span,
}

struct Lexer<'a> {
    source: &'a str,
    place: usize,
    tokens: Vec<Token>,
    comments: Vec<Comment>,
}

pub(super) fn lex(source: &str) -> Result<(Vec<Token>, Vec<Comment>), Diagnostic> {
    let mut lexer = Lexer { source, place: 0, tokens: Vec::new(), comments: Vec::new() };
    while lexer.token()? {}
    Ok((lexer.tokens, lexer.comments))
}

fn is_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric()
        || matches!(sign, '-' | '_' | '^' | '.' | '+' | '?' | '/' | '$' | '%' | ':' | '@' | '!')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.place..).unwrap_or_default()
    }

    fn span(&self, start: usize) -> Span {
        Span { start, end: self.place }
    }

    fn push(&mut self, start: usize, kind: Kind) {
        self.tokens.push(Token { kind, span: self.span(start) });
    }

    fn token(&mut self) -> Result<bool, Diagnostic> {
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.place += blank;
        let start = self.place;
        let Some(sign) = self.rest().chars().next() else {
            return Ok(false);
        };
        let unread =
            |what: &str| Err(Diagnostic::error(Span { start, end: start + 1 }, format!("{what} not read here")));
        match sign {
            _ if self.rest().starts_with("/*") => self.block_comment(start)?,
            _ if self.rest().starts_with("//") => {
                let length = self.rest().find('\n').unwrap_or(self.rest().len());
                let text = self.rest().get(2..length).unwrap_or_default().trim().to_owned();
                self.place += length;
                self.comments.push(Comment { text, span: self.span(start) });
            }
            '{' | '}' | '=' | ',' | ';' | '*' | '[' | ']' => {
                self.place += 1;
                self.push(start, Kind::Sign(sign));
            }
            '"' | '\'' => self.string(start, sign)?,
            '#' => return unread("AutoGen's directives (#) are"),
            '`' => return unread("AutoGen's shell strings (`) are"),
            '(' => return unread("AutoGen's Scheme expressions are"),
            '<' if self.rest().starts_with("<<") => {
                return unread("AutoGen's here-strings (<<) are");
            }
            _ if is_word(sign) => {
                let length = self.rest().find(|sign| !is_word(sign)).unwrap_or(self.rest().len());
                // A comment may follow a word at once.
                let word = self.rest().get(..length).unwrap_or_default();
                let length = word.find("//").unwrap_or(length);
                let length = if self.rest().get(length - 1..).is_some_and(|rest| length > 1 && rest.starts_with("/*")) {
                    length - 1
                } else {
                    length
                };
                let word = self.rest().get(..length).unwrap_or_default().to_owned();
                self.place += length;
                self.push(start, Kind::Word(word));
            }
            _ => {
                let shown = sign.escape_default();
                return Err(Diagnostic::error(
                    Span { start, end: start + sign.len_utf8() },
                    format!("a `{shown}` has no meaning here"),
                ));
            }
        }
        Ok(true)
    }

    fn block_comment(&mut self, start: usize) -> Result<(), Diagnostic> {
        let Some(length) = self.rest().get(2..).and_then(|rest| rest.find("*/")) else {
            return Err(Diagnostic::error(Span { start, end: start + 2 }, "this comment has no end")
                .help(Some("close it with `*/`".to_owned())));
        };
        let inside = self.rest().get(2..length + 2).unwrap_or_default();
        let lines = inside.lines().map(|line| line.trim().trim_start_matches('*').trim());
        let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        self.place += length + 4;
        self.comments.push(Comment { text, span: self.span(start) });
        Ok(())
    }

    fn string(&mut self, start: usize, quote: char) -> Result<(), Diagnostic> {
        let mut text = String::new();
        let mut signs = self.rest().char_indices().skip(1);
        let end = loop {
            let Some((place, sign)) = signs.next() else {
                return Err(Diagnostic::error(Span { start, end: start + 1 }, "this string has no end")
                    .help(Some(format!("close it with `{quote}`"))));
            };
            if sign == quote {
                break place + 1;
            }
            let escapes = quote == '"';
            if sign != '\\' {
                text.push(sign);
                continue;
            }
            match signs.next().map(|(_, sign)| sign) {
                Some('\n') | None => {}
                Some('n') if escapes => text.push('\n'),
                Some('r') if escapes => text.push('\r'),
                Some('t') if escapes => text.push('\t'),
                Some(sign) if sign.is_ascii_alphanumeric() && escapes => {
                    let span = Span { start, end: start + 1 };
                    return Err(Diagnostic::error(span, format!("the escape `\\{sign}` is not read here")));
                }
                Some(sign) if escapes || matches!(sign, '\'' | '\\' | '#') => text.push(sign),
                Some(sign) => text.extend(['\\', sign]),
            }
        };
        self.place += end;
        // Adjacent C strings are one.
        if quote == '"'
            && let Some(Token { kind: Kind::Text(before), span }) = self.tokens.last_mut()
            && self.source.as_bytes().get(span.start) == Some(&b'"')
        {
            before.push_str(&text);
            span.end = self.place;
            return Ok(());
        }
        self.push(start, Kind::Text(text));
        Ok(())
    }
}
