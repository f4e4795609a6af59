//! The session by itself: what it refuses, how it ends, and that it moves only along the table.

use postman::config::Config;
use postman::smtp::session::{Input, Limits};
use proptest::prelude::*;

use crate::peer::Peer;

fn config() -> Config {
    let limits = Limits { message_bytes_max: 100_000, ..Limits::default() };
    Config { limits, ..Config::default() }
}

fn ready() -> Peer {
    let mut peer = Peer::new(&config());
    peer.give(Input::Octets(
        b"EHLO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\n",
    ));
    assert!(peer.said.ends_with(b"line of its own\r\n"), "{}", String::from_utf8_lossy(&peer.said));
    peer.said.clear();
    peer
}

#[test]
fn a_refused_message_is_swallowed_to_its_true_end() {
    let big = "0123456789\r\n".repeat(10_000);
    let loops = "Received: x\r\n".repeat(101);
    for (content, code) in [
        (big.as_str(), "552 5.3.4"),
        (&loops, "554 5.4.6"),
        ("a\n.\nQUIT\r\n", "550 5.6.11"),
        ("\r\n.\n", "550 5.6.11"),
        ("a\r.\r\n", "550 5.6.11"),
    ] {
        let mut peer = ready();
        peer.give(Input::Octets(content.as_bytes()));
        assert_eq!(peer.said, b"", "nothing is answered before the end");
        peer.give(Input::Octets(b"\r\n.\r\nNOOP\r\n"));
        let said = String::from_utf8_lossy(&peer.said).into_owned();
        assert!(
            said.starts_with(code)
                && said.ends_with("\r\n250 2.0.0 OK\r\n")
                && said.lines().count() == 2,
            "{said}"
        );
        assert_eq!(peer.session.position().name(), "client_ready");
        assert!(peer.content.is_empty());
    }
}

#[test]
fn lines_that_are_no_commands_are_refused_and_twenty_in_a_row_end_the_session() {
    let mut peer = Peer::new(&config());
    let long = format!("NOOP {}\r\n", "x".repeat(3000));
    for (line, code) in [
        (long.as_bytes(), "500 5.5.2"),
        (b"NOOP\n", "500 5.5.2 Lines end"),
        (b"NO\0OP\r\n", "500"),
        (b"NOOP \xff\r\n", "500"),
        (b"NO\rOP\r\n", "500"),
    ] {
        peer.said.clear();
        peer.give(Input::Octets(line));
        assert!(peer.said.starts_with(code.as_bytes()), "{line:?}");
    }
    peer.give(Input::Octets(&b"x\r\n".repeat(14)));
    assert!(peer.open);
    peer.give(Input::Octets(b"x\r\nNOOP\r\n"));
    assert!(!peer.open);
    assert!(
        String::from_utf8_lossy(&peer.said).ends_with("421 4.7.0 Too many errors, closing\r\n")
    );
}

#[test]
fn a_web_client_silence_and_stopping_end_the_session() {
    for (input, code) in [
        (Input::Octets(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "421"),
        (Input::Silence, "421 4.4.2"),
        (Input::Stop, "421 4.3.2"),
    ] {
        let mut peer = Peer::new(&config());
        peer.said.clear();
        peer.give(input);
        assert!(peer.said.starts_with(code.as_bytes()) && !peer.open);
    }
}

proptest! {
    /// Any octets: no panic, and the machine moves only along the table.
    #[test]
    fn whatever_comes_the_state_moves_only_by_the_table(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"EHLO x\r\n".to_vec()), Just(b"MAIL FROM:<a@x.org>\r\n".to_vec()), Just(b"RCPT TO:<b@postman.local>\r\n".to_vec()),
            Just(b"DATA\r\n".to_vec()), Just(b".\r\n".to_vec()), Just(b"RSET\r\n".to_vec()), Just(b"\r".to_vec()), Just(b"\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ], 0..40)
    ) {
        let mut peer = Peer::new(&config());
        let mut state = peer.session.position().name();
        for piece in &pieces {
            peer.give(Input::Octets(piece));
            for step in peer.steps.drain(..) {
                prop_assert_eq!(step.from, state);
                let machine = crate::peer::page();
                let row = machine.states.iter().position(|known| known.name == step.from).unwrap();
                let column = usize::from(machine.event(step.event).unwrap().0);
                let cell = machine.cells[row * machine.events.len() + column].unwrap();
                prop_assert_eq!(machine.states[usize::from(cell.next.0)].name, step.to);
                state = step.to;
            }
            prop_assert_eq!(peer.session.position().name(), state);
        }
    }
}
