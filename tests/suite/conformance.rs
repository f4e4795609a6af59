//! Any server put to the page: ours passes, each mutant of it that a client can notice does not,
//! and servers that are not the same each time, or go away, are told apart from both.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use tempfile::TempDir;

use postman::autofsm::{Definition, StateIndex, compile};
use postman::config::Config;
use postman::conformance::{
    Depth, Effort, InMemory, Learner, Mealy, Model, Options, Values, Verdict, plan, run,
    separating, symbols,
};
use postman::dialogue::Dialogue;
use postman::smtp::machine::Machine;
use postman::smtp::vocabulary::VOCABULARY;

use crate::mutants::{Mutant, mutants, without_properties};
use crate::peer::PAGE;
use crate::rig::{PAGE_PATH, Server, wait_until};

/// A page as a server without a certificate serves it.
fn served(source: &str) -> Option<Definition> {
    let compiled = compile(source, Some(&VOCABULARY));
    compiled.definition.map(|definition| definition.without(VOCABULARY.conditional))
}

pub(crate) fn values() -> Values {
    Values { unknown: Some("nobody@postman.local".to_owned()), ..Values::default() }
}

pub(crate) fn model(definition: Definition) -> Model {
    let symbols = symbols(&definition, &values());
    Model::new(definition, symbols, false)
}

pub(crate) fn in_memory(definition: &Definition) -> InMemory {
    let config = Config::parse("(users: Listed([\"user\"]))").unwrap();
    InMemory { config, machine: Machine::load("x.def", definition).unwrap() }
}

pub(crate) const ALL: Options = Options { depth: Depth::States, only: None };

#[test]
fn our_server_keeps_its_page_at_each_depth() {
    let page = served(PAGE).unwrap();
    let model = model(page.clone());
    for (depth, sessions) in [(Depth::Tour, 10..40), (Depth::States, 200..300)] {
        let options = Options { depth, only: None };
        let report = run(&model, options, &mut in_memory(&page));
        assert_eq!(report.count(|verdict| *verdict == Verdict::Pass), 108, "{:?}", report.findings);
        assert_eq!((report.cells.len(), report.sessions), (108, plan(&model, options).len()));
        assert!(sessions.contains(&report.sessions), "{}", report.sessions);
        assert!(report.doubt().is_none() && !report.fails());
    }
}

/// The cells that two definitions with the same names do not share, to a client.
fn changed(one: &Model, other: &Model) -> BTreeSet<(usize, usize)> {
    let mut found = BTreeSet::new();
    for state in 0..one.machine.states() {
        for symbol in 0..one.machine.symbols() {
            let of = |model: &Model| {
                let (answer, next) = model.machine.cell(StateIndex(state), symbol)?;
                Some((*answer, model.state(*next).to_owned()))
            };
            if of(one) != of(other) {
                found.insert((state, symbol));
            }
        }
    }
    found
}

/// Whether a client can tell the two apart.
fn is_noticeable(one: &Model, other: &Model) -> bool {
    let width = one.machine.symbols();
    let count = one.machine.states();
    let cells = |model: &Model, shift: usize| {
        let all: Vec<_> = (0..model.machine.states())
            .flat_map(|state| (0..width).map(move |symbol| (state, symbol)))
            .collect();
        all.into_iter()
            .map(|(state, symbol)| {
                let cell = model.machine.cell(StateIndex(state), symbol);
                cell.map(|(answer, next)| (*answer, StateIndex(next.0 + shift)))
            })
            .collect::<Vec<_>>()
    };
    let both = Mealy::new(width, [cells(one, 0), cells(other, count)].concat());
    separating(&both, StateIndex(0), StateIndex(count)).is_some()
}

/// Puts a mutant to the page. Returns whether a client can notice it, and then whether it fails; one
/// that answers with 4xx in place of a success is inconclusive.
fn found(page: &Model, serve: Serve, source: &str, shown: &str) -> Option<bool> {
    // Not what is left of the page without the rows of STARTTLS: states keep their numbers so.
    let mutant = serve(&without_properties(source))?;
    if mutant.states.len() != page.definition.states.len() {
        return None;
    }
    let mutated = model(mutant.clone());
    if mutated.symbols != page.symbols || !is_noticeable(page, &mutated) {
        return None;
    }
    let report = run(page, ALL, &mut in_memory(&mutant));
    let changed = changed(page, &mutated);
    let is_right =
        |verdict: &Verdict| matches!(verdict, Verdict::Fail(_) | Verdict::Inconclusive(_));
    let wrong: Vec<_> = report.cells.iter().filter(|(_, verdict)| is_right(verdict)).collect();
    let named = |place: &(usize, usize)| {
        format!("{} {}", page.state(StateIndex(place.0)), page.name(place.1))
    };
    assert!(
        wrong.iter().any(|(place, _)| changed.contains(place)),
        "{shown}: changed are {:?}, and found {:?}\n{:?}",
        changed.iter().map(named).collect::<Vec<_>>(),
        wrong.iter().map(|(place, _)| named(place)).collect::<Vec<_>>(),
        report.findings
    );
    for finding in &report.findings {
        confirm(&finding.dialogue, &page.definition, &mutant, shown);
    }
    Some(report.fails())
}

