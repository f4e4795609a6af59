//! `answer`: the row's reply, and nothing else. RFC 5321 4.1.1.7, 4.1.1.9, 4.1.1.10.

use super::super::Session;
use super::{Accepted, plain_reply};
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::reply::Reply;

// noop = "NOOP" [ SP String ] CRLF                                       RFC 5321 4.1.1.9
// quit = "QUIT" CRLF                                                     RFC 5321 4.1.1.10
// The definition shows the syntax of each: a command takes any text if its syntax has an argument.

impl Session {
    pub(super) fn judge_answer(&self, event: EventId, argument: &str) -> Result<Accepted, Reply> {
        if argument.is_empty() || self.takes_argument(event) {
            Ok(Accepted::Answer)
        } else {
            Err(self.syntax(event))
        }
    }

    /// Whether the command's syntax shows an argument.
    pub(super) fn takes_argument(&self, event: EventId) -> bool {
        self.settings.machine.syntax(event).split_ascii_whitespace().nth(1).is_some()
    }

    pub(super) fn answer(cell: &Transition) -> Reply {
        plain_reply(cell)
    }
}
