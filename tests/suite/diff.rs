//! `fsm diff`: what a client could notice, no more and no less.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use postman::autofsm::{self, Change, Comparison, Definition, compile, diff};
use postman::smtp::vocabulary::VOCABULARY;
use proptest::prelude::*;

use crate::peer::PAGE as SOURCE;
const EVENTS: [&str; 3] = ["A", "B", "C"];

fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(SOURCE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the definition has no `{from}`");
        text.replace(from, to)
    })
}

fn run(old: &str, new: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let paths = [("old.def", old), ("new.def", new)].map(|(name, text)| {
        fs::write(folder.path().join(name), text).unwrap();
        name
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    let output =
        command.args(["fsm", "diff"]).args(paths).current_dir(folder.path()).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn names_of_states_order_of_rows_and_comments_make_no_difference() {
    for edits in [
        &[("client_init", "greeted")][..],
        &[("the sender is known", "MAIL was accepted")],
        // Two states that behave alike are one to a client.
        &[
            ("client_init,         /*", "client_init, again,  /*"),
            ("tev = END;      next = client_ready;", "tev = END;      next = again;"),
            ("tst = client_init, client_ready;  ", "tst = client_init, client_ready, again;  "),
            ("tst = tls_init, client_ready;  ", "tst = tls_init, client_ready, again;  "),
            ("tls_init, client_ready; tev = RSET", "tls_init, client_ready, again; tev = RSET"),
            ("client_ready, begin", "client_ready, again, begin"),
        ],
    ] {
        let (code, said) = run(SOURCE, &edited(edits));
        assert_eq!((code, said.starts_with("equal: ")), (Some(0), true), "{said}");
    }
}

#[test]
fn each_difference_is_shown_by_the_shortest_dialogue_and_both_answers() {
    for (edits, expected) in [
        (
            &[("reply = '502 5.5.1 No lists here'", "reply = 252")][..],
            "EXPN is accepted now\n   S: 220 postman.local ESMTP Postman\n   C: EXPN\n   # old: 502 5.5.1 No lists here      old.def:",
        ),
        (
            &[("reply = '502 5.5.1 No lists here'", "reply = 502")],
            "EXPN is refused otherwise\n   S: 220 postman.local ESMTP Postman\n   C: EXPN\n   # old: 502 5.5.1 No lists here      old.def:",
        ),
        (
            &[("reply = '502 5.5.1 No lists here'", "next = done; reply = 421")],
            "EXPN ends the session in one of them only\n   S: 220 postman.local ESMTP Postman\n   C: EXPN\n   # old: refused, to init, 502 5.5.1 No lists here",
        ),
        (
            &[("begin_transaction, transaction; tev = EXPN;", "begin_transaction; tev = EXPN;")],
            "   C: RCPT TO:<user@postman.local>\n   S: 250 2.1.5 Recipient OK\n   C: EXPN\n   # old: 502 5.5.1",
        ),
        (
            &[("begin_transaction, transaction; tev = EXPN;", "begin_transaction; tev = EXPN;")],
            "   # new: 503 5.5.1 EXPN not now; expected HELO, EHLO, RCPT, DATA, RSET, NOOP, HELP, VRFY, QUIT",
        ),
        (&[(", SIZE,", ",")], "   # new: PIPELINING 8BITMIME ENHANCEDSTATUSCODES"),
        (
            &[("ttype = explain;", "ttype = answer; ")],
            "HELP does something else\n   S: 220 postman.local ESMTP Postman\n   C: HELP\n   # old: explain, to init, 214",
        ),
        (
            &[("\"NOOP [text]\"", "\"NOOP\"")],
            "NOOP is shown otherwise in HELP\n   # old: NOOP [text]\n   # new: NOOP\n",
        ),
    ] {
        let (code, said) = run(SOURCE, &edited(edits));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(expected), "expected\n{expected}\ngot\n{said}");
    }
}

/// MAIL after a message: accepted, then refused with 452. A client may no longer send.
#[test]
fn what_is_refused_is_not_called_accepted() {
    let rows = |text: &str| text.split("\nnever =").next().unwrap().to_owned() + "\n";
    let more = "transition = { tst = begin_transaction; tev = MAIL; ttype = answer; reply = '452 4.5.3 Enough'; };\n";
    let (old, new) = (rows(SOURCE), rows(SOURCE) + more);
    let (code, said) = run(&old, &new);
    assert!(code == Some(1) && said.starts_with("MAIL is refused otherwise\n   S: "), "{said}");
    assert!(
        said.contains("   # old: 503 5.5.1")
            && said.contains("   # new: 452 4.5.3 Enough      new.def:"),
        "{said}"
    );
    assert!(said.ends_with("\n1 difference\n"), "{said}");

    let accepts = SOURCE.lines().find(|line| line.contains("tev = MAIL;")).unwrap();
    let refuses =
        "  { tst = client_init; tev = MAIL; ttype = answer; reply = '452 4.5.3 Enough'; },";
    let (code, said) = run(&old, &rows(SOURCE).replace(accepts, refuses));
    assert!(code == Some(1) && said.contains("MAIL is no longer accepted\n   S: "), "{said}");
    assert!(said.contains("   # new: 452 4.5.3 Enough"), "{said}");
}

/// The dialogues that a diff shows.
fn dialogues(said: &str) -> Vec<String> {
    let blocks = said.split("\n\n").filter(|block| block.contains("   S: "));
    blocks.map(|block| block[block.find("   S: ").unwrap()..].to_owned() + "\n").collect()
}

#[test]
fn one_edit_is_one_difference_with_a_dialogue_that_can_be_played() {
    let (old, without) = (SOURCE.split("\nnever =").next().unwrap(), |text: &str| {
        text.split("\nnever =").next().unwrap().to_owned()
    });
    for (edits, expected) in [
        (
            &[("ttype = explain; reply = 214;", "ttype = answer;  reply = 211;")][..],
            &["HELP does something else, HELP is answered otherwise\n"][..],
        ),
        (
            &[("tev = RCPT;     next = transaction;", "tev = RCPT;     next = begin_transaction;")],
            &[
                "RCPT leads to begin_transaction, and led to transaction:\n  DATA is no longer accepted after it\n",
            ],
        ),
        (
            &[("tev = RSET;     next = client_ready; ", "tev = RSET; next = tls_init; ")],
            &[
                "RSET leads to tls_init, and led to client_ready:\n  MAIL is no longer accepted after it\n",
            ],
        ),
        // Two edits, in states that have other names now.
        (
            &[
                ("client_init", "greeted"),
                ("reply = 214", "reply = 211"),
                ("reply = '502 5.5.1 No lists here'", "next = done; reply = 421"),
            ],
            &["HELP is answered otherwise\n", "EXPN ends the session in one of them only\n"],
        ),
    ] {
        let new = without(&edited(edits));
        let (code, said) = run(old, &new);
        assert_eq!(code, Some(1), "{said}");
        for title in expected {
            assert!(said.contains(title), "expected\n{title}\ngot\n{said}");
        }
        let number = expected.len();
        assert!(
            said.contains(&format!(
                "\n{number} difference{}\n",
                if number == 1 { "" } else { "s" }
            )),
            "{said}"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("new.def"), &new).unwrap();
        assert_eq!(dialogues(&said).len(), number, "{said}");
        for dialogue in dialogues(&said) {
            fs::write(folder.path().join("x.smtp"), &dialogue).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
            let output = command
                .args(["fsm", "play", "--states", "new.def", "x.smtp"])
                .current_dir(folder.path())
                .output();
            let output = output.unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{dialogue}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn what_cannot_be_compared_is_exit_code_2() {
    let (code, said) = run(SOURCE, &SOURCE.replace("tev = RCPT;", "tev = RCTP;"));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("did you mean `RCPT`?")
            && said.contains("cannot compare new.def: it has errors"),
        "{said}"
    );
}

/// For each state (init, s1, s2) and event: the action's number (2 and 3 refuse) and where it leads
/// (3 is done).
type Cells = Vec<Vec<Option<(u8, usize)>>>;

fn cells() -> impl Strategy<Value = Cells> {
    let cell = prop::option::weighted(0.7, (0..4_u8, 0..4_usize));
    prop::collection::vec(prop::collection::vec(cell, 3), 3)
}

fn definition(cells: &Cells) -> Definition {
    let mut text = "AutoGen Definitions fsm;\nstate = s1, s2;\nevent = A, B, C;\n".to_owned();
    for (state, row) in cells.iter().enumerate() {
        for (event, cell) in row.iter().enumerate() {
            if let Some((action, next)) = cell {
                let (from, to) = (["init", "s1", "s2"][state], ["init", "s1", "s2", "done"][*next]);
                let event = EVENTS[event];
                let (does, code) =
                    if *action < 2 { (*action, 250) } else { (0, 450 + u16::from(*action)) };
                let row = format!(
                    "tst = {from}; tev = {event}; next = {to}; ttype = a{does}; reply = {code};"
                );
                let _ = writeln!(text, "transition = {{ {row} }};");
            }
        }
    }
    compile(&text, None).definition.unwrap()
}

/// All runs up to a length, one by one: the first that tells the two apart.
fn shortest(one: &Cells, other: &Cells, states: (usize, usize), left: usize) -> Option<usize> {
    if (states.0 == 3) != (states.1 == 3) {
        return Some(0);
    }
    if states.0 == 3 || left == 0 {
        return None;
    }
    (0..3)
        .filter_map(|event| match (one[states.0][event], other[states.1][event]) {
            (None, None) => None,
            (one, other) if one.map(|(action, _)| action) != other.map(|(action, _)| action) => {
                Some(1)
            }
            (Some((_, next)), Some((_, other_next))) => {
                // That one has ended shows with the event that led there.
                shortest(one, other, (next, other_next), left - 1).map(|length| length + 1)
            }
            _ => unreachable!("one of them has no row, and so another action"),
        })
        .min()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_verdict_is_that_of_all_runs_one_by_one(one in cells(), other in cells(), same: bool) {
        let other = if same { one.clone() } else { other };
        let found = diff(&definition(&one), &definition(&other), &Comparison::default());
        // Two machines of n and m states that differ do so within n + m events.
        let expected = shortest(&one, &other, (0, 0), 8);
        let got = found.iter().map(|difference| difference.run.len() + 1).min();
        prop_assert_eq!(got, expected, "{:?}", found);
    }
}

#[test]
fn a_difference_names_the_change() {
    let change = |edits: &[(&str, &str)]| {
        // Without the properties, which such edits would break.
        let rows = |text: &str| text.split("\nnever =").next().unwrap().to_owned();
        let (old, new) = (compile(&rows(SOURCE), None), compile(&rows(&edited(edits)), None));
        let found =
            diff(&old.definition.unwrap(), &new.definition.unwrap(), &Comparison::default());
        found.into_iter().map(|difference| difference.change).collect::<Vec<_>>()
    };
    assert_eq!(change(&[]), []);
    assert_eq!(change(&[("reply = 354;", "reply = 355;")]), [Change::Reply]);
    assert_eq!(change(&[("tev = QUIT; next = done;", "tev = QUIT; next = init;")]), [Change::End]);
}

/// The commands that docs/editing.md shows, run as they stand there.
#[test]
fn git_shows_what_an_edit_did_as_the_page_says() {
    if Command::new("git").arg("--version").output().is_err() {
        assert!(std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_none(), "git is required");
        println!("SKIPPED: no git here");
        return;
    }
    let page = include_str!("../../docs/editing.md");
    let block = |begin: &str| {
        let place = page.find(begin).unwrap_or_else(|| panic!("the page has no `{begin}`"));
        page[place..].split("\n```").next().unwrap().to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("smtp-states.def"), SOURCE).unwrap();
    fs::write(
        folder.path().join("edited"),
        SOURCE.replace("reply = '502 5.5.1 No lists here'", "reply = 252"),
    )
    .unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_postman")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(bin.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let script = format!(
        "set -e\ngit init -q -b main\ngit config user.name x\ngit config user.email x@x.org\n{}\n\
         git add smtp-states.def .gitattributes\ngit commit -qm old\ncp edited smtp-states.def\ngit diff\necho ===\n{}\n",
        block("echo 'smtp-states.def diff=postman'"),
        block("git show main:smtp-states.def"),
    );
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let (of_git, of_request) = said.split_once("===").unwrap_or_else(|| panic!("{said}"));
    for part in [of_git, of_request] {
        assert!(part.contains("EXPN is accepted now\n"), "{said}");
        assert!(part.contains("   C: EXPN\n   # old: 502 5.5.1 No lists here"), "{said}");
    }
    // The name is the file's, and not that of git's copy of it.
    assert_eq!(of_git.matches("      smtp-states.def:").count(), 2, "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

/// The page before STARTTLS had its states.
fn without_starttls() -> String {
    let definition = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    autofsm::page(&definition.without(&["STARTTLS"]), &[])
}

fn run_with(options: &[&str], old: &str, new: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old.def"), old).unwrap();
    fs::write(folder.path().join("new.def"), new).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    let command = command.args(["fsm", "diff"]).args(options).args(["old.def", "new.def"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn what_ehlo_offers_differs_with_the_run_that_shows_it() {
    let (code, said) = run(&without_starttls(), SOURCE);
    assert_eq!(code, Some(1));
    let offer = "EHLO offers something else\n   S: 220 postman.local ESMTP Postman\n   C: EHLO client.example\n   \
                 # old: PIPELINING 8BITMIME SIZE ENHANCEDSTATUSCODES      old.def:";
    assert!(said.contains(offer), "{said}");
    assert!(
        said.contains(
            "   # new: PIPELINING 8BITMIME SIZE ENHANCEDSTATUSCODES STARTTLS      new.def:"
        ),
        "{said}"
    );
    assert!(
        said.contains("STARTTLS is accepted now\n") && said.ends_with("\n2 differences\n"),
        "{said}"
    );
    // A row that EHLO leads to takes the offer away: nobody has touched the keywords.
    let (rows, _) = SOURCE.split_once("\nnever =").unwrap();
    let (code, said) = run(
        rows,
        &rows
            .replace(
                "tst = init, client_init;               tev = STARTTLS;",
                "tst = init; tev = STARTTLS;",
            )
            .replace(", ENHANCEDSTATUSCODES, STARTTLS;", ", ENHANCEDSTATUSCODES;"),
    );
    assert!(code == Some(1) && said.contains("EHLO offers something else\n"), "{said}");
    // To a client that reads replies alone there is no such difference.
    let (code, said) = run_with(&["--replies"], &without_starttls(), SOURCE);
    assert!(code == Some(1) && said.starts_with("STARTTLS is accepted now\n"), "{said}");
    assert!(said.ends_with("\n1 difference\n"), "{said}");
}

#[test]
fn two_definitions_are_compared_from_a_state_on() {
    let old = without_starttls();
    let (code, said) = run_with(&["--from", "transaction"], &old, SOURCE);
    let equal = "equal: after every run from transaction both accept the same, do the same and answer the same\n";
    assert_eq!((code, said.as_str()), (Some(0), equal));
    let (code, said) = run_with(&["--from", "client_ready=client-ready"], &old, SOURCE);
    assert!(
        code == Some(0) && said.starts_with("equal: after every run from client_ready both"),
        "{said}"
    );
    // Greeted, and encrypted just now: what follows is shown from the connection on.
    let (code, said) = run_with(&["--from", "client_ready=tls_init"], &old, SOURCE);
    assert_eq!(code, Some(1));
    let shown = "MAIL is no longer accepted\n   S: 220 postman.local ESMTP Postman\n   C: STARTTLS\n   \
                 S: 220 2.0.0 Ready to start TLS\n   * encrypted\n   C: MAIL FROM:<sender@client.example>\n   \
                 # old: 250 2.1.0 Sender OK      old.def:";
    assert!(said.contains(shown), "{said}");
    let (code, said) = run_with(&["--from", "tls_init"], &old, SOURCE);
    assert!(
        code == Some(2) && said.starts_with("postman: no state of old.def is called `tls_init`; "),
        "{said}"
    );
}

#[test]
fn replies_alone_are_compared_without_actions() {
    let new = SOURCE.replace("ttype = explain; reply = 214;", "ttype = answer; reply = 214;");
    let (code, said) = run(SOURCE, &new);
    assert!(code == Some(1) && said.starts_with("HELP does something else\n"), "{said}");
    let (code, said) = run_with(&["--replies"], SOURCE, &new);
    assert_eq!(code, Some(0));
    assert_eq!(said, "equal: after every run both accept the same and answer the same\n");
}

/// Both as one picture, without what is said on standard error.
fn picture_of(old: &str, new: &str) -> (Option<i32>, String) {
    let (code, said) = run_with(&["--svg"], old, new);
    let end = said.find("</svg>").map_or(0, |begin| begin + "</svg>".len());
    (code, said[..end].to_owned())
}

/// What stands on the arrows of a class.
fn on_arrows(tree: &roxmltree::Document<'_>, class: &str) -> Vec<String> {
    let is_of = |node: &roxmltree::Node<'_, '_>| {
        let classes = node.attribute("class").unwrap_or_default();
        node.has_tag_name("text")
            && !classes.contains("fsm-doc")
            && classes.split(' ').any(|known| known == class)
    };
    tree.descendants().filter(is_of).map(crate::picture::text_of).collect()
}

#[test]
fn one_picture_has_what_is_new_what_is_gone_and_what_is_the_same() {
    let edits = [
        ("VRFY, EXPN, QUIT;", "VRFY, EXPN, QUIT, XPING;"),
        (
            "  { tst = init, client_init;               tev = HELO;",
            "  { tst = init; tev = XPING; ttype = answer; reply = 250; },\n  { tst = init, client_init; tev = HELO;",
        ),
        (
            "tst = init, client_init;               tev = STARTTLS; next = tls_init;",
            "tst = init; tev = STARTTLS; next = secured;",
        ),
        ("reply = '502 5.5.1 No lists here'", "reply = '502 5.5.1 None'"),
        ("tls_init", "secured"),
        ("after = '[^ STARTTLS MAIL QUIT]*'", "after = '(XPING | RSET | NOOP)*'"),
    ];
    let new = edited(&edits);
    let (code, picture) = picture_of(SOURCE, &new);
    assert_eq!(code, Some(1), "{picture}");
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let state = |name: &str| {
        let found = tree.descendants().find(|node| node.attribute("data-state") == Some(name));
        found.and_then(|node| node.attribute("class")).unwrap()
    };
    let classes = ["init", "secured", "tls_init"].map(state);
    assert_eq!(classes, ["state", "state fsm-new", "state fsm-gone"]);
    let mut new = on_arrows(&tree, "fsm-new");
    new.retain(|text| text.contains("XPING") || text.contains("STARTTLS"));
    assert_eq!(new, ["STARTTLS", "XPING"]);
    let gone = on_arrows(&tree, "fsm-gone");
    assert_eq!(gone.iter().filter(|text| *text == "STARTTLS").count(), 2, "{gone:?}");
    assert!(on_arrows(&tree, "fsm-other").iter().all(|text| text == "EXPN 502"));
    assert!(on_arrows(&tree, "fsm-kept").contains(&"DATA".to_owned()));
    // In light and in dark; and what a client notices stands below.
    let style = tree.descendants().find(|node| node.has_tag_name("style")).unwrap();
    assert_eq!(style.text().unwrap().matches(".fsm-line.fsm-new").count(), 2);
    assert!(picture.contains("XPING is accepted now"), "{picture}");

    let (code, picture) = picture_of(SOURCE, SOURCE);
    let tree = roxmltree::Document::parse(&picture).unwrap();
    assert_eq!(code, Some(0));
    assert!(
        ["fsm-new", "fsm-gone", "fsm-other"].iter().all(|class| on_arrows(&tree, class).is_empty())
    );
    assert!(picture.contains("equal: after every run"));
}
