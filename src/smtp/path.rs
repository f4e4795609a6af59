//! Addresses: the text between `<` and `>`.
//!
//! Turns text into [`ReversePath`] and [`ForwardPath`] and knows nothing else. What was parsed
//! here is the only form of an address that the rest of the server uses. RFC 5321 4.1.2, 4.1.3.

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::literal::address_literal;

/// The longest `local-part@domain` as the client wrote it, in octets. The 64 octets of local part
/// and the 255 of domain in RFC 5321 4.5.3.1 are what a server takes at least, and senders exceed
/// them daily; but what we write of an address has to fit into a line of 998 octets
/// (RFC 5322 2.1.1).
pub const ADDRESS_BYTES_MAX: usize = 900;
/// The longest domain that can exist, in octets. RFC 1035 2.3.4, RFC 5321 4.5.3.1.2.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// How much the readers of arguments tolerate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Syntax {
    /// Also what clumsy clients send: blanks around the colon and inside the angle brackets,
    /// paths without brackets, underscores in domains, any word in HELO.
    #[default]
    Lenient,
    /// The RFC's grammar to the letter.
    Strict,
}

/// Why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not follow the grammar.
    Syntax,
    /// The address is longer than [`ADDRESS_BYTES_MAX`].
    AddressTooLong,
}

/// The part before the `@`, without quotes: printable ASCII, blanks included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalPart(String);

impl LocalPart {
    /// `postmaster`, which every server takes. RFC 5321 4.5.1.
    #[must_use]
    pub fn postmaster() -> Self {
        Self("postmaster".to_owned())
    }

    /// The octets, unquoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which local parts of the server's domain compare: lower case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for LocalPart {
    /// As RFC 5321 writes it: quoted unless it is a dot-string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if DOT_STRING.is_match(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for char in self.0.chars() {
            if matches!(char, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{char}")?;
        }
        f.write_str("\"")
    }
}

/// The part after the `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A host name, as it was written.
    Name(String),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
    /// A general address literal, `[tag:content]`.
    General {
        /// The registered tag.
        tag: String,
        /// The text after the colon.
        content: String,
    },
}

impl Domain {
    /// Reads a domain or an address literal.
    ///
    /// # Errors
    /// [`PathError::Syntax`] and [`PathError::AddressTooLong`].
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, PathError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(PathError::AddressTooLong);
        }
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address_literal(inside).ok_or(PathError::Syntax);
        }
        if is_domain(text, syntax) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(PathError::Syntax)
        }
    }

    /// Reads a server's own domain. Containers have names with underscores, so these are taken.
    ///
    /// # Errors
    /// [`PathError::Syntax`], and [`PathError::AddressTooLong`] above [`DOMAIN_BYTES_MAX`].
    pub fn parse_own(text: &str) -> Result<Self, PathError> {
        if text.len() > DOMAIN_BYTES_MAX {
            return Err(PathError::AddressTooLong);
        }
        Self::parse(text, Syntax::Lenient)
    }

    /// Whether it follows the RFC's grammar to the letter.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        !matches!(self, Self::Name(name) if !is_domain(name, Syntax::Strict))
    }

    /// The form in which domains compare: lower case, and an IPv4 address that is mapped into
    /// IPv6 is the IPv4 one. RFC 5321 2.4.
    #[must_use]
    pub fn folded(&self) -> String {
        match self {
            Self::Literal(address) => {
                Self::Literal(address.to_canonical()).to_string().to_ascii_lowercase()
            }
            other => other.to_string().to_ascii_lowercase(),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
            Self::General { tag, content } => write!(f, "[{tag}:{content}]"),
        }
    }
}

/// `local-part@domain`. RFC 5321 4.1.2, production `Mailbox`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The part before the `@`.
    pub local: LocalPart,
    /// The part after it.
    pub domain: Domain,
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Where reports go: a mailbox, or nowhere (`<>`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReversePath(pub Option<Mailbox>);

impl fmt::Display for ReversePath {
    /// The address alone; nothing for the null path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |mailbox| mailbox.fmt(f))
    }
}

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>`: the postmaster of the server's domain. RFC 5321 4.1.1.3.
    Postmaster,
    /// Any other.
    Mailbox(Mailbox),
}

// Dot-string = Atom *("." Atom)              Atom = 1*atext              RFC 5321 4.1.2
static DOT_STRING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
});

/// Whether a text is a domain's name. A lenient reader takes underscores where a letter may be: DNS
/// has them, and so do containers. By hand, since each RCPT asks twice.
///
/// ```text
/// Domain     = sub-domain *("." sub-domain)          RFC 5321 4.1.2
/// sub-domain = Let-dig [Ldh-str]
/// ```
fn is_domain(text: &str, syntax: Syntax) -> bool {
    let is_letter =
        |octet: &u8| octet.is_ascii_alphanumeric() || (*octet == b'_' && syntax == Syntax::Lenient);
    text.as_bytes().split(|octet| *octet == b'.').all(|label| {
        label.first().is_some_and(is_letter)
            && label.last().is_some_and(is_letter)
            && label.iter().all(|octet| is_letter(octet) || *octet == b'-')
    })
}

