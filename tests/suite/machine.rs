//! The table that the build made of the project's own page. These tests follow it, whatever is
//! edited there; all others work on a page of their own ([`crate::peer::PAGE`]).

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use postman::autofsm;
use postman::dialogue::{Dialogue, Peer, rehearse};
use postman::server::kept;
use postman::smtp::machine::{BUILT, EventId, Machine, Position, Protocol, StateId};
use postman::smtp::vocabulary::VOCABULARY;
use rust_fsm::{StateMachine, StateMachineImpl as _};

use crate::peer::page;
use crate::rig::Server;

const SOURCE: &str = include_str!("../../smtp-states.def");

fn definition() -> autofsm::Definition {
    autofsm::compile(SOURCE, Some(&VOCABULARY))
        .definition
        .expect("the project's definition compiles")
}

#[test]
fn the_built_table_is_the_one_that_the_loader_makes() {
    assert_eq!(Machine::load("smtp-states.def", &definition()), Some(&BUILT));
}

/// The protocol as it is specified. A row is an event and a column a state; a cell is the state
/// that follows, and `=` the same one. The last state, `done`, has no cell.
const EXPECTED: &str = "
          init         client_init        tls_init      client_ready       begin_transaction  transaction   read_data
HELO      client_init  =                  client_ready  =                  client_ready       client_ready
EHLO      client_init  =                  client_ready  =                  client_ready       client_ready
STARTTLS  tls_init     tls_init
MAIL                   begin_transaction                begin_transaction
RCPT                                                                       transaction        =
DATA                                                                                          read_data
RSET      =            =                  =             =                  client_ready       client_ready
NOOP      =            =                  =             =                  =                  =
HELP      =            =                  =             =                  =                  =
VRFY      =            =                  =             =                  =                  =
EXPN      =            =                  =             =                  =                  =
QUIT      done         done               done          done               done               done
READ                                                                                                        =
END                                                                                                         client_ready
";

/// The tests' own page is the specification's.
#[test]
fn every_cell_of_the_machine_is_as_the_specification_says() {
    let page = page();
    let mut lines = EXPECTED.trim_start_matches('\n').lines();
    let head = lines.next().unwrap();
    let starts: Vec<_> = (1..head.len())
        .filter(|at| head[at - 1..].starts_with(' ') && !head[*at..].starts_with(' '))
        .collect();
    let names: Vec<_> = head.split_whitespace().collect();
    let mut cells = vec![None; page.cells.len()];
    for line in lines {
        let event = usize::from(page.event(line.split_whitespace().next().unwrap()).unwrap().0);
        for (state, start) in starts.iter().enumerate() {
            let cell = line.get(*start..).and_then(|rest| rest.split(' ').next()).unwrap_or("");
            let next = if cell == "=" { names[state] } else { cell };
            cells[state * page.events.len() + event] = Some(next).filter(|next| !next.is_empty());
        }
    }
    assert_eq!(
        page.states.iter().map(|state| state.name).collect::<Vec<_>>(),
        [&names[..], &["done"]].concat()
    );
    for (number, (cell, expected)) in page.cells.iter().zip(cells).enumerate() {
        let found = cell.map(|cell| page.states[usize::from(cell.next.0)].name);
        let (state, event) = (number / page.events.len(), number % page.events.len());
        assert_eq!(found, expected, "{} {}", page.states[state].name, page.events[event].name);
    }
}

#[test]
fn a_step_moves_the_machine_as_the_table_says_and_a_look_does_not() {
    let (states, events) = (BUILT.states.len(), BUILT.events.len());
    let mut open = vec![Position::initial(&BUILT)];
    let mut known = HashSet::from([open[0].name()]);
    let mut steps = 0;
    while let Some(position) = open.pop() {
        for event in (0..events).map(|event| EventId(u16::try_from(event).unwrap())) {
            let mut machine: StateMachine<Protocol> = StateMachine::from_state(position);
            let cell = machine.state().look(event);
            assert_eq!(machine.state().name(), position.name(), "a look");
            let taken = machine.consume(&event);
            assert_eq!(taken.is_ok(), cell.is_some());
            let Some(cell) = cell else {
                assert_eq!(machine.state().name(), position.name(), "a refused event");
                continue;
            };
            let StateId(next) = cell.next;
            assert_eq!(machine.state().name(), BUILT.states[usize::from(next)].name);
            assert!(Protocol::output(&position, &event).is_some_and(|output| output == cell));
            steps += 1;
            if known.insert(machine.state().name()) {
                open.push(*machine.state());
            }
        }
    }
    assert!(steps >= known.len() - 1 && known.len() <= states);
    assert_eq!(Position::initial(&BUILT).look(EventId(u16::MAX)), None);
}

