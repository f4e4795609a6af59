//! `fsm explain`: which row decides a cell, what it overrode, and the dialogue there.

use std::fs;
use std::process::Command;

use postman::autofsm::compile;
use postman::dialogue::rehearse;
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::{PAGE as SOURCE, page};

/// A protocol with a general rule, its exception, and an island.
const FOREIGN: &str = "AutoGen Definitions fsm;
state = ready, busy, island;
event = start, stop, reset;
transition =
  { tst = \"*\";   tev = reset; next = ready; },
  { tst = \"*\";   tev = stop;  next = done;  ttype = leave; },
  { tst = ready; tev = \"*\";   next = busy;  ttype = noop; },
  { tst = busy;  tev = stop;  next = ready;
                              ttype = halt; };
";

/// Runs `fsm explain`; a definition is written to `x.def` first.
fn explain(definition: Option<&str>, question: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    command.args(["fsm", "explain"]).current_dir(folder.path());
    if let Some(text) = definition {
        fs::write(folder.path().join("x.def"), text).unwrap();
        command.arg("x.def");
    }
    let output = command.args(question).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_page_shows_an_explanation_as_the_program_prints_it() {
    let (code, said, _) = explain(Some(SOURCE), &["client_init", "RCPT"]);
    assert_eq!(code, Some(0));
    assert!(
        include_str!("../../docs/editing.md").contains(&said),
        "docs/editing.md explains otherwise than\n{said}"
    );
}

#[test]
fn the_row_that_decides_is_shown_and_those_that_it_overrode() {
    let (code, said, _) = explain(Some(FOREIGN), &["BUSY", "Stop"]);
    assert_eq!(code, Some(0));
    let expected = "stop in busy: halt, then ready

the row that decides it:
x.def:8:3
  8 |   { tst = busy;  tev = stop;  next = ready;
  9 |                               ttype = halt; };

what it overrides, the last first:
x.def:6:3
  6 |   { tst = \"*\";   tev = stop;  next = done;  ttype = leave; },

the shortest dialogue:
   C: reset   init -> ready
   C: start   ready -> busy
   C: stop    busy -> ready
";
    assert_eq!(said, expected);
    // Two general rules for one cell: the later decides, and `noop` is no action.
    let (_, said, _) = explain(Some(FOREIGN), &["ready", "reset"]);
    assert!(said.starts_with("reset in ready: no action, then busy\n"), "{said}");
    assert!(
        said.contains("decides it:\nx.def:7:3\n") && said.contains("the last first:\nx.def:5:3\n"),
        "{said}"
    );
}

#[test]
fn what_has_no_row_is_explained_too() {
    for (definition, question, expected) in [
        (
            Some(FOREIGN),
            ["busy", "start"],
            "start in busy: no row, so it is refused and nothing changes\nbusy accepts stop, reset\n",
        ),
        (
            Some(FOREIGN),
            ["busy", "start"],
            "   C: start   ready -> busy\n   C: start   busy -> refused\n",
        ),
        (Some(FOREIGN), ["island", "stop"], "\nno dialogue leads to island\n"),
        (Some(FOREIGN), ["done", "stop"], "stop in done: nothing happens after the last state\n"),
        (Some(SOURCE), ["done", "MAIL"], "   C: QUIT\n   S: 221 2.0.0 Bye\n   = done\n"),
        (
            Some(SOURCE),
            ["read_data", "QUIT"],
            "never heard: all that comes there is content\nread_data accepts READ, END\n",
        ),
        (
            Some(SOURCE),
            ["init", "END"],
            "END in init: no row, so none comes there: a line is a command\n",
        ),
        (
            Some(SOURCE),
            ["init", "END"],
            "   C: .\n   S: 500 5.5.1 Command unknown, try HELP\n   = init\n",
        ),
    ] {
        let (code, said, _) = explain(definition, &question);
        assert_eq!(code, Some(0), "{question:?}");
        assert!(said.contains(expected), "{question:?}: expected\n{expected}\ngot\n{said}");
    }
}

#[test]
fn a_definition_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.def"), SOURCE).unwrap();
    let told = |program: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", program, env!("CARGO_BIN_EXE_postman")]).current_dir(folder.path());
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let explained = told("\"$0\" fsm explain x.def init HELO");
    assert!(explained.contains("\nx.def:"), "{explained}");
    let piped = told("cat x.def | \"$0\" fsm explain /dev/stdin init HELO");
    assert_eq!(piped.replace("/dev/stdin", "x.def"), explained);
    let differs = "sed 's/reply = 214/reply = 211/' x.def >y.def; ";
    let diff = told(&format!("{differs} \"$0\" fsm diff x.def y.def"));
    assert!(diff.contains("x.def:"), "{diff}");
    let piped = told(&format!("{differs} cat x.def | \"$0\" fsm diff /dev/stdin y.def"));
    assert_eq!(piped.replace("/dev/stdin", "x.def"), diff);
}

#[test]
fn a_question_that_cannot_be_answered_is_one_line_and_exit_code_2() {
    for (definition, question, expected) in [
        (
            Some(SOURCE),
            &["tranaction", "RCPT"][..],
            "no state is called `tranaction`; did you mean `transaction`?",
        ),
        (
            Some(SOURCE),
            &["init", "XYZZY"],
            "no event is called `XYZZY`; the events are HELO, EHLO,",
        ),
        (None, &[], "explain takes a state, an event, or both: postman fsm explain"),
        (
            None,
            &["init", "HELO", "x", "y"],
            "explain takes a state, an event, or both: postman fsm explain",
        ),
        (None, &["helo.def"], "explain takes a state, an event, or both: postman fsm explain"),
        (None, &["no/such.def", "init"], "cannot read no/such.def"),
        (None, &["no_such", "init", "HELO"], "cannot read no_such"),
        (Some(SOURCE), &["inti"], "no state or event is called `inti`; did you mean `init`?"),
        (Some(SOURCE), &["RCTP", "init"], "no event is called `RCTP`; did you mean `RCPT`?"),
        (None, &["/does/not/exist", "init", "MAIL"], "cannot read /does/not/exist"),
    ] {
        let (code, _, said) = explain(definition, question);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("postman: ") && said.contains(expected), "{said}");
    }
    let (code, said, _) =
        explain(Some(&SOURCE.replace("tev = RCPT;", "tev = RCTP;")), &["init", "MAIL"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
}

#[test]
fn the_dialogue_goes_where_the_table_says_from_every_cell() {
    let definition = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    for state in 0..definition.states.len() - 1 {
        let run = definition.shortest_run(|known| known.0 == state).unwrap();
        for event in 0..definition.events.len() {
            let name = |event: usize| definition.events[event].name.as_str();
            let events: Vec<_> =
                run.moves.iter().map(|step| name(step.event.0)).chain([name(event)]).collect();
            let last = rehearse(page(), &events).pop().unwrap();
            let cell = definition.cell(state, event);
            let next = cell.map_or(state, |cell| cell.next);
            assert_eq!(last.state, definition.states[next].name, "{events:?} {last:?}");
            // The reply is the row's; content has none, and all that comes inside it is content.
            let code = last.replies.last().map(|reply| reply[..3].to_owned());
            match cell {
                Some(cell) => {
                    assert_eq!(
                        code,
                        cell.reply.as_ref().map(|reply| reply.code.to_string()),
                        "{events:?}"
                    );
                }
                None if definition.states[state].name == "read_data" => {
                    assert_eq!(code, None, "{events:?}");
                }
                None => {
                    assert!(matches!(code.as_deref(), Some("500" | "503")), "{events:?} {last:?}");
                }
            }
        }
    }
}

#[test]
fn a_state_or_an_event_alone_shows_its_rows_and_either_order_is_understood() {
    let (code, said, _) = explain(Some(FOREIGN), &["busy"]);
    assert_eq!(code, Some(0));
    let expected = "busy:
  stop   halt, then ready        x.def:8:3
  reset  busy_reset, then ready  x.def:5:3
no row: start

the shortest dialogue:
   C: reset   init -> ready
   C: start   ready -> busy
";
    assert_eq!(said, expected);
    let (code, said, _) = explain(Some(SOURCE), &["DATA"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("DATA:\n  transaction  open_message, reply 354, then read_data  x.def:"),
        "{said}"
    );
    assert!(
        said.ends_with("\nno row: init, client_init, tls_init, client_ready, begin_transaction, read_data, done\n"),
        "{said}"
    );
    let right = explain(Some(SOURCE), &["client_init", "RCPT"]);
    assert_eq!(explain(Some(SOURCE), &["rcpt", "client-init"]), right);
    assert_eq!(
        explain(Some(SOURCE), &["RCPT", "client_init"]),
        explain(Some(SOURCE), &["client_init", "RCPT"])
    );
    let (_, said, _) = explain(Some(SOURCE), &["client_init"]);
    assert!(
        said.starts_with(
            "client_init (greeted, no mail in hand; a clear line can still be encrypted):\n  HELO      greet, reply 250, stays"
        ),
        "{said}"
    );
    // Without a file it is the built-in one, whose first state has the same name whatever becomes
    // of it.
    let (code, said, _) = explain(None, &["init"]);
    assert!(code == Some(0) && said.starts_with("init"), "{said}");
}

#[test]
fn an_explanation_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    for question in
        [["client_init", "RCPT"], ["read_data", "END"], ["transaction", "EHLO"], ["init", "VRFY"]]
    {
        let (_, said, _) = explain(Some(SOURCE), &question);
        let (_, dialogue) = said.split_once("the shortest dialogue:\n").unwrap();
        fs::write(folder.path().join("x.smtp"), dialogue).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
        command.args(["fsm", "play", "--states", crate::rig::PAGE_PATH, "x.smtp"]);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{dialogue}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_cell_that_is_taken_back_shows_the_row_that_does_so() {
    let row = "  { tst = busy;  tev = reset; ttype = invalid; },\n";
    let source =
        FOREIGN.replacen("  { tst = ready; tev", &format!("{row}  {{ tst = ready; tev"), 1);
    let (status, text, said) = explain(Some(&source), &["busy", "reset"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        text.starts_with("reset in busy: taken back, so it is refused and nothing changes\n"),
        "{text}"
    );
    assert!(text.contains("the row that takes it back:\nx.def:7:3\n"), "{text}");
    assert!(text.contains("what it overrides, the last first:\nx.def:5:3\n"), "{text}");
}
