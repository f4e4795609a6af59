//! A server that misbehaves, seen by a client at its socket: waits, cuts, resets, pieces, and what
//! is in the mailboxes after them.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{PAGE_PATH, Server, postman, wait_until};

const PLAIN: &str = "()";

fn fault(attributes: &str) -> String {
    format!("fault = {{ says = 'x'; {attributes} }};\n")
}

/// All that comes, and how the connection ended.
pub(crate) fn rest(mut stream: &TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut octets, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (octets, None),
            Ok(taken) => octets.extend_from_slice(&piece[..taken]),
            Err(error) => return (octets, Some(error.kind())),
        }
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

#[test]
fn a_late_greeting_is_late_to_the_moment_and_nobody_else_waits() {
    let server = Server::start_with_faults(&fault("path = ''; wait = '2s'; first = 1;"), PLAIN);
    let start = Instant::now();
    let mut late = server.connect_quietly();
    // The first is met before the second connects: clients are accepted one after the other.
    wait_until("the first client's session", || server.clients() == 1);
    thread::sleep(Duration::from_millis(100));
    let second = Instant::now();
    server.connect().deliver();
    assert!(second.elapsed() < Duration::from_millis(1500), "{:?}", second.elapsed());
    late.expect("220");
    let waited = start.elapsed();
    assert!((1_990..2_600).contains(&waited.as_millis()), "{waited:?}");
    late.deliver();
}

/// The least of some tries is looked at: the machine may be busy.
#[test]
fn who_hangs_up_ends_the_wait_also_behind_octets_that_were_not_read() {
    let server = Server::start_with_faults(&fault("path = '.* HELO'; wait = '1h';"), PLAIN);
    for text in ["HELO x\r\n".to_owned(), format!("HELO x\r\n{}", "NOOP\r\n".repeat(15_000))] {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let talk = server.connect();
            let mut stream = talk.stream().try_clone().unwrap();
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(text.as_bytes());
            assert_eq!(server.clients(), 1, "it has greeted");
            thread::sleep(Duration::from_millis(50));
            drop((talk, stream));
            let start = Instant::now();
            while server.clients() > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            least = least.min(start.elapsed());
        }
        assert!(least < Duration::from_millis(100), "{least:?} after {} octets", text.len());
    }
}

