//! `append`: a piece of content. RFC 5321 4.1.1.4, 4.5.2.
//!
//! Content goes to the store as it arrives; `Session::content` calls `append` for each piece. A
//! message that is refused on its way is read to its true end all the same, so that nothing of it
//! is ever taken for a command.

use super::super::contract::Settings;
use super::super::things::Message;
use super::super::{Output, Session, reply};
use super::Contradiction;
use crate::smtp::framer::Run;
use crate::smtp::machine::EventId;
use crate::smtp::reply::Reply;

/// What became of octets of content.
pub(in crate::smtp::session) enum Appended {
    /// A run of content, to be kept.
    Kept(Run),
    /// A run of a message that is refused.
    Skipped,
    /// The end of the content.
    End,
}

impl Session {
    /// Takes the octets up to the end of one run. Returns how many were taken, and what became of
    /// them.
    pub(in crate::smtp::session) fn append(
        &mut self,
        event: EventId,
        octets: &[u8],
    ) -> Result<(usize, Appended), Contradiction> {
        let message = self.things.message.as_mut().ok_or(Contradiction)?;
        let (taken, run) = message.content.take(octets);
        let piece = match &run {
            Run::End => return Ok((taken, Appended::End)),
            Run::HeldCr => &b"\r"[..],
            Run::Octets(range) => octets.get(range.clone()).unwrap_or_default(),
        };
        let verdict = judge_append(message, piece, &self.settings);
        let is_first = !std::mem::replace(&mut message.recorded, true);
        let is_kept = message.refused.is_none() && verdict.is_none() && !piece.is_empty();
        if message.refused.is_none() && verdict.is_some() {
            message.refused = verdict;
            self.queue.push_back(Output::Discard);
        }
        // One record for the content of a message, not one a piece.
        let (step, _) = self.step(event).ok_or(Contradiction)?;
        if is_first || step.from != step.to {
            self.queue.push_back(Output::Step(step));
        }
        Ok((taken, if is_kept { Appended::Kept(run) } else { Appended::Skipped }))
    }
}

/// The limits of a message, and its line ends.
fn judge_append(message: &mut Message, piece: &[u8], settings: &Settings) -> Option<Reply> {
    message.octets += piece.len() as u64;
    let received = message.received.scan(piece);
    let header_octets = message.header.scan(piece);
    let limits = &settings.limits;
    if message.octets > limits.message_bytes_max {
        Some(reply::too_big())
    } else if header_octets > limits.header_bytes_max {
        Some(reply::header_too_big())
    } else if received > limits.received_max {
        Some(reply::mail_loop())
    } else if settings.refuse_bare_newline {
        message.content.bare_newline().map(reply::bare_newline)
    } else {
        None
    }
}
