//! The page's HTTP, over real sockets: its numbers, who may, its limits, and the examples of
//! docs/watching.md.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rig::{self, Server, wait_until};
use crate::secure::Keys;

/// A server with a page, whose users' mail it shows.
fn start() -> Server {
    Server::start(r#"(web: (address: "127.0.0.1:0", messages: true))"#)
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.page.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

fn answer(mut stream: &TcpStream) -> Answer {
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    let text = String::from_utf8_lossy(&octets).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_default(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Asks with these fields beside `Connection`.
fn ask_with(server: &Server, method: &str, path: &str, fields: &str) -> Answer {
    let mut stream = connect(server);
    let request = format!("{method} {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    answer(&stream)
}

fn ask(server: &Server, method: &str, path: &str) -> Answer {
    ask_with(server, method, path, "Host: localhost\r\n")
}

fn get(server: &Server, path: &str) -> String {
    let answer = ask(server, "GET", path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn json(server: &Server, path: &str) -> Value {
    serde_json::from_str(&get(server, path)).unwrap()
}

/// The counts of a list of cells, those above nought.
fn counts(list: &Value, count: &str) -> BTreeMap<String, u64> {
    let cells = list.as_array().unwrap().iter();
    let cells = cells.map(|one| {
        let code = one.get("code").filter(|_| count == "count");
        let code = code.map_or_else(String::new, |code| format!(" {code}"));
        (format!("{}{code}", one["cell"].as_str().unwrap()), one[count].as_u64().unwrap())
    });
    cells.filter(|(_, count)| *count > 0).collect()
}

/// The counts that the log's lines have, by cells.
fn logged(log: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let Some(place) = words.iter().position(|word| word.starts_with("--")) else { continue };
        let event = words[place].trim_start_matches('-').trim_end_matches("-->");
        *counts.entry(format!("{} {event}", words[place - 1])).or_default() += 1;
    }
    counts
}

#[test]
fn the_numbers_are_those_of_the_debug_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::start(&format!(
        r#"(web: (address: "127.0.0.1:0"), users: Listed(["user"]), log: (files: [("{}", "debug")]))"#,
        log.display()
    ));
    for _ in 0..3 {
        let mut talk = server.connect();
        talk.say("MAIL FROM:<a@x.org>", "503");
        talk.say("hello", "500");
        talk.say("EXPN x", "502");
        talk.deliver();
        talk.say("MAIL FROM:<a@x.org>", "250");
        talk.say("RCPT TO:<nobody@postman.local>", "550");
        talk.say("QUIT", "221");
    }
    let mut open = server.connect();
    open.say("EHLO x", "250");
    let read = || logged(&fs::read_to_string(&log).unwrap_or_default());
    wait_until("the log", || read().values().sum::<u64>() == 3 * 9 + 1);
    wait_until("the sessions' ends", || json(&server, "/state")["totals"]["open"] == 1);
    let state = json(&server, "/state");
    assert_eq!(counts(&state["cells"], "taken"), read());
    let refused = [
        ("begin_transaction RCPT 550", 3),
        ("init - 500", 3),
        ("init EXPN 502", 3),
        ("init MAIL 503", 3),
    ];
    let refused = refused.map(|(cell, count)| (cell.to_owned(), count));
    assert_eq!(counts(&state["refused"], "count"), refused.into());
    assert_eq!(state["sessions"]["client_init"], 1);
    assert_eq!(state["sessions"]["init"], 0);
    let totals = &state["totals"];
    assert_eq!((&totals["sessions"], &totals["messages"]), (&4.into(), &3.into()));
    assert_eq!(totals["octets"], 3 * "Subject: x\r\n\r\nx\r\n".len());
    assert!(totals["syncs"].as_u64().unwrap() >= 3, "{totals}");

    let metrics = get(&server, "/metrics");
    for line in [
        "postman_transitions_total{state=\"init\",event=\"EXPN\"} 3",
        "postman_refusals_total{state=\"init\",event=\"-\",code=\"500\"} 3",
        "postman_sessions{state=\"client_init\"} 1",
        "postman_messages_total 3",
        "postman_store_seconds_count 3",
        "postman_store_seconds_bucket{le=\"+Inf\"} 3",
        "postman_sessions_begun_total 4",
    ] {
        assert!(metrics.lines().any(|known| known == line), "no {line} in\n{metrics}");
    }
    assert!(metrics.contains("postman_definition_info{name=") && metrics.ends_with("# EOF\n"));
    let table = get(&server, "/table");
    let row = table.lines().find(|line| line.starts_with("MAIL")).unwrap();
    assert!(row.contains("x3") && row.contains("begin_transaction 3"), "{table}");
}

#[test]
fn a_foreign_page_reads_nothing_and_changes_nothing() {
    let server = start();
    server.connect().deliver();
    let port = server.page.unwrap().port();
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1", ""] {
        let answer = ask_with(&server, "GET", "/state", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 403, "{host}");
    }
    assert_ne!(ask_with(&server, "GET", "/state", "").status, 200);
    let own = format!("Host: localhost:{port}\r\n");
    for fields in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: http://localhost\r\n",
    ] {
        let answer = ask_with(&server, "DELETE", "/messages", &format!("{own}{fields}"));
        assert_eq!(answer.status, 403, "{fields}");
    }
    assert_eq!(json(&server, "/messages")["messages"].as_array().unwrap().len(), 1);
    let same = format!("{own}Origin: http://localhost:{port}\r\n");
    assert_eq!(ask_with(&server, "DELETE", "/messages", &same).status, 204);
    assert_eq!(json(&server, "/messages")["messages"].as_array().unwrap().len(), 0);
}

#[test]
fn each_answer_tells_the_browser_what_it_may_not() {
    let server = start();
    let policy = |styles: &str| {
        format!(
            "content-security-policy: default-src 'none'; script-src 'self'; style-src {styles}; "
        )
    };
    let others = [
        "/page.css",
        "/page.js",
        "/machine.js",
        "/parts.js",
        "/favicon.ico",
        "/state",
        "/nothing",
        "/message?id=x",
        "/metrics",
    ];
    for path in ["/"].iter().chain(&others) {
        let head = ask(&server, "GET", path).head;
        for field in [
            policy("'self'").as_str(),
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(field), "{path} lacks {field}: {head}");
        }
        assert!(!head.contains("unsafe") && !head.contains("access-control"), "{head}");
    }
    // The picture has a style in it, and is shown by itself too.
    let picture = ask(&server, "GET", "/machine.svg");
    let style = picture.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(style.contains(".fsm-"));
    let digest = STANDARD.encode(Sha256::digest(style)).to_ascii_lowercase();
    assert!(picture.head.contains(&policy(&format!("'sha256-{digest}'"))), "{}", picture.head);
    let page = get(&server, "/");
    for foreign in ["http://", "https://", "<style", " style=", "onclick", "onload"] {
        assert!(!page.contains(foreign), "the page has {foreign}");
    }
    assert_eq!(ask(&server, "PUT", "/state").status, 405);
    assert!(ask(&server, "PUT", "/state").head.contains("allow: get, head"));
}

#[test]
fn a_session_is_there_while_it_is_spoken_and_plays_after() {
    let server = start();
    let mut talk = server.connect();
    talk.say("EHLO x", "250");
    talk.say("RCPT TO:<b@postman.local>", "503");
    let session = || json(&server, "/sessions")["sessions"][0].clone();
    let found = session();
    assert_eq!(found["state"], "client_init");
    assert_eq!(found["cells"], serde_json::json!(["init EHLO"]));
    assert_eq!((&found["refused"], &found["ended"]), (&1.into(), &Value::Null));
    talk.deliver();
    talk.say("QUIT", "221");
    wait_until("its end", || session()["ended"].is_string());
    assert_eq!(session()["messages"], 1);
    let dialogue = get(&server, &format!("/sessions/{}", found["id"].as_str().unwrap()));
    assert!(dialogue.contains("C: RCPT TO:<b@postman.local>\nS: 503 "), "{dialogue}");
    assert!(!dialogue.contains("Subject"), "content is in it: {dialogue}");
    let file = server.folder.path().join("dialogue.smtp");
    fs::write(&file, format!("! definition: {}\n{dialogue}", rig::PAGE_PATH)).unwrap();
    let played = rig::postman(&["fsm", "play", file.to_str().unwrap()]);
    assert!(played.status.success(), "{}\n{dialogue}", rig::text(&played.stderr));
    assert_eq!(ask(&server, "GET", "/sessions/ffff").status, 404);
}

/// Reads events until one holds.
fn hear(stream: &mut TcpStream, what: &str, holds: impl Fn(&str) -> bool) -> String {
    let (mut text, mut octets) = (String::new(), [0; 4096]);
    while !holds(&text) {
        let taken = stream.read(&mut octets).unwrap();
        assert!(taken > 0, "the events ended before {what}: {text}");
        text += &String::from_utf8_lossy(&octets[..taken]);
    }
    text
}

#[test]
fn what_changes_is_told_and_merged() {
    let server = start();
    let mut events = connect(&server);
    events.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let is_whole =
        |text: &str| text.split("event: state").nth(1).is_some_and(|rest| rest.contains("\n\n"));
    let first = hear(&mut events, "the state", is_whole);
    assert!(first.contains("content-type: text/event-stream"), "{first}");
    let mut talk = server.connect();
    talk.say("EHLO x", "250");
    let begun = std::time::Instant::now();
    let last = r#"{"cell":"client_init NOOP","taken":500}"#;
    for _ in 0..500 {
        talk.say("NOOP", "250");
    }
    let text = hear(&mut events, "the last count", |text| text.contains(last));
    let frames = text.matches("event: state").count();
    let most = usize::try_from(begun.elapsed().as_millis() / 100).unwrap() + 2;
    assert!(frames <= most, "{frames} frames, at most {most}");
    assert!(text.contains("event: sessions") && text.contains("\"C: NOOP\""), "{text}");
    assert!(!text.contains("\"states\""), "the whole state again: {text}");
}

#[test]
fn messages_are_shown_as_text_and_only_if_the_keys_say_so() {
    let closed = Server::start(r#"(web: (address: "127.0.0.1:0"))"#);
    closed.connect().deliver();
    for path in ["/messages", "/message?id=x", "/message/source?id=x"] {
        assert_eq!(ask(&closed, "GET", path).status, 404, "{path}");
    }
    assert_eq!(ask(&closed, "DELETE", "/messages").status, 404);
    assert_eq!(json(&closed, "/state")["messages"], false);

    let server = start();
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| json(&server, "/messages?to=user&wait=1min"));
        let mut talk = server.connect();
        talk.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
        for code in ["250", "250", "250", "354"] {
            talk.expect(code);
        }
        talk.send(b"Subject: =?utf-8?q?<script>alert(1)</script>?=\r\nContent-Type: text/html\r\n");
        talk.send(b"\r\n<img src=x onerror=alert(1)>hello\r\n");
        talk.say(".", "250");
        waiting.join().unwrap()
    });
    let message = &waited["messages"][0];
    assert_eq!(message["subject"], "<script>alert(1)</script>");
    assert_eq!(
        (&message["from"], &message["to"][0]),
        (&"a@x.org".into(), &"user@postman.local".into())
    );
    let id = message["id"].as_str().unwrap().replace('/', "%2F");
    let whole = json(&server, &format!("/message?id={id}"));
    assert!(whole["text"].as_str().unwrap().contains("hello"), "{whole}");
    assert!(!whole["text"].as_str().unwrap().contains("<img"), "{whole}");
    let source = ask(&server, "GET", &format!("/message/source?id={id}"));
    assert!(source.head.contains("content-type: text/plain") && source.body.contains("<img src=x"));
    let saved = ask(&server, "GET", &format!("/message/download?id={id}"));
    assert!(saved.head.contains("content-disposition: attachment"), "{}", saved.head);
    for hostile in
        ["..%2Fpostman.ron", "%2Fetc%2Fpasswd", "user%2Fnew%2F..%2F..%2F..%2Fpostman.ron"]
    {
        let answer = ask(&server, "GET", &format!("/message/source?id={hostile}"));
        assert_eq!(answer.status, 404, "{hostile}");
    }
    assert_eq!(json(&server, "/messages?to=other")["messages"], serde_json::json!([]));
    assert_eq!(ask(&server, "DELETE", "/messages?to=other").status, 204);
    assert_eq!(server.files("user/new").len(), 1);
    assert_eq!(ask(&server, "DELETE", "/messages?to=user").status, 204);
    assert_eq!(server.files("user/new").len(), 0);
}

