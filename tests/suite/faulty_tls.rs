//! A server that misbehaves over TLS: in place of a handshake, within a record, and late.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::rig::{Server, wait_until};
use crate::secure::{Keys, VERSIONS, client, client_config, start_tls, started};

const NAME: &str = "mail.example.org";
/// Each end of a fault, and how a client reads it, who waits for a moment.
const ENDS: [(&str, Option<ErrorKind>); 3] = [
    ("close", None),
    ("reset", Some(ErrorKind::ConnectionReset)),
    ("hang", Some(ErrorKind::WouldBlock)),
];

fn serve(keys: &Keys, fault: &str, more: &str) -> Server {
    let faults = format!("fault = {{ says = 'x'; {fault} }};\n");
    Server::start_with_faults(&faults, &format!("({}, {more})", keys.ron(&["a"])))
}

/// All octets of the socket, and how it ended; a client waits for a moment.
fn rest(stream: &TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    crate::faulty::rest(stream)
}

#[test]
fn a_handshake_is_promised_and_never_answered_and_the_next_client_is_served() {
    let keys = Keys::new();
    let config = client_config(VERSIONS[1]);
    for (end, expected) in ENDS {
        let server = serve(&keys, &format!("path = '.* STARTTLS'; end = {end}; first = 1;"), "");
        let stream = started(&server).into_stream();
        // A client that is reset would hear of it by its write, or by its read.
        if end != "reset" {
            client(&config, NAME).write_tls(&mut &stream).unwrap();
        }
        assert_eq!(rest(&stream), (Vec::new(), expected), "{end}");
        start_tls(&server, &config, NAME).deliver();
    }
}

/// What a client gets of an answer that a fault cuts: the text, and then a record without an end.
#[test]
fn a_cut_answer_breaks_off_within_a_record_and_without_a_farewell() {
    let keys = Keys::new();
    for version in VERSIONS {
        for (end, expected) in ENDS {
            for cut in [0, 4] {
                let fault = format!("path = '.* NOOP'; cut = {cut}; end = {end};");
                let server = serve(&keys, &fault, "");
                let mut talk = start_tls(&server, &client_config(version), NAME);
                talk.say("EHLO x", "250");
                talk.send(b"NOOP\r\n");
                let stream = talk.tls_stream().sock.try_clone().unwrap();
                let (octets, ended) = rest(&stream);
                assert_eq!(ended, expected, "{end}");
                let (mut left, mut whole) = (octets.as_slice(), 0);
                while left.len() >= 5 {
                    let length = usize::from(u16::from_be_bytes([left[3], left[4]]));
                    assert_eq!(left[0], 23, "the server says no farewell: {octets:?}");
                    let Some(after) = left.get(5 + length..) else { break };
                    (left, whole) = (after, whole + 1);
                }
                assert_eq!((left.len(), whole), (8, usize::from(cut > 0)), "{end}, {octets:?}");
                let tls = &mut talk.tls_stream().conn;
                tls.read_tls(&mut octets.as_slice()).unwrap();
                tls.process_new_packets().unwrap();
                let mut text = [0; 64];
                let taken = tls.reader().read(&mut text).unwrap_or(0);
                assert_eq!(&text[..taken], &b"250 "[..cut], "{end}");
            }
        }
    }
}

#[test]
fn a_close_without_a_cut_says_farewell_and_a_reset_does_not() {
    let keys = Keys::new();
    let server = serve(&keys, "path = '.* NOOP'; end = close; first = 1;", "");
    let mut talk = start_tls(&server, &client_config(VERSIONS[1]), NAME);
    talk.say("EHLO x", "250");
    talk.say("NOOP", "250");
    // It would be an error without the farewell.
    assert_eq!(talk.rest(), "");
    let server = serve(&keys, "path = '.* NOOP'; end = reset;", "");
    let mut talk = start_tls(&server, &client_config(VERSIONS[1]), NAME);
    talk.say("EHLO x", "250");
    talk.send(b"NOOP\r\n");
    let stream = talk.tls_stream().sock.try_clone().unwrap();
    assert_eq!(rest(&stream).1, Some(ErrorKind::ConnectionReset));
}

/// More than what is kept of a client, and than what one record holds.
#[test]
fn what_comes_over_tls_in_a_wait_is_answered_after_it_in_its_order() {
    const MANY: usize = 20_000;
    let keys = Keys::new();
    let more = "commands_max: 100000";
    let server = serve(&keys, "path = '.* NOOP'; wait = '1s'; first = 1;", more);
    let mut talk = start_tls(&server, &client_config(VERSIONS[1]), NAME);
    talk.say("EHLO x", "250");
    let start = Instant::now();
    talk.send(b"NOOP\r\n");
    // A command in two records, and many in one write.
    talk.send(b"RS");
    talk.send(b"ET\r\nVRFY x\r\n");
    talk.send("NOOP\r\n".repeat(MANY).as_bytes());
    talk.send(b"MAIL FROM:<a@x.org>\r\nQUIT\r\n");
    for code in ["250", "250", "252"] {
        talk.expect(code);
    }
    let waited = start.elapsed();
    assert!((990..8_000).contains(&waited.as_millis()), "{waited:?}");
    for _ in 0..MANY {
        talk.expect("250 2.0.0");
    }
    talk.expect("250 2.1.0");
    talk.expect("221");
    assert_eq!(talk.rest(), "");
}

#[test]
fn who_hangs_up_over_tls_ends_the_wait_with_a_farewell_or_without() {
    let keys = Keys::new();
    let server = serve(&keys, "path = '.* NOOP'; wait = '1h';", "");
    for says_farewell in [true, false] {
        let mut talk = start_tls(&server, &client_config(VERSIONS[1]), NAME);
        talk.say("EHLO x", "250");
        talk.send(b"NOOP\r\nRSET\r\n");
        if says_farewell {
            talk.tls_stream().conn.send_close_notify();
            talk.tls_stream().flush().unwrap();
        }
        drop(talk);
        wait_until("the end of the session", || server.clients() == 0);
    }
}

#[test]
fn a_handshake_may_be_late_and_what_comes_in_the_clear_before_it_is_not_run() {
    let keys = Keys::new();
    let server = serve(&keys, "path = '.* STARTTLS'; wait = '300ms';", "");
    start_tls(&server, &client_config(VERSIONS[1]), NAME).deliver();
    let mut thief = server.connect();
    thief.say("EHLO x", "250");
    thief.send(b"STARTTLS\r\n");
    std::thread::sleep(Duration::from_millis(50));
    thief.send(b"EHLO thief\r\nMAIL FROM:<t@x.org>\r\n");
    thief.expect("220");
    thief.expect("421 4.7.0 Nothing may follow STARTTLS before the handshake, closing");
    assert_eq!(rest(&thief.into_stream()).0, b"");
}
