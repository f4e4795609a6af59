//! The table that the build made.

use std::fs;
use std::path::Path;

use postman::autofsm;
use postman::dialogue::rehearse;
use postman::smtp::machine::{BUILT, EventId, Machine, Position, Protocol};
use postman::smtp::vocabulary::VOCABULARY;
use rust_fsm::StateMachine;

const SOURCE: &str = include_str!("../../smtp-states.def");

fn definition() -> autofsm::Definition {
    autofsm::compile(SOURCE, Some(&VOCABULARY)).definition.expect("the project's definition compiles")
}

#[test]
fn the_built_table_is_the_one_that_the_loader_makes() {
    assert_eq!(Machine::load("smtp-states.def", &definition()), Some(&BUILT));
}

/// SPEC.md 1, as a table: state, then what follows HELO, EHLO, MAIL, RCPT, DATA, READ, END,
/// RSET, the four that change nothing, and QUIT.
const EXPECTED: &[(&str, [&str; 13])] = &[
    ("init", ["client_init", "client_init", "", "", "", "", "", "init", "init", "init", "init", "init", "done"]),
    (
        "client_init",
        [
            "client_init",
            "client_init",
            "begin_transaction",
            "",
            "",
            "",
            "",
            "client_init",
            "client_init",
            "client_init",
            "client_init",
            "client_init",
            "done",
        ],
    ),
    (
        "begin_transaction",
        [
            "client_init",
            "client_init",
            "",
            "transaction",
            "",
            "",
            "",
            "client_init",
            "begin_transaction",
            "begin_transaction",
            "begin_transaction",
            "begin_transaction",
            "done",
        ],
    ),
    (
        "transaction",
        [
            "client_init",
            "client_init",
            "",
            "transaction",
            "read_data",
            "",
            "",
            "client_init",
            "transaction",
            "transaction",
            "transaction",
            "transaction",
            "done",
        ],
    ),
    ("read_data", ["", "", "", "", "", "read_data", "client_init", "", "", "", "", "", ""]),
    ("done", [""; 13]),
];
const EVENTS: [&str; 13] =
    ["HELO", "EHLO", "MAIL", "RCPT", "DATA", "READ", "END", "RSET", "NOOP", "HELP", "VRFY", "EXPN", "QUIT"];

#[test]
fn every_cell_of_the_machine_is_as_the_specification_says() {
    for (number, (name, row)) in EXPECTED.iter().enumerate() {
        assert_eq!(BUILT.states[number].name, *name);
        for (event, next) in EVENTS.iter().zip(row) {
            let column = usize::from(BUILT.event(event).unwrap().0);
            let cell = BUILT.cells[number * BUILT.events.len() + column];
            let found = cell.map_or("", |cell| BUILT.states[usize::from(cell.next.0)].name);
            assert_eq!(found, *next, "{name} {event}");
        }
    }
    assert_eq!(BUILT.cells.len(), EXPECTED.len() * EVENTS.len());
}

#[test]
fn a_step_moves_the_machine_and_a_look_does_not() {
    let mut machine: StateMachine<Protocol> = StateMachine::new();
    let (helo, mail) = (BUILT.event("HELO").unwrap(), BUILT.event("MAIL").unwrap());
    assert!(machine.consume(&mail).is_err());
    assert!(machine.state().look(helo).is_some());
    assert_eq!(machine.state().name(), "init");
    machine.consume(&helo).unwrap();
    assert_eq!(machine.state().name(), "client_init");
    assert_eq!(Position::initial(&BUILT).look(EventId(u16::MAX)), None);
}

#[test]
fn the_generated_machine_is_the_golden_one() {
    let text = autofsm::rust(&definition(), &VOCABULARY, "smtp-states.def");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/smtp_states.rs");
    let before = fs::read_to_string(&golden).unwrap_or_default();
    if before != text {
        fs::write(&golden, &text).unwrap();
        panic!("the generated table has changed: see `git diff tests/golden`, then run the test again");
    }
}

#[test]
fn a_command_that_is_only_refused_is_neither_offered_nor_listed() {
    let source = include_str!("../dialogues/refusing.def");
    let definition = autofsm::compile(source, Some(&VOCABULARY)).definition.expect("it can be served");
    let machine = Machine::load("refusing.def", &definition).unwrap();
    let played = rehearse(machine, &["EHLO", "HELP", "EXPN", "STARTTLS", "HELP"]);
    assert_eq!(played[1].replies, ["250-postman.local", "250-PIPELINING", "250 XPING"]);
    let help = played[2].replies.join("\n");
    assert!(help.contains("XPING") && !help.contains("EXPN") && !help.contains("STARTTLS"), "{help}");
    // It is known all the same: 502 is not 500.
    assert!(played[3].replies[0].starts_with("502 5.5.1 No lists here") && played[4].replies[0].starts_with("454"));
    let (expn, xping) = (machine.event("EXPN").unwrap(), machine.event("XPING").unwrap());
    assert!(machine.actions(expn).next().is_none() && machine.actions(xping).next().is_some());
    let accepted: Vec<_> = Position::initial(machine).accepted().map(|event| event.name).collect();
    assert_eq!(accepted, ["HELO", "EHLO", "RSET", "NOOP", "HELP", "QUIT", "XPING"]);
}
