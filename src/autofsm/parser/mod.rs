//! Words into attributes: `name = value, value;`, where a value may be a block of attributes.
//!
//! After a mistake it goes on at the next `;` or `}`, so that one run says them all; what a
//! mistake has touched is marked, so that nothing is said that only follows from it.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::diagnostic::shown;
use super::directives::Directives;
use super::lexer::{Comment, Kind, Lexer, Token};
use super::slips::is_taken;
use super::{Diagnostic, Span};

mod quotes;
mod recovery;

#[derive(Clone, Debug)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    /// Where the name stands.
    pub span: Span,
    pub values: Vec<Value<'a>>,
    /// A mistake was found in it: there may be values that are not here.
    pub broken: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub content: Content<'a>,
    /// All of it, of a block from `{` to `}`.
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Block(Vec<Attribute<'a>>),
    /// A form that is not read. It has been said.
    Unread,
}

/// A parsed file: its attributes, and its comments for the docs.
pub(super) struct Parsed<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub comments: Vec<Comment>,
    /// A mistake was found outside of any attribute: there may be attributes that are not here.
    pub broken: bool,
}

/// Blocks deeper than this are refused: no definition needs them, and the stack is finite.
const DEPTH_MAX: usize = 16;

const NOTHING_TO_CLOSE: &str = "this `}` closes nothing";

struct Parser<'a, 'f> {
    lexer: Lexer<'a, 'f>,
    /// What was looked at and not yet taken, the next first.
    ahead: VecDeque<Token<'a>>,
    /// The token that was taken last.
    last: Span,
    last_is_text: bool,
    broken: bool,
    /// What follows cannot be told from a string any more.
    lost: bool,
}

/// Parses a file, with these names defined to `#ifdef`.
pub(super) fn parse<'a>(
    source: &'a str,
    defines: &[&str],
    found: &mut Vec<Diagnostic>,
) -> Parsed<'a> {
    let mut parser = Parser::new(source, defines, found);
    let attributes =
        if parser.header() { parser.attributes(0, Span::default()) } else { Vec::new() };
    parser.parsed(attributes)
}

/// Parses attributes that stand alone, to be put behind those of a file.
pub(super) fn parse_alone<'a>(source: &'a str, found: &mut Vec<Diagnostic>) -> Parsed<'a> {
    let mut parser = Parser::new(source, &[], found);
    let attributes = if parser.has_header() {
        let help = "it stands behind a definition: take the header away, or give the file to \
                    `--states` if it is a whole one";
        parser.say(parser.last, "a file of faults has no header", help);
        Vec::new()
    } else {
        parser.attributes(0, Span::default())
    };
    parser.parsed(attributes)
}

/// Whether a token is this character.
fn is_punct(token: Option<&Token<'_>>, char: char) -> bool {
    token.is_some_and(|token| token.kind == Kind::Punct(char))
}

/// AutoGen's own words, which need quotes to be anything else.
fn is_keyword(word: &str) -> bool {
    word.eq_ignore_ascii_case("autogen") || word.eq_ignore_ascii_case("definitions")
}

impl<'a, 'f> Parser<'a, 'f> {
    fn new(source: &'a str, defines: &[&str], found: &'f mut Vec<Diagnostic>) -> Self {
        Self {
            lexer: Lexer::new(source, Directives::new(defines), found),
            ahead: VecDeque::new(),
            last: Span::default(),
            last_is_text: false,
            broken: false,
            lost: false,
        }
    }

