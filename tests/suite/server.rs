//! The acceptance scenarios, over real sockets.

use std::thread;

use crate::rig::{Server, Talk};

fn envelope(talk: &mut Talk) {
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

const PLACES: [&str; 4] = ["user/new", "client/new", ".OTHER_SERVERS/other.server", ".OTHER_SERVERS/good.server.ru"];

fn scenario_mail(config: &str, body: &[u8]) -> Vec<Vec<u8>> {
    let mut server = Server::start(config);
    let mut talk = server.connect();
    envelope(&mut talk);
    talk.send(body);
    talk.say(".", "250");
    talk.say("QUIT", "221");
    assert!(talk.is_closed());
    let files = PLACES.map(|place| {
        let files = server.files(place);
        assert_eq!(files.len(), 1, "{place}");
        files.into_iter().next().unwrap()
    });
    assert_eq!(server.stop(), Some(0));
    files.into()
}

#[test]
fn an_empty_mail_arrives_in_both_mailbox_forms() {
    for config in ["()", "(mailbox_format: Envelope)"] {
        let files: Vec<_> =
            scenario_mail(config, b"").into_iter().map(|file| String::from_utf8(file).unwrap()).collect();
        let own = if config == "()" { "X-Postman-To: user@postman.local\n\n" } else { "X-Postman-With: ESMTP\r\n\r\n" };
        assert!(files[0].ends_with(own), "{}", files[0]);
        assert!(files[2].starts_with("X-Postman-From: a@x.org\r\nX-Postman-Date: "));
        assert!(files[2].contains("\r\nX-Postman-To: user@other.server,client@other.server\r\n"));
        assert!(files[2].ends_with("\r\n\r\n") && !files[2].contains("good.server"));
    }
}

#[test]
fn big_lines_arrive_unchanged() {
    let body = format!("{}\r\n", "x".repeat(4000)).repeat(5) + &format!("{}\r\n", "y".repeat(398)).repeat(100);
    for config in ["()", "(mailbox_format: Envelope)"] {
        for (place, file) in PLACES.iter().zip(scenario_mail(config, body.as_bytes())) {
            let crlf = place.starts_with('.') || config != "()";
            let expected = if crlf { body.clone() } else { body.replace("\r\n", "\n") };
            assert!(file.ends_with(expected.as_bytes()), "{place}");
        }
    }
}

#[test]
fn a_message_of_ten_mib_arrives_octet_by_octet() {
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.say("HELO x", "250");
    talk.say("MAIL FROM:<a@x.org>", "250");
    talk.say("RCPT TO:<joe@other.server>", "250");
    talk.say("DATA", "354");
    let body = b"..0123456789abcdef0123456789abcdef\r\n".repeat(300_000);
    talk.send(&body);
    talk.say(".", "250");
    let file = server.files(".OTHER_SERVERS/other.server").remove(0);
    let at = file.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(file[at..] == b".0123456789abcdef0123456789abcdef\r\n".repeat(300_000));
}

#[test]
fn a_hundred_clients_fifteen_at_a_time_lose_nothing() {
    let server = Server::start("()");
    let next = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..15 {
            scope.spawn(|| {
                while let number @ 0..100 = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    let mut talk = server.connect();
                    talk.say("EHLO x", "250-");
                    talk.send(format!("MAIL FROM:<>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\nSubject: {number}\r\n\r\nbody\r\n.\r\nQUIT\r\n").as_bytes());
                    for code in ["250", "250", "354", "250", "221"] {
                        talk.expect(code);
                    }
                }
            });
        }
    });
    let mut subjects: Vec<String> = server
        .files("user/new")
        .into_iter()
        .map(|file| {
            let text = String::from_utf8(file).unwrap();
            text.lines().find(|line| line.starts_with("Subject: ")).unwrap().to_owned()
        })
        .collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 100);
}

#[test]
fn listed_users_exist_and_others_do_not_and_nobody_relays_when_nobody_may() {
    let server = Server::start("(users: Listed([\"Alice\"]), relay_from: [], vrfy: Honest)");
    let mut talk = server.connect();
    talk.say("HELO x", "250");
    talk.say("VRFY alice", "250");
    talk.say("VRFY bob", "550 5.1.1");
    talk.say("MAIL FROM:<a@x.org>", "250");
    talk.say("RCPT TO:<bob@postman.local>", "550 5.1.1");
    talk.say("RCPT TO:<ALICE@postman.local>", "250");
    talk.say("RCPT TO:<POSTmaster@postman.local>", "250");
    talk.say("RCPT TO:<x@other.server>", "550 5.7.1");
}

#[test]
fn stopping_ends_idle_sessions_with_421_and_exits_with_0() {
    let mut server = Server::start("()");
    let (mut idle, mut sending) = (server.connect(), server.connect());
    envelope(&mut sending);
    server.signal();
    idle.expect("421");
    sending.expect("421");
    assert!(idle.is_closed());
    assert_eq!(server.stop(), Some(0));
    assert!(server.files("user/new").is_empty());
}

#[test]
fn a_silent_client_is_told_so_and_closed() {
    let server = Server::start("(timer: 1)");
    let mut talk = server.connect();
    talk.expect("421 4.4.2");
    assert!(talk.is_closed());
}

#[test]
fn a_client_too_many_gets_421() {
    let server = Server::start("(connections_max: 1)");
    let _first = server.connect();
    let stream = std::net::TcpStream::connect(server.address).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &stream, &mut text).unwrap();
    assert!(text.starts_with("421 4.3.2"), "{text}");
}
