//! `deliver`: the lone dot, and the store makes the message safe. RFC 5321 4.1.1.4.
//!
//! There is no judge: the transaction is over either way, and the store's verdict is the answer.

use super::super::things::Message;
use super::super::{Output, Session};
use super::{Acted, Contradiction, Question, row_reply};
use crate::smtp::machine::Transition;
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn deliver(
        &mut self,
        cell: &Transition,
        message: Option<Box<Message>>,
    ) -> Result<Acted, Contradiction> {
        if let Some(refused) = message.ok_or(Contradiction)?.refused {
            self.note_refused("(the message)", refused.code);
            return Ok(Acted::Reply(refused));
        }
        let safe = || Reply::new(250, "2.0.0", format!("Safe as {}", self.message_id()));
        Ok(Acted::Ask(Question::Store, row_reply(cell, safe)))
    }

    /// Has the store forget a message that is not delivered.
    pub(in crate::smtp::session) fn discard(&mut self, message: Option<Box<Message>>) {
        // The content of a refused message was discarded when it was refused.
        if message.is_some_and(|message| message.refused.is_none()) {
            self.queue.push_back(Output::Discard);
        }
    }
}