#[test]
fn a_request_has_bounds() {
    let server = start();
    let long = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(16 << 10));
    assert_eq!(ask_with(&server, "GET", "/ready", &long).status, 431);
    assert_eq!(get(&server, "/ready"), "ready\n");
    // Each connection has a place, and comes back with it.
    let taken: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            stream
        })
        .collect();
    assert_eq!(answer(&connect(&server)).status, 503);
    drop(taken);
    wait_until("a place", || ask(&server, "GET", "/ready").status == 200);
    // Garbage is answered or not, and harms nobody.
    for octets in
        [&b"\x16\x03\x01"[..], b"EHLO x\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut stream = connect(&server);
        stream.write_all(octets).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!([0, 400, 505].contains(&answer(&stream).status));
    }
    assert_eq!(get(&server, "/ready"), "ready\n");
}

#[test]
fn listeners_with_a_machine_of_their_own_have_a_page_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.def");
    fs::write(&other, crate::peer::PAGE.replace("begin_transaction", "opened")).unwrap();
    let server = Server::start_listening(&format!(
        r#"(listeners: [(address: "127.0.0.1:0"), (address: "127.0.0.1:0"), (address: "127.0.0.1:0", states: "{}")],
           web: (address: "127.0.0.1:0"))"#,
        other.display(),
    ));
    let state = json(&server, "/state?definition=1");
    let definitions = state["definitions"].as_array().unwrap();
    assert_eq!(definitions.len(), 2, "{state}");
    assert_eq!(definitions[0]["listeners"].as_array().unwrap().len(), 2);
    assert_eq!(state["definition"]["number"], 1);
    assert_ne!(get(&server, "/machine.svg"), get(&server, "/machine.svg?definition=1"));
    assert_eq!(ask(&server, "GET", "/state?definition=2").status, 404);
}

