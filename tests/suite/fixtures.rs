//! Each mistake that the compiler knows, as a file with what is said of it beside it.
//!
//! `tests/fixtures/NAME.def` is compiled, as a definition to be served where the name begins with
//! `served-`, and the findings and the table must be what `NAME.txt` holds. What differs is
//! written there, and the test fails: `git diff` then shows what an edit did.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use postman::autofsm::{
    Definition, Marks, compile, compile_faults, refused_in_a_build, render, table,
};
use postman::smtp::faults::RULES;
use postman::smtp::vocabulary::VOCABULARY;

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// The files of a folder with this ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files.sort();
    files
}

/// The fixtures: their names and their texts.
pub(super) fn fixtures() -> Vec<(String, String)> {
    let files = files(&folder("tests/fixtures"), "def").into_iter();
    let fixtures: Vec<_> = files
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    assert!(fixtures.len() > 80, "where are the fixtures?");
    fixtures
}

fn rendered(name: &str, source: &str) -> String {
    let compiled = compile(source, name.starts_with("served-").then_some(&VOCABULARY));
    let found = render(&compiled.diagnostics, &format!("{name}.def"), source);
    let table =
        |definition: &Definition| table(definition, &Marks::of(definition, &compiled.diagnostics));
    found + &compiled.definition.as_ref().or(compiled.refused.as_ref()).map_or(String::new(), table)
}

/// What is said of a file of faults, and what is shown of it, for the tests' own page.
fn rendered_faults(name: &str, source: &str) -> String {
    static PAGE: LazyLock<Definition> =
        LazyLock::new(|| compile(crate::peer::PAGE, Some(&RULES)).definition.unwrap());
    let compiled = compile_faults(source, &PAGE, &RULES);
    let faults = compiled.faults.unwrap_or_default();
    let shown = faults.iter().map(|fault| {
        format!("fault  {}: {}{}\n", fault.shown(), fault.dialogue(&PAGE), fault.condition())
    });
    render(&compiled.diagnostics, &format!("{name}.def"), source) + &shown.collect::<String>()
}

/// The fixtures of faults, which stand alone: their names and their texts.
fn fault_fixtures() -> Vec<(String, String)> {
    let files = files(&folder("tests/fixtures/faults"), "def").into_iter();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Files of faults that are too big to be a fixture.
fn big_faults() -> [String; 6] {
    let fault = |path: &str, more: &str| format!("{{ says = 'x'; path = '{path}'; {more} }}");
    let list = |one: String, times: usize| format!("fault = {};", vec![one; times].join(", "));
    let octets = format!("octets = \"{}\";", "x".repeat(9_000));
    [
        list(fault(".* MAIL", "first = 1; end = close;"), 201),
        list(fault(".* MAIL{1000} .*", "end = close;"), 20),
        list(fault(".* (NOOP|RSET)? .{12} MAIL .{12} RCPT", "end = close;"), 12),
        list(fault(".* MAIL", &octets), 1),
        list(fault(".* MAIL", &format!("when = '{}'; end = close;", "x".repeat(200_000))), 1),
        " ".repeat((1 << 20) + 1),
    ]
}

/// Writes what is rendered otherwise than the file beside a fixture has it.
fn check(at: &str, fixtures: Vec<(String, String)>, render: impl Fn(&str, &str) -> String) {
    let mut changed = Vec::new();
    for (name, source) in fixtures {
        let rendered = render(&name, &source);
        let beside = folder(at).join(format!("{name}.txt"));
        if fs::read_to_string(&beside).ok().as_deref() != Some(&rendered) {
            fs::write(&beside, rendered).unwrap();
            changed.push(name);
        }
    }
    assert!(
        changed.is_empty(),
        "changed: {changed:?}; see `git diff tests/fixtures`, then run the test again"
    );
}

#[test]
fn each_fixture_of_faults_is_rendered_as_it_should_be() {
    check("tests/fixtures/faults", fault_fixtures(), rendered_faults);
}

#[test]
fn each_fixture_is_rendered_as_it_should_be() {
    check("tests/fixtures", fixtures(), rendered);
}

/// Those that are valid with a warning.
const VALID: &[&str] = &[
    "warning-comment-overruns",
    "warning-directives",
    "warning-if",
    "warning-not-a-directive",
    "warning-takes-nothing-back",
    "warning-first-letters",
    "warning-unreached-unused",
];

#[test]
fn a_fixture_is_valid_where_its_name_says_so_and_nowhere_else() {
    for (name, source) in fixtures() {
        let valid =
            name.starts_with("valid-") || name == "served-fine" || VALID.contains(&name.as_str());
        let compiled = compile(&source, name.starts_with("served-").then_some(&VOCABULARY));
        assert_eq!(compiled.definition.is_some(), valid, "{name}\n{}", rendered(&name, &source));
        assert!(
            !valid || compiled.diagnostics.is_empty() || name.starts_with("warning-"),
            "{name}"
        );
    }
}

/// The text literals of a Rust source, tests and comments apart.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let line = &line.replace("'\"'", "").replace("\\\"", "");
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once('"') {
            let mut text = String::new();
            let mut signs = after.char_indices();
            let mut end = after.len();
            while let Some((place, sign)) = signs.next() {
                match sign {
                    '"' => {
                        end = place + 1;
                        break;
                    }
                    '\\' => text.extend(signs.next().map(|(_, sign)| sign)),
                    sign => text.push(sign),
                }
            }
            found.push(text);
            rest = after.get(end..).unwrap_or_default();
        }
    }
    found
}

