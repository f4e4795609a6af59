//! The tools around a definition, as a user runs them.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use postman::autofsm::compile;
use postman::config::Config;
use postman::dialogue::{Peer, Play as _};
use postman::smtp::machine::Machine;
use postman::smtp::session::Input;
use postman::smtp::vocabulary::VOCABULARY;
use sha2::{Digest as _, Sha256};

use crate::rig::Server;

use crate::peer::PAGE as SOURCE;

fn postman(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments reads no input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A folder that has the tests' own page.
fn folder_with_page() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("smtp-states.def"), SOURCE).unwrap();
    folder
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn with_xping() -> String {
    let row =
        "{ tst = init, client_init; tev = XPING; ttype = answer; reply = '250 2.0.0 pong'; },";
    SOURCE.replacen("QUIT;\n", "QUIT, XPING;\n", 1).replacen(
        "transition =\n",
        &format!("transition =\n  {row}\n"),
        1,
    )
}

#[test]
fn a_session_at_the_prompt_tells_reply_row_states_and_what_is_accepted() {
    let folder = folder_with_page();
    let output =
        postman(folder.path(), &["fsm", "try", "smtp-states.def"], "RCPT TO:<b>\nHELO me\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let (said, line) =
        (out(&output), SOURCE.lines().position(|line| line.contains("tev = HELO;")).unwrap() + 1);
    for expected in [
        "S: 220 postman.local",
        "C: RCPT TO:<b>\nS: 503 5.5.1 RCPT not now; expected HELO, EHLO,",
        "   refused: still init\nC: HELO me\n",
        &format!(
            "C: HELO me\nS: 250 postman.local\n   init --HELO--> client_init   greet\n   smtp-states.def:{line}:3: \
             {{ tst = init, client_init; tev = HELO; next = client_init; ttype = greet; reply = 250; }}\n   now: HELO EHLO STARTTLS MAIL "
        ),
    ] {
        assert!(said.contains(expected), "{expected}\n--\n{said}");
    }
}

#[test]
fn a_session_can_be_undone_saved_and_played_and_content_is_content() {
    let folder = folder_with_page();
    let input = "EHLO me\nMAIL FROM:<a@x.org>\nRCPT TO:<b@postman.local>\nDATA\nSubject: x\n\n::quit\n :undo\nwrong\n:undo\n..\n.\n\
        RSET\n:undo\n:save a.smtp\n:save a.smtp\n:states\nQUIT\nNOOP\n:undo\n:undo\nQUIT\n:save b.smtp\n:quit\nnever read\n";
    let output = postman(folder.path(), &["fsm", "try", "smtp-states.def"], input);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said = out(&output);
    for expected in [
        "back in read_data, after ` :undo`",
        "back in client_ready, after `.`",
        "cannot save a.smtp: File exists",
        " * client_ready ",
        "the server has closed; :undo goes back",
    ] {
        assert!(said.contains(expected), "{expected}\n--\n{said}");
    }
    assert!(!said.contains("never read"));
    let saved = fs::read_to_string(folder.path().join("a.smtp")).unwrap();
    assert!(
        saved.contains("\nC: Subject: x\nC:\nC: :quit\nC:  :undo\nC: ..\nC: .\nS: 250 2.0.0 Safe"),
        "{saved}"
    );
    assert!(
        saved.ends_with("\n= client_ready\n")
            && !saved.contains("wrong")
            && !saved.contains("RSET"),
        "{saved}"
    );
    let played = postman(
        folder.path(),
        &["fsm", "play", "--states", "smtp-states.def", "a.smtp", "b.smtp"],
        "",
    );
    assert_eq!(
        (played.status.code(), out(&played).as_str()),
        (Some(0), "a.smtp: ok\nb.smtp: ok\n")
    );
}

#[test]
fn the_handshake_is_a_step_at_the_prompt_and_in_a_dialogue() {
    let folder = folder_with_page();
    let input = ":encrypted\nEHLO me\nSTARTTLS\n:undo\nSTARTTLS\n:encrypted\nMAIL FROM:<a@x.org>\nEHLO me\n\
        :undo\nHELO me\n:save a.smtp\n";
    let output = postman(folder.path(), &["fsm", "try", "smtp-states.def"], input);
    let said = out(&output);
    for expected in [
        "   nothing to encrypt: the server has not answered 220 to STARTTLS\n",
        "S: 250 STARTTLS\n",
        "   now: the handshake; `:encrypted` ends it\n:undo\n   back in client_init, after `EHLO me`\n",
        ":encrypted\n* encrypted\n   now: HELO EHLO RSET NOOP HELP VRFY QUIT\n",
        "S: 250 ENHANCEDSTATUSCODES\n   tls_init --EHLO--> client_ready   greet_extended\n",
        ":undo\n   back in tls_init, after `MAIL FROM:<a@x.org>`\n",
    ] {
        assert!(said.contains(expected), "{expected}\n--\n{said}");
    }
    let saved = fs::read_to_string(folder.path().join("a.smtp")).unwrap();
    let handshake = "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\n= tls_init\n* encrypted\nC: MAIL FROM:<a@x.org>\nS: 503";
    assert!(saved.contains(handshake), "{saved}");
    let play = |name: &str| {
        postman(folder.path(), &["fsm", "play", "--states", "smtp-states.def", name], "")
    };
    assert_eq!(out(&play("a.smtp")), "a.smtp: ok\n");
    for (text, expected) in [
        ("S: 220\n* encrypted\n", "x.smtp:2: expected a handshake that was asked for, got none\n"),
        (
            "! without: STARTLS\nS: 220\n",
            "x.smtp:1: expected a command that a server may have to leave out: STARTTLS, got `STARTLS`\n",
        ),
        (
            "! without: STARTTLS\nS: 220\nC: STARTTLS\nS: 220\n",
            "x.smtp:4: expected `220`, got `500 5.5.1 Command unknown, try HELP`\n",
        ),
    ] {
        fs::write(folder.path().join("x.smtp"), text).unwrap();
        assert_eq!(err(&play("x.smtp")), expected);
    }
}

#[test]
fn a_dialogue_that_fails_says_where_what_was_expected_and_what_came() {
    let folder = folder_with_page();
    fs::write(folder.path().join("my.def"), with_xping()).unwrap();
    fs::write(folder.path().join("ping.smtp"), "S: 220\nC: XPING\nS: 250 2.0.0 pong\n= init\n")
        .unwrap();
    fs::write(folder.path().join("bad.smtp"), "hello\n").unwrap();
    let mine = postman(folder.path(), &["fsm", "play", "ping.smtp", "--states", "my.def"], "");
    assert_eq!((mine.status.code(), out(&mine).as_str()), (Some(0), "ping.smtp: ok\n"));
    let built = postman(
        folder.path(),
        &["fsm", "play", "--states", "smtp-states.def", "bad.smtp", "ping.smtp"],
        "",
    );
    assert_eq!(built.status.code(), Some(1));
    assert_eq!(
        err(&built),
        "bad.smtp:1: expected `C: ` and what the client says, `S: ` and how the reply begins, `= STATE`, or `#` and a comment, got `hello`\n\
         ping.smtp:3: expected `250 2.0.0 pong`, got `500 5.5.1 Command unknown, try HELP`\n"
    );
    let none = postman(folder.path(), &["fsm", "play", "none.smtp"], "");
    assert_eq!((none.status.code(), err(&none).lines().count()), (Some(2), 1));
}

#[test]
fn a_finding_in_a_dialogue_names_its_file_and_line() {
    let folder = folder_with_page();
    for (text, expected) in [
        (
            "S: 220\nC: HELO x\nS: 250\n= clint_init\n",
            "x.smtp:4: expected a state of smtp-states.def, got `clint_init`; did you mean `client_init`?\n",
        ),
        (
            "# x\n! usrs: Any\nS: 220\n",
            "x.smtp:2: expected a key of the configuration and its value, got ",
        ),
        (
            "# x\n! users: Some\nS: 220\n",
            "x.smtp:2: expected a key of the configuration and its value, got ",
        ),
        ("S: 220\n=init\n", "x.smtp:2: expected a state, as in `= init`, got `=init`\n"),
        ("S: 220\n* verdit full\n", "x.smtp:2: expected `* verdict yes`, "),
        ("S: 220\nO: \\q\n", "x.smtp:2: expected octets, with "),
        (
            "\n! definition: bad.def\nS: 220\n",
            "x.smtp:2: expected a definition without findings in `bad.def`, got those above\n",
        ),
    ] {
        fs::write(folder.path().join("x.smtp"), text).unwrap();
        fs::write(
            folder.path().join("bad.def"),
            SOURCE.replace("evnet", "event").replace("event  =", "evnet  ="),
        )
        .unwrap();
        let states =
            if text.contains("definition:") { &[][..] } else { &["--states", "smtp-states.def"] };
        let output = postman(folder.path(), &[&["fsm", "play", "x.smtp"], states].concat(), "");
        assert_eq!(output.status.code(), Some(1), "{text}: {}", err(&output));
        assert!(
            err(&output).lines().any(|line| format!("{line}\n").contains(expected)),
            "{text}: {}",
            err(&output)
        );
    }
    fs::write(folder.path().join("x.smtp"), "! definition: no.def\nS: 220\n").unwrap();
    let output = postman(folder.path(), &["fsm", "play", "x.smtp"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).starts_with("postman: x.smtp:1: cannot read no.def: "),
        "{}",
        err(&output)
    );
}

#[test]
fn another_definition_is_served_without_building() {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("my.def"), folder.path().join("log"));
    fs::write(&path, with_xping()).unwrap();
    let config = format!("(log: (files: [({log:?}, \"info\")]))");
    let mut server = Server::start_by(Some(&path), &config, ":");
    let mut talk = server.connect();
    talk.say("XPING", "250 2.0.0 pong");
    assert!(talk.say("HELP", "214-").contains("XPING"));
    talk.say("XPING now", "501 5.5.4 Syntax: XPING");
    talk.say("EHLO x", "250-");
    talk.say("MAIL FROM:<a@x.org>", "250");
    talk.say("XPING", "503 5.5.1 XPING not now; expected HELO, EHLO, RCPT,");
    talk.say("QUIT", "221");
    assert_eq!(server.stop(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    let first = text.lines().next().unwrap();
    let octets = Sha256::digest(with_xping().as_bytes());
    let digest = octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"));
    assert!(
        first.contains(&format!("definition file=\"{}\" sha256={digest}", path.display())),
        "{first}"
    );
    let checked = postman(folder.path(), &["check", "--states", "my.def"], "");
    assert!(
        out(&checked).contains(&format!("  definition  my.def, sha256 {}\n", &digest[..12])),
        "{}",
        out(&checked)
    );
    let built = out(&postman(folder.path(), &["check"], ""));
    assert!(built.contains("  definition  smtp-states.def, built in, sha256 "), "{built}");
}

#[test]
fn a_definition_with_an_error_is_refused_before_the_port_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("bad.def"),
        SOURCE.replace("ttype = set_sender;", "ttype = answer;"),
    )
    .unwrap();
    fs::write(
        folder.path().join("foreign.def"),
        "AutoGen Definitions fsm; event = E; transition = { tst = init; tev = E; next = done; };",
    )
    .unwrap();
    // The port is taken: who opened it first would say so, and have the exit code 2.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (file, said) in [
        ("bad.def", "accepting `MAIL` promises what `answer` does not do"),
        ("foreign.def", "no row has a `reply`"),
    ] {
        for arguments in [
            vec!["serve", "--states", file, "--listen", &address, "--maildir", "m"],
            vec!["check", "--states", file],
            vec!["fsm", "try", file],
        ] {
            let output = postman(folder.path(), &arguments, "");
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", err(&output));
            assert!(
                err(&output).contains(said) && err(&output).starts_with(file),
                "{}",
                err(&output)
            );
        }
    }
    assert!(!folder.path().join("m").exists());
}

