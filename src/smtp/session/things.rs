//! What a session holds: a field for each thing of the vocabulary, and nothing else.
//!
//! What the vocabulary says that an action drops is dropped here, by its words; what it says of
//! needs and lacks is checked against this struct before each step, and what it says of gives and
//! drops after it, in debug builds. So the compiler's proof is about these very fields.

use super::headers::{HeaderBlock, HeaderScan};
use crate::autofsm::ActionSpec;
use crate::smtp::envelope::Recipient;
use crate::smtp::framer::Content;
use crate::smtp::path::{Mailbox, ReversePath};
use crate::smtp::reply::Reply;
use crate::smtp::vocabulary::{
    Action, ENCRYPTED, GREETING, MESSAGE, RECIPIENT, SENDER, VOCABULARY,
};

/// What HELO or EHLO said.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    /// The client's name for itself: printable ASCII without blanks.
    pub(super) name: String,
    /// Whether it was EHLO.
    pub(super) is_extended: bool,
}

impl Greeting {
    /// The protocol for the trace. RFC 3848; after HELO it has no word for an encrypted line.
    pub(super) fn with(&self, is_encrypted: bool) -> &'static str {
        match (self.is_extended, is_encrypted) {
            (true, true) => "ESMTPS",
            (true, false) => "ESMTP",
            (false, _) => "SMTP",
        }
    }
}

/// A message whose content is arriving.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Cuts content out of what the client sends.
    pub(super) content: Content,
    /// Counts its Received: fields.
    pub(super) received: HeaderScan,
    /// Counts the octets of its header block.
    pub(super) header: HeaderBlock,
    /// Content so far.
    pub(super) octets: u64,
    /// Whether its first step has been recorded.
    pub(super) recorded: bool,
    /// Why it is refused; the rest is read to its end and not kept.
    pub(super) refused: Option<Reply>,
}

/// The things of the vocabulary.
#[derive(Debug, Default)]
pub(super) struct Things {
    /// STARTTLS, and the handshake after it.
    pub(super) is_encrypted: bool,
    /// HELO or EHLO.
    pub(super) greeting: Option<Greeting>,
    /// MAIL.
    pub(super) sender: Option<ReversePath>,
    /// Each RCPT, in the order of the envelope.
    pub(super) recipients: Vec<Recipient>,
    /// The content that is arriving. In a place of its own: most sessions are without.
    pub(super) message: Option<Box<Message>>,
}

/// What the vocabulary says of an action.
fn spec(action: Action) -> &'static ActionSpec {
    // The two lists are written by one macro.
    &VOCABULARY.actions[action as usize]
}

impl Things {
    fn has(&self, thing: &str) -> bool {
        match thing {
            ENCRYPTED => self.is_encrypted,
            GREETING => self.greeting.is_some(),
            SENDER => self.sender.is_some(),
            RECIPIENT => !self.recipients.is_empty(),
            MESSAGE => self.message.is_some(),
            _ => unknown(thing),
        }
    }

    /// Whether an action finds what it needs, and nothing that it lacks.
    pub(super) fn allow(&self, action: Action) -> bool {
        let spec = spec(action);
        spec.needs.iter().all(|thing| self.has(thing))
            && !spec.lacks.iter().any(|thing| self.has(thing))
    }

    /// Whether an action has given what it gives, and what it drops is gone.
    pub(super) fn follow(&self, action: Action) -> bool {
        let spec = spec(action);
        let kept = |thing: &&&str| !spec.gives.contains(thing);
        spec.gives.iter().all(|thing| self.has(thing))
            && !spec.drops.iter().filter(kept).any(|thing| self.has(thing))
    }

    /// Drops what an action drops. Returns the message if one was open: only `deliver` keeps it.
    pub(super) fn drop_for(&mut self, action: Action) -> Option<Box<Message>> {
        let mut message = None;
        for thing in spec(action).drops {
            match *thing {
                ENCRYPTED => self.is_encrypted = false,
                GREETING => self.greeting = None,
                SENDER => self.sender = None,
                // The memory goes too: most sessions wait, and hold nothing.
                RECIPIENT => self.recipients = Vec::new(),
                MESSAGE => message = self.message.take(),
                _ => drop(unknown(thing)),
            }
        }
        message
    }

    /// How much of what the client sent is held, in octets.
    pub(super) fn held_bytes(&self) -> usize {
        let path = |mailbox: &Mailbox| mailbox.local.as_str().len() + mailbox.domain.folded().len();
        let recipients: usize =
            self.recipients.iter().map(|recipient| path(&recipient.mailbox)).sum();
        let sender = self.sender.as_ref().and_then(|sender| sender.0.as_ref()).map_or(0, path);
        recipients + sender + self.greeting.as_ref().map_or(0, |greeting| greeting.name.len())
    }
}

/// A word that the vocabulary has and this file does not. A test drops every word of it.
fn unknown(thing: &str) -> bool {
    debug_assert!(false, "no field is for {thing}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_of_the_vocabulary_has_its_field_and_each_action_its_row() {
        for action in Action::ALL {
            assert_eq!(spec(*action).name, action.name());
            let mut things = Things::default();
            for thing in [spec(*action).needs, spec(*action).lacks, spec(*action).gives].concat() {
                assert!(!things.has(thing), "{thing}");
            }
            assert!(things.drop_for(*action).is_none());
        }
    }
}
