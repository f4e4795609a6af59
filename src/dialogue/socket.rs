//! The other end of a dialogue: a server behind a socket.
//!
//! It shows its replies and whether it has closed. What it cannot show (`= state`, `* stored`,
//! `* discarded`) is not looked at, and what nobody can ask of it (`* verdict`, `* silence`,
//! `* stop`) makes a dialogue one that is not played: [`Dialogue::obstacle`]. `* encrypted` is a
//! handshake.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::encryption::{Encryption, Line};
use super::{Act, BASE, Dialogue, Play, Verdict, shown};
use crate::smtp::session::Input;

/// The most octets of one reply that are read.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// The most octets of an unfinished reply that are shown.
const SHOWN_MAX: usize = 200;
/// How long a read lasts before the flag of [`Patience::stop`] is looked at again.
const LOOK: Duration = Duration::from_millis(100);
/// How long a server that has answered all is listened to at the end.
const AFTERMATH: Duration = Duration::from_millis(100);

/// How long a server is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, for each whole reply, and for what is sent to be taken.
    pub timeout: Duration,
    /// Once it is set, nothing is waited for.
    pub stop: Option<&'static AtomicBool>,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// The name that a handshake asks for.
    name: String,
    encryption: Encryption,
    /// The encrypted line, once there is one.
    line: Option<Line>,
    patience: Patience,
    /// What came and was not taken.
    received: Vec<u8>,
    /// Why nothing more comes.
    over: Option<String>,
    /// What was missing when the last reply was waited for.
    silence: String,
}

