//! `never` and `always`: the proof's verdict against a naive search, over random machines and
//! random properties, each counterexample replayed; and what is said of broken ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use postman::autofsm::{Definition, compile, render};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const EVENTS: [&str; 3] = ["A", "B", "C"];

/// An expression as the tests read it: by derivatives, not by an automaton.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Regular {
    Empty,
    Events(Vec<usize>),
    Then(Box<Regular>, Box<Regular>),
    Or(Box<Regular>, Box<Regular>),
    Star(Box<Regular>),
}

use Regular::{Empty, Events, Or, Star, Then};

impl Regular {
    fn is_nullable(&self) -> bool {
        match self {
            Events(_) => false,
            Empty | Star(_) => true,
            Then(one, other) => one.is_nullable() && other.is_nullable(),
            Or(one, other) => one.is_nullable() || other.is_nullable(),
        }
    }

    /// What may still be to come after an event: Antimirov's partial derivatives, which are
    /// finitely many.
    fn after(&self, event: usize) -> BTreeSet<Regular> {
        match self {
            Empty => BTreeSet::new(),
            Events(events) => events.contains(&event).then_some(Empty).into_iter().collect(),
            Then(one, other) => {
                let mut rest: BTreeSet<_> =
                    one.after(event).into_iter().map(|one| then(one, (**other).clone())).collect();
                if one.is_nullable() {
                    rest.extend(other.after(event));
                }
                rest
            }
            Or(one, other) => one.after(event).into_iter().chain(other.after(event)).collect(),
            Star(inner) => {
                inner.after(event).into_iter().map(|inner| then(inner, self.clone())).collect()
            }
        }
    }

    fn written(&self) -> String {
        match self {
            Empty => "()".to_owned(),
            Events(events) if events.len() == EVENTS.len() => ".".to_owned(),
            Events(events) if events.len() == 1 => EVENTS[events[0]].to_owned(),
            Events(events) => {
                let lacks = (0..EVENTS.len()).find(|event| !events.contains(event)).unwrap();
                format!("[^ {}]", EVENTS[lacks])
            }
            Then(one, other) => format!("{} {}", one.written(), other.written()),
            Or(one, other) if **other == Empty => format!("({})?", one.written()),
            Or(one, other) => format!("({} | {})", one.written(), other.written()),
            Star(inner) => format!("({})*", inner.written()),
        }
    }
}

fn then(one: Regular, other: Regular) -> Regular {
    if one == Empty { other } else { Then(Box::new(one), Box::new(other)) }
}

fn regular() -> impl Strategy<Value = Regular> {
    let leaf = prop_oneof![
        1 => Just(Empty),
        6 => prop::sample::subsequence(vec![0, 1, 2], 1..=3).prop_map(Events),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(one, other)| Then(Box::new(one), Box::new(other))),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, other)| Or(Box::new(one), Box::new(other))),
            1 => inner.clone().prop_map(|one| Or(Box::new(one), Box::new(Empty))),
            1 => inner.prop_map(|one| Star(Box::new(one))),
        ]
    })
}

/// Cells of the states init, s1 ... s3: for each event where it leads (4 is done), if anywhere, and
/// whether it is accepted.
type Cells = Vec<[Option<(usize, bool)>; 3]>;

fn cells() -> impl Strategy<Value = Cells> {
    let cell = || prop::option::weighted(0.7, (0..5_usize, prop::bool::weighted(0.8)));
    prop::collection::vec((cell(), cell(), cell()).prop_map(|(a, b, c)| [a, b, c]), 4)
}

fn name(state: usize) -> &'static str {
    ["init", "s1", "s2", "s3", "done"][state]
}

fn source(cells: &Cells, property: &str) -> String {
    let mut text = "AutoGen Definitions fsm;\nstate = s1, s2, s3;\nevent = A, B, C;\n".to_owned();
    for (state, row) in cells.iter().enumerate() {
        for (event, next) in row.iter().enumerate() {
            if let Some((next, accepted)) = next {
                let (from, event, to) = (name(state), EVENTS[event], name(*next));
                let code = if *accepted { 250 } else { 450 };
                let row = format!(
                    "tst = {from}; tev = {event}; next = {to}; ttype = noop; reply = {code};"
                );
                let _ = writeln!(text, "transition = {{ {row} }};");
            }
        }
    }
    text + property + "\n"
}

