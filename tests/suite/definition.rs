//! docs/definition.md: each example is run, and what is printed is written into it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use postman::autofsm::{Severity, compile, compile_faults, render};
use postman::smtp::faults::RULES;

use crate::conformance::QUICK;
use crate::rig::Server;

const DOC: &str = "docs/definition.md";
const FAULTS: &str = "docs/faults.md";
const CONFORMANCE: &str = "docs/conformance.md";
/// Where the documents have a server.
const THERE: &str = "127.0.0.1:2525";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command of a `console` block as a shell does; what it printed, with a status that is not
/// 0.
fn run(command: &str, folder: &Path) -> String {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .current_dir(folder)
        .env("PATH", path)
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => text,
        code => text + &format!("(exit status {})\n", code.unwrap()),
    }
}

/// Applies the lines of a `diff` block to a file, where they must stand exactly once.
fn edit(path: &Path, block: &[&str]) {
    let side = |other: char| -> String {
        let kept = block.iter().filter(|line| !line.starts_with(other));
        kept.flat_map(|line| [&line[1..], "\n"]).collect()
    };
    let (before, after, text) = (side('+'), side('-'), fs::read_to_string(path).unwrap());
    assert_eq!(
        text.matches(&before).count(),
        1,
        "{} does not have once:\n{before}",
        path.display()
    );
    fs::write(path, text.replace(&before, &after)).unwrap();
}

#[test]
fn each_example_of_the_definition_s_manual_does_what_it_says() {
    assert!(examples(DOC) > 15);
}

#[test]
fn each_example_of_the_page_about_faults_does_what_it_says() {
    assert!(examples(FAULTS) >= 7);
}

#[test]
fn each_example_of_the_page_about_other_servers_does_what_it_says() {
    let server = Server::start(QUICK);
    assert!(examples_with(CONFORMANCE, Some(server.address)) >= 5);
}

/// Runs the examples of a document, and returns how many there are.
fn examples(doc: &str) -> usize {
    examples_with(doc, None)
}

/// The same, with a server where the document has one at [`THERE`].
fn examples_with(doc: &str, server: Option<SocketAddr>) -> usize {
    let here = server.map_or_else(|| THERE.to_owned(), |address| address.to_string());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_postman"), folder.join("bin/postman")).unwrap();
    fs::copy(root().join("tests/smtp-states.def"), folder.join("smtp-states.def")).unwrap();
    let before = fs::read_to_string(root().join(doc)).unwrap();
    for (name, source) in fault_files(&before) {
        fs::write(folder.join(name), source).unwrap();
    }
    let (mut text, mut lines, mut examples) = (String::new(), before.lines(), 0);
    while let Some(line) = lines.next() {
        text += &format!("{line}\n");
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let words: Vec<&str> = kind.split(' ').collect();
        examples += 1;
        match words.as_slice() {
            ["def", name, rest @ ..] => {
                let source = block.join("\n") + "\n";
                fs::write(folder.join(name), &source).unwrap();
                let found = compile(&source, None);
                let said = render(&found.diagnostics, name, &source);
                let warned = found.diagnostics.iter().any(|one| one.severity == Severity::Warning);
                assert!(found.definition.is_some() && warned == (rest == ["warned"]), "{said}");
            }
            ["diff", name] => edit(&folder.join(name), &block),
            ["console"] => {
                for command in block.iter().filter_map(|line| line.strip_prefix("$ ")) {
                    let printed = run(&command.replace(THERE, &here), folder);
                    text += &format!("$ {command}\n{}", printed.replace(&here, THERE));
                }
                text += "```\n";
                continue;
            }
            ["faults", name] => {
                let source = block.join("\n") + "\n";
                let page = compile(crate::peer::PAGE, Some(&RULES)).definition.unwrap();
                let found = compile_faults(&source, &page, &RULES);
                assert_eq!(render(&found.diagnostics, name, &source), "");
            }
            ["smtp" | "expect", name] => {
                fs::write(folder.join(name), block.join("\n") + "\n").unwrap();
            }
            ["sh" | "text"] | ["faults-wrong", _] => {}
            _ => panic!("no block is called {kind}"),
        }
        text += &format!("{}\n```\n", block.join("\n"));
    }
    if text != before {
        fs::write(root().join(doc), &text).unwrap();
        panic!(
            "an example prints something else now: see `git diff {doc}`, then run the test again"
        );
    }
    examples
}

/// The files of faults that a document shows: a command before one may use it.
fn fault_files(document: &str) -> Vec<(&str, &str)> {
    let blocks = document.split("\n```faults").skip(1);
    let blocks = blocks.filter_map(|block| block.split("\n```").next()?.split_once('\n'));
    blocks.filter_map(|(name, source)| Some((name.split_once(' ')?.1, source))).collect()
}

#[test]
fn what_autogen_lets_pass_is_found_here() {
    let required = std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_some();
    let autogen = Command::new("autogen").arg("--version").output().is_ok();
    assert!(autogen || !required, "autogen is missing");
    if !autogen {
        eprintln!("SKIPPED: autogen is not installed, so nothing was compared with it");
    }
    let doc = fs::read_to_string(root().join(DOC)).unwrap();
    let base = doc.split("```def base.def warned\n").nth(1).unwrap().split("```").next().unwrap();
    let rows = doc.split("| added | AutoFSM | Postman |\n").nth(1).unwrap().lines().skip(1);
    let rows: Vec<Vec<&str>> = rows
        .take_while(|row| row.starts_with('|'))
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 15);
    for row in rows {
        let [added, _, expected] = row.as_slice() else { panic!("{row:?}") };
        let source = format!("{base}{}\n", added.trim_matches('`'));
        let found = compile(&source, None).diagnostics;
        assert!(found.iter().any(|one| one.message.starts_with(expected)), "{added}: {found:?}");
        if autogen {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("x.def"), source).unwrap();
            let output = Command::new("timeout")
                .args(["60", "autogen", "x.def"])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && said.is_empty(),
                "autogen has a word about {added}: {said}"
            );
            assert!(folder.path().join("x-fsm.c").exists(), "{added}");
        }
    }
}
