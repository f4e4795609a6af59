//! A client's socket: what it sends is read when it is there, and replies leave in one write.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use async_io::Async;
use futures_lite::AsyncWriteExt as _;

use super::Shared;
use super::watch::{Deadline, Ended, Waiter};
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
    /// What all connections share.
    shared: &'a Shared,
    /// The socket.
    stream: &'a Async<TcpStream>,
    /// The slot in the clock of all sessions.
    pub(super) waiter: Waiter,
    /// The replies that were not sent yet.
    out: Vec<u8>,
    /// The size of the next read.
    read_bytes: usize,
    /// Whether the last read may have left something.
    is_filled: bool,
    /// Whether a reply was sent since the last read: it acknowledges what was read.
    has_replied: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(shared: &'a Shared, stream: &'a Async<TcpStream>) -> io::Result<Self> {
        // Replies leave in one write: there is nothing to wait for.
        stream.get_ref().set_nodelay(true)?;
        Ok(Self {
            shared,
            stream,
            waiter: shared.watch.waiter(),
            out: Vec::new(),
            read_bytes: READ_BYTES,
            is_filled: false,
            has_replied: false,
        })
    }

    /// Waits for octets without holding a buffer for them.
    pub(super) async fn readable(
        &self,
        deadline: Deadline,
        heeds_stop: bool,
    ) -> Ended<io::Result<()>> {
        self.waiter.until(deadline, heeds_stop, self.stream.readable()).await
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, reads_content: bool) -> io::Result<Received> {
        let mut octets = vec![0; self.read_bytes];
        let taken = match self.stream.get_ref().read(&mut octets) {
            Ok(0) => return Ok(Received::End),
            Ok(taken) => taken,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(Received::Nothing);
            }
            Err(error) => return Err(error),
        };
        self.is_filled = taken == octets.len();
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
            // Where it fails the client waits, as it would without this.
            let _ = rustix::net::sockopt::set_tcp_quickack(self.stream.get_ref(), true);
        }
    }

    /// Adds a reply to those that leave together.
    pub(super) fn write(&mut self, reply: &Reply, enhanced: bool) {
        reply.write(&mut self.out, enhanced);
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
        // Nearly always there is room, and nothing to wait for.
        match self.stream.get_ref().write(&out) {
            Ok(sent) if sent == out.len() => Ok(()),
            Ok(sent) => self.send_rest(out.get(sent..).unwrap_or_default()).await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.send_rest(&out).await,
            Err(error) => Err(error),
        }
    }

    async fn send_rest(&self, rest: &[u8]) -> io::Result<()> {
        let (config, mut stream) = (&self.shared.config, self.stream);
        let after = |seconds: u64| self.waiter.now().saturating_add(seconds.saturating_mul(1000));
        let deadline =
            Deadline { usual: after(config.timer), pressed: after(config.pressure_seconds_max) };
        // A server that stops sends what it has promised, as long as stopping may take.
        match self.waiter.until(deadline, false, stream.write_all(rest)).await {
            Ended::Done(sent) => sent,
            Ended::Late | Ended::Stop => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether nothing has arrived that was not read.
    pub(super) fn is_quiet(&self) -> bool {
        match self.stream.get_ref().read(&mut [0]) {
            Ok(taken) => taken == 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Closes so that the last reply arrives: a close with unread octets makes the system reset the
    /// connection, and the client may lose the reply.
    pub(super) async fn linger(&self) {
        if self.stream.get_ref().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let drain = async {
            while self.stream.readable().await.is_ok() && !is_over(self.stream.get_ref()) {}
        };
        let end = self.waiter.now() + LINGER_MS;
        self.waiter.until(Deadline { usual: end, pressed: end }, false, drain).await;
    }
}

/// Reads and drops what arrives after the last reply. Returns whether the client has closed, too.
fn is_over(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 1024]) {
        Ok(taken) => taken == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
