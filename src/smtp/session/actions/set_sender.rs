//! `set_sender`: MAIL begins a transaction. RFC 5321 4.1.1.2.

use std::sync::LazyLock;

use regex::Regex;

use super::super::{Session, reply};
use super::{Accepted, Judged, Question, row_reply};
use crate::smtp::command::{ArgumentError, address, parameters};
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::path::{ReversePath, Syntax, pattern};
use crate::smtp::reply::Reply;

// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF             RFC 5321 4.1.1.2
static FROM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:FROM):(?P<rest><.*)$"));
// Blanks around the colon and paths without brackets are wrong but common, and a receiver must
// not lose the mail of a controller that cannot be mended. The rest does not begin with a blank, so
// that the expression is read in one pass.
static LENIENT_FROM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i-u:FROM)[ \t]*:[ \t]*(?P<rest>[^ \t\n].*)$"));

// size-value = 1*20DIGIT                                                 RFC 1870 3
static SIZE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[0-9]{1,20}$"));

/// What MAIL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where reports go.
    pub sender: ReversePath,
    /// `SIZE=`, in octets. RFC 1870.
    pub size: Option<u64>,
    /// Whether `BODY=` was given. RFC 6152.
    pub body: bool,
}

/// Reads MAIL's argument; `offers` says which keywords the machine offers.
///
/// # Errors
/// As [`ArgumentError`] says.
pub fn mail(
    argument: &str,
    syntax: Syntax,
    offers: impl Fn(&str) -> bool,
) -> Result<Mail, ArgumentError> {
    let form = if syntax == Syntax::Strict { &FROM } else { &LENIENT_FROM };
    let (path, rest) = address(form, argument)?;
    let sender = ReversePath::parse(path, syntax).map_err(ArgumentError::Path)?;
    let mut mail = Mail { sender, size: None, body: false };
    for (keyword, value) in parameters(rest, syntax)? {
        if keyword.eq_ignore_ascii_case("SIZE") && offers("SIZE") {
            let digits =
                value.filter(|text| SIZE.is_match(text)).ok_or(ArgumentError::BadParameter)?;
            // Twenty digits can be more than 64 bits hold: that is too big all the same.
            let size = digits.parse().unwrap_or(u64::MAX);
            if mail.size.replace(size).is_some() {
                return Err(ArgumentError::BadParameter);
            }
        } else if keyword.eq_ignore_ascii_case("BODY") && offers("8BITMIME") {
            let known = |text: &str| {
                text.eq_ignore_ascii_case("7BIT") || text.eq_ignore_ascii_case("8BITMIME")
            };
            if !value.is_some_and(known) || std::mem::replace(&mut mail.body, true) {
                return Err(ArgumentError::BadParameter);
            }
        } else {
            return Err(ArgumentError::UnknownParameter);
        }
    }
    Ok(mail)
}

impl Session {
    pub(super) fn judge_set_sender(&self, event: EventId, argument: &str) -> Result<Judged, Reply> {
        let machine = self.settings.machine;
        let mail = mail(argument, self.settings.syntax, |keyword| machine.has_keyword(keyword))
            .map_err(|error| self.argument_refusal(event, error, reply::bad_sender()))?;
        let octets = mail.size.unwrap_or(0);
        if octets > self.settings.limits.message_bytes_max {
            return Err(reply::too_big());
        }
        Ok(Judged::Ask(Question::Room(octets), Accepted::SetSender(mail.sender)))
    }

    pub(super) fn set_sender(&mut self, cell: &Transition, sender: ReversePath) -> Reply {
        self.things.sender = Some(sender);
        row_reply(cell, || Reply::new(250, "2.1.0", "Sender OK"))
    }
}
