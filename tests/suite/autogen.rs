//! GNU autogen, as the measure of the compiler: what both accept, both read alike.
//!
//! The C that autogen writes has the table; every cell of it must have the next state and the
//! transition type that the compiler found. Without autogen this says that it is skipped.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use postman::autofsm::{Definition, compile, compile_with, render};

use super::directives::{A, B, DIRECTIVES};
use super::fixtures::fixtures;

/// What autogen makes of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Next state and transition type of each cell, in small letters.
    Table(Vec<(String, String)>),
    /// It stops with an error.
    Refused,
    /// It does not end.
    Hangs,
}

/// How many definitions to compare: all of them in CI, few where somebody waits.
fn count() -> usize {
    if std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_some() { 1_000 } else { 60 }
}

fn is_missing() -> bool {
    let missing = Command::new("autogen").arg("--version").output().is_err();
    assert!(!missing || std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_none(), "autogen is missing");
    if missing {
        eprintln!("SKIPPED: autogen is not installed, so nothing was compared with it");
    }
    missing
}

/// Runs autogen for the `x.def` of a folder.
fn run(folder: &Path, defines: &[&str]) -> ExitStatus {
    // At times autogen leaves a shell, which waits for ever and holds each file that it was given.
    // It is in the process group that `timeout` leads.
    let mut child = Command::new("timeout")
        .args(["--kill-after=5", "60", "autogen"])
        .args(defines.iter().flat_map(|name| ["-D", name]))
        .arg("x.def")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    let group = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    status
}

fn autogen(source: &str, defines: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.def"), source).unwrap();
    let status = run(folder.path(), defines);
    match status.code() {
        Some(0) => {}
        Some(124 | 137) => return Outcome::Hangs,
        _ => return Outcome::Refused,
    }
    // By `method` the table stands in the one or in the other.
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let c = read("x-fsm.c") + &read("x-fsm.h");
    let table = c
        .split("_EVENT_CT ] = {")
        .nth(1)
        .unwrap_or_default()
        .split("\n};")
        .next()
        .unwrap_or_default();
    let mut cells = Vec::new();
    for part in table.split("{ ").filter(|part| part.contains("_ST_") && part.contains(" }")) {
        let Some((next, rest)) = part.split_once(", ") else { continue };
        let action = rest.split(" }").next().unwrap_or_default();
        let (_, next) = next.split_once("_ST_").unwrap_or(("", next));
        let action = action
            .split_once("_TR_")
            .or(action.split_once("_do_"))
            .map_or("noop", |(_, action)| action);
        let (next, action) = (next.to_ascii_lowercase(), action.to_ascii_lowercase());
        // A cell that runs the action for invalid ones is invalid, wherever it would lead.
        let next = if action == "invalid" { action.clone() } else { next };
        cells.push((next, action));
    }
    Outcome::Table(cells)
}

fn ours(definition: &Definition) -> Vec<(String, String)> {
    let normal = |name: &str| name.to_ascii_lowercase().replace(['-', '^'], "_");
    // AutoFSM's table has no row for `done`.
    let cells =
        definition.cells.iter().take((definition.states.len() - 1) * definition.events.len());
    cells
        .map(|cell| match cell {
            None => ("invalid".to_owned(), "invalid".to_owned()),
            Some(cell) => {
                let action = cell.action.as_deref().map_or("noop".to_owned(), normal);
                (normal(&definition.states[cell.next].name), action)
            }
        })
        .collect()
}

/// Does something with each number, several at a time: autogen mostly sleeps.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number);
                }
            });
        }
    });
}

fn assert_same(name: &str, source: &str, defines: &[&str]) {
    let compiled = compile_with(source, None, defines);
    let said = render(&compiled.diagnostics, name, source);
    let definition = compiled
        .definition
        .unwrap_or_else(|| panic!("{name} is refused {defines:?}\n{said}\n{source}"));
    match autogen(source, defines) {
        Outcome::Table(theirs) => {
            assert_eq!(ours(&definition), theirs, "{name} {defines:?}\n{source}");
        }
        other => panic!("autogen: {other:?}, and we accept {name}\n{source}"),
    }
}

#[test]
fn autogen_makes_the_same_machine_of_the_project_s_definition() {
    if !is_missing() {
        assert_same("smtp-states.def", include_str!("../../smtp-states.def"), &[]);
    }
}

