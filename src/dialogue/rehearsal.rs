//! A run of the machine, played through a session as a client would: its lines and the replies.
//!
//! Turns the names of events into lines with sample arguments, and gives them to a [`Peer`] with
//! the default configuration, so that what it shows is what the server would say.

use super::{Peer, Play as _};
use crate::config::Config;
use crate::smtp::machine::Machine;
use crate::smtp::session::Input;
use crate::smtp::vocabulary::{Action, VOCABULARY};

/// One thing that the client said, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The client's line, without its end; "" for the connection itself.
    pub line: String,
    /// The lines of the answer, without their ends; none to content.
    pub replies: Vec<String>,
    /// Whether the handshake follows, and all after it is encrypted.
    pub encrypts: bool,
    /// The state after it.
    pub state: &'static str,
}

impl Exchange {
    /// What follows the client's line in a dialogue: the first line of each reply, and the
    /// handshake.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let mut lines: Vec<_> =
            self.first_lines().into_iter().map(|reply| format!("S: {reply}")).collect();
        lines.extend(self.encrypts.then(|| "* encrypted".to_owned()));
        lines
    }

    /// The first line of each reply.
    #[must_use]
    pub fn first_lines(&self) -> Vec<&str> {
        let mut is_first = true;
        let firsts = self.replies.iter().filter(|line| {
            let was_first = is_first;
            is_first = line.as_bytes().get(3) != Some(&b'-');
            was_first
        });
        firsts.map(String::as_str).collect()
    }
}

/// Plays the events, in order, from the connection on. What follows the session's end is not
/// played.
#[must_use]
pub fn rehearse(machine: &'static Machine, events: &[&str]) -> Vec<Exchange> {
    let config = Config::default();
    let domain = config.domain.to_string();
    let mut peer = Peer::new(&config, machine);
    let mut exchanges = Vec::with_capacity(events.len() + 1);
    exchanges.push(exchange(String::new(), &mut peer));
    for event in events {
        if !peer.is_open() {
            break;
        }
        let line = line(machine, &peer, event, &domain);
        peer.give(Input::Octets(format!("{line}\r\n").as_bytes()));
        exchanges.push(exchange(line, &mut peer));
    }
    exchanges
}

fn exchange(line: String, peer: &mut Peer) -> Exchange {
    let mut replies = Vec::new();
    while let Some(reply) = peer.take_reply() {
        replies.extend(reply.lines().map(str::to_owned));
    }
    let encrypts = peer.encrypt().is_ok();
    Exchange { line, replies, encrypts, state: peer.position().name() }
}

/// How a client would say it here: with the argument that the cell's action wants.
fn line(machine: &Machine, peer: &Peer, event: &str, domain: &str) -> String {
    if event.eq_ignore_ascii_case(VOCABULARY.end) {
        return ".".to_owned();
    }
    if event.eq_ignore_ascii_case(VOCABULARY.content) {
        return "Subject: rehearsal".to_owned();
    }
    // If the state does not accept it, the argument is not read: any other state's will do.
    let position = peer.position();
    let of_event = machine.event(event);
    let here = of_event.and_then(|event| position.look(event));
    let here = here.filter(|cell| !cell.is_refusal()).map(|cell| cell.action);
    let action = here.or_else(|| of_event.and_then(|event| machine.actions(event).next()));
    match action {
        Some(Action::Greet | Action::GreetExtended) => format!("{event} client.example"),
        Some(Action::SetSender) => format!("{event} FROM:<sender@client.example>"),
        Some(Action::AddRecipient) => format!("{event} TO:<user@{domain}>"),
        Some(Action::Verify) => format!("{event} user"),
        _ => event.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::machine::of_the_tests;

    #[test]
    fn a_rehearsal_shows_the_size_that_the_server_offers() {
        let exchanges = rehearse(of_the_tests(), &["EHLO"]);
        let size = format!("250-SIZE {}", Config::default().limits.message_bytes_max);
        assert!(exchanges[1].replies.contains(&size), "{exchanges:?}");
    }
}
