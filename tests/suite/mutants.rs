//! The checks are checked: the project's definition, broken in every small way. `check`, which does
//! not know the original, must catch what is dangerous; what it lets pass stands in a golden file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use postman::autofsm::{
    Change, Comparison, Definition, Diagnostic, Severity, compile, diff, same_name,
};
use postman::config::Config;
use postman::dialogue::{Peer, Play as _, rehearse};
use postman::smtp::machine::Machine;
use postman::smtp::session::Input;
use postman::smtp::vocabulary::{Action, VOCABULARY};
use regex::Regex;

use crate::peer::PAGE as SOURCE;
use crate::rig::Random;

/// A row, in pieces that can be exchanged.
#[derive(Clone)]
struct Row {
    states: Vec<String>,
    events: Vec<String>,
    next: Option<String>,
    action: String,
    reply: Option<String>,
}

impl Row {
    fn read(text: &str) -> Self {
        let value = |key: &str| {
            let pattern = Regex::new(&format!(r"[{{; ]{key} *= *('[^']*'|[^;]*);")).unwrap();
            pattern.captures(text).map(|found| found[1].trim().to_owned())
        };
        let list =
            |key: &str| value(key).unwrap().split(',').map(|name| name.trim().to_owned()).collect();
        Self {
            states: list("tst"),
            events: list("tev"),
            next: value("next"),
            action: value("ttype").unwrap(),
            reply: value("reply"),
        }
    }

    fn written(&self) -> String {
        let mut text =
            format!("{{ tst = {}; tev = {};", self.states.join(", "), self.events.join(", "));
        for (key, value) in
            [("next", &self.next), ("ttype", &Some(self.action.clone())), ("reply", &self.reply)]
        {
            if let Some(value) = value {
                let _ = write!(text, " {key} = {value};");
            }
        }
        text + " }"
    }
}

/// The definition without its rows, and its rows.
fn taken_apart() -> (String, Vec<Row>) {
    let statement = Regex::new(r"(?s)transition *=[ \n]*(\{.*?\}) *;").unwrap();
    let block = Regex::new(r"(?s)\{.*?\}").unwrap();
    let rows = statement.captures_iter(SOURCE).flat_map(|found| {
        block
            .find_iter(found.get(1).unwrap().as_str())
            .map(|row| Row::read(row.as_str()))
            .collect::<Vec<_>>()
    });
    (statement.replace_all(SOURCE, "").into_owned(), rows.collect())
}

fn put_together(frame: &str, rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(Row::written).collect();
    format!("{frame}\ntransition =\n  {};\n", rows.join(",\n  "))
}

pub(crate) struct Mutant {
    /// What was done to the row.
    kind: &'static str,
    /// The row as it was, and what became of it.
    pub(crate) shown: String,
    pub(crate) source: String,
}