    fn parsed(self, attributes: Vec<Attribute<'a>>) -> Parsed<'a> {
        let broken = self.broken || self.lost || self.lexer.directives.in_doubt;
        Parsed { attributes, comments: self.lexer.comments, broken }
    }

    /// Whether a header begins here; its first word is taken.
    fn has_header(&mut self) -> bool {
        let is = matches!(
            self.peek(),
            Some(Token { kind: Kind::Name(word), .. }) if word.eq_ignore_ascii_case("autogen")
        );
        is && self.take().is_some()
    }
}

impl<'a> Parser<'a, '_> {
    fn look(&mut self, ahead: usize) -> Option<&Token<'a>> {
        if self.lost {
            return None;
        }
        while self.ahead.len() <= ahead {
            let token = self.lexer.token()?;
            self.ahead.push_back(token);
        }
        self.ahead.get(ahead)
    }

    fn peek(&mut self) -> Option<&Token<'a>> {
        self.look(0)
    }

    fn take(&mut self) -> Option<Token<'a>> {
        self.look(0)?;
        let token = self.ahead.pop_front()?;
        self.last = token.span;
        self.last_is_text = matches!(token.kind, Kind::Text(_));
        Some(token)
    }

    fn take_punct(&mut self, char: char) -> bool {
        let is = is_punct(self.peek(), char);
        if is {
            self.take();
        }
        is
    }

    /// Whether a token is the first of its line.
    fn is_first(&self, span: Span) -> bool {
        self.lexer
            .source()
            .get(self.last.end..span.start)
            .is_some_and(|between| between.contains('\n'))
    }

    /// Whether an attribute begins here, on a line of its own.
    fn is_attribute(&mut self) -> bool {
        let Some(&Token { kind: Kind::Name(_), span }) = self.peek() else { return false };
        self.is_first(span) && is_punct(self.look(1), '=')
    }

    /// Reads `AutoGen Definitions fsm;`. Where it is not there, the file is none of ours.
    fn header(&mut self) -> bool {
        const HEADER: &str = "an AutoFSM definition begins with `AutoGen Definitions fsm;`";
        for word in ["autogen", "definitions"] {
            let found = self.take();
            if found.is_none() && self.lexer.directives.in_doubt {
                // The header is in what was passed over for want of an `#endif`.
                return false;
            }
            if !matches!(&found, Some(Token { kind: Kind::Name(text), .. }) if text.eq_ignore_ascii_case(word))
            {
                let is_fault = matches!(&found, Some(Token { kind: Kind::Name("fault"), .. }));
                let help = if is_fault { "a file of faults is given by --faults" } else { "" };
                self.say(found.map_or(self.last, |token| token.span), HEADER, help);
                return false;
            }
        }
        let found = self.take();
        let name = match &found {
            Some(Token { kind: Kind::Name(name) | Kind::Bare(name), .. }) => (*name).to_owned(),
            Some(Token { kind: Kind::Text(name), .. }) => name.to_string(),
            _ => String::new(),
        };
        if !matches!(&*name, "fsm" | "fsm.tpl") {
            let is_near = name.eq_ignore_ascii_case("fsm");
            self.say(
                found.map_or(self.last, |token| token.span),
                HEADER,
                if is_near { "in small letters" } else { "" },
            );
            return false;
        }
        if !self.take_punct(';') {
            self.missing(';');
        }
        true
    }

    /// Attributes up to the file's end, or to the `}` of the block that `open` began.
    fn attributes(&mut self, depth: usize, open: Span) -> Vec<Attribute<'a>> {
        let mut attributes = Vec::new();
        loop {
            let Some(Token { kind, span }) = self.peek().cloned() else {
                if depth > 0 {
                    self.say(open, "this block has no end", "close it with `}`");
                    // One mistake, though every block around it is open too.
                    (self.lost, self.broken) = (true, true);
                }
                return attributes;
            };
            match kind {
                Kind::Punct('}') => {
                    self.take();
                    if depth > 0 {
                        return attributes;
                    }
                    self.say(span, NOTHING_TO_CLOSE, "");
                    self.take_punct(';');
                }
                Kind::Punct(';') => {
                    self.take();
                    self.say(span, "this `;` ends nothing", "take it away");
                }
                Kind::Name(word) if is_keyword(word) => {
                    if is_punct(self.look(1), '=') {
                        self.say(
                            span,
                            format!("`{word}` is AutoGen's own word"),
                            "an attribute has another name",
                        );
                    } else {
                        self.say(
                            span,
                            "one file is one definition: a second header is not read here",
                            "",
                        );
                    }
                    self.broken = true;
                    // It is taken, or what is passed ends before it: it may look like an attribute.
                    self.take();
                    self.recover(depth);
                }
                Kind::Name(_) | Kind::Punct('{') if self.goes_on(attributes.last(), depth) => {
                    self.go_on(attributes.last_mut(), depth);
                }
                Kind::Name(name) => {
                    self.take();
                    attributes.push(self.attribute(name, span, depth));
                }
                Kind::Punct('{') if depth > 0 && attributes.is_empty() && self.follows('{') => {
                    self.take();
                    self.say(span, "a second `{`, and a row has one", "take it away");
                }
                // The next row: this one was not closed.
                Kind::Punct(',' | '{') if depth > 0 => {
                    self.missing('}');
                    return attributes;
                }
                _ => {
                    self.unexpected("the name of an attribute");
                    self.take();
                    self.recover(depth);
                }
            }
        }
    }

    /// Whether the token that was taken last is this character.
    fn follows(&self, char: char) -> bool {
        self.lexer
            .source()
            .get(self.last.start..self.last.end)
            .is_some_and(|last| last.starts_with(char))
    }

    /// Whether a value is here that can only belong to the list before it, which a `;` ended.
    fn goes_on(&mut self, list: Option<&Attribute<'a>>, depth: usize) -> bool {
        let Some(value) = list.and_then(|list| list.values.last()) else { return false };
        let is_row = matches!(value.content, Content::Block(_)) && depth == 0;
        let is_name = matches!(value.content, Content::Text(_));
        self.follows(';')
            && match self.peek().map(|token| token.kind.clone()) {
                Some(Kind::Punct(_)) => is_row,
                Some(Kind::Name(name)) => {
                    is_name && !is_keyword(name) && !is_taken(name) && is_punct(self.look(1), ',')
                }
                _ => false,
            }
    }

    /// Reads the rest of a list that a `;` ended too early.
    fn go_on(&mut self, list: Option<&mut Attribute<'a>>, depth: usize) {
        let help = "write `,`: the list goes on";
        self.say(self.last, "this `;` ends a list, and another value follows", help);
        if let Some(list) = list {
            list.broken = true;
            self.values(list.name, &mut list.values, depth);
        }
    }

    fn attribute(&mut self, name: &'a str, span: Span, depth: usize) -> Attribute<'a> {
        let outer = std::mem::take(&mut self.broken);
        let mut values = Vec::new();
        if self.take_punct(';') {
            values.push(Value { content: Content::Text(Cow::Borrowed("")), span });
        } else {
            if let Some(open) =
                self.peek().filter(|token| token.kind == Kind::Punct('[')).map(|token| token.span)
            {
                self.say(
                    open,
                    "AutoGen's indices (`[`) are not read here",
                    "values stand in the order of the file",
                );
                self.broken = true;
                while self
                    .peek()
                    .is_some_and(|token| !matches!(token.kind, Kind::Punct('=' | ';' | '{' | '}')))
                {
                    self.take();
                }
            }
            if self.take_punct('=') {
                self.values(name, &mut values, depth);
            } else if !(self.broken && self.take_punct(';')) {
                self.unexpected(&format!("`=` or `;` after `{}`", shown(name)));
                self.recover(depth);
            }
        }
        let broken = std::mem::replace(&mut self.broken, outer);
        Attribute { name, span, values, broken }
    }

    fn values(&mut self, key: &str, values: &mut Vec<Value<'a>>, depth: usize) {
        loop {
            if let Some(value) = self.unquoted(key).or_else(|| self.value(depth)) {
                values.push(value);
                if self.ends_early()
                    && let Some(value) = values.last_mut()
                {
                    value.content = Content::Unread;
                }
            } else if !is_punct(self.peek(), ';') {
                return self.recover(depth);
            }
            while depth == 0 && is_punct(self.peek(), '}') {
                self.take();
                self.say(self.last, NOTHING_TO_CLOSE, "");
            }
            let Some(Token { kind, span }) = self.peek().cloned() else {
                self.missing(';');
                return;
            };
            match kind {
                Kind::Punct(',') => {
                    self.take();
                    if self.is_attribute() {
                        let help = "write `;`: the list ends here";
                        return self.say(span, "no value follows this `,`", help);
                    }
                }
                Kind::Punct(';') => {
                    self.take();
                    return;
                }
                Kind::Punct('}') => return self.missing(';'),
                Kind::Name(name) if self.is_first(span) && self.is_listed(name) => {
                    self.missing(',');
                }
                Kind::Name(_) if is_punct(self.look(1), '=') || self.is_first(span) => {
                    return self.missing(';');
                }
                Kind::Name(_) | Kind::Bare(_) | Kind::Text(_) | Kind::Punct('{') => {
                    self.missing(',');
                }
                _ => {
                    self.unexpected("`,` or `;`");
                    return self.recover(depth);
                }
            }
        }
    }

    /// Whether a name at the start of a line is one more of a list: it is no attribute's, and another
    /// one follows, or the list's end.
    fn is_listed(&mut self, name: &str) -> bool {
        let next = self.look(1).map(|token| token.kind.clone());
        !is_taken(name)
            && !is_keyword(name)
            && matches!(next, Some(Kind::Punct(',' | ';' | '}') | Kind::Name(_)))
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let Some(Token { kind, mut span }) = self.peek().cloned() else {
            self.unexpected("a value");
            return None;
        };
        if matches!(kind, Kind::Punct(char) if !"{*".contains(char)) {
            self.unexpected("a value");
            return None;
        }
        self.take();
        let content = match kind {
            Kind::Name(word) | Kind::Bare(word) => {
                if is_keyword(word) {
                    self.say(span, format!("`{word}` is AutoGen's own word"), "put it in quotes");
                }
                Content::Text(Cow::Borrowed(word))
            }
            Kind::Text(text) => Content::Text(text),
            Kind::Punct('{') if depth < DEPTH_MAX => {
                let block = self.attributes(depth + 1, span);
                span.end = self.last.end;
                Content::Block(block)
            }
            Kind::Punct('{') => {
                self.say(span, format!("blocks more than {DEPTH_MAX} deep are not read"), "");
                self.broken = true;
                self.skip_block();
                Content::Unread
            }
            Kind::Punct(_) => {
                self.say(span, "a `*` needs quotes", "write `\"*\"`");
                Content::Text(Cow::Borrowed("*"))
            }
            Kind::Unread => {
                self.broken = true;
                Content::Unread
            }
        };
        Some(Value { content, span })
    }
}
