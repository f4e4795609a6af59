//! The cells that a row sets: one row for each, but that a row without `"*"` is the exception to one
//! with it.

use super::super::{Cell, Diagnostic, Span, normal};
use super::rows::{Row, Side};
use super::{Doubt, Resolver};

/// The most cells that all rows together may set, one over the other: it bounds time and memory.
pub(super) const SETS_MAX: usize = 1_000_000;

impl Resolver<'_> {
    pub(super) fn set(
        &mut self,
        states: &Side,
        events: &Side,
        row: &Row,
        setters: &mut [Option<(Span, bool)>],
        sets_left: &mut usize,
    ) {
        let star = states.any || events.any;
        let number = states.indices.len() * events.indices.len();
        if number > *sets_left {
            if *sets_left > 0 {
                self.say(
                    row.span,
                    format!("the rows set more than {SETS_MAX} cells, one over the other"),
                );
            }
            *sets_left = 0;
            self.doubts.insert(Doubt::Rows);
            return;
        }
        *sets_left -= number;
        if row.takes_back && !self.is_in_doubt(Doubt::Rows) && self.takes_nothing(states, events) {
            let begin = Span { start: row.span.start, end: row.span.start + 1 };
            let help = "a cell that no row sets is invalid: leave this row out";
            self.keep(
                Diagnostic::warning(begin, "this row takes back nothing")
                    .help(Some(help.to_owned())),
            );
        }
        for &state in &states.indices {
            for &event in &events.indices {
                let index = state * self.definition.events.len() + event;
                if let Some((before, false)) = setters[index] {
                    self.twice(state, event, row.span, before, star);
                    return;
                }
                setters[index] = Some((row.span, star));
                self.set_one(state, event, row);
            }
        }
    }

    /// Whether no row before has set any of these cells.
    fn takes_nothing(&self, states: &Side, events: &Side) -> bool {
        let is_set = |state: usize, event: usize| {
            self.definition.cell(state, event).is_some()
                || self.definition.taken_back.contains_key(&(state, event))
        };
        !states
            .indices
            .iter()
            .any(|state| events.indices.iter().any(|event| is_set(*state, *event)))
    }

    fn twice(&mut self, state: usize, event: usize, row: Span, before: Span, star: bool) {
        let (state, event) =
            (&self.definition.states[state].name, &self.definition.events[event].name);
        let message = if star {
            format!("this `\"*\"` row would undo the row for `{event}` in `{state}`")
        } else {
            format!("two rows for `{event}` in `{state}`")
        };
        let begin = Span { start: row.start, end: row.start + 1 };
        let diagnostic = Diagnostic::error(begin, message).also("the other", before);
        let help =
            star.then(|| "put it first: a row without `\"*\"` is the exception to it".to_owned());
        self.keep(diagnostic.help(help));
        self.doubts.insert(Doubt::Rows);
    }

    fn set_one(&mut self, state: usize, event: usize, row: &Row) {
        let index = state * self.definition.events.len() + event;
        let mut overridden = Vec::new();
        if let Some(before) = self.definition.cells[index].take() {
            overridden.push(before.row);
            overridden.extend(before.overridden);
        } else if let Some(before) = self.definition.taken_back.remove(&(state, event)) {
            overridden = before;
        }
        if row.takes_back {
            overridden.insert(0, row.span);
            self.definition.taken_back.insert((state, event), overridden);
            return;
        }
        let action = match &row.action {
            Some((name, _)) if name.eq_ignore_ascii_case("noop") => None,
            Some((name, _)) => Some(name.clone()),
            None => {
                let (state, event) =
                    (&self.definition.states[state].name, &self.definition.events[event].name);
                Some(normal(&format!("{state}_{event}")))
            }
        };
        self.definition.cells[index] = Some(Cell {
            next: row.next.unwrap_or(state),
            action,
            reply: row.reply.as_ref().map(|(reply, _)| reply.clone()),
            reply_span: row.reply.as_ref().map(|(_, span)| *span),
            culprit: row.action.as_ref().map_or(row.span, |(_, span)| *span),
            row: row.span,
            overridden,
        });
    }
}
