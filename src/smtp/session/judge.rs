//! Parse, look, judge: what happens to a command before the machine may step.

use super::{
    Action, ArgumentError, Cow, Domain, EventId, LocalPart, Mailbox, Output, Question, Recipient, Reply, Session,
    Transition, Verdict, Waiting, command, reply,
};
use crate::smtp::envelope::Place;
use crate::smtp::path::{DOMAIN_BYTES_MAX, ForwardPath};

/// So much of 503's words the commands that are accepted may take, in octets.
const EXPECTED_BYTES_MAX: usize = 400;

impl Session {
    /// One command line of printable text.
    pub(super) fn judge(&mut self, line: &str) {
        if command::is_http(line) {
            self.end_for(line, reply::not_http());
            return;
        }
        if command::is_proxy(line) {
            self.end_for(&format!("(a PROXY preamble, version 1) {line}"), reply::not_proxy());
            return;
        }
        let known = command::split(line, self.settings.syntax)
            .and_then(|words| self.settings.machine.command(words.verb).map(|event| (event, words.argument)));
        let Some((event, argument)) = known else {
            self.refuse(line, reply::unknown_command());
            return;
        };
        let Some(cell) = self.position().look(event) else {
            self.refuse(line, self.not_now(event));
            return;
        };
        if self.client.refused && !self.position().leads_to_the_end(event) {
            self.refuse(line, reply::only_quit());
            return;
        }
        if cell.is_refusal() {
            // As 503 is: before the argument is read.
            self.accept(event);
            return;
        }
        match self.judge_argument(event, cell, argument, line) {
            Ok(()) => {}
            Err(reply) => self.refuse(line, reply),
        }
    }

    fn judge_argument(
        &mut self,
        event: EventId,
        cell: &'static Transition,
        argument: &str,
        line: &str,
    ) -> Result<(), Reply> {
        match cell.action {
            Action::Greet | Action::GreetExtended => {
                let name = command::helo(argument, self.settings.syntax).map_err(|_| reply::bad_domain())?;
                self.accept_greeting(event, name);
            }
            Action::SetSender => self.judge_sender(event, argument, line)?,
            Action::AddRecipient => self.judge_recipient(event, argument, line)?,
            Action::Verify => {
                let path = command::vrfy(argument, self.settings.syntax, &self.settings.domain)
                    .map_err(|_| self.syntax(event))?;
                match self.own_mailbox(path).filter(|_| self.settings.verify_honestly) {
                    Some(local) => {
                        self.ask(Question::Recipient(local.clone()), Waiting::Verify(event, local, line.to_owned()));
                    }
                    None => self.accept(event),
                }
            }
            Action::Explain => {
                let reply = self.help(cell, argument)?;
                self.accept_with(event, reply);
            }
            Action::Answer if argument.is_empty() || self.takes_argument(event) => self.accept(event),
            Action::Reset | Action::OpenMessage if argument.is_empty() => self.accept(event),
            // The compiler gives these to the framer's events alone, which no line can be.
            _ => return Err(self.syntax(event)),
        }
        Ok(())
    }

    fn judge_sender(&mut self, event: EventId, argument: &str, line: &str) -> Result<(), Reply> {
        let machine = self.settings.machine;
        let mail = command::mail(argument, self.settings.syntax, |keyword| machine.offers(keyword));
        let mail = mail.map_err(|error| match error {
            ArgumentError::Syntax => self.syntax(event),
            ArgumentError::BadParameter => reply::bad_parameter(),
            ArgumentError::UnknownParameter => reply::unknown_parameter(),
            ArgumentError::Path(error) => reply::bad_path(error, reply::bad_sender()),
            ArgumentError::Domain => reply::bad_sender(),
        })?;
        let octets = mail.size.unwrap_or(0);
        if octets > self.settings.message_bytes_max {
            return Err(reply::too_big());
        }
        self.ask(Question::Room(octets), Waiting::Sender(event, mail.sender, line.to_owned()));
        Ok(())
    }

    fn judge_recipient(&mut self, event: EventId, argument: &str, line: &str) -> Result<(), Reply> {
        let path = command::rcpt(argument, self.settings.syntax).map_err(|error| match error {
            ArgumentError::Syntax => self.syntax(event),
            ArgumentError::BadParameter => reply::bad_parameter(),
            ArgumentError::UnknownParameter => reply::unknown_parameter(),
            ArgumentError::Path(error) => reply::bad_path(error, reply::bad_recipient()),
            ArgumentError::Domain => reply::bad_recipient(),
        })?;
        let mailbox = match path {
            ForwardPath::Mailbox(mailbox) => mailbox,
            ForwardPath::Postmaster => Mailbox { local: LocalPart::postmaster(), domain: self.settings.domain.clone() },
        };
        let place = if self.is_own(&mailbox.domain) { Place::Local } else { Place::Remote };
        if place == Place::Remote && !self.client.may_relay {
            return Err(reply::no_relaying());
        }
        if let Domain::General { .. } = mailbox.domain {
            // The grammar has them for networks to come; none has come. RFC 5321 4.1.3.
            return Err(reply::no_route());
        }
        if place == Place::Remote && mailbox.domain.folded().len() > DOMAIN_BYTES_MAX {
            // No such domain can exist. Told here: after DATA the client would try again for days.
            return Err(reply::domain_too_long());
        }
        let recipient = Recipient { mailbox, place };
        if self.recipients.iter().any(|known| same_mailbox(known, &recipient)) {
            // A recipient given twice gets one copy.
            self.accept(event);
            return Ok(());
        }
        if self.recipients.len() >= self.settings.recipients_max {
            return Err(reply::too_many_recipients());
        }
        if self.recipients_in_all >= self.settings.recipients_per_session_max {
            return Err(reply::too_many_recipients_in_all());
        }
        if place == Place::Local {
            let local = recipient.mailbox.local.clone();
            self.ask(Question::Recipient(local), Waiting::Recipient(event, recipient, line.to_owned()));
        } else {
            self.accept_recipient(event, recipient);
        }
        Ok(())
    }

