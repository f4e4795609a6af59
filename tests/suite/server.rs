//! The server over real sockets: users, relaying, stopping, silence.

use std::fs;

use postman::config::Config;

use crate::rig::Server;
use crate::scenarios::envelope;

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

/// The server holds the folder, not its name: docs/running.md says what to do.
#[test]
fn a_mail_folder_that_is_moved_takes_its_mail_along_and_one_that_is_removed_takes_none() {
    let server = Server::start("()");
    let [folder, moved] = ["maildir", "moved"].map(|name| server.folder.path().join(name));
    server.connect().deliver();
    fs::rename(&folder, &moved).unwrap();
    fs::create_dir(&folder).unwrap();
    server.connect().deliver();
    assert_eq!(fs::read_dir(moved.join("user/new")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_dir_all(&moved).unwrap();
    let mut talk = server.connect();
    envelope(&mut talk);
    talk.say(".", "451");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
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

#[test]
fn the_start_says_in_one_line_who_may_relay() {
    for (key, said) in [
        ("", "127.0.0.0/8, ::1/128"),
        ("relay_from: [\"192.0.2.7\", \"2001:db8::/32\"],", "192.0.2.7/32, 2001:db8::/32"),
        ("relay_from: [],", "nobody"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server = Server::start(&format!(
            "({key} log: (console_level: \"off\", files: [({log:?}, \"info\")]))"
        ));
        assert_eq!(server.stop(), Some(0));
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(log.matches(&format!(" relay from=\"{said}\"\n")).count(), 1, "{log}");
        let config = Config::parse(&format!("({key})")).unwrap();
        assert_eq!(postman::server::may_relay(&config), said);
    }
}

/// Behind a local proxy everybody is loopback, which may relay by default.
#[test]
fn each_unit_and_example_for_port_25_lets_nobody_relay() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::read(&root.join("dist/postman.ron")).unwrap();
    assert_eq!(config.relay_from, []);
    let service = fs::read_to_string(root.join("dist/postman.service")).unwrap();
    assert!(service.contains("postman.ron") && service.contains("--config /etc/postman.ron"));
    let mut examples = 0;
    for page in fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([root.join("README.md")])
    {
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        // Each second piece between fences is an example.
        for example in
            text.split("\n```").skip(1).step_by(2).filter(|example| example.contains("port: 25,"))
        {
            assert!(example.contains("relay_from: []"), "{}: {example}", page.display());
            examples += 1;
        }
    }
    assert!(examples >= 1);
}