// Path          = "<" [ A-d-l ":" ] Mailbox ">"                          RFC 5321 4.1.2
// A-d-l         = At-domain *( "," At-domain )        At-domain = "@" Domain
// Mailbox       = Local-part "@" ( Domain / address-literal )
// Quoted-string = DQUOTE *QcontentSMTP DQUOTE
// QcontentSMTP  = qtextSMTP / quoted-pairSMTP
// quoted-pairSMTP = %d92 %d32-126          qtextSMTP = %d32-33 / %d35-91 / %d93-126
// The parts of domains and dot-strings are judged after it.
static PATH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?P<route>@[A-Za-z0-9_.-]+(?:,@[A-Za-z0-9_.-]+)*):)?",
        r#"(?:(?P<dot>[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)|"(?P<quoted>(?:[ !#-\[\]-~]|\\[ -~])*)")"#,
        r"@(?P<domain>[A-Za-z0-9_.-]+|\[[!-Z^-~]+\])$"
    ))
});

/// A pattern of the grammar. An error in one is a mistake of ours, which every test would meet.
#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by every test")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}

fn unquote(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        plain.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    plain
}

/// Reads the text between the angle brackets, which is not empty.
fn mailbox(text: &str, syntax: Syntax) -> Result<Mailbox, PathError> {
    let parts = PATH.captures(text).ok_or(PathError::Syntax)?;
    if let Some(route) = parts.name("route") {
        // A source route is checked and then ignored. RFC 5321 3.6.1, appendix C.
        for at_domain in route.as_str().split(',') {
            if !is_domain(at_domain.trim_start_matches('@'), syntax) {
                return Err(PathError::Syntax);
            }
        }
    }
    let local = match (parts.name("dot"), parts.name("quoted")) {
        (Some(dot), _) if dot.as_str().split('.').all(|atom| !atom.is_empty()) => {
            dot.as_str().to_owned()
        }
        (None, Some(quoted)) => unquote(quoted.as_str()),
        _ => return Err(PathError::Syntax),
    };
    // The route is not counted: nothing is written of it.
    let address = text.len() - parts.name("route").map_or(0, |route| route.len() + 1);
    if address > ADDRESS_BYTES_MAX {
        return Err(PathError::AddressTooLong);
    }
    Ok(Mailbox { local: LocalPart(local), domain: Domain::parse(&parts["domain"], syntax)? })
}

/// The address in a path: `""` only for `<>`.
fn inside(path: &str, syntax: Syntax) -> Result<&str, PathError> {
    let inside = match path.strip_prefix('<') {
        Some(rest) => rest.strip_suffix('>').ok_or(PathError::Syntax)?,
        None if syntax == Syntax::Lenient && !path.is_empty() => path,
        None => return Err(PathError::Syntax),
    };
    match syntax {
        Syntax::Lenient if !inside.is_empty() => match inside.trim_matches([' ', '\t']) {
            "" => Err(PathError::Syntax),
            address => Ok(address),
        },
        _ => Ok(inside),
    }
}

impl ReversePath {
    /// Reads `<a@x.org>` or `<>`; if lenient, `a@x.org` too.
    ///
    /// # Errors
    /// As [`PathError`] says.
    pub fn parse(path: &str, syntax: Syntax) -> Result<Self, PathError> {
        match inside(path, syntax)? {
            "" => Ok(Self(None)),
            text => mailbox(text, syntax).map(|mailbox| Self(Some(mailbox))),
        }
    }
}

impl ForwardPath {
    /// Reads `<b@x.org>` or `<Postmaster>`; if lenient, both without their brackets too.
    ///
    /// # Errors
    /// As [`PathError`] says.
    pub fn parse(path: &str, syntax: Syntax) -> Result<Self, PathError> {
        match inside(path, syntax)? {
            text if text.eq_ignore_ascii_case("postmaster") => Ok(Self::Postmaster),
            text => mailbox(text, syntax).map(Self::Mailbox),
        }
    }
}

/// The length in octets of the path that `text` begins with. A path in angle brackets ends after
/// its `>`, one without ends before a blank; neither counts inside a quoted string, nor inside a
/// literal, where a quote is content too.
pub(super) fn path_length(text: &str) -> Option<usize> {
    let bracketed = text.starts_with('<');
    let (mut quoted, mut escaped, mut literal) = (false, false, false);
    for (place, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            _ if literal => literal = octet != b']',
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => literal = true,
            b'>' if !quoted && bracketed => return Some(place + 1),
            b' ' if !quoted && !bracketed => return Some(place),
            _ => {}
        }
    }
    (!bracketed).then_some(text.len())
}

#[cfg(test)]
mod tests;
