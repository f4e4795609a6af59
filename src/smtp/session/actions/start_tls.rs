//! `start_tls`: STARTTLS. RFC 3207.
//!
//! After the step and the reply another session takes this one's place, so that nothing of before
//! is known. It waits until the client and the caller have shaken hands, which the caller says with
//! [`Input::Encrypted`](super::super::Input::Encrypted).

use super::super::{Session, Waiting, reply};
use super::{Accepted, Judged, plain_reply};
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::reply::Reply;
use crate::smtp::session::{Output, Question};

// starttls = "STARTTLS" CRLF                                             RFC 3207 4

impl Session {
    /// Octets after the line end the session: their sender did not wait for the handshake, and they
    /// would be taken for what the client says after it.
    pub(super) fn judge_start_tls(&self, event: EventId, argument: &str) -> Result<Judged, Reply> {
        if !argument.is_empty() {
            return Err(self.syntax(event));
        }
        if self.is_followed {
            return Ok(Judged::End(reply::clear_after_start_tls()));
        }
        Ok(Judged::Ask(Question::Handshake, Accepted::StartTls))
    }

    pub(super) fn start_tls(&mut self, cell: &Transition) -> Reply {
        self.things.is_encrypted = true;
        plain_reply(cell)
    }

    /// Asks the caller for the handshake, and puts a new session into this one's place. It has the
    /// state, the client, the outputs that were not taken yet, and the counters by which the limits
    /// hold for the connection, and nothing else of this one.
    pub(in super::super) fn begin_encryption(&mut self) {
        self.queue.push_back(Output::Encrypt);
        let mut next = Self::new(self.settings.clone(), self.client.clone());
        next.machine = rust_fsm::StateMachine::from_state(self.position());
        next.things.is_encrypted = true;
        next.queue = std::mem::take(&mut self.queue);
        next.waiting = Some(Waiting::Handshake);
        next.faults = self.faults.take();
        next.messages = self.messages;
        next.errors = self.errors;
        next.commands = self.commands;
        next.recipients_in_all = self.recipients_in_all;
        *self = next;
    }
}
