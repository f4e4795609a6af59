//! `explain`: HELP lists the commands, or shows the syntax of one. RFC 5321 4.1.1.8.

use std::borrow::Cow;

use super::super::Session;
use super::plain_reply;
use crate::smtp::machine::{EventId, Transition};
use crate::smtp::reply::Reply;

// help = "HELP" [ SP String ] CRLF                                       RFC 5321 4.1.1.8

impl Session {
    /// The explanation depends on the argument, and may refuse it, so it is made here.
    pub(super) fn judge_explain(
        &self,
        event: EventId,
        cell: &Transition,
        argument: &str,
    ) -> Result<Reply, Reply> {
        let code = cell.reply.map_or(214, |reply| reply.code);
        if argument.is_empty() {
            if cell.reply.is_some_and(|reply| reply.text.is_some()) {
                return Ok(plain_reply(cell));
            }
            let names: Vec<_> = self.settings.machine.commands().map(|event| event.name).collect();
            let mut lines: Vec<Cow<'static, str>> = vec!["Commands:".into()];
            lines.extend(names.chunks(8).map(|row| Cow::from(format!("  {}", row.join(" ")))));
            lines.push("HELP and a command's name tells its syntax".into());
            return Ok(Reply { code, enhanced: "2.0.0", lines });
        }
        if !self.takes_argument(event) {
            return Err(self.syntax(event));
        }
        let machine = self.settings.machine;
        let event = machine
            .command(argument)
            .ok_or_else(|| Reply::new(504, "5.5.4", "No such command, try HELP"))?;
        Ok(Reply::new(code, "2.0.0", machine.syntax(event)))
    }

    pub(super) fn explain(explanation: Reply) -> Reply {
        explanation
    }
}
