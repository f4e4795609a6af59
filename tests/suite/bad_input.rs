//! Bad input over real sockets: the reply or the quiet end, the log line, and a server and
//! folders that stay as they were.

use std::fs;
use std::io::Write as _;
use std::net::Shutdown;

use crate::dialogue::{Act, Dialogue};
use crate::rig::{Server, Talk};

/// All that lies in the mail folder, but for the server's own lock.
fn tree(server: &Server) -> Vec<String> {
    fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            found.push(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&server.folder.path().join("maildir"), &mut found);
    found.retain(|path| !path.contains("/.owner."));
    found.sort();
    found
}

/// What is refused, in all ways, before and in a message.
const REFUSED: &[&str] = &[
    "NOOP \u{e9}\r\n",
    "NO\0OP\r\n",
    "NO\rOP\r\n",
    "QUIT\n",
    "MAIL FROM:<a@@x.org>\r\n",
    "EHLO x\r\nMAIL FROM:<a@x.org> FOO=1\r\n",
    "EHLO x\r\nMAIL FROM:<a@x.org> SIZE=1 SIZE=1\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<../x@postman.local>\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<.OTHER_SERVERS@postman.local>\r\nDATA\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<\"\"@postman.local>\r\nDATA\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@other.server>\r\nDATA\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\na\nb\r\n.\r\n",
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\na\rb\r\n.\r\n",
];

#[test]
fn what_was_refused_leaves_the_folders_as_they_were_and_the_server_serves() {
    let server =
        Server::start("(users: Listed([\"b\"]), relay_from: [], message_bytes_max: 65536)");
    let before = tree(&server);
    let big = format!(
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\n{}.\r\n",
        "0123456789abcd\r\n".repeat(20_000)
    );
    let looping = format!(
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\n{}\r\n.\r\n",
        "Received: x\r\n".repeat(101)
    );
    let long = format!("NOOP {}\r\n", "QUIT ".repeat(100_000));
    for text in REFUSED.iter().copied().chain([big.as_str(), &looping, &long]) {
        let mut talk = server.connect();
        talk.send(text.as_bytes());
        talk.send(b"QUIT\r\n");
        let replies = talk.rest();
        // The last of the lines but QUIT was refused, and QUIT was heard: nothing swallowed it.
        let codes: Vec<_> = replies
            .lines()
            .filter(|line| line.as_bytes()[3] == b' ')
            .map(|line| &line[..3])
            .collect();
        assert!(
            matches!(codes.as_slice(), [.., refused, "221"] if refused.starts_with('5')),
            "{text:.80?}: {codes:?}"
        );
        assert_eq!(tree(&server), before, "{text:.80?}");
    }
    let mut talk = server.connect();
    for (line, code) in [
        ("EHLO x", "250-"),
        ("MAIL FROM:<>", "250"),
        ("RCPT TO:<b@postman.local>", "250"),
        ("DATA", "354"),
    ] {
        talk.say(line, code);
    }
    talk.say("Subject: honest\r\n.", "250");
    assert_eq!(server.files("b/new").len(), 1);
}

#[test]
fn a_client_that_hangs_up_anywhere_leaves_nothing() {
    let server = Server::start("()");
    let before = tree(&server);
    let message = "EHLO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@postman.local>\r\nRCPT TO:<c@other.server>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r";
    for end in 0..=message.len() {
        let mut talk = server.connect();
        talk.send(&message.as_bytes()[..end]);
        talk.stream()
            .shutdown(if end % 2 == 0 { Shutdown::Write } else { Shutdown::Both })
            .unwrap();
        if end % 2 == 0 {
            // Half closed: replies come, and then the end.
            talk.rest();
        }
    }
    // An octet more, and it is a message.
    let mut talk = server.connect();
    talk.send(format!("{message}\n").as_bytes());
    talk.stream().shutdown(Shutdown::Write).unwrap();
    assert!(talk.rest().contains("\r\n250 2.0.0 Safe as "));
    let after = tree(&server);
    let files: Vec<_> = after.iter().filter(|path| fs::metadata(path).unwrap().is_file()).collect();
    assert_eq!((files.len(), before.len()), (2, 0), "{after:?}");
}

