//! STARTTLS in the machine: what is known after it, what is refused, and what a server without a
//! certificate leaves out. RFC 3207.

use std::fs;
use std::process::Command;

use postman::autofsm::{self, Comparison, Definition, compile, diff};
use postman::config::Config;
use postman::smtp::machine::Machine;
use postman::smtp::session::{Input, Output, Session};
use postman::smtp::vocabulary::VOCABULARY;
use proptest::prelude::*;

use crate::peer::{PAGE, Peer, page};

fn config_of(keys: &str) -> Config {
    Config::parse(&format!("({keys})")).unwrap()
}

fn config() -> Config {
    config_of("errors_max: 1000")
}

/// A session that waits for the handshake, after these octets and STARTTLS.
fn shaking_hands(before: &[u8]) -> Peer {
    let mut peer = Peer::new(&config());
    peer.give(Input::Octets(before));
    peer.said.clear();
    peer.give(Input::Octets(b"STARTTLS\r\n"));
    peer
}

/// CVE-2011-0411, and the forty of NO STARTTLS (2021).
#[test]
fn what_follows_starttls_in_the_clear_ends_the_session_and_is_never_run() {
    let verbs = page().commands().map(|event| format!("{}\r\n", event.name));
    let lines = ["EHLO thief\r\n", "MAIL FROM:<t@x.org>\r\n", "\r\n", "x", "\r", "\x16\x03\x01"];
    for line in verbs.chain(lines.map(str::to_owned)) {
        let whole = format!("EHLO me\r\nSTARTTLS\r\n{line}");
        let clear = whole.len() - line.len();
        for cut in 0..=whole.len() {
            let mut peer = Peer::new(&config());
            peer.said.clear();
            let (first, second) = whole.as_bytes().split_at(cut);
            peer.give(Input::Octets(first));
            if peer.open {
                peer.give(Input::Octets(second));
            }
            let said = String::from_utf8(peer.said.clone()).unwrap();
            let replies: Vec<_> = said.lines().filter(|line| line.get(3..4) == Some(" ")).collect();
            let codes: Vec<_> = replies.iter().map(|line| &line[..3]).collect();
            // The reply before the handshake is given only if nothing has followed until then.
            let expected = if cut == clear { &["250", "220", "421"][..] } else { &["250", "421"] };
            assert_eq!(codes, expected, "{line:?} cut at {cut}");
            assert!(said.ends_with(
                "421 4.7.0 Nothing may follow STARTTLS before the handshake, closing\r\n"
            ));
            assert!(!peer.open);
            let events: Vec<_> = peer.steps.iter().map(|step| step.event).collect();
            assert_eq!(events, ["EHLO", "STARTTLS"][..=usize::from(cut == clear)]);
        }
    }
}

#[test]
fn in_the_handshake_nothing_is_said_and_the_limits_go_on_counting() {
    for input in [Input::Silence, Input::Stop, Input::HangUp] {
        let mut peer = shaking_hands(b"EHLO x\r\n");
        assert!(peer.shakes_hands && peer.said.starts_with(b"220 2.0.0 "));
        peer.said.clear();
        peer.give(input);
        assert!(!peer.open && peer.said.is_empty(), "{input:?}");
    }
    let config = config_of("errors_max: 4");
    let mut peer = Peer::new(&config);
    peer.give(Input::Octets(b"x\r\nx\r\nx\r\n"));
    peer.give(Input::Octets(b"STARTTLS\r\n"));
    peer.give(Input::Encrypted);
    // STARTTLS was a success.
    peer.give(Input::Octets(b"x\r\nx\r\nx\r\n"));
    assert!(peer.open);
    peer.give(Input::Octets(b"x\r\n"));
    assert!(!peer.open);
    let config = config_of("commands_max: 100");
    let mut peer = Peer::new(&config);
    peer.give(Input::Octets(b"NOOP\r\n".repeat(99).as_slice()));
    peer.give(Input::Octets(b"STARTTLS\r\n"));
    peer.give(Input::Encrypted);
    peer.give(Input::Octets(b"NOOP\r\n"));
    assert!(!peer.open, "the commands before STARTTLS count");
}

