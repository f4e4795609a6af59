//! `fault`: where a server misbehaves, and how, exactly as written.
//!
//! A fault's `path` is an expression over accepted events with the command at hand as the last one;
//! the other attributes say what happens there. Faults change no cell: the table stays as proven,
//! and GNU autogen reads over them. Where they may fire is decided by a walk over the machine
//! together with their expressions (`walk`), as the proofs of `never` and `always` do it.
//!
//! They stand in a definition, or alone in a text without a header ([`compile`]), which autogen
//! reads if it is put behind a definition.

use super::parser::{self, Attribute, Value};
use super::{
    Automaton, CountKey, Definition, Diagnostic, Move, Run, SOURCE_BYTES_MAX, Severity, Span,
    Vocabulary, causes, normal, slips,
};

mod read;
mod show;
mod values;
mod walk;

pub(super) use show::shown_time;
pub use values::milliseconds;

/// The most faults of a definition, those of both texts together.
pub const FAULTS_MAX: usize = 200;

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it says in words.
    pub says: String,
    /// The expression: the accepted events so far, and the command at hand.
    pub path: String,
    /// Where the expression stands, quotes included.
    pub path_span: Span,
    /// The pattern that the command's line must match; after content, a line of the header.
    pub when: Option<String>,
    /// How often it fires.
    pub count: Count,
    /// What is counted apart; none for the whole server.
    pub each: Vec<CountKey>,
    /// What is said.
    pub answer: Answer,
    /// The row is taken, although the answer says no.
    pub done: bool,
    /// How long the answer waits, in milliseconds.
    pub wait_ms: u64,
    /// The answer in pieces.
    pub pace: Option<Pace>,
    /// So many octets of the answer leave.
    pub cut: Option<usize>,
    /// How the connection ends after it.
    pub end: Option<Ending>,
    /// It fires inside content, after so many octets.
    pub content: Option<u64>,
    /// The block, from `{` to `}`.
    pub span: Span,
    /// The expression, to be followed.
    pub automaton: Automaton,
    /// Where it may fire: the states, with the command at hand.
    pub cells: Vec<Move>,
    /// The shortest conversation that makes it fire; without moves at the greeting.
    pub run: Run,
}

/// How often a fault fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Each time.
    Always,
    /// The first so many times.
    First(u32),
    /// Whenever so many have passed in this time.
    Over {
        /// How many pass.
        most: u32,
        /// In how long, in milliseconds.
        in_ms: u64,
    },
}

/// What a fault says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the row says.
    Row,
    /// These lines, of one code. In them `$1` is the first group of the pattern.
    Reply(Code, Vec<String>),
    /// These octets.
    Octets(String),
}

/// The code of a fault's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Three digits.
    Fixed(u16),
    /// A group of the pattern. What it matches must be a refusal's, or the fault does not fire.
    Group(usize),
}

/// So many octets, and then a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The octets of a piece.
    pub octets: usize,
    /// The pause between two, in milliseconds.
    pub every_ms: u64,
}

/// How a fault ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// It stays open, and nothing is said or taken any more.
    Hang,
}

impl Fault {
    /// Whether it refuses the command, so that nothing changes.
    #[must_use]
    pub fn refuses(&self) -> bool {
        let says_no = match &self.answer {
            Answer::Row | Answer::Octets(_) => false,
            Answer::Reply(Code::Fixed(code), _) => *code >= 400,
            Answer::Reply(Code::Group(_), _) => true,
        };
        says_no && !self.done
    }

    /// Whether it fires wherever its path matches, whatever was said and counted.
    #[must_use]
    pub fn is_unconditional(&self) -> bool {
        self.when.is_none() && self.count == Count::Always && self.content.is_none()
    }

    /// Whether it fires at the greeting.
    #[must_use]
    pub fn greets(&self) -> bool {
        self.content.is_none() && self.automaton.matches(&self.automaton.start())
    }

    /// Whether two would do the same, wherever they are written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let bare = |fault: &Self| Self {
            path_span: Span::default(),
            span: Span::default(),
            cells: Vec::new(),
            run: Run::default(),
            // It is `path` over the events of one definition.
            automaton: Automaton::new(Vec::new()),
            ..fault.clone()
        };
        bare(self) == bare(other)
    }

    /// The fault over other events; none if one of its events is not among them.
    pub(super) fn over(
        &self,
        events: &[usize],
        is_left_out: impl Fn(&str) -> bool,
        moved: impl Fn(Move) -> Option<Move>,
    ) -> Option<Self> {
        if super::expression::names(&self.path).any(is_left_out) {
            return None;
        }
        let cells: Vec<_> = self.cells.iter().filter_map(|cell| moved(*cell)).collect();
        let run = self.run.moves.iter().map(|step| moved(*step)).collect::<Option<_>>();
        let run = Run { moves: run.unwrap_or_default() };
        Some(Self { automaton: self.automaton.over(events), cells, run, ..self.clone() })
    }
}

/// What became of a text of faults.
#[derive(Clone, Debug)]
pub struct FaultCompilation {
    /// The faults; none if there is an error.
    pub faults: Option<Vec<Fault>>,
    /// The findings: errors before warnings, each sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles faults that stand alone, for a definition that has none of its own.
#[must_use]
pub fn compile(source: &str, definition: &Definition, rules: &Vocabulary) -> FaultCompilation {
    let mut found = Vec::new();
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("larger than {} MiB", SOURCE_BYTES_MAX >> 20);
        found.push(Diagnostic::error(Span::default(), message));
        return FaultCompilation { faults: None, diagnostics: found };
    }
    let mut parsed = parser::parse_alone(source, &mut found);
    slips::mend_faults(&mut parsed, &mut found);
    let faults = check(source, &parsed.attributes, definition, rules, &mut found);
    if parsed.attributes.is_empty() && found.is_empty() {
        let help = "write `fault = { says = '...'; path = '...'; ... };`".to_owned();
        let said = Diagnostic::error(Span::default(), "this file has no fault");
        found.push(said.help(Some(help)));
    }
    causes::order(source, None, &parsed.comments, &mut found);
    let is_right = !found.iter().any(|said| said.severity == Severity::Error);
    FaultCompilation { faults: is_right.then_some(faults), diagnostics: found }
}

/// The faults of a file's attributes, each with where it may fire.
pub(super) fn check(
    source: &str,
    attributes: &[Attribute<'_>],
    definition: &Definition,
    rules: &Vocabulary,
    found: &mut Vec<Diagnostic>,
) -> Vec<Fault> {
    let before = found.len();
    let mut faults = read::read(source, values_of(attributes), definition, rules, found);
    let is_right = !found.iter().skip(before).any(|said| said.severity == Severity::Error);
    if is_right {
        walk::check(definition, rules, &mut faults, found);
    }
    faults
}

/// What the build says of a definition that has faults.
#[must_use]
pub fn refused_in_a_build(definition: &Definition) -> Option<Diagnostic> {
    let fault = definition.faults.first()?;
    let begin = Span { start: fault.span.start, end: fault.span.start + 1 };
    let message = "a server that is built has no faults";
    let help = "put them into a file of their own, and serve with `--faults FILE`";
    Some(Diagnostic::error(begin, message).help(Some(help.to_owned())))
}

/// The values of each `fault` of a file.
fn values_of<'a>(attributes: &'a [Attribute<'a>]) -> impl Iterator<Item = &'a Value<'a>> {
    let faults = attributes.iter().filter(|attribute| normal(attribute.name) == "fault");
    faults.flat_map(|attribute| &attribute.values)
}