#[test]
fn findings_as_json_have_their_place_and_are_json_whatever_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let source = "AutoGen Definitions fsm;\nstate = a;\nevent = E, F;\n/* \u{e9}\" */ transition = { tst = init; tev = \"x\\\"\u{1}\"; next = a; };\n";
    fs::write(folder.path().join("x.def"), source).unwrap();
    let output = postman(folder.path(), &["fsm", "check", "--format", "json", "x.def"], "");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), ""));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &found[0];
    assert_eq!((&one["severity"], &one["file"]), (&"error".into(), &"x.def".into()));
    assert_eq!(
        (&one["line"], &one["column"], &one["end_line"]),
        (&4.into(), &43.into(), &4.into()),
        "{one}"
    );
    assert!(one["message"].as_str().unwrap().starts_with("no event is called"));
    for key in ["end_column", "help", "notes"] {
        assert!(one.get(key).is_some(), "{key}");
    }
    // Warnings alone are no failure; a fine file has no findings.
    fs::write(
        folder.path().join("y.def"),
        "AutoGen Definitions fsm; state = a; event = E; transition = { tst = init; tev = E; next = done; };",
    )
    .unwrap();
    let warned = postman(folder.path(), &["fsm", "check", "--format", "json", "y.def"], "");
    let found: serde_json::Value = serde_json::from_slice(&warned.stdout).unwrap();
    assert_eq!((warned.status.code(), &found[0]["severity"]), (Some(0), &"warning".into()));
    fs::write(folder.path().join("z.def"), SOURCE).unwrap();
    let fine = postman(folder.path(), &["fsm", "check", "--format", "json", "z.def"], "");
    assert_eq!((fine.status.code(), out(&fine).as_str()), (Some(0), "[]\n"));
}