    /// The answer to a question came.
    pub(super) fn judged(&mut self, verdict: Verdict) {
        let refusal = match verdict {
            Verdict::Yes => None,
            Verdict::Unknown => Some(reply::no_such_user()),
            Verdict::Unnameable => Some(reply::mailbox_name_too_long()),
            Verdict::Full => Some(reply::store_full()),
            Verdict::Busy => Some(reply::store_busy()),
            Verdict::Broken => Some(reply::store_broken()),
        };
        match (self.waiting.take(), refusal) {
            (Some(Waiting::Sender(event, sender, _)), None) => self.accept_sender(event, sender),
            (Some(Waiting::Recipient(event, recipient, _)), None) => self.accept_recipient(event, recipient),
            (Some(Waiting::Verify(event, local, _)), None) => {
                let text = format!("<{local}@{}>", self.settings.domain);
                self.accept_with(event, Reply::new(250, "2.1.5", text));
            }
            (
                Some(Waiting::Sender(_, _, line) | Waiting::Recipient(_, _, line) | Waiting::Verify(_, _, line)),
                Some(reply),
            ) => self.refuse(&line, reply),
            (Some(Waiting::Store(step, accepted)), refusal) => self.finish_step(step, refusal.unwrap_or(accepted)),
            (None, _) => {}
        }
        if self.stopping && !self.closed {
            self.end(reply::stopping());
        }
    }

    fn ask(&mut self, question: Question, waiting: Waiting) {
        self.queue.push_back(Output::Ask(question));
        self.waiting = Some(waiting);
    }

    fn is_own(&self, domain: &Domain) -> bool {
        match domain {
            Domain::Literal(address) => address.to_canonical() == self.client.local.to_canonical(),
            other => other.folded() == self.settings.domain.folded(),
        }
    }

    fn own_mailbox(&self, path: ForwardPath) -> Option<LocalPart> {
        match path {
            ForwardPath::Postmaster => Some(LocalPart::postmaster()),
            ForwardPath::Mailbox(mailbox) => self.is_own(&mailbox.domain).then_some(mailbox.local),
        }
    }

    /// 503, saying what the state would accept.
    fn not_now(&self, event: EventId) -> Reply {
        let position = self.position();
        let name = position.machine().events.get(usize::from(event.0)).map_or("", |event| event.name);
        let mut text = format!("{name} not now; expected");
        let mut between = " ";
        for expected in position.accepted() {
            // A line of a reply has its bound, and half a name would help nobody.
            if text.len() + expected.name.len() > EXPECTED_BYTES_MAX {
                text += ", ...";
                break;
            }
            text += &format!("{between}{}", expected.name);
            between = ", ";
        }
        Reply::new(503, "5.5.1", text)
    }

    /// 501, showing the command's syntax.
    fn syntax(&self, event: EventId) -> Reply {
        let event = self.settings.machine.events.get(usize::from(event.0));
        let syntax = event.map_or("", |event| event.syntax.unwrap_or(event.name));
        Reply::new(501, "5.5.4", format!("Syntax: {syntax}"))
    }

    /// A command takes an argument if its syntax shows one.
    fn takes_argument(&self, event: EventId) -> bool {
        let event = self.settings.machine.events.get(usize::from(event.0));
        event.and_then(|event| event.syntax).is_some_and(|syntax| syntax.split_ascii_whitespace().nth(1).is_some())
    }

    fn help(&self, cell: &Transition, argument: &str) -> Result<Reply, Reply> {
        if argument.is_empty() {
            if cell.reply.is_some_and(|reply| reply.text.is_some()) {
                return Ok(self.row_reply(cell));
            }
            let names: Vec<_> = self.settings.machine.commands().map(|event| event.name).collect();
            let mut lines: Vec<Cow<'static, str>> = vec!["Commands:".into()];
            lines.extend(names.chunks(8).map(|row| Cow::from(format!("  {}", row.join(" ")))));
            lines.push("HELP and a command's name tells its syntax".into());
            return Ok(Reply { code: cell.reply.map_or(214, |reply| reply.code), enhanced: "2.0.0", lines });
        }
        let machine = self.settings.machine;
        let found = machine.command(argument).and_then(|event| machine.events.get(usize::from(event.0)));
        let event = found.ok_or_else(|| Reply::new(504, "5.5.4", "No such command, try HELP"))?;
        Ok(Reply::new(cell.reply.map_or(214, |reply| reply.code), "2.0.0", event.syntax.unwrap_or(event.name)))
    }
}

fn same_mailbox(one: &Recipient, other: &Recipient) -> bool {
    if one.place != other.place {
        return false;
    }
    match one.place {
        Place::Local => one.mailbox.local.folded() == other.mailbox.local.folded(),
        Place::Remote => {
            one.mailbox.local == other.mailbox.local && one.mailbox.domain.folded() == other.mailbox.domain.folded()
        }
    }
}
