//! A transition, by four machines: ours as the build compiled it and as the loader made it, the
//! one that rust-fsm's own macro writes, and the C that GNU autogen writes from the same file
//! (where `autogen` and `cc` are there).
//!
//! Each round is one transaction with small talk, from a greeted client to a greeted client, and
//! the table shows the time of the round and the steps a second. The record is what the log line
//! of a step needs: from, event, action, code, to.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use postman::autofsm;
use postman::server::{Counters, Tally};
use postman::smtp::machine::{BUILT, EventId, Machine, Position, Protocol};
use postman::smtp::session::Step;
use postman::smtp::vocabulary::VOCABULARY;
use rust_fsm::StateMachine;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/smtp-states.def");
const ROUND: [&str; 8] = ["EHLO", "MAIL", "RCPT", "RCPT", "NOOP", "DATA", "READ", "END"];

fn main() {
    if env::args().any(|word| word == "--bench") {
        match autogens_c() {
            Ok(nanoseconds) => {
                println!("C from autogen, look, step, record: {nanoseconds} ns a step");
            }
            Err(error) => println!("C from autogen: not measured: {error}"),
        }
    }
    divan::main();
}

fn events(machine: &Machine) -> Vec<EventId> {
    ROUND.iter().filter_map(|name| machine.event(name)).collect()
}

fn loaded() -> Option<&'static Machine> {
    let source = fs::read_to_string(SOURCE).ok()?;
    let compiled = autofsm::compile(&source, Some(&VOCABULARY));
    Machine::load("smtp-states.def", &compiled.definition?)
}

/// As the session does it.
fn record(machine: &mut StateMachine<Protocol>, event: EventId) -> Option<Step> {
    let from = *machine.state();
    from.look(event)?;
    let cell = machine.consume(&event).ok().flatten()?;
    let name = from.machine().events.get(usize::from(event.0)).map_or("", |event| event.name);
    let code = cell.reply.map_or(0, |reply| reply.code);
    Some(Step {
        from: from.name(),
        event: name,
        action: cell.action.name(),
        code,
        to: machine.state().name(),
    })
}

fn round(bencher: Bencher<'_, '_>, table: &'static Machine) {
    let events = events(table);
    let mut machine: StateMachine<Protocol> = StateMachine::from_state(Position::initial(table));
    bencher.counter(ItemsCount::new(ROUND.len())).bench_local(|| {
        for event in &events {
            black_box(record(&mut machine, black_box(*event)));
        }
    });
}

#[divan::bench]
fn look_step_record_built(bencher: Bencher<'_, '_>) {
    round(bencher, &BUILT);
}

#[divan::bench]
fn look_step_record_loaded(bencher: Bencher<'_, '_>) {
    if let Some(table) = loaded() {
        round(bencher, table);
    }
}

/// And as a server counts it.
#[divan::bench]
fn look_step_record_count(bencher: Bencher<'_, '_>) {
    let events = events(&BUILT);
    let mut machine: StateMachine<Protocol> = StateMachine::from_state(Position::initial(&BUILT));
    let mut tally = Tally::alone(&Arc::new(Counters::new(&BUILT)));
    bencher.counter(ItemsCount::new(ROUND.len())).bench_local(|| {
        for event in &events {
            if let Some(step) = record(&mut machine, black_box(*event)) {
                tally.step(black_box(&step));
            }
        }
    });
}

#[divan::bench]
fn look_only(bencher: Bencher<'_, '_>) {
    let events = events(&BUILT);
    let position = Position::initial(&BUILT);
    bencher.counter(ItemsCount::new(ROUND.len())).bench_local(|| {
        for event in &events {
            black_box(black_box(position).look(black_box(*event)));
        }
    });
}

#[divan::bench]
fn step_only(bencher: Bencher<'_, '_>) {
    let events = events(&BUILT);
    let mut machine: StateMachine<Protocol> = StateMachine::from_state(Position::initial(&BUILT));
    bencher.counter(ItemsCount::new(ROUND.len())).bench_local(|| {
        for event in &events {
            let _ = black_box(machine.consume(&black_box(*event)));
        }
    });
}