#[test]
fn what_is_no_definition_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("binary"), [0x7f, b'E', b'L', b'F', 0xff, 0xfe]).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("secret"), SOURCE).unwrap();
    let mut mode = fs::metadata(folder.path().join("secret")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0);
    fs::set_permissions(folder.path().join("secret"), mode).unwrap();
    let mut cases = vec![
        ("binary", "not valid UTF-8 at 1:5"),
        ("folder", "Is a directory"),
        ("none", "No such file or directory"),
        ("/dev/zero", "larger than 1 MiB"),
    ];
    if fs::read(folder.path().join("secret")).is_err() {
        cases.push(("secret", "Permission denied"));
    } else {
        eprintln!("SKIPPED: root may read everything, so that no permission was missing");
    }
    for (file, cause) in cases {
        for arguments in [
            vec!["fsm", "check", file],
            vec!["fsm", "check", "--format", "json", file],
            vec!["fsm", "svg", file],
            vec!["fsm", "try", file],
            vec!["fsm", "play", file],
            vec!["check", "--states", file],
            vec!["serve", "--listen", "127.0.0.1:0", "--maildir", "m", "--states", file],
        ] {
            let output = postman(folder.path(), &arguments, "");
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
            assert_eq!(
                (err(&output).lines().count(), out(&output).as_str()),
                (1, ""),
                "{arguments:?}"
            );
            assert!(
                err(&output).starts_with(&format!("postman: cannot read {file}: ")),
                "{}",
                err(&output)
            );
            // A dialogue may be longer than a definition.
            let is_play = arguments[1] == "play";
            let cause = if is_play { cause.replace(" 1 MiB", " 16 MiB") } else { cause.to_owned() };
            assert!(err(&output).contains(&cause), "{}", err(&output));
        }
    }
}