/// The page holds a dialogue that the mutant does not.
fn confirm(text: &str, page: &Definition, mutant: &Definition, shown: &str) {
    use postman::dialogue::Peer;
    let dialogue = Dialogue::parse(text).unwrap();
    let plays = |definition: &Definition| {
        let InMemory { config, machine } = in_memory(definition);
        dialogue.play(&mut Peer::new(&config, machine), |most| most)
    };
    assert_eq!(plays(page), Ok(()), "{shown}\n{text}");
    assert!(plays(mutant).is_err(), "{shown}\n{text}");
}

fn each_mutant(step: usize, least: usize) {
    each_mutant_of(served, |_| true, step, least);
}

/// What a listener makes of a source.
pub(crate) type Serve = fn(&str) -> Option<Definition>;

/// Puts every so many of the mutants of a kind to the page, as a listener serves both.
pub(crate) fn each_mutant_of(
    serve: Serve,
    is_wanted: fn(&Mutant) -> bool,
    step: usize,
    least: usize,
) {
    let original = compile(PAGE, Some(&VOCABULARY)).definition.unwrap();
    let page = model(serve(PAGE).unwrap());
    let all: Vec<Mutant> = mutants(&original).into_iter().filter(is_wanted).collect();
    let chosen = all.iter().step_by(step);
    let found: Vec<_> =
        chosen.filter_map(|one| found(&page, serve, &one.source, &one.shown)).collect();
    let failing = found.iter().filter(|fails| **fails).count();
    println!(
        "{} of {} mutants can be noticed; {failing} fail, the others are inconclusive",
        found.len(),
        all.len().div_ceil(step)
    );
    assert!(failing >= least, "{failing}");
}

#[test]
fn mutants_of_the_page_are_found_at_the_right_cell() {
    each_mutant(23, 5);
}

#[test]
#[ignore = "half a minute; CI runs it"]
fn each_mutant_of_the_page_is_found_at_the_right_cell() {
    each_mutant(1, 50);
}

pub(crate) fn postman(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    command.args(["fsm"]).args(arguments).stdin(Stdio::null());
    command
}

/// The suite of the tests' own page against an address.
pub(crate) fn put(address: SocketAddr, arguments: &[&str]) -> Output {
    let address = address.to_string();
    let fixed = ["test", PAGE_PATH, "--against", &address, "--recipient", "user@postman.local"];
    postman(&fixed).args(arguments).output().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) const QUICK: &str = "(connects_per_second_max: 10000, users: Listed([\"user\"]))";

/// A server whose RSET forgets the greeting, with the folder of its page.
fn server_that_forgets_the_greeting() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.def");
    let states = "{ tst = init, client_init, tls_init, client_ready; tev = RSET; ";
    assert!(PAGE.contains(states));
    let forgets = "{ tst = init, client_init; tev = RSET; next = init; ttype = reset; reply = 250; },\n  \
                   { tst = tls_init, client_ready; tev = RSET; ";
    fs::write(&path, without_properties(&PAGE.replacen(states, forgets, 1))).unwrap();
    let server = Server::start_by(Some(&path), QUICK, ":");
    (folder, server)
}