#[test]
fn a_proxys_preamble_ends_the_session_and_one_log_line_says_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server =
        Server::start(&format!("(log: (console_level: \"off\", files: [({log:?}, \"info\")]))"));
    for preamble in [
        &b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 25\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\xdc\x04\0\x19",
    ] {
        let mut talk = server.connect();
        talk.send(&[preamble, b"EHLO x\r\nMAIL FROM:<a@x.org>\r\n"].concat());
        let replies = talk.rest();
        assert!(
            replies.ends_with("421 4.7.0 The PROXY protocol is not expected here, closing\r\n"),
            "{replies}"
        );
        assert!(!replies.contains("250"), "{replies}");
    }
    let mut server = server;
    assert_eq!(server.stop(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    for told in [
        "line=\"(a PROXY preamble, version 1) PROXY TCP4 192.0.2.7 ",
        "line=\"(a PROXY preamble, version 2)\"",
    ] {
        assert_eq!(text.matches(told).count(), 1, "{text}");
    }
}

#[test]
fn a_name_with_octets_above_127_is_printable_ascii_in_all_that_is_written_and_folders_stay_safe() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server =
        Server::start(&format!("(log: (console_level: \"off\", files: [({log:?}, \"debug\")]))"));
    for name in [&b"M\xc3\x9cLLER-PC"[..], b"M\xdcLLER(PC)"] {
        let mut talk = server.connect();
        talk.send(&[b"EHLO ", name, b"\r\n"].concat());
        talk.send(b"MAIL FROM:app@my_app_1.my_net\r\nRCPT TO:user@postman.local\r\nRCPT TO:<u@_Other_.server>\r\n");
        talk.send(b"DATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n");
        assert!(talk.rest().contains("250 2.0.0 Safe as "));
    }
    let (mailbox, queue) =
        (server.files("user/new"), server.files(".OTHER_SERVERS/_other_.server"));
    assert_eq!((mailbox.len(), queue.len()), (2, 2));
    let all = String::from_utf8([mailbox.concat(), queue.concat()].concat()).unwrap();
    assert!(all.contains("(helo=M??LLER-PC)") && all.contains("(helo=M?LLER\\(PC\\))"), "{all}");
    assert!(
        all.contains("X-Postman-Helo: M??LLER-PC\r\n")
            && all.contains("X-Postman-Helo: M?LLER(PC)\r\n"),
        "{all}"
    );
    let mut server = server;
    assert_eq!(server.stop(), Some(0));
    let text = all + &fs::read_to_string(&log).unwrap();
    assert!(
        text.bytes().all(|octet| matches!(octet, b'\t' | b'\r' | b'\n' | b' '..=b'~')),
        "{text}"
    );
}

#[test]
fn a_name_that_no_folder_can_have_is_refused_at_rcpt_and_the_longest_are_delivered() {
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.say("EHLO x", "250");
    // What is refused in a session need not be said to the sender of the rest.
    talk.say(&format!("MAIL FROM:<{}@x.org>", "s".repeat(894)), "250");
    talk.say(&format!("RCPT TO:<{}@postman.local>", "u".repeat(256)), "553 5.1.1");
    talk.say(&format!("RCPT TO:<u@{}>", "d".repeat(256)), "553 5.1.2");
    let (user, domain, long) = ("u".repeat(255), "d".repeat(255), "l".repeat(893));
    talk.say(&format!("RCPT TO:<{user}@postman.local>"), "250");
    talk.say(&format!("RCPT TO:<u@{domain}>"), "250");
    talk.say(&format!("RCPT TO:<{long}@x.org>"), "250");
    talk.say("DATA", "354");
    talk.say("Subject: x\r\n.", "250");
    for path in [
        format!("{user}/new"),
        format!(".OTHER_SERVERS/{domain}"),
        ".OTHER_SERVERS/x.org".to_owned(),
    ] {
        let files = server.files(&path);
        assert_eq!(files.len(), 1, "{path}");
        assert!(files[0].split(|octet| *octet == b'\n').all(|line| line.len() <= 999), "{path}");
    }
}