#[test]
fn a_definition_is_named_once_though_two_machines_are_made_of_it() {
    let keys = Keys::new();
    let server = Server::start_listening(&format!(
        r#"({}, web: (address: "127.0.0.1:0"),
           listeners: [(address: "127.0.0.1:0"), (address: "127.0.0.1:0", tls: FirstOctet)])"#,
        keys.ron(&["a"])
    ));
    assert_eq!(json(&server, "/state")["definitions"].as_array().unwrap().len(), 2);
    assert_eq!(get(&server, "/metrics").matches("\npostman_definition_info{").count(), 1);
}

#[test]
fn an_arrow_is_explained_as_the_command_line_does() {
    let server = start();
    let said = get(&server, "/explain?cell=client_init+MAIL");
    assert!(said.starts_with("MAIL in client_init: ") && said.contains("   C: MAIL"), "{said}");
    let answer = ask(&server, "GET", "/explain?cell=client_init+MIAL");
    assert_eq!((answer.status, answer.body.contains("did you mean `MAIL`")), (404, true));
}

#[test]
fn the_page_has_a_thread_of_its_own_and_a_unix_socket_if_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web");
    let server = Server::start(&format!(r#"(web: (address: "unix:{}"))"#, path.display()));
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("ready\n"), "{text}");
    let names = fs::read_dir(server.proc("task"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).unwrap_or_default());
    let names: Vec<_> = names.collect();
    assert!(names.iter().any(|name| name == "web\n"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("tokio")), "{names:?}");
}

