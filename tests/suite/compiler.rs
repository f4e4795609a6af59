//! Mistakes planted in the project's definition, each with what is said of it.

use postman::autofsm::{Marks, compile, json, render, table};
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::PAGE as SOURCE;

/// What is in the definition, what it becomes, and what the compiler must say.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "AutoGen Definitions fsm;",
        "AutoGen Definitions getopt;",
        "begins with `AutoGen Definitions fsm;`",
    ),
    ("tev = RCPT;", "tev = RCTP;", "no event is called `RCTP`"),
    ("tev = RCPT;", "tev = RCTP;", "help: did you mean `RCPT`?"),
    ("next = transaction; ", "next = transacton; ", "no state is called `transacton`"),
    ("tst = read_data; ", "tst = red_data; ", "help: did you mean `read_data`?"),
    ("state  = client_init,", "state  = client_init, Client-Init,", "declared twice"),
    ("state  = client_init,", "state  = client_init, done,", "is always there"),
    ("event  = HELO,", "event  = HELO, helo,", "declared twice"),
    ("tev = DATA;     next", "tev = RCPT; next", "two rows for `RCPT` in `transaction`"),
    (
        "tst = transaction;                     tev = DATA;",
        "tst = \"*\";                     tev = DATA;",
        "`DATA` is never heard in `read_data`",
    ),
    ("tst = transaction;                     tev = DATA;", "tev = DATA;", "has no `tst`"),
    ("tst = transaction;                     tev = DATA;", "tst = transaction;", "has no `tev`"),
    (
        "tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;",
        "tst = init, \"*\"; tev = NOOP;",
        "stands alone",
    ),
    (
        "tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;",
        "tst = \"*\"; tev = \"*\";",
        "on both sides",
    ),
    (
        "tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;",
        "tst = \"*\"; tev = RSET;",
        "would undo",
    ),
    (
        "tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;",
        "tst = *; tev = NOOP;",
        "needs quotes",
    ),
    ("next = read_data; ", "next = \"*\"; ", "is not a state to go to"),
    ("next = read_data; ", "next = read_data, done; ", "`next` has one value"),
    ("next = read_data; ", "next = invalid; ", "leave the row out"),
    ("ttype = greet; ", "ttype = gret; ", "help: did you mean `greet`?"),
    ("ttype = deliver; ", "ttype = reset; ", "END"),
    ("ttype = append; ", "ttype = answer; ", "READ"),
    (
        "ttype = set_sender; ",
        "ttype = answer; ",
        "accepting `MAIL` promises what `answer` does not do",
    ),
    (
        "tst = client_init, client_ready;       tev = MAIL;",
        "tst = client_init; tev = QUIT, MAIL;",
        "two rows for `QUIT`",
    ),
    (
        "tst = begin_transaction, transaction;  tev = RCPT;",
        "tst = client_init; tev = RCPT;",
        "`add_recipient` needs a sender",
    ),
    (
        "tst = transaction;                     tev = DATA;",
        "tst = begin_transaction; tev = DATA;",
        "`open_message` needs a recipient",
    ),
    (
        "tst = transaction;                     tev = DATA;",
        "tst = begin_transaction; tev = DATA;",
        "C: MAIL    client_init -> begin_transaction",
    ),
    (
        "ttype = add_recipient; ",
        "ttype = answer; ",
        "accepting `RCPT` promises what `answer` does not do",
    ),
    ("next = read_data; ", "next = client_init; ", "leaves an open message"),
    ("tev = READ; ", "tev = QUIT; ", "this row has no `reply`"),
    (
        "EXPN = \"EXPN [list]\";",
        "RSET = \"RSET [list]\";",
        "`reset` takes no argument, and `RSET [list]` shows one",
    ),
    ("VRFY = \"VRFY user\";", "VRFY = \"VRFY [user]\";", "and `VRFY [user]` lets it be left out"),
    ("VRFY = \"VRFY user\";", "", "needs an argument, and `VRFY` shows none"),
    (
        "{ tst = client_init, client_ready;       tev = MAIL;",
        "{ tst = client_init, client_ready, begin_transaction; tev = MAIL;",
        "`set_sender` must not find a sender",
    ),
    (
        "{ tst = client_init, client_ready;       tev = MAIL;",
        "{ tst = init; tev = MAIL;",
        "`set_sender` needs a greeting",
    ),
    ("reply = 354;", "reply = 250;", "content follows, and 250 does not ask for any"),
    ("reply = 214;", "reply = 314;", "314 asks for more, and nothing reads it"),
    (
        "ttype = set_sender;     reply = 250;",
        "ttype = set_sender; reply = 450;",
        "450 tells the client that nothing was done",
    ),
    ("reply = 354;", "reply = 199;", "`199` is not a reply"),
    ("reply = 354;", "", "has no `reply`"),
    ("'502 5.5.1 No lists here'", "\"502 a\\r\\n250 b\"", "is not a reply"),
    ("tev = QUIT; next = done;", "tev = QUIT;", "this row does not lead to `done`"),
    ("/* end of", "/ end of", "expected"),
    (
        "/*\n * The conversation",
        "#include x\n/*\n * The conversation",
        "is not read: a definition is one file",
    ),
    ("/* end of smtp-states.def */", "/* end", "this comment has no end"),
    ("/* end of smtp-states.def */", "'open", "this string has no end"),
];