/// All mutants of the project's definition.
#[allow(clippy::too_many_lines, reason = "a list of the ways to break a row")]
pub(crate) fn mutants(original: &Definition) -> Vec<Mutant> {
    let (frame, rows) = taken_apart();
    let states: Vec<_> = original.states.iter().map(|state| state.name.as_str()).collect();
    let events: Vec<_> = original.events.iter().map(|event| event.name.as_str()).collect();
    let mut mutants = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let mut add = |kind: &'static str, what: String, instead: &[Row]| {
            let mut all = rows.clone();
            all.splice(number..=number, instead.iter().cloned());
            let shown = format!("{what}  in  {}", row.written());
            mutants.push(Mutant { kind, shown, source: put_together(&frame, &all) });
        };
        let with = |change: &dyn Fn(&mut Row)| {
            let mut row = row.clone();
            change(&mut row);
            [row]
        };
        add("drop a row", "no row".to_owned(), &[]);
        add("double a row", "twice".to_owned(), &[row.clone(), row.clone()]);
        for &state in &states {
            if row.next.as_deref() != Some(state) {
                add(
                    "retarget next",
                    format!("next = {state}"),
                    &with(&|row| row.next = Some(state.to_owned())),
                );
            }
            if !row.states.iter().any(|known| known == state) {
                add(
                    "add a state",
                    format!("also tst = {state}"),
                    &with(&|row| row.states.push(state.to_owned())),
                );
                for place in 0..row.states.len() {
                    add(
                        "swap a state",
                        format!("tst = {state} for {}", row.states[place]),
                        &with(&|row| state.clone_into(&mut row.states[place])),
                    );
                }
            }
        }
        if row.next.is_some() {
            add("retarget next", "no next".to_owned(), &with(&|row| row.next = None));
        }
        if row.states.len() > 1 {
            for place in 0..row.states.len() {
                let what = format!("not tst = {}", row.states[place]);
                add("drop a state", what, &with(&|row| drop(row.states.remove(place))));
            }
        }
        for &event in events.iter().filter(|event| !row.events.iter().any(|known| known == *event))
        {
            add(
                "swap an event",
                format!("tev = {event}"),
                &with(&|row| row.events = vec![event.to_owned()]),
            );
        }
        let code =
            row.reply.as_deref().map(|reply| reply.trim_matches('\'').get(..3).unwrap_or_default());
        for other in ["221", "250", "252", "354", "421", "550"]
            .into_iter()
            .filter(|other| code.is_some_and(|code| code != *other))
        {
            add(
                "swap a code",
                format!("reply = {other}"),
                &with(&|row| row.reply = Some(other.to_owned())),
            );
        }
        // A row whose refusal is made an acceptance, and one whose acceptance is made a refusal,
        // that stays or closes; in all of its states, then in each alone.
        let refuses = code.is_some_and(|code| code >= "400");
        let turned = |reply: &str, next: Option<&str>| Row {
            next: next.map(str::to_owned),
            action: "answer".to_owned(),
            reply: Some(reply.to_owned()),
            ..row.clone()
        };
        let turns: &[(&str, Option<&str>)] = if refuses {
            &[("250", None), ("252", None), ("221", Some("done"))]
        } else {
            &[("452", None), ("502", None), ("421", Some("done"))]
        };
        for &(reply, next) in turns {
            let what = format!(
                "reply = {reply}{}",
                next.map_or(String::new(), |next| format!(", next = {next}"))
            );
            add("turn a row", what, &[turned(reply, next)]);
        }
        for place in (0..row.states.len()).filter(|_| row.states.len() > 1) {
            let mut rest = row.clone();
            let state = rest.states.remove(place);
            let part = |part: Row| Row { states: vec![state.clone()], ..part };
            for &(reply, next) in turns {
                let what = format!(
                    "tst = {state}: reply = {reply}{}",
                    if next.is_some() { " and done" } else { "" }
                );
                add("split a row", what, &[rest.clone(), part(turned(reply, next))]);
            }
            for action in Action::ALL
                .iter()
                .map(|action| action.name())
                .filter(|action| *action != row.action)
            {
                let own = part(Row { action: action.to_owned(), ..row.clone() });
                add(
                    "split a row",
                    format!("tst = {state}: ttype = {action}"),
                    &[rest.clone(), own],
                );
            }
            // What is acknowledged, and forgotten.
            if row.action != "answer" && code != Some("250") {
                let own = part(Row { next: None, ..turned("250", None) });
                add(
                    "split a row",
                    format!("tst = {state}: answered with 250"),
                    &[rest.clone(), own],
                );
            }
        }
        for action in
            Action::ALL.iter().map(|action| action.name()).filter(|action| *action != row.action)
        {
            add(
                "swap an action",
                format!("ttype = {action}"),
                &with(&|row| action.clone_into(&mut row.action)),
            );
        }
    }
    mutants
}

