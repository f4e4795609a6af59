//! Every limit at its last good value and one past it. Those of the store and of the door
//! (per address, per network, a second) have theirs beside their code.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postman::config::Config;
use postman::smtp::session::{Input, Limits};

use crate::peer::Peer;
use crate::rig::{Server, skip};

fn within(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

/// What a session says to these octets, without the greeting.
fn said(config: &Config, octets: &str) -> String {
    let mut peer = Peer::new(config);
    peer.said.clear();
    peer.give(Input::Octets(octets.as_bytes()));
    String::from_utf8(std::mem::take(&mut peer.said)).unwrap()
}

fn count(text: &str, begin: &str) -> usize {
    text.lines().filter(|line| line.starts_with(begin)).count()
}

const BEGIN: &str = "HELO x\r\nMAIL FROM:<a@x.org>\r\n";

#[test]
fn commands_a_session() {
    let limit = within(Limits { commands_max: 5, ..Limits::default() });
    assert_eq!(said(&limit, &"NOOP\r\n".repeat(5)), "250 2.0.0 OK\r\n".repeat(5));
    let text = said(&limit, &"NOOP\r\n".repeat(7));
    assert!(text.ends_with("421 4.7.0 Too many commands in one session, come again\r\n"), "{text}");
    assert_eq!((count(&text, "250"), count(&text, "421")), (5, 1));
}

#[test]
fn errors_a_session() {
    let limit = within(Limits { errors_max: 3, ..Limits::default() });
    assert_eq!(count(&said(&limit, &"X\r\n".repeat(2)), "421"), 0);
    let text = said(&limit, &"X\r\n".repeat(3));
    assert!(text.ends_with("421 4.7.0 Too many errors, closing\r\n"), "{text}");
}

/// `errors_max` counts errors in a row. Who has a command succeed between them is ended all the
/// same.
#[test]
fn errors_with_a_success_between_them_end_at_the_bound_of_commands() {
    let limits = Limits::default();
    let text = said(
        &within(limits),
        &("X\r\n".repeat(limits.errors_max - 1) + "NOOP\r\n")
            .repeat(limits.commands_max / limits.errors_max + 1),
    );
    assert!(text.ends_with("421 4.7.0 Too many commands in one session, come again\r\n"), "{text}");
    assert_eq!(count(&text, "500") + count(&text, "250"), limits.commands_max);
    assert_eq!(count(&text, "250"), limits.commands_max / limits.errors_max);
    let limit = within(Limits { commands_max: 101, ..Limits::default() });
    let text = said(&limit, &"NOOP\r\nX\r\n".repeat(200));
    assert_eq!((count(&text, "250"), count(&text, "500"), count(&text, "421")), (51, 50, 1));
}

#[test]
fn recipients_a_message_and_a_session() {
    let limit =
        within(Limits { recipients_max: 2, recipients_per_session_max: 3, ..Limits::default() });
    let rcpt = |names: &[&str]| {
        names
            .iter()
            .map(|name| ["RCPT TO:<", name, "@postman.local>\r\n"].concat())
            .collect::<Vec<_>>()
            .concat()
    };
    let text = said(&limit, &(BEGIN.to_owned() + &rcpt(&["a", "b", "A", "c"])));
    assert_eq!(
        (count(&text, "250"), count(&text, "452 4.5.3 Too many recipients, ")),
        (5, 1),
        "{text}"
    );
    let again = "RSET\r\nMAIL FROM:<a@x.org>\r\n";
    let text = said(&limit, &(BEGIN.to_owned() + &rcpt(&["a", "b"]) + again + &rcpt(&["c", "d"])));
    assert_eq!(
        (count(&text, "250"), count(&text, "452 4.5.3 Too many recipients in one session")),
        (7, 1),
        "{text}"
    );
}

#[test]
fn octets_a_line() {
    let limit = within(Limits { line_bytes_max: 512, ..Limits::default() });
    assert_eq!(count(&said(&limit, &format!("NOOP {}\r\n", "x".repeat(505))), "250"), 1);
    assert_eq!(count(&said(&limit, &format!("NOOP {}\r\n", "x".repeat(506))), "500 5.5.2"), 1);
}

#[test]
fn octets_a_header_block_and_a_message() {
    let limit =
        within(Limits { header_bytes_max: 5000, message_bytes_max: 70_000, ..Limits::default() });
    let send = |content: &str| {
        let text = said(
            &limit,
            &format!("{BEGIN}RCPT TO:<a@postman.local>\r\nDATA\r\n{content}.\r\nNOOP\r\n"),
        );
        // Whatever becomes of the message, nothing of it was read as a command.
        assert_eq!(text.lines().count(), 6, "{text}");
        text.lines().nth(4).unwrap().to_owned()
    };
    let field = |octets: usize| format!("A: {}\r\n", "x".repeat(octets - 5));
    assert!(send(&format!("{}\r\nNOOP\r\n", field(4998))).starts_with("250"));
    assert!(send(&format!("{}\r\nNOOP\r\n", field(5001))).starts_with("552 5.3.4 Message header"));
    assert!(
        send(&format!("{}\r\nNOOP\r\n", "A: x\r\n".repeat(3000)))
            .starts_with("552 5.3.4 Message header")
    );
    let body = |octets: usize| format!("\r\n{}\r\n", "x".repeat(octets - 4));
    assert!(send(&body(70_000)).starts_with("250"));
    assert!(send(&body(70_001)).starts_with("552 5.3.4 Message too big"));
}

/// Sends one octet again and again until the server closes; returns what it said.
fn trickle(server: &Server, first: &str, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    let (mut text, mut piece) = (String::new(), [0; 1000]);
    for octet in octets.iter().cycle() {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => text += &String::from_utf8_lossy(&piece[..taken]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if stream.write_all(&[*octet]).is_err() {
            break;
        }
    }
    text
}

const DATA: &str = "HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n";

#[test]
fn a_command_that_trickles_in_holds_nothing_for_ever() {
    let server = Server::start("(command_seconds_max: 1)");
    assert!(trickle(&server, "", b"N").contains("421 4.4.2"));
    // What is answered in time goes on.
    let patient = "NOOP\r\n".repeat(4) + &"x".repeat(10_000);
    let text = trickle(&server, "NOOP\r\n", patient.as_bytes());
    assert!(count(&text, "250") == 5 && text.contains("421 4.4.2"), "{text}");
}

#[test]
fn a_message_that_trickles_in_holds_nothing_for_ever() {
    let server = Server::start("(message_seconds_max: 1)");
    let text = trickle(&server, DATA, b"x\r\n");
    assert!(text.contains("354") && text.contains("421 4.4.2"), "{text}");
    assert!(server.files("user/new").is_empty() && server.files("user/tmp").is_empty());
}

#[test]
fn content_that_stands_still_ends_the_session() {
    let server = Server::start("(data_block_seconds_max: 1)");
    let mut talk = server.connect();
    talk.send(DATA.as_bytes());
    for code in ["250", "250", "250", "354", "421 4.4.2"] {
        talk.expect(code);
    }
    assert!(talk.is_closed());
}

#[test]
fn under_pressure_the_silent_go_first_and_it_recovers_by_itself() {
    let server = Server::start("(connections_max: 4, pressure_seconds_max: 1)");
    let mut silent: Vec<_> = (0..4).map(|_| server.connect()).collect();
    // Four of four are more than three quarters: who is silent for a second is asked to go,
    // 300 seconds though `timer` has.
    for talk in &mut silent {
        talk.expect("421 4.4.2");
        assert!(talk.is_closed());
    }
    // They are gone when the server has seen them close.
    while first_line(&server) != "220" {}
}

#[test]
fn the_caps_of_an_address_hold_for_those_who_are_not_exempt() {
    let server = Server::start(
        "(uncapped_from: Networks([\"192.0.2.0/24\"]), connections_per_address_max: 2)",
    );
    let (first, _second) = (server.connect(), server.connect());
    assert_eq!(first_line(&server), "421");
    drop(first);
    // Its going is seen when the server has read it.
    while first_line(&server) == "421" {}
    let server = Server::start("(uncapped_from: Networks([]), connects_per_second_max: 3)");
    let answers: Vec<_> = (0..20).map(|_| first_line(&server)).collect();
    assert!(
        answers.iter().any(|line| line.starts_with("220"))
            && answers.iter().any(|line| line.starts_with("421"))
    );
}

fn first_line(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut begin = [0; 3];
    stream.read_exact(&mut begin).unwrap();
    String::from_utf8(begin.to_vec()).unwrap()
}

#[test]
fn who_does_not_read_the_replies_is_not_read_either() {
    let server = Server::start("(timer: 2, commands_max: 100000000)");
    let mut stream = TcpStream::connect(server.address).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let flood = b"HELP\r\n".repeat(1000);
    let mut sent = 0_usize;
    // The system's buffers fill up; then the server stands still with us.
    while stream.write_all(&flood).is_ok() {
        sent += flood.len();
        assert!(sent < 64 << 20, "the server reads on");
    }
    assert!(server.memory_kib() < 64 << 10, "{} KiB", server.memory_kib());
    // Others are served, and after its time the session is closed.
    server.connect().say("NOOP", "250");
    let deadline = Instant::now() + Duration::from_mins(1);
    while server.clients() > 0 {
        assert!(Instant::now() < deadline, "the session is open still");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn out_of_descriptors_clients_hear_421_and_it_recovers() {
    // 60 descriptors: 30 connections, and less for their spools than they want.
    let server =
        Server::start_with("(memory_bytes_max: 0, uncapped_from: RelayFrom)", "ulimit -n 60");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let holding: Vec<_> = (0..29)
            .map(|_| {
                let (server, done) = (&server, &done);
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(server.address).unwrap();
                    // A client that talks before the greeting may lose the 421 to a reset.
                    let mut begin = [0; 3];
                    stream.read_exact(&mut begin).unwrap();
                    let _ = stream.write_all(format!("{DATA}x\r\n").as_bytes());
                    while !done.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(20));
                    }
                    let mut text = String::from_utf8_lossy(&begin).into_owned();
                    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                    let _ = stream.read_to_string(&mut text);
                    text
                })
            })
            .collect();
        let mut full = false;
        // Whether the spools leave a descriptor is a matter of who comes first: those who come late
        // stay.
        let mut late = Vec::new();
        for place in 0..200 {
            // Each who comes hears something: welcome, or come again.
            let mut stream = TcpStream::connect(server.address).unwrap();
            let mut text = [0; 3];
            stream.read_exact(&mut text).unwrap();
            if &text == b"421" {
                full = true;
                break;
            }
            if place >= 25 {
                late.push(stream);
            }
            thread::sleep(Duration::from_millis(20));
        }
        drop(late);
        done.store(true, Ordering::Relaxed);
        let texts: Vec<_> = holding.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(full, "{texts:?}");
        assert!(
            texts.iter().all(|text| text.starts_with("220") || text.starts_with("421")),
            "{texts:?}"
        );
    });
    // All are gone: it is as before.
    let deadline = Instant::now() + Duration::from_mins(1);
    while server.clients() > 0 {
        assert!(Instant::now() < deadline, "{} clients", server.clients());
        thread::sleep(Duration::from_millis(20));
    }
    server.connect().say("NOOP", "250");
}

