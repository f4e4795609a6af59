//! What it costs to prove: a protocol of 200 states, 100 events and 50 properties, all of which
//! hold, so that each proof goes through every pair of a state and a step of its expression.
//!
//! `compile` is the whole way from the text; `without_properties` the same text without `never` and
//! `always`, so that the difference is the proofs'. Measured on two cores that others kept busy,
//! the fastest of 30: 48 ms the whole, 22 ms without the properties; the slowest 0.2 s.

use std::fmt::Write as _;

use divan::{Bencher, black_box};
use postman::autofsm::compile;

/// Phases that follow one another, each by its own event `g<phase>`.
const PHASES: usize = 25;
/// States of a phase, among which the events `x<number>` lead.
const INNER: usize = 8;
/// The last phase needs no event. With these and `reset`, there are 100.
const MOVES: usize = 100 - (PHASES - 1) - 1;

fn main() {
    divan::main();
}

/// A phase cannot be skipped; `reset` leads to the first from everywhere.
fn source(properties: bool) -> String {
    let names = |name: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(name).collect::<Vec<_>>().join(", ")
    };
    let state = |number: usize| if number == 0 { "init".to_owned() } else { format!("s{number}") };
    let mut text = format!(
        "AutoGen Definitions fsm;\nstate = {};\nevent = reset, {}, {};\n",
        names(&|number| format!("s{}", number + 1), PHASES * INNER - 2),
        names(&|number| format!("g{number}"), PHASES - 1),
        names(&|number| format!("x{number}"), MOVES),
    );
    text += "transition = { tst = \"*\"; tev = reset; next = init; ttype = noop; };\n";
    // One state is `done`: the last phase lacks one.
    let states = PHASES * INNER - 1;
    for number in 0..states {
        let (phase, inner) = (number / INNER, number % INNER);
        let next = ((phase + 1) * INNER).min(states - 1);
        let from = state(number);
        if phase + 1 < PHASES {
            let to = state(next);
            let _ = writeln!(
                text,
                "transition = {{ tst = {from}; tev = g{phase}; next = {to}; ttype = noop; }};"
            );
        }
        for event in 0..MOVES {
            let to = state((phase * INNER + (inner * 3 + event + 1) % INNER).min(states - 1));
            let _ = writeln!(
                text,
                "transition = {{ tst = {from}; tev = x{event}; next = {to}; ttype = noop; }};"
            );
        }
    }
    if properties {
        for phase in 0..25 {
            let (one, other) = (phase % (PHASES - 2), phase % (PHASES - 2) + 1);
            let _ = writeln!(
                text,
                "never = {{ says = 'a phase is skipped'; path = '(.* reset)? [^ g{one}]* g{other}'; }};\n\
                 always = {{ says = 'one can go on, and back'; after = '.* g{one} [^ g{other} reset]*'; \
                 accepts = g{other}, reset, x0; }};"
            );
        }
    }
    text
}

#[divan::bench(sample_count = 30, args = [("compile", true), ("without_properties", false)])]
fn definition(bencher: Bencher<'_, '_>, (_, properties): (&str, bool)) {
    let source = source(properties);
    let compiled = compile(&source, None);
    assert_eq!(compiled.diagnostics, [], "all properties hold");
    let size = compiled
        .definition
        .map(|found| (found.states.len(), found.events.len(), found.properties.len()));
    assert_eq!(size, Some((PHASES * INNER, 100, if properties { 50 } else { 0 })));
    bencher.bench(|| compile(black_box(&source), None));
}