#[test]
fn our_server_passes_over_a_socket_in_each_form() {
    let server = Server::start(QUICK);
    let text = put(server.address, &["--unknown-recipient", "nobody@postman.local"]);
    assert_eq!(text.status.code(), Some(0), "{}\n{}", out(&text), err(&text));
    assert!(out(&text).contains("\n108 cells: 108 pass; 253 sessions, "), "{}", out(&text));
    assert_eq!(err(&text), "");

    let json = put(server.address, &["--depth", "tour", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let cells = json["cells"].as_array().unwrap();
    assert!(cells.len() == 102 && cells.iter().all(|cell| cell["verdict"] == "pass"), "{json}");

    let junit = out(&put(server.address, &["--depth", "tour", "--format", "junit"]));
    let document = roxmltree::Document::parse(&junit).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    assert_eq!(cases.count(), 102);

    let tap = out(&put(server.address, &["--depth", "tour", "--format", "tap"]));
    assert!(tap.starts_with("TAP version 13\n1..102\n"), "{tap}");
    assert_eq!(tap.lines().filter(|line| line.starts_with("ok ")).count(), 102);
}

#[test]
fn a_deviation_is_a_dialogue_and_may_be_known() {
    let (folder, server) = server_that_forgets_the_greeting();
    let findings = folder.path().join("findings");
    let output = put(server.address, &["--findings", findings.to_str().unwrap()]);
    let said = out(&output);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", err(&output));
    let expected = "client_init RSET: the state after it is not `client_init`: expected MAIL to be accepted (2xx), got `503 ";
    assert!(said.contains(expected), "{said}");
    let file = findings.join("client_init-RSET.smtp");
    let dialogue = fs::read_to_string(&file).unwrap();
    assert!(dialogue.starts_with("# client_init RSET: "), "{dialogue}");
    let address = server.address.to_string();
    let played = postman(&["play", "--against", &address]).arg(&file).output().unwrap();
    assert_eq!(played.status.code(), Some(1), "{}", err(&played));

    let known = folder.path().join("known.expect");
    fs::write(
        &known,
        "# RSET forgets the greeting.\n\nclient_init RSET moved   # RFC 5321 4.1.1.5\n",
    )
    .unwrap();
    let known = known.to_str().unwrap();
    let output = put(server.address, &["--expect", known]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", out(&output), err(&output));
    assert!(out(&output).contains("101 pass, 1 known"), "{}", out(&output));

    // A server that is mended makes its list a failure.
    let server = Server::start(QUICK);
    let output = put(server.address, &["--expect", known, "--format", "junit"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(out(&output).contains("client_init RSET moved no longer holds"), "{}", out(&output));
}

#[test]
fn a_server_that_goes_away_is_no_pass() {
    let mut server = Server::start(QUICK);
    let address = server.address.to_string();
    let arguments = [
        "test",
        PAGE_PATH,
        "--against",
        &address,
        "--recipient",
        "user@postman.local",
        "--pause",
        "0.02",
    ];
    let child = postman(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a message", || {
        !server.files("user/new").is_empty()
            || !server.files("new").is_empty()
            || !server.files(".user/new").is_empty()
    });
    server.stop();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}\n{}", out(&output), err(&output));
    assert!(err(&output).starts_with("postman: inconclusive: "), "{}", err(&output));
    assert!(err(&output).contains("not judged: cannot connect to "), "{}", err(&output));
}

/// A server that takes all, but for NOOP in one of three sessions.
fn server_that_changes_its_mind() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (session, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            stream.write_all(b"220 x\r\n").unwrap();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { break };
                let is_refused = session % 3 == 0 && line == "NOOP";
                let reply: &[u8] = if is_refused { b"502 no\r\n" } else { b"250 yes\r\n" };
                let _ = stream.write_all(reply);
            }
        }
    });
    address
}

#[test]
fn a_server_that_changes_its_mind_is_shown_with_both_sessions() {
    let address = server_that_changes_its_mind();
    let output = put(address, &["--depth", "tour", "--only", "init NOOP"]);
    let said = out(&output);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", err(&output));
    let expected = "   session 1\n      C: NOOP\n      S: 502 no\n   session 2\n      C: NOOP\n      S: 250 yes\n";
    assert!(said.contains(expected) && said.contains("1 not deterministic"), "{said}");
}

#[test]
fn nothing_is_sent_without_leave_and_a_dry_run_says_what_would_be() {
    let there = ["test", PAGE_PATH, "--against", "192.0.2.1:25"];
    for (arguments, expected) in [
        (&[][..], "say who gets the messages, with --recipient ADDRESS"),
        (
            &["--recipient", "a@x.org"],
            "and 18 messages, to a@x.org; if you may do that to it, say --yes-i-may",
        ),
        (&["--recipient", "a@x.org\r\nDATA"], "expected NAME@DOMAIN"),
        (
            &["--only", "innit"],
            "cannot use --only: no state is called `innit`; did you mean `init`?",
        ),
    ] {
        let output = postman(&there).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(expected), "{}", err(&output));
    }
    let output = postman(&["test", PAGE_PATH, "--dry-run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        out(&output).contains(": 948 commands in 237 sessions, and 18 messages to "),
        "{}",
        out(&output)
    );
}

