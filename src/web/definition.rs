//! What the page shows of a definition: the machine as it is served, and what can be said of it.

use std::ptr;
use std::sync::Arc;

use crate::server::{Counters, Now};
use crate::smtp::faults::Faults;
use crate::smtp::machine::Machine;

/// Says of some words what `fsm explain` says, or why it cannot.
pub(crate) type Explain = Box<dyn Fn(&[&str]) -> Result<String, String> + Send + Sync>;

/// Says of what a listener serves now what the page shows of it.
pub(crate) type Describe = Box<dyn Fn(&Now) -> Definition + Send + Sync>;

/// The definition of one listener, as it is served there.
pub(crate) struct Definition {
    /// Where it comes from.
    pub(crate) name: String,
    /// SHA-256 of its text, in hexadecimal.
    pub(crate) sha256: String,
    /// The listener's address.
    pub(crate) address: String,
    /// The names of the states and of the events that it has there, in its order.
    pub(crate) states: Vec<String>,
    pub(crate) events: Vec<String>,
    /// Its picture, if it is not too large to be drawn.
    pub(crate) picture: Option<String>,
    /// Its faults, and for each the cells where it may fire, state and event.
    pub(crate) faults: Option<Arc<Faults>>,
    pub(crate) fault_cells: Vec<Vec<(String, String)>>,
    /// The text of the faults, if they do not stand in the definition.
    pub(crate) source: Option<Arc<str>>,
    /// What is counted of its machine there.
    pub(crate) counters: Arc<Counters>,
    /// What is said of its cells.
    pub(crate) explain: Explain,
}

/// A definition with the listeners that serve it, and what is counted there.
pub(super) struct Page {
    pub(super) definition: Definition,
    pub(super) listeners: Vec<String>,
    pub(super) counters: Vec<Arc<Counters>>,
}

/// The definitions of all listeners, each once.
pub(super) fn grouped(definitions: impl Iterator<Item = Definition>) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for definition in definitions {
        let machine = definition.counters.machine();
        let is_same = |page: &&mut Page| page.is_of(machine);
        if let Some(page) = pages.iter_mut().find(is_same) {
            page.listeners.push(definition.address);
            page.counters.push(definition.counters);
        } else {
            pages.push(Page {
                listeners: vec![definition.address.clone()],
                counters: vec![Arc::clone(&definition.counters)],
                definition,
            });
        }
    }
    pages
}

/// The name of a cell.
pub(super) fn cell_name(state: &str, event: &str) -> String {
    format!("{state} {event}")
}

impl Page {
    /// Whether it is the page of this machine.
    pub(super) fn is_of(&self, machine: &'static Machine) -> bool {
        self.counters.iter().any(|one| ptr::eq(one.machine(), machine))
    }

    /// The text of the picture's style, which the picture's policy has to allow.
    pub(super) fn style(&self) -> Option<&str> {
        let (_, rest) = self.definition.picture.as_deref()?.split_once("<style>")?;
        rest.split_once("</style>").map(|(style, _)| style)
    }
}
