//! The log answers an operator's questions: did my mail arrive, why was it refused, who said what.

use std::fs;
use std::path::{Path, PathBuf};

use postman::dialogue::{Dialogue, Peer};

use crate::rig::{Server, Talk, wait_until};

struct Logged {
    server: Server,
    folder: tempfile::TempDir,
}

impl Logged {
    fn start(keys: &str, level: &str) -> Self {
        Self::start_by(crate::rig::PAGE_PATH.as_ref(), keys, level)
    }

    fn start_by(definition: &Path, keys: &str, level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let config = format!(
            "({keys} log: (console_level: \"off\", files: [(\"{}\", \"{level}\")]))",
            log.display()
        );
        Self { server: Server::start_by(Some(definition), &config, ":"), folder }
    }

    /// Stops the server; its log, without the times.
    fn end(mut self) -> (Vec<String>, Server) {
        assert_eq!(self.server.stop(), Some(0));
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        let line = |line: &str| {
            let (time, rest) = line.split_at("2026-11-28 03:09:14.123 ".len());
            let form = time.replace(|digit: char| digit.is_ascii_digit(), "0");
            assert_eq!(form, "0000-00-00 00:00:00.000 ", "{line}");
            let (level, rest) = rest.split_at(6);
            assert!(["ERROR ", "WARN  ", "INFO  ", "DEBUG ", "TRACE "].contains(&level), "{line}");
            rest.to_owned()
        };
        (log.lines().map(line).collect(), self.server)
    }
}

fn one<'a>(lines: &'a [String], begin: &str) -> &'a str {
    let found: Vec<_> = lines.iter().filter(|line| line.starts_with(begin)).collect();
    assert_eq!(found.len(), 1, "{begin}: {lines:#?}");
    found[0]
}

fn envelope(talk: &mut Talk, recipients: &[&str]) {
    talk.say("EHLO x", "250");
    talk.say("MAIL FROM:<a@x.org>", "250");
    for recipient in recipients {
        talk.say(&format!("RCPT TO:<{recipient}>"), "250");
    }
    talk.say("DATA", "354");
}

/// The recipients of a line, each with its file.
fn destinations(line: &str) -> Vec<(String, PathBuf)> {
    let groups = line.split(" to=").skip(1).map(|group| group.split_once(" file=").unwrap());
    let each = groups.flat_map(|(to, file)| {
        to.split(',').map(move |to| (to.trim_matches(['<', '>']).to_owned(), PathBuf::from(file)))
    });
    each.collect()
}

#[test]
fn the_line_of_a_message_names_each_recipient_with_its_file_and_the_message_id() {
    let logged = Logged::start("", "info");
    let mut talk = logged.server.connect();
    envelope(
        &mut talk,
        &["user@postman.local", "b@other.server", "\"odd, name\"@postman.local", "c@other.server"],
    );
    talk.say(
        "Subject: x\r\nMessage-ID:\r\n <\"quoted\"@x.org>\r\n\r\nMessage-ID: <not@this>\r\n.",
        "250",
    );
    talk.say("QUIT", "221");
    let (lines, server) = logged.end();
    let line = one(&lines, "0001 message ");
    let head = "0001 message id=0001-1 from=<a@x.org> rcpts=4 size=70 message_id=\"<\\\"quoted\\\"@x.org>\" result=250 to=";
    assert!(line.starts_with(head), "{line}");
    let found = line.matches(" file=").count();
    assert_eq!(found, 3, "{line}");
    assert!(
        line.contains(" to=<b@other.server>,<c@other.server> file=.OTHER_SERVERS/other.server/"),
        "{line}"
    );
    assert!(line.contains(" to=<user@postman.local> file=user/new/"), "{line}");
    assert!(line.contains(" to=<\\\"odd, name\\\"@postman.local> file="), "{line}");
    for file in line.split(" file=").skip(1).map(|rest| rest.split(' ').next().unwrap()) {
        assert!(server.folder.path().join("maildir").join(file).is_file(), "{file}");
    }
    assert_eq!(one(&lines, "0001 disconnect"), "0001 disconnect");
}

#[test]
fn a_message_to_a_thousand_recipients_names_each_and_no_line_is_long() {
    let logged = Logged::start("recipients_max: 1000, recipients_per_session_max: 2000,", "info");
    let mut talk = logged.server.connect();
    let mailboxes = (0..100).map(|number| format!("user{number}@postman.local"));
    let recipients: Vec<_> =
        mailboxes.chain((0..900).map(|number| format!("user{number}@other.server"))).collect();
    envelope(&mut talk, &recipients.iter().map(String::as_str).collect::<Vec<_>>());
    talk.say("Subject: x\r\n\r\n.", "250");
    let (lines, server) = logged.end();
    assert!(one(&lines, "0001 message ").contains(" rcpts=1000 "));
    let about: Vec<_> = lines.iter().filter(|line| line.contains(" id=0001-1 ")).collect();
    let mut named: Vec<_> = about.iter().flat_map(|line| destinations(line)).collect();
    named.sort();
    for (_, file) in &named {
        assert!(server.folder.path().join("maildir").join(file).is_file(), "{}", file.display());
    }
    let mut expected = recipients;
    expected.sort();
    assert_eq!(named.into_iter().map(|(to, _)| to).collect::<Vec<_>>(), expected);
    assert!(lines.iter().all(|line| line.len() <= 1000), "{lines:#?}");
    assert!(about.len() < 100, "{} lines", about.len());
}