/// The words of a row do not take the keywords' place; the domain stays first (RFC 5321 4.1.1.1).
#[test]
fn a_row_of_ehlo_with_words_offers_the_keywords_all_the_same() {
    let text = PAGE.replace(
        "ttype = greet_extended; reply = 250;",
        "ttype = greet_extended; reply = '250 at your service';",
    );
    let machine = Machine::load("page", &definition(&text)).unwrap();
    let mut peer = Peer::with_machine(&config(), machine);
    peer.said.clear();
    peer.give(Input::Octets(b"EHLO me\r\n"));
    let said = String::from_utf8(peer.said.clone()).unwrap();
    assert!(said.starts_with("250-postman.local at your service\r\n250-PIPELINING\r\n"), "{said}");
    assert!(said.ends_with("\r\n250 STARTTLS\r\n"), "{said}");
}

#[test]
fn help_takes_an_argument_only_if_its_syntax_shows_one() {
    let text = PAGE.replace("HELP = \"HELP [command]\";\n", "");
    let machine = Machine::load("page", &definition(&text)).unwrap();
    let mut peer = Peer::with_machine(&config(), machine);
    peer.said.clear();
    peer.give(Input::Octets(b"HELP\r\nHELP MAIL\r\n"));
    let said = String::from_utf8(peer.said.clone()).unwrap();
    assert!(said.ends_with("\r\n501 5.5.4 Syntax: HELP\r\n"), "{said}");
}

#[test]
fn nothing_of_before_is_held() {
    let mut peer = shaking_hands(format!("EHLO {}\r\n", "x".repeat(200)).as_bytes());
    assert_eq!(peer.session.held_bytes(), 0);
    peer.give(Input::Encrypted);
    peer.give(Input::Octets(b"MAIL FROM:<a@x.org>\r\n"));
    let said = String::from_utf8(peer.said.clone()).unwrap();
    assert!(said.contains("503 5.5.1 MAIL not now; expected HELO, EHLO,"), "{said}");
}

/// A caller may give octets while it looks for its answer. Those are in the clear, too.
#[test]
fn what_comes_while_the_caller_looks_whether_a_handshake_can_begin_is_never_run() {
    let config = config();
    let settings = std::sync::Arc::new(config.settings(page()));
    let mut session = Session::new(settings, postman::dialogue::client(&config));
    let mut said = Vec::new();
    for input in [
        Input::Connect,
        Input::Octets(b"STARTTLS\r\n"),
        Input::Octets(b"EHLO thief\r\n"),
        Input::Handshake(Ok(())),
    ] {
        let mut outputs = session.handle(input);
        while let Some(output) = outputs.next() {
            match output {
                Output::Reply(reply) => said.push(reply.code),
                Output::Encrypt => panic!("a handshake after octets in the clear"),
                _ => {}
            }
        }
    }
    assert_eq!(said, [220, 421]);
    assert_eq!(session.position().name(), "init");
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("EHLO me\r\n"),
        Just("HELO me\r\n"),
        Just("MAIL FROM:<a@x.org>\r\n"),
        Just("RCPT TO:<b@postman.local>\r\n"),
        Just("DATA\r\n"),
        Just("x\r\n.\r\n"),
        Just("RSET\r\n"),
        Just("NOOP\r\n"),
        Just("STARTTLS\r\n"),
        Just("HELP\r\n"),
        Just("VRFY a\r\n"),
        Just("\n"),
        Just("EHL"),
        Just("\r\n"),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Whatever was said before, after the handshake it is as if the client had just connected and
    /// said STARTTLS.
    #[test]
    fn after_the_handshake_a_session_says_what_a_fresh_one_says(before in lines(), after in lines()) {
        let mut used = Peer::new(&config());
        used.give(Input::Octets(&before));
        // A line that was begun is another's.
        used.give(Input::Octets(b"\r\n"));
        used.said.clear();
        if used.open && !used.shakes_hands {
            used.give(Input::Octets(b"STARTTLS\r\n"));
        }
        prop_assume!(used.shakes_hands);
        let mut fresh = shaking_hands(b"");
        for peer in [&mut used, &mut fresh] {
            peer.said.clear();
            peer.steps.clear();
            peer.give(Input::Encrypted);
            peer.give(Input::Octets(&after));
        }
        prop_assert_eq!(String::from_utf8_lossy(&used.said), String::from_utf8_lossy(&fresh.said));
        prop_assert_eq!(&used.steps, &fresh.steps);
        prop_assert_eq!(&used.stored, &fresh.stored);
        prop_assert_eq!(used.open, fresh.open);
    }
}

fn definition(text: &str) -> Definition {
    let compiled = compile(text, Some(&VOCABULARY));
    let shown = autofsm::render(&compiled.diagnostics, "page", text);
    compiled.definition.unwrap_or_else(|| panic!("{shown}"))
}

