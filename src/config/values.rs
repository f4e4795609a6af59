//! The values that only this program knows: users, levels, networks, and words.

use std::fmt;
use std::str::FromStr;

use super::groups::List;
use super::kind::{Kind, Wrong, parsed, quoted};
use super::network::Network;
use super::reader::Raw;
use crate::smtp::path::{ForwardPath, LocalPart, Syntax};

/// Whose mailboxes there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// Anybody's; mailboxes are made on first use.
    Any,
    /// These and postmaster's. Letters of either case are the same.
    Listed(Vec<String>),
}

impl Users {
    /// Whether a mailbox of this name may receive. Postmaster always may (RFC 5321 4.5.1), and
    /// no user is called `""`.
    #[must_use]
    pub fn contains(&self, local: &LocalPart) -> bool {
        match self {
            Self::Any => !local.as_str().is_empty(),
            Self::Listed(users) => {
                let name = local.folded();
                name == LocalPart::postmaster().as_str()
                    || users.iter().any(|user| user.eq_ignore_ascii_case(&name))
            }
        }
    }

    /// A user who may receive, for an example at a shell.
    #[must_use]
    pub fn one(&self) -> &str {
        let is_word = |user: &&String| {
            user.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet))
        };
        match self {
            Self::Any => "user",
            Self::Listed(users) => users.iter().find(is_word).map_or("postmaster", String::as_str),
        }
    }
}

/// `Any` or `Listed([...])`.
pub(super) struct UserList;

impl UserList {
    /// Reads a user's name, a local part.
    fn user(raw: Raw<'_>) -> Result<String, Vec<Wrong>> {
        let Some(name): Option<String> = raw.read() else { return Err(Wrong::new(raw)) };
        if let Some((local, _)) = name.rsplit_once('@') {
            let note = format!("a user is the part before the `@`: write {}", quoted(local));
            return Err(Wrong::with_note(raw, note));
        }
        let path = format!("<{}@localhost>", quoted(&name));
        if name.is_empty() || ForwardPath::parse(&path, Syntax::Strict).is_err() {
            return Err(Wrong::with_note(
                raw,
                "this is not the local part of an address (RFC 5321 4.1.2)".to_owned(),
            ));
        }
        Ok(name)
    }
}

impl Kind<Users> for UserList {
    fn allowed(&self) -> String {
        r#"Any, or Listed(["alice", "bob"])"#.to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<Users, Vec<Wrong>> {
        if raw.text.trim() == "Any" {
            return Ok(Users::Any);
        }
        let list = raw.inside("Listed").ok_or_else(|| Wrong::new(raw))?;
        let elements = list.elements().ok_or_else(|| Wrong::new(list))?;
        let (names, wrongs): (Vec<_>, Vec<_>) =
            elements.into_iter().map(Self::user).partition(Result::is_ok);
        let wrongs: Vec<Wrong> = wrongs.into_iter().filter_map(Result::err).flatten().collect();
        if wrongs.is_empty() {
            Ok(Users::Listed(names.into_iter().flatten().collect()))
        } else {
            Err(wrongs)
        }
    }

    fn written(&self, value: &Users, _: usize) -> String {
        match value {
            Users::Any => "Any".to_owned(),
            Users::Listed(names) => {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                format!("Listed([{}])", names.join(", "))
            }
        }
    }
}

/// What becomes of a bare CR or LF in content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareNewline {
    /// The message is refused with 550.
    Refuse,
    /// It is stored as it is received.
    Keep,
}

/// What a file in a mailbox looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxFormat {
    /// A message that mail readers show.
    Message,
    /// Exactly the queue's form.
    Envelope,
    /// The content as it was received.
    Content,
}

/// What VRFY tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// 252, whether the user exists or not.
    Vague,
    /// 250 or 550, as the user exists.
    Honest,
}

/// The clients that are held by the cap on all connections only, not by those per address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UncappedFrom {
    /// The clients that may relay.
    RelayFrom,
    /// Clients of these networks.
    Networks(Vec<Network>),
}

/// A list of networks.
pub(super) const NETWORKS: List<super::kind::Text<Network>> = List {
    of: parsed("a network in quotes, such as \"192.0.2.0/24\""),
    allowed: "a list of networks, such as [\"192.0.2.0/24\", \"2001:db8::/32\"]",
};

/// `RelayFrom` or `Networks([...])`.
pub(super) struct Uncapped;

impl Kind<UncappedFrom> for Uncapped {
    fn allowed(&self) -> String {
        r#"RelayFrom, or Networks(["192.0.2.0/24"])"#.to_owned()
    }

    fn value(&self, raw: Raw<'_>) -> Result<UncappedFrom, Vec<Wrong>> {
        if raw.text.trim() == "RelayFrom" {
            return Ok(UncappedFrom::RelayFrom);
        }
        let list = raw.inside("Networks").ok_or_else(|| Wrong::new(raw))?;
        NETWORKS.value(list).map(UncappedFrom::Networks)
    }

    fn written(&self, value: &UncappedFrom, level: usize) -> String {
        match value {
            UncappedFrom::RelayFrom => "RelayFrom".to_owned(),
            UncappedFrom::Networks(networks) => {
                format!("Networks({})", NETWORKS.written(networks, level))
            }
        }
    }
}

/// The least severe lines that a log gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub log::LevelFilter);

/// The name of a level is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALevel;

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        text.parse().map(Self).map_err(|_| NotALevel)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_str().to_ascii_lowercase())
    }
}
