//! What the server does. Each action has a file: its grammar, its judge, its act.
//!
//! The judge reads a command's argument before the machine may step, and changes nothing; the
//! act does its work after the step. An action's word in the definition, its variant in the
//! vocabulary and the session's method are one. The framer's two events do not come through the
//! judge: `append` takes each piece of content, and `deliver` acts at the end of it.

use super::contract::Question;
use super::{Session, reply};
use crate::smtp::command::ArgumentError;
use crate::smtp::envelope::Recipient;
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::path::{Mailbox, ReversePath};
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
mod start_tls;
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
    StartTls,
    SetSender(ReversePath),
    /// The recipient, if it is a new one.
    AddRecipient(Option<Recipient>),
    OpenMessage,
    Reset,
    /// The user whose mailbox exists, if that may be said.
    Verify(Option<Mailbox>),
    Explain(Reply),
    Answer,
    Deliver,
}

/// What a judge found: the command is accepted, or it is once the answer to a question is yes.
#[derive(Debug)]
pub(super) enum Judged {
    Accepted(Accepted),
    Ask(Question, Accepted),
    /// It ends the session, with this reply.
    End(Reply),
}

/// What an act has to say.
#[derive(Debug)]
pub(super) enum Acted {
    Reply(Reply),
    /// The reply if the answer is yes.
    Ask(Question, Reply),
    /// The reply before the handshake.
    Encrypt(Reply),
}

/// An action did not find what it needs: the machine led where the compiler proves that no
/// definition leads. Nothing is invented in its place; the session ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contradiction;

/// The reply of a row: its words; without any, `usual` for 250, and the usual ones of another code.
fn row_reply(cell: &Transition, usual: impl FnOnce() -> Reply) -> Reply {
    match cell.reply.map(|reply| (reply.code, reply.text)) {
        None | Some((250, None)) => usual(),
        Some((code, None)) => reply::by_code(code),
        Some((code, Some(text))) => Reply::new(code, "", text),
    }
}

/// The reply of a row whose action has no words of its own: the usual ones of the code.
fn plain_reply(cell: &Transition) -> Reply {
    row_reply(cell, || reply::by_code(250))
}

impl Session {
    /// Judges an argument for the action of a cell. Nothing changes.
    ///
    /// # Errors
    /// The reply of a refusal.
    pub(super) fn judge(
        &self,
        event: EventId,
        cell: &Transition,
        argument: &str,
    ) -> Result<Judged, Reply> {
        let accepted = match cell.action {
            Action::Greet => Accepted::Greet(self.judge_name(argument)?),
            Action::GreetExtended => Accepted::GreetExtended(self.judge_name(argument)?),
            Action::StartTls => return self.judge_start_tls(event, argument),
            Action::SetSender => return self.judge_set_sender(event, argument),
            Action::AddRecipient => return self.judge_add_recipient(event, argument),
            Action::OpenMessage if argument.is_empty() => Accepted::OpenMessage,
            Action::Reset if argument.is_empty() => Accepted::Reset,
            Action::Verify => return self.judge_verify(event, argument),
            Action::Explain => Accepted::Explain(self.judge_explain(event, cell, argument)?),
            Action::Answer => self.judge_answer(event, argument)?,
            // The compiler gives the last two to the framer's events alone, which no line can be.
            Action::OpenMessage | Action::Reset | Action::Append | Action::Deliver => {
                return Err(self.syntax(event));
            }
        };
        Ok(Judged::Accepted(accepted))
    }

    /// Does what the action of a cell does. `dropped` is a message that was open and that the
    /// action drops.
    pub(super) fn act(
        &mut self,
        cell: &Transition,
        accepted: Accepted,
        dropped: Option<Box<Message>>,
    ) -> Result<Acted, Contradiction> {
        if let Accepted::Deliver = accepted {
            return self.deliver(cell, dropped);
        }
        self.discard(dropped);
        if let Accepted::StartTls = accepted {
            return Ok(Acted::Encrypt(self.start_tls(cell)));
        }
        Ok(Acted::Reply(match accepted {
            Accepted::Greet(name) => self.greet(cell, name),
            Accepted::GreetExtended(name) => self.greet_extended(cell, name),
            Accepted::SetSender(sender) => self.set_sender(cell, sender),
            Accepted::AddRecipient(recipient) => self.add_recipient(cell, recipient),
            Accepted::OpenMessage => self.open_message(cell)?,
            Accepted::StartTls | Accepted::Deliver => return Err(Contradiction),
            Accepted::Reset => Self::reset(cell),
            Accepted::Verify(user) => Self::verify(cell, user),
            Accepted::Explain(reply) => Self::explain(reply),
            Accepted::Answer => Self::answer(cell),
        }))
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
        use super::contract::Domains;
        use crate::smtp::path::Domain;
        match &mailbox.domain {
            _ if self.settings.domains == Domains::Every => true,
            Domain::Literal(address) => self
                .client
                .local
                .is_some_and(|local| address.to_canonical() == local.to_canonical()),
            other => other.folded() == self.settings.domain.folded(),
        }
    }
}
