//! Mistakes planted in the project's definition, each with what is said of it.

use postman::autofsm::{compile, json, render, table};
use postman::smtp::vocabulary::VOCABULARY;

const SOURCE: &str = include_str!("../../smtp-states.def");

/// What is in the definition, what it becomes, and what the compiler must say.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("AutoGen Definitions fsm;", "AutoGen Definitions getopt;", "begins with `AutoGen Definitions fsm;`"),
    ("tev = RCPT;", "tev = RCTP;", "no event is called `RCTP`"),
    ("tev = RCPT;", "tev = RCTP;", "help: did you mean `RCPT`?"),
    ("next = transaction; ", "next = transacton; ", "no state is called `transacton`"),
    ("tst = read_data; ", "tst = red_data; ", "help: did you mean `read_data`?"),
    ("state  = client_init,", "state  = client_init, Client-Init,", "declared twice"),
    ("state  = client_init,", "state  = client_init, done,", "is always there"),
    ("event  = HELO,", "event  = HELO, helo,", "declared twice"),
    ("tev = DATA; next", "tev = RCPT; next", "two rows for `RCPT` in `transaction`"),
    (
        "tst = transaction;                     tev = DATA;",
        "tst = \"*\";                     tev = DATA;",
        "`DATA` is never heard in `read_data`",
    ),
    ("tst = transaction;                     tev = DATA;", "tev = DATA;", "has no `tst`"),
    ("tst = transaction;                     tev = DATA;", "tst = transaction;", "has no `tev`"),
    (
        "tst = init, client_init, begin_transaction, transaction; tev = NOOP;",
        "tst = init, \"*\"; tev = NOOP;",
        "stands alone",
    ),
    (
        "tst = init, client_init, begin_transaction, transaction; tev = NOOP;",
        "tst = \"*\"; tev = \"*\";",
        "on both sides",
    ),
    ("tst = init, client_init, begin_transaction, transaction; tev = NOOP;", "tst = \"*\"; tev = RSET;", "would undo"),
    ("tst = init, client_init, begin_transaction, transaction; tev = NOOP;", "tst = *; tev = NOOP;", "a bare `*`"),
    ("next = read_data; ", "next = \"*\"; ", "is no state to go to"),
    ("next = read_data; ", "next = read_data, done; ", "`next` has one value"),
    ("next = read_data; ", "next = invalid; ", "leave the row out"),
    ("ttype = greet; ", "ttype = gret; ", "help: did you mean `greet`?"),
    ("ttype = deliver; ", "ttype = reset; ", "END"),
    ("ttype = append; ", "ttype = answer; ", "READ"),
    ("ttype = set_sender; ", "ttype = answer; ", "`add_recipient` needs a sender"),
    ("ttype = set_sender; ", "ttype = answer; ", "C: MAIL    client_init -> begin_transaction"),
    ("ttype = add_recipient; ", "ttype = answer; ", "`open_message` needs a recipient"),
    ("next = read_data; ", "next = client_init; ", "leaves a message open"),
    ("tev = READ; ", "tev = QUIT; ", "END without READ"),
    ("ttype = greet; ", "ttype = reset; ", "`reset` takes no argument, and `HELO domain` shows one"),
    ("ttype = answer;  reply = 250;", "ttype = verify;  reply = 250;", "and `NOOP [text]` lets it be left out"),
    ("ttype = reset;          reply", "ttype = verify;          reply", "needs an argument, and `RSET` shows none"),
    ("ttype = reset;          reply", "ttype = answer;          reply", "`set_sender` must not find a sender"),
    (
        "{ tst = client_init;                     tev = MAIL;",
        "{ tst = init; tev = MAIL;",
        "`set_sender` needs a greeting",
    ),
    ("reply = 354;", "reply = 250;", "content follows, and 250 does not ask for any"),
    ("reply = 214;", "reply = 314;", "314 asks for content, and none is read after it"),
    ("ttype = set_sender;     reply = 250;", "ttype = set_sender; reply = 450;", "450 says that nothing has happened"),
    ("reply = 354;", "reply = 199;", "`199` is no reply"),
    ("reply = 354;", "", "has no reply"),
    ("'502 5.5.1 No lists here'", "\"502 a\\r\\n250 b\"", "is no reply"),
    ("tev = QUIT; next = done;", "tev = QUIT;", "no way leads from `init` to `done`"),
    ("/* end of", "/ end of", "expected"),
    ("/*\n * The conversation", "#include x\n/*\n * The conversation", "directives"),
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
fn the_place_the_caret_and_the_help_are_shown() {
    let source = "AutoGen Definitions fsm;\nstate = a;\nevent = E;\ntransition = { tst = init; tev = F; next = a; };\n";
    let said = render(&compile(source, None).diagnostics, "x.def", source);
    let expected = "x.def:4:34: error: no event is called `F`\n  4 | transition = { tst = init; tev = F; next = a; };\n    |                                  ^\n  help: did you mean `E`?\n";
    assert_eq!(said, expected);
}

#[test]
fn a_foreign_definition_compiles_with_the_meaning_of_autofsm() {
    let source = "autogen definitions fsm;\nstate = idle-now; state = busy;\nevent = go, stop; // two\n\
        transition = { tst = \"*\"; tev = stop; next = done; ttype = noop; },\n\
        { tst = Idle_Now; tev = stop; }, { tst = init; tev = \"go\"; next = 'idle^now'; ttype = \"be\" \"gin\"; };";
    let compiled = compile(source, None);
    assert_eq!(compiled.diagnostics.len(), 1, "{}", render(&compiled.diagnostics, "x", source));
    let definition = compiled.definition.unwrap();
    let cell =
        |state, event| definition.cell(state, event).map(|cell| (cell.next, cell.action.clone().unwrap_or_default()));
    assert_eq!(cell(0, 0), Some((1, "begin".to_owned())));
    assert_eq!(cell(0, 1), Some((3, String::new())));
    assert_eq!(cell(1, 1), Some((1, "idle_now_stop".to_owned())));
    assert_eq!(cell(1, 0), None);
    assert!(json(&definition).contains(
        "{\"state\": \"init\", \"event\": \"go\", \"next\": \"idle-now\", \"action\": \"begin\", \"reply\": null}"
    ));
    assert!(table(&definition).starts_with("      init      idle-now  busy\ngo    idle-now\n"));
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