/// Whether the two are one to a client: the states of both are sorted into classes, by what they
/// accept and do, then by the classes that follow, until nothing more comes apart. `words` says
/// whether actions and replies count, or only what is accepted.
fn behaves_alike(one: &Definition, other: &Definition, words: bool) -> bool {
    let all: Vec<_> = [one, other]
        .into_iter()
        .flat_map(|definition| (0..definition.states.len()).map(move |state| (definition, state)))
        .collect();
    let place = |definition: &Definition, state: usize| {
        if std::ptr::eq(definition, one) { state } else { one.states.len() + state }
    };
    let mut classes = vec![0; all.len()];
    loop {
        let mut known = BTreeMap::new();
        let next: Vec<usize> = all
            .iter()
            .enumerate()
            .map(|(index, &(definition, state))| {
                let cells: Vec<_> = (0..one.events.len())
                    .map(|event| {
                        let event = definition
                            .events
                            .iter()
                            .position(|other| same_name(&other.name, &one.events[event].name));
                        let cell = definition.cell(state, event?)?;
                        // What is refused and moves nothing is as if there were no row, but for the
                        // words.
                        if !words && cell.is_refusal() && cell.next == state {
                            return None;
                        }
                        let said = words.then_some((&cell.action, &cell.reply));
                        let said = said.map(|(action, reply)| format!("{action:?} {reply:?}"));
                        Some((said, classes[place(definition, cell.next)]))
                    })
                    .collect();
                let is_last = state + 1 == definition.states.len();
                let count = known.len();
                *known.entry((classes[index], is_last, cells)).or_insert(count)
            })
            .collect();
        if next == classes {
            return classes[0] == classes[one.states.len()];
        }
        classes = next;
    }
}

/// Who caught a mutant, in the order of the columns.
const CATCHERS: [&str; 4] = ["language", "needs", "never", "always"];

fn catcher(diagnostic: &Diagnostic) -> usize {
    let message = &diagnostic.message;
    match message {
        _ if message.contains("there is a way here")
            || message.contains("leaves an open message") =>
        {
            1
        }
        _ if message.starts_with("this can happen") => 2,
        _ if message.starts_with("this is not always so") => 3,
        _ => 0,
    }
}

#[derive(Default)]
struct Count {
    mutants: usize,
    same: usize,
    by: [usize; 4],
    caught: usize,
    survived: usize,
}

/// Whether EXPN alone is accepted where it was not, or not where it was: RFC 5321 4.5.1 leaves it
/// to the server, and so do the properties, so that a user can take its rows away.
fn only_lists_differ(one: &Definition, other: &Definition) -> bool {
    diff(one, other, &Comparison::default()).iter().all(|found| {
        matches!(
            found.change,
            Change::Action | Change::Reply | Change::Refusal | Change::Syntax | Change::Keywords
        ) || found.event.as_deref() == Some("EXPN")
    })
}

/// What `fsm try` does with a mutant that was refused: a client says anything, and the session goes
/// on or ends, and contradicts no proof, since there is none.
#[test]
fn a_session_by_a_refused_mutant_goes_on_or_ends() {
    const LINES: &[&str] = &[
        "HELO a",
        "EHLO a",
        "MAIL FROM:<a@x.org>",
        "RCPT TO:<b@postman.local>",
        "DATA",
        "RSET",
        "NOOP",
        "HELP",
        "VRFY b",
        "EXPN",
        "QUIT",
        "READ",
        "END",
        ".",
        "text",
    ];
    let original = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    let seed = Random::seed();
    let (mut random, mut refused, mut ended) = (Random(seed), 0, 0);
    for mutant in mutants(&original).into_iter().skip(random.below(7)).step_by(7) {
        let Some(definition) = compile(&mutant.source, Some(&VOCABULARY)).refused else { continue };
        let machine = Machine::load("x.def", &definition).unwrap();
        refused += 1;
        for _ in 0..24 {
            let mut peer = Peer::unproven(&Config::default(), machine);
            let straight =
                ["HELO a", "MAIL FROM:<a@x.org>", "RCPT TO:<b@postman.local>", "DATA", "text", "."];
            let straight = straight.iter().take(random.below(straight.len() + 1));
            let lines: Vec<_> = straight
                .copied()
                .chain((0..12).map(|_| LINES[random.below(LINES.len())]))
                .collect();
            for line in lines {
                peer.give(Input::Octets(format!("{line}\r\n").as_bytes()));
            }
            assert!(!peer.is_open() || peer.contradiction().is_none(), "{}", mutant.shown);
            ended += usize::from(peer.contradiction().is_some());
        }
    }
    assert!(
        refused > 100 && ended > 50,
        "POSTMAN_SEED={seed}: {refused} were refused, {ended} sessions ended"
    );
}