fn names(definition: &Definition) -> (Vec<&str>, Vec<&str>) {
    let states = definition.states.iter().map(|state| state.name.as_str()).collect();
    (states, definition.events.iter().map(|event| event.name.as_str()).collect())
}

/// Equal to a client, and in what the program keeps of names, comments and properties.
fn same(one: &Definition, other: &Definition) {
    let rules = Comparison { rules: Some(&VOCABULARY), ..Comparison::default() };
    assert_eq!(diff(one, other, &rules), []);
    assert_eq!(names(one), names(other));
    let docs = |definition: &Definition| -> Vec<String> {
        let states = definition.states.iter().map(|state| state.doc.clone());
        states.chain(definition.events.iter().map(|event| event.doc.clone())).collect()
    };
    assert_eq!(docs(one), docs(other));
    let says = |definition: &Definition| -> Vec<_> {
        let properties = definition.properties.iter();
        properties.map(|one| (one.says.clone(), one.path.clone(), one.accepts.clone())).collect()
    };
    assert_eq!(says(one), says(other));
}

#[test]
fn a_definition_that_is_written_as_a_page_is_read_as_what_it_was() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut pages = vec![PAGE.to_owned()];
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "def") {
            pages.push(fs::read_to_string(file).unwrap());
        }
    }
    // Names that need quotes, and words with quotes.
    pages.push(PAGE.replace("502 5.5.1 No lists here", "502 5.5.1 It\\'s \"no\" C:\\\\list"));
    pages.push(PAGE.replace("XPING", "X-PING").replace("client_ready", "client-ready"));
    assert!(pages.len() >= 4);
    for text in pages {
        let read = definition(&text);
        let written = autofsm::page(&read, &["x".to_owned()]);
        same(&read, &definition(&written));
    }
}

/// A comment to the end of its line may say what would end, or seem to begin, one of the other kind.
#[test]
fn what_a_page_says_in_its_comments_stays_in_them() {
    let from =
        "client_init,         /* greeted, no mail in hand; a clear line can still be encrypted */";
    assert!(PAGE.contains(from));
    let text = PAGE.replace(from, "client_init, // greeted */ RCPT /* or not");
    let written = autofsm::page(&definition(&text), &["a */ b /* c".to_owned()]);
    let compiled = compile(&written, Some(&VOCABULARY));
    assert_eq!(compiled.diagnostics, [], "{written}");
    assert_eq!(compiled.definition.unwrap().states[1].doc, "greeted * / RCPT / * or not");
}

#[test]
fn the_machine_without_a_row_is_that_of_the_page_without_it() {
    let whole = definition(PAGE);
    let rest = whole.without(VOCABULARY.conditional);
    assert_eq!(
        names(&rest).0,
        [
            "init",
            "client_init",
            "client_ready",
            "begin_transaction",
            "transaction",
            "read_data",
            "done"
        ]
    );
    assert!(!names(&rest).1.contains(&"STARTTLS"));
    assert!(rest.keywords.iter().all(|keyword| keyword.name != "STARTTLS"));
    let asked = |says: &str| rest.properties.iter().any(|property| property.says == says);
    assert!(asked("mail before a greeting") && !asked("encryption within encryption"));
    // What is left is proven again, as it is written.
    let written = autofsm::page(&rest, &[]);
    same(&rest, &definition(&written));
    let compiled = compile(&written, Some(&VOCABULARY));
    assert_eq!(compiled.diagnostics, [], "{written}");
    // And it is what the server runs.
    let served = page().without(VOCABULARY.conditional);
    let loaded = Machine::load("page", &rest).unwrap();
    let mut compared = 0;
    for (state, name) in loaded.states.iter().enumerate() {
        let of_served = served.states.iter().position(|known| known == name).unwrap();
        for (event, known) in loaded.events.iter().enumerate() {
            let cell = loaded.cells[state * loaded.events.len() + event];
            let column = usize::from(served.event(known.name).unwrap().0);
            let other = served.cells[of_served * served.events.len() + column];
            let next = |machine: &Machine, cell: Option<postman::smtp::machine::Transition>| {
                cell.map(|cell| (machine.states[usize::from(cell.next.0)], cell.action, cell.reply))
            };
            assert_eq!(next(loaded, cell), next(served, other));
            compared += 1;
        }
    }
    assert!(compared > 80);
    assert_eq!(page().without(&[]), page());
}

