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
//! * encrypted                the handshake after STARTTLS is over; without cryptography
//! * silence, * stop          the client says nothing for too long; the server stops
//! * closed                   the server has closed the connection
//! * waited 30s               so much time has passed in the server's waits; `ms`, `s`, `min`, `h`
//! * later 61s                so much time passes before the client goes on
//! * reset, * hangs           the server has reset the connection, or says nothing any more
//! * fault WORDS              the fault of these words fires next
//! ```
//!
//! `! without: STARTTLS` plays as a server without a certificate, which leaves these rows out;
//! `! encrypted: yes` as a listener that is encrypted from the first octet.
//! `! definition: FILE` plays by another definition, FILE beside the dialogue, and `! faults: FILE`
//! with the faults of a file. After `! due: listed` a fault fires where a line says so, before the
//! client's line or the greeting, and nowhere else, whatever it counts: so a session that was one of
//! many goes again alone. Time passes only where a line or a fault says so.
//! Blanks before a line do not count, so that what `fsm explain` and `fsm diff` show can be played.
//! Each reply must be expected before the client's next line, and none may be left at the end.
//! Without a key the configuration is [`BASE`].

use std::collections::BTreeMap;
use std::fmt;

use crate::autofsm::{same_name, suggest};
use crate::config::Config;
use crate::smtp::machine::Machine;
use crate::smtp::vocabulary::VOCABULARY;

mod encryption;
mod peer;
mod player;
mod rehearsal;
mod script;
mod socket;

pub use encryption::{Encryption, trusting};
pub use peer::{Heard, Peer, client, usual_answer};
pub use player::Play;
pub use rehearsal::{Exchange, rehearse};
pub use socket::{Patience, Socket};

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
    /// The handshake is over, and the line is encrypted.
    Encrypted,
    /// The client is silent for too long.
    Silence,
    /// The server stops.
    Stop,
    /// The server has closed the connection.
    Closed,
    /// The fault of these words fires next.
    Fault(String),
    /// The server has let so many milliseconds pass since this was asked last.
    Waited(u64),
    /// So many milliseconds pass before the client goes on.
    Later(u64),
    /// The connection has ended otherwise.
    Ends(Ending),
}

/// How a fault ends a connection, if it does not close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was reset.
    Reset,
    /// It is open, and nothing comes any more.
    Hang,
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
    /// The file of the faults that it is played with, if it names one.
    pub faults: Option<String>,
    /// The words of the faults that the greeting is met by, if the dialogue lists what fires.
    pub due: Option<Vec<String>>,
    /// The commands whose rows are left out, with the lines that say so.
    without: Vec<(usize, String)>,
    /// The line that says that it is encrypted from the first octet, if one does.
    encrypted: Option<usize>,
    /// What happens, with the numbers of the lines, from 1.
    pub acts: Vec<(usize, Act)>,
}

/// A session goes another way than its dialogue, or the dialogue cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line, from 1.
    pub line: usize,
    /// The expectation.
    pub expected: String,
    /// What happened, or the text of the line.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.line, self.expected, self.got)
    }
}

impl std::error::Error for Mismatch {}

fn shown(text: &str) -> String {
    format!("`{}`", text.trim_end_matches("\r\n").replace("\r\n", "\n").escape_debug())
}

impl Dialogue {
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
    pub fn config(&self) -> Result<Config, Mismatch> {
        Config::parse(&self.config_text()).map_err(|error| {
            // Which of the keys it is shows when each is read by itself.
            let wrong = self.key_lines.iter().find_map(|(key, line)| {
                let value = self.keys.get(key)?;
                Config::parse(&format!("({key}: {value})")).err().map(|error| (*line, error))
            });
            let (line, error) =
                wrong.unwrap_or((self.acts.first().map_or(1, |(line, _)| *line), error));
            // The place is one in a text that was made here.
            let place = error
                .find(|char: char| !(char.is_ascii_digit() || char == ':'))
                .unwrap_or_default();
            let got = error.get(place..).unwrap_or_default().trim_start().to_owned();
            Mismatch { line, expected: "a key of the configuration and its value".to_owned(), got }
        })
    }

    /// The line that names the definition.
    #[must_use]
    pub fn definition_line(&self) -> usize {
        self.key_lines.get("definition").copied().unwrap_or(1)
    }

    /// The line that names the faults.
    #[must_use]
    pub fn faults_line(&self) -> usize {
        self.key_lines.get("faults").copied().unwrap_or(1)
    }

    /// The machine that it is played by: this one, without the rows that it has left out.
    ///
    /// # Errors
    /// A command that no server leaves out.
    pub fn machine(&self, machine: &'static Machine) -> Result<&'static Machine, Mismatch> {
        let mut left_out = Vec::new();
        for (line, name) in &self.without {
            let known = VOCABULARY.conditional.iter().find(|known| same_name(known, name));
            left_out.push(*known.ok_or_else(|| Mismatch {
                line: *line,
                expected: format!(
                    "a command that a server may have to leave out: {}",
                    VOCABULARY.conditional.join(", ")
                ),
                got: shown(name),
            })?);
        }
        match self.encrypted {
            None => Ok(machine.without(&left_out)),
            Some(line) => machine.encrypted().ok_or_else(|| Mismatch {
                line,
                expected: format!("a row for STARTTLS in the first state of {}", machine.source),
                got: "none".to_owned(),
            }),
        }
    }

    /// Whether each state that it names is one of the machine's.
    ///
    /// # Errors
    /// The first that is not, with the one that was meant.
    pub fn check_states(&self, machine: &Machine) -> Result<(), Mismatch> {
        let names = || machine.states.iter().map(|state| state.name);
        for (line, act) in &self.acts {
            if let Act::State(name) = act
                && !names().any(|known| same_name(known, name))
            {
                let hint = suggest(name, names())
                    .unwrap_or_else(|| names().collect::<Vec<_>>().join(", "));
                let expected = format!("a state of {}", machine.source);
                return Err(Mismatch {
                    line: *line,
                    expected,
                    got: format!("{}; {hint}", shown(name)),
                });
            }
        }
        Ok(())
    }

    /// Whether the client says a command whose rows a server may have to leave out.
    #[must_use]
    pub fn needs_all_rows(&self) -> bool {
        let says = |octets: &[u8], name: &&str| {
            octets.get(..name.len()).is_some_and(|verb| verb.eq_ignore_ascii_case(name.as_bytes()))
        };
        self.encrypted.is_some()
            || self.without.is_empty()
                && self.acts.iter().any(|(_, act)| match act {
                    Act::Octets(octets) => {
                        VOCABULARY.conditional.iter().any(|name| says(octets, name))
                    }
                    _ => false,
                })
    }

    /// Whether a real server, with a real store and without a certificate, would answer the same.
    #[must_use]
    pub fn goes_over_a_socket(&self) -> bool {
        self.definition.is_none()
            && self.faults.is_none()
            && !self.needs_all_rows()
            && !self.acts.iter().any(|(_, act)| {
                matches!(act, Act::Verdict(_) | Act::Encrypted | Act::Silence | Act::Stop)
            })
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
                (Act::Octets(_) | Act::Encrypted | Act::Silence | Act::Stop, _) => {
                    acts.push(act.clone());
                }
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