/// The system has no memory for a socket, or what accept(2) says else: strace says it in its place.
#[test]
fn while_accept_fails_the_server_waits_and_comes_back_by_itself() {
    let probe = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip("there is no strace, or it may not trace");
    }
    for error in ["ENOMEM", "ENOBUFS", "EPROTO", "ECONNABORTED"] {
        let logs = tempfile::tempdir().unwrap();
        let (log, trace) = (logs.path().join("log"), logs.path().join("trace"));
        let strace = |when: &str| {
            // With -D the process that is started is the server, not strace.
            let options = format!(
                "-D -f -qq -ttt -e trace=accept4 -e inject=accept4:error={error}:when={when}"
            );
            Server::start_with(
                &format!("(log: (files: [({log:?}, \"info\")]))"),
                &format!("exec strace {options} -o '{}' \"$0\" \"$@\"", trace.display()),
            )
        };
        let server = strace("1..4");
        server.connect().deliver();
        let (text, said) = (fs::read_to_string(&trace).unwrap(), fs::read_to_string(&log).unwrap());
        let failed = text.lines().filter(|line| line.ends_with("(INJECTED)"));
        let times: Vec<f64> =
            failed.map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
        assert_eq!(times.len(), 4, "{text}");
        let is_trouble = error != "ECONNABORTED";
        assert!(
            !is_trouble || times.windows(2).all(|pair| pair[1] - pair[0] > 0.09),
            "{error}: {times:?}"
        );
        for line in ["accept error=", "accept works again"] {
            assert_eq!(said.matches(line).count(), usize::from(is_trouble), "{error}: {said}");
        }
        // A server that accepts nobody stops in order all the same, and does not try without a
        // pause.
        drop(server);
        assert_eq!(strace("1+").stop(), Some(0), "{error}");
        let tries = fs::read_to_string(&trace).unwrap().lines().count();
        assert!(tries < 1000, "{error}: {tries} accepts in a row");
    }
}
