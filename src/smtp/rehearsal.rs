//! A run of the machine, played through the session as a client would: what is said, and answered.
//!
//! Turns the names of events into lines with sample arguments, and gives them to a real
//! [`Session`] whose every question is answered with yes. It knows no socket and no store.

use std::sync::Arc;

use super::machine::Machine;
use super::path::Domain;
use super::session::{Client, Input, Output, Session, Settings, Verdict};
use super::vocabulary::{Action, VOCABULARY};

/// One thing that the client said, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The client's line, without its end; "" for the connection itself.
    pub line: String,
    /// The lines of the answer, without their ends; none to content.
    pub replies: Vec<String>,
    /// The state behind it.
    pub state: &'static str,
}

impl Exchange {
    /// The first line of each reply, as a dialogue has it.
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

const DOMAIN: &str = "postman.local";

fn session(machine: &'static Machine) -> Session {
    let settings = Settings::new(machine, Domain::Name(DOMAIN.to_owned()));
    let loopback = [127, 0, 0, 1].into();
    Session::new(
        Arc::new(settings),
        Client { id: "1".to_owned(), address: loopback, local: loopback, may_relay: true, refused: false },
    )
}

/// Plays the events, in order, from the connection on. What follows the session's end is not played.
#[must_use]
pub fn rehearse(machine: &'static Machine, events: &[&str]) -> Vec<Exchange> {
    let mut session = session(machine);
    let mut exchanges = Vec::with_capacity(events.len() + 1);
    let (mut open, replies) = give(&mut session, Input::Connect);
    exchanges.push(Exchange { line: String::new(), replies, state: session.position().name() });
    for event in events {
        if !open {
            break;
        }
        let line = line(machine, &session, event);
        let replies;
        (open, replies) = give(&mut session, Input::Octets(format!("{line}\r\n").as_bytes()));
        exchanges.push(Exchange { line, replies, state: session.position().name() });
    }
    exchanges
}

/// Gives one input, answers yes to all that is asked, and says whether the session goes on.
fn give(session: &mut Session, input: Input<'_>) -> (bool, Vec<String>) {
    let enhanced = session.shows_enhanced();
    let (mut said, mut open, mut asked) = (Vec::new(), true, false);
    let mut outputs = session.handle(input);
    while let Some(output) = outputs.next() {
        match output {
            Output::Reply(reply) => reply.write(&mut said, enhanced),
            Output::Ask(_) => asked = true,
            Output::Close => open = false,
            Output::Open(_) | Output::Content(_) | Output::Discard | Output::Step(_) | Output::Refused(..) => {}
        }
    }
    drop(outputs);
    let mut replies: Vec<String> = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
    if asked {
        let (still_open, more) = give(session, Input::Verdict(Verdict::Yes));
        open &= still_open;
        replies.extend(more);
    }
    (open, replies)
}

/// How a client would say it here: with the argument that the cell's action wants.
fn line(machine: &Machine, session: &Session, event: &str) -> String {
    if event.eq_ignore_ascii_case(VOCABULARY.end) {
        return ".".to_owned();
    }
    if event.eq_ignore_ascii_case(VOCABULARY.content) {
        return "Subject: rehearsal".to_owned();
    }
    // If the state does not accept it, the argument is not read: any other state's will do.
    let position = session.position();
    let of_event = machine.event(event);
    let here = of_event.and_then(|event| position.look(event));
    let here = here.filter(|cell| !cell.is_refusal()).map(|cell| cell.action);
    let action = here.or_else(|| of_event.and_then(|event| machine.actions(event).next()));
    match action {
        Some(Action::Greet | Action::GreetExtended) => format!("{event} client.example"),
        Some(Action::SetSender) => format!("{event} FROM:<sender@client.example>"),
        Some(Action::AddRecipient) => format!("{event} TO:<user@{DOMAIN}>"),
        Some(Action::Verify) => format!("{event} user"),
        _ => event.to_owned(),
    }
}
