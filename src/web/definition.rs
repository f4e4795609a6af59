//! What the page shows of a definition: the machine as it is served, and what can be said of it.

use std::ptr;
use std::sync::Arc;

use crate::server::{Counters, Live};
use crate::smtp::faults::Faults;

/// Says of some words what `fsm explain` says, or why it cannot.
pub(crate) type Explain = Box<dyn Fn(&[&str]) -> Result<String, String> + Send + Sync>;

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
pub(super) fn grouped(definitions: Vec<Definition>, live: &Live) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for (definition, counters) in definitions.into_iter().zip(live.counters()) {
        let is_same = |page: &&mut Page| {
            page.counters.iter().any(|one| ptr::eq(one.machine(), counters.machine()))
        };
        if let Some(page) = pages.iter_mut().find(is_same) {
            page.listeners.push(definition.address);
            page.counters.push(Arc::clone(counters));
        } else {
            pages.push(Page {
                listeners: vec![definition.address.clone()],
                counters: vec![Arc::clone(counters)],
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
    /// The text of the picture's style, which the page's policy has to allow.
    pub(super) fn style(&self) -> Option<&str> {
        let (_, rest) = self.definition.picture.as_deref()?.split_once("<style>")?;
        rest.split_once("</style>").map(|(style, _)| style)
    }
}
