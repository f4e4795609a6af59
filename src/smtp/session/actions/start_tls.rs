//! `start_tls`: STARTTLS. RFC 3207.
//!
//! After the reply the client and the shell shake hands, and the session waits for
//! [`Input::Encrypted`](super::super::Input::Encrypted). Nothing of before is known then: another
//! session has taken this one's place.

use super::super::{Session, Waiting, reply};
use super::{Judged, plain_reply};
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::reply::Reply;
use crate::smtp::session::Output;

// starttls = "STARTTLS" CRLF                                             RFC 3207 4

impl Session {
    /// What follows in the clear was sent by somebody who did not wait for the handshake, and would
    /// be taken for what the client says after it.
    pub(super) fn judge_start_tls(&self, event: EventId, argument: &str) -> Result<Judged, Reply> {
        if !argument.is_empty() {
            return Err(self.syntax(event));
        }
        if self.is_followed {
            return Ok(Judged::End(reply::clear_after_start_tls()));
        }
        Ok(Judged::Accepted(super::Accepted::StartTls))
    }

    pub(super) fn start_tls(&mut self, cell: &Transition) -> Reply {
        self.things.is_encrypted = true;
        plain_reply(cell)
    }

    /// Asks the shell for the handshake, and leaves what is left to say to a session that knows
    /// nothing of this one: it has the place in the machine, the client, and the counters by which
    /// the limits hold for the connection.
    pub(in super::super) fn begin_encryption(&mut self) {
        self.queue.push_back(Output::Encrypt);
        let mut next = Self::new(self.settings.clone(), self.client.clone());
        next.machine = rust_fsm::StateMachine::from_state(self.position());
        next.things.is_encrypted = true;
        next.queue = std::mem::take(&mut self.queue);
        next.waiting = Some(Waiting::Handshake);
        next.messages = self.messages;
        next.errors = self.errors;
        next.commands = self.commands;
        next.recipients_in_all = self.recipients_in_all;
        *self = next;
    }
}