/// The same states and events by rust-fsm's macro, as far as the round goes and a bit beyond.
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the macro writes what it writes, and not all of it is used"
)]
mod by_macro {
    rust_fsm::state_machine! {
        #[derive(Clone, Copy, Debug)]
        pub(super) smtp(Init)

        Init => { Helo => ClientInit [Greet], Ehlo => ClientInit [GreetExtended], Noop => Init [Answer], Quit => Done [Answer] },
        ClientInit => {
            Helo => ClientInit [Greet], Ehlo => ClientInit [GreetExtended], Mail => BeginTransaction [SetSender],
            Rset => ClientInit [Reset], Noop => ClientInit [Answer], Quit => Done [Answer]
        },
        BeginTransaction => {
            Helo => ClientInit [Greet], Ehlo => ClientInit [GreetExtended], Rcpt => Transaction [AddRecipient],
            Rset => ClientInit [Reset], Noop => BeginTransaction [Answer], Quit => Done [Answer]
        },
        Transaction => {
            Helo => ClientInit [Greet], Ehlo => ClientInit [GreetExtended], Rcpt => Transaction [AddRecipient],
            Data => ReadData [OpenMessage], Rset => ClientInit [Reset], Noop => Transaction [Answer], Quit => Done [Answer]
        },
        ReadData => { Read => ReadData [Append], End => ClientInit [Deliver] }
    }
}

#[divan::bench]
fn rust_fsms_macro_step_only(bencher: Bencher<'_, '_>) {
    use by_macro::smtp::{Input, StateMachine};
    let events = [
        Input::Ehlo,
        Input::Mail,
        Input::Rcpt,
        Input::Rcpt,
        Input::Noop,
        Input::Data,
        Input::Read,
        Input::End,
    ];
    let mut machine = StateMachine::new();
    bencher.counter(ItemsCount::new(ROUND.len())).bench_local(|| {
        for event in &events {
            let _ = black_box(machine.consume(black_box(event)));
        }
    });
}

/// What the C needs around it: each action records its step, as above.
const DRIVER: &str = r#"
#include <stdio.h>
#include <time.h>
#include "x-fsm.h"

static const te_smtp_event round_of[] = { ROUND };

int main(void)
{
    enum { EVENTS = sizeof round_of / sizeof round_of[0] };
    const unsigned long rounds = 10 * 1000 * 1000;
    struct timespec begin, end;
    te_smtp_state state = SMTP_ST_INIT;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned long number = 0; number < rounds; number++)
        for (int place = 0; place < EVENTS; place++) {
            volatile te_smtp_event event = round_of[place];
            state = smtp_step(state, event);
        }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double taken = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
    printf("%.2f\n", taken / rounds / EVENTS);
    return state == SMTP_ST_CLIENT_READY ? 0 : 1;
}
"#;

fn autogens_c() -> Result<String, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::copy(SOURCE, at("x.def"))?;
    // Some of autogen's errors make it hang.
    run(folder.path(), "timeout", &["60", "autogen", "x.def"])?;
    let code = fs::read_to_string(at("x-fsm.c"))?;
    let mut hooks = String::from(
        "#include <stdlib.h>\n\
         volatile struct { int from, event, action, to; } record;\n",
    );
    for line in code.lines() {
        if let Some((_, rest)) = line.split_once("nxtSt = HANDLE_")
            && let Some((action, _)) = rest.split_once("()")
        {
            let fields = "record.from = smtp_state, record.event = trans_evt, record.to = nxtSt";
            hooks += &format!(
                "#define HANDLE_{action}() ({fields}, record.action = SMTP_TR_{action}, nxtSt)\n"
            );
        }
    }
    fs::write(at("hooks.h"), hooks)?;
    let round: Vec<_> = ROUND.iter().map(|name| format!("SMTP_EV_{name}")).collect();
    fs::write(at("main.c"), DRIVER.replace("ROUND", &round.join(", ")))?;
    run(folder.path(), "cc", &["-O2", "-w", "-include", "hooks.h", "-c", "x-fsm.c"])?;
    run(folder.path(), "cc", &["-O2", "-o", "main", "main.c", "x-fsm.o"])?;
    let timed = run(folder.path(), "./main", &[])?;
    Ok(timed.trim().to_owned())
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let program = if program.starts_with("./") { folder.join(program) } else { program.into() };
    let done = Command::new(&program).args(arguments).current_dir(folder).output()?;
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(
            format!("{}: {}", program.display(), told.lines().next().unwrap_or("failed")).into()
        );
    }
    Ok(String::from_utf8(done.stdout)?)
}
