//! `open_message`: DATA, and content follows. RFC 5321 4.1.1.4.

use super::super::{Output, Session};
use super::{Contradiction, plain_reply};
use crate::smtp::envelope::Envelope;
use crate::smtp::machine::Transition;
use crate::smtp::reply::Reply;

// data = "DATA" CRLF                                                     RFC 5321 4.1.1.4

impl Session {
    pub(super) fn open_message(&mut self, cell: &Transition) -> Result<Reply, Contradiction> {
        let (Some(greeting), Some(sender)) = (&self.things.greeting, &self.things.sender) else {
            return Err(Contradiction);
        };
        self.messages += 1;
        let envelope = Envelope {
            id: self.message_id(),
            sender: sender.clone(),
            recipients: self.things.recipients.clone(),
            helo: greeting.name.clone(),
            client: self.client.address,
            with: greeting.with(self.things.is_encrypted),
            encryption: None,
        };
        self.things.message = Some(Box::default());
        self.queue.push_back(Output::Open(Box::new(envelope)));
        Ok(plain_reply(cell))
    }
}
