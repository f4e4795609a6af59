//! Any server put to the page over encrypted lines: STARTTLS is one of the commands, with a real
//! handshake behind it, and TLS from the first octet is a page that begins elsewhere.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use postman::autofsm::{Definition, StateIndex, compile, page};
use postman::config::Config;
use postman::conformance::{
    Depth, Effort, InMemory, Learned, Learner, Mealy, Model, Options, Report, Said, Verdict, run,
};
use postman::smtp::machine::Machine;
use postman::smtp::vocabulary::VOCABULARY;

use crate::conformance::{
    ALL, QUICK, each_mutant_of, err, in_memory, learn, model, out, postman, put,
};
use crate::mutants::{Mutant, without_properties};
use crate::peer::PAGE;
use crate::rig::Server;
use crate::secure::Keys;

/// A page as a server with a certificate serves it: whole.
fn whole(source: &str) -> Option<Definition> {
    compile(source, Some(&VOCABULARY)).definition
}

/// A page as it is served to lines that are encrypted from the first octet.
fn from_first_octet(source: &str) -> Option<Definition> {
    let definition = whole(source)?;
    let begin = definition.states.iter().position(|state| state.name == "tls_init")?;
    Some(definition.begun_at(StateIndex(begin)).without(VOCABULARY.conditional))
}

#[test]
fn our_server_keeps_its_page_over_encrypted_lines() {
    let page = whole(PAGE).unwrap();
    // 18 symbols and STARTTLS, in seven states.
    let known = model(page.clone());
    for depth in [Depth::Tour, Depth::States] {
        let report = run(&known, Options { depth, only: None }, &mut in_memory(&page));
        let passed = report.count(|verdict| *verdict == Verdict::Pass);
        assert_eq!((passed, report.cells.len()), (7 * 19, 7 * 19), "{:?}", report.findings);
    }
    let encrypted = model(from_first_octet(PAGE).unwrap());
    assert_eq!(encrypted.state(StateIndex(0)), "tls_init");
    let machine = Machine::load("x.def", &page).unwrap().encrypted().unwrap();
    let config = Config::parse("(users: Listed([\"user\"]))").unwrap();
    let report = run(&encrypted, ALL, &mut InMemory { config, machine });
    let passed = report.count(|verdict| *verdict == Verdict::Pass);
    assert_eq!((passed, report.cells.len()), (5 * 18, 5 * 18), "{:?}", report.findings);
}

/// Whether the row that was changed, or the change, is about encryption.
fn concerns_encryption(mutant: &Mutant) -> bool {
    mutant.shown.contains("tls") || mutant.shown.contains("STARTTLS")
}

#[test]
fn mutants_about_encryption_are_found_at_the_right_cell() {
    each_mutant_of(whole, concerns_encryption, 41, 2);
}

#[test]
#[ignore = "half a minute; CI runs it"]
fn each_mutant_about_encryption_is_found_at_the_right_cell() {
    each_mutant_of(whole, concerns_encryption, 1, 50);
}

/// The configuration of a server with a certificate.
fn quick(keys: &Keys, more: &str) -> String {
    QUICK.replacen('(', &format!("({}, {more} ", keys.ron(&["a"])), 1)
}

fn serve_from_first_octet(keys: &Keys) -> Server {
    let listener = "listeners: [(address: \"127.0.0.1:0\", tls: FirstOctet)],";
    Server::start_listening(&quick(keys, listener))
}