#[test]
fn each_planted_mistake_is_found() {
    for (right, wrong, expected) in MISTAKES {
        assert!(SOURCE.contains(right), "the definition has no `{right}`");
        let source = SOURCE.replacen(right, wrong, 1);
        let compiled = compile(&source, Some(&VOCABULARY));
        let said = render(&compiled.diagnostics, "x.def", &source);
        assert!(compiled.definition.is_none(), "`{wrong}` was let pass\n{said}");
        assert!(said.contains(expected), "`{wrong}`: expected `{expected}`\n{said}");
        assert!(said.starts_with("x.def:"), "{said}");
    }
}

#[test]
fn a_foreign_definition_compiles_with_the_meaning_of_autofsm() {
    let source = "autogen definitions fsm;\nstate = idle-now; state = busy;\nevent = go, stop; // two\n\
        transition = { tst = \"*\"; tev = stop; next = done; ttype = noop; },\n\
        { tst = Idle_Now; tev = stop; }, { tst = init; tev = \"go\"; next = 'idle^now'; ttype = \"be\" \"gin\"; };";
    let compiled = compile(source, None);
    assert_eq!(compiled.diagnostics.len(), 1, "{}", render(&compiled.diagnostics, "x", source));
    let definition = compiled.definition.unwrap();
    let cell = |state, event| {
        definition
            .cell(state, event)
            .map(|cell| (cell.next, cell.action.clone().unwrap_or_default()))
    };
    assert_eq!(cell(0, 0), Some((1, "begin".to_owned())));
    assert_eq!(cell(0, 1), Some((3, String::new())));
    assert_eq!(cell(1, 1), Some((1, "idle_now_stop".to_owned())));
    assert_eq!(cell(1, 0), None);
    assert!(json(&definition, &Marks::default()).contains(
        "{\"state\": \"init\", \"event\": \"go\", \"next\": \"idle-now\", \"action\": \"begin\", \"reply\": null}"
    ));
    assert!(
        table(&definition, &Marks::default())
            .starts_with("      init      idle-now  busy\ngo    idle-now\n")
    );
}

/// Files that are too big to be fixtures, each with a name.
pub(super) fn big_files() -> Vec<(&'static str, String)> {
    let names = |letter: char, count: usize| {
        (0..count).map(|number| format!("{letter}{number}")).collect::<Vec<_>>()
    };
    let header = |states: usize, events: usize| {
        let (states, events) = (names('s', states).join(", "), names('e', events).join(", "));
        format!("AutoGen Definitions fsm;\nstate = {states};\nevent = {events};\n")
    };
    let stars = (0..3000)
        .map(|row| format!("{{ tst = \"*\"; tev = e{}; next = s1; }}", row % 10))
        .collect::<Vec<_>>();
    vec![
        ("octets", header(1, 1) + &"/* nothing */\n".repeat(100_000)),
        ("names", header(5000, 2)),
        ("cells", header(600, 600)),
        ("sets", header(500, 10) + "transition = " + &stars.join(",\n") + ";\n"),
        ("properties", header(1, 1) + &"never = { says = x; path = e0; };\n".repeat(300)),
        ("keywords", header(1, 1) + "keyword = " + &names('k', 200).join(", ") + ";\n"),
    ]
}

#[test]
fn a_file_that_is_too_big_is_said_to_be_so() {
    for (name, source) in big_files() {
        let compiled = compile(&source, None);
        let said = render(&compiled.diagnostics, name, &source);
        assert!(compiled.definition.is_none(), "{name}");
        assert!(
            (said.contains(" more ") || said.contains("larger than ")) && said.len() < 30_000,
            "{name}: {said}"
        );
    }
}

