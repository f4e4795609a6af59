//! A definition with errors all whose cells are known is shown, and what the errors are about is
//! marked; it is never served.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use postman::autofsm::{Definition, Marks, compile, dot, mermaid, svg, table};
use postman::smtp::vocabulary::VOCABULARY;

/// A page of six states, whose pictures and runs are short: the project's before STARTTLS.
const PAGE: &str = include_str!("../pages/smtp.def");

/// The tests' page with these edits.
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(PAGE.to_owned(), |page, (from, to)| {
        assert!(page.contains(from), "{from}");
        page.replace(from, to)
    })
}

/// RSET within a transaction forgets the greeting, so that MAIL is not accepted after it.
fn rude() -> String {
    let row = "{ tst = begin_transaction, transaction;  tev = RSET; next = ";
    edited(&[(&format!("{row}client_init;"), &format!("{row}init;"))])
}

/// One can add a recipient without a sender.
fn senderless() -> String {
    edited(&[(
        "{ tst = begin_transaction, transaction;  tev = RCPT;",
        "{ tst = client_init, begin_transaction, transaction; tev = RCPT;",
    )])
}

struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program in a folder that has this page as `x.def`.
fn run(page: &str, arguments: &[&str], input: &str) -> Said {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.def"), page).unwrap();
    run_in(folder.path(), arguments, input)
}

