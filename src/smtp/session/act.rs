//! Step and act: what an accepted command does.

use crate::smtp::vocabulary::KEYWORDS;

use super::{
    Action, Cow, Envelope, EventId, Message, Output, Recipient, Reply, ReversePath, Session, Transition, reply,
};

impl Session {
    /// Steps along the event's cell, and answers as the row says. Of a row that refuses its event, the
    /// answer is all.
    pub(super) fn accept(&mut self, event: EventId) {
        let Some((step, cell)) = self.step(event) else {
            return;
        };
        let reply = self.act(cell);
        self.finish_step(step, reply);
    }

    /// The same, with words that depend on the argument.
    pub(super) fn accept_with(&mut self, event: EventId, reply: Reply) {
        let Some((step, cell)) = self.step(event) else {
            return;
        };
        self.act(cell);
        self.finish_step(step, reply);
    }

    pub(super) fn accept_greeting(&mut self, event: EventId, name: String) {
        self.helo = Some((name, "SMTP"));
        self.accept(event);
    }

    pub(super) fn accept_sender(&mut self, event: EventId, sender: ReversePath) {
        self.drop_transaction();
        self.sender = Some(sender);
        self.accept(event);
    }

    pub(super) fn accept_recipient(&mut self, event: EventId, recipient: Recipient) {
        self.recipients.push(recipient);
        self.recipients_in_all += 1;
        self.accept(event);
    }

    /// What the action does, and the reply that it gives.
    fn act(&mut self, cell: &Transition) -> Reply {
        match cell.action {
            Action::Greet | Action::Reset => self.drop_transaction(),
            Action::GreetExtended => {
                self.drop_transaction();
                if let Some((_, with)) = &mut self.helo {
                    *with = "ESMTP";
                }
                if cell.reply.is_none_or(|reply| reply.text.is_none()) {
                    return self.extensions(cell.reply.map_or(250, |reply| reply.code));
                }
            }
            Action::OpenMessage => self.open(),
            Action::SetSender
            | Action::AddRecipient
            | Action::Append
            | Action::Deliver
            | Action::Verify
            | Action::Explain
            | Action::Answer => {}
        }
        self.row_reply(cell)
    }

    fn open(&mut self) {
        self.messages += 1;
        let (helo, with) = self.helo.clone().unwrap_or_else(|| ("unknown".to_owned(), "SMTP"));
        let envelope = Envelope {
            id: format!("{}-{}", self.client.id, self.messages),
            sender: self.sender.clone().unwrap_or(ReversePath(None)),
            recipients: self.recipients.clone(),
            helo,
            client: self.client.address,
            with,
        };
        self.message = Some(Message::default());
        self.queue.push_back(Output::Open(Box::new(envelope)));
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
            Action::Deliver if ok => Reply::new(250, "2.0.0", format!("Safe as {}-{}", self.client.id, self.messages)),
            _ => reply::by_code(spec.code),
        }
    }

    /// EHLO's answer: what the definition offers, as far as this server can keep it. A keyword
    /// that is a command's name is kept by the table, if some state accepts the command.
    fn extensions(&self, code: u16) -> Reply {
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
        Reply { code, enhanced: "", lines }
    }
}