#[test]
fn a_thousand_mistakes_are_cut_with_a_count() {
    let names: Vec<_> = (0..1100).map(|number| format!("RCTP{number}")).collect();
    let source = SOURCE.replace("tev = RCPT", &format!("tev = {}, RCPT", names.join(", ")));
    let said = render(&compile(&source, None).diagnostics, "x.def", &source);
    assert!(
        said.ends_with("x.def: and 1000 more errors\n"),
        "{}",
        said.lines().last().unwrap_or_default()
    );
    assert_eq!(said.matches(": error: ").count(), 100);
}

/// Shapes that would cost a careless compiler the square of their length, long enough that this
/// test would then take very long.
#[test]
fn hostile_files_cost_no_more_than_their_length() {
    let fill = |piece: &str| piece.repeat(300_000 / piece.len());
    let start = "AutoGen Definitions fsm;\n";
    let machine = "state = a, b; event = e, f;\n";
    let shapes = [
        fill(";"),
        fill("}"),
        fill("{"),
        fill("a = {"),
        fill("a = { b; };"),
        fill("a;"),
        fill("\"\n"),
        fill("'\\\n"),
        fill("`\n"),
        fill("(\n"),
        fill("<<x\n"),
        fill("$(\n"),
        fill("#\n"),
        fill("#if 1\n"),
        fill("#ifdef X\n"),
        fill("#ifndef X\n"),
        fill("#else\n"),
        fill("#macdef x\n"),
        fill("#if 1\n#endif\n"),
        fill("#pragma\\\n"),
        fill("#undef b\n"),
        fill("x #\n"),
        (0..20_000).fold(String::new(), |text, n| text + &format!("#define N{n}\n"))
            + &fill("#ifdef X\n#endif\n"),
        fill("/*/"),
        fill("a//b"),
        fill("a=\"x\ny\";"),
        fill("\u{e9} "),
        fill("\\x"),
        fill("[ "),
        format!("{machine}a = {};", fill("'x' ")),
        format!("state = a, {};event = e;", fill("zz,")),
        format!("state = a, {};event = e;", fill("e!,")),
        format!("{machine}{}", fill("transition={tst=a;tev=e;};")),
        format!("{machine}{}", fill("transition={tst=c;tev=g;next=d;};")),
        format!("{machine}{}", fill("transition={tst=\"*\";tev=e;};")),
        format!("{machine}transition={{tst={};tev=e;}};", fill("a,")),
        format!("{machine}{}", fill("e=x;")),
        format!("{machine}{}", fill("prefx=x;")),
        format!("{machine}{}", fill("transition={nxt=a;};")),
        format!("{machine}{}", fill("never={says=x;path=e;};")),
        format!("{machine}{}", fill("keyword=k;")),
        format!("{machine}keyword={};", fill("'k' /**/")),
        format!("{machine}a={};", fill("\"\\q\"")),
        format!("state = {};event=x,{};", fill("_"), fill("_")),
        format!(
            "state = a{};event=x;",
            (0..30_000).map(|n| format!(", n{n} /* {n} */")).collect::<Vec<_>>().concat()
        ),
        format!(
            "state = a{};",
            (0..30_000).map(|n| format!(", n_{n}")).collect::<Vec<_>>().concat()
        ),
    ];
    for shape in shapes {
        let source = format!("{start}{shape}");
        for rules in [None, Some(&VOCABULARY)] {
            let compiled = compile(&source, rules);
            let said = render(&compiled.diagnostics, "x.def", &source);
            assert!(said.len() < 100_000, "{} octets are said of {:.40}", said.len(), shape);
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_gives_diagnostics_and_never_a_panic(text in "\\PC{0,200}", at in 0..7000_usize, cut in 0..40_usize) {
        let _ = compile(&text, Some(&VOCABULARY));
        let at = SOURCE.floor_char_boundary(at);
        let end = SOURCE.ceil_char_boundary((at + cut).min(SOURCE.len()).max(at));
        let edited = format!("{}{text}{}", &SOURCE[..at], &SOURCE[end..]);
        let compiled = compile(&edited, Some(&VOCABULARY));
        let said = render(&compiled.diagnostics, "x.def", &edited);
        assert_eq!(said.is_empty(), compiled.diagnostics.is_empty());
    }
}
