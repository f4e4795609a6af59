//! A dialogue, played: each line is done or checked, in its order.

use super::{Act, Dialogue, Ending, Mismatch, Verdict, shown};
use crate::autofsm::same_name;
use crate::smtp::session::{Input, NoUser, Question, Refusal};

/// The peer of a dialogue: a session and its surroundings, or a server behind a socket.
pub trait Play {
    /// Gives the session an input, takes all outputs, and answers its questions.
    fn give(&mut self, input: Input<'_>);
    /// The oldest reply that was not taken, with all its lines.
    fn take_reply(&mut self) -> Option<String>;
    /// The name of the session's state.
    fn state(&self) -> &str;
    /// Sets the answer to the next question.
    fn answer_next(&mut self, verdict: Verdict);
    /// A verdict that its question cannot have, if there was one: verdict and question.
    fn take_misfit(&mut self) -> Option<String>;
    /// Takes what the store was given.
    fn take_stored(&mut self) -> Vec<Vec<u8>>;
    /// Whether the session waits for the handshake that it asked for.
    fn shakes_hands(&self) -> bool;
    /// Shakes hands; all that follows is encrypted.
    ///
    /// # Errors
    /// What there was in place of a handshake.
    fn encrypt(&mut self) -> Result<(), String> {
        if !self.shakes_hands() {
            return Err("none".to_owned());
        }
        self.give(Input::Encrypted);
        Ok(())
    }
    /// Whether another handshake would be one within an encrypted line.
    fn is_encrypted(&self) -> bool {
        false
    }
    /// Whether a message is open, or stored and not taken.
    fn has_message(&self) -> bool;
    /// Whether the server has not closed the connection.
    fn is_open(&self) -> bool;
    /// Takes the time that the server has let pass since this was asked last, in milliseconds.
    fn take_waited(&mut self) -> u64 {
        0
    }
    /// Has the fault of these words fire next.
    fn fire(&mut self, _says: &str) {}
    /// Lets time pass, in milliseconds.
    fn pass(&mut self, _milliseconds: u64) {}
    /// How the connection ended, if not in an orderly way.
    fn ending(&self) -> Option<Ending> {
        None
    }

    /// Whether a line can be looked at: a server behind a socket shows no state.
    fn shows(&self, _act: &Act) -> bool {
        true
    }

    /// A reply that is here before the client says its next line.
    fn early_reply(&mut self) -> Option<String> {
        self.take_reply()
    }

    /// A reply that comes though all that was said is answered.
    fn late_reply(&mut self) -> Option<String> {
        self.take_reply()
    }

    /// What there was in place of the reply that did not come.
    fn silence(&self) -> String {
        "no reply".to_owned()
    }

    /// Whether the server closes the connection now.
    fn closes(&mut self) -> bool {
        !self.is_open()
    }
}

impl Verdict {
    /// The input that says so to a question. Returns `None` if the question has no such answer.
    #[must_use]
    pub fn answer(self, question: &Question) -> Option<Input<'static>> {
        let refusal = match self {
            Self::Yes => Ok(()),
            Self::Full => Err(Refusal::Full),
            Self::Busy => Err(Refusal::Busy),
            Self::Broken => Err(Refusal::Broken),
            Self::Unknown => {
                let is_users = matches!(question, Question::User(_));
                return is_users.then_some(Input::User(Err(NoUser::Unknown)));
            }
        };
        Some(match question {
            Question::Room(_) => Input::Room(refusal),
            Question::User(_) => Input::User(refusal.map_err(NoUser::Unavailable)),
            Question::Store => Input::Stored(refusal),
            Question::Handshake => Input::Handshake(refusal),
        })
    }
}

/// What an end or a wait should have been, and was.
fn other_end_or_wait(act: &Act, peer: &mut impl Play) -> Option<(String, String)> {
    if let Act::Waited(milliseconds) = act {
        let waited = peer.take_waited();
        let differs = waited != *milliseconds;
        return differs.then(|| (format!("a wait of {milliseconds}ms"), format!("{waited}ms")));
    }
    let wanted = if let Act::Ends(ending) = act { Some(*ending) } else { None };
    let closes = peer.closes();
    let ended = peer.ending();
    let got = if closes { ended_as(ended) } else { "an open one" };
    (!closes || ended != wanted).then(|| (ended_as(wanted).to_owned(), got.to_owned()))
}