#[test]
fn each_refusal_is_one_in_the_log_with_the_words_of_its_reply() {
    let keys = "users: Listed([\"b\"]), message_bytes_max: 65536, errors_max: 3,";
    let logged = Logged::start(keys, "info");
    let mut talk = logged.server.connect();
    envelope(&mut talk, &["b@postman.local"]);
    talk.send(&b"0123456789abcd\r\n".repeat(5000));
    talk.say(".", "552");
    talk.say("MAIL FROM:<>", "250");
    talk.say("RCPT TO:<nobody@postman.local>", "550");
    talk.say("BDAT 1", "500");
    talk.say("BDAT 2", "500");
    talk.expect("421");
    let mut partly = logged.server.connect();
    envelope(&mut partly, &["b@postman.local"]);
    partly.send(b"Message-ID: <2@x.org>\r\n\r\nhalf a mess");
    partly.stream().shutdown(std::net::Shutdown::Write).unwrap();
    partly.rest();
    let (lines, _) = logged.end();
    let too_big = one(&lines, "0001 message id=0001-1 ");
    assert!(
        too_big.contains(" result=552 reply=\"5.3.4 ")
            && too_big.ends_with(" to=<b@postman.local>"),
        "{too_big}"
    );
    let unknown = "0001 refused code=550 line=\"RCPT TO:<nobody@postman.local>\" reply=\"5.1.1 No such user here\"";
    assert_eq!(one(&lines, "0001 refused code=550"), unknown);
    assert!(
        one(&lines, "0001 refused code=500 line=\"BDAT 2\"")
            .contains(" reply=\"5.5.1 Command unknown")
    );
    assert!(
        one(&lines, "0001 disconnect").starts_with("0001 disconnect code=421 reply=\"4.7.0 "),
        "{lines:#?}"
    );
    // What came in part was not taken.
    let none = "0002 message id=0002-1 from=<a@x.org> rcpts=1 size=36 message_id=\"<2@x.org>\" result=none to=<b@postman.local>";
    assert_eq!(one(&lines, "0002 message"), none);
}

