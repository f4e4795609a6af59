//! `verify`: VRFY asks for a user. RFC 5321 4.1.1.6.

use super::super::Session;
use super::super::contract::Domains;
use super::{Accepted, Judged, Question, plain_reply};
use crate::smtp::command::ArgumentError;
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::path::{Domain, ForwardPath, LocalPart, Mailbox, Syntax};
use crate::smtp::reply::Reply;

// vrfy   = "VRFY" SP String CRLF                                         RFC 5321 4.1.1.6
// String = Atom / Quoted-string                                          RFC 5321 4.1.2
// "a user name or mailbox": we take a mailbox too, bare or as a path. RFC 5321 3.5.1 shows both.

/// Reads what VRFY asks for: a user of the server's own domain, or any path.
///
/// # Errors
/// [`ArgumentError::Syntax`].
pub fn vrfy(argument: &str, syntax: Syntax, own: &Domain) -> Result<ForwardPath, ArgumentError> {
    let bare =
        argument.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(argument);
    ForwardPath::parse(&format!("<{bare}>"), syntax)
        .or_else(|_| ForwardPath::parse(&format!("<{bare}@{own}>"), syntax))
        .map_err(|_| ArgumentError::Syntax)
}

impl Session {
    pub(super) fn judge_verify(&self, event: EventId, argument: &str) -> Result<Judged, Reply> {
        let path = vrfy(argument, self.settings.syntax, &self.settings.domain)
            .map_err(|_| self.syntax(event))?;
        // Of one domain each user has one name, whatever the client calls the domain.
        let own = |local| Mailbox { local, domain: self.settings.domain.clone() };
        let mailbox = match path {
            ForwardPath::Postmaster => Some(own(LocalPart::postmaster())),
            ForwardPath::Mailbox(mailbox) if self.settings.domains == Domains::Every => {
                Some(mailbox)
            }
            ForwardPath::Mailbox(mailbox) => self.is_local(&mailbox).then(|| own(mailbox.local)),
        };
        Ok(match mailbox.filter(|_| self.settings.verify_honestly) {
            Some(user) => Judged::Ask(Question::User(user.clone()), Accepted::Verify(Some(user))),
            None => Judged::Accepted(Accepted::Verify(None)),
        })
    }

    /// `user` is one whose mailbox exists, if that may be said.
    pub(super) fn verify(cell: &Transition, user: Option<Mailbox>) -> Reply {
        match user {
            Some(user) => Reply::new(250, "2.1.5", format!("<{user}>")),
            None => plain_reply(cell),
        }
    }
}
