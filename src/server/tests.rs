//! The server in this process, with what cannot be had from outside: a panic in a session, and
//! a disk that waits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use async_io::Async;

use super::accept::serve_client;
use super::*;
use crate::maildir::gate::{self, Gate};
use crate::smtp::machine::of_the_tests;
use crate::smtp::vocabulary::VOCABULARY;

struct Running {
    exchange: Exchange,
    address: SocketAddr,
    watch: Arc<Watch>,
    thread: JoinHandle<Result<Why, String>>,
    folder: tempfile::TempDir,
}

fn start(config: &str, gate: Gate) -> Running {
    start_with(config, gate, serve)
}

fn start_with(config: &str, gate: Gate, serve: Serve) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse(config).unwrap();
    (config.port, config.maildir_path) = (0, folder.path().to_owned());
    let store = gate::open(options(&config), gate).unwrap();
    let listener = opened(&config);
    let address = listener.opened.tcp.unwrap();
    let server = Server::with(config, vec![listener], None, store, serve);
    let (watch, exchange) = (Arc::clone(&server.shared.watch), server.exchange());
    let thread = thread::spawn(move || server.run(&|| {}, || {}));
    Running { exchange, address, watch, thread, folder }
}

/// The listener of a configuration that has one, and what it serves without a certificate.
fn opened(config: &Config) -> Serving {
    let opened = listeners::open(config).unwrap().listeners.pop().unwrap();
    Serving { opened, served: served(), may_misbehave: true }
}

/// The tests' own page, as a listener serves it without a certificate.
pub(super) fn served() -> Served {
    let source = include_str!("../../tests/smtp-states.def");
    let definition = crate::autofsm::compile(source, Some(&VOCABULARY)).definition.unwrap();
    Served {
        machine: kept(of_the_tests()),
        definition: Arc::new(definition),
        page: Arc::default(),
        faults: None,
        faults_text: None,
        played_by: String::new(),
    }
}

struct Talk(BufReader<TcpStream>);

impl Running {
    fn connect(&self) -> Talk {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut talk = Talk(BufReader::new(stream));
        talk.expect("220");
        talk
    }

    fn stop(&self) {
        self.watch.stop();
    }

    fn delivered(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("user/new")).map_or(0, Iterator::count)
    }
}

impl Talk {
    fn say(&mut self, line: &str, reply: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.expect(reply);
    }

    fn expect(&mut self, reply: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.starts_with(reply), "expected {reply}, got {line:?}");
    }

    fn send_a_message(&mut self, code_of_the_dot: Option<&str>) {
        self.say("HELO x", "250");
        self.say("MAIL FROM:<a@x.org>", "250");
        self.say("RCPT TO:<user@postman.local>", "250");
        self.say("DATA", "354");
        self.0.get_mut().write_all(b"Subject: x\r\n\r\nx\r\n.\r\n").unwrap();
        if let Some(code) = code_of_the_dot {
            self.expect(code);
        }
    }
}

/// Serves every client but the first one, and panics at that one's first octets.
fn panic_at_the_first<'a>(
    shared: &'a Shared,
    terms: &'a Terms,
    mut socket: &'a Socket,
    client: Client,
    log: &'a mut SessionLog,
) -> Session<'a> {
    if client.id != "0001" {
        return serve(shared, terms, socket, client, log);
    }
    Box::pin(async move {
        socket.write_all(b"220 a broken session\r\n")?;
        socket.readable().await?;
        panic!("the test wants it");
    })
}

#[test]
fn a_panic_ends_one_session_with_421_and_breaks_no_other_s_commit() {
    let gate = Gate::default();
    let server = start_with("()", gate.clone(), panic_at_the_first);
    let (mut broken, mut idle, mut sending) =
        (server.connect(), server.connect(), server.connect());
    sending.send_a_message(None);
    gate.is_reached();
    broken.say("PANIC", "421 4.3.0");
    gate.open();
    sending.expect("250 2.0.0");
    idle.say("NOOP", "250");
    server.connect().send_a_message(Some("250"));
    assert_eq!(server.delivered(), 2);
    server.stop();
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
}

