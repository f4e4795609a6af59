//! `greet` and `greet_extended`: HELO and EHLO. RFC 5321 4.1.1.1.

use std::borrow::Cow;

use super::super::things::Greeting;
use super::super::{Session, reply};
use super::row_reply;
use crate::smtp::command::ArgumentError;
use crate::smtp::machine::Transition;
use crate::smtp::path::{DOMAIN_BYTES_MAX, Domain, Syntax};
use crate::smtp::reply::Reply;

/// Reads the name in HELO and EHLO. Many real clients send names that are not domains, so a lenient
/// reader takes any printable word, of which only the first [`DOMAIN_BYTES_MAX`] octets are
/// kept; a strict one takes a domain or an address literal of at most that length.
///
/// # Errors
/// [`ArgumentError::Domain`].
pub fn helo(argument: &str, syntax: Syntax) -> Result<String, ArgumentError> {
    // ehlo = "EHLO" SP ( Domain / address-literal ) CRLF                 RFC 5321 4.1.1.1
    // helo = "HELO" SP Domain CRLF
    let is_name = match syntax {
        Syntax::Lenient => {
            !argument.is_empty() && argument.bytes().all(|octet| octet.is_ascii_graphic())
        }
        Syntax::Strict => {
            argument.len() <= DOMAIN_BYTES_MAX && Domain::parse(argument, syntax).is_ok()
        }
    };
    let kept = argument.get(..DOMAIN_BYTES_MAX).unwrap_or(argument);
    if is_name { Ok(kept.to_owned()) } else { Err(ArgumentError::Domain) }
}

impl Session {
    pub(super) fn judge_name(&self, argument: &str) -> Result<String, Reply> {
        helo(argument, self.settings.syntax).map_err(|_| reply::bad_domain())
    }

    pub(super) fn greet(&mut self, cell: &Transition, name: String) -> Reply {
        self.things.greeting = Some(Greeting { name, is_extended: false });
        row_reply(cell, || Reply::new(250, "", self.settings.domain.to_string()))
    }

    pub(super) fn greet_extended(&mut self, cell: &Transition, name: String) -> Reply {
        self.things.greeting = Some(Greeting { name, is_extended: true });
        self.extensions(cell)
    }

    /// EHLO's answer: the domain, with the row's words if it has any, and what the table lets the
    /// session offer in the state after it.
    fn extensions(&self, cell: &Transition) -> Reply {
        // ehlo-ok-rsp = ("250" SP Domain [ SP ehlo-greet ] CRLF) / ...    RFC 5321 4.1.1.1
        let words = cell.reply.and_then(|reply| reply.text);
        let domain = &self.settings.domain;
        let first = words.map_or_else(|| domain.to_string(), |words| format!("{domain} {words}"));
        let mut lines: Vec<Cow<'static, str>> = vec![first.into()];
        lines.extend(self.position().offered().map(|keyword| match keyword {
            size if size.eq_ignore_ascii_case("SIZE") => {
                format!("SIZE {}", self.settings.limits.message_bytes_max).into()
            }
            other => other.into(),
        }));
        Reply { code: 250, enhanced: "", lines }
    }
}
