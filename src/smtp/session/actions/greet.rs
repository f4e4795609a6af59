//! `greet` and `greet_extended`: HELO and EHLO. RFC 5321 4.1.1.1.

use std::borrow::Cow;

use super::super::things::Greeting;
use super::super::{Session, reply};
use crate::smtp::command::ArgumentError;
use crate::smtp::machine::Transition;
use crate::smtp::path::{DOMAIN_BYTES_MAX, Domain, Syntax};
use crate::smtp::reply::Reply;
use crate::smtp::vocabulary::KEYWORDS;

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
        Syntax::Lenient => !argument.is_empty() && argument.bytes().all(|octet| octet.is_ascii_graphic()),
        Syntax::Strict => argument.len() <= DOMAIN_BYTES_MAX && Domain::parse(argument, syntax).is_ok(),
    };
    let kept = argument.get(..DOMAIN_BYTES_MAX).unwrap_or(argument);
    if is_name { Ok(kept.to_owned()) } else { Err(ArgumentError::Domain) }
}

impl Session {
    pub(super) fn judge_name(&self, argument: &str) -> Result<String, Reply> {
        helo(argument, self.settings.syntax).map_err(|_| reply::bad_domain())
    }

    pub(super) fn greet(&mut self, name: String) {
        self.things.greeting = Some(Greeting { name, with: "SMTP" });
    }

    pub(super) fn greet_extended(&mut self, name: String) {
        self.things.greeting = Some(Greeting { name, with: "ESMTP" });
    }

    /// EHLO's answer: the row's words, or what the definition offers, as far as this server can keep
    /// it. A keyword that is a command's name is kept by the table, if some state accepts the command.
    pub(super) fn extensions(&self, cell: &Transition) -> Reply {
        if cell.reply.is_some_and(|reply| reply.text.is_some()) {
            return self.row_reply(cell);
        }
        let machine = self.settings.machine;
        let mut lines: Vec<Cow<'static, str>> = vec![self.settings.domain.to_string().into()];
        for keyword in machine.keywords {
            let kept = KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(keyword));
            if keyword.eq_ignore_ascii_case("SIZE") {
                lines.push(format!("SIZE {}", self.settings.message_bytes_max).into());
            } else if kept || machine.accepts(keyword) {
                lines.push((*keyword).into());
            }
        }
        Reply { code: cell.reply.map_or(250, |reply| reply.code), enhanced: "", lines }
    }
}