#[test]
fn sigterm_ends_a_wait_within_a_second_and_what_was_promised_is_said() {
    let faults = fault("path = '.* [HELO END]'; wait = '1h'; over = '1 in 1h'; each = session;");
    let mut server = Server::start_with_faults(&faults, PLAIN);
    let mut talk = server.connect();
    talk.send(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
    for code in ["250", "250", "250", "354"] {
        talk.expect(code);
    }
    talk.send(b"x\r\n.\r\n");
    wait_until("the message", || server.files("user/new").len() == 1);
    let mut other = server.connect();
    other.say("HELO x", "250");
    other.send(b"HELO x\r\n");
    // Nothing shows from outside that the wait has begun.
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    server.signal();
    // The message is stored, and its answer is no longer held back.
    talk.expect("250");
    talk.expect("421");
    other.expect("250");
    other.expect("421");
    drop((talk, other));
    assert_eq!(server.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_thousand_waiting_sessions_cost_no_more_than_idle_ones() {
    let config = "(connections_max: 4000, connections_per_address_max: 4000, connects_per_second_max: 4000, worker_threads: 1)";
    let server = Server::start_with_faults(&fault("path = '.* NOOP NOOP'; wait = '1h';"), config);
    let threads = || fs::read_dir(server.proc("task")).unwrap().count();
    let mut clients: Vec<_> = (0..1_000).map(|_| server.connect()).collect();
    // An idle client has spoken, too.
    for client in &mut clients {
        client.say("NOOP", "250");
    }
    let (idle, before) = (server.memory_kib(), threads());
    for client in &mut clients {
        client.send(b"NOOP\r\n");
    }
    // A wait is a timer: nothing shows it from outside, but that another client is served after it.
    server.connect().say("RSET", "250");
    thread::sleep(Duration::from_millis(500));
    let waiting = server.memory_kib();
    assert_eq!(threads(), before);
    assert!(waiting < idle + 2_000, "{waiting} KiB and idle {idle} KiB, for 1,000 sessions");
}

#[test]
fn so_many_octets_leave_and_then_the_end_is_as_it_was_asked_for() {
    for (end, expected) in [("close", None), ("reset", Some(ErrorKind::ConnectionReset))] {
        let faults = fault(&format!("path = '.* EHLO'; cut = 20; end = {end};"));
        let server = Server::start_with_faults(&faults, PLAIN);
        let mut talk = server.connect();
        talk.send(b"EHLO x\r\n");
        let stream = talk.stream().try_clone().unwrap();
        let (octets, ended) = rest(&stream);
        assert_eq!((octets.as_slice(), ended), (&b"250-postman.local\r\n2"[..], expected), "{end}");
    }
}

#[test]
fn a_reset_at_the_greeting_is_one() {
    let server = Server::start_with_faults(&fault("path = ''; cut = 0; end = reset;"), PLAIN);
    let (octets, ended) = rest(&connect(&server));
    assert_eq!((octets.len(), ended), (0, Some(ErrorKind::ConnectionReset)));
}

#[test]
fn a_connection_that_hangs_stays_open_and_says_nothing() {
    let mut server =
        Server::start_with_faults(&fault("path = '.* MAIL'; cut = 4; end = hang;"), PLAIN);
    let mut talk = server.connect();
    talk.say("HELO x", "250");
    talk.send(b"MAIL FROM:<>\r\nNOOP\r\nNOOP\r\n");
    let mut stream = talk.stream().try_clone().unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let (octets, ended) = rest(&stream);
    assert_eq!((octets.as_slice(), ended), (&b"250 "[..], Some(ErrorKind::WouldBlock)));
    // It is open: what is written is taken.
    stream.write_all(b"NOOP\r\n").unwrap();
    let start = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn an_answer_in_pieces_has_its_gaps() {
    let faults = fault("path = '.* NOOP'; reply = '250 ok'; pace = '3 octets, 100ms';");
    let server = Server::start_with_faults(&faults, PLAIN);
    let talk = server.connect();
    let mut stream = talk.stream().try_clone().unwrap();
    stream.write_all(b"NOOP\r\n").unwrap();
    let (mut octets, mut pieces, start) = (Vec::new(), Vec::new(), Instant::now());
    while octets.len() < 8 {
        let mut piece = [0; 64];
        let taken = stream.read(&mut piece).unwrap();
        octets.extend_from_slice(&piece[..taken]);
        pieces.push((taken, start.elapsed()));
    }
    assert_eq!(octets, b"250 ok\r\n");
    assert_eq!(pieces.iter().map(|(taken, _)| *taken).collect::<Vec<_>>(), [3, 3, 2]);
    let all = pieces[2].1;
    assert!((195..600).contains(&all.as_millis()), "{pieces:?}");
}

fn send(server: &Server, subject: &str, dot: &str) -> (String, Option<ErrorKind>) {
    let mut talk = server.connect();
    talk.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
    for code in ["250", "250", "250", "354"] {
        talk.expect(code);
    }
    talk.send(format!("Message-ID: <1@x.org>\r\nSubject: {subject}\r\n\r\nx\r\n{dot}").as_bytes());
    let (octets, ended) = rest(&talk.stream().try_clone().unwrap());
    (String::from_utf8(octets).unwrap(), ended)
}

#[test]
fn the_answer_is_lost_and_the_message_comes_twice() {
    let faults = include_str!("../../faults/answer-lost.def");
    let server = Server::start_with_faults(faults, PLAIN);
    assert_eq!(send(&server, "x", ".\r\n"), (String::new(), None));
    assert!(send(&server, "x", ".\r\nQUIT\r\n").0.starts_with("250 2.0.0 Safe as"));
    let files = server.files("user/new");
    assert_eq!(files.len(), 2);
    let body =
        |file: &[u8]| String::from_utf8_lossy(file).split("Message-ID").nth(1).unwrap().to_owned();
    assert_eq!(body(&files[0]), body(&files[1]));
}

#[test]
fn what_is_refused_after_the_dot_or_cut_off_in_content_is_not_stored() {
    let faults = include_str!("../../faults/spam-after-the-dot.def");
    let server = Server::start_with_faults(faults, PLAIN);
    let (said, _) = send(&server, "a Lottery", ".\r\nQUIT\r\n");
    assert!(said.starts_with("554 5.7.1 Refused as spam\r\n221"), "{said}");
    assert!(server.files("user/new").is_empty());
    let faults = fault("path = '.* READ'; content = 20; end = reset;");
    let server = Server::start_with_faults(&faults, PLAIN);
    assert_eq!(send(&server, "x", "."), (String::new(), Some(ErrorKind::ConnectionReset)));
    assert!(server.files("user/new").is_empty() && server.files("user/tmp").is_empty());
}

#[test]
fn a_server_with_faults_warns_and_serves_beyond_this_machine_only_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.def");
    fs::write(&path, fault("path = ''; wait = '1s';")).unwrap();
    let (path, mail) = (path.to_str().unwrap(), folder.path().join("m"));
    let check = |listen: &str, more: &[&str]| {
        let all = [
            "check",
            "--states",
            PAGE_PATH,
            "--faults",
            path,
            "--maildir",
            mail.to_str().unwrap(),
            "--listen",
            listen,
        ];
        let output = postman(&[&all, more].concat());
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout) + &text(output.stderr))
    };
    let (code, said) = check("127.0.0.1:0", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("  faults      1 of {path}\n")), "{said}");
    assert!(said.contains("misbehaves as it is told to"), "{said}");
    let (code, said) = check("0.0.0.0:0", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("postman: cannot serve with faults on 0.0.0.0:"), "{said}");
    assert!(said.contains("--faults-anywhere"), "{said}");
    // Root may then serve on loopback only, for another reason.
    let (_, said) = check("0.0.0.0:0", &["--faults-anywhere"]);
    assert!(!said.contains("--faults-anywhere"), "{said}");
    fs::write(path, fault("path = '.* DATA MAIL'; wait = '1s';")).unwrap();
    let (code, said) = check("127.0.0.1:0", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("f.def:1:30: error: no conversation is as `path` says"), "{said}");
}