/// Whether a text holds the pieces of a format in their order, on one line.
fn says(text: &str, format: &str) -> bool {
    let escaped = format.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut pieces = Vec::new();
    let mut rest = escaped.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        pieces.push(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    pieces.push(rest);
    let pieces: Vec<_> =
        pieces.iter().map(|piece| piece.replace('\u{1}', "{").replace('\u{2}', "}")).collect();
    text.lines().any(|line| {
        let mut rest = line;
        pieces.iter().all(|piece| {
            let found = rest.find(piece.as_str());
            rest = found.map_or("", |place| &rest[place + piece.len()..]);
            found.is_some()
        })
    })
}

/// The compiler's sentences, wherever they stand in its source, are all shown by some fixture, or
/// by the files that are too big to be one.
#[test]
fn each_sentence_of_the_compiler_is_shown_by_a_fixture() {
    let mut shown: String =
        fixtures().iter().map(|(name, source)| rendered(name, source)).collect();
    for (name, source) in super::compiler::big_files() {
        shown += &rendered(name, &source);
    }
    for (name, source) in fault_fixtures() {
        shown += &rendered_faults(&name, &source);
    }
    let built =
        format!("{}{}", crate::peer::PAGE, "fault = { says = 'x'; path = ''; wait = '1s'; };");
    let built = compile(&built, Some(&RULES)).definition.unwrap();
    shown += &render(&[refused_in_a_build(&built).unwrap()], "x.def", "");
    for source in big_faults() {
        shown += &rendered_faults("big", &source);
    }
    shown = shown.replace('"', "");
    let mut sentences = 0;
    let sources = ["causes.rs", "slips.rs", "served.rs", "keywords.rs", "fitting.rs", "mod.rs"];
    let sources = sources.map(|name| folder("src/autofsm").join(name));
    let rooms = ["lexer", "directives", "parser", "resolve", "faults"];
    let rooms = rooms.iter().flat_map(|name| files(&folder("src/autofsm").join(name), "rs"));
    for path in sources.into_iter().chain(rooms) {
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for literal in literals(code) {
            // The vocabulary's phrases are no sentences.
            if literal.matches(' ').count() >= 2 && literal != "an open message" {
                sentences += 1;
                assert!(says(&shown, &literal), "{}: no fixture says `{literal}`", path.display());
            }
        }
    }
    assert!(
        sentences > 90,
        "{sentences} sentences were found: is this still how they are written?"
    );
}

/// The pieces of STYLE.md's example, in its places.
#[test]
fn a_mistake_is_shown_by_place_culprit_caret_and_help() {
    let (name, source) = fixtures().into_iter().find(|(name, _)| name == "close-name").unwrap();
    let expected = "\
close-name.def:5:31: error: no event is called `RCTP`
   5 |   { tst = transaction;  tev = RCTP;  next = transaction; ttype = add_recipient; },
     |                               ^^^^
   help: did you mean `RCPT`?
";
    assert_eq!(rendered(&name, &source), expected);
}
