//! What the page shows of a definition that is served.

use std::sync::Arc;

use super::fsm::explain::explain_served;
use crate::autofsm::{self, Marks, Move};
use crate::server::Now;
use crate::web::Definition;

/// The definition without the rows that are left out. What is encrypted from the first octet begins
/// behind one of them, and is shown whole.
pub(super) fn served(now: &Now) -> autofsm::Definition {
    if now.machine.encrypted_at.is_some() {
        autofsm::Definition::clone(&now.definition)
    } else {
        now.definition.without(now.machine.left_out)
    }
}

/// What the page shows of what a listener serves now.
pub(super) fn shown(now: &Now) -> Definition {
    let definition = served(now);
    let of = |step: &Move| {
        let state = definition.states.get(step.state.0);
        let event = definition.events.get(step.event.0);
        state.zip(event).map(|(state, event)| (state.name.clone(), event.name.clone()))
    };
    let fault_cells = definition.faults.iter();
    let fault_cells = fault_cells.map(|fault| fault.cells.iter().filter_map(of).collect());
    let fault_cells = fault_cells.collect();
    let served = now.clone();
    Definition {
        name: now.page.name.clone(),
        sha256: now.page.sha256.clone(),
        address: now.address.clone(),
        states: definition.states.iter().map(|state| state.name.clone()).collect(),
        events: definition.events.iter().map(|event| event.name.clone()).collect(),
        picture: autofsm::svg(&definition, &Marks::of(&definition, &[])),
        fault_cells,
        faults: now.faults.clone(),
        source: now.source.as_ref().map(Arc::clone),
        counters: Arc::clone(&now.counters),
        explain: Box::new(move |words| explain_served(&served, words)),
    }
}
