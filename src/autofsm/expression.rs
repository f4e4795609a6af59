//! The expressions of `never`, `always` and `fault`: regular, over the names of accepted events.
//!
//! ```text
//! expression = branch *( "|" branch )
//! branch     = *( atom *( "*" / "+" / "?" / "{" number [ "," [ number ] ] "}" ) )
//! atom       = name / "." / "[" [ "^" ] 1*name "]" / "(" expression ")"
//! ```
//!
//! `x{2,5}` is two to five times `x`, `x{2}` twice, and `x{2,}` twice or more often. Blanks
//! separate names. An expression becomes a list of instructions (Thompson's construction),
//! one or two for each character, which [`proof`](super::proof) walks together with the machine. A
//! counted part is written out as often as it may come.

use super::resolve::suggest;
use super::{Definition, Diagnostic, Span, same_name};

/// A longer expression is refused, in octets: the work of a proof grows with it.
const BYTES_MAX: usize = 4096;
/// Parentheses deeper than this are refused: the stack is finite.
const DEPTH_MAX: usize = 64;
/// The most that a part can be counted to.
const TIMES_MAX: usize = 1000;
/// The most instructions of an expression whose counted parts are written out.
const STEPS_MAX: usize = 16_384;

/// What can be said of counts that cannot be read.
const COUNT_HELP: &str = "`x{2}` is twice, `x{2,}` twice or more often, `x{2,5}` two to five times";

/// One step of the automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One of these events; then the next step. The list has a flag for each event.
    Event(Vec<bool>),
    /// Go on at both.
    Fork(usize, usize),
    /// Go on there.
    Jump(usize),
    /// The expression has matched.
    Match,
}

enum Node {
    Empty,
    Events(Vec<bool>),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    /// The node, whether it may be left out, and whether it may come again.
    Repeat(Box<Node>, bool, bool),
    /// The node, how often it comes at least, and how often at most, if there is a bound.
    Times(Box<Node>, usize, Option<usize>),
}

impl Node {
    /// How many instructions it becomes, or more.
    fn size(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Events(_) => 1,
            Self::Sequence(nodes) | Self::Choice(nodes) => {
                nodes.iter().fold(0, |sum, node| sum.saturating_add(node.size() + 2))
            }
            Self::Repeat(node, ..) => node.size().saturating_add(2),
            Self::Times(node, least, most) => {
                let times = most.unwrap_or(*least + 1).max(1);
                node.size().saturating_add(2).saturating_mul(times)
            }
        }
    }
}

/// An attribute's text and its span. If `exact`, the source has no escapes, so that an offset in
/// the text is the same offset in the span.
struct Parser<'a> {
    definition: &'a Definition,
    text: &'a str,
    span: Span,
    exact: bool,
    place: usize,
    found: &'a mut Vec<Diagnostic>,
}