#[test]
fn a_refusal_by_a_row_is_a_refusal_in_the_log() {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues/declining.def");
    let logged = Logged::start_by(&definition, "", "info");
    let mut talk = logged.server.connect();
    talk.say("EHLO client.example", "502");
    talk.say("RCPT TO:<b@postman.local>", "450");
    talk.say("QUIT", "221");
    let (lines, _) = logged.end();
    let refused: Vec<_> = lines.iter().filter(|line| line.contains(" refused ")).collect();
    let expected = [
        "0001 refused code=502 line=\"EHLO client.example\" reply=\"5.5.1 No extensions here, say HELO\"",
        "0001 refused code=450 line=\"RCPT TO:<b@postman.local>\" reply=\"4.2.1 The mailbox is busy\"",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn a_client_that_is_not_served_is_a_refusal_in_the_log() {
    let logged = Logged::start("refuse_from: [\"127.0.0.0/8\"],", "info");
    let mut talk = logged.server.connect_quietly();
    talk.expect("554");
    talk.say("QUIT", "221");
    let (lines, _) = logged.end();
    assert_eq!(
        one(&lines, "0001 refused"),
        "0001 refused code=554 line=\"(the connection)\" reply=\"No SMTP service for you here\""
    );
}

/// A program that reads the log finds the event in the same column of each line.
#[test]
fn each_line_has_a_session_or_a_dash_before_its_event() {
    let logged = Logged::start("nice: 0, sandbox: false,", "info");
    let mut talk = logged.server.connect();
    talk.deliver();
    logged.server.send_signal(rustix::process::Signal::HUP);
    let log = logged.folder.path().join("log");
    wait_until("the log's reopening", || {
        fs::read_to_string(&log).unwrap().contains(" logs reopened\n")
    });
    // No file can be made in its folder's place.
    let moved = logged.folder.path().join("moved");
    fs::rename(&log, &moved).unwrap();
    fs::create_dir(&log).unwrap();
    logged.server.send_signal(rustix::process::Signal::HUP);
    wait_until("a line that says so", || {
        fs::read_to_string(&moved).unwrap().contains(" ERROR - cannot reopen the log ")
    });
    fs::remove_dir(&log).unwrap();
    fs::rename(&moved, &log).unwrap();
    let (lines, _) = logged.end();
    for line in &lines {
        let who = line.split(' ').next().unwrap();
        assert!(who == "-" || who.len() == 4, "{line}");
    }
    assert_eq!(lines.iter().filter(|line| *line == "- logs reopened").count(), 1, "{lines:#?}");
}

#[test]
fn a_full_disk_is_logged_with_the_key_and_the_folder() {
    let logged = Logged::start("free_bytes_min: 9000000000000000000,", "info");
    let mut talk = logged.server.connect();
    talk.say("HELO x", "250");
    talk.say("MAIL FROM:<a@x.org>", "452");
    let folder = logged.server.folder.path().join("maildir");
    let (lines, _) = logged.end();
    let line = one(&lines, "0001 store ");
    let end = format!(" free_bytes_min=9000000000000000000 maildir_path=\"{}\"", folder.display());
    assert!(line.starts_with("0001 store error=\"only ") && line.ends_with(&end), "{line}");
}

#[test]
fn what_the_store_attempted_is_logged_with_its_folder() {
    let logged = Logged::start("", "info");
    let root = logged.server.folder.path().join("maildir");
    std::fs::write(root.join("b"), "not a mailbox").unwrap();
    let error = std::fs::File::open(root.join("b/tmp")).unwrap_err();
    let mut talk = logged.server.connect();
    talk.say("HELO x", "250");
    talk.say("MAIL FROM:<a@x.org>", "250");
    talk.say("RCPT TO:<b@postman.local>", "250");
    talk.say("DATA", "354");
    talk.say("Subject: x\r\n\r\nx\r\n.", "451");
    let (lines, _) = logged.end();
    let expected = format!(
        "0001 store error=\"{error}\" doing=open_folder folder=\"b\" maildir_path=\"{}\"",
        root.display()
    );
    assert_eq!(one(&lines, "0001 store "), expected);
}

/// What a trace wrote, as docs/running.md takes it out of a log.
fn dialogue(lines: &[String], id: &str) -> String {
    let begin = format!("{id} ");
    lines
        .iter()
        .filter_map(|line| line.strip_prefix(&begin))
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[test]
fn a_trace_is_a_dialogue_that_plays() {
    let keys = "users: Listed([\"b\"]), relay_from: [], message_bytes_max: 65536, domain: \"example.org\", timer: 1,
                line_bytes_max: 600, syntax: Lenient,";
    let logged = Logged::start(keys, "trace");
    let sessions: &[&[u8]] = &[
        b"EHLO client.example\r\nNOOP\r\nHELP\r\nQUIT\r\n",
        b"HELO M\xdcLLER-PC\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n\
          RCPT TO:<x@other.server>\r\nDATA\r\nSubject: x\r\n\r\n..dots\r\n.\r\nVRFY b\r\nQUIT\r\n",
        b"\r\n \r\nNOOP x * 3\r\nNO\\OP * 2\r\nQUIT\nNO\0OP * 2\r\nRSET\tx\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\na\nb\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nhalf",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for octets in sessions {
        let mut talk = logged.server.connect();
        talk.send(octets);
        talk.stream().shutdown(std::net::Shutdown::Write).unwrap();
        talk.rest();
    }
    let mut long = logged.server.connect();
    long.send(&[&b"NOOP ".repeat(500)[..], b"\r\nNOOP\r\n"].concat());
    long.expect("500");
    long.expect("250");
    // Silence, and then the server stops.
    assert!(long.expect("421").starts_with("421 4.4.2"));
    assert!(long.is_closed());
    let mut idle = logged.server.connect();
    idle.say("NOOP", "250");
    logged.server.signal();
    idle.expect("421");
    let (lines, _) = logged.end();
    // No content, and the arguments.
    assert!(!lines.iter().any(|line| line.contains("dots") || line.contains("half")), "{lines:#?}");
    let all = sessions.len() + 2;
    for number in 1..=all {
        let id = format!("{number:04x}");
        let traced: Vec<_> = lines.iter().filter(|line| !is_event(line, &id)).cloned().collect();
        let text = dialogue(&traced, &id);
        let dialogue = Dialogue::parse(&text).unwrap_or_else(|failure| panic!("{failure}\n{text}"));
        let played = dialogue
            .play(&mut Peer::new(&dialogue.config().unwrap(), crate::peer::page()), |most| most);
        assert_eq!(played, Ok(()), "{text}");
    }
    let second = dialogue(&lines, "0002");
    for line in [
        "! domain: \"example.org\"\n",
        "O: HELO M\\xdcLLER-PC\\r\\n\n",
        "* verdict unknown\nC: RCPT TO:<c@example.org>\nS: 550 5.1.1 No such user here\n",
        "# 21 octets of content\nC: .\nS: 250 2.0.0\n# 250 2.0.0 Safe as 0002-1\n",
    ] {
        assert!(second.contains(line), "{line}\n{second}");
    }
}

/// Whether a line is one of the levels above trace.
fn is_event(line: &str, id: &str) -> bool {
    let rest = line.strip_prefix(id).map(str::trim_start).unwrap_or_default();
    !["! ", "S:", "C:", "O:", "* ", "# "].iter().any(|mark| rest.starts_with(mark))
}
