//! What a client costs in system calls, by strace. One that is added to each command, or a thread
//! that must be woken for it, fails here.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::rig::{Server, skip, wait_until};

/// The most system calls that a command of a lone client may cost, all threads together: five for a
/// wait (polling 3.11), one to arm the socket, a read and a write, and room for what happens
/// twice a second.
const CALLS_A_COMMAND_MAX: usize = 10;

struct Trace {
    strace: Child,
    /// Its standard error: closed, it would end strace.
    _said: BufReader<ChildStderr>,
    file: NamedTempFile,
}

impl Trace {
    /// Traces all threads of a server; `None` where strace is missing or may not.
    fn start(server: &Server) -> Option<Self> {
        let file = NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-s", "16", "-p", &server.id().to_string(), "-o"]).arg(file.path());
        let mut strace = strace.stderr(Stdio::piped()).spawn().ok()?;
        let (mut said, mut line) = (BufReader::new(strace.stderr.take().unwrap()), String::new());
        said.read_line(&mut line).unwrap();
        if line.contains("attached") {
            return Some(Self { strace, _said: said, file });
        }
        let _ = strace.wait();
        None
    }

    /// The system calls, one a line, without those that were under way when the trace began.
    fn end(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).unwrap();
        self.strace.wait().unwrap();
        self.so_far()
    }

    fn so_far(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file.path()).unwrap();
        let calls =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
        let calls = calls.filter(|call| call.starts_with(|first: char| first.is_ascii_lowercase()));
        calls.filter(|call| !call.starts_with("restart_syscall")).map(str::to_owned).collect()
    }
}

#[test]
fn a_command_of_a_lone_client_costs_at_most_ten() {
    // A thousand in all. The longest pause is longer than any thread looks for work on its own.
    for (commands, pause) in [(600, 0), (300, 2), (100, 20)] {
        let server = Server::start("()");
        let mut talk = server.connect();
        for _ in 0..10 {
            talk.say("NOOP", "250");
        }
        let Some(trace) = Trace::start(&server) else { return skip("there is no strace") };
        for _ in 0..commands {
            talk.say("NOOP", "250");
            thread::sleep(Duration::from_millis(pause));
        }
        let calls = trace.end();
        assert!(calls.len() >= 2 * commands, "strace saw only {}", calls.len());
        let (all, sample) = (calls.len(), &calls[calls.len() / 2..][..40]);
        assert!(
            calls.len() <= CALLS_A_COMMAND_MAX * commands,
            "{all} with pauses of {pause} ms: {sample:#?}"
        );
    }
}

#[test]
fn only_a_read_that_gets_no_reply_is_acknowledged_by_a_call_of_its_own() {
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.stream().set_nodelay(true).unwrap();
    talk.say("EHLO x", "250");
    let Some(trace) = Trace::start(&server) else { return skip("there is no strace") };
    let acknowledged =
        |calls: &[String]| calls.iter().filter(|call| call.contains("TCP_QUICKACK, [1]")).count();
    // Whole commands, pipelined ones, and content that comes with its end.
    for _ in 0..20 {
        talk.send(b"MAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
        for code in ["250", "250", "354"] {
            talk.expect(code);
        }
        talk.say("Subject: x\r\n\r\nx\r\n.", "250");
    }
    let calls = trace.end();
    assert_eq!(acknowledged(&calls), 0, "{calls:#?}");
    let Some(trace) = Trace::start(&server) else { return skip("there is no strace") };
    // Half a command, and content without its end: each is read before more is sent.
    talk.send(b"MAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDA");
    talk.expect("250");
    talk.expect("250");
    for (piece, rest, reply) in [("T", "A", "354"), ("Subject: x\r\n\r\n", "x\r\n.", "250")] {
        talk.send(piece.as_bytes());
        let read = format!("\"{}", &piece[..1]);
        wait_until("the read", || {
            let calls = trace.so_far();
            calls.iter().any(|call| call.starts_with("recvfrom") && call.contains(&read))
        });
        talk.say(rest, reply);
    }
    let calls = trace.end();
    assert_eq!(acknowledged(&calls), 2, "{calls:#?}");
    for piece in ["\"T\"", "\"Subject: x"] {
        let mut after =
            calls.iter().skip_while(|call| !(call.starts_with("recvfrom") && call.contains(piece)));
        let next: Vec<_> = after.by_ref().take(2).collect();
        assert!(
            next.get(1).is_some_and(|call| call.starts_with("setsockopt")),
            "{piece}: {next:?}"
        );
    }
}