/// The naive search: all runs by their length, each with what the expression may still want. Runs
/// that came to the same pair before add nothing. A refusal that moves on is a step without a
/// letter; one that ends the session ends the run.
fn search(cells: &Cells, expression: &Regular, accepts: Option<usize>) -> Option<usize> {
    let mut level = BTreeSet::from([(0, expression.clone())]);
    let mut known = level.clone();
    for length in 0.. {
        let mut next_level = BTreeSet::new();
        for (state, wants) in &level {
            let cell = |event: usize| cells.get(*state).and_then(|row| row[event]);
            let accepted = |event: usize| cell(event).is_some_and(|(_, accepted)| accepted);
            if wants.is_nullable() && accepts.is_none_or(|event| !accepted(event)) {
                return Some(length);
            }
            for event in 0..3 {
                match cell(event) {
                    Some((next, true)) => {
                        next_level
                            .extend(wants.after(event).into_iter().map(|wants| (next, wants)));
                    }
                    Some((next, false)) if next < 4 => {
                        next_level.insert((next, wants.clone()));
                    }
                    _ => {}
                }
            }
        }
        level = next_level.difference(&known).cloned().collect();
        known.extend(next_level);
        if level.is_empty() {
            return None;
        }
    }
    None
}

/// The dialogue of a diagnostic: its lines without the event that an `always` misses, and the
/// events that were accepted.
fn replay(definition: &Definition, said: &str) -> (usize, usize, Vec<usize>) {
    let (mut state, mut lines) = (0, 0);
    let mut run = Vec::new();
    for line in said.lines().filter_map(|line| line.trim().strip_prefix("C: ")) {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap();
        let event = EVENTS.iter().position(|name| *name == word).unwrap();
        assert_eq!(words.next(), Some(definition.states[state].name.as_str()), "{said}");
        if words.next() == Some("->") {
            let cell = definition.cell(state, event).expect("the dialogue goes along cells");
            assert_eq!(words.next(), Some(definition.states[cell.next].name.as_str()), "{said}");
            state = cell.next;
            lines += 1;
            assert_eq!(words.next() == Some("refused"), cell.is_refusal(), "{said}");
            if !cell.is_refusal() {
                run.push(event);
            }
        }
    }
    (state, lines, run)
}

#[test]
fn the_proof_agrees_with_a_naive_search_and_its_counterexamples_are_real_and_shortest() {
    let mut runner =
        TestRunner::new(Config { cases: 4000, failure_persistence: None, ..Config::default() });
    let inputs = (cells(), regular(), prop::option::of(0..3_usize));
    let result = runner.run(&inputs, |(cells, expression, accepts)| {
        let property = match accepts {
            None => format!("never = {{ says = 'x'; path = '{}'; }};", expression.written()),
            Some(event) => {
                format!(
                    "always = {{ says = 'x'; after = '{}'; accepts = {}; }};",
                    expression.written(),
                    EVENTS[event]
                )
            }
        };
        let plain = compile(&source(&cells, ""), None).definition.unwrap();
        let source = source(&cells, &property);
        let compiled = compile(&source, None);
        let said = render(&compiled.diagnostics, "x.def", &source);
        match search(&cells, &expression, accepts) {
            None => prop_assert!(compiled.definition.is_some(), "{}\n{}", source, said),
            Some(shortest) => {
                prop_assert!(compiled.definition.is_none(), "let pass:\n{}", source);
                let (state, lines, run) = replay(&plain, &said);
                prop_assert_eq!(lines, shortest, "{}\n{}", source, said);
                let whole = BTreeSet::from([expression.clone()]);
                let rest = run.iter().fold(whole, |rest, event| {
                    rest.iter().flat_map(|one| one.after(*event)).collect()
                });
                prop_assert!(
                    rest.iter().any(Regular::is_nullable),
                    "the run does not match:\n{}\n{}",
                    source,
                    said
                );
                prop_assert!(accepts.is_none_or(|event| plain.accepted(state, event).is_none()));
            }
        }
        Ok(())
    });
    // proptest prints the seed and the smallest case.
    result.unwrap();
}

fn said_of(property: &str) -> String {
    let source = crate::peer::PAGE.replace("/* end of", &format!("{property}\n/* end of"));
    let compiled = compile(&source, Some(&postman::smtp::vocabulary::VOCABULARY));
    render(&compiled.diagnostics, "x.def", &source)
}

