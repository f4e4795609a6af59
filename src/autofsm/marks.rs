//! Where in the machine its errors are, for the tools that show it.
//!
//! An error that a run of the machine shows is about the cells of that run. The run may end with an
//! event that has no cell: that is the cell that is missing. Each other error is about the cells of
//! the row that it points at, and one that points at no row is about none.

use std::collections::BTreeMap;

use super::graph::{EventIndex, Move, StateIndex};
use super::served::cells;
use super::{Definition, Diagnostic, Fault, Severity};

/// The most errors that are marked: a picture that is all marks shows nothing.
const MARKED_MAX: usize = 100;
/// The most errors that [`Marks::lines`] tells.
const LINES_MAX: usize = 8;
/// The most events of a run that one line tells.
const EVENTS_MAX: usize = 12;
/// The most characters of an error that one line tells: a rule may say as much as it likes.
const MESSAGE_CHARS_MAX: usize = 300;

/// The cells that errors are about.
#[derive(Clone, Debug, Default)]
pub struct Marks<'a> {
    /// For each marked cell its errors, by their numbers.
    cells: BTreeMap<(usize, usize), Vec<usize>>,
    /// The errors, with the cells of each.
    errors: Vec<(&'a Diagnostic, Vec<Move>)>,
    /// How many more errors there are, without marks.
    others: usize,
    /// The faults of the definition, whose cells are marked too.
    faults: Vec<&'a Fault>,
}

impl<'a> Marks<'a> {
    /// The marks of what was found in a definition; of a definition without errors there are none.
    #[must_use]
    pub fn of(definition: &'a Definition, found: &'a [Diagnostic]) -> Self {
        // The cells of each row, by its begin, with its end.
        let mut rows: BTreeMap<usize, (usize, Vec<Move>)> = BTreeMap::new();
        for (state, event, cell) in cells(definition) {
            let row = rows.entry(cell.row.start).or_insert((cell.row.end, Vec::new()));
            row.1.push(Move { state: StateIndex(state), event: EventIndex(event) });
        }
        let mut marks = Self { faults: definition.faults.iter().collect(), ..Self::default() };
        let errors = found.iter().filter(|one| one.severity == Severity::Error);
        marks.others = errors.clone().count().saturating_sub(MARKED_MAX);
        for error in errors.take(MARKED_MAX) {
            let mut marked = error.run.moves.clone();
            let row = rows.range(..=error.span.start).next_back().map(|(_, row)| row);
            let row = row.filter(|(end, _)| *end > error.span.start);
            if let (true, Some((_, cells))) = (marked.is_empty(), row) {
                marked.clone_from(cells);
            }
            for step in &marked {
                let numbers = marks.cells.entry((step.state.0, step.event.0)).or_default();
                if numbers.last() != Some(&marks.errors.len()) {
                    numbers.push(marks.errors.len());
                }
            }
            marks.errors.push((error, marked));
        }
        marks
    }

    /// Whether an error is about what a state does with an event, or a fault may fire there.
    #[must_use]
    pub fn has(&self, state: usize, event: usize) -> bool {
        let here = Move { state: StateIndex(state), event: EventIndex(event) };
        self.cells.contains_key(&(state, event))
            || self.faults.iter().any(|fault| fault.cells.contains(&here))
    }

    /// The faults.
    pub(super) fn faults(&self) -> &[&'a Fault] {
        &self.faults
    }

    /// The errors that are about what a state does with an event.
    pub fn errors_of(&self, state: usize, event: usize) -> impl Iterator<Item = &'a Diagnostic> {
        let numbers = self.cells.get(&(state, event)).into_iter().flatten();
        numbers.map(|number| self.errors[*number].0)
    }

    /// The errors, each with its cells: those of its run, in that order, or of its row.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&'a Diagnostic, &[Move])> {
        self.errors.iter().map(|(error, cells)| (*error, cells.as_slice()))
    }

    /// The marked cells without a row: an event that a rule wants to be accepted.
    pub(super) fn missing(&self, definition: &Definition) -> impl Iterator<Item = Move> {
        let marked = self.cells.keys().map(|(state, event)| (*state, *event));
        marked
            .filter(|(state, event)| definition.cell(*state, *event).is_none())
            .map(|(state, event)| Move { state: StateIndex(state), event: EventIndex(event) })
    }

    /// What a picture or a table says of the errors, a line for each, with the events of its run:
    /// `this can happen: mail before a greeting (RSET, MAIL)`.
    pub(super) fn lines(&self, definition: &Definition) -> Vec<String> {
        let line = |(error, _): &(&Diagnostic, Vec<Move>)| {
            let names = error.run.moves.iter().map(|step| &*definition.events[step.event.0].name);
            let mut names: Vec<_> = names.collect();
            if names.len() > EVENTS_MAX {
                names.splice(EVENTS_MAX / 2..names.len() - EVENTS_MAX / 2, ["..."]);
            }
            let cut = error.message.char_indices().nth(MESSAGE_CHARS_MAX);
            let message = match cut.and_then(|(end, _)| error.message.get(..end)) {
                Some(begin) => format!("{begin}..."),
                None => error.message.clone(),
            };
            let run = format!(" ({})", names.join(", "));
            message + if names.is_empty() { "" } else { &run }
        };
        let mut lines: Vec<_> = self.errors.iter().take(LINES_MAX).map(line).collect();
        let more = self.errors.len() - lines.len() + self.others;
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        for fault in self.faults.iter().take(LINES_MAX) {
            let says = fault.says.chars().take(MESSAGE_CHARS_MAX).collect::<String>();
            lines.push(format!("fault: {says} ({})", fault.dialogue(definition)));
        }
        let more = self.faults.len().saturating_sub(LINES_MAX);
        if more > 0 {
            lines.push(format!("and {more} more faults"));
        }
        lines
    }
}