#[test]
fn autogen_makes_the_same_machine_of_each_valid_fixture() {
    if is_missing() {
        return;
    }
    let mut valid = fixtures();
    valid.retain(|(_, source)| compile(source, None).definition.is_some());
    assert!(valid.len() > 15);
    each(valid.len(), |number| assert_same(&valid[number].0, &valid[number].1, &[]));
}

#[test]
fn autogen_makes_the_same_machine_of_random_definitions() {
    if is_missing() {
        return;
    }
    let seed = std::env::var("POSTMAN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_secs() << 16
        });
    eprintln!("POSTMAN_SEED={seed} repeats this run");
    each(count(), |number| {
        let mut random = Random(seed.wrapping_add(u64::try_from(number).unwrap()));
        let (source, defines) = definition(&mut random);
        assert_same(&format!("seed {seed}, number {number}"), &source, &defines);
    });
}

/// Machines in the ways of AutoGen's own, which `tests/machines` holds, with each of their names
/// defined and not.
#[test]
fn autogen_makes_the_same_of_machines_in_the_ways_of_its_own() {
    if is_missing() {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    let mut runs = Vec::new();
    for path in &files {
        let source = fs::read_to_string(path).unwrap();
        let asked = |line: &str| {
            line.strip_prefix("#ifdef ").or(line.strip_prefix("#ifndef ")).map(str::to_owned)
        };
        let names: Vec<_> = source.lines().filter_map(asked).collect();
        runs.push((path.display().to_string(), source.clone(), None));
        runs.extend(
            names.into_iter().map(|name| (path.display().to_string(), source.clone(), Some(name))),
        );
    }
    assert!(runs.len() > files.len());
    each(runs.len(), |number| {
        let (name, source, define) = &runs[number];
        assert_same(name, source, &define.as_deref().into_iter().collect::<Vec<_>>());
    });
}

/// Directives of all kinds, each in a machine of three rows: whether the compiler takes them, and
/// if so, that autogen reads them alike.
#[test]
fn a_directive_is_read_as_autogen_reads_it() {
    let missing = is_missing();
    each(DIRECTIVES.len(), |number| {
        let (lines, defines, taken) = DIRECTIVES[number];
        let source = format!(
            "AutoGen Definitions fsm;\nstate = a, b, c;\nevent = e, f;\ntransition =\n\
             {{ tst = init; tev = e; next = a; }}, {{ tst = a; tev = e; next = b; }}, {{ tst = b; tev = e; next = c; }};\n\
             {}",
            lines.replace("@A", A).replace("@B", B)
        );
        let compiled = compile_with(&source, None, defines);
        let said = render(&compiled.diagnostics, "x.def", &source);
        assert_eq!(compiled.definition.is_some(), taken, "{source}\n{said}");
        if taken && !missing {
            assert_same("a directive", &source, defines);
        }
        if !taken {
            assert!(said.contains("help: ") && said.contains('^'), "{source}\n{said}");
        }
    });
}

/// The mistakes planted by `fixtures/*.def`, by what autogen does with them.
#[test]
fn what_autogen_does_with_each_mistake_is_written_down() {
    if is_missing() {
        return;
    }
    let mut wrong = fixtures();
    wrong.retain(|(name, source)| {
        !name.starts_with("served-") && compile(source, None).definition.is_none()
    });
    let outcomes: Vec<_> = wrong.iter().map(|_| std::sync::Mutex::new("")).collect();
    each(wrong.len(), |number| {
        *outcomes[number].lock().unwrap() = match autogen(&wrong[number].1, &[]) {
            Outcome::Table(_) => "writes a table without a word of it",
            Outcome::Refused => "stops with an error",
            Outcome::Hangs => "does not end",
        };
    });
    let mut text =
        "What GNU autogen 5.18.16 does with what the compiler refuses, measured by this test.\n\n"
            .to_owned();
    for ((name, _), outcome) in wrong.iter().zip(&outcomes) {
        let _ = writeln!(text, "{name:<32}{}", outcome.lock().unwrap());
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/autogen.txt");
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::write(&path, &text).unwrap();
        panic!(
            "autogen does otherwise: see `git diff tests/golden/autogen.txt`, then run the test again"
        );
    }
}

/// A generator of numbers that the seed decides (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Some of these, in any order, one at the least.
    fn some(&mut self, count: usize) -> Vec<usize> {
        let mut left: Vec<_> = (0..count).collect();
        let wanted = 1 + self.below(count.min(3));
        (0..wanted).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}

/// What may stand between two words.
fn gap(random: &mut Random) -> &'static str {
    random.pick(&[
        " ",
        " ",
        " ",
        "\n",
        "\t",
        "  /* , ; = { } \" ' */ ",
        " // it's \"odd\" {\n",
        " /**/\n /***/ ",
    ])
}

