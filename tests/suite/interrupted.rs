//! Ctrl-C in `fsm test` and `fsm learn`: what is known is told, and the exit code says that it is
//! not all.

use std::fs;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::conformance::{QUICK, err, out};
use crate::mutants::without_properties;
use crate::peer::PAGE;
use crate::rig::{PAGE_PATH, Server, wait_until};

/// A command that takes its time with a server. It hears Ctrl-C even if the tests are a background
/// job of a shell, which ignores it, and so all that it starts.
fn start(server: &Server, pause: &str, command: &[&str]) -> Child {
    let address = server.address.to_string();
    let mut env = Command::new("env");
    env.args(["--default-signal=INT", env!("CARGO_BIN_EXE_postman"), "fsm"]);
    match command {
        ["learn", more @ ..] => env.args(["learn", &address, PAGE_PATH]).args(more),
        _ => env.args(["test", PAGE_PATH, "--against", &address]).args(&command[1..]),
    };
    env.args(["--recipient", "user@postman.local", "--pause", pause]);
    env.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends a command once the server has had so many sessions.
fn interrupt(server: &Server, child: Child, sessions: usize, signal: Signal) -> Output {
    let transcripts = server.folder.path().join("transcripts");
    wait_until("sessions", || {
        fs::read_dir(&transcripts).is_ok_and(|files| files.count() >= sessions)
    });
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupted_test_tells_what_it_has_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.def");
    let row =
        "init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;";
    assert!(PAGE.contains(row));
    // The shortest sessions come first, and show it.
    let source = PAGE.replacen(row, row.trim_start_matches("init, "), 1);
    fs::write(&path, without_properties(&source)).unwrap();
    let server = Server::start_by(Some(&path), QUICK, ":");
    let findings = folder.path().join("findings");
    let save = ["test", "--format", "json", "--findings", findings.to_str().unwrap()];
    let output = interrupt(&server, start(&server, "0.01", &save), 100, Signal::INT);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{report}\n{}", err(&output));
    let said = err(&output);
    assert!(said.starts_with("postman: inconclusive: "), "{said}");
    assert!(said.ends_with(" cells are not judged: interrupted\n"), "{said}");
    let cells = report["cells"].as_array().unwrap();
    let count = |verdict: &str| cells.iter().filter(|cell| cell["verdict"] == verdict).count();
    assert!(count("pass") > 0 && count("inconclusive") > 0, "{report}");
    assert_eq!(count("fail"), 1, "{report}");
    assert!(findings.join("init-NOOP.smtp").exists());
}

#[test]
fn an_interrupted_learner_writes_what_it_knows() {
    let server = Server::start(QUICK);
    // Before there is a hypothesis, and while one is tried.
    for (sessions, pause, is_whole) in [(3, "1", false), (300, "0.01", true)] {
        let child = start(&server, pause, &["learn"]);
        let output = interrupt(&server, child, sessions, Signal::TERM);
        let (page, said) = (out(&output), err(&output));
        assert_eq!(output.status.code(), Some(143), "{page}\n{said}");
        assert_eq!(said, "postman: interrupted: what is known is not complete\n");
        assert!(page.contains("\n * Unfinished:\n"), "{page}");
        assert_eq!(!page.contains("\n *   not asked "), is_whole, "{page}");
        let compiled = postman::autofsm::compile(&page, None);
        let definition = compiled.definition.or(compiled.refused).unwrap();
        assert!(definition.states.len() > 1, "{page}");
    }
}
