//! Listeners and certificates: the keys of each, and where to listen.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::Config;
use super::key::keys;
use super::kind::{Flag, Optional, Words, parse_address, parsed, path};
use super::reader::{Entry, Finding};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// A socket that systemd has opened, by its name.
    Given(String),
}

/// The text is not an address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    /// Reads `[::]:25`, `localhost:25`, `unix:/run/postman/smtp` or `systemd:smtps`.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if text.contains('\0') {
            return Err(NotAnAddress);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(NotAnAddress) };
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return if name.is_empty() {
                Err(NotAnAddress)
            } else {
                Ok(Self::Given(name.to_owned()))
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let host = Some(host).filter(|host| !host.contains(':')).and_then(parse_address);
        let port = port.bytes().all(|octet| octet.is_ascii_digit()).then(|| port.parse().ok());
        match (host, port.flatten()) {
            (Some(host), Some(port)) => Ok(Self::Tcp(SocketAddr::new(host, port))),
            _ => Err(NotAnAddress),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Given(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// When a listener's lines are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// When the client says STARTTLS, if there is a certificate.
    StartTls,
    /// From the first octet. RFC 8314.
    FirstOctet,
    /// Never.
    Never,
}

keys! {
    /// A listener.
    pub struct Listener {
        /// Where it listens: an address with a port, `unix:` and an absolute path, or `systemd:`
        /// and the name of a socket that systemd opens (`FileDescriptorName=`).
        address: Address = Address::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525)),
            parsed("an address in quotes, such as \"[::]:25\", \"unix:/run/postman/smtp\" or \"systemd:smtp\"");
        /// When a line is encrypted. `StartTls`: when the client says STARTTLS, if there is a
        /// certificate. `FirstOctet`: from the beginning (port 465). `Never`.
        tls: Tls = Tls::StartTls,
            Words(&[("StartTls", Tls::StartTls), ("FirstOctet", Tls::FirstOctet), ("Never", Tls::Never)]);
        /// The definition by which it speaks. `None` is that of `--states`, or the built-in one.
        states: Option<PathBuf> = None, Optional(path());
        /// Whether a client on a unix socket, which has no address, may send mail for other
        /// domains. For all other clients `relay_from` says it.
        may_relay: bool = false, Flag;
    }
}

keys! {
    /// A certificate with its key, in the form PEM.
    pub struct Certificate {
        /// The file of the certificate, and after it those of its issuers.
        chain: PathBuf = PathBuf::new(), path();
        /// The file of its private key.
        key: PathBuf = PathBuf::new(), path();
    }
}

impl Config {
    /// Where it listens: the list, or `host` and `port`, which are its short form.
    #[must_use]
    pub fn listening(&self) -> Vec<Listener> {
        if !self.listeners.is_empty() {
            return self.listeners.clone();
        }
        let address = Address::Tcp(SocketAddr::new(self.host, self.port));
        vec![Listener { address, ..Listener::default() }]
    }
}

/// What no key of a listener can say alone.
pub(super) fn check(config: &Config, entries: &[Entry<'_>], findings: &mut Vec<Finding>) {
    let entry = |name: &str| entries.iter().find(|entry| entry.key == name);
    let Some(list) = entry("listeners") else { return };
    let mut find = |at: usize, key: &str, message: String| {
        findings.push(Finding { at, key: key.to_owned(), message });
    };
    if !config.listeners.is_empty() {
        for name in ["host", "port"] {
            if let Some(entry) = entry(name) {
                let message = "is the short form of `listeners`; leave one of the two out";
                find(entry.at, name, message.to_owned());
            }
        }
    }
    for listener in &config.listeners {
        let address = &listener.address;
        if listener.tls == Tls::FirstOctet && config.certificates.is_empty() {
            let message = format!("has {address} with tls: FirstOctet, which needs `certificates`");
            find(list.value.at, "listeners", message);
        }
        if listener.may_relay && matches!(address, Address::Tcp(_)) {
            let message = format!(
                "has {address} with may_relay, which is for unix sockets; `relay_from` names networks"
            );
            find(list.value.at, "listeners", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for (text, written) in [
            ("[::]:25", "[::]:25"),
            ("localhost:26", "127.0.0.1:26"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("unix:/run/postman/smtp", "unix:/run/postman/smtp"),
            ("systemd:postman.socket", "systemd:postman.socket"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "25",
            ":25",
            "::25",
            "[::]",
            "x:25",
            "127.0.0.1:+1",
            "unix:",
            "unix:smtp",
            "systemd:",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text}");
        }
    }
}
