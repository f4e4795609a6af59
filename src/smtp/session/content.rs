//! Content: from 354 to the lone dot. RFC 5321 4.1.1.4, 4.5.2.
//!
//! It goes to the store as it comes; a message that is refused meanwhile is read to its true
//! end, so that nothing of it is ever heard as a command.

use super::trace::{HeaderBlock, HeaderScan};
use super::{Action, EventId, Output, Question, Reply, Session, VOCABULARY, Waiting, reply};
use crate::smtp::framer::{Content, Run};

/// A message whose content is coming in.
#[derive(Debug, Default)]
pub(super) struct Message {
    content: Content,
    headers: HeaderScan,
    header_block: HeaderBlock,
    octets: u64,
    stepped: bool,
    refused: Option<Reply>,
}

impl Session {
    /// The event of content, where the state has a cell for it.
    pub(super) fn content_event(&self) -> Option<EventId> {
        let event = self.settings.machine.event(VOCABULARY.content)?;
        self.position().look(event).map(|_| event)
    }

    /// What becomes of a run of content: where it stands in the octets, if it is to be kept.
    pub(super) fn run(&mut self, event: EventId, octets: &[u8]) -> (usize, Option<Run>) {
        // A definition may read content that nobody keeps: its end must be found all the same.
        let message = self.message.get_or_insert_default();
        let (taken, run) = message.content.take(octets);
        let piece = match &run {
            Run::End => {
                self.finish();
                return (taken, None);
            }
            Run::HeldCr => &b"\r"[..],
            Run::Octets(range) => octets.get(range.clone()).unwrap_or_default(),
        };
        message.octets += piece.len() as u64;
        let received = message.headers.scan(piece);
        let header_octets = message.header_block.scan(piece);
        let verdict = if message.octets > self.settings.message_bytes_max {
            Some(reply::too_big())
        } else if header_octets > self.settings.header_bytes_max {
            Some(reply::header_too_big())
        } else if received > self.settings.received_max {
            Some(reply::mail_loop())
        } else if self.settings.refuse_bare_newline {
            message.content.bare_newline().map(reply::bare_newline)
        } else {
            None
        };
        let (first, keep) = (!std::mem::replace(&mut message.stepped, true), message.refused.is_none());
        if keep && verdict.is_some() {
            message.refused = verdict;
            self.queue.push_back(Output::Discard);
        }
        let keep = keep && self.message.as_ref().is_some_and(|message| message.refused.is_none());
        if let Some((step, _)) = self.step(event)
            && (first || step.from != step.to)
        {
            self.queue.push_back(Output::Step(step));
        }
        (taken, (keep && !piece.is_empty()).then_some(run))
    }

    /// The end of content. It is never refused: the transaction is over either way.
    pub(super) fn finish(&mut self) {
        // The last octets of content came as a run before: what they had refused is known.
        let refused = self.message.take().and_then(|message| message.refused);
        let stepped = self.settings.machine.event(VOCABULARY.end).and_then(|event| self.step(event));
        let Some((mut step, cell)) = stepped else {
            // The compiler proves that this cannot be: where READ has a cell, END has one.
            self.end(reply::store_broken());
            return;
        };
        self.drop_transaction();
        if let Some(reply) = refused {
            step.code = reply.code;
            self.note_refused("(the message)", reply.code);
            self.queue.push_back(Output::Step(step));
            self.say(reply);
        } else if cell.action == Action::Deliver {
            let accepted = self.row_reply(cell);
            self.queue.push_back(Output::Ask(Question::Store));
            self.waiting = Some(Waiting::Store(step, accepted));
        } else {
            self.queue.push_back(Output::Discard);
            let reply = self.row_reply(cell);
            self.finish_step(step, reply);
        }
    }

    pub(super) fn drop_message(&mut self) {
        if self.message.take().is_some_and(|message| message.refused.is_none()) {
            self.queue.push_back(Output::Discard);
        }
    }
}
