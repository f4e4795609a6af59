//! The keys of the page, and the names by which it may be asked for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::groups::List;
use super::key::keys;
use super::kind::{Flag, Optional, parsed};
use super::listeners::Address;
use super::network::Network;
use super::values::NETWORKS;

/// The longest name of a host, in octets. RFC 1035 2.3.4.
const NAME_BYTES_MAX: usize = 255;

/// The name of a host in lower case, without a port; an IPv6 address has no brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The text is not the name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHostName;

impl FromStr for HostName {
    type Err = NotAHostName;

    /// Reads `postman`, `mail.example.org`, `192.0.2.1` or `2001:db8::1`.
    fn from_str(text: &str) -> Result<Self, NotAHostName> {
        let is_name = text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'));
        let is_bounded = (1..=NAME_BYTES_MAX).contains(&text.len());
        if is_bounded && (is_name || text.parse::<IpAddr>().is_ok()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAHostName)
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

keys! {
    /// The page.
    pub struct Web {
        /// Where the page and the metrics are served: an address with a port, `unix:` and an
        /// absolute path, or `systemd:` and the name of a socket that systemd opens. `None` is
        /// nowhere.
        address: Option<Address> = None,
            Optional(parsed("an address in quotes, such as \"127.0.0.1:8025\", \"unix:/run/postman/web\" or \"systemd:web\""));
        /// The names of hosts by which the page may be asked for, beside `localhost` and the
        /// addresses of loopback. Another one gets 403.
        hosts: Vec<HostName> = Vec::new(), List {
            of: parsed("the name of a host in quotes, without a port, such as \"postman\""),
            allowed: "a list of names of hosts, such as [\"postman\"]",
        };
        /// The clients that may change something, by network, such as remove messages. Others get
        /// 403.
        changes_from: Vec<Network> = vec![
            Network::new(IpAddr::from([127, 0, 0, 0]), 8),
            Network::new(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]), 128),
        ], NETWORKS;
        /// Whether who reads the page may read the mail.
        messages: bool = false, Flag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_and_no_port() {
        for (text, written) in
            [("Postman", "postman"), ("a-b.example.org", "a-b.example.org"), ("::1", "::1")]
        {
            assert_eq!(text.parse::<HostName>().unwrap().to_string(), written);
        }
        for text in ["", "postman:8025", "[::1]", "a b", "http://x", "x/", &"x".repeat(256)] {
            assert_eq!(text.parse::<HostName>(), Err(NotAHostName), "{text}");
        }
    }
}