#[test]
fn our_server_passes_over_encrypted_sockets() {
    let keys = Keys::new();
    let (after, first) = (Server::start(&quick(&keys, "")), serve_from_first_octet(&keys));
    let unknown = ["--unknown-recipient", "nobody@postman.local"];
    for (server, how, cells) in [(&after, "--starttls", 7 * 19), (&first, "--tls", 5 * 18)] {
        let text = put(server.address, &[&[how][..], &unknown].concat());
        assert_eq!(text.status.code(), Some(0), "{how}: {}\n{}", out(&text), err(&text));
        let sums = format!("\n{cells} cells: {cells} pass; ");
        assert!(out(&text).contains(&sums), "{}", out(&text));
    }
    // A page that is clear, or encrypted in another way, is not this server's.
    let clear = put(first.address, &["--timeout", "0.3", "--depth", "tour"]);
    assert_eq!(clear.status.code(), Some(2), "{}", out(&clear));
    let other = put(after.address, &["--tls"]);
    assert_eq!(other.status.code(), Some(2), "{}", out(&other));
    // Its greeting comes before the handshake begins, or is taken for an answer to it.
    let said = err(&other);
    let expected = ["a reply that nothing asked for", "a handshake that fails (received corrupt"];
    let is_told = |what| said.contains(&format!("expected a handshake, got {what}"));
    assert!(expected.into_iter().any(is_told), "{said}");
}

#[test]
fn our_server_is_learned_over_encrypted_lines_as_its_page() {
    let keys = Keys::new();
    let (after, first) = (Server::start(&quick(&keys, "")), serve_from_first_octet(&keys));
    let folder = keys.0.path();
    let (theirs, ours) = (folder.join("theirs.def"), folder.join("ours.def"));
    for (server, how, served, properties) in [
        (&after, "--starttls", whole(PAGE).unwrap(), 19),
        (&first, "--tls", from_first_octet(PAGE).unwrap(), 14),
    ] {
        let output = learn(server.address, &[how, "--random-words", "5"]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(0), "{how}: {said}");
        let all = format!("{properties} of {properties} properties hold of what was learned\n");
        assert!(said.ends_with(&all), "{how}: {said}");
        fs::write(&theirs, &output.stdout).unwrap();
        // A page begins at `init`, whatever is known there.
        let mut served = served;
        served.states[0].name = "init".to_owned();
        fs::write(&ours, page(&served, &[])).unwrap();
        let compared =
            postman(&["diff", "--foreign", "--replies"]).arg(&ours).arg(&theirs).output();
        let compared = compared.unwrap();
        assert_eq!(compared.status.code(), Some(0), "{how}: {}{}", out(&compared), err(&compared));
    }
}

/// What the dialogues promise in memory is so behind a real handshake.
#[test]
fn our_dialogues_about_encryption_go_over_a_socket_as_they_do_without() {
    let keys = Keys::new();
    let users = "users: Listed([\"b\"])";
    let after = keys.serve(users);
    let first = "listeners: [(address: \"127.0.0.1:0\", tls: FirstOctet)]";
    let first = Server::start_listening(&format!("({}, {first}, {users})", keys.ron(&["a"])));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    for (server, how, name) in [
        (&after, &[][..], "starttls.smtp"),
        (&after, &[], "starttls-first.smtp"),
        (&first, &["--tls"], "encrypted.smtp"),
    ] {
        let address = server.address.to_string();
        let file = format!("{folder}/{name}");
        let played = postman(&["play", "--against", &address, &file]).args(how).output().unwrap();
        assert_eq!(played.status.code(), Some(0), "{}", err(&played));
        assert!(out(&played).contains(".smtp: ok (not looked at: "), "{}", out(&played));
    }
}

