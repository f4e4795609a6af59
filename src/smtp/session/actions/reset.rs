//! `reset`: RSET drops the transaction and keeps the greeting. RFC 5321 4.1.1.5.

use super::super::Session;
use super::plain_reply;
use crate::smtp::machine::Transition;
use crate::smtp::reply::Reply;

// rset = "RSET" CRLF                                                     RFC 5321 4.1.1.5

impl Session {
    /// Its row in the vocabulary says what it drops, and that is all it does.
    pub(super) fn reset(cell: &Transition) -> Reply {
        plain_reply(cell)
    }
}