#[test]
fn the_suite_as_dialogues_is_held_by_a_session_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        postman(&["test", PAGE_PATH, "--codes", "--write"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 237);
    let is_file = |path: &Path| path.extension().is_some_and(|end| end == "smtp");
    assert!(files.iter().all(|path| is_file(path)));
    let played = postman(&["play", "--states", PAGE_PATH]).args(&files).output().unwrap();
    assert_eq!(played.status.code(), Some(0), "{}", err(&played));
    // No file is replaced.
    let output = postman(&["test", PAGE_PATH, "--write"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("cannot write "), "{}", err(&output));
}

/// Learns the machine of an address, by the tests' own page.
pub(crate) fn learn(address: SocketAddr, arguments: &[&str]) -> Output {
    let address = address.to_string();
    let fixed = ["learn", &address, PAGE_PATH, "--recipient", "user@postman.local"];
    postman(&fixed).args(arguments).output().unwrap()
}

#[test]
fn our_server_is_learned_as_its_page() {
    let server = Server::start(QUICK);
    let output = learn(server.address, &[]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.ends_with("14 of 14 properties hold of what was learned\n"), "{said}");
    let sessions: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(sessions < 3000, "{sessions}");
    assert!(out(&output).contains("Not proven of the server: "), "{}", out(&output));

    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("theirs.def"), folder.path().join("ours.def"));
    fs::write(&theirs, &output.stdout).unwrap();
    fs::write(&ours, postman::autofsm::page(&served(PAGE).unwrap(), &[])).unwrap();
    let compared = postman(&["diff", "--foreign", "--replies"]).arg(ours).arg(theirs).output();
    let compared = compared.unwrap();
    assert_eq!(compared.status.code(), Some(0), "{}{}", out(&compared), err(&compared));
}

#[test]
fn a_broken_property_is_played_to_the_server_before_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.def");
    let row = "begin_transaction, transaction; tev = VRFY;";
    assert!(PAGE.contains(row));
    let source = PAGE.replacen(row, "begin_transaction; tev = VRFY;", 1);
    fs::write(&path, without_properties(&source)).unwrap();
    let server = Server::start_by(Some(&path), QUICK, ":");
    let output = learn(server.address, &["--random-words", "20"]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in [
        "broken: this is not always so: outside content one can always ask\n",
        "   C: VRFY user\n   S: 503 5.5.1 ",
        "13 of 14 properties hold of what was learned\n",
    ] {
        assert!(said.contains(expected), "{expected}\n--\n{said}");
    }
}

#[test]
fn a_server_that_changes_its_mind_is_not_learned() {
    let output = learn(server_that_changes_its_mind(), &[]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(" does not always answer alike; one session:\n"), "{said}");
    assert!(said.contains("S: 502") && said.contains("postman: and another:\n"), "{said}");
    let output = learn(Server::start(QUICK).address, &["--sessions-max", "50"]);
    assert!(err(&output).contains("no machine after 50 sessions"), "{}", err(&output));
}

/// Two NOOPs in turn lead to where HELP is refused: a state that one word alone does not show.
const HIDDEN: &str = "AutoGen Definitions fsm;
state = once, twice; event = NOOP, HELP, QUIT;
transition =
  { tst = init; tev = NOOP; next = once; ttype = answer; reply = 250; },
  { tst = once, twice; tev = NOOP; next = twice; ttype = answer; reply = 250; },
  { tst = init, once; tev = HELP; ttype = explain; reply = 214; },
  { tst = init, once, twice; tev = QUIT; next = done; ttype = answer; reply = 221; };
";

#[test]
fn a_hidden_state_is_learned() {
    let hidden = compile(HIDDEN, Some(&VOCABULARY));
    let hidden = hidden.definition.unwrap_or_else(|| panic!("{:?}", hidden.diagnostics));
    // The reference has no such state.
    let shallow = HIDDEN.replace("init; tev = NOOP; next = once", "init; tev = NOOP; next = init");
    let reference = model(compile(&shallow, None).definition.unwrap());
    let effort = Effort { depth: Depth::States, sessions_max: 20_000, random_words: 500, seed: 1 };
    let mut host = in_memory(&hidden);
    let machine = Learner::new(&reference, &mut host, effort).learn().unwrap();
    assert_eq!(machine.access.len(), 3, "{machine:?}");
}