#[test]
fn what_fails_behind_a_handshake_is_a_dialogue_that_shakes_hands() {
    let keys = Keys::new();
    let folder = keys.0.path();
    // What is encrypted hears no NOOP before its greeting.
    let path = folder.join("x.def");
    let row = "client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;";
    assert!(PAGE.contains(row));
    let source = PAGE.replacen(row, &row.replacen("tls_init, ", "", 1), 1);
    fs::write(&path, without_properties(&source)).unwrap();
    let server = Server::start_by(Some(&path), &quick(&keys, ""), ":");
    let findings = folder.join("findings");
    let output = put(server.address, &["--starttls", "--findings", findings.to_str().unwrap()]);
    let said = out(&output);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", err(&output));
    let expected = "\ntls_init NOOP: expected to be accepted (2xx), got `503 ";
    assert!(said.contains(expected) && said.contains(" 1 fail;"), "{said}");
    let file = findings.join("tls_init-NOOP.smtp");
    let dialogue = fs::read_to_string(&file).unwrap();
    let expected = "S: 220\nC: STARTTLS\nS: 2\n* encrypted\nC: NOOP\nS: 2\n";
    assert!(dialogue.ends_with(expected), "{dialogue}");
    let play = |server: &Server| {
        let address = server.address.to_string();
        postman(&["play", "--against", &address]).arg(&file).output().unwrap()
    };
    assert_eq!(play(&server).status.code(), Some(1));
    let (sound, clear) = (Server::start(&quick(&keys, "")), Server::start(QUICK));
    let played = play(&sound);
    assert_eq!(played.status.code(), Some(0), "{}", err(&played));
    let played = play(&clear);
    assert!(err(&played).contains(".smtp:4: expected `2`, got `500 "), "{}", err(&played));
}

/// Answers lines: a greeting is welcome, STARTTLS is promised, QUIT is the end, and all else is refused.
/// Returns whether a handshake was promised.
fn answer(stream: &mut (impl Read + Write)) -> bool {
    let mut line = Vec::new();
    let mut octet = [0];
    while matches!(stream.read(&mut octet), Ok(1)) {
        line.extend_from_slice(&octet);
        if octet != *b"\n" {
            continue;
        }
        let word = String::from_utf8_lossy(&line).split_whitespace().next().map(str::to_owned);
        let reply: &[u8] = match word.as_deref() {
            Some("HELO" | "EHLO") => b"250 yes\r\n",
            Some("STARTTLS") => b"220 go\r\n",
            Some("QUIT") => b"221 bye\r\n",
            _ => b"502 no\r\n",
        };
        if stream.write_all(reply).is_err() || reply.starts_with(b"22") {
            return reply.starts_with(b"220");
        }
        line.clear();
    }
    false
}

/// A server that promises a handshake wherever it is asked for one, as aiosmtpd 1.4.3 does. No page of
/// ours may.
fn server_that_encrypts_again(keys: &Keys) -> SocketAddr {
    let chain = CertificateDer::from_pem_file(keys.path("a.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(keys.path("a.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![chain], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"220 x\r\n").unwrap();
            if answer(&mut stream) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(&mut StreamOwned::new(connection, stream));
            }
        }
    });
    address
}

/// Whoever accepts STARTTLS where all is encrypted breaks the page by that, whatever would follow.
#[test]
fn encryption_within_encryption_is_told_and_not_tried() {
    let keys = Keys::new();
    let address = server_that_encrypts_again(&keys);
    let output = put(address, &["--starttls", "--only", "tls_init STARTTLS"]);
    let expected = "\ntls_init STARTTLS: expected to be refused (5xx), got `220 go`\n";
    assert!(out(&output).contains(expected), "{}\n{}", out(&output), err(&output));
    assert_eq!(output.status.code(), Some(1));
    let output = learn(address, &["--starttls", "--random-words", "5"]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = "broken: this can happen: encryption within encryption\n   \
                    # C: STARTTLS init -> tls_init\n   # C: STARTTLS tls_init -> tls_init\n   \
                    C: STARTTLS\n   S: 220 go\n   C: STARTTLS\n   S: 220 go\n   \
                    # no handshake, since the line is encrypted\n";
    assert!(said.contains(expected), "{said}");
    // What would follow was not asked: the row stays where it is.
    let row =
        "{ tst = init, tls_init; tev = STARTTLS; next = tls_init; ttype = noop; reply = 220; }";
    assert!(out(&output).contains(row), "{}", out(&output));
}

/// The cells that fail, by their names.
fn failing(known: &Model, report: &Report) -> Vec<String> {
    let cells = report.cells.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Fail(_)));
    let name = |(state, symbol): &(usize, usize)| {
        format!("{} {}", known.state(StateIndex(*state)), known.name(*symbol))
    };
    cells.map(|(place, _)| name(place)).collect()
}

