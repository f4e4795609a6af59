//! What holds for the clients of one listener.

use std::sync::Arc;

use super::kept;
use crate::config::{Config, Tls};
use crate::smtp::machine::{Machine, Position, StateId};
use crate::smtp::session::Settings;

/// What a listener serves of a definition.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// The machine, without the rows that the listener cannot keep.
    pub machine: &'static Machine,
    /// Where a session begins whose line is encrypted from the first octet; `None` for a clear one.
    pub encrypted_at: Option<StateId>,
}

/// What holds for the clients of one listener.
#[derive(Debug)]
pub(super) struct Terms {
    /// What their sessions share.
    pub(super) settings: Arc<Settings>,
    /// Whether their lines are encrypted from the first octet.
    pub(super) from_first_octet: bool,
    /// Whether a client without an address may relay.
    pub(super) may_relay: bool,
}

impl Served {
    /// What a listener serves of a machine. `None` if it cannot open: a line that is encrypted from
    /// the first octet begins where the row for STARTTLS leads, and the machine has none.
    #[must_use]
    pub fn of(machine: &'static Machine, tls: Tls, has_certificate: bool) -> Option<Self> {
        match tls {
            Tls::StartTls if has_certificate => Some(Self { machine, encrypted_at: None }),
            Tls::StartTls | Tls::Never => Some(Self { machine: kept(machine), encrypted_at: None }),
            Tls::FirstOctet => {
                let encrypted_at = Some(machine.encrypted_start()?);
                Some(Self { machine: kept(machine), encrypted_at })
            }
        }
    }

    /// What EHLO offers a client that says it first; `None` if it is refused then.
    #[must_use]
    pub fn offers(&self) -> Option<Vec<&'static str>> {
        let begin = self.encrypted_at.map_or(Position::initial(self.machine), |state| {
            Position::in_state(self.machine, state)
        });
        let cell = begin.look(self.machine.event("EHLO")?)?;
        let after = Position::in_state(self.machine, cell.next);
        (!cell.is_refusal()).then(|| after.offered().collect())
    }
}

impl Terms {
    pub(super) fn new(config: &Config, served: Served, may_relay: bool) -> Self {
        let Served { machine, encrypted_at } = served;
        let settings = Settings { encrypted_at, shows_lines: true, ..config.settings(machine) };
        Self { settings: Arc::new(settings), from_first_octet: encrypted_at.is_some(), may_relay }
    }

    /// Those of a listener whose lines stay clear.
    #[cfg(test)]
    pub(super) fn clear(config: &Config, machine: &'static Machine) -> Self {
        Self::new(config, Served { machine: kept(machine), encrypted_at: None }, false)
    }
}
