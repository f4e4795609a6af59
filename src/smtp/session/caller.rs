//! What the caller of a session asks it, and gives it.

use super::super::machine::{EventId, Position};
use super::super::reply::{self, Reply};
use super::{Input, Outputs, Session, Waiting};

impl Session {
    /// Where the session is in its machine.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.machine.state()
    }

    /// The event whose action did not find what it needs, so that the session has ended. The compiler
    /// proves that there is none, unless it refused the machine.
    #[must_use]
    pub fn contradiction(&self) -> Option<EventId> {
        self.contradiction
    }

    /// Whether content is expected, so that it is worth reading in large pieces.
    #[must_use]
    pub fn reads_content(&self) -> bool {
        self.content_event().is_some()
    }

    /// Whether enhanced status codes go to the client.
    #[must_use]
    pub fn shows_enhanced(&self) -> bool {
        self.settings.machine.has_keyword("ENHANCEDSTATUSCODES")
    }

    /// How many octets the session holds of what the client sent: an unfinished line, octets not
    /// yet read, the envelope. Content is not among them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let header = self.faults.as_ref().map_or(0, |track| track.held_bytes());
        self.lines.held_bytes() + self.unread.capacity() + self.things.held_bytes() + header
    }

    /// Takes one input. Before the next one take the outputs until there are none. A question stops
    /// the reading: the octets after it are kept until its answer.
    pub fn handle<'a>(&'a mut self, input: Input<'a>) -> Outputs<'a> {
        let mut given: &[u8] = &[];
        match input {
            Input::Connect if self.client.refused => self.say(reply::no_service()),
            Input::Connect => {
                let usual = Reply::new(220, "", format!("{} ESMTP Postman", self.settings.domain));
                self.greet_client(usual);
            }
            Input::Octets([]) => {}
            // The caller keeps the handshake to itself: these were sent in the clear.
            Input::Octets(_) if matches!(self.waiting, Some(Waiting::Handshake)) => {
                self.waiting = None;
                self.note_refused("(in the clear, after STARTTLS)", 421);
                self.end(reply::clear_after_start_tls());
            }
            Input::Octets(octets) => given = octets,
            Input::Encrypted => {
                let waited = self.waiting.take();
                debug_assert!(
                    matches!(waited, Some(Waiting::Handshake)),
                    "no handshake: {waited:?}"
                );
            }
            Input::Room(answer) | Input::Stored(answer) => {
                self.answered(answer.map_err(reply::store_refusal));
            }
            Input::User(answer) => self.answered(answer.map_err(reply::no_user)),
            Input::Handshake(answer) => {
                self.answered(answer.map_err(|_| reply::no_handshake_now()));
            }
            Input::Waited => self.paused = false,
            Input::Silence => self.end(reply::silent()),
            Input::Stop => {
                self.end_pauses();
                self.stopping = true;
                if !matches!(self.waiting, Some(Waiting::Step { .. })) && !self.closed {
                    self.end(reply::stopping());
                }
            }
            Input::HangUp => {
                self.drop_unsaid();
                self.discard_open();
                self.closed = true;
            }
        }
        let mut held = std::mem::take(&mut self.unread);
        if !held.is_empty() {
            held.extend_from_slice(given);
        }
        Outputs::new(self, held, given)
    }
}