/// As Exim does: it refuses what it has not offered.
#[test]
fn a_server_that_encrypts_after_ehlo_alone_is_judged_behind_it() {
    let known = model(whole(PAGE).unwrap());
    let greeting = "tev = HELO;     next = client_init;";
    let encryption = "{ tst = init, client_init;               tev = STARTTLS;";
    assert!(PAGE.contains(greeting) && PAGE.contains(encryption));
    let source = PAGE
        .replacen(greeting, &greeting.replacen("client_init", "client_ready", 1), 1)
        .replacen(encryption, "{ tst = client_init; tev = STARTTLS;", 1);
    let served = whole(&without_properties(&source)).unwrap();
    let report = run(&known, ALL, &mut in_memory(&served));
    let expected = ["init HELO", "init STARTTLS", "client_init HELO"];
    assert_eq!(failing(&known, &report), expected, "{:?}", report.findings);
    assert_eq!(report.doubt(), None);
}

/// As Postfix does: a transaction over a clear line can still be encrypted, and one over an
/// encrypted line cannot. To the page both are one.
const TWICE: &str = "AutoGen Definitions fsm;
prefix = smtp;
state = client, begun, named, content, tls_init, tls_client, tls_begun, tls_named, tls_content;
event = HELO, EHLO, STARTTLS, MAIL, RCPT, DATA, RSET, QUIT, READ, END;
HELO = 'HELO domain';
EHLO = 'EHLO domain';
MAIL = 'MAIL FROM:<address>';
RCPT = 'RCPT TO:<address>';
transition =
  { tst = init, client, begun, named; tev = HELO; next = client; ttype = greet; reply = 250; },
  { tst = init, client, begun, named; tev = EHLO; next = client; ttype = greet_extended; reply = 250; },
  { tst = init, client, begun, named; tev = STARTTLS; next = tls_init; ttype = start_tls; reply = 220; },
  { tst = tls_init, tls_client, tls_begun, tls_named; tev = HELO; next = tls_client; ttype = greet; reply = 250; },
  { tst = tls_init, tls_client, tls_begun, tls_named; tev = EHLO; next = tls_client; ttype = greet_extended; reply = 250; },
  { tst = client; tev = MAIL; next = begun; ttype = set_sender; reply = 250; },
  { tst = tls_client; tev = MAIL; next = tls_begun; ttype = set_sender; reply = 250; },
  { tst = begun, named; tev = RCPT; next = named; ttype = add_recipient; reply = 250; },
  { tst = tls_begun, tls_named; tev = RCPT; next = tls_named; ttype = add_recipient; reply = 250; },
  { tst = named; tev = DATA; next = content; ttype = open_message; reply = 354; },
  { tst = tls_named; tev = DATA; next = tls_content; ttype = open_message; reply = 354; },
  { tst = content, tls_content; tev = READ; ttype = append; },
  { tst = content; tev = END; next = client; ttype = deliver; reply = 250; },
  { tst = tls_content; tev = END; next = tls_client; ttype = deliver; reply = 250; },
  { tst = begun, named; tev = RSET; next = client; ttype = reset; reply = 250; },
  { tst = tls_begun, tls_named; tev = RSET; next = tls_client; ttype = reset; reply = 250; },
  { tst = init, client, begun, named, tls_init, tls_client, tls_begun, tls_named; tev = QUIT; next = done; ttype = answer; reply = 221; };
";

