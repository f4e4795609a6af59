//! A client's line: its socket, and TLS over it once the two have shaken hands. RFC 8446, RFC 5246.
//!
//! A line is clear at first. [`Line::shake_hands`] makes it an encrypted one, and nothing makes it
//! clear again: the only other octets that pass are those of the handshake itself, which no session
//! sees. Rustls does no input or output; the octets go through here, and nothing else of the server
//! touches the socket of a session.
//!
//! The end of the socket's octets ends the line, with TLS's own farewell (`close_notify`) or
//! without: a message needs its dot either way, so that a line that is cut ends no message.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::server::ServerConnection;
use rustls::{ProtocolVersion, ServerConfig};

use super::socket::{Socket, is_for_later};
use crate::smtp::envelope::Encryption;

/// The most that TLS holds of what is to be sent, and of what was received and not yet read, in
/// octets.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// How much leaves of a record that a fault breaks off, in octets: its header, and a part of what it
/// protects.
const TORN_BYTES: usize = 8;

/// Why there is no encrypted line.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client went away.
    HungUp,
    /// The socket failed.
    Socket(io::Error),
    /// What came is not what TLS wants, or is the client's own refusal.
    Tls(rustls::Error),
}

/// The line of one client.
pub(super) struct Line<'a> {
    /// The socket.
    socket: &'a Socket,
    /// TLS, once it has begun. It is in a box, since most of a line's life is a wait.
    tls: Option<Box<ServerConnection>>,
    /// Whether the client has said TLS's farewell: nothing follows what is decrypted already.
    is_over: bool,
    /// Whether the last record has no end, by a fault: no other record can follow.
    is_torn: bool,
}

impl<'a> Line<'a> {
    /// A clear line.
    pub(super) fn new(socket: &'a Socket) -> Self {
        Self { socket, tls: None, is_over: false, is_torn: false }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// How it is encrypted; `None` on a clear line.
    pub(super) fn encryption(&self) -> Option<Encryption> {
        let tls = self.tls.as_ref()?;
        let version = match tls.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLS",
        };
        let suite = tls.negotiated_cipher_suite()?.suite();
        // Rustls tells the suites of TLS 1.3 apart by a name of its own.
        let cipher = suite.as_str().unwrap_or("unknown").replace("TLS13_", "TLS_");
        Some(Encryption { version, cipher })
    }

    /// The name that the client asked for (SNI).
    pub(super) fn server_name(&self) -> Option<&str> {
        self.tls.as_ref().and_then(|tls| tls.server_name())
    }

    /// Whether the next read finds the end, although the socket may never be readable again: the
    /// farewell can arrive together with what was said before it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    pub(super) fn socket(&self) -> &'a Socket {
        self.socket
    }

    /// Encrypts the line. What arrives until the end of the handshake is taken for the handshake.
    ///
    /// Each turn of the loop waits for the socket, or has read octets of it: none goes round in
    /// place.
    pub(super) async fn shake_hands(&mut self, config: Arc<ServerConfig>) -> Result<(), Failure> {
        let mut tls = Box::new(ServerConnection::new(config).map_err(Failure::Tls)?);
        tls.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        let mut socket = self.socket;
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut socket) {
                    Ok(0) => return Err(Failure::HungUp),
                    Ok(_) => {}
                    Err(error) if is_for_later(&error) => {
                        socket.writable().await.map_err(Failure::Socket)?;
                    }
                    Err(error) => return Err(Failure::Socket(error)),
                }
            }
            if !tls.is_handshaking() {
                self.tls = Some(tls);
                return Ok(());
            }
            socket.readable().await.map_err(Failure::Socket)?;
            match tls.read_tls(&mut socket) {
                Ok(0) => return Err(Failure::HungUp),
                Ok(_) => {}
                Err(error) if is_for_later(&error) => continue,
                Err(error) => return Err(Failure::Socket(error)),
            }
            match tls.process_new_packets() {
                Ok(state) => self.is_over = state.peer_has_closed(),
                Err(error) => {
                    // The alert tells the client why, if there is room for it.
                    let _ = tls.write_tls(&mut socket);
                    return Err(Failure::Tls(error));
                }
            }
        }
    }

    /// Reads what is there, at most as much as the socket gives at once. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing now; what the socket says; octets that are not TLS's.
    pub(super) fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        let Some(tls) = &mut self.tls else { return socket.read(octets) };
        match plain(tls, octets) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            known => return known,
        }
        tls.read_tls(&mut socket)?;
        let processed = tls.process_new_packets();
        // What TLS itself has to say (an alert, a new key) leaves now, or with the next reply.
        if tls.wants_write() && !self.is_torn {
            let _ = tls.write_tls(&mut socket);
        }
        match processed {
            Ok(state) => {
                self.is_over = state.peer_has_closed();
                plain(tls, octets)
            }
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Sends as much as there is room for, and returns whether that was all. `rest` becomes what is
    /// still to be given to another call.
    pub(super) fn send(&mut self, rest: &mut &[u8]) -> io::Result<bool> {
        let mut socket = self.socket;
        loop {
            let sent = match &mut self.tls {
                None => socket.write(rest),
                Some(tls) => {
                    let taken = tls.writer().write(rest)?;
                    *rest = rest.get(taken..).unwrap_or_default();
                    if !tls.wants_write() {
                        return if rest.is_empty() { Ok(true) } else { Err(stuck()) };
                    }
                    tls.write_tls(&mut socket)
                }
            };
            match sent {
                Ok(0) if self.tls.is_some() || !rest.is_empty() => return Err(stuck()),
                Ok(sent) if self.tls.is_none() => {
                    *rest = rest.get(sent..).unwrap_or_default();
                    if rest.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(_) => {}
                Err(error) if is_for_later(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins a record and does not finish it: nothing of it can be decrypted. No farewell follows.
    pub(super) fn tear(&mut self) {
        let mut socket = self.socket;
        let Some(tls) = &mut self.tls else { return };
        let mut record = Vec::new();
        let begun = tls.writer().write(&[0; TORN_BYTES]).and_then(|_| tls.write_tls(&mut record));
        if begun.is_ok() {
            let _ = socket.write(record.get(..TORN_BYTES).unwrap_or_default());
        }
        self.is_torn = true;
    }

    /// Says farewell, if the line is encrypted and there is room for it.
    pub(super) fn take_leave(&mut self) {
        let mut socket = self.socket;
        if let Some(tls) = self.tls.as_mut().filter(|_| !self.is_torn) {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut socket);
        }
    }
}

/// An output that goes no further.
fn stuck() -> io::Error {
    io::ErrorKind::WriteZero.into()
}

/// Reads what TLS has decrypted. The socket's end without a farewell is an end like any other.
fn plain(tls: &mut ServerConnection, octets: &mut [u8]) -> io::Result<usize> {
    match tls.reader().read(octets) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        known => known,
    }
}