/// The same name with other signs and another case.
fn spelt(random: &mut Random, name: &str) -> String {
    let sign = |random: &mut Random, sign: char| match sign {
        '-' | '_' | '^' => ['-', '_', '^'][random.below(3)],
        sign if random.one_in(3) && sign.is_ascii_lowercase() => sign.to_ascii_uppercase(),
        sign if random.one_in(3) => sign.to_ascii_lowercase(),
        sign => sign,
    };
    name.chars().map(|one| sign(random, one)).collect()
}

/// A value in one of the ways to write it.
fn value(random: &mut Random, text: &str) -> String {
    let (one, other) = text.split_at(random.below(text.len() + 1));
    match random.below(8) {
        0 => format!("\"{text}\""),
        1 => format!("'{text}'"),
        2 => format!("\"{one}\"{}'{other}'", gap(random)),
        3 => format!("\"{one}\\\n{other}\""),
        4 => format!("'{one}\\\n{other}'"),
        5 => {
            text.bytes().fold("\"".to_owned(), |text, octet| text + &format!("\\x{octet:02x}"))
                + "\""
        }
        6 if text != "*" => {
            format!("\"{one}\" \"{}\"", other.replace('e', "\\145").replace('s', "\\x73"))
        }
        _ if text == "*" => format!("\"{text}\""),
        // A word needs a blank behind it.
        _ => format!("{text} "),
    }
}

/// `name = value, value;`, or the same in two.
fn list(random: &mut Random, text: &mut String, name: &str, values: &[String]) {
    let cut = random.below(values.len());
    for part in [values.get(..cut).unwrap_or_default(), values.get(cut..).unwrap_or_default()] {
        if part.is_empty() {
            continue;
        }
        let name = spelt(random, name);
        let _ = write!(text, "{name}{}={}", gap(random), gap(random));
        for (number, one) in part.iter().enumerate() {
            if number > 0 {
                let _ = write!(text, ",{}", gap(random));
            }
            let _ = write!(text, "{}{}", value(random, one), gap(random));
        }
        *text += ";";
    }
}

/// Names that each random definition defines, by `#define` or on the command line.
const DEFINED: &[&str] = &["ON", "A_B", "x1"];
/// Names that it does not define: the environment does not count, nor does the case of letters.
const UNDEFINED: &[&str] = &["OFF", "on", "A-B", "HOME", "GONE", "x"];

/// The lines that define the names, and those that are left for the command line.
fn defines(random: &mut Random) -> (String, Vec<&'static str>) {
    let mut lines = "#define GONE 1\n#undef GONE\n".to_owned();
    let mut left = Vec::new();
    for name in DEFINED {
        match random.below(5) {
            0 => left.push(*name),
            1 => left.push(
                ["ON=1", "A_B=", "x1=ON"]
                    .into_iter()
                    .find(|define| define.starts_with(name))
                    .unwrap(),
            ),
            2 => lines += &format!("# define {name} {{ \"its value\n"),
            3 => lines += &format!("#define \\\n {name} /* 1 */\n"),
            _ => lines += &format!("#define {name}\n"),
        }
    }
    (lines, left)
}

/// Text that GNU autogen must not read.
fn decoy(random: &mut Random) -> String {
    let row = "transition = { tst = init; tev = \"*\"; next = done; ttype = decoy; };";
    let within = random.pick(&[
        "#ifdef ON\n",
        "# ifndef OFF\n#else\n",
        "#if 1\n#elif 2\n",
        "#if 0\n#else\n",
    ]);
    match random.below(6) {
        0 => row.to_owned(),
        1 => format!("state = decoy;\n{within}{row}\n#endif of it\n"),
        2 => "it's } an \" open /* `one` = (\n #endif\n#error\n#include nothing".to_owned(),
        3 => format!("#\n#{within}#define ON\n#undef A_B\n#endif\n"),
        4 => String::new(),
        _ => format!("{within}#endif // {row}"),
    }
}

