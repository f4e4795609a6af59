//! Dialogues: sessions as the RFC writes them, played and checked. The tests and
//! `postman fsm play` share this.
//!
//! ```text
//! # What it shows.                                             RFC 5321 3.3
//! ! vrfy: Honest             a key of the configuration, before all else
//! S: 220                     the server answers; the reply begins so
//! C: NOOP                    the client says this, and CR LF
//! O: a\n.\r\n\x00            the client sends these octets and no more; \r \n \t \0 \\ \xHH
//! O: x * 3000                the same, this number of times
//! = transaction              the session is in this state
//! * verdict full             the next question gets: yes, full, busy, broken; unknown, for a user
//! * stored a\n.\r\n          the store was given this content, and no other since
//! * discarded                the store was told to forget the latest message
//! * silence, * stop          the client says nothing for too long; the server stops
//! * closed                   the server has closed the connection
//! ```
//!
//! `! definition: FILE` plays by another definition, FILE beside the dialogue.
//! Blanks before a line do not count, so that what `fsm explain` and `fsm diff` show can be played.
//! Each reply must be expected before the client's next line, and none may be left at the end.
//! Without a key the configuration is [`BASE`].

use std::collections::BTreeMap;
use std::fmt;

use crate::autofsm::{same_name, suggest};
use crate::config::Config;
use crate::smtp::machine::Machine;
use crate::smtp::session::{Input, NoUser, Question, Refusal};

mod peer;
mod rehearsal;

pub use peer::{Peer, client, usual_answer};
pub use rehearsal::{Exchange, rehearse};

/// Three mailboxes, `b`, `c` and `user`; no client relays; small limits.
pub const BASE: &[(&str, &str)] = &[
    ("users", "Listed([\"b\", \"c\", \"user\"])"),
    ("relay_from", "[]"),
    ("message_bytes_max", "65536"),
    ("domain", "\"postman.local\""),
];

/// The answer that a dialogue gives to the next question in place of the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Yes,
    /// There is no such user.
    Unknown,
    /// There is no space.
    Full,
    /// Too many messages wait for the disk.
    Busy,
    /// The disk failed.
    Broken,
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
        })
    }
}

/// The peer of a dialogue: a session, and its surroundings.
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
    /// Whether a message is open, or stored and not taken.
    fn has_message(&self) -> bool;
    /// Whether the server has not closed the connection.
    fn is_open(&self) -> bool;
}

/// The most octets that one line may send.
const OCTETS_MAX: usize = 64 << 20;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A reply begins so.
    Reply(String),
    /// The client sends these octets.
    Octets(Vec<u8>),
    /// The session is in this state.
    State(String),
    /// The next question gets this answer.
    Verdict(Verdict),
    /// The store was given this content, and no other since.
    Stored(Vec<u8>),
    /// The store was told to forget the latest message.
    Discarded,
    /// The client is silent for too long.
    Silence,
    /// The server stops.
    Stop,
    /// The server has closed the connection.
    Closed,
}

/// A session as it should go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// The keys of its configuration, with their values as a file has them.
    pub keys: BTreeMap<String, String>,
    /// The lines of these keys, from 1; those of [`BASE`] have none.
    key_lines: BTreeMap<String, usize>,
    /// The file of the definition that it is played by, if it names one.
    pub definition: Option<String>,
    /// What happens, with the numbers of the lines, from 1.
    pub acts: Vec<(usize, Act)>,
}

/// A session goes another way than its dialogue, or the dialogue cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line, from 1.
    pub line: usize,
    /// The expectation.
    pub expected: String,
    /// What happened, or the text of the line.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.line, self.expected, self.got)
    }
}

impl std::error::Error for Failure {}

fn shown(text: &str) -> String {
    format!("`{}`", text.trim_end_matches("\r\n").replace("\r\n", "\n").escape_debug())
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(octets)
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let Some((piece, times)) =
        text.rsplit_once(" * ").and_then(|(piece, times)| Some((piece, times.parse().ok()?)))
    else {
        return unescape(text);
    };
    let piece = unescape(piece)?;
    (piece.len().checked_mul(times)? <= OCTETS_MAX).then(|| piece.repeat(times))
}

fn act(line: &str) -> Option<Act> {
    let (mark, text) = line.split_at_checked(2)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(match (mark, text) {
        ("S:", begin) => Act::Reply(begin.to_owned()),
        ("C:", line) => Act::Octets(format!("{line}\r\n").into_bytes()),
        ("O:", text) => Act::Octets(octets(text)?),
        ("= ", state) => Act::State(state.to_owned()),
        ("* ", "discarded") => Act::Discarded,
        ("* ", "silence") => Act::Silence,
        ("* ", "stop") => Act::Stop,
        ("* ", "closed") => Act::Closed,
        ("* ", text) => match text.split_once(' ').unwrap_or((text, "")) {
            ("stored", content) => Act::Stored(octets(content)?),
            ("verdict", "yes") => Act::Verdict(Verdict::Yes),
            ("verdict", "unknown") => Act::Verdict(Verdict::Unknown),
            ("verdict", "full") => Act::Verdict(Verdict::Full),
            ("verdict", "busy") => Act::Verdict(Verdict::Busy),
            ("verdict", "broken") => Act::Verdict(Verdict::Broken),
            _ => return None,
        },
        _ => return None,
    })
}

