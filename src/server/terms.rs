//! What holds for the clients of one listener.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Counters;
use crate::autofsm::Definition;
use crate::config::{Config, Tls, UncappedFrom};
use crate::smtp::faults::Faults;
use crate::smtp::machine::Machine;
use crate::smtp::session::Settings;
use crate::smtp::vocabulary::VOCABULARY;

/// The text of a definition.
#[derive(Debug, Default)]
pub struct PageText {
    /// Where it comes from.
    pub name: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The text.
    pub text: String,
}

/// What a listener serves.
#[derive(Clone, Debug)]
pub struct Served {
    /// The machine, without the rows that the listener cannot keep.
    pub machine: &'static Machine,
    /// The definition that it was made of, with the faults of now.
    pub definition: Arc<Definition>,
    /// Its text.
    pub page: Arc<PageText>,
    /// Where it misbehaves, if it does.
    pub faults: Option<Arc<Faults>>,
    /// The text of its faults, if they do not stand in the definition.
    pub faults_text: Option<Arc<str>>,
    /// The lines of a dialogue that name the files of definition and faults, for transcripts.
    pub played_by: String,
}

/// What holds for the clients of one listener. A session keeps what it began with.
#[derive(Debug)]
pub(super) struct Terms {
    /// What their sessions share.
    pub(super) settings: Arc<Settings>,
    /// The configuration, with what can change while the server runs as it was then.
    pub(super) config: Arc<Config>,
    /// What is served.
    pub(super) served: Served,
    /// Whether their lines are encrypted from the first octet.
    pub(super) from_first_octet: bool,
    /// Whether a client without an address may relay.
    pub(super) may_relay: bool,
    /// What is counted of the machine.
    pub(super) counters: Arc<Counters>,
}

/// The terms of a listener as they are now.
#[derive(Debug)]
pub(super) struct Current(Mutex<Arc<Terms>>);

impl Terms {
    /// Those of a listener.
    pub(super) fn new(config: &Arc<Config>, served: Served, may_relay: bool) -> Self {
        let settings = Settings {
            shows_lines: true,
            faults: served.faults.clone(),
            ..config.settings(served.machine)
        };
        Self {
            settings: Arc::new(settings),
            counters: Arc::new(Counters::new(served.machine)),
            config: Arc::clone(config),
            from_first_octet: served.machine.encrypted_at.is_some(),
            served,
            may_relay,
        }
    }

    /// Whether a client at an address may relay.
    pub(super) fn may_relay(&self, address: IpAddr) -> bool {
        self.config.relay_from.iter().any(|network| network.contains(address))
    }

    /// Whether a client at an address is not served at all.
    pub(super) fn refuses(&self, address: IpAddr) -> bool {
        self.config.refuse_from.iter().any(|network| network.contains(address))
    }

    /// Whether only the cap on all connections holds for an address.
    pub(super) fn is_uncapped(&self, address: IpAddr) -> bool {
        match &self.config.uncapped_from {
            UncappedFrom::RelayFrom => self.may_relay(address),
            UncappedFrom::Networks(networks) => {
                networks.iter().any(|network| network.contains(address))
            }
        }
    }
}

impl Current {
    pub(super) fn new(terms: Terms) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(terms))))
    }

    /// The terms for a client that comes now.
    pub(super) fn get(&self) -> Arc<Terms> {
        Arc::clone(&self.lock())
    }

    /// Exchanges them, and returns how many sessions keep the old ones.
    pub(super) fn exchange(&self, mut terms: Terms) -> usize {
        let before = self.get();
        // What is counted is counted of a machine, whatever its faults are.
        if std::ptr::eq(before.served.machine, terms.served.machine) {
            terms.counters = Arc::clone(&before.counters);
        }
        drop(before);
        let old = std::mem::replace(&mut *self.lock(), Arc::new(terms));
        Arc::strong_count(&old) - 1
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Terms>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    machine.without(VOCABULARY.conditional)
}
