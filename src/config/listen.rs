//! Where to listen, as the command line says it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::Config;
use super::kind::parse_address;

/// An address, a port, or both; what is missing is the configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub host: Option<IpAddr>,
    /// The port.
    pub port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    /// Reads `127.0.0.1:2525`, `[::1]:2525`, `localhost:2525`, `:2525`, `2525`, or an address
    /// alone.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: Some(address.ip()), port: Some(address.port()) });
        }
        let unbracketed = |text: &str| {
            text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned)
        };
        let host =
            |text: &str| parse_address(&unbracketed(text).unwrap_or_else(|| text.to_owned()));
        let port = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
            let wrong = format!("`{text}` is not a port: a number from 0 to 65535");
            if is_number { text.parse().map_err(|_| wrong) } else { Err(wrong) }
        };
        if let Some(host) = host(text) {
            return Ok(Self { host: Some(host), port: None });
        }
        let Some((before, after)) = text.rsplit_once(':') else {
            let is_port = text.bytes().next().is_some_and(|octet| octet.is_ascii_digit())
                && !text.contains('.');
            return if is_port {
                Ok(Self { host: None, port: Some(port(text)?) })
            } else {
                Err(not_an_address(text))
            };
        };
        if before.is_empty() {
            return Ok(Self { host: None, port: Some(port(after)?) });
        }
        let Some(host) = host(before) else { return Err(not_an_address(before)) };
        Ok(Self { host: Some(host), port: Some(port(after)?) })
    }
}

fn not_an_address(text: &str) -> String {
    format!(
        "`{text}` is not an IP address of this machine, nor `localhost`; every address is `[::]`"
    )
}

impl Config {
    /// Listens there instead.
    pub fn listen_on(&mut self, listen: Listen) {
        self.host = listen.host.unwrap_or(self.host);
        self.port = listen.port.unwrap_or(self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_port_can_be_written_in_each_usual_way() {
        let listening = |text: &str| {
            let mut config = Config::default();
            config.listen_on(text.parse().unwrap());
            SocketAddr::new(config.host, config.port).to_string()
        };
        for (text, expected) in [
            ("127.0.0.1:26", "127.0.0.1:26"),
            ("localhost:26", "127.0.0.1:26"),
            ("LocalHost:0", "127.0.0.1:0"),
            ("localhost", "127.0.0.1:2525"),
            ("26", "127.0.0.1:26"),
            (":26", "127.0.0.1:26"),
            ("0.0.0.0", "0.0.0.0:2525"),
            ("[::1]:26", "[::1]:26"),
            ("[::1]", "[::1]:2525"),
            ("::1", "[::1]:2525"),
            ("[::]:25", "[::]:25"),
        ] {
            assert_eq!(listening(text), expected, "{text}");
        }
        for (text, expected) in [
            ("", "`` is not an IP address"),
            ("99999", "`99999` is not a port"),
            ("localhost:smtp", "`smtp` is not a port"),
            ("localhost:+1", "`+1` is not a port"),
            ("127.0.0.1:99999", "`99999` is not a port"),
            ("mail.example.org:25", "`mail.example.org` is not an IP address"),
            ("*:25", "every address is `[::]`"),
            ("300.0.0.1:25", "`300.0.0.1` is not an IP address"),
            ("127.0.0.1:", "`` is not a port"),
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