/// What is in the store, if it is not this one message.
fn other_content(content: &Vec<u8>, peer: &mut impl Play) -> Option<(String, String)> {
    let stored = peer.take_stored();
    let text = |octets: &Vec<u8>| shown(&String::from_utf8_lossy(octets));
    let texts: Vec<_> = stored.iter().map(text).collect();
    let got = if stored.is_empty() { "nothing".to_owned() } else { texts.join(", ") };
    let differs = stored.as_slice() != std::slice::from_ref(content);
    differs.then(|| (format!("{} in the store", text(content)), got))
}

fn ended_as(ending: Option<Ending>) -> &'static str {
    match ending {
        None => "a closed connection",
        Some(Ending::Reset) => "a reset connection",
        Some(Ending::Hang) => "a connection that hangs",
    }
}

fn give_in_pieces(peer: &mut impl Play, mut octets: &[u8], cut: &mut impl FnMut(usize) -> usize) {
    while !octets.is_empty() {
        let (piece, after) = octets.split_at(cut(octets.len()).clamp(1, octets.len()));
        peer.give(Input::Octets(piece));
        octets = after;
    }
}

impl Dialogue {
    /// Plays it; `cut` says how many of the remaining octets arrive at once.
    ///
    /// # Errors
    /// The first line where the session goes another way.
    pub fn play(
        &self,
        peer: &mut impl Play,
        mut cut: impl FnMut(usize) -> usize,
    ) -> Result<(), Mismatch> {
        for (line, act) in &self.acts {
            if !peer.shows(act) {
                continue;
            }
            let fail = |expected: String, got: String| Err(Mismatch { line: *line, expected, got });
            match act {
                Act::Reply(begin) => match peer.take_reply() {
                    Some(reply) if reply.starts_with(begin.as_str()) => {}
                    reply => {
                        return fail(
                            shown(begin),
                            reply.map_or_else(|| peer.silence(), |reply| shown(&reply)),
                        );
                    }
                },
                Act::Octets(octets) => {
                    if let Some(reply) = peer.early_reply() {
                        return fail("no reply".to_owned(), shown(&reply));
                    }
                    give_in_pieces(peer, octets, &mut cut);
                    if let Some(misfit) = peer.take_misfit() {
                        return fail("a verdict that answers the question".to_owned(), misfit);
                    }
                }
                Act::State(state) => {
                    let name = peer.state();
                    if !same_name(name, state) {
                        return fail(format!("the state {}", shown(state)), shown(name));
                    }
                }
                Act::Verdict(verdict) => peer.answer_next(*verdict),
                Act::Stored(content) => {
                    if let Some((expected, got)) = other_content(content, peer) {
                        return fail(expected, got);
                    }
                }
                Act::Discarded if peer.has_message() => {
                    return fail("no message".to_owned(), "one that is open or stored".to_owned());
                }
                Act::Encrypted => {
                    if let Err(got) = peer.encrypt() {
                        return fail("a handshake that was asked for".to_owned(), got);
                    }
                }
                Act::Silence => peer.give(Input::Silence),
                Act::Stop => peer.give(Input::Stop),
                Act::Closed | Act::Ends(_) | Act::Waited(_) => {
                    if let Some((expected, got)) = other_end_or_wait(act, peer) {
                        return fail(expected, got);
                    }
                }
                Act::Fault(says) => peer.fire(says),
                Act::Later(milliseconds) => peer.pass(*milliseconds),
                Act::Discarded => {}
            }
        }
        match peer.late_reply() {
            Some(reply) => {
                let line = self.acts.last().map_or(1, |(line, _)| *line);
                Err(Mismatch { line, expected: "no further reply".to_owned(), got: shown(&reply) })
            }
            None => Ok(()),
        }
    }
}