/// Reads an expression. Its mistakes are reported at their places, and then there is none.
pub(super) fn read(
    source: &str,
    definition: &Definition,
    text: &str,
    span: Span,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<Step>> {
    let before = found.len();
    if text.len() > BYTES_MAX {
        found.push(Diagnostic::error(
            span,
            format!("an expression of more than {BYTES_MAX} octets is not read"),
        ));
        return None;
    }
    let exact = source.get(span.start + 1..).is_some_and(|rest| rest.starts_with(text));
    let mut parser = Parser { definition, text, span, exact, place: 0, found };
    let node = parser.choice(0);
    if parser.found.len() == before && parser.peek().is_some() {
        let end = parser.place + 1;
        parser.error(parser.place..end, "this `)` closes nothing");
    }
    if parser.found.len() > before {
        return None;
    }
    let node = node?;
    if node.size() > STEPS_MAX {
        let message = "this expression is too long once its counted parts are written out";
        parser.found.push(Diagnostic::error(span, message));
        return None;
    }
    let mut steps = Vec::new();
    emit(&node, &mut steps);
    steps.push(Step::Match);
    Some(steps)
}

/// The names of events in an expression, right or wrong.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    // A counted part has numbers, which are no names.
    let parts = text.split('{').enumerate();
    let parts = parts.map(|(number, part)| match part.split_once('}') {
        Some((_, after)) if number > 0 => after,
        _ => part,
    });
    parts.flat_map(|part| part.split(|char| !is_name(char))).filter(|name| !name.is_empty())
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_')
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.place..).unwrap_or_default()
    }

    /// The next character that is not a blank.
    fn peek(&mut self) -> Option<char> {
        self.place = self.text.len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn diagnostic(&self, part: std::ops::Range<usize>, message: &str) -> Diagnostic {
        let begin = self.span.start + 1;
        let span = if self.exact {
            Span { start: begin + part.start, end: begin + part.end.max(part.start) }
        } else {
            self.span
        };
        Diagnostic::error(span, message)
    }

    fn error(&mut self, part: std::ops::Range<usize>, message: &str) {
        let diagnostic = self.diagnostic(part, message);
        self.found.push(diagnostic);
    }

    fn choice(&mut self, depth: usize) -> Option<Node> {
        let mut branches = vec![self.sequence(depth)?];
        while self.peek() == Some('|') {
            self.place += 1;
            branches.push(self.sequence(depth)?);
        }
        Some(if branches.len() == 1 { branches.remove(0) } else { Node::Choice(branches) })
    }

    fn sequence(&mut self, depth: usize) -> Option<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        while let Some(char) = self.peek() {
            let start = self.place;
            let node = match char {
                '|' | ')' => break,
                '*' | '+' | '?' => {
                    self.place += 1;
                    let Some(node) = nodes.pop() else {
                        self.error(
                            start..start + 1,
                            &format!("there is nothing for this `{char}` to repeat"),
                        );
                        return None;
                    };
                    Node::Repeat(Box::new(node), char != '+', char != '?')
                }
                '{' => {
                    let Some(node) = nodes.pop() else {
                        let message = "there is nothing for this `{` to repeat";
                        self.error(start..start + 1, message);
                        return None;
                    };
                    let (least, most) = self.times()?;
                    Node::Times(Box::new(node), least, most)
                }
                '.' => {
                    self.place += 1;
                    Node::Events(vec![true; self.definition.events.len()])
                }
                '[' => self.set()?,
                '(' if depth < DEPTH_MAX => {
                    self.place += 1;
                    let node = self.choice(depth + 1)?;
                    if self.peek() != Some(')') {
                        self.error(start..start + 1, "this `(` is not closed");
                        return None;
                    }
                    self.place += 1;
                    node
                }
                '(' => {
                    self.error(start..start + 1, "parentheses are nested too deep");
                    return None;
                }
                _ if is_name(char) => {
                    let mut events = vec![false; self.definition.events.len()];
                    self.name(&mut events);
                    Node::Events(events)
                }
                _ => {
                    let message =
                        format!("a `{}` has no meaning in an expression", char.escape_default());
                    let diagnostic = self.diagnostic(start..start + char.len_utf8(), &message);
                    let help =
                        "names of events, `.`, `[A B]`, `[^ A B]`, `*`, `+`, `?`, `{2,5}`, `|` and parentheses".to_owned();
                    self.found.push(diagnostic.help(Some(help)));
                    return None;
                }
            };
            nodes.push(node);
        }
        Some(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    /// How often a part comes, of `{2}`, `{2,}` or `{2,5}`.
    fn times(&mut self) -> Option<(usize, Option<usize>)> {
        let start = self.place;
        self.place += 1;
        let inside = self.rest().split('}').next().unwrap_or_default();
        let end = self.place + inside.len();
        let number = |text: &str| {
            let number = text.trim().parse::<usize>().ok();
            number.filter(|_| text.trim().bytes().all(|octet| octet.is_ascii_digit()))
        };
        let read = match inside.split_once(',') {
            None => number(inside).map(|times| (times, Some(times))),
            Some((least, most)) if most.trim().is_empty() => {
                number(least).map(|least| (least, None))
            }
            Some((least, most)) => {
                number(least).zip(number(most)).map(|(least, most)| (least, Some(most)))
            }
        };
        let is_closed = self.text.as_bytes().get(end) == Some(&b'}');
        let message = match read {
            _ if !is_closed => "this `{` is not closed",
            None => "this is no count",
            Some((least, Some(most))) if least > most || most == 0 => "nothing can come so often",
            Some((least, most)) if least.max(most.unwrap_or(0)) > TIMES_MAX => {
                "no part is counted beyond 1000"
            }
            Some(times) => {
                self.place = end + 1;
                return Some(times);
            }
        };
        let end = if is_closed { end + 1 } else { start + 1 };
        let diagnostic = self.diagnostic(start..end, message);
        self.found.push(diagnostic.help(Some(COUNT_HELP.to_owned())));
        None
    }

    /// Reads a name and notes its event. An unknown one is reported, and reading goes on: there may
    /// be others.
    fn name(&mut self, events: &mut [bool]) {
        let start = self.place;
        let length = self.rest().find(|char| !is_name(char)).unwrap_or(self.rest().len());
        self.place += length;
        let name = self.text.get(start..self.place).unwrap_or_default();
        let known = &self.definition.events;
        if let Some(index) = known.iter().position(|event| same_name(&event.name, name)) {
            events[index] = true;
            return;
        }
        let is_state = self.definition.states.iter().any(|state| same_name(&state.name, name));
        let help = if is_state {
            Some(format!("`{name}` is a state: a rule speaks of events"))
        } else {
            suggest(name, known.iter().map(|event| event.name.as_str()))
        };
        let diagnostic =
            self.diagnostic(start..self.place, &format!("no event is called `{name}`"));
        let diagnostic = diagnostic.help(help).unknown("event", name);
        self.found.push(diagnostic);
    }

    fn set(&mut self) -> Option<Node> {
        let start = self.place;
        self.place += 1;
        let negated = self.peek() == Some('^');
        self.place += usize::from(negated);
        let mut events = vec![false; self.definition.events.len()];
        let mut is_empty = true;
        loop {
            match self.peek() {
                Some(']') => {
                    self.place += 1;
                    break;
                }
                Some(char) if is_name(char) => {
                    is_empty = false;
                    self.name(&mut events);
                }
                // Without a `]` further on it is the `[` that is wrong.
                Some(char)
                    if self.rest().split('[').next().is_some_and(|rest| rest.contains(']')) =>
                {
                    let (place, message) = (
                        self.place,
                        format!("a `{}` has no meaning between [ and ]", char.escape_default()),
                    );
                    self.error(place..place + char.len_utf8(), &message);
                    return None;
                }
                _ => {
                    self.error(start..start + 1, "this `[` is not closed");
                    return None;
                }
            }
        }
        if is_empty {
            let diagnostic =
                self.diagnostic(start..self.place, "there is no event between [ and ]");
            self.found.push(diagnostic.help(Some("`.` is any event".to_owned())));
            return None;
        }
        if negated {
            for named in &mut events {
                *named = !*named;
            }
        }
        Some(Node::Events(events))
    }
}

fn emit(node: &Node, steps: &mut Vec<Step>) {
    match node {
        Node::Empty => {}
        Node::Events(events) => steps.push(Step::Event(events.clone())),
        Node::Sequence(nodes) => nodes.iter().for_each(|node| emit(node, steps)),
        Node::Choice(branches) => {
            let mut ends = Vec::new();
            for (number, branch) in branches.iter().enumerate() {
                let fork = steps.len();
                let is_last = number + 1 == branches.len();
                if !is_last {
                    steps.push(Step::Match);
                }
                emit(branch, steps);
                if !is_last {
                    ends.push(steps.len());
                    steps.push(Step::Match);
                    steps[fork] = Step::Fork(fork + 1, steps.len());
                }
            }
            let behind = steps.len();
            for end in ends {
                steps[end] = Step::Jump(behind);
            }
        }
        Node::Times(inner, least, most) => {
            for _ in 0..*least {
                emit(inner, steps);
            }
            match most {
                None => emit_repeat(inner, true, true, steps),
                Some(most) => {
                    // Each further one may lack, and then all after it do.
                    let mut forks = Vec::new();
                    for _ in *least..*most {
                        forks.push(steps.len());
                        steps.push(Step::Match);
                        emit(inner, steps);
                    }
                    for fork in forks {
                        steps[fork] = Step::Fork(fork + 1, steps.len());
                    }
                }
            }
        }
        Node::Repeat(inner, may_lack, may_repeat) => {
            emit_repeat(inner, *may_lack, *may_repeat, steps);
        }
    }
}

fn emit_repeat(inner: &Node, may_lack: bool, may_repeat: bool, steps: &mut Vec<Step>) {
    let start = steps.len();
    if may_lack {
        steps.push(Step::Match);
    }
    emit(inner, steps);
    if may_repeat {
        let again = steps.len();
        steps.push(if may_lack { Step::Jump(start) } else { Step::Fork(start, again + 1) });
    }
    if may_lack {
        steps[start] = Step::Fork(start + 1, steps.len());
    }
}