fn compiled(source: &str) -> Definition {
    let compiled = compile(source, Some(&VOCABULARY));
    compiled.definition.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

#[test]
fn what_the_page_has_once_and_a_server_twice_is_learned_twice() {
    let reference = model(whole(PAGE).unwrap());
    let effort = Effort { depth: Depth::States, sessions_max: 20_000, random_words: 0, seed: 1 };
    let mut host = in_memory(&compiled(TWICE));
    let learned = Learner::new(&reference, &mut host, effort).learn().unwrap();
    assert_eq!(learned.access.len(), 10, "{learned:?}");
}

/// What no suite finds a property may: its dialogue goes otherwise, and then there is more to learn.
#[test]
fn a_word_that_goes_otherwise_than_was_learned_is_learned_from() {
    let page = compiled(TWICE);
    let reference = model(page.clone());
    let effort = Effort { depth: Depth::States, sessions_max: 20_000, random_words: 0, seed: 1 };
    let mut host = in_memory(&page);
    let mut student = Learner::new(&reference, &mut host, effort);
    let learned = student.learn().unwrap();
    let symbol = |name| reference.symbols.iter().position(|known| known.name == name).unwrap();
    let word = [symbol("MAIL"), symbol("EHLO"), symbol("MAIL")];
    assert!(student.confirm(&learned, &word).unwrap().is_some());
    // A hypothesis that is another server's.
    let mut cells = Vec::new();
    for state in 0..learned.machine.states() {
        for column in 0..learned.machine.symbols() {
            let cell = learned.machine.cell(StateIndex(state), column).cloned();
            let is_wrong = state == 0 && column == symbol("MAIL");
            cells.push(
                cell.map(|cell| if is_wrong { (Said::Code(250, false), cell.1) } else { cell }),
            );
        }
    }
    let machine = Mealy::new(learned.machine.symbols(), cells);
    let wrong = Learned { machine, access: learned.access.clone() };
    assert_eq!(student.confirm(&wrong, &word).unwrap(), None);
    assert_eq!(student.learn().unwrap().access, learned.access);
}

/// A server that answers each line with these octets, and the connection with a greeting.
fn server_that_answers(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"220 x\r\n").unwrap();
            for _ in BufReader::new(stream.try_clone().unwrap()).split(b'\n') {
                let _ = stream.write_all(answer);
                if answer.is_empty() {
                    break;
                }
            }
        }
    });
    address
}

#[test]
fn a_promise_of_a_handshake_that_is_not_kept_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.smtp");
    fs::write(&file, "S: 220\nC: STARTTLS\nS: 220\n* encrypted\nC: NOOP\nS: 250\n").unwrap();
    let keys = Keys::new();
    let fault = "fault = { says = 'x'; path = '.* STARTTLS'; end = close; };\n";
    let closing = Server::start_with_faults(fault, &quick(&keys, ""));
    for (address, expected) in [
        (closing.address, "got a closed connection"),
        (server_that_answers(b"220 a\r\n"), "got a handshake that fails (received corrupt message"),
        (server_that_answers(b"220 a\r\n250 b\r\n"), "got a reply that nothing asked for, `250 b`"),
    ] {
        let there = address.to_string();
        let played = postman(&["play", "--against", &there]).arg(&file).output().unwrap();
        let said = err(&played);
        let line = format!("x.smtp:4: expected a handshake that was asked for, {expected}");
        assert!(said.contains(&line), "{said}");
        assert_eq!(played.status.code(), Some(1));
    }
    let only = ["--starttls", "--depth", "tour", "--only", "init STARTTLS"];
    let output = put(closing.address, &only);
    let expected = "\ninit STARTTLS: expected to be accepted (2xx), got this in place of a handshake: a closed connection\n";
    assert!(out(&output).contains(expected), "{}\n{}", out(&output), err(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_suite_over_encrypted_lines_is_held_by_a_session_in_memory() {
    for how in ["--starttls", "--tls"] {
        let folder = tempfile::tempdir().unwrap();
        let suite = ["test", crate::rig::PAGE_PATH, how, "--write"];
        let output = postman(&suite).arg(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let play = ["play", "--states", crate::rig::PAGE_PATH];
        let played = postman(&play).args(files).output().unwrap();
        assert_eq!(played.status.code(), Some(0), "{how}: {}", err(&played));
    }
}
