//! Whose requests are answered.
//!
//! A page of another site runs in the browser of who looks at ours, and may send requests here. Two
//! things keep it out. It may point its own name at our address (DNS rebinding): then `Host` has
//! that name, and only the names of loopback and of `web.hosts` are answered. Or it may ask our
//! address itself: then it cannot read the answer, and what would change something has its
//! `Origin`, or `Sec-Fetch-Site`, and is refused.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, StatusCode, Uri};

use crate::config::{Network, Web};

/// Why a request is not answered.
pub(super) type Refusal = (StatusCode, &'static str);

const HOST_IS_FOREIGN: Refusal = (
    StatusCode::FORBIDDEN,
    "the Host of the request is no name of loopback, and `web.hosts` does not have it",
);
const CHANGES_FROM_ELSEWHERE: Refusal =
    (StatusCode::FORBIDDEN, "`web.changes_from` does not have the client's address");
const ORIGIN_IS_FOREIGN: Refusal =
    (StatusCode::FORBIDDEN, "the request comes from a page of another site");

/// The keys that say it.
pub(super) struct Gate {
    hosts: Vec<String>,
    changes_from: Vec<Network>,
}

impl Gate {
    pub(super) fn new(keys: &Web) -> Self {
        Self {
            hosts: keys.hosts.iter().map(ToString::to_string).collect(),
            changes_from: keys.changes_from.clone(),
        }
    }

    /// Whether a request is answered. A client without an address is on this machine.
    pub(super) fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let host = only(headers, HOST.as_str()).ok_or(HOST_IS_FOREIGN)?;
        if !self.is_ours(host) {
            return Err(HOST_IS_FOREIGN);
        }
        // A request to a proxy names the host a second time.
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
            return Err(HOST_IS_FOREIGN);
        }
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        let is_near = |peer: IpAddr| self.changes_from.iter().any(|one| one.contains(peer));
        if !peer.is_none_or(is_near) {
            return Err(CHANGES_FROM_ELSEWHERE);
        }
        let is_own = |origin: &HeaderValue| {
            let origin = origin.to_str().unwrap_or_default();
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
        };
        let site = headers.get_all("sec-fetch-site").iter();
        let mut sites = site.map(|site| site.to_str().unwrap_or_default());
        if !headers.get_all(ORIGIN).iter().all(is_own)
            || !sites.all(|site| matches!(site, "same-origin" | "none"))
        {
            return Err(ORIGIN_IS_FOREIGN);
        }
        Ok(())
    }

    /// Whether a value of `Host` is a name of this server's.
    fn is_ours(&self, host: &str) -> bool {
        let Some(name) = name(host) else { return false };
        name.eq_ignore_ascii_case("localhost")
            || name.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The value of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The name in `Host = uri-host [ ":" port ]`. RFC 9110 7.2.
fn name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let is_port = |digits: &str| digits.bytes().all(|octet| octet.is_ascii_digit());
    let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (fits && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let hosts = vec!["postman".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        Gate::new(&Web { hosts, ..Web::default() })
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        let mut headers = HeaderMap::new();
        for (name, text) in fields {
            headers.append(*name, value(text));
        }
        headers
    }

    fn status(method: &Method, fields: &[(&'static str, &str)], peer: &str) -> u16 {
        let peer = if peer == "local" { None } else { Some(peer.parse().unwrap()) };
        let uri = Uri::from_static("/");
        let admitted = gate().admit(method, &uri, &headers(fields), peer);
        admitted.err().map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn only_a_name_of_ours_is_answered() {
        for host in [
            "localhost",
            "LOCALHOST:8025",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:8025",
            "postman",
            "Postman:1",
            "192.0.2.7:8025",
        ] {
            assert_eq!(status(&Method::GET, &[("host", host)], "127.0.0.1"), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:8025",
            "localhost:8025@evil.example",
            "localhost:x",
            "192.0.2.8",
            "::1",
            "[::1",
            "0.0.0.0",
            "2130706433",
            "postman.",
        ] {
            assert_eq!(status(&Method::GET, &[("host", host)], "127.0.0.1"), 403, "{host}");
        }
        assert_eq!(status(&Method::GET, &[], "127.0.0.1"), 403);
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status(&Method::GET, &twice, "127.0.0.1"), 403);
    }

    #[test]
    fn the_host_of_the_request_line_is_the_same_one() {
        let of = |uri| {
            let headers = headers(&[("host", "localhost:8025")]);
            gate().admit(&Method::GET, &Uri::from_static(uri), &headers, None).is_ok()
        };
        assert!(of("/") && of("http://localhost:8025/"));
        assert!(!of("http://evil.example/"));
    }

    #[test]
    fn who_is_near_may_change_something() {
        let host = [("host", "localhost")];
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "local"] {
            assert_eq!(status(&Method::DELETE, &host, peer), 200, "{peer}");
        }
        for peer in ["192.0.2.1", "::2", "10.0.0.1"] {
            assert_eq!(status(&Method::DELETE, &host, peer), 403, "{peer}");
            assert_eq!(status(&Method::GET, &host, peer), 200, "{peer}");
        }
    }

    #[test]
    fn no_page_of_another_site_changes_anything() {
        for (name, value, wanted) in [
            ("origin", "http://localhost:8025", 200),
            ("origin", "http://localhost", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "http://localhost:8025.evil.example", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
        ] {
            let fields = [("host", "localhost:8025"), (name, value)];
            for method in [Method::PUT, Method::POST, Method::DELETE] {
                assert_eq!(status(&method, &fields, "127.0.0.1"), wanted, "{name}: {value}");
            }
        }
    }
}
