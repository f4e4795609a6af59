//! Address literals: what is between `[` and `]`. RFC 5321 4.1.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::path::{Domain, pattern};

// IPv4-address-literal = Snum 3("." Snum)                                RFC 5321 4.1.3
// Snum                 = 1*3DIGIT     ; a decimal value in the range 0 through 255
// Zeros may lead (`1*3DIGIT`), and the value is decimal all the same.
macro_rules! snum {
    () => {
        "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
    };
}
macro_rules! ipv4 {
    () => {
        concat!(snum!(), r"(?:\.", snum!(), "){3}")
    };
}
static IPV4: LazyLock<Regex> = LazyLock::new(|| pattern(concat!("^", ipv4!(), "$")));

// IPv6-address-literal = "IPv6:" IPv6-addr                               RFC 5321 4.1.3
// IPv6-addr   = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp
// IPv6-hex    = 1*4HEXDIG
// IPv6-full   = IPv6-hex 7(":" IPv6-hex)
// IPv6-comp   = [IPv6-hex *5(":" IPv6-hex)] "::" [IPv6-hex *5(":" IPv6-hex)]
//               ; "::" is at least 2 groups of zeros: no more than 6 in addition to it
// IPv6v4-full = IPv6-hex 5(":" IPv6-hex) ":" IPv4-address-literal
// IPv6v4-comp = [IPv6-hex *3(":" IPv6-hex)] "::" [IPv6-hex *3(":" IPv6-hex) ":"]
//               IPv4-address-literal
//               ; no more than 4 groups in addition to the "::" and the IPv4 address
// The groups on both sides of "::" are counted after the expression has matched.
macro_rules! hex {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}
static IPV6_FULL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "^",
        hex!(),
        "(?::",
        hex!(),
        "){5}(?::",
        hex!(),
        ":",
        hex!(),
        "|:",
        ipv4!(),
        ")$"
    ))
});
static IPV6_COMP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "^(?P<head>(?:",
        hex!(),
        "(?::",
        hex!(),
        "){0,5})?)::",
        "(?:(?P<tail>(?:",
        hex!(),
        "(?::",
        hex!(),
        "){0,5})?)|(?P<tail4>(?:",
        hex!(),
        "(?::",
        hex!(),
        "){0,3}:)?",
        ipv4!(),
        "))$"
    ))
});

// General-address-literal = Standardized-tag ":" 1*dcontent              RFC 5321 4.1.3
// Standardized-tag        = Ldh-str         dcontent = %d33-90 / %d94-126
// Ldh-str                 = *( ALPHA / DIGIT / "-" ) Let-dig
static GENERAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<tag>[A-Za-z0-9-]*[A-Za-z0-9]):(?P<content>[!-Z^-~]+)$"));

// address-literal = "[" ( IPv4-address-literal / IPv6-address-literal /
//                   General-address-literal ) "]"                        RFC 5321 4.1.3
// A text with the tag IPv6 that is not such an address is not a general literal either: the
// tag is registered, and means what it says.
/// Reads the text between the brackets.
pub(super) fn address_literal(inside: &str) -> Option<Domain> {
    if IPV4.is_match(inside) {
        return ipv4(inside).map(|address| Domain::Literal(IpAddr::V4(address)));
    }
    if let Some((tag, address)) = inside.split_once(':')
        && tag.eq_ignore_ascii_case("IPv6")
    {
        return ipv6(address).map(|address| Domain::Literal(IpAddr::V6(address)));
    }
    let parts = GENERAL.captures(inside)?;
    Some(Domain::General { tag: parts["tag"].to_owned(), content: parts["content"].to_owned() })
}

/// The value of what [`IPV4`] matches.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for (octet, number) in octets.iter_mut().zip(text.split('.')) {
        *octet = number.parse().ok()?;
    }
    Some(octets.into())
}

/// The groups of one side of an address; the last may be an IPv4 address, which is two.
fn groups(side: &str) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    for group in side.split(':').filter(|group| !group.is_empty()) {
        if group.contains('.') {
            let [a, b, c, d] = ipv4(group)?.octets();
            groups.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        } else {
            groups.push(u16::from_str_radix(group, 16).ok()?);
        }
    }
    Some(groups)
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if IPV6_FULL.is_match(text) {
        return <[u16; 8]>::try_from(groups(text)?).ok().map(Ipv6Addr::from);
    }
    let parts = IPV6_COMP.captures(text)?;
    let (head, tail) = (parts.name("head"), parts.name("tail4").or(parts.name("tail")));
    let (mut address, tail) = (
        groups(head.map_or("", |head| head.as_str()))?,
        groups(tail.map_or("", |tail| tail.as_str()))?,
    );
    // The "::" means two groups or more.
    let zeros = 8_usize.checked_sub(address.len() + tail.len()).filter(|zeros| *zeros >= 2)?;
    address.extend(std::iter::repeat_n(0, zeros));
    address.extend(tail);
    <[u16; 8]>::try_from(address).ok().map(Ipv6Addr::from)
}