fn send(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = connect(server);
    let head = format!("Host: localhost\r\nContent-Length: {}\r\n", body.len());
    let request = format!("{method} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    answer(&stream)
}

#[test]
fn faults_are_put_while_it_runs_and_new_sessions_meet_them() {
    const BUSY: &str = "fault = { says = 'busy'; path = 'EHLO'; reply = '451 4.3.2 Busy'; };\n";
    let mut server = start();
    let mut before = server.connect();
    let put = send(&server, "PUT", "/faults", BUSY);
    assert_eq!(put.status, 200, "{}", put.body);
    let faults: Value = serde_json::from_str(&put.body).unwrap();
    assert_eq!(faults["faults"][0]["says"], "busy");
    assert_eq!(faults["faults"][0]["cells"][0], "init EHLO");
    assert_eq!(faults["source"], BUSY);
    // A session keeps what it began with.
    before.say("EHLO x", "250");
    server.connect().say("EHLO x", "451");
    assert_eq!(json(&server, "/state")["faults"][0]["fired"], 1);
    assert!(get(&server, "/metrics").contains("postman_faults_fired_total{fault=\"busy\"} 1\n"));
    assert_eq!(counts(&json(&server, "/state")["cells"], "taken")["init EHLO"], 1);
    assert_eq!(send(&server, "POST", "/faults/reset", "").status, 204);
    assert_eq!(json(&server, "/faults")["faults"][0]["fired"], 0);
    let wrong = send(&server, "PUT", "/faults", &BUSY.replace("EHLO", "ELHO"));
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("faults:1:") && wrong.body.contains("EHLO"), "{}", wrong.body);
    server.connect().say("EHLO x", "451");
    assert_eq!(send(&server, "PUT", "/faults", &"x".repeat(16 << 20)).status, 413);
    assert_eq!(send(&server, "DELETE", "/faults", "").status, 204);
    server.connect().say("EHLO x", "250");
    assert_eq!(json(&server, "/faults")["faults"], serde_json::json!([]));
    // No file has what was put, so these sessions do not play.
    assert_eq!(server.stop(), Some(0));
    fs::remove_dir_all(server.folder.path().join("transcripts")).unwrap();
}

