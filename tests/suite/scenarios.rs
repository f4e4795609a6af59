//! The acceptance scenarios of the C system that came before, over real sockets and in both mailbox
//! forms: empty mail, big lines with pauses, many clients at once, the end by SIGTERM. Its
//! scenarios of RSET, NOOP and invalid sequences are dialogues: `rset-noop.smtp` and `order.smtp`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::rig::{Server, Talk, fields};

const FORMS: [&str; 2] = ["()", "(mailbox_format: Envelope)"];
const PLACES: [&str; 4] =
    ["user/new", "client/new", ".OTHER_SERVERS/other.server", ".OTHER_SERVERS/good.server.ru"];

pub(crate) fn envelope(talk: &mut Talk) {
    talk.say("EHLO client.example", "250-");
    talk.say("MAIL FROM:<a@x.org>", "250");
    for to in [
        "user@postman.local",
        "client@postman.local",
        "user@other.server",
        "client@other.server",
        "a@good.server.ru",
        "b@good.server.ru",
    ] {
        talk.say(&format!("RCPT TO:<{to}>"), "250");
    }
    talk.say("DATA", "354");
}

/// One mail to all places, its body in pieces with a pause between; the files, in their order.
fn mail(config: &str, pieces: &[&[u8]], pause: Duration) -> Vec<Vec<u8>> {
    let mut server = Server::start(config);
    let mut talk = server.connect();
    envelope(&mut talk);
    for piece in pieces {
        talk.send(piece);
        // The pause is the scenario itself; nothing waits for anything by it.
        thread::sleep(pause);
    }
    talk.say(".", "250");
    talk.say("QUIT", "221");
    assert!(talk.is_closed());
    let files = PLACES.map(|place| {
        let mut files = server.files(place);
        assert_eq!(files.len(), 1, "{place}");
        files.remove(0)
    });
    assert_eq!(server.stop(), Some(0), "SIGTERM ends the process cleanly");
    files.into()
}

#[test]
fn an_empty_mail_arrives_in_both_forms() {
    for config in FORMS {
        let files = mail(config, &[], Duration::ZERO);
        let files: Vec<_> =
            files.into_iter().map(|file| String::from_utf8(file).unwrap()).collect();
        let own = if config == "()" {
            "X-Postman-To: user@postman.local\n\n"
        } else {
            "X-Postman-With: ESMTP\r\n\r\n"
        };
        assert!(files[0].ends_with(own), "{}", files[0]);
        assert!(files[2].starts_with("X-Postman-From: a@x.org\r\nX-Postman-Date: "));
        // The C system's reader takes one line: short lists are not folded.
        assert!(files[2].contains("\r\nX-Postman-To: user@other.server,client@other.server\r\n"));
        assert_eq!(
            fields(files[3].as_bytes()).recipients(),
            ["a@good.server.ru", "b@good.server.ru"]
        );
        assert!(files[2].ends_with("\r\n\r\n") && !files[2].contains("good.server"));
    }
}

#[test]
fn big_lines_seconds_apart_arrive_unchanged() {
    let long = format!("{}\r\n", "x".repeat(3998));
    let many = format!("{}\r\n", "y".repeat(398)).repeat(100);
    let pieces = [long.as_bytes(), long.as_bytes(), long.as_bytes(), many.as_bytes()];
    let body = pieces.concat();
    for config in FORMS {
        for (place, file) in PLACES.iter().zip(mail(config, &pieces, Duration::from_secs(1))) {
            let crlf = place.starts_with('.') || config != "()";
            let expected = if crlf {
                body.clone()
            } else {
                String::from_utf8_lossy(&body).replace("\r\n", "\n").into()
            };
            assert!(file.ends_with(&expected), "{place}");
        }
    }
}

/// A client's mail, by its number: three kinds, one of them a slow writer.
fn client(server: &Server, number: usize) {
    let mut talk = server.connect();
    let envelope =
        "MAIL FROM:<>\r\nRCPT TO:<user@postman.local>\r\nRCPT TO:<joe@other.server>\r\nDATA\r\n";
    match number % 3 {
        // All at once.
        0 => {
            talk.say("EHLO x", "250-");
            talk.send(
                format!("{envelope}Subject: {number}\r\n\r\nbody\r\n.\r\nQUIT\r\n").as_bytes(),
            );
            for code in ["250", "250", "250", "354", "250", "221"] {
                talk.expect(code);
            }
            return;
        }
        // A line every 200 ms.
        1 => {
            talk.say("HELO x", "250");
            talk.send(envelope.as_bytes());
            for code in ["250", "250", "250", "354"] {
                talk.expect(code);
            }
            for line in [&format!("Subject: {number}"), "", "one", "two", "three"] {
                talk.send(format!("{line}\r\n").as_bytes());
                thread::sleep(Duration::from_millis(200));
            }
        }
        // A transaction begun, dropped, and begun again.
        _ => {
            talk.say("EHLO x", "250-");
            talk.say("MAIL FROM:<dropped@x.org>", "250");
            talk.say("RCPT TO:<user@postman.local>", "250");
            talk.say("RSET", "250");
            for line in envelope.lines() {
                talk.say(line, if line == "DATA" { "354" } else { "250" });
            }
            talk.send(format!("Subject: {number}\r\n\r\nbody\r\n").as_bytes());
        }
    }
    talk.say(".", "250");
    talk.say("QUIT", "221");
}

#[test]
fn a_hundred_clients_of_three_kinds_fifteen_at_a_time_arrive_each_once() {
    for config in FORMS {
        let server = Server::start(config);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..15 {
                scope.spawn(|| {
                    while let number @ 0..100 = next.fetch_add(1, Ordering::Relaxed) {
                        client(&server, number);
                    }
                });
            }
        });
        for place in ["user/new", ".OTHER_SERVERS/other.server"] {
            let subject = |file: Vec<u8>| {
                let text = String::from_utf8(file).unwrap();
                text.lines()
                    .find_map(|line| line.strip_prefix("Subject: "))
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
            };
            let mut subjects: Vec<_> = server.files(place).into_iter().map(subject).collect();
            subjects.sort_unstable();
            assert_eq!(subjects, (0..100).collect::<Vec<_>>(), "{place}, {config}");
        }
    }
}
