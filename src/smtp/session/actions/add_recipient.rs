//! `add_recipient`: RCPT names one recipient. RFC 5321 4.1.1.3.

use std::sync::LazyLock;

use regex::Regex;

use super::super::contract::Domains;
use super::super::{Session, reply};
use super::{Accepted, Judged, Question, row_reply};
use crate::smtp::command::{ArgumentError, address, parameters};
use crate::smtp::envelope::{Place, Recipient};
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::path::{
    DOMAIN_BYTES_MAX, Domain, ForwardPath, LocalPart, Mailbox, Syntax, pattern,
};
use crate::smtp::reply::Reply;

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
//        [SP Rcpt-parameters] CRLF                                       RFC 5321 4.1.1.3
static TO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:TO):(?P<rest><.*)$"));
static LENIENT_TO: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i-u:TO)[ \t]*:[ \t]*(?P<rest>[^ \t\n].*)$"));

/// Reads RCPT's argument. No parameter of it is offered.
///
/// # Errors
/// As [`ArgumentError`] says.
pub fn rcpt(argument: &str, syntax: Syntax) -> Result<ForwardPath, ArgumentError> {
    let form = if syntax == Syntax::Strict { &TO } else { &LENIENT_TO };
    let (path, rest) = address(form, argument)?;
    let recipient = ForwardPath::parse(path, syntax).map_err(ArgumentError::Path)?;
    if parameters(rest, syntax)?.is_empty() {
        Ok(recipient)
    } else {
        Err(ArgumentError::UnknownParameter)
    }
}

impl Session {
    pub(super) fn judge_add_recipient(
        &self,
        event: EventId,
        argument: &str,
    ) -> Result<Judged, Reply> {
        let path = rcpt(argument, self.settings.syntax)
            .map_err(|error| self.argument_refusal(event, error, reply::bad_recipient()))?;
        let mailbox = match path {
            ForwardPath::Mailbox(mailbox) => mailbox,
            ForwardPath::Postmaster => {
                Mailbox { local: LocalPart::postmaster(), domain: self.settings.domain.clone() }
            }
        };
        let place = if self.is_local(&mailbox) { Place::Local } else { Place::Remote };
        if place == Place::Remote && !self.client.may_relay {
            return Err(reply::no_relaying());
        }
        if let Domain::General { .. } = mailbox.domain {
            // The grammar has them for networks to come; none has come. RFC 5321 4.1.3.
            return Err(reply::no_route());
        }
        if place == Place::Remote && mailbox.domain.folded().len() > DOMAIN_BYTES_MAX {
            // No such domain can exist. Refused here: after DATA the client would try again for
            // days.
            return Err(reply::domain_too_long());
        }
        let recipient = Recipient { mailbox, place };
        if self.things.recipients.iter().any(|known| self.is_same_mailbox(known, &recipient)) {
            // A recipient given twice gets one copy.
            return Ok(Judged::Accepted(Accepted::AddRecipient(None)));
        }
        if self.things.recipients.len() >= self.settings.limits.recipients_max {
            return Err(reply::too_many_recipients());
        }
        if self.recipients_in_all >= self.settings.limits.recipients_per_session_max {
            return Err(reply::too_many_recipients_in_all());
        }
        let own = (place == Place::Local).then(|| recipient.mailbox.clone());
        let accepted = Accepted::AddRecipient(Some(recipient));
        Ok(match own {
            Some(mailbox) => Judged::Ask(Question::User(mailbox), accepted),
            None => Judged::Accepted(accepted),
        })
    }

    pub(super) fn add_recipient(
        &mut self,
        cell: &Transition,
        recipient: Option<Recipient>,
    ) -> Reply {
        self.recipients_in_all += usize::from(recipient.is_some());
        self.things.recipients.extend(recipient);
        row_reply(cell, || Reply::new(250, "2.1.5", "Recipient OK"))
    }

    fn is_same_mailbox(&self, one: &Recipient, other: &Recipient) -> bool {
        let is_one_domain = || one.mailbox.domain.folded() == other.mailbox.domain.folded();
        match (one.place, other.place) {
            (Place::Local, Place::Local) => {
                one.mailbox.local.folded() == other.mailbox.local.folded()
                    && (self.settings.domains == Domains::Own || is_one_domain())
            }
            (Place::Remote, Place::Remote) => {
                one.mailbox.local == other.mailbox.local && is_one_domain()
            }
            _ => false,
        }
    }
}