#[test]
fn the_tools_show_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.def");
    fs::write(&path, super::faults::NINE).unwrap();
    let whole = folder.path().join("whole.def");
    fs::write(&whole, format!("{}{}", crate::peer::PAGE, super::faults::NINE)).unwrap();
    let (path, whole) = (path.to_str().unwrap(), whole.to_str().unwrap());
    let page = crate::rig::PAGE_PATH;
    let out = |arguments: &[&str]| {
        let output = postman(&[&["fsm"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let check = out(&["check", page, "--faults", path]);
    assert!(check.contains("fault  the second recipient is put off, once\n"), "{check}");
    assert!(check.contains("fires at HELO MAIL RCPT RCPT, once\n"), "{check}");
    let table = out(&["table", page, "--faults", path]);
    assert!(table.contains("begin_transaction !"), "{table}");
    assert!(table.contains("! fault: a late greeting ((the greeting))"), "{table}");
    assert_eq!(table, out(&["table", whole]));
    assert!(out(&["svg", whole]).contains("fault: a late greeting"));
    assert!(out(&["table", whole, "--format", "json"]).contains("\"faults\": [\n"));
    let explained = out(&["explain", page, "client_init", "MAIL", "--faults", path]);
    assert!(explained.contains("faults that may fire here:\n"), "{explained}");
    assert!(
        explained.contains("no more than ten mails a minute: fires at HELO MAIL, beyond 10 in 60s"),
        "{explained}"
    );
    let diff = out(&["diff", page, whole]);
    assert!(diff.contains("the fault \"a late greeting\" is new:\n"), "{diff}");
    assert!(diff.ends_with("9 differences\n"), "{diff}");
}
