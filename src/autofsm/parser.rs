//! Words into attributes: `name = value, value;`, where a value may be a block of attributes.

use super::lexer::{Comment, Kind, Token, lex};
use super::{Diagnostic, Span};

#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub name: String,
    pub values: Vec<Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub content: Content,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String),
    Block(Vec<Attribute>),
}

impl Value {
    pub(super) fn text(&self) -> Result<&str, Diagnostic> {
        match &self.content {
            Content::Text(text) => Ok(text),
            Content::Block(_) => Err(Diagnostic::error(self.span, "a name must stand here, not a block")),
        }
    }
}

/// Blocks deeper than this are refused: no definition needs them, and the stack is finite.
const DEPTH_MAX: usize = 16;

struct Parser {
    tokens: std::vec::IntoIter<Token>,
    end: Span,
    /// One past the last token taken that closed a block.
    last: usize,
}

/// A parsed file: its attributes, and its comments for the docs.
pub(super) fn parse(source: &str) -> Result<(Vec<Attribute>, Vec<Comment>), Diagnostic> {
    let (tokens, comments) = lex(source)?;
    let end = Span { start: source.len(), end: source.len() };
    let mut parser = Parser { tokens: tokens.into_iter(), end, last: 0 };
    for word in ["autogen", "definitions", "fsm"] {
        let found = parser.tokens.next();
        let matches = matches!(&found, Some(Token { kind: Kind::Word(text), .. }) if text.eq_ignore_ascii_case(word)
            || (word == "fsm" && text.eq_ignore_ascii_case("fsm.tpl")));
        if !matches {
            let span = found.map_or(end, |token| token.span);
            return Err(Diagnostic::error(span, "an AutoFSM definition begins with `AutoGen Definitions fsm;`"));
        }
    }
    parser.sign(';')?;
    let attributes = parser.attributes(0)?;
    Ok((attributes, comments))
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.as_slice().first()
    }

    fn sign(&mut self, sign: char) -> Result<(), Diagnostic> {
        match self.tokens.next() {
            Some(Token { kind: Kind::Sign(found), .. }) if found == sign => Ok(()),
            other => Err(Diagnostic::error(other.map_or(self.end, |token| token.span), format!("expected `{sign}`"))),
        }
    }

    /// Attributes up to the file's end, or to the `}` of the block.
    fn attributes(&mut self, depth: usize) -> Result<Vec<Attribute>, Diagnostic> {
        let mut attributes = Vec::new();
        loop {
            match self.tokens.next() {
                None if depth == 0 => return Ok(attributes),
                None => {
                    return Err(
                        Diagnostic::error(self.end, "a block has no end").help(Some("close it with `}`".to_owned()))
                    );
                }
                Some(Token { kind: Kind::Sign('}'), span }) if depth > 0 => {
                    self.last = span.end;
                    return Ok(attributes);
                }
                Some(Token { kind: Kind::Word(name), .. }) => {
                    let mut values = Vec::new();
                    if matches!(self.peek(), Some(Token { kind: Kind::Sign('='), .. })) {
                        self.tokens.next();
                        loop {
                            values.push(self.value(depth)?);
                            match self.peek() {
                                Some(Token { kind: Kind::Sign(','), .. }) => drop(self.tokens.next()),
                                _ => break,
                            }
                        }
                    }
                    self.sign(';')?;
                    attributes.push(Attribute { name, values });
                }
                Some(other) => {
                    return Err(Diagnostic::error(other.span, "expected the name of an attribute"));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        let Some(token) = self.tokens.next() else {
            return Err(Diagnostic::error(self.end, "expected a value"));
        };
        let mut span = token.span;
        let content = match token.kind {
            Kind::Word(text) | Kind::Text(text) => Content::Text(text),
            Kind::Sign('{') if depth < DEPTH_MAX => {
                let block = self.attributes(depth + 1)?;
                span.end = self.last;
                Content::Block(block)
            }
            Kind::Sign('{') => {
                return Err(Diagnostic::error(token.span, "blocks this deep are not read"));
            }
            Kind::Sign('*') => {
                return Err(
                    Diagnostic::error(token.span, "a bare `*` is no value").help(Some("write `\"*\"`".to_owned()))
                );
            }
            Kind::Sign(_) => return Err(Diagnostic::error(token.span, "expected a value")),
        };
        Ok(Value { content, span })
    }
}
