//! Dialogues: sessions as the RFC writes them, one a file in `tests/dialogues`.
//!
//! ```text
//! # What it shows.                                             RFC 5321 3.3
//! ! vrfy: Honest             a key of the configuration, before all else
//! S: 220                     the server answers; the reply begins so
//! C: NOOP                    the client says this, and CR LF
//! O: a\n.\r\n\x00            the client sends these octets and no more; \r \n \t \0 \\ \xHH
//! O: x * 3000                the same, so many times
//! = transaction              the state where the session stands
//! * verdict full             the next question gets: yes, unknown, full, busy, broken
//! * stored a\n.\r\n          the store was given this content, and no other since
//! * discarded                the store was told to forget the message that came last
//! * silence, * stop          the client says nothing for too long; the server stops
//! * closed                   the server has closed the connection
//! ```
//!
//! `! definition: FILE` plays by another definition, FILE beside the dialogue.
//! Each reply must be expected before the client's next line, and none may be left at the end.
//! Without a key the configuration is [`BASE`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use postman::autofsm;
use postman::config::Config;
use postman::smtp::machine::Machine;
use postman::smtp::session::{Input, Verdict};
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::Peer;

/// One mailbox, `b`; nobody relays; small limits.
const BASE: &[(&str, &str)] = &[
    ("users", "Listed([\"b\", \"c\"])"),
    ("relay_from", "[]"),
    ("message_bytes_max", "65536"),
    ("domain", "\"postman.local\""),
];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Reply(String),
    Octets(Vec<u8>),
    State(String),
    Verdict(Verdict),
    Stored(Vec<u8>),
    Discarded,
    Silence,
    Stop,
    Closed,
}

pub(crate) struct Dialogue {
    pub(crate) name: String,
    keys: BTreeMap<String, String>,
    definition: Option<String>,
    /// With the numbers of their lines.
    pub(crate) acts: Vec<(usize, Act)>,
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
    match text.rsplit_once(" * ") {
        Some((piece, times)) if times.parse::<usize>().is_ok() => Some(unescape(piece)?.repeat(times.parse().ok()?)),
        _ => unescape(text),
    }
}

fn act(line: &str) -> Option<Act> {
    let (sign, text) = line.split_at_checked(2)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(match (sign, text) {
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

impl Dialogue {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let mut keys: BTreeMap<String, String> =
            BASE.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (mut acts, mut definition) = (Vec::new(), None);
        for (line, number) in text.lines().zip(1..) {
            if let Some(setting) = line.strip_prefix("! ") {
                let (key, value) = setting.split_once(": ").unwrap_or_else(|| panic!("{name}:{number}: no key"));
                if key == "definition" {
                    definition = Some(value.to_owned());
                } else {
                    keys.insert(key.to_owned(), value.to_owned());
                }
            } else if !(line.is_empty() || line.starts_with('#')) {
                acts.push((number, act(line).unwrap_or_else(|| panic!("{name}:{number}: no dialogue's line: {line}"))));
            }
        }
        assert_eq!(
            acts.first().map(|(_, act)| matches!(act, Act::Reply(_))),
            Some(true),
            "{name}: the server speaks first"
        );
        Self { name: name.to_owned(), keys, definition, acts }
    }

    /// All of `tests/dialogues`, in order.
    pub(crate) fn all() -> Vec<Self> {
        let mut files: Vec<_> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "smtp"));
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            Self::parse(&name, &fs::read_to_string(path).unwrap())
        };
        files.iter().map(read).collect()
    }

    /// The configuration, as a file has it.
    pub(crate) fn config_text(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("({})", keys.join(", "))
    }

    pub(crate) fn config(&self) -> Config {
        Config::parse(&self.config_text()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A session at its begin.
    pub(crate) fn peer(&self) -> Peer {
        let Some(name) = &self.definition else { return Peer::new(&self.config()) };
        let text = fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
        let compiled = autofsm::compile(&text, Some(&VOCABULARY));
        let shown = autofsm::render(&compiled.diagnostics, name, &text);
        let definition = compiled.definition.unwrap_or_else(|| panic!("{shown}"));
        Peer::with_machine(&self.config(), Machine::load(name, &definition).unwrap())
    }

    /// Whether a real server, with a real store, would answer the same.
    pub(crate) fn goes_over_a_socket(&self) -> bool {
        self.definition.is_none()
            && !self.acts.iter().any(|(_, act)| matches!(act, Act::Verdict(_) | Act::Silence | Act::Stop))
    }

    /// Plays it; `cut` says how many of the octets at hand come at once. Returns the verdicts
    /// by the number of their question.
    pub(crate) fn play(&self, mut cut: impl FnMut(usize) -> usize) -> BTreeMap<usize, Verdict> {
        let mut peer = self.peer();
        for (number, act) in &self.acts {
            let place = format!("{}:{number}", self.name);
            match act {
                Act::Reply(begin) => {
                    let reply = peer.take_reply().unwrap_or_else(|| panic!("{place}: no reply, expected {begin:?}"));
                    assert!(reply.starts_with(begin.as_str()), "{place}: expected {begin:?}, got {reply:?}");
                }
                Act::Octets(octets) => {
                    assert_eq!(peer.take_reply(), None, "{place}: a reply that nobody expects");
                    let mut rest = octets.as_slice();
                    while !rest.is_empty() {
                        let (piece, behind) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
                        peer.give(Input::Octets(piece));
                        rest = behind;
                    }
                }
                Act::State(state) => assert_eq!(peer.session.position().name(), state, "{place}"),
                Act::Verdict(verdict) => drop(peer.verdicts.insert(peer.questions, *verdict)),
                Act::Stored(content) => {
                    let stored = peer.stored.drain(..).map(|octets| String::from_utf8_lossy(&octets).into_owned());
                    assert_eq!(stored.collect::<Vec<_>>(), [String::from_utf8_lossy(content)], "{place}");
                }
                Act::Discarded => assert!(!peer.draft && peer.stored.is_empty(), "{place}"),
                Act::Silence => peer.give(Input::Silence),
                Act::Stop => peer.give(Input::Stop),
                Act::Closed => assert!(!peer.open, "{place}: still open"),
            }
        }
        assert_eq!(peer.take_reply(), None, "{}: a reply that nobody expects at the end", self.name);
        peer.verdicts
    }

    /// All that the client sends, with what the world does in between.
    pub(crate) fn pipelined(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = Vec::new();
        for (_, act) in &self.acts {
            match (act, acts.last_mut()) {
                (Act::Octets(octets), Some(Act::Octets(before))) => before.extend_from_slice(octets),
                (Act::Octets(_) | Act::Silence | Act::Stop, _) => acts.push(act.clone()),
                _ => {}
            }
        }
        acts
    }
}

#[test]
fn a_line_that_is_no_dialogues_is_refused() {
    for line in ["", "X: x", "O: \\q", "O: \\x9", "* verdict maybe", "* tea", "é", "=x"] {
        assert_eq!(act(line), None, "{line}");
    }
    assert_eq!(act("O: \\x41\\0 * 2"), Some(Act::Octets(b"A\0A\0".to_vec())));
    assert_eq!(act("O: a * b"), Some(Act::Octets(b"a * b".to_vec())));
}
