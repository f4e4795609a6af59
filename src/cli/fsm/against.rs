//! The server that a tool talks to: its name, its addresses, and a connection to it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use crate::dialogue::{Encryption, Patience, Play as _, Socket};

/// A server by the name that the user gave.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Target {
    /// HOST:PORT.
    pub name: String,
    /// What the name stands for.
    addresses: Vec<SocketAddr>,
    encryption: Encryption,
    /// Whether the handshake comes before the greeting.
    from_first_octet: bool,
}

impl Target {
    /// Looks the name up. Nothing is sent yet.
    pub(super) fn resolve(name: &str, from_first_octet: bool) -> Result<Self, String> {
        let shown = name.escape_debug();
        let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(format!(
                "cannot use `{shown}` as a server: expected HOST:PORT, as in 127.0.0.1:2525 or [::1]:2525"
            ));
        }
        let found = name.to_socket_addrs();
        let addresses: Vec<_> =
            found.map_err(|error| format!("cannot look up {shown}: {error}"))?.collect();
        if addresses.is_empty() {
            return Err(format!("cannot look up {shown}: it has no address"));
        }
        let encryption = Encryption::new()?;
        Ok(Self { name: name.to_owned(), addresses, encryption, from_first_octet })
    }

    /// Whether each of its addresses is this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
    }

    /// Connects to the first address that answers.
    pub(super) fn connect(&self, patience: Patience) -> Result<Socket, String> {
        let host = self.name.rsplit_once(':').map_or("", |(host, _)| host);
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &self.addresses {
            match Socket::connect(*address, host, &self.encryption, patience) {
                Ok(socket) => return self.begun(socket),
                Err(error) => failed = error,
            }
        }
        let hint = match failed.kind() {
            io::ErrorKind::ConnectionRefused => "; nobody listens there",
            io::ErrorKind::TimedOut => "; nobody answers, or a firewall drops it",
            _ => "",
        };
        Err(format!("cannot connect to {}: {failed}{hint}", self.name.escape_debug()))
    }

    /// Shakes hands, if that comes first.
    fn begun(&self, mut socket: Socket) -> Result<Socket, String> {
        if !self.from_first_octet {
            return Ok(socket);
        }
        let shown = self.name.escape_debug();
        socket.encrypt().map_err(|got| {
            format!("cannot speak TLS from the first octet with {shown}: expected a handshake, got {got}")
        })?;
        Ok(socket)
    }
}

/// Reads a number of seconds, such as `10` or `0.5`.
pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let read = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let is_usable = |time: &Duration| (1..=3_600_000).contains(&time.as_millis());
    read.filter(is_usable).ok_or("expected seconds, more than 0 and at most 3600, as in 10 or 0.5")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for wrong in ["", "localhost", ":25", "127.0.0.1:", "127.0.0.1:99999", "a:b"] {
            let said = Target::resolve(wrong, false).unwrap_err();
            assert!(said.contains("expected HOST:PORT"), "{wrong}: {said}");
        }
        for (name, is_loopback) in [
            ("127.0.0.1:25", true),
            ("[::1]:25", true),
            ("[::ffff:127.0.0.1]:25", true),
            ("192.0.2.1:25", false),
        ] {
            let target = Target::resolve(name, false).unwrap();
            assert_eq!(target.is_loopback(), is_loopback, "{name}");
        }
    }

    #[test]
    fn seconds_are_more_than_none() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "NaN", "1e9", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