#[test]
fn a_503_names_whole_commands_and_stays_within_a_line_however_many_there_are() {
    let names: Vec<_> = (0..100).map(|number| format!("XCOMMAND-NUMBER-{number}")).collect();
    let rows = format!(
        "transition = {{ tst = init; tev = {}; ttype = answer; reply = 250; }};",
        names.join(", ")
    );
    let source = SOURCE.replacen("QUIT;\n", &format!("QUIT, {};\n", names.join(", ")), 1) + &rows;
    let definition = compile(&source, Some(&VOCABULARY)).definition.unwrap();
    let machine = Machine::load("x.def", &definition).unwrap();
    let mut peer = Peer::new(&Config::default(), machine);
    peer.take_reply().unwrap();
    peer.give(Input::Octets(b"MAIL FROM:<a@x.org>\r\n"));
    let reply = peer.take_reply().unwrap();
    assert!(reply.len() <= 512, "{}", reply.len());
    let line = reply.trim_end();
    let shown = line
        .strip_prefix("503 5.5.1 MAIL not now; expected ")
        .unwrap()
        .strip_suffix(", ...")
        .unwrap();
    assert!(shown.split(", ").count() > 15 && shown.starts_with("HELO, EHLO, "));
    assert!(
        shown.split(", ").all(|name| definition.events.iter().any(|event| event.name == name)),
        "{line}"
    );
}