#[test]
fn check_catches_every_mutant_but_for_matters_of_taste() {
    let original = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    let (frame, rows) = taken_apart();
    let rebuilt = compile(&put_together(&frame, &rows), Some(&VOCABULARY)).definition.unwrap();
    assert!(
        behaves_alike(&original, &rebuilt, true),
        "the definition was not put together again as it was"
    );

    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut survivors = String::new();
    for mutant in mutants(&original) {
        let count = counts.entry(mutant.kind).or_default();
        count.mutants += 1;
        let compiled = compile(&mutant.source, Some(&VOCABULARY));
        let errors = compiled.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let mut by: Vec<_> = errors.map(catcher).collect();
        by.sort_unstable();
        by.dedup();
        for catcher in by {
            count.by[catcher] += 1;
        }
        match &compiled.definition {
            None => count.caught += 1,
            Some(mutated) if behaves_alike(&original, mutated, true) => count.same += 1,
            Some(mutated) => {
                count.survived += 1;
                let is_taste = behaves_alike(&original, mutated, false)
                    || only_lists_differ(&original, mutated);
                assert!(
                    is_taste,
                    "other commands are accepted, and check is silent: {}",
                    mutant.shown
                );
                let warned = if compiled.diagnostics.is_empty() { "" } else { "  (a warning)" };
                let _ = writeln!(survivors, "{:<14}  {}{warned}", mutant.kind, mutant.shown);
            }
        }
    }
    let mut text = format!(
        "Mutants of smtp-states.def: how many are caught, by whom (several may catch one), and who survives.\n\
         \"same\": no client could notice it. Who survives accepts the same commands in the same order; it\n\
         words an answer in another way, says no where nothing was to be done, or takes EXPN, which the RFC\n\
         leaves open, in other states.\n\n{:<14}{:>9}{:>7}",
        "", "mutants", "same"
    );
    for name in CATCHERS {
        let _ = write!(text, "{name:>10}");
    }
    text += "    caught  survive\n";
    let mut all = Count::default();
    for count in counts.values() {
        all.mutants += count.mutants;
        all.same += count.same;
        all.caught += count.caught;
        all.survived += count.survived;
        for (sum, by) in all.by.iter_mut().zip(count.by) {
            *sum += by;
        }
    }
    for (kind, count) in counts.iter().map(|(kind, count)| (*kind, count)).chain([("all", &all)]) {
        let _ = write!(text, "{kind:<14}{:>9}{:>7}", count.mutants, count.same);
        for by in count.by {
            let _ = write!(text, "{by:>10}");
        }
        let _ = writeln!(text, "{:>10}{:>9}", count.caught, count.survived);
    }
    let _ = write!(text, "\n{survivors}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mutants.txt");
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::write(&path, &text).unwrap();
        panic!(
            "tests/golden/mutants.txt differed and was rewritten: look at what survives now\n{text}"
        );
    }
}

/// A definition without its properties, which a mutant may break and still be a definition.
pub(crate) fn without_properties(source: &str) -> String {
    let property = Regex::new(r"(?s)(never|always) *=[ \n]*\{.*?\} *;").unwrap();
    property.replace_all(source, "").into_owned()
}