fn postman(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    let output = command.args(arguments).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_says_what_is_left_out_and_writes_the_page_as_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (mail, states) = (folder.path().join("mail"), crate::rig::PAGE_PATH);
    let mail = mail.to_str().unwrap();
    let check = ["check", "--skip-port", "--maildir", mail, "--states", states];
    let (code, said, errors) = postman(&check);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.contains("\n  left out    STARTTLS: there is no certificate\n"), "{said}");
    let (code, page, _) = postman(&[&check[..], &["--page"]].concat());
    assert_eq!(code, Some(0));
    same(&definition(&page), &definition(PAGE).without(VOCABULARY.conditional));
    let file = folder.path().join("served.def");
    fs::write(&file, &page).unwrap();
    let file = file.to_str().unwrap();
    let (code, told, _) = postman(&["fsm", "diff", states, file]);
    assert_eq!(code, Some(1));
    assert!(told.contains("STARTTLS is no longer accepted\n"), "{told}");
    assert!(told.contains("EHLO offers something else\n"), "{told}");
    assert!(told.contains("   # new: PIPELINING 8BITMIME SIZE ENHANCEDSTATUSCODES  "), "{told}");
    // A page that wants encryption first is of no use then.
    let strict = folder.path().join("strict.def");
    let wants = "{ tst = client_init; tev = MAIL; ttype = answer; reply = '530 5.7.0 Must issue a STARTTLS command first'; },\n  \
                 { tst = client_ready;       tev = MAIL;";
    let text = PAGE.replace("{ tst = client_init, client_ready;       tev = MAIL;", wants);
    // The greeting on a clear line allows no mail there.
    let text = text
        .replace("after = '.* [HELO EHLO END]'; ", "after = '.* STARTTLS .* [HELO EHLO END]'; ");
    let text = text.replace(
        "after = '.* [HELO EHLO] [^ STARTTLS]* RSET'; ",
        "after = '.* STARTTLS .* [HELO EHLO] .* RSET'; ",
    );
    fs::write(&strict, text).unwrap();
    let (code, said, errors) =
        postman(&["check", "--skip-port", "--maildir", mail, "--states", strict.to_str().unwrap()]);
    let warning =
        "no client can send mail: the definition wants STARTTLS first, which needs a certificate";
    assert!(code == Some(0) && said.contains(warning), "{said}{errors}");
    // Nor does what nothing reaches keep the page from being checked.
    let lost = folder.path().join("lost.def");
    let text = PAGE
        .replace(
            "tst = client_init, client_ready;       tev = MAIL;",
            "tst = client_ready; tev = MAIL;",
        )
        .replace("after = '.* [HELO EHLO END]'; ", "after = '.* STARTTLS .* [HELO EHLO END]'; ")
        .replace(
            "after = '.* [HELO EHLO] [^ STARTTLS]* RSET'; ",
            "after = '.* STARTTLS .* [HELO EHLO] .* RSET'; ",
        );
    fs::write(&lost, text).unwrap();
    let (code, served, _) = postman(&[
        "check",
        "--skip-port",
        "--maildir",
        mail,
        "--page",
        "--states",
        lost.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0));
    assert!(!definition(&served).states.iter().any(|state| state.name == "read_data"));
    // A page without such a row is served as it is written.
    let (code, again, _) =
        postman(&["check", "--skip-port", "--maildir", mail, "--states", file, "--page"]);
    assert_eq!((code, again), (Some(0), page));
}

#[test]
fn check_writes_the_page_of_the_listener_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.def");
    fs::write(&other, PAGE.replace("ttype = greet; ", "ttype = greet;  ")).unwrap();
    let config = folder.path().join("postman.ron");
    let (mail, states) = (folder.path().join("mail"), crate::rig::PAGE_PATH);
    let text = format!(
        r#"(maildir_path: {mail:?}, listeners: [
            (address: "127.0.0.1:2598", states: {states:?}),
            (address: "127.0.0.1:2599", states: {other:?}, tls: Never)])"#
    );
    fs::write(&config, text).unwrap();
    let page = |words: &str| {
        postman(&["check", "--skip-port", "--config", config.to_str().unwrap(), words])
    };
    let (code, first, _) = page("--page");
    assert_eq!(code, Some(0));
    assert_eq!(page("--page=127.0.0.1:2598").1, first);
    let (code, second, _) = page("--page=127.0.0.1:2599");
    assert_eq!(code, Some(0));
    assert!(second.contains("other.def") && !first.contains("other.def"), "{second}");
    let (code, said, error) = page("--page=127.0.0.1:25");
    assert_eq!((code, said.as_str()), (Some(2), ""));
    let why =
        "no listener has the address `127.0.0.1:25`; there are 127.0.0.1:2598, 127.0.0.1:2599";
    assert!(error.contains(why), "{error}");
}