#[test]
fn a_mistake_in_an_expression_is_said_at_its_place() {
    for (expression, expected) in [
        ("MAIL RCTP", "no event is called `RCTP`"),
        ("MAIL RCTP", "did you mean `RCPT`?"),
        ("(MAIL", "this `(` is not closed"),
        ("MAIL)", "this `)` closes nothing"),
        ("* MAIL", "there is nothing for this `*` to repeat"),
        ("(|+)", "there is nothing for this `+` to repeat"),
        ("[MAIL", "this `[` is not closed"),
        ("[^]", "there is no event between [ and ]"),
        ("[MAIL | RCPT]", "a `|` has no meaning between [ and ]"),
        ("MAIL & RCPT", "a `&` has no meaning in an expression"),
        (&"(".repeat(100), "parentheses are nested too deep"),
        (&"MAIL ".repeat(1000), "an expression of more than 4096 octets is not read"),
    ] {
        let said = said_of(&format!("never = {{ says = 'x'; path = '{expression}'; }};"));
        assert!(said.contains(expected), "{expression}: {said}");
        let caret = said.lines().find(|line| line.contains('^') && !line.contains("path")).unwrap();
        assert!(caret.trim_start().starts_with('|'), "{said}");
    }
}

#[test]
fn an_expression_that_no_run_comes_near_is_a_warning() {
    for (property, warned) in [
        ("never = { says = 'x'; path = '.* QUIT MAIL RCPT'; };", true),
        ("never = { says = 'x'; path = '.* QUIT MAIL'; };", false),
        ("always = { says = 'x'; after = '.* QUIT MAIL'; accepts = QUIT; };", true),
        ("always = { says = 'x'; after = '.* MAIL RCPT'; accepts = DATA; };", false),
    ] {
        let said = said_of(property);
        assert_eq!(said.contains("nothing: x\n"), warned, "{property}: {said}");
    }
}

#[test]
fn the_shortest_dialogue_and_the_row_that_allows_it_are_shown() {
    let source = crate::peer::PAGE.replace(
        "{ tst = client_init, client_ready;       tev = MAIL;",
        "{ tst = client_init, client_ready, begin_transaction; tev = MAIL;",
    );
    let said = render(&compile(&source, None).diagnostics, "x.def", &source);
    let dialogue = "error: this can happen: a transaction within a transaction";
    let steps = [
        "   C: HELO    init -> client_init\n",
        "   C: MAIL    client_init -> begin_transaction\n",
        "   C: MAIL    begin_transaction -> begin_transaction      the row at ",
    ];
    assert!(said.contains(dialogue) && said.contains(&steps.concat()), "{said}");
}

/// A warning says that nothing is wrong enough to refuse the file, so that all the rest is checked.
#[test]
fn nothing_is_left_unproven_beside_a_warning() {
    const SERVED: &str = include_str!("../fixtures/served-needs-a-recipient.def");
    const BROKEN: &str = "AutoGen Definitions fsm;
state = open, locked; event = OPEN, LOCK, REMOVE;
transition = { tst = init; tev = OPEN; next = open; }, { tst = init, open; tev = LOCK; next = locked; },
  { tst = init, locked; tev = REMOVE; next = done; };
never = { says = 'locked while it is open'; path = '.* OPEN LOCK'; };
";
    let rules = &postman::smtp::vocabulary::VOCABULARY;
    for (source, rules, error) in [
        (BROKEN, None, "this can happen: locked while it is open"),
        (SERVED, Some(rules), "needs a recipient"),
    ] {
        for (warned, line) in [
            ("this line is no directive", "#a line that is no directive\n"),
            ("no row uses the event", "event = unused;\n"),
            ("nothing reaches the state", "state = island;\n"),
            (
                "takes back nothing",
                "transition = { tst = init; tev = REMOVED; ttype = invalid; };\n",
            ),
            ("GNU autogen reads the method", "method = cases; type = looping;\n"),
        ] {
            let source = source.replacen("fsm;\n", &format!("fsm;\n{line}"), 1);
            let source = source.replacen("event = ", "event = REMOVED, ", 1);
            let compiled = compile(&source, rules);
            let said = render(&compiled.diagnostics, "x.def", &source);
            assert!(said.contains(warned), "{warned}\n{said}");
            assert!(said.contains(error) && compiled.definition.is_none(), "{warned}\n{said}");
        }
    }
    // A file without anything else is not accepted in silence.
    let empty = compile("#x\nAutoGen Definitions fsm;\n", None);
    assert!(empty.diagnostics.iter().any(|found| found.message == "no `event` is declared"));
}

