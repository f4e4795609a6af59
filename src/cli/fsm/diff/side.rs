//! One of two definitions that are compared, and what a client hears of it.

use super::super::{Checked, End, File, checked};
use super::Diff;
use crate::autofsm::{self, Cell, Definition, Move, offers, place, same_name};
use crate::dialogue::{Exchange, rehearse};
use crate::smtp::machine::Machine;
use crate::smtp::vocabulary::VOCABULARY;

/// One of the two, with all that is needed to show it.
pub(super) struct Side {
    pub(super) checked: Checked,
    pub(super) machine: Option<&'static Machine>,
    /// The state that the comparison begins in.
    pub(super) start: usize,
    /// The events of a shortest run that leads there.
    pub(super) lead: Vec<String>,
}

impl Side {
    pub(super) fn read(
        path: &std::path::Path,
        from: Option<&str>,
        options: &Diff,
    ) -> Result<Self, End> {
        let file = File {
            path: Some(path.to_owned()),
            served: false,
            faults: None,
            foreign: options.foreign,
            defines: options.defines.clone(),
        };
        let mut checked = checked(&file).map_err(|end| match end {
            // 1 would mean that they differ.
            End::Findings => {
                End::Error(format!("cannot compare {}: it has errors", path.display()))
            }
            error => error,
        })?;
        if let Some(name) = &options.name {
            checked.source.name.clone_from(name);
        }
        let machine = checked.machine();
        let mut side = Self { checked, machine, start: 0, lead: Vec::new() };
        if let Some(name) = from {
            side.begin_in(name)?;
        }
        Ok(side)
    }

    /// Has the comparison begin in a state.
    pub(super) fn begin_in(&mut self, name: &str) -> Result<(), End> {
        let (definition, file) = (&self.checked.definition, &self.checked.source.name);
        let names = definition.states.iter().map(|state| state.name.as_str());
        let start = names.clone().position(|known| same_name(known, name)).ok_or_else(|| {
            let hint = autofsm::suggest(name, names.clone()).unwrap_or_else(|| {
                format!("the states are {}", names.clone().collect::<Vec<_>>().join(", "))
            });
            format!("no state of {file} is called `{}`; {hint}", name.escape_debug())
        })?;
        let run = definition
            .shortest_run(|state| state.0 == start)
            .ok_or_else(|| format!("no dialogue leads to `{name}` in {file}"))?;
        let event = |step: &Move| definition.events[step.event.0].name.clone();
        (self.lead, self.start) = (run.moves.iter().map(event).collect(), start);
        Ok(())
    }

    /// Plays the events from the comparison's start on. Returns `None` without a machine.
    pub(super) fn play(&self, run: &[&str]) -> Option<Vec<Exchange>> {
        let lead = self.lead.iter().map(String::as_str);
        let events: Vec<_> = lead.chain(run.iter().copied()).collect();
        self.machine.map(|machine| rehearse(machine, &events))
    }

    /// What a cell offers of the keywords.
    pub(super) fn offer(&self, cell: Option<&Cell>) -> String {
        let offers = cell.and_then(|cell| offers(self.definition(), cell, &VOCABULARY));
        offers.unwrap_or_default().join(" ")
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.checked.definition
    }

    pub(super) fn cell(&self, state: usize, event: &str) -> Option<&Cell> {
        let number =
            self.definition().events.iter().position(|known| same_name(&known.name, event))?;
        self.definition().cell(state, number)
    }

    pub(super) fn state_name(&self, state: usize) -> &str {
        self.definition().states.get(state).map_or("", |state| state.name.as_str())
    }

    pub(super) fn has_state(&self, name: &str) -> bool {
        self.definition().states.iter().any(|state| same_name(&state.name, name))
    }

    /// What this side answers to the last of these events: as a client sees it, or as the table has
    /// it.
    pub(super) fn answer(&self, run: &[&str], cell: Option<&Cell>, as_client: bool) -> String {
        match self.play(run).filter(|_| as_client) {
            Some(played) => played
                .get(self.lead.len() + run.len())
                .map_or_else(String::new, |exchange| exchange.first_lines().join(" / ")),
            None => self.fact(cell),
        }
    }

    pub(super) fn fact(&self, cell: Option<&Cell>) -> String {
        let Some(cell) = cell else { return "not accepted".to_owned() };
        let action = cell.action.as_deref().unwrap_or("no action");
        let action = if cell.is_refusal() { "refused" } else { action };
        let reply = cell.reply.as_ref().map_or(String::new(), |reply| {
            format!(
                ", {}{}",
                reply.code,
                reply.text.as_ref().map_or(String::new(), |text| format!(" {text}"))
            )
        });
        format!("{action}, to {}{reply}", self.state_name(cell.next))
    }

    pub(super) fn row(&self, cell: &Cell) -> String {
        let (line, column) = place(&self.checked.source.text, cell.row.start);
        format!("{}:{line}:{column}", self.checked.source.name)
    }
}
