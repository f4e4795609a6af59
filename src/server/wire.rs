//! A client's wire: what the client sends is read when it is there, and replies leave in one write.
//! Its octets go over a line (`line.rs`), clear or encrypted.

use std::io::{self, Read as _};
use std::sync::Arc;

use rustls::ServerConfig;

use super::Shared;
use super::line::{Failure, Line};
use super::socket::{Socket, is_for_later};
use super::watch::{Deadline, Ended, Waiter};
use crate::config::Config;
use crate::smtp::envelope::Encryption;
use crate::smtp::reply::Reply;

/// How much is read at once, in octets: little, and more while content fills it.
const READ_BYTES: usize = 8 * 1024;
const CONTENT_READ_BYTES: usize = 64 * 1024;
/// The replies that are collected before a write, in octets, though the client pipelined more
/// commands.
const OUT_BYTES_MAX: usize = 16 * 1024;
/// How long a closing server waits for the client to read the last reply, in milliseconds.
const LINGER_MS: u64 = 500;

/// What a read found.
pub(super) enum Received {
    Octets(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// The client has closed its side.
    End,
}

pub(super) struct Wire<'a> {
    /// The configuration as it was when the client came.
    config: &'a Config,
    /// The socket, and TLS over it.
    line: Line<'a>,
    /// The slot in the clock of all sessions.
    pub(super) waiter: Waiter,
    /// The replies that were not sent yet.
    out: Vec<u8>,
    /// The size of the next read.
    read_bytes: usize,
    /// Whether the last read may have left something, in the socket or of what TLS has decrypted.
    is_filled: bool,
    /// Whether a reply was sent since the last read: it acknowledges what was read.
    has_replied: bool,
    /// Whether an answer breaks off, by a fault.
    is_cut: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(shared: &Shared, config: &'a Config, socket: &'a Socket) -> io::Result<Self> {
        socket.set_nodelay()?;
        Ok(Self {
            config,
            line: Line::new(socket),
            waiter: shared.watch.waiter(),
            out: Vec::new(),
            read_bytes: READ_BYTES,
            is_filled: false,
            has_replied: false,
            is_cut: false,
        })
    }

    /// Waits for octets without holding a buffer for them.
    pub(super) async fn readable(
        &self,
        deadline: Deadline,
        heeds_stop: bool,
    ) -> Ended<io::Result<()>> {
        self.waiter.until(deadline, heeds_stop, self.filled()).await
    }

    /// Waits until a read may find something.
    pub(super) async fn filled(&self) -> io::Result<()> {
        if self.is_filled && self.line.is_encrypted() {
            // What is decrypted already makes no socket readable.
            return Ok(());
        }
        self.line.readable().await
    }

    pub(super) fn socket(&self) -> &Socket {
        self.line.socket()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.line.is_encrypted()
    }

    /// How the line is encrypted; `None` on a clear one.
    pub(super) fn encryption(&self) -> Option<Encryption> {
        self.line.encryption()
    }

    /// The name that the client asked for in the handshake.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.line.server_name()
    }

    /// Encrypts the line; the handshake may take as long as a command.
    pub(super) async fn encrypt(
        &mut self,
        config: Arc<ServerConfig>,
    ) -> Ended<Result<(), Failure>> {
        let limits = self.config;
        let after = |seconds: u64| self.waiter.now().saturating_add(seconds.saturating_mul(1000));
        let deadline = Deadline {
            usual: after(limits.command_seconds_max),
            pressed: after(limits.pressure_seconds_max),
        };
        let ended = self.waiter.until(deadline, true, self.line.shake_hands(config)).await;
        // The last octets of the handshake may have brought the first ones of the session.
        self.is_filled = self.line.is_encrypted();
        ended
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, reads_content: bool) -> io::Result<Received> {
        let mut octets = vec![0; self.read_bytes];
        let taken = match self.line.read(&mut octets) {
            Ok(0) => return Ok(Received::End),
            Ok(taken) => taken,
            Err(error) if is_for_later(&error) => {
                self.is_filled = false;
                return Ok(Received::Nothing);
            }
            Err(error) => return Err(error),
        };
        self.is_filled = taken == octets.len() || self.line.is_over();
        self.read_bytes =
            if self.is_filled && reads_content { CONTENT_READ_BYTES } else { READ_BYTES };
        self.has_replied = false;
        octets.truncate(taken);
        Ok(Received::Octets(octets))
    }

    /// Acknowledges what was read, at once, unless a reply has done it. The system waits 40 ms for
    /// a reply that could carry the acknowledgement; after half a command, or content without its
    /// end, there is none. A client with Nagle's algorithm on (RFC 896) meanwhile holds back its
    /// next write: the rest of the line, or the final dot. The system forgets this setting, so it
    /// is set again each time.
    pub(super) fn acknowledge(&self) {
        if !self.is_filled && !self.has_replied {
            self.line.socket().acknowledge();
        }
    }

    /// Adds a reply to those that leave together.
    pub(super) fn write(&mut self, reply: &Reply, enhanced: bool) {
        reply.write(&mut self.out, enhanced);
    }

    /// Adds octets in the place of a reply.
    pub(super) fn write_octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// The answer breaks off behind the octets so far.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Breaks the line off within a record, if an answer was cut and has been sent.
    pub(super) fn tear(&mut self) {
        if std::mem::take(&mut self.is_cut) {
            self.line.tear();
        }
    }

    /// Whether the replies should leave before others join them.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= OUT_BYTES_MAX
    }

    pub(super) fn has_replies(&self) -> bool {
        !self.out.is_empty()
    }

    /// Sends the replies in one write. A client that does not read them is not read either, and the
    /// wait for it ends.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        self.has_replied = true;
        let mut rest = out.as_slice();
        // Nearly always there is room, and nothing to wait for.
        if self.line.send(&mut rest)? {
            return Ok(());
        }
        self.send_rest(rest).await
    }

    async fn send_rest(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let config = self.config;
        let after = |seconds: u64| self.waiter.now().saturating_add(seconds.saturating_mul(1000));
        let deadline =
            Deadline { usual: after(config.timer), pressed: after(config.pressure_seconds_max) };
        let line = &mut self.line;
        let sending = async move {
            loop {
                line.writable().await?;
                if line.send(&mut rest)? {
                    return Ok(());
                }
            }
        };
        // A server that stops sends what it has promised, as long as stopping may take.
        match self.waiter.until(deadline, false, sending).await {
            Ended::Done(sent) => sent,
            Ended::Late | Ended::Stop => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether nothing has arrived that was not read. Over TLS something follows: a client says
    /// farewell.
    pub(super) fn is_quiet(&self) -> bool {
        let mut socket = self.line.socket();
        if self.line.is_encrypted() {
            return false;
        }
        match socket.read(&mut [0]) {
            Ok(taken) => taken == 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Closes so that the last reply arrives: a close with unread octets makes the system reset the
    /// connection, and the client may lose the reply.
    pub(super) async fn linger(&mut self) {
        self.line.take_leave();
        let socket = self.line.socket();
        if socket.shutdown_write().is_err() {
            return;
        }
        let drain = async { while socket.readable().await.is_ok() && !is_over(socket) {} };
        let end = self.waiter.now() + LINGER_MS;
        self.waiter.until(Deadline { usual: end, pressed: end }, false, drain).await;
    }
}

/// Reads and drops what arrives after the last reply. Returns whether the client has closed, too.
fn is_over(mut socket: &Socket) -> bool {
    match socket.read(&mut [0; 1024]) {
        Ok(taken) => taken == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