fn run_in(folder: &Path, arguments: &[&str], input: &str) -> Said {
    fs::write(folder.join("input"), input).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::from(fs::File::open(folder.join("input")).unwrap()))
        .output()
        .unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Said { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const RULE: &str = "this is not always so: no greeting is undone by RSET";

#[test]
fn the_table_marks_the_run_that_breaks_a_rule_and_tells_the_rule() {
    let said = run(&rude(), &["fsm", "table", "x.def"], "");
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains(&format!("error: {RULE}\n")), "{}", said.err);
    let row = |event: &str| {
        let line = said.out.lines().find(|line| line.starts_with(event)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("HELO"), "client_init ! = client_init client_init");
    assert_eq!(row("EHLO"), "client_init = client_init client_init");
    // What is missing has a mark where it is missing.
    assert_eq!(row("MAIL"), "! begin_transaction !");
    assert_eq!(row("RSET"), "= = init ! init");
    assert!(
        said.out.ends_with(&format!("\n\n! {RULE} (HELO, MAIL, RSET, MAIL)\n")),
        "{}",
        said.out
    );

    let said = run(&rude(), &["fsm", "table", "--format", "json", "x.def"], "");
    assert_eq!(said.status, Some(1));
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let cells = json["errors"][0]["cells"].as_array().unwrap();
    let cells: Vec<_> =
        cells.iter().map(|cell| format!("{} {}", cell["state"], cell["event"])).collect();
    let expected = ["init HELO", "client_init MAIL", "begin_transaction RSET", "init MAIL"];
    assert_eq!(cells.join(", ").replace('"', ""), expected.join(", "));
    assert_eq!(json["errors"][0]["message"], RULE);
    let fine = run(PAGE, &["fsm", "table", "--format", "json", "x.def"], "");
    assert_eq!(fine.status, Some(0));
    let json: serde_json::Value = serde_json::from_str(&fine.out).unwrap();
    assert_eq!(json["errors"], serde_json::json!([]));
}

#[test]
fn the_pictures_draw_the_run_apart_and_tell_the_rule() {
    let page = rude();
    let said = run(&page, &["fsm", "svg", "x.def"], "");
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains(RULE), "{}", said.err);
    let tree = roxmltree::Document::parse(&said.out).unwrap();
    let marked = |class: &str| {
        let nodes = tree.descendants().filter(|node| {
            let classes = node.attribute("class").unwrap_or_default();
            classes.contains("fsm-mark") && classes.contains(class)
        });
        let texts = nodes.filter(|node| node.has_tag_name("text"));
        texts.map(crate::picture::text_of).collect::<Vec<_>>()
    };
    let mut on_lines = marked("fsm-event");
    on_lines.sort_unstable();
    assert_eq!(on_lines, ["HELO", "MAIL", "RSET"]);
    assert_eq!(marked("fsm-stay"), ["MAIL no row"]);
    assert_eq!(marked("fsm-doc").join(" "), format!("{RULE} (HELO, MAIL, RSET, MAIL)"));
    assert!(tree.descendants().any(|node| node.attribute("class") == Some("fsm-line fsm-mark")));
    // In light and in dark.
    let style = tree.descendants().find(|node| node.has_tag_name("style")).unwrap();
    assert_eq!(style.text().unwrap().matches(".fsm-line.fsm-mark").count(), 2);
    assert!(!run(PAGE, &["fsm", "svg", "x.def"], "").out.contains("fsm-mark"));

    let said = run(&page, &["fsm", "dot", "x.def"], "");
    assert_eq!(said.status, Some(1));
    let red: Vec<_> = said.out.lines().filter(|line| line.contains("penwidth = 2")).collect();
    let edges: Vec<_> = red.iter().filter_map(|line| line.trim().split(", ").next()).collect();
    let expected = ["s0 -> s0 [label = \"MAIL no row\"", "s0 -> s1 [label = \"HELO\""];
    assert!(expected.iter().all(|edge| edges.contains(edge)), "{edges:?}");
    assert!(edges.len() == 4 && said.out.contains(&format!("label = \"{RULE} (HELO,")), "{red:?}");

    let hostile = page.replace("no greeting is undone by RSET", "%%{init: {}}%%");
    let said = run(&hostile, &["fsm", "mermaid", "x.def"], "");
    assert!(said.out.contains("% %{init: {}}% %") && !said.out.contains("%%{"), "{}", said.out);
    let said = run(&page, &["fsm", "mermaid", "x.def"], "");
    assert_eq!(said.status, Some(1));
    for line in [
        "    s0 --> s0 : ! MAIL no row\n",
        "    s0 --> s1 : EHLO\n    s0 --> s1 : ! HELO\n",
        "    s2 --> s0 : ! RSET\n",
        "    class s0,s1,s2 marked\n",
        &format!("    %% ! {RULE} ("),
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
}

#[test]
fn what_is_told_below_has_its_bounds() {
    let long = "x".repeat(5_000);
    let rules = (0..120).fold(String::new(), |rules, number| {
        rules + &format!("never = {{ says = \"{number}{long}\"; path = '.+'; }};\n")
    });
    let run = "go ".repeat(40);
    let source = format!(
        "AutoGen Definitions fsm;\nevent = go;\ntransition = {{ tst = init; tev = go; }};\n\
         never = {{ says = 'long'; path = '{run}'; }};\n{rules}"
    );
    let compiled = compile(&source, None);
    assert_eq!(compiled.diagnostics.len(), 121);
    let refused = compiled.refused.unwrap();
    let marks = Marks::of(&refused, &compiled.diagnostics);
    let text = table(&refused, &marks);
    let told: Vec<_> = text.lines().skip_while(|line| !line.starts_with('!')).collect();
    assert!(told.len() == 9 && told[8] == "! and 113 more", "{told:?}");
    assert_eq!(told[0].matches("go").count(), 12, "{}", told[0]);
    assert!(told.iter().all(|line| line.len() < 400));
    let picture = svg(&refused, &marks).unwrap();
    let width = roxmltree::Document::parse(&picture).unwrap();
    let width: f64 = width.root_element().attribute("width").unwrap().parse().unwrap();
    assert!(width < 3_000.0, "{width}");
}

#[test]
fn explain_says_on_which_run_a_cell_is() {
    let page = rude();
    let line = page.lines().position(|line| line.contains("no greeting is undone")).unwrap() + 1;
    let part = format!("  ! on the run of x.def:{line}:3: {RULE}\n");
    for question in [
        &["begin_transaction", "RSET"][..],
        &["init", "MAIL"],
        &["init"],
        &["RSET"],
        &["client_init", "MAIL"],
    ] {
        let said = run(&page, &[&["fsm", "explain", "x.def"][..], question].concat(), "");
        assert_eq!(said.status, Some(1), "{question:?}");
        assert!(said.err.contains(RULE) && said.out.contains(&part), "{question:?}\n{}", said.out);
    }
    let said = run(&page, &["fsm", "explain", "x.def", "init"], "");
    assert!(said.out.contains(" !\n  EHLO ") && said.out.contains("no row: MAIL !, RCPT"));
    // What is on no run is explained as ever.
    let said = run(&page, &["fsm", "explain", "x.def", "transaction", "RCPT"], "");
    assert!(said.status == Some(1) && !said.out.contains("what is wrong"), "{}", said.out);
    let shown = "the shortest dialogue:\n   C: HELO    init -> client_init\n";
    assert!(said.out.contains(shown), "{}", said.out);
}

#[test]
fn a_session_can_be_tried_and_played_up_to_what_cannot_be_done() {
    let input = "HELO me\nMAIL FROM:<a@x.org>\nRSET\nMAIL FROM:<a@x.org>\n:save x.smtp\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.def"), rude()).unwrap();
    let said = run_in(folder.path(), &["fsm", "try", "x.def"], input);
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains(RULE), "{}", said.err);
    assert!(said.out.contains("it has errors, so that no server runs it"), "{}", said.out);
    assert_eq!(said.out.matches(&format!(": {RULE}\n")).count(), 4, "{}", said.out);
    assert!(said.out.contains("S: 503 5.5.1 MAIL not now"), "{}", said.out);
    let said = run_in(folder.path(), &["fsm", "play", "--states", "x.def", "x.smtp"], "");
    assert_eq!((said.status, said.out.as_str()), (Some(1), "x.smtp: ok\n"), "{}", said.err);

    let input = "HELO me\nRCPT TO:<b@postman.local>\nNOOP\n:undo\nNOOP\n";
    let said = run(&senderless(), &["fsm", "try", "x.def"], input);
    assert_eq!(said.status, Some(1));
    let expected = "C: RCPT TO:<b@postman.local>\nS: 421 4.3.0 ";
    assert!(said.out.contains(expected), "{}", said.out);
    let expected = "   the session cannot go on: `add_recipient` cannot be done at RCPT in client_init\n   ! on the run of x.def:";
    assert!(said.out.contains(expected), "{}", said.out);
    assert!(said.out.contains("`add_recipient` needs a sender, and there is a way here without\n"));
    assert!(said.out.contains("   back in client_init"), "{}", said.out);
    assert!(said.out.contains("C: NOOP\nS: 250 2.0.0 OK\n"), "{}", said.out);
}