impl Socket {
    /// Connects. The greeting is the first reply. A handshake would ask for the certificate of this
    /// name.
    ///
    /// # Errors
    /// Nobody listens there, or nobody answers in time.
    pub fn connect(
        address: SocketAddr,
        name: &str,
        encryption: &Encryption,
        patience: Patience,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience.timeout))?;
        Ok(Self {
            stream,
            name: name.to_owned(),
            encryption: encryption.clone(),
            line: None,
            patience,
            received: Vec::new(),
            over: None,
            silence: String::new(),
        })
    }

    /// Says goodbye, and that nothing follows it; then waits for the answer. A server may wait for
    /// the client's end before it answers: Exim 4.96 does, a fifth of a second.
    pub fn leave(mut self) {
        self.give(Input::Octets(b"QUIT\r\n"));
        if let Some(line) = &mut self.line {
            let _ = line.close(&mut self.stream);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.take_reply();
    }

    /// Sends octets, sealed if the line is encrypted.
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.line {
            Some(line) => line.send(octets, &mut self.stream),
            None => self.stream.write_all(octets),
        }
    }

    /// Takes what has come.
    fn take(&mut self, octets: &[u8]) {
        let Some(line) = &mut self.line else {
            self.received.extend_from_slice(octets);
            return;
        };
        let opened = line.open(octets, &mut self.received);
        // An alert, or the answer to one of the server's keys. What cannot be sent is missed later.
        let _ = line.send(b"", &mut self.stream);
        self.over = opened.err();
    }

    /// The handshake, from its first octet to its last.
    fn shake_hands(&mut self) -> Result<(), String> {
        if self.line.is_some() {
            return Err("one within an encrypted line".to_owned());
        }
        // What was said in the clear must not count as said behind the handshake (RFC 3207 4.2).
        if let Some(reply) = self.early_reply() {
            return Err(format!("a reply that nothing asked for, {}", shown(&reply)));
        }
        let address = self.stream.peer_addr().map_err(|error| words(&error))?.ip();
        let line = self.encryption.line(&self.name, address)?;
        self.line = Some(line);
        let deadline = Instant::now() + self.patience.timeout;
        loop {
            self.send(b"").map_err(|error| words(&error))?;
            if !self.line.as_ref().is_some_and(Line::shakes_hands) {
                return Ok(());
            }
            if !self.read(Some(deadline)) {
                let seconds = self.patience.timeout.as_secs_f32();
                return Err(self
                    .over
                    .clone()
                    .unwrap_or_else(|| format!("none within {seconds} s")));
            }
        }
    }

    /// Reads what is there; without a deadline, what is there already. Returns whether anything
    /// came.
    fn read(&mut self, deadline: Option<Instant>) -> bool {
        let mut piece = [0; 4096];
        while self.over.is_none() {
            let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_stopped = || self.patience.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            let read = match wait {
                Some(wait) if wait.is_zero() || is_stopped() => return false,
                Some(wait) => self
                    .stream
                    .set_read_timeout(Some(wait.min(LOOK)))
                    .and_then(|()| self.stream.read(&mut piece)),
                None => self.read_at_once(&mut piece),
            };
            match read {
                Ok(0) => self.over = Some("a closed connection".to_owned()),
                Ok(length) => {
                    self.take(piece.get(..length).unwrap_or_default());
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) && wait.is_some() => {}
                Err(error) if is_late(&error) => return false,
                Err(error) => self.over = Some(format!("a broken connection ({})", words(&error))),
            }
        }
        false
    }

    fn read_at_once(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let read = self.stream.read(piece);
        self.stream.set_nonblocking(false)?;
        read
    }

    /// Takes the oldest reply, if it is here with all its lines.
    fn take_whole(&mut self) -> Option<String> {
        let mut end = 0;
        let is_whole = self.received.split_inclusive(|octet| *octet == b'\n').any(|line| {
            end += line.len();
            let goes_on = line.iter().take(3).all(u8::is_ascii_digit) && line.get(3) == Some(&b'-');
            line.ends_with(b"\n") && !goes_on
        });
        is_whole.then(|| {
            let reply: Vec<u8> = self.received.drain(..end).collect();
            String::from_utf8_lossy(&reply).into_owned()
        })
    }

    /// Waits for a reply until the deadline.
    fn reply_by(&mut self, deadline: Instant) -> Option<String> {
        loop {
            if let Some(reply) = self.take_whole() {
                return Some(reply);
            }
            if self.received.len() > REPLY_BYTES_MAX {
                self.over = Some(format!("a reply of more than {REPLY_BYTES_MAX} octets"));
                self.received.clear();
                return None;
            }
            if !self.read(Some(deadline)) {
                return None;
            }
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// An error without the number that the standard library adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl Play for Socket {
    fn give(&mut self, input: Input<'_>) {
        if let Input::Octets(octets) = input
            && self.over.is_none()
            && let Err(error) = self.send(octets)
            // What a server says before it closes is read all the same.
            && is_late(&error)
        {
            let seconds = self.patience.timeout.as_secs_f32();
            self.over = Some(format!("a server that takes nothing more within {seconds} s"));
        }
    }

    fn take_reply(&mut self) -> Option<String> {
        let reply = self.reply_by(Instant::now() + self.patience.timeout);
        if reply.is_none() {
            let seconds = self.patience.timeout.as_secs_f32();
            let why = match &self.over {
                Some(why) => why.clone(),
                None => format!("no reply within {seconds} s"),
            };
            self.silence = if self.received.is_empty() {
                why
            } else {
                let begin = self.received.get(..SHOWN_MAX).unwrap_or(&self.received);
                let begin = shown(&String::from_utf8_lossy(begin));
                format!("an unfinished reply, {begin}, and then {why}")
            };
        }
        reply
    }

    fn early_reply(&mut self) -> Option<String> {
        // A record may hold no reply, but a key.
        while self.received.len() <= REPLY_BYTES_MAX && self.read(None) {}
        self.take_whole()
    }

    fn late_reply(&mut self) -> Option<String> {
        self.reply_by(Instant::now() + AFTERMATH.min(self.patience.timeout))
    }

    fn silence(&self) -> String {
        self.silence.clone()
    }

    fn shows(&self, act: &Act) -> bool {
        !matches!(act, Act::State(_) | Act::Stored(_) | Act::Discarded | Act::Waited(_))
    }

    fn state(&self) -> &'static str {
        ""
    }

    fn answer_next(&mut self, _: Verdict) {}

    fn take_misfit(&mut self) -> Option<String> {
        None
    }

    fn take_stored(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn shakes_hands(&self) -> bool {
        false
    }

    fn encrypt(&mut self) -> Result<(), String> {
        let shaken = self.shake_hands();
        if let Err(why) = &shaken {
            // Neither of the two knows in which way the other speaks now.
            self.over.get_or_insert_with(|| why.clone());
        }
        shaken
    }

    fn is_encrypted(&self) -> bool {
        self.line.is_some()
    }

    fn has_message(&self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        self.over.is_none()
    }

    fn closes(&mut self) -> bool {
        let deadline = Instant::now() + self.patience.timeout;
        while self.over.is_none()
            && self.received.len() <= REPLY_BYTES_MAX
            && self.read(Some(deadline))
        {}
        self.over.is_some()
    }
}

impl Dialogue {
    /// The first line that nobody can ask of a server behind a socket, and why.
    #[must_use]
    pub fn obstacle(&self) -> Option<(usize, &'static str)> {
        self.acts.iter().find_map(|(line, act)| {
            let why = match act {
                Act::Verdict(_) => "`* verdict` answers for the store, and a server has its own",
                Act::Silence => "`* silence` stands for minutes, and over a socket they would pass",
                Act::Stop => "`* stop` stops the server, and no client can",
                Act::Fault(_) => "`* fault` has a fault fire, and no client can",
                Act::Later(_) => "`* later` stands for time, and over a socket it would pass",
                Act::Ends(_) => "`* reset` and `* hangs` are how faults end a connection",
                Act::Reply(_)
                | Act::Octets(_)
                | Act::State(_)
                | Act::Stored(_)
                | Act::Discarded
                | Act::Waited(_)
                | Act::Encrypted
                | Act::Closed => return None,
            };
            Some((*line, why))
        })
    }

    /// What it says of the server, or of what only a session in memory shows: what is not looked at
    /// over a socket.
    #[must_use]
    pub fn not_looked_at(&self) -> Vec<String> {
        let count = |is: fn(&Act) -> bool| self.acts.iter().filter(|(_, act)| is(act)).count();
        let kinds = [
            ("state", count(|act| matches!(act, Act::State(_)))),
            ("stored content", count(|act| matches!(act, Act::Stored(_)))),
            ("wait", count(|act| matches!(act, Act::Waited(_)))),
            ("discarded content", count(|act| matches!(act, Act::Discarded))),
        ];
        let named = kinds.iter().filter(|(_, count)| *count > 0);
        named
            .map(|(name, count)| format!("{count} {name}{}", if *count == 1 { "" } else { "s" }))
            .collect()
    }

    /// What it presumes of the server: the lines that begin with `!`.
    #[must_use]
    pub fn presumes(&self) -> Vec<String> {
        let is_base = |key: &String, value: &String| BASE.contains(&(key.as_str(), value.as_str()));
        let keys = self.keys.iter().filter(|(key, value)| !is_base(key, value));
        let keys = keys.map(|(key, value)| format!("`{key}: {value}`"));
        let definition = self.definition.iter().map(|name| format!("`definition: {name}`"));
        let without = self.without.iter().map(|(_, name)| format!("`without: {name}`"));
        let faults = self.faults.iter().map(|name| format!("`faults: {name}`"));
        let encrypted = self.encrypted.iter().map(|_| "`encrypted: yes`".to_owned());
        keys.chain(definition).chain(faults).chain(without).chain(encrypted).collect()
    }
}
