//! One server as the host of many sessions, one at a time, with the politeness that it is owed.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::against::{Target, seconds};
use super::interrupt::{self, STOPPED};
use crate::config::Tls;
use crate::conformance::{Host, Values};
use crate::dialogue::{Patience, Socket};

/// How a server is treated.
#[derive(Args)]
pub(super) struct Manners {
    /// Who gets the messages. Without it nothing is sent.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    recipient: Option<String>,
    /// An address that the server must refuse; without it none is tried.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    unknown_recipient: Option<String>,
    /// Who gets reports; without it nobody does (`MAIL FROM:<>`).
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    sender: Option<String>,
    /// The name that the client gives itself.
    #[arg(long, value_name = "DOMAIN", value_parser = word, default_value = "client.example")]
    helo: String,
    /// Between two sessions.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pause: Option<Duration>,
    /// How long the server is waited for: for the connection, and for each reply.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    timeout: Duration,
    /// The server is another machine, and I may do this to it.
    #[arg(long)]
    yes_i_may: bool,
    /// The line is encrypted from the first octet (RFC 8314). No certificate is verified.
    #[arg(long, conflicts_with = "starttls")]
    tls: bool,
    /// The server has a certificate: STARTTLS is said, too, and a handshake follows (RFC 3207). No
    /// certificate is verified.
    #[arg(long)]
    starttls: bool,
}

/// How a server's lines are encrypted.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub tls: Tls,
    pub has_certificate: bool,
}

/// Checks a word of a line: nothing in it may end the line, or the word.
fn word(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("expected printable ASCII without blanks");
    }
    Ok(text.to_owned())
}

/// Checks an address.
fn address(text: &str) -> Result<String, &'static str> {
    let is_plain = word(text).is_ok() && text.contains('@') && !text.contains(['<', '>']);
    if is_plain { Ok(text.to_owned()) } else { Err("expected NAME@DOMAIN, without `<` and `>`") }
}

impl Manners {
    /// How the server's lines are encrypted, as its own configuration would say it.
    pub(super) fn line(&self) -> Line {
        match (self.tls, self.starttls) {
            (true, _) => Line { tls: Tls::FirstOctet, has_certificate: true },
            (false, has_certificate) => Line { tls: Tls::StartTls, has_certificate },
        }
    }

    /// What commands are made of.
    pub(super) fn values(&self) -> Values {
        let usual = Values::default();
        Values {
            helo: self.helo.clone(),
            sender: self.sender.clone().unwrap_or(usual.sender),
            recipient: self.recipient.clone().unwrap_or(usual.recipient),
            unknown: self.unknown_recipient.clone(),
        }
    }

    /// Whether the server may be asked; `what` says what would be sent.
    pub(super) fn admit(&self, name: &str, what: &str) -> Result<Server, String> {
        let target = Target::resolve(name, self.tls)?;
        let Some(recipient) = &self.recipient else {
            return Err(format!(
                "nothing was sent to {name}: say who gets the messages, with --recipient ADDRESS; it would be {what}"
            ));
        };
        if !target.is_loopback() && !self.yes_i_may {
            return Err(format!(
                "nothing was sent to {name}, which is not this machine: it would be {what}, to {recipient}; if you may do that to it, say --yes-i-may"
            ));
        }
        interrupt::watch()?;
        let patience = Patience { timeout: self.timeout, stop: Some(&STOPPED) };
        // A server that is not there is told at once.
        let first = Some(target.connect(patience)?);
        let shows = io::stderr().is_terminal();
        let pause = self.pause.unwrap_or_default();
        Ok(Server { target, patience, pause, first, shows, shown: None })
    }
}

/// A server, one session at a time.
pub(super) struct Server {
    target: Target,
    patience: Patience,
    pause: Duration,
    /// The connection that showed that it is there.
    first: Option<Socket>,
    /// Whether progress is shown.
    shows: bool,
    /// When it was shown last.
    shown: Option<Instant>,
}

/// How long progress stands.
const SHOWN: Duration = Duration::from_millis(100);

impl Host for Server {
    type Peer = Socket;

    fn connect(&mut self) -> Result<Socket, String> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.target.connect(self.patience),
        }
    }

    fn leave(&mut self, peer: Socket) {
        peer.leave();
    }

    fn pause(&mut self, troubles: u32) {
        let wait = match troubles {
            0 => self.pause,
            1 => Duration::from_millis(300),
            2 => Duration::from_secs(1),
            _ => Duration::from_secs(3),
        };
        let end = Instant::now() + wait.max(self.pause);
        while !self.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(SHOWN));
        }
    }

    fn is_stopped(&self) -> bool {
        STOPPED.load(Ordering::Relaxed)
    }

    fn progress(&mut self, done: usize, all: usize) {
        if !self.shows || (done < all && self.shown.is_some_and(|at| at.elapsed() < SHOWN)) {
            return;
        }
        self.shown = Some(Instant::now());
        let text = if done < all { format!("{done} of {all} sessions") } else { String::new() };
        // The rest of the line is erased.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}