/// What an edit replaces, and by what.
type Edits = &'static [(&'static str, &'static str)];

/// Edits that leave all cells known, with what is said of each, whether it can be tried, and the
/// cells that are marked.
const KNOWN: &[(Edits, &str, bool, usize)] = &[
    (
        &[("ttype = add_recipient;  reply = 250", "ttype = add_recipient;  reply = 354")],
        "354 asks",
        true,
        2,
    ),
    (
        &[("ttype = set_sender;     reply = 250", "ttype = set_sender;     reply = 450")],
        "450 tells",
        true,
        1,
    ),
    (
        &[("ttype = add_recipient;  reply = 250", "ttype = answer;  reply = 250")],
        "promises",
        true,
        2,
    ),
    (
        &[("                         ttype = answer;  reply = 221; }", "ttype = answer; }")],
        "no `reply`",
        true,
        4,
    ),
    (&[("ttype = verify; ", "ttype = verfiy; ")], "no action", false, 4),
    (&[("ttype = verify; ", "ttype = noop; ")], "no action", false, 4),
    (&[("ttype = verify; ", "")], "no `ttype`", false, 4),
    (&[("keyword = PIPELINING", "keyword = PIPELINNING")], "PIPELINNING", true, 0),
    (&[("MAIL = \"MAIL FROM:", "MAIL = \"MAIL FORM:")], "FORM:", true, 0),
    (&[("HELO = \"HELO domain\";", "")], "needs an argument", true, 2),
    (&[("path = '[^ MAIL]* RCPT'", "path = '[^ MIAL]* RCPT'")], "MIAL", true, 0),
    (&[("accepts = RCPT, DATA", "accepts = RCPT, DTAA")], "DTAA", true, 0),
    (&[("always =\n", "allways =\n")], "allways", true, 0),
    (&[("tev = QUIT; next = done;", "tev = QUIT;")], "does not lead to `done`", true, 4),
    (&[("prefix = smtp", "prefix = '1'")], "prefix", true, 0),
    (&[("tev = EXPN; ttype", "tev = EXPN; next = init; ttype")], "nothing changed", true, 4),
];