#[test]
fn diff_calls_a_mutant_different_if_and_only_if_it_behaves_so() {
    let original = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    let (mut compared, mut alike) = (0, 0);
    for mutant in mutants(&original) {
        let Some(mutated) = compile(&without_properties(&mutant.source), None).definition else {
            continue;
        };
        let same = behaves_alike(&original, &mutated, true);
        for (old, new) in [(&original, &mutated), (&mutated, &original)] {
            let found = diff(old, new, &Comparison::default());
            assert_eq!(found.is_empty(), same, "{}: {found:?}", mutant.shown);
            // What is shown is true: along the run both accept all, and then they differ.
            for difference in found {
                let (one, other) = (follow(old, &difference.run), follow(new, &difference.run));
                let event = difference.event.as_deref().unwrap();
                let one = one.and_then(|state| old.cell(state, event_of(old, event)));
                let other = other.and_then(|state| new.cell(state, event_of(new, event)));
                assert_eq!(
                    (one, other),
                    (difference.old.as_ref(), difference.new.as_ref()),
                    "{}",
                    mutant.shown
                );
            }
        }
        compared += 1;
        alike += usize::from(same);
    }
    assert!(
        compared > 400 && alike > 0,
        "too few mutants compile: {compared}, {alike} of them alike"
    );
}

fn event_of(definition: &Definition, name: &str) -> usize {
    definition.events.iter().position(|event| same_name(&event.name, name)).unwrap()
}

/// Where a run leads, if it is one.
fn follow(definition: &Definition, run: &[String]) -> Option<usize> {
    run.iter()
        .try_fold(0, |state, event| Some(definition.cell(state, event_of(definition, event))?.next))
}

#[test]
fn each_counterexample_happens_in_the_session_itself() {
    let original = compile(SOURCE, Some(&VOCABULARY)).definition.unwrap();
    let mut played = 0;
    for mutant in mutants(&original) {
        // Only what can be served can be played.
        let bare = compile(&without_properties(&mutant.source), Some(&VOCABULARY)).definition;
        let Some(machine) = bare.and_then(|definition| Machine::load("mutant", &definition)) else {
            continue;
        };
        for found in compile(&mutant.source, Some(&VOCABULARY)).diagnostics {
            if !matches!(catcher(&found), 2 | 3) {
                continue;
            }
            // A line is `C: MAIL  from -> to` or `C: MAIL  state has no row for it`; that of a
            // refusal has `with` and its code.
            let lines: Vec<Vec<&str>> = found
                .notes
                .iter()
                .filter_map(|note| note.strip_prefix("C: "))
                .map(|line| line.split_whitespace().collect())
                .collect();
            let events: Vec<_> = lines.iter().map(|words| words[0]).collect();
            let exchanges = rehearse(machine, &events);
            for (line, exchange) in lines.iter().zip(&exchanges[1..]) {
                let state = match line.as_slice() {
                    [_, _, "->", next, ..] => next,
                    // A refusal that closes has a row for it, and the line says no more than its
                    // code.
                    _ if line.contains(&"421") => "done",
                    _ => line[1],
                };
                assert_eq!(exchange.state, state, "{}: {found:?} {exchanges:?}", mutant.shown);
                let code = exchange.replies.first().map_or("", |reply| &reply[..3]);
                let refused = line
                    .iter()
                    .position(|word| *word == "with")
                    .and_then(|place| line.get(place + 1));
                let is_right = match refused {
                    Some(refused) => code == *refused,
                    None if line[2] == "->" => code < "400",
                    None => matches!(code, "500" | "503"),
                };
                assert!(is_right, "{}: {found:?} {exchanges:?}", mutant.shown);
            }
            // The session ends with its last state, and an expression may go on behind it.
            assert!(
                exchanges.len() == events.len() + 1 || exchanges.last().unwrap().state == "done",
                "{exchanges:?}"
            );
            played += 1;
        }
    }
    assert!(played > 100, "only {played} counterexamples could be played");
}