#[test]
fn stopping_waits_for_the_message_whose_dot_was_received_and_answers_it() {
    let gate = Gate::default();
    let server = start("(stop_seconds_max: 60)", gate.clone());
    let (mut sending, mut content) = (server.connect(), server.connect());
    content.say("HELO x", "250");
    content.say("MAIL FROM:<a@x.org>", "250");
    content.say("RCPT TO:<user@postman.local>", "250");
    content.say("DATA", "354");
    content.0.get_mut().write_all(b"half a mess").unwrap();
    sending.send_a_message(None);
    gate.is_reached();
    server.stop();
    content.expect("421 4.3.2");
    gate.open();
    sending.expect("250 2.0.0");
    sending.expect("421 4.3.2");
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
    assert_eq!(std::fs::read_dir(server.folder.path().join("user/new")).unwrap().count(), 1);
}

/// Linux delays an acknowledgement by 40 ms at least. The fastest of many writes is looked at,
/// since a busy machine delays any of them.
#[test]
fn a_client_with_nagles_algorithm_on_does_not_wait_for_an_acknowledgement() {
    let gate = Gate::default();
    gate.open();
    let server = start("()", gate);
    let mut talk = server.connect();
    talk.say("HELO x", "250");
    let fastest = |talk: &mut Talk, pieces: &[&str], reply: &str, between: &[(&str, &str)]| {
        let send = |_| {
            for (line, reply) in between {
                talk.say(line, reply);
            }
            let begun = std::time::Instant::now();
            for piece in pieces {
                talk.0.get_mut().write_all(piece.as_bytes()).unwrap();
            }
            talk.expect(reply);
            begun.elapsed()
        };
        (0..30).map(send).min().unwrap()
    };
    // The first segments of a connection are acknowledged at once by every system.
    for _ in 0..50 {
        talk.say("NOOP", "250");
    }
    let command = fastest(&mut talk, &["NO", "OP", "\r\n"], "250", &[]);
    let envelope =
        [("MAIL FROM:<a@x.org>", "250"), ("RCPT TO:<user@postman.local>", "250"), ("DATA", "354")];
    let message =
        fastest(&mut talk, &["Subject: x\r\n\r\n", "x\r\n", ".\r\n"], "250 2.0.0", &envelope);
    assert!(command < Duration::from_millis(40), "{command:?}");
    assert!(message < Duration::from_millis(40), "{message:?}");
    server.stop();
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
}

#[test]
fn stopping_ends_though_the_disk_never_answers() {
    let gate = Gate::default();
    let server = start("(stop_seconds_max: 1)", gate.clone());
    let mut sending = server.connect();
    sending.send_a_message(None);
    gate.is_reached();
    server.stop();
    // Nothing was promised: the gate is closed still, and the client hears nothing.
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
    let mut line = String::new();
    assert_eq!(sending.0.read_line(&mut line).unwrap_or(0), 0, "{line}");
    gate.open();
}

#[test]
fn with_as_many_waiting_for_the_disk_as_may_the_next_is_told_to_come_again() {
    let gate = Gate::default();
    let server = start("(commits_waiting_max: 2)", gate.clone());
    let (mut first, mut second, mut third) = (server.connect(), server.connect(), server.connect());
    first.send_a_message(None);
    gate.is_reached();
    // One waits, two may: this one is let in.
    second.say("HELO x", "250");
    second.say("MAIL FROM:<a@x.org>", "250");
    second.say("RCPT TO:<user@postman.local>", "250");
    second.say("DATA", "354");
    second.0.get_mut().write_all(b".\r\n").unwrap();
    third.say("HELO x", "250");
    // Its commit is counted before it is answered, which cannot be seen from outside sooner.
    let refused = (0..1000).find(|_| {
        third.0.get_mut().write_all(b"RSET\r\nMAIL FROM:<a@x.org>\r\n").unwrap();
        let mut line = String::new();
        third.expect("250");
        third.0.read_line(&mut line).unwrap();
        assert!(line.starts_with("250") || line.starts_with("452 4.3.2"), "{line}");
        line.starts_with("452")
    });
    assert!(refused.is_some());
    gate.open();
    first.expect("250");
    second.expect("250");
    third.say("MAIL FROM:<a@x.org>", "250");
    server.stop();
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
}