/// So many warnings that not all are kept leave room for the error.
#[test]
fn an_error_is_kept_however_many_warnings_there_are() {
    const EVENTS: usize = 2_600;
    let (page, _) = crate::peer::PAGE.split_once("never =").unwrap();
    let row = "{ tst = begin_transaction, transaction;  tev = RCPT;";
    assert!(page.contains(row));
    let mut source = page.replace(row, "{ tst = client_init, begin_transaction; tev = RCPT;");
    let names: Vec<_> = (0..EVENTS).map(|number| format!("X{number}")).collect();
    source += &format!("event = {};\n", names.join(", "));
    for state in ["init", "client_init", "begin_transaction", "transaction"] {
        for name in &names {
            source +=
                &format!("transition = {{ tst = {state}; tev = {name}; ttype = invalid; }};\n");
        }
    }
    let compiled = compile(&source, Some(&postman::smtp::vocabulary::VOCABULARY));
    assert!(compiled.diagnostics.len() >= 5_000, "{}", compiled.diagnostics.len());
    let first = &compiled.diagnostics[0].message;
    assert!(first.contains("`add_recipient` needs a sender"), "{first}");
    assert!(compiled.definition.is_none());
}

/// What a page with these rows instead of others is told.
fn said_of_rows(edits: &[(&str, &str)]) -> String {
    let mut source = crate::peer::PAGE.to_owned();
    for (from, to) in edits {
        assert!(source.contains(from), "{from}");
        source = source.replace(from, to);
    }
    render(
        &compile(&source, Some(&postman::smtp::vocabulary::VOCABULARY)).diagnostics,
        "x.def",
        &source,
    )
}

#[test]
fn a_row_that_refuses_is_no_acceptance() {
    // Nobody may send again after a message.
    let said = said_of_rows(&[
        ("state  = client_init,", "state  = client_init, resting,"),
        ("tev = END;      next = client_ready;", "tev = END;  next = resting;"),
        (
            "/*\n * Starting over drops",
            "transition =\n  { tst = resting; tev = MAIL; ttype = answer; reply = '452 4.5.3 Enough'; },\n  \
             { tst = resting; tev = HELO;     next = client_init; ttype = greet; reply = 250; },\n  \
             { tst = resting; tev = EHLO;     next = client_init; ttype = greet_extended; reply = 250; },\n  \
             { tst = resting; tev = RSET; ttype = reset; reply = 250; },\n  \
             { tst = resting; tev = QUIT; next = done; ttype = answer; reply = 221; };\n/*\n * Starting over drops",
        ),
    ]);
    assert!(
        said.contains(
            "this is not always so: whoever greeted may send, and again after each message"
        ),
        "{said}"
    );
    assert!(said.contains("   C: MAIL    resting refuses it with 452      the row at "), "{said}");

    // Nobody is told who exists.
    let said = said_of_rows(&[("ttype = verify;  reply = 252;", "ttype = answer; reply = 502;")]);
    assert!(said.contains("this is not always so: outside content one can always ask"), "{said}");
    assert!(said.contains("   C: VRFY    init refuses it with 502      the row at "), "{said}");
}

#[test]
fn a_refusal_that_stays_breaks_no_rule_about_what_was_accepted() {
    // The commonest of all: a greeting that is refused, and what must come before is asked for.
    let said = said_of_rows(&[
        (
            "  { tst = init, client_init;               tev = EHLO;     next = client_init;       ttype = greet_extended; reply = 250; },",
            "  { tst = init, client_init; tev = EHLO; ttype = answer; reply = '502 5.5.1 Say HELO'; },\n  \
             { tst = init; tev = MAIL, RCPT, DATA; ttype = answer; reply = '530 5.7.0 Say HELO first'; },",
        ),
        (
            "  { tst = tls_init, client_ready;          tev = EHLO;     next = client_ready;      ttype = greet_extended; reply = 250; };",
            "  { tst = tls_init, client_ready; tev = EHLO; ttype = answer; reply = '502 5.5.1 Say HELO'; };",
        ),
        (
            "tev = EHLO;     next = client_ready;      ttype = greet_extended; reply = 250; },",
            "tev = EHLO; ttype = answer; reply = '502 5.5.1 Say HELO'; },",
        ),
        ("SIZE, ENHANCEDSTATUSCODES, STARTTLS;", "SIZE, ENHANCEDSTATUSCODES;"),
        ("accepts = HELO, EHLO, RSET, QUIT; }", "accepts = HELO, RSET, QUIT; }"),
    ]);
    assert_eq!(said, "");
}

#[test]
fn a_refusal_may_end_the_session_and_promises_nothing_behind_it() {
    let said = said_of_rows(&[(
        "ttype = answer;  reply = '502 5.5.1 No lists here';",
        "next = done; ttype = answer; reply = '421 4.7.0 No lists here, and goodbye';",
    )]);
    assert_eq!(said, "");
    // But what is promised may not be refused, closing or not.
    let said = said_of_rows(&[(
        "tev = NOOP; ttype = answer;  reply = 250;",
        "tev = NOOP; next = done; ttype = answer; reply = 421;",
    )]);
    assert!(said.contains("   C: NOOP    init refuses it with 421      the row at "), "{said}");
}
