//! What the documents name is there: commands, tests, benches and files.

use std::fs;
use std::path::Path;

use super::{RULES, files};

/// The tests of the project as cargo names them, more or less: a file's path and a function.
fn tests(folder: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join(folder), &mut paths);
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let module = path.strip_prefix(root.join(folder)).unwrap().with_extension("");
        let module = module.display().to_string().replace('/', "::").replace("::mod", "");
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("#[test]") {
            let name = after
                .split_once("fn ")
                .and_then(|(_, name)| name.split_once('('))
                .map_or("", |(name, _)| name);
            found.push(format!("{module}::{name}"));
            rest = after;
        }
    }
    found
}

/// What stands between backticks in a document, line by line.
fn code_of(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2).flat_map(str::lines).map(str::trim)
}

/// What a document says can be run, and cannot be; and how many commands it names.
fn wrong_commands(document: &str, tests: &[String]) -> (Vec<String>, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = include_str!("../../../Cargo.toml");
    let (mut wrong, mut named) = (Vec::new(), 0);
    for line in code_of(document) {
        let mut words =
            line.split_whitespace().skip_while(|word| ["python3", "bash", "nice"].contains(word));
        let is_there = match [words.next(), words.next(), words.next()] {
            [Some("cargo"), Some("test"), Some(filter)] if !filter.starts_with(['#', '-']) => {
                tests.iter().any(|test| test.contains(filter))
            }
            [Some("cargo"), Some("bench"), Some("--bench")] => words.next().is_some_and(|bench| {
                manifest.contains(&format!("[[bench]]\nname = \"{bench}\"\n"))
            }),
            [Some(path), ..]
                if ["tests/", "fuzz/", "bench/", "dist/", ".ci/"]
                    .iter()
                    .any(|room| path.starts_with(room)) =>
            {
                root.join(path.trim_end_matches(',')).exists()
            }
            _ => continue,
        };
        named += 1;
        if !is_there {
            wrong.push(line.to_owned());
        }
    }
    (wrong, named)
}

#[test]
fn each_command_that_the_documents_name_is_there_and_runs_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known = [tests("src"), tests("tests/suite")].concat();
    let documents = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents =
        documents.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut named_in_all = 0;
    for path in documents.chain([root.join("README.md")]) {
        let (wrong, named) = wrong_commands(&fs::read_to_string(&path).unwrap(), &known);
        assert!(wrong.is_empty(), "{} names what is not there: {wrong:?}", path.display());
        named_in_all += named;
    }
    assert!(named_in_all > 70, "{named_in_all}");
    let planted = "`cargo test no_such_test`, `tests/none --seconds 1`, `cargo bench --bench none`\n```sh\nfuzz/none 10\n```\n";
    assert_eq!(wrong_commands(planted, &known).0.len(), 4);
}

#[test]
fn the_page_about_the_architecture_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let names = page.split('`').skip(1).step_by(2).filter(|name| {
        name.contains('/') || std::path::Path::new(name).extension().is_some_and(|end| end == "rs")
    });
    let names: Vec<&str> = names.filter(|name| !name.contains(' ')).collect();
    assert!(names.len() > 30);
    for name in names {
        assert!(
            root.join(name).exists(),
            "docs/architecture.md names `{name}`, which is not there"
        );
    }
    for rule in RULES.iter().take(5) {
        assert!(page.contains(rule.why), "docs/architecture.md does not have: {}", rule.why);
    }
}

#[test]
fn the_map_of_the_store_names_each_of_its_files() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/maildir");
    let map = fs::read_to_string(room.join("mod.rs")).unwrap();
    let rows = map.lines().filter(|line| line.starts_with("//! | `"));
    let mut on_the_map: Vec<&str> =
        rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    // `tmp` is a folder of a mailbox.
    on_the_map.retain(|name| name.contains('.'));
    let entries = fs::read_dir(room).unwrap().map(|entry| entry.unwrap().file_name());
    let mut there: Vec<String> = entries.filter_map(|name| name.into_string().ok()).collect();
    // Folders have files beside them; the map itself, and what is for tests only, is not on it.
    let is_on_no_map = |name: &str| matches!(name, "mod.rs" | "tests.rs" | "gate.rs");
    there.retain(|name| name.contains('.') && !is_on_no_map(name));
    on_the_map.sort_unstable();
    there.sort_unstable();
    assert_eq!(on_the_map, there);
}

#[test]
fn the_index_has_each_page_and_each_page_says_whom_it_is_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for page in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        if page.extension().is_none_or(|extension| extension != "md") || name == "README.md" {
            continue;
        }
        assert!(index.contains(&format!("]({name})")), "docs/README.md lacks {name}");
        let text = fs::read_to_string(&page).unwrap();
        let begin: Vec<_> = text.lines().take(4).collect();
        assert!(begin.join(" ").contains("For those who "), "docs/{name} says not whom it is for");
    }
}

/// Where the documents point to one another, a page and a heading are there.
#[test]
fn each_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut links = 0;
    for page in pages.chain([root.join("README.md"), root.join("CONTRIBUTING.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains([' ', '`', '\n']) {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{} links to {link}", page.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&target).unwrap();
                assert!(
                    headings(&there).any(|known| known == heading),
                    "{}: {link}",
                    page.display()
                );
            }
            links += 1;
        }
    }
    assert!(links > 80, "{links}");
}

/// The names of a page's headings as links have them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter(|line| line.starts_with('#'));
    titles.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.replace(|sign: char| !sign.is_alphanumeric() && sign != '-' && sign != '_', "")
    })
}
