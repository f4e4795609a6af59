//! One session: symbols are said, and what is heard is compared with what is expected.

use super::model::{Expected, Model, Sort};
use super::words::{Kind, Symbol};
use crate::config::Config;
use crate::dialogue::{Peer, Play};
use crate::smtp::machine::Machine;
use crate::smtp::session::Input;

/// Where connections come from.
pub trait Host {
    /// One connection, with the greeting still to be read.
    type Peer: Play;
    /// Opens a connection.
    ///
    /// # Errors
    /// Why there is none.
    fn connect(&mut self) -> Result<Self::Peer, String>;
    /// Says goodbye.
    fn leave(&mut self, _peer: Self::Peer) {}
    /// Waits before the next connection after the server had a passing trouble, this many times in
    /// turn; 0 is the usual pause between two sessions.
    fn pause(&mut self, _troubles: u32) {}
    /// Whether the user wants to end it.
    fn is_stopped(&self) -> bool {
        false
    }
    /// Tells how far it is.
    fn progress(&mut self, _done: usize, _all: usize) {}
}

/// Sessions in memory, without a socket and a disk.
#[derive(Debug)]
pub struct InMemory {
    /// The configuration of the server.
    pub config: Config,
    /// The machine that it runs.
    pub machine: &'static Machine,
}

impl Host for InMemory {
    type Peer = Peer;

    fn connect(&mut self) -> Result<Peer, String> {
        Ok(Peer::new(&self.config, self.machine))
    }
}

/// What came after a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A reply, with its code and its first line.
    Reply(u16, String),
    /// Nothing, and nothing was waited for: it is content.
    Silent,
    /// The connection stays open after this reply, which ends it.
    Open(u16),
    /// No reply: why, in words.
    Nothing(String),
    /// The connection is closed without a reply.
    Closed,
    /// A reply that nothing asked for.
    Unasked(String),
    /// What is no reply of SMTP.
    Foreign(String),
    /// Encryption was accepted, with this code and line, and this is what there was in place of a
    /// handshake; none if it was not tried, since the line is encrypted, and a client must not
    /// (RFC 3207 4.2). Nothing more can be said then.
    Clear(u16, String, Option<String>),
}

impl Heard {
    /// In one word, as a list of deviations has it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Reply(code, _) => code.to_string(),
            Self::Silent | Self::Nothing(_) => "silent".to_owned(),
            Self::Open(_) => "open".to_owned(),
            Self::Closed => "closed".to_owned(),
            Self::Unasked(_) => "unasked".to_owned(),
            Self::Foreign(_) => "foreign".to_owned(),
            Self::Clear(..) => "handshake".to_owned(),
        }
    }

    /// In words, after "got".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Reply(_, line) => format!("`{}`", line.escape_debug()),
            Self::Silent => "no reply".to_owned(),
            Self::Open(code) => format!("{code}, and a connection that stays open"),
            Self::Nothing(why) => why.clone(),
            Self::Closed => "a closed connection".to_owned(),
            Self::Unasked(line) => {
                format!("a reply that nothing asked for, `{}`", line.escape_debug())
            }
            Self::Foreign(line) => format!("what is no reply, `{}`", line.escape_debug()),
            Self::Clear(_, _, why) => {
                let untried = || "no handshake, since the line is encrypted".to_owned();
                let why = why.as_ref().map(|why| format!("this in place of a handshake: {why}"));
                why.unwrap_or_else(untried)
            }
        }
    }

    /// As lines of what was exchanged.
    pub(super) fn noted(&self) -> Vec<String> {
        let said = match self {
            Self::Reply(_, line) | Self::Clear(_, line, _) => Some(format!("S: {line}")),
            _ => None,
        };
        let told = match self {
            Self::Reply(..) | Self::Silent => None,
            other => Some(format!("# {}", other.words())),
        };
        said.into_iter().chain(told).collect()
    }

    /// As it compares with what is expected: where encryption is to be refused its acceptance is
    /// what deviates, and what follows it is no matter.
    fn beside(self, expected: Expected) -> Self {
        let is_refused = expected.sort == Sort::Refused;
        match self {
            Self::Clear(code, line, _) if is_refused => Self::Reply(code, line),
            other => other,
        }
    }
}

/// Reads a reply's code.
pub(super) fn heard(reply: &str) -> Heard {
    let line = reply.lines().next().unwrap_or_default().to_owned();
    let digits = line.get(..3).filter(|code| code.bytes().all(|octet| octet.is_ascii_digit()));
    let ends = matches!(line.as_bytes().get(3), None | Some(b' ' | b'-'));
    match digits.and_then(|code| code.parse().ok()).filter(|code| ends && (200..600).contains(code))
    {
        Some(code) => Heard::Reply(code, line),
        None => Heard::Foreign(line),
    }
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There is no connection, or no friendly greeting.
    Server(String),
    /// The user ended it.
    Stopped,
}