/// Each line of a shell's block in the document, with what its comment says.
#[test]
fn the_document_s_lines_are_true() {
    if Command::new("curl").arg("--version").output().is_err() {
        return rig::skip("there is no curl");
    }
    let server = Server::start_by(
        Some(rig::PAGE_PATH.as_ref()),
        r#"(web: (address: "127.0.0.1:0", messages: true), mailboxes: ByAddress)"#,
        ":",
    );
    let mut talk = server.connect();
    talk.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n");
    for code in ["250", "250", "250", "354"] {
        talk.expect(code);
    }
    talk.send(b"Subject: x\r\n\r\nhello alice\r\n");
    talk.say(".", "250");
    let document = include_str!("../../docs/watching.md");
    let blocks = document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut run = 0;
    for block in blocks.filter(|block| block.contains("curl")) {
        let script = block.replace("127.0.0.1:8025", &server.page.unwrap().to_string());
        let script = script.replace("curl -s", "curl -sS");
        let done = Command::new("sh")
            .args(["-euc", &script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let (said, errors) = (rig::text(&done.stdout), rig::text(&done.stderr));
        assert!(done.status.success(), "{script}\n{said}\n{errors}");
        for wanted in block.lines().filter_map(|line| line.split_once("# 4")).map(|(_, code)| code)
        {
            let code = format!("4{}", wanted.trim());
            assert!(said.lines().any(|line| line == code), "{script}\n{said}");
        }
        let shows =
            [("/events", "event: state"), ("text\"]", "hello alice"), ("/metrics", "# EOF")];
        for (asked, shown) in shows.iter().filter(|(asked, _)| block.contains(asked)) {
            assert!(said.contains(shown), "{asked}: {said}");
        }
        run += 1;
    }
    assert_eq!(run, 6);
    assert_eq!(server.files("alice@example.com/new").len(), 0, "DELETE removes them");
}

fn top(page: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    let output = command.args(["top", "--once", page]).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn top_has_the_counts_the_refusals_and_who_stands_where() {
    let mut server = start();
    let page = format!("http://{}", server.page.unwrap());
    let mut client = server.connect();
    client.say("RCPT TO:<a@x.org>", "503");
    client.say("FOO", "500");
    client.say("EHLO x", "250");
    client.say("NOOP", "250");
    client.say("NOOP", "250");
    wait_until("all is counted", || top(&page).1.contains("client_init (1)"));
    let (code, said, _) = top(&page);
    let row = |event: &str| {
        let line = said.lines().find(|line| line.starts_with(event)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(code, Some(0));
    assert!(said.lines().next().unwrap().contains("1 open, 1 sessions"), "{said}");
    assert!(row("EHLO").starts_with("EHLO client_init 1 "), "{said}");
    assert!(row("RCPT").starts_with("RCPT x1 "), "{said}");
    assert!(row("NOOP").contains("= 2"), "{said}");
    assert_eq!(row("no command"), "no command x1");
    server.stop();
    let (code, _, said) = top(&page);
    assert_eq!(code, Some(2));
    assert!(said.starts_with("postman: cannot ask 127.0.0.1:"), "{said}");
}