#[test]
fn an_idle_connection_holds_no_buffer_and_less_than_four_kib() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse("()").unwrap();
    (config.port, config.maildir_path) = (0, folder.path().to_owned());
    let store = gate::open(options(&config), Gate::default()).unwrap();
    let opened = opened(&config);
    let stream = TcpStream::connect(opened.opened.tcp.unwrap()).unwrap();
    let address = Some(IpAddr::from([127, 0, 0, 1]));
    let server = Server::with(config, vec![opened], None, store, serve);
    let (shared, terms) = (server.shared, server.listeners[0].1.get());
    let admitted = shared.admission.admit(address, true, 0).unwrap();
    let socket = Socket::Tcp(Arc::new(Async::new(stream).unwrap()));
    let task =
        serve_client(Arc::clone(&shared), Arc::clone(&terms), socket.clone(), address, admitted);
    let client =
        Client { id: String::new(), address, local: address, may_relay: true, refused: false };
    let mut log = SessionLog::new(&client, &terms, None, dialogues::Kept::nowhere());
    let serving = connection::serve(&shared, &terms, &socket, client, &mut log);
    assert!(size_of_val(&task) + size_of_val(&serving) < 4096);
}

#[test]
fn a_disk_that_hangs_stops_those_who_wait_for_it_and_nobody_else() {
    let gate = Gate::default();
    // One thread for the disk, and it hangs: the next message waits for it too.
    let server = start("(commits_waiting_max: 2, store_threads: 1)", gate.clone());
    let (mut first, mut second, mut other) = (server.connect(), server.connect(), server.connect());
    first.send_a_message(None);
    gate.is_reached();
    other.say("HELO x", "250");
    other.say("MAIL FROM:<a@x.org>", "250");
    other.say("RSET", "250");
    second.send_a_message(None);
    // The second's dot is on its way: MAIL is refused from when it is here on, and not before.
    loop {
        other.0.get_mut().write_all(b"MAIL FROM:<a@x.org>\r\n").unwrap();
        let mut line = String::new();
        other.0.read_line(&mut line).unwrap();
        if line.starts_with("452") {
            break;
        }
        assert!(line.starts_with("250"), "{line}");
        other.say("RSET", "250");
    }
    other.say("NOOP", "250");
    server.connect().say("HELO y", "250");
    gate.open();
    first.expect("250 2.0.0");
    second.expect("250 2.0.0");
    other.send_a_message(Some("250"));
    assert_eq!(server.delivered(), 3);
    server.stop();
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
}

#[test]
fn faults_are_put_while_it_runs_and_a_session_keeps_those_that_it_began_with() {
    let server = start("()", Gate::default());
    let fault = |code| {
        format!("fault = {{ says = 'x'; path = 'HELO'; first = 1; reply = '{code} 4.0.0 no'; }};")
    };
    let mut old = server.connect();
    assert_eq!(server.exchange.put_faults(Some(&fault(450))), Ok(1));
    old.say("HELO x", "250");
    let mut second = server.connect();
    second.say("HELO x", "450");
    second.say("HELO x", "250");
    let now = server.exchange.now();
    assert_eq!((now.len(), now[0].generation), (1, 1));
    assert_eq!(now[0].definition.faults.len(), 1);
    assert_eq!(now[0].source.as_deref(), Some(fault(450).as_str()));
    assert_eq!(server.exchange.faults()[0].report()[0].fired, 1);
    // Counts begin at nought with a new exchange.
    server.exchange.reset_faults();
    server.connect().say("HELO x", "450");
    let Err(NotTaken::Findings(said)) =
        server.exchange.put_faults(Some("fault = { says = 'x'; path = 'HELQ'; reply = 450; };"))
    else {
        panic!("it was taken")
    };
    assert!(said.starts_with("faults:1:") && said.contains("did you mean `HELO`?"), "{said}");
    server.connect().say("HELO x", "250");
    assert!(server.exchange.put_faults(None).is_ok());
    assert!(server.exchange.faults().is_empty());
    server.connect().say("HELO x", "250");
    server.stop();
    assert_eq!(server.thread.join().unwrap(), Ok(Why::Told));
}
