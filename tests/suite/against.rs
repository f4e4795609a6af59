//! Dialogues over a socket: a server of ours, and others that say less, more, or nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use crate::rig::{Server, text};

/// A server that says this to its first client, and nothing more; it listens until the client goes.
fn server_that_says(text: &'static [u8], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(text);
        if !closes {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    address
}

fn play(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(["fsm", "play"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn dialogues_are_played_to_a_server_and_what_it_cannot_show_is_said() {
    let server = Server::start("()");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("small.smtp", "S: 220\nC: NOOP\nS: 250\n= init\n= init\nC: QUIT\nS: 221\n* closed\n");
    write("wrong.smtp", "! vrfy: Honest\nS: 220\nC: VRFY user\nS: 250\n");
    write("store.smtp", "S: 220\nC: NOOP\n* verdict full\nS: 250\n");
    let address = server.address.to_string();
    let fine = play(folder.path(), &["--against", &address, "small.smtp"]);
    assert_eq!(text(&fine.stdout), "small.smtp: ok (not looked at: 2 states)\n");
    assert_eq!(fine.status.code(), Some(0));

    let wrong =
        play(folder.path(), &["--against", &address, "small.smtp", "wrong.smtp", "store.smtp"]);
    let said = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    assert!(said.contains("wrong.smtp:4: expected `250`, got `252"), "{said}");
    assert!(said.contains("it is for a server with `vrfy: Honest`"), "{said}");
    assert!(said.contains("store.smtp:3: not played: `* verdict` answers for the store"), "{said}");

    // What was not played is no success.
    let unplayed = play(folder.path(), &["--against", &address, "small.smtp", "store.smtp"]);
    let said = text(&unplayed.stderr);
    assert_eq!(unplayed.status.code(), Some(2), "{said}");
    assert!(said.contains("postman: 1 of 2 dialogues not played"), "{said}");
}

#[test]
fn a_server_that_says_less_or_more_or_nothing_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.smtp"), "S: 220\nC: NOOP\nS: 250\n").unwrap();
    let long: &'static [u8] = Vec::leak(b"220-x\r\n".repeat(20_000));
    for (says, closes, expected) in [
        (&b""[..], false, "x.smtp:1: expected `220`, got no reply within 0.3 s\n"),
        (b"", true, "x.smtp:1: expected `220`, got a closed connection\n"),
        (
            b"220-half\r\n22",
            false,
            "got an unfinished reply, `220-half\\n22`, and then no reply within 0.3 s\n",
        ),
        (b"220-half\r\n22", true, "22`, and then a closed connection\n"),
        (b"SSH-2.0-x\r\n", false, "x.smtp:1: expected `220`, got `SSH-2.0-x`\n"),
        (b"220 a\r\n220 b\r\n", false, "x.smtp:2: expected no reply, got `220 b`\n"),
        (b"220 a\r\n", true, "x.smtp:3: expected `250`, got a "),
        (long, false, "x.smtp:1: expected `220`, got a reply of more than 65536 octets\n"),
    ] {
        let address = server_that_says(says, closes).to_string();
        // Only where it is told is the time itself waited for.
        let timeout = if expected.contains("0.3 s") { "0.3" } else { "30" };
        let output = play(folder.path(), &["--against", &address, "--timeout", timeout, "x.smtp"]);
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{expected}--\n{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_server_that_is_not_there_is_told_and_the_command_could_not_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.smtp"), "S: 220\n").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (arguments, expected) in [
        (&["--against", &free][..], "Connection refused; nobody listens there"),
        (&["--against", "localhost"], "cannot use `localhost` as a server: expected HOST:PORT"),
        (&["--against", &free, "--states", "x.def"], "cannot be used with"),
        (&["--against", &free, "--timeout", "0"], "expected seconds"),
    ] {
        let output = play(folder.path(), &[arguments, &["x.smtp"]].concat());
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{expected}\n--\n{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
    }
}