#[test]
fn hostile_text_is_one_bounded_line_of_the_log_without_quotes_or_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = Server::start(&format!(
        "(log: (console_level: \"off\", files: [({:?}, \"debug\")]))",
        log.display().to_string()
    ));
    let hostile = [
        "x\" code=250 line=\"\r\n".to_owned(),
        "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n".to_owned(),
        "2026-11-22 20:15:02 INFO  0001 message from=<> rcpts=1 size=1 result=250\r\n".to_owned(),
        "NOOP\0\n".to_owned(),
        format!("\\x0a{}\r\n", "\u{fc}\"".repeat(50_000)),
        "EHLO ;rm\"\\\r\nMAIL FROM:<\"\\\" result=250 \"@x.org>\r\nRCPT TO:<\"\\\" \"@postman.local>\r\nDATA\r\nx\r\n.\r\n".to_owned(),
    ];
    for text in &hostile {
        let mut talk = server.connect();
        talk.send(text.as_bytes());
        talk.send(b"QUIT\r\n");
        talk.rest();
    }
    assert_eq!(server.stop(), Some(0));
    let log = fs::read(&log).unwrap();
    assert!(
        log.iter().all(|octet| matches!(octet, b'\n' | b' '..=b'~')),
        "the log has control characters"
    );
    let log = String::from_utf8(log).unwrap();
    for line in log.lines() {
        assert!(line.len() < 256 * 4 + 200, "{} octets in a line", line.len());
        // Of quotes that are not escaped there are pairs.
        let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        assert_eq!(quotes % 2, 0, "{line}");
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        assert!(matches!(words[2], "INFO" | "DEBUG" | "WARN" | "ERROR"), "{line}");
    }
    assert_eq!(log.matches(" refused code=500 line=\"").count(), 5, "{log}");
    // The one message that arrived is the one that is logged.
    let messages: Vec<_> = log
        .lines()
        .filter(|line| line.split('"').next().unwrap().contains(" message id="))
        .collect();
    assert_eq!(messages.len(), 1, "{log}");
}

/// Garbage without an end of line, as much as it likes: little is held, and the client is not
/// heard again until the line has its end.
#[test]
fn a_line_without_end_is_swallowed() {
    let server = Server::start("()");
    let mut talk = server.connect();
    for _ in 0..200 {
        talk.send(&b"Q".repeat(65536));
    }
    talk.send(b"\r\nQUIT\r\n");
    talk.expect("500 5.5.2 Line too long");
    talk.expect("221");
}

/// Each dialogue, cut off after any of its lines.
#[test]
fn a_dialogue_cut_off_anywhere_leaves_a_server_that_serves() {
    let mut server = Server::start("(users: Listed([\"b\", \"c\"]))");
    for dialogue in Dialogue::all() {
        let octets: Vec<u8> = dialogue
            .pipelined()
            .into_iter()
            .flat_map(|act| if let Act::Octets(octets) = act { octets } else { Vec::new() })
            .collect();
        for part in 1..4 {
            let talk = server.connect();
            let mut stream = talk.stream();
            // The server may have closed already: so much the better.
            let _ = stream.write_all(&octets[..octets.len() * part / 4]);
        }
    }
    let mut talk: Talk = server.connect();
    talk.say("NOOP", "250");
    assert_eq!(server.stop(), Some(0));
    for folder in ["b/tmp", "c/tmp"] {
        assert!(server.files(folder).is_empty());
    }
}