/// What a line that cannot be read should have been.
fn expected(line: &str) -> &'static str {
    match line.as_bytes() {
        [b'*', ..] => {
            "`* verdict yes`, `unknown`, `full`, `busy` or `broken`, `* stored TEXT`, `* discarded`, `* silence`, \
             `* stop` or `* closed`"
        }
        [b'=', ..] => "a state, as in `= init`",
        [b'!', ..] => "`! key: value`",
        [b'O', b':', ..] => {
            "octets, with `\\r`, `\\n`, `\\t`, `\\0`, `\\\\`, `\\xHH`, and ` * N` for N times"
        }
        _ => {
            "`C: ` and what the client says, `S: ` and how the reply begins, `= STATE`, or `#` and a comment"
        }
    }
}

impl Dialogue {
    /// Reads a dialogue.
    ///
    /// # Errors
    /// A line that no dialogue has; a dialogue where the server does not speak first.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut keys: BTreeMap<String, String> =
            BASE.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (mut acts, mut definition, mut key_lines) = (Vec::new(), None, BTreeMap::new());
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim_start();
            let fail = |expected: &str| Failure {
                line: number,
                expected: expected.to_owned(),
                got: shown(line),
            };
            if let Some(setting) = line.strip_prefix("! ") {
                let (key, value) =
                    setting.split_once(": ").ok_or_else(|| fail("`! key: value`"))?;
                key_lines.insert(key.to_owned(), number);
                if key == "definition" {
                    definition = Some(value.to_owned());
                } else {
                    keys.insert(key.to_owned(), value.to_owned());
                }
            } else if !(line.is_empty() || line.starts_with('#')) {
                let act = act(line).ok_or_else(|| fail(expected(line)))?;
                if acts.is_empty() && !matches!(act, Act::Reply(_)) {
                    return Err(fail("the server to speak first, as in `S: 220`"));
                }
                acts.push((number, act));
            }
        }
        if acts.is_empty() {
            let expected =
                "a dialogue, which begins with the server's greeting: `S: 220`".to_owned();
            return Err(Failure { line: 1, expected, got: "nothing".to_owned() });
        }
        Ok(Self { keys, key_lines, definition, acts })
    }

    /// The configuration, as a file has it.
    #[must_use]
    pub fn config_text(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("({})", keys.join(", "))
    }

    /// The configuration.
    ///
    /// # Errors
    /// A key or its value is wrong.
    pub fn config(&self) -> Result<Config, Failure> {
        Config::parse(&self.config_text()).map_err(|error| {
            // Which of the keys it is shows when each is read by itself.
            let wrong = self.key_lines.iter().find_map(|(key, line)| {
                let value = self.keys.get(key)?;
                Config::parse(&format!("({key}: {value})")).err().map(|error| (*line, error))
            });
            let (line, error) =
                wrong.unwrap_or((self.acts.first().map_or(1, |(line, _)| *line), error));
            // The place is one in a text that nobody wrote.
            let place = error
                .find(|sign: char| !(sign.is_ascii_digit() || sign == ':'))
                .unwrap_or_default();
            let got = error.get(place..).unwrap_or_default().trim_start().to_owned();
            Failure { line, expected: "a key of the configuration and its value".to_owned(), got }
        })
    }

    /// The line that names the definition.
    #[must_use]
    pub fn definition_line(&self) -> usize {
        self.key_lines.get("definition").copied().unwrap_or(1)
    }

    /// Whether each state that it names is one of the machine's.
    ///
    /// # Errors
    /// The first that is not, with the one that was meant.
    pub fn check_states(&self, machine: &Machine) -> Result<(), Failure> {
        let names = || machine.states.iter().map(|state| state.name);
        for (line, act) in &self.acts {
            if let Act::State(name) = act
                && !names().any(|known| same_name(known, name))
            {
                let hint = suggest(name, names())
                    .unwrap_or_else(|| names().collect::<Vec<_>>().join(", "));
                let expected = format!("a state of {}", machine.source);
                return Err(Failure {
                    line: *line,
                    expected,
                    got: format!("{}; {hint}", shown(name)),
                });
            }
        }
        Ok(())
    }

    /// Whether a real server, with a real store, would answer the same.
    #[must_use]
    pub fn goes_over_a_socket(&self) -> bool {
        self.definition.is_none()
            && !self
                .acts
                .iter()
                .any(|(_, act)| matches!(act, Act::Verdict(_) | Act::Silence | Act::Stop))
    }

    /// Plays it; `cut` says how many of the remaining octets arrive at once.
    ///
    /// # Errors
    /// The first line where the session goes another way.
    pub fn play(
        &self,
        peer: &mut impl Play,
        mut cut: impl FnMut(usize) -> usize,
    ) -> Result<(), Failure> {
        for (line, act) in &self.acts {
            let fail = |expected: String, got: String| Err(Failure { line: *line, expected, got });
            match act {
                Act::Reply(begin) => match peer.take_reply() {
                    Some(reply) if reply.starts_with(begin.as_str()) => {}
                    reply => {
                        return fail(
                            shown(begin),
                            reply.map_or("no reply".to_owned(), |reply| shown(&reply)),
                        );
                    }
                },
                Act::Octets(octets) => {
                    if let Some(reply) = peer.take_reply() {
                        return fail("no reply".to_owned(), shown(&reply));
                    }
                    let mut rest = octets.as_slice();
                    while !rest.is_empty() {
                        let (piece, after) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
                        peer.give(Input::Octets(piece));
                        rest = after;
                    }
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
                    let stored = peer.take_stored();
                    if stored.as_slice() != std::slice::from_ref(content) {
                        let text = |octets: &Vec<u8>| shown(&String::from_utf8_lossy(octets));
                        let texts: Vec<_> = stored.iter().map(text).collect();
                        let texts = texts.join(", ");
                        let got = if stored.is_empty() { "nothing".to_owned() } else { texts };
                        return fail(format!("{} in the store", text(content)), got);
                    }
                }
                Act::Discarded if peer.has_message() => {
                    return fail("no message".to_owned(), "one that is open or stored".to_owned());
                }
                Act::Silence => peer.give(Input::Silence),
                Act::Stop => peer.give(Input::Stop),
                Act::Closed if peer.is_open() => {
                    return fail("a closed connection".to_owned(), "an open one".to_owned());
                }
                Act::Discarded | Act::Closed => {}
            }
        }
        match peer.take_reply() {
            Some(reply) => {
                let line = self.acts.last().map_or(1, |(line, _)| *line);
                Err(Failure { line, expected: "no further reply".to_owned(), got: shown(&reply) })
            }
            None => Ok(()),
        }
    }

    /// All that the client sends, with what the world does in between.
    #[must_use]
    pub fn pipelined(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = Vec::new();
        for (_, act) in &self.acts {
            match (act, acts.last_mut()) {
                (Act::Octets(octets), Some(Act::Octets(before))) => {
                    before.extend_from_slice(octets);
                }
                (Act::Octets(_) | Act::Silence | Act::Stop, _) => acts.push(act.clone()),
                _ => {}
            }
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::machine::of_the_tests;

    #[test]
    fn a_line_that_is_no_dialogues_is_refused() {
        for line in [
            "",
            "X: x",
            "O: \\q",
            "O: \\x9",
            "O: x * 99999999999",
            "* verdict maybe",
            "* tea",
            "é",
            "=x",
        ] {
            assert_eq!(act(line), None, "{line}");
        }
        assert_eq!(act("O: \\x41\\0 * 2"), Some(Act::Octets(b"A\0A\0".to_vec())));
        assert_eq!(act("O: a * b"), Some(Act::Octets(b"a * b".to_vec())));
    }

    #[test]
    fn a_dialogue_that_goes_another_way_says_where_and_how() {
        let play = |text: &str| {
            let dialogue = Dialogue::parse(text)?;
            dialogue.play(&mut Peer::new(&dialogue.config()?, of_the_tests()), |most| most)
        };
        assert_eq!(play("S: 220\nC: EHLO x\nS: 250-postman.local\n= client-init\n"), Ok(()));
        for (text, expected) in [
            ("S: 221\n", "1: expected `221`, got `220 postman.local ESMTP Postman`"),
            ("S: 220\n\nC: NOOP\n= init\n", "4: expected no further reply, got `250 2.0.0 OK`"),
            ("S: 220\nC: NOOP\nC: NOOP\n", "3: expected no reply, got `250 2.0.0 OK`"),
            ("C: NOOP\n", "1: expected the server to speak first, as in `S: 220`, got `C: NOOP`"),
            ("S: 220\nS: 220\n", "2: expected `220`, got no reply"),
            ("S: 220\n= done\n", "2: expected the state `done`, got `init`"),
            ("S: 220\n* closed\n", "2: expected a closed connection, got an open one"),
            ("S: 220\n* stored x\n", "2: expected `x` in the store, got nothing"),
            (
                "# x\n! vrfy: Honest\n! prt: 1\nS: 220\n",
                "3: expected a key of the configuration and its value, got ",
            ),
            (
                "S: 220\nC: EHLO x\nS: 250\n* verdict unknown\nC: MAIL FROM:<>\n",
                "5: expected a verdict that answers the question, got Unknown to Room(0)",
            ),
            (
                "# x\n\n",
                "1: expected a dialogue, which begins with the server's greeting: `S: 220`, got nothing",
            ),
        ] {
            let said = play(text).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }
}