#[test]
fn the_table_of_a_played_dialogue_numbers_its_steps_and_what_was_refused() {
    let folder = folder_with_page();
    let dialogue = "S: 220\nC: NOOP\nS: 250\nC: MAIL FROM:<a@x.org>\nS: 503\nC: EHLO x\nS: 250\nC: MAIL FROM:<a@x.org>\nS: 250\n\
        C: FOO bar\nS: 500\nC: RCPT TO:<b@postman.local>\nS: 250\nC: DATA\nS: 354\nC: hello\nC: .\nS: 250\nC: NOOP\nS: 25";
    fs::write(folder.path().join("x.smtp"), format!("{dialogue}0\n")).unwrap();
    fs::write(folder.path().join("other.smtp"), format!("{dialogue}1\n")).unwrap();
    let play = |name: &str| {
        let arguments = ["fsm", "play", "--table", "--states", "smtp-states.def", name];
        postman(folder.path(), &arguments, "")
    };
    let output = play("x.smtp");
    let (said, row) = (out(&output), |event: &str| {
        let said = out(&output);
        let line = said.lines().find(|line| line.starts_with(event)).unwrap().to_owned();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    assert_eq!(row("EHLO"), "EHLO client_init [3] = client_ready = client_ready client_ready");
    assert_eq!(row("MAIL"), "MAIL x[2] begin_transaction [4] begin_transaction");
    assert_eq!(row("NOOP"), "NOOP = [1] = = = [10] = =");
    assert_eq!(row("END"), "END client_ready [9]");
    assert!(said.contains("x[5] in begin_transaction: no command: FOO\n"), "{said}");
    assert!(said.ends_with("x.smtp: ok\n") && output.status.success());
    // One that goes otherwise shows how far it went.
    let other = play("other.smtp");
    assert_eq!(other.status.code(), Some(1));
    assert!(out(&other).contains("[10]") && err(&other).contains("expected `251`"));
    let without =
        postman(folder.path(), &["fsm", "play", "--states", "smtp-states.def", "x.smtp"], "");
    assert_eq!(out(&without), "x.smtp: ok\n");
    // The picture is all that is printed.
    let svg = |names: &[&str]| {
        let arguments = [&["fsm", "play", "--svg", "--states", "smtp-states.def"], names].concat();
        postman(folder.path(), &arguments, "")
    };
    let picture = svg(&["x.smtp"]);
    assert!(picture.status.success() && out(&picture).ends_with("</svg>\n"));
    assert_eq!(svg(&["other.smtp"]).status.code(), Some(1));
    assert_eq!(out(&svg(&["other.smtp"])), out(&picture));
    assert_eq!(err(&svg(&["x.smtp", "x.smtp"])), "postman: a picture shows one dialogue\n");
}

#[test]
fn findings_are_lines_that_editors_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("wrong.def", &SOURCE.replacen("tev = RCPT; ", "tev = RCTP; ", 1));
    write("page.def", SOURCE);
    write("faults.def", "fault = { says = 'x'; path = 'HELQ'; reply = 450; };\n");
    let check = |arguments: &[&str]| {
        let all = [&["fsm", "check", "--format", "short"], arguments].concat();
        let output = postman(folder.path(), &all, "");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check(&["wrong.def"]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    let line = SOURCE.lines().position(|line| line.contains("tev = RCPT; ")).unwrap();
    let column = SOURCE.lines().nth(line).unwrap().find("RCPT").unwrap() + 1;
    assert_eq!(
        said,
        format!(
            "wrong.def:{}:{column}: error: no event is called `RCTP` [did you mean `RCPT`?]\n",
            line + 1
        )
    );
    assert_eq!(check(&["page.def"]), (Some(0), String::new()));
    let (code, said) = check(&["page.def", "--faults", "faults.def"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("faults.def:1:") && said.lines().count() == 1, "{said}");
}

/// The folder is what VS Code takes as an extension: what it names is there, and its matcher finds
/// file, line, column, severity and text in what is printed.
#[test]
fn vs_code_reads_each_finding() {
    let editor = Path::new(env!("CARGO_MANIFEST_DIR")).join("editors/vscode");
    let json = |name: &str| -> serde_json::Value {
        let text = fs::read_to_string(editor.join(name)).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let about = json("package.json");
    for key in ["name", "publisher", "version", "engines", "contributes"] {
        assert!(!about[key].is_null(), "{key}");
    }
    let all = &about["contributes"];
    let (language, grammar) = (&all["languages"][0], &all["grammars"][0]);
    let scope = &json(grammar["path"].as_str().unwrap())["scopeName"];
    assert_eq!((&grammar["language"], &grammar["scopeName"]), (&language["id"], scope));
    json(language["configuration"].as_str().unwrap());
    let pattern = &all["problemMatchers"][0]["pattern"];
    let matcher = regex::Regex::new(pattern["regexp"].as_str().unwrap()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let warned = SOURCE.replacen("event  = HELO,", "event  = XPING, HELO,", 1);
    let wrong = warned.replacen("tev = DATA; ", "tev = DATE; ", 1);
    for (text, severity, said) in
        [(warned, "warning", "XPING"), (wrong, "error", "no event is called `DATE`")]
    {
        fs::write(folder.path().join("my page.def"), text).unwrap();
        let arguments = ["fsm", "check", "--format", "short", "my page.def"];
        let output = postman(folder.path(), &arguments, "");
        let lines = String::from_utf8(output.stdout).unwrap();
        let line = lines.lines().find(|line| line.contains(said)).unwrap();
        let found = matcher.captures(line).unwrap_or_else(|| panic!("{line}"));
        let group = |key: &str| {
            found.get(usize::try_from(pattern[key].as_u64().unwrap()).unwrap()).unwrap().as_str()
        };
        assert_eq!((group("file"), group("severity")), ("my page.def", severity));
        let number = |key: &str| group(key).parse::<usize>().unwrap();
        assert!(number("line") > 1 && number("column") > 1 && group("message").contains(said));
    }
}
