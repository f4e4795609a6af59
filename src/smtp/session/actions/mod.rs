//! What the server does, an action a file: its grammar, its judge, its act.
//!
//! The judge reads a command's argument before the machine may step, and changes nothing; the
//! act does its work after the step. An action's word in the definition, its variant in the
//! vocabulary and the session's method are one.

use super::contract::Question;
use super::{Session, reply};
use crate::smtp::command::ArgumentError;
use crate::smtp::envelope::Recipient;
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::path::{LocalPart, Mailbox, ReversePath};
use crate::smtp::reply::Reply;
use crate::smtp::vocabulary::Action;

use super::things::Message;

mod add_recipient;
mod answer;
mod append;
mod deliver;
mod explain;
mod greet;
mod open_message;
mod reset;
mod set_sender;
mod verify;

pub use add_recipient::rcpt;
pub(super) use append::Appended;
pub use greet::helo;
pub use set_sender::{Mail, mail};
pub use verify::vrfy;

/// An accepted command: what its act needs of its argument.
#[derive(Debug)]
pub(super) enum Accepted {
    Greet(String),
    GreetExtended(String),
    SetSender(ReversePath),
    /// The recipient, if it is a new one.
    AddRecipient(Option<Recipient>),
    OpenMessage,
    Reset,
    /// The user whose mailbox exists, if that may be said.
    Verify(Option<LocalPart>),
    Explain(Reply),
    Answer,
    Deliver,
}

/// What a judge found: the command is accepted, or it is once the answer to a question is yes.
#[derive(Debug)]
pub(super) enum Judged {
    Accepted(Accepted),
    Ask(Question, Accepted),
}

/// What an act has to say.
#[derive(Debug)]
pub(super) enum Acted {
    Reply(Reply),
    /// The reply if the answer is yes.
    Ask(Question, Reply),
}

/// An action did not find what it needs: the machine led where the compiler proves that no
/// definition leads. Nothing is invented in its place; the session ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contradiction;

impl Session {
    /// Judges an argument for the action of a cell. Nothing changes.
    ///
    /// # Errors
    /// The reply of a refusal.
    pub(super) fn judge(&self, event: EventId, cell: &Transition, argument: &str) -> Result<Judged, Reply> {
        let accepted = match cell.action {
            Action::Greet => Accepted::Greet(self.judge_name(argument)?),
            Action::GreetExtended => Accepted::GreetExtended(self.judge_name(argument)?),
            Action::SetSender => return self.judge_set_sender(event, argument),
            Action::AddRecipient => return self.judge_add_recipient(event, argument),
            Action::OpenMessage if argument.is_empty() => Accepted::OpenMessage,
            Action::Reset if argument.is_empty() => Accepted::Reset,
            Action::Verify => return self.judge_verify(event, argument),
            Action::Explain => Accepted::Explain(self.judge_explain(cell, argument)?),
            Action::Answer => self.judge_answer(event, argument)?,
            // The compiler gives the last two to the framer's events alone, which no line can be.
            Action::OpenMessage | Action::Reset | Action::Append | Action::Deliver => return Err(self.syntax(event)),
        };
        Ok(Judged::Accepted(accepted))
    }

    /// Does what the action of a cell does. `dropped` is a message that was open and whose time is over.
    pub(super) fn act(
        &mut self,
        cell: &Transition,
        accepted: Accepted,
        dropped: Option<Message>,
    ) -> Result<Acted, Contradiction> {
        if let Accepted::Deliver = accepted {
            return self.deliver(cell, dropped);
        }
        self.discard(dropped);
        match accepted {
            Accepted::Greet(name) => self.greet(name),
            Accepted::GreetExtended(name) => {
                self.greet_extended(name);
                return Ok(Acted::Reply(self.extensions(cell)));
            }
            Accepted::SetSender(sender) => self.set_sender(sender),
            Accepted::AddRecipient(recipient) => self.add_recipient(recipient),
            Accepted::OpenMessage => self.open_message()?,
            Accepted::Verify(Some(user)) => return Ok(Acted::Reply(self.verify(&user))),
            Accepted::Explain(reply) => return Ok(Acted::Reply(reply)),
            Accepted::Reset | Accepted::Verify(None) | Accepted::Answer | Accepted::Deliver => {}
        }
        Ok(Acted::Reply(self.row_reply(cell)))
    }

    /// The reply of a row: its words, or the usual ones for its action and code.
    pub(super) fn row_reply(&self, cell: &Transition) -> Reply {
        let Some(spec) = cell.reply else {
            return reply::by_code(250);
        };
        if let Some(text) = spec.text {
            return Reply::new(spec.code, "", text);
        }
        let ok = spec.code == 250;
        match cell.action {
            Action::Greet if ok => Reply::new(250, "", self.settings.domain.to_string()),
            Action::SetSender if ok => Reply::new(250, "2.1.0", "Sender OK"),
            Action::AddRecipient if ok => Reply::new(250, "2.1.5", "Recipient OK"),
            Action::Deliver if ok => Reply::new(250, "2.0.0", format!("Safe as {}", self.message_id())),
            _ => reply::by_code(spec.code),
        }
    }

    /// The id of the session's latest message.
    fn message_id(&self) -> String {
        format!("{}-{}", self.client.id, self.messages)
    }

    /// 501, showing the command's syntax.
    fn syntax(&self, event: EventId) -> Reply {
        Reply::new(501, "5.5.4", format!("Syntax: {}", self.settings.machine.syntax(event)))
    }

    /// The refusal of a MAIL or RCPT; `bad_path` is the one for a path against the grammar.
    fn argument_refusal(&self, event: EventId, error: ArgumentError, bad_path: Reply) -> Reply {
        match error {
            ArgumentError::Syntax => self.syntax(event),
            ArgumentError::BadParameter => reply::bad_parameter(),
            ArgumentError::UnknownParameter => reply::unknown_parameter(),
            ArgumentError::Path(error) => reply::bad_path(error, bad_path),
            ArgumentError::Domain => bad_path,
        }
    }

    /// Whether a mailbox is one of this server's.
    fn is_local(&self, mailbox: &Mailbox) -> bool {
        use crate::smtp::path::Domain;
        match &mailbox.domain {
            Domain::Literal(address) => address.to_canonical() == self.client.local.to_canonical(),
            other => other.folded() == self.settings.domain.folded(),
        }
    }
}