/// The text, within directives by which it is read, and beside others by which they are not.
fn read(random: &mut Random, text: &str) -> String {
    let (on, off) = (random.pick(DEFINED), random.pick(UNDEFINED));
    let (one, other) = (decoy(random), decoy(random));
    let gap = gap(random);
    match random.below(9) {
        0 => format!("\n#ifdef {on}\n{text}\n#endif\n"),
        1 => format!("\n#ifndef  {off}\n{text}\n#  else /* not */\n{one}\n#endif {off}\n{gap}"),
        2 => format!("\n#ifdef {off}\n{one}\n#else\n{text}\n#endif\n"),
        3 => format!("\n#\tifndef {on}\n{one}\n#else {on}\n{text}\n#\tendif// {on}\n{gap}"),
        4 => format!("\n#if defined({on})\n{one}\n#else\n{other}\n#endif\n{text}"),
        5 => format!("{text}\n#if 1\n{one}\n#elif 1\n{other}\n#endif\n{gap}"),
        6 => format!("\n#pragma it's nothing\n{text}{gap}\n#assert \"\n"),
        7 => {
            let inner = read(random, text);
            read(random, &inner)
        }
        _ => text.to_owned(),
    }
}

/// A valid definition that uses what the language has, and the names to define for it.
fn definition(random: &mut Random) -> (String, Vec<&'static str>) {
    const STATES: &[&str] = &["idle", "s1", "wait-ack", "half_open", "Closing", "x^9", "a", "z"];
    const EVENTS: &[&str] = &["GO", "stop", "time-out", "E2", "ack", "reset_All"];
    let names = |random: &mut Random, from: &[&str]| {
        let count = 1 + random.below(from.len());
        from.iter().take(count).map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let (states, events) = (names(random, STATES), names(random, EVENTS));
    let (lines, defines) = defines(random);
    let mut text = gap(random).to_owned();
    let lines_first = random.one_in(2);
    if lines_first {
        text = format!("#! a script\n{lines}{}{text}", read(random, ""));
    }
    let header = random.pick(&[
        "AutoGen Definitions fsm ;",
        "autogen\ndefinitions 'fsm';",
        "AUTOGEN DEFINITIONS fsm.tpl;",
    ]);
    text += header;
    text += gap(random);
    if !lines_first {
        text += &format!("\n{lines}");
    }
    let method = random.pick(&[
        "",
        "call",
        "callout",
        "Calls",
        "case",
        "CASE",
        "case-by-case",
        "none",
        "NOTHING",
    ]);
    let kind = random.pick(&[
        "loop",
        "looping",
        "Loops",
        "Step",
        "STEPS",
        "stepping",
        "reent",
        "reentrant",
        "Reenterant",
    ]);
    let is_table = method.is_empty() || method.to_ascii_lowercase().starts_with("no");
    for (name, value) in [("method", method), ("type", kind)] {
        let mut part = String::new();
        if value.is_empty() && random.one_in(2) {
            part += random.pick(&["method;", "method = '';", "method=\"\" ;"]);
        } else if !value.is_empty() && (name == "method" || !is_table || random.one_in(2)) {
            list(random, &mut part, name, &[value.to_owned()]);
        }
        text += &read(random, &part);
    }
    if random.one_in(2) {
        let prefix = random.pick(&["p", "my-machine", "tcp"]);
        list(random, &mut text, "prefix", &[prefix.to_owned()]);
    }
    if random.one_in(3) {
        list(random, &mut text, "cookie", &["int_x".to_owned()]);
    }
    for (name, values) in [("state", &states), ("event", &events)] {
        let mut part = String::new();
        list(random, &mut part, name, values);
        text += &read(random, &part);
    }
    for event in &events {
        if random.one_in(4) {
            let _ = write!(
                text,
                "{} = \"what {event} %s is, 'shown'\";{}",
                spelt(random, event),
                gap(random)
            );
        }
    }
    rows(random, &mut text, &states, &events);
    if random.one_in(2) {
        // It holds, since nothing matches it, whatever the machine.
        let _ = writeln!(
            text,
            "never = {{ says = \"x\"; path = '[^ {} ]'; note; }};",
            events.join(" ")
        );
    }
    if random.one_in(3) {
        let _ = write!(text, "remark = {{ a = {{ b; c = d , 'e' ; }} ; }}, word ;{}", gap(random));
    }
    (text + "\n", defines)
}

fn rows(random: &mut Random, text: &mut String, states: &[String], events: &[String]) {
    // The rows without "*" come last: they are the exceptions. Each of their cells is set once.
    let (stars, plain) = (random.below(4), 1 + random.below(6));
    let mut taken = std::collections::BTreeSet::new();
    let from: Vec<_> = std::iter::once("init".to_owned()).chain(states.iter().cloned()).collect();
    let mut rows = Vec::new();
    for number in 0..stars + plain {
        let (tst, tev) = if number < stars {
            let (state, event) = (
                from[random.below(from.len())].clone(),
                events[random.below(events.len())].clone(),
            );
            if random.one_in(2) {
                (vec!["*".to_owned()], vec![event])
            } else {
                (vec![state], vec!["*".to_owned()])
            }
        } else {
            let (some_states, some_events) = (random.some(from.len()), random.some(events.len()));
            let cells: Vec<_> = some_states
                .iter()
                .flat_map(|state| some_events.iter().map(move |event| (*state, *event)))
                .collect();
            if cells.iter().any(|cell| taken.contains(cell)) {
                continue;
            }
            taken.extend(cells);
            let names = |all: &[String], some: &[usize]| {
                some.iter().map(|one| all[*one].clone()).collect::<Vec<_>>()
            };
            (names(&from, &some_states), names(events, &some_events))
        };
        let mut row = "{".to_owned() + gap(random);
        let spell = |random: &mut Random, names: &[String]| {
            names.iter().map(|name| spelt(random, name)).collect::<Vec<_>>()
        };
        let (tst, tev) = (spell(random, &tst), spell(random, &tev));
        list(random, &mut row, "tst", &tst);
        if random.one_in(3) {
            list(random, &mut row, "note", &["anything".to_owned()]);
        }
        list(random, &mut row, "tev", &tev);
        // Some take back what a row with "*" has set; not all of them find such a cell.
        let takes_back = random.one_in(5);
        if takes_back {
            let invalid = random.pick(&["invalid", "Invalid", "INVALID"]);
            let part = if random.one_in(2) { format!("next = {invalid} ;") } else { String::new() };
            row += &read(random, &part);
            list(random, &mut row, "ttype", &[invalid.to_owned()]);
        } else if !random.one_in(3) {
            let next = if random.one_in(4) {
                "done".to_owned()
            } else {
                from[random.below(from.len())].clone()
            };
            let next = spelt(random, &next);
            list(random, &mut row, "next", &[next]);
        }
        if !takes_back && random.one_in(2) {
            let action = random.pick(&["noop", "NoOp", "answer", "Do_It", "x2"]);
            let mut part = String::new();
            list(random, &mut part, "ttype", &[action.to_owned()]);
            row += &read(random, &part);
        }
        if !takes_back && random.one_in(3) {
            row += "reply = '250 2.0.0 fine';";
        }
        rows.push(row + "}");
    }
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + random.below(rest.len()));
        let name = spelt(random, "transition");
        let comma = ",".to_owned() + gap(random);
        let part =
            format!("{name}{}= {}{};{}", gap(random), now.join(&comma), gap(random), gap(random));
        *text += &read(random, &part);
        rest = later;
    }
}

/// The C that autogen writes, without the lines that tell when.
fn c_of(source: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.def"), source).unwrap();
    let status = run(folder.path(), &[]);
    assert!(status.success(), "{status}\n{source}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let text = read("x-fsm.c") + &read("x-fsm.h");
    text.lines().filter(|line| !line.contains("AutoGen-ed")).map(str::to_owned).collect()
}

/// Faults change no cell, and so not an octet of the C: each ready file, and the nine of the issue.
#[test]
fn autogen_writes_the_same_c_with_and_without_faults() {
    if is_missing() {
        return;
    }
    let page = crate::peer::PAGE;
    let without = c_of(page);
    assert!(without.len() > 100);
    let entries = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/faults")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let ready = paths.filter(|path| path.extension().is_some_and(|end| end == "def"));
    let mut all: Vec<String> = ready.map(|path| fs::read_to_string(path).unwrap()).collect();
    all.push(super::faults::NINE.to_owned());
    let all = all.join("\n");
    assert_eq!(c_of(&format!("{page}{all}")), without);
    // A second header is an error to both.
    let twice = format!("{page}AutoGen Definitions fsm;\n{all}");
    assert!(compile(&twice, None).definition.is_none());
}