#[test]
fn whatever_the_error_the_machine_is_shown_if_its_cells_are_known() {
    for (edits, message, can_be_tried, marked) in KNOWN {
        let page = edited(edits);
        let compiled = compile(&page, Some(&VOCABULARY));
        assert!(compiled.definition.is_none(), "{edits:?}");
        let refused = compiled.refused.as_ref().unwrap_or_else(|| panic!("{edits:?} is not shown"));
        let marks = Marks::of(refused, &compiled.diagnostics);
        let cells = (0..refused.states.len())
            .flat_map(|state| (0..refused.events.len()).map(move |event| (state, event)));
        let count = cells.filter(|(state, event)| marks.has(*state, *event)).count();
        assert!(count >= *marked, "{edits:?}: {count}\n{}", table(refused, &marks));
        assert!((count == 0) == (*marked == 0), "{edits:?}\n{}", table(refused, &marks));
        let said = run(&page, &["fsm", "table", "x.def"], "");
        assert_eq!(said.status, Some(1), "{edits:?}");
        assert!(said.err.contains(message) && !said.err.contains("panicked"), "{}", said.err);
        assert_eq!(said.out, table(refused, &marks), "{edits:?}");
        let tried = run(&page, &["fsm", "try", "x.def"], "HELO me\nQUIT\n");
        assert_eq!(tried.status, Some(1));
        assert_eq!(tried.out.contains("S: 250 postman.local"), *can_be_tried, "{edits:?}");
        assert!(!tried.err.contains("panicked"), "{}", tried.err);
        assert_eq!(tried.err.contains("cannot be tried"), !*can_be_tried, "{}", tried.err);
    }
}

#[test]
fn where_a_cell_is_not_known_nothing_is_shown() {
    for edits in [
        [("tev = MAIL; next", "tev = MIAL; next")],
        [("next = begin_transaction; ttype", "next = begin; ttype")],
        [("{ tst = read_data;                       tev = READ;", "{ tst = read_data; tev = END;")],
        [("ttype = add_recipient;  reply = 250; }", "ttype = add_recipient;  reply = 250; ")],
    ] {
        let page = edited(&edits);
        assert!(compile(&page, Some(&VOCABULARY)).refused.is_none(), "{edits:?}");
        for arguments in [
            &["fsm", "table", "x.def"][..],
            &["fsm", "svg", "x.def"],
            &["fsm", "mermaid", "x.def"],
            &["fsm", "dot", "x.def"],
            &["fsm", "explain", "x.def", "init"],
            &["fsm", "try", "x.def"],
        ] {
            let said = run(&page, arguments, "");
            assert_eq!((said.status, said.out.as_str()), (Some(1), ""), "{arguments:?}");
            assert!(said.err.contains("error: "), "{}", said.err);
        }
    }
}