/// How a session went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// As it is expected, to the end.
    Through,
    /// Otherwise, at this symbol.
    Off(usize, Heard),
    /// At this symbol there was what may pass: 421, or a 4xx in place of a success.
    Doubtful(usize, String),
}

/// How what was heard compares.
enum Compared {
    Same,
    Other,
    Doubtful,
}

fn compare(expected: Expected, heard: &Heard) -> Compared {
    let Heard::Reply(code, _) = heard else {
        let is_same = *heard == Heard::Silent && expected.sort == Sort::Silent;
        return if is_same { Compared::Same } else { Compared::Other };
    };
    let is_sort = Sort::of(*code) == expected.sort;
    if is_sort
        && expected.code.is_none_or(|wanted| wanted == *code)
        && (*code != 421 || expected.closes)
    {
        return Compared::Same;
    }
    let may_pass = *code == 421 || (400..500).contains(code) && !is_sort;
    if may_pass { Compared::Doubtful } else { Compared::Other }
}

/// Reads the greeting.
pub(super) fn greeted(peer: &mut impl Play) -> Result<(), Lost> {
    match peer.take_reply() {
        Some(reply) => match heard(&reply) {
            Heard::Reply(200..300, _) => Ok(()),
            other => Err(Lost::Server(format!("the greeting is {}", other.words()))),
        },
        None => Err(Lost::Server(format!("in place of a greeting there is {}", peer.silence()))),
    }
}

/// Says one symbol. An answer is waited for unless it is content; a handshake follows where the
/// server has agreed to one.
pub(super) fn say(peer: &mut impl Play, symbol: &Symbol, is_answered: bool) -> Heard {
    if let Some(reply) = peer.early_reply() {
        return Heard::Unasked(reply.lines().next().unwrap_or_default().to_owned());
    }
    peer.give(Input::Octets(format!("{}\r\n", symbol.line).as_bytes()));
    if !is_answered {
        return Heard::Silent;
    }
    let heard = match peer.take_reply() {
        Some(reply) => heard(&reply),
        None if !peer.is_open() => Heard::Closed,
        None => Heard::Nothing(peer.silence()),
    };
    match heard {
        Heard::Reply(code @ 200..300, line) if symbol.kind == Kind::Encrypt => {
            if peer.is_encrypted() {
                return Heard::Clear(code, line, None);
            }
            match peer.encrypt() {
                Ok(()) => Heard::Reply(code, line),
                Err(why) => Heard::Clear(code, line, Some(why)),
            }
        }
        other => other,
    }
}

/// Plays a word of the model, up to the first symbol that goes otherwise. The lines that were
/// exchanged are noted.
pub(super) fn play<H: Host>(
    host: &mut H,
    model: &Model,
    word: &[usize],
    notes: &mut Vec<String>,
) -> Result<Went, Lost> {
    if host.is_stopped() {
        return Err(Lost::Stopped);
    }
    let mut peer = host.connect().map_err(Lost::Server)?;
    greeted(&mut peer)?;
    let steps = model.machine.follow(word).zip(word);
    for (place, ((_, expected), number)) in steps.enumerate() {
        let Some(symbol) = model.symbols.get(*number) else { break };
        let got = say(&mut peer, symbol, expected.sort != Sort::Silent);
        let mut got = got.beside(*expected);
        if host.is_stopped() {
            return Err(Lost::Stopped);
        }
        notes.push(format!("C: {}", symbol.line));
        notes.extend(got.noted());
        match compare(*expected, &got) {
            Compared::Same => {}
            Compared::Other => return Ok(Went::Off(place, got)),
            Compared::Doubtful => return Ok(Went::Doubtful(place, got.words())),
        }
        if let Heard::Reply(code, _) = got
            && expected.closes
            && !peer.closes()
        {
            got = Heard::Open(code);
            notes.push(format!("# {}", got.words()));
            return Ok(Went::Off(place, got));
        }
    }
    let is_content = word.last().is_some_and(|last| {
        model.symbols.get(*last).is_some_and(|symbol| symbol.kind == Kind::Content)
    });
    if peer.is_open()
        && !is_content
        && !model.machine.after(word).is_some_and(|at| model.reads_content(at))
    {
        host.leave(peer);
    }
    Ok(Went::Through)
}