/// Through the session, from the connection on, to each state that something reaches.
#[test]
fn the_session_goes_where_the_built_table_says() {
    let definition = definition();
    let last = definition.states.len() - 1;
    for state in 0..last {
        let Some(run) = definition.shortest_run(|known| known.0 == state) else { continue };
        for event in
            (0..definition.events.len()).filter(|event| definition.cell(state, *event).is_some())
        {
            let events: Vec<_> = run.moves.iter().map(|step| step.event.0).chain([event]).collect();
            let names: Vec<_> =
                events.iter().map(|event| definition.events[*event].name.as_str()).collect();
            let reached = rehearse(&BUILT, &names).pop().unwrap().state;
            let next = definition.cell(state, event).map_or(state, |cell| cell.next);
            assert_eq!(reached, definition.states[next].name, "{names:?}");
        }
    }
}

#[test]
fn a_command_that_is_only_refused_is_neither_offered_nor_listed() {
    let source = include_str!("../dialogues/refusing.def");
    let definition =
        autofsm::compile(source, Some(&VOCABULARY)).definition.expect("it can be served");
    let machine = Machine::load("refusing.def", &definition).unwrap();
    let played = rehearse(machine, &["EHLO", "HELP", "EXPN", "STARTTLS", "HELP"]);
    assert_eq!(played[1].replies, ["250-postman.local", "250-PIPELINING", "250 XPING"]);
    let help = played[2].replies.join("\n");
    assert!(
        help.contains("XPING") && !help.contains("EXPN") && !help.contains("STARTTLS"),
        "{help}"
    );
    // It is known all the same: 502 is not 500.
    assert!(
        played[3].replies[0].starts_with("502 5.5.1 No lists here")
            && played[4].replies[0].starts_with("454")
    );
    let (expn, xping) = (machine.event("EXPN").unwrap(), machine.event("XPING").unwrap());
    assert!(machine.actions(expn).next().is_none() && machine.actions(xping).next().is_some());
    let accepted: Vec<_> = Position::initial(machine).accepted().map(|event| event.name).collect();
    assert_eq!(accepted, ["HELO", "EHLO", "RSET", "NOOP", "HELP", "QUIT", "XPING"]);
}

#[test]
fn a_server_that_is_told_nothing_else_serves_the_built_table() {
    let server = Server::start_by(None, "(errors_max: 1000)", ":");
    let mut talk = server.connect();
    talk.say("XNO-SUCH-COMMAND", "500");
    let machine = kept(&BUILT);
    let init = Position::initial(machine);
    for event in machine.commands() {
        if init.look(machine.event(event.name).unwrap()).is_none() {
            talk.say(event.name, "503");
        }
    }
}

/// All that is made of the page and kept in the repository, each file with what it has to be now.
fn generated() -> Vec<(&'static str, String)> {
    let definition = definition();
    let page = fs::read_to_string(root().join("docs/editing.md")).unwrap();
    let place = page
        .find("\n## The protocol\n")
        .and_then(|place| Some(place + page[place..].find("```text\n")? + 8));
    let (before, rest) = page.split_at(place.expect("the page shows the table"));
    let after = &rest[rest.find("```").unwrap()..];
    vec![
        (
            "tests/golden/smtp_states.rs",
            autofsm::rust(&definition, &VOCABULARY, "smtp-states.def", SOURCE),
        ),
        ("docs/smtp-states.svg", autofsm::svg(&definition, &autofsm::Marks::default()).unwrap()),
        ("docs/message.svg", autofsm::svg_of_run(&definition, &message()).unwrap()),
        (
            "docs/editing.md",
            format!("{before}{}{after}", autofsm::table(&definition, &autofsm::Marks::default())),
        ),
        (LAST_SEEN, SOURCE.to_owned()),
    ]
}

/// The way of the README's dialogue, as far as it goes with the page as it is now.
fn message() -> Vec<autofsm::Leg> {
    let dialogue = Dialogue::parse(include_str!("../../docs/message.smtp")).unwrap();
    let mut peer = Peer::new(&dialogue.config().unwrap(), &BUILT);
    let _ = dialogue.play(&mut peer, |most| most);
    peer.legs()
}

/// The page as these tests saw it last: by it they say what was edited.
const LAST_SEEN: &str = "tests/golden/smtp-states.def";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The one test that an edit of the page fails, once.
#[test]
fn what_is_made_of_the_page_is_as_the_page_is_now() {
    let now = generated();
    let differs: Vec<_> = now
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(root().join(path)).unwrap_or_default() != *text)
        .collect();
    if differs.is_empty() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_postman"));
    let output = command
        .args(["fsm", "diff", LAST_SEEN, "smtp-states.def"])
        .current_dir(root())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let mut paths = Vec::new();
    for (path, text) in differs {
        fs::write(root().join(path), text).unwrap();
        paths.push(path);
    }
    panic!(
        "smtp-states.def, or what is made of it, has changed since this test ran last. What a client notices:\n\n\
         {told}\nThese files are rewritten: {}. Look at them with `git diff`, then run the tests again: they pass.\n",
        paths.join(", ")
    );
}