#[test]
fn what_can_be_shown_is_refused_by_all_that_checks_or_serves() {
    for page in [rude(), senderless()] {
        for arguments in [
            &["fsm", "check", "x.def"][..],
            &["check", "--skip-port", "--states", "x.def"],
            &["serve", "--listen", "127.0.0.1:0", "--maildir", "m", "--states", "x.def"],
        ] {
            let said = run(&page, arguments, "");
            assert_eq!((said.status, said.out.as_str()), (Some(1), ""), "{arguments:?}");
            assert!(said.err.contains("error: "), "{}", said.err);
        }
        let said = run(&page, &["fsm", "diff", "x.def", "x.def"], "");
        assert_eq!(said.status, Some(2), "{}", said.err);
    }
}

#[test]
fn a_last_state_that_nothing_leads_to_is_not_drawn() {
    let source = "AutoGen Definitions fsm;\nstate = a; event = go;\ntransition = { tst = init; tev = go; next = a; }";
    let drawn = |definition: &Definition| {
        let marks = Marks::default();
        let picture = svg(definition, &marks).unwrap();
        let (dot, mermaid) = (dot(definition, &marks), mermaid(definition, &marks));
        assert_eq!(mermaid.contains("--> [*]"), mermaid.contains("\"done\""));
        [picture.contains(">done<"), dot.contains("\"done\""), mermaid.contains("\"done\"")]
    };
    let endless = compile(&format!("{source};"), None).definition.unwrap();
    assert_eq!(drawn(&endless), [false; 3]);
    let row = "{ tst = a; tev = go; next = done; }";
    let ending = compile(&format!("{source}, {row};"), None).definition.unwrap();
    assert_eq!(drawn(&ending), [true; 3]);
    // After an error, too.
    let page = edited(&[("tev = QUIT; next = done;", "tev = QUIT;")]);
    let endless = compile(&page, Some(&VOCABULARY)).refused.unwrap();
    assert_eq!(drawn(&endless), [false; 3]);
    // There is nothing but the first.
    let nothing = compile("AutoGen Definitions fsm;\nevent = go;", None).definition.unwrap();
    assert_eq!(drawn(&nothing), [false; 3]);
}

#[test]
fn a_page_of_this_server_s_without_any_reply_is_told_so_and_shown() {
    let page: String = PAGE
        .split_inclusive('\n')
        .map(|line| line.split("reply = ").collect::<Vec<_>>())
        .map(|parts| match parts.as_slice() {
            [row, rest] => format!("{row}{}", rest.split_once(';').unwrap().1),
            parts => parts.concat(),
        })
        .collect();
    assert!(!page.contains("reply = "));
    let said = run(&page, &["fsm", "check", "x.def"], "");
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""));
    for part in [
        "error: no row has a `reply`, and the commands and actions are those of this server\n",
        "each row of one says what the client is answered, as in `reply = 250;`; if it is for another program, \
         check it with `--foreign`\n",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    let said = run(&page, &["fsm", "table", "x.def"], "");
    assert!(said.status == Some(1) && said.out.contains("\nMAIL"), "{}", said.out);
    let said = run(&page, &["fsm", "check", "--foreign", "x.def"], "");
    assert_eq!(said.status, Some(0), "{}", said.err);
    // Another protocol has some of the words, too.
    let other = "AutoGen Definitions fsm;\nevent = NOOP, RSET, QUIT;\ntransition = { tst = init; tev = NOOP; ttype = answer; },\n\
        { tst = init; tev = RSET; ttype = reset; }, { tst = init; tev = QUIT; next = done; ttype = answer; };\n";
    let said = run(other, &["fsm", "check", "x.def"], "");
    assert!(said.out.starts_with("ok, checked as a foreign definition"), "{}", said.err);
}
