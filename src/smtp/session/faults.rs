//! Where the session meets faults: one look when a command would be accepted, and one place where
//! what is answered is changed.
//!
//! A fault is asked after grammar, order, users and limits, since it takes the place of a success.
//! Where it refuses, nothing changes; at the end of content the transaction is over, and the message
//! is not stored. Any other answer at the end of content waits for the store's yes. So whoever
//! reads 250 there finds the mail.

use super::actions::Accepted;
use super::contract::Fired;
use super::{EventId, Output, Reply, Session};
use crate::autofsm::Ending;
use crate::smtp::faults::{Effect, Phase, Who};
use crate::smtp::machine::Transition;

/// What the log calls the greeting.
const CONNECTION: &str = "(the connection)";

impl Session {
    /// Sets the time, in milliseconds of the caller, before an input is given. Without faults it
    /// does not matter.
    pub fn set_time(&mut self, now: u64) {
        if let Some(track) = &mut self.faults {
            track.set_time(now);
        }
    }

    /// Whether there are faults, so that the time matters.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        self.faults.is_some()
    }

    /// Whether the client waits for a fault's pause to end, and the session reads nothing.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The greeting, as it is or as a fault has it.
    pub(super) fn greet_client(&mut self, usual: Reply) {
        let Some(track) = &mut self.faults else { return self.say(usual) };
        let who = Who::of(&self.client, None);
        let Some(effect) = track.greeting(&who) else { return self.say(usual) };
        let reply = effect.reply.clone().unwrap_or(usual);
        if effect.refuses {
            // RFC 5321 3.1: all that is left to say is QUIT.
            self.client.refused = true;
            self.note_refused(CONNECTION, reply.code);
        }
        self.say_by(&effect, reply);
    }

    /// What a command is met by that would be accepted now. If it is refused, that is said, and there
    /// is nothing left to do.
    pub(super) fn is_refused_by_fault(
        &mut self,
        event: EventId,
        accepted: &Accepted,
        line: &str,
    ) -> bool {
        let is_end = matches!(accepted, Accepted::Deliver);
        let is_over = self.things.message.as_ref().is_some_and(|message| message.refused.is_some());
        if self.client.refused || self.position().look(event).is_none_or(Transition::is_refusal) {
            return false;
        }
        if is_end && is_over {
            return false;
        }
        let phase = if is_end { Phase::BeforeStore } else { Phase::Whole };
        let sender = self.things.sender.as_ref().map(ToString::to_string);
        let Some(track) = &mut self.faults else { return false };
        if is_end {
            track.keep_sender(sender.clone());
        }
        let who = Who::of(&self.client, sender.as_deref());
        let Some(effect) = track.command(event, line.as_bytes(), &who, phase) else { return false };
        if !effect.refuses {
            self.effect = Some(Box::new(effect));
            return false;
        }
        let reply = effect.reply.clone().unwrap_or_else(super::reply::broken);
        if let (true, Some(message)) = (is_end, &mut self.things.message) {
            // As one that a limit has refused: the step is made, and nothing is stored.
            message.refused = Some(reply);
            self.effect = Some(Box::new(effect));
            self.queue.push_back(Output::Discard);
            return false;
        }
        self.note_refused(line, reply.code);
        self.say_by(&effect, reply);
        true
    }

    /// The store has said yes: what the answer is met by.
    pub(super) fn meet_stored(&mut self) {
        let Some(event) = self.end else { return };
        let Some(track) = &mut self.faults else { return };
        let sender = track.kept_sender();
        let who = Who::of(&self.client, sender.as_deref());
        self.effect = track.command(event, b".", &who, Phase::Stored).map(Box::new);
    }

    /// A piece of content that was taken and kept.
    pub(super) fn meet_content(&mut self, piece: &[u8]) {
        let Some(track) = &mut self.faults else { return };
        track.content(piece);
        let Some(message) = &self.things.message else { return };
        let sender = self.things.sender.as_ref().map(ToString::to_string);
        let who = Who::of(&self.client, sender.as_deref());
        let Some(effect) = track.within(message.octets, &who) else { return };
        if let Some(reply) = effect.reply.clone() {
            self.note_refused("(the message)", reply.code);
            return self.say_by(&effect, reply);
        }
        // The row has no answer: there are octets, or nothing is said.
        self.note(&effect, None);
        self.pause(effect.wait_ms);
        if effect.octets.is_some() {
            self.send(&effect, effect.pieces(&super::reply::broken(), false).unwrap_or_default());
        }
        self.end_by(&effect);
    }

    fn note(&mut self, effect: &Effect, unsaid: Option<Reply>) {
        self.queue.push_back(Output::Fault(Fired { says: effect.says.to_string(), unsaid }));
    }

    fn pause(&mut self, milliseconds: u64) {
        if milliseconds > 0 {
            self.queue.push_back(Output::Wait(milliseconds));
        }
    }

    /// Says a reply as a fault has it, and ends the connection if it says so.
    pub(super) fn say_by(&mut self, effect: &Effect, reply: Reply) {
        let Some(pieces) = effect.pieces(&reply, self.shows_enhanced()) else {
            self.note(effect, None);
            self.pause(effect.wait_ms);
            self.say(reply);
            return self.end_by(effect);
        };
        self.note(effect, Some(reply));
        self.pause(effect.wait_ms);
        self.send(effect, pieces);
        self.end_by(effect);
    }

    /// Octets in pieces, with the pauses between them.
    fn send(&mut self, effect: &Effect, pieces: Vec<Vec<u8>>) {
        for (number, piece) in pieces.into_iter().enumerate() {
            if number > 0 {
                self.pause(effect.pace.map_or(0, |pace| pace.every_ms));
            }
            self.queue.push_back(Output::Octets(piece));
        }
    }

    fn end_by(&mut self, effect: &Effect) {
        let Some(ending) = effect.end else { return };
        if effect.cut.is_some() {
            self.queue.push_back(Output::Cut);
        }
        self.discard_open();
        self.queue.push_back(match ending {
            Ending::Close => Output::Close,
            Ending::Reset => Output::Reset,
            Ending::Hang => Output::Hang,
        });
        self.closed = true;
    }

    /// The pause is over, or ends early: what was held back is said.
    pub(super) fn end_pauses(&mut self) {
        self.paused = false;
        self.queue.retain(|output| !matches!(output, Output::Wait(_)));
    }

    /// The client is gone: what was held back is said to nobody.
    pub(super) fn drop_unsaid(&mut self) {
        self.paused = false;
        self.queue.retain(|output| matches!(output, Output::Discard | Output::Step(_)));
    }
}
