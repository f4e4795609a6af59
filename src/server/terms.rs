//! What holds for the clients of one listener.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counters, Serving};
use crate::config::{Config, Tls};
use crate::smtp::machine::Machine;
use crate::smtp::session::Settings;
use crate::smtp::vocabulary::VOCABULARY;

/// What holds for the clients of one listener.
#[derive(Debug)]
pub(super) struct Terms {
    /// What their sessions share.
    pub(super) settings: Arc<Settings>,
    /// Whether their lines are encrypted from the first octet.
    pub(super) from_first_octet: bool,
    /// Whether a client without an address may relay.
    pub(super) may_relay: bool,
    /// The lines of a dialogue that name the files of definition and faults.
    pub(super) played_by: String,
    /// What is counted of the machine.
    pub(super) counters: Arc<Counters>,
    /// The listener's address.
    pub(super) address: String,
}

impl Terms {
    /// Those of a listener.
    pub(super) fn new(config: &Config, serving: &Serving) -> Self {
        let settings = Settings {
            shows_lines: true,
            faults: serving.faults.clone(),
            ..config.settings(serving.machine)
        };
        Self {
            settings: Arc::new(settings),
            from_first_octet: serving.machine.encrypted_at.is_some(),
            may_relay: serving.opened.listener.may_relay,
            played_by: serving.played_by.clone(),
            counters: Arc::new(Counters::new(serving.machine)),
            address: serving.opened.address.clone(),
        }
    }
}

/// The machine that a listener serves: without the rows that it cannot keep. `None` if it cannot
/// open: a line that is encrypted from the first octet begins where the row for STARTTLS leads, and
/// the machine has none.
#[must_use]
pub fn served(
    machine: &'static Machine,
    tls: Tls,
    has_certificate: bool,
) -> Option<&'static Machine> {
    match tls {
        Tls::StartTls if has_certificate => Some(machine),
        Tls::StartTls | Tls::Never => Some(kept(machine)),
        Tls::FirstOctet => machine.encrypted(),
    }
}

/// The machine without the rows of the vocabulary's conditional commands, as a listener serves it
/// that encrypts no line.
#[must_use]
pub fn kept(machine: &'static Machine) -> &'static Machine {
    /// Machines with what is served of them: a table that lives as long as the process is made once.
    static KEPT: Mutex<Vec<(&Machine, &Machine)>> = Mutex::new(Vec::new());
    let mut known = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, kept)) = known.iter().find(|(whole, _)| ptr::eq(*whole, machine)) {
        return kept;
    }
    let kept = machine.without(VOCABULARY.conditional);
    known.push((machine, kept));
    kept
}
