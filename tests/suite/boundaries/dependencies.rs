//! What the program is built from: each dependency with its reason, and the same versions everywhere.

use std::collections::BTreeSet;

/// The names of a table of Cargo.toml.
fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != format!("[{table}]")).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn the_list_of_dependencies_is_whole_and_each_has_its_reason() {
    let manifest = include_str!("../../../Cargo.toml");
    let mut document = include_str!("../../../docs/dependencies.md").lines();
    for (table, heading) in [
        ("dependencies", "## In the program"),
        ("build-dependencies", "## In the build"),
        ("dev-dependencies", "## In the tests"),
    ] {
        document.find(|line| *line == heading).unwrap();
        let rows = document
            .by_ref()
            .skip_while(|line| !line.starts_with("| `"))
            .take_while(|line| line.starts_with("| `"));
        let told: Vec<_> = rows
            .map(|row| {
                let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
                assert!(
                    cells.last().is_some_and(|reason| reason.trim().len() > 20),
                    "no reason: {row}"
                );
                cells[0].trim().trim_matches('`').to_owned()
            })
            .collect();
        assert_eq!(
            told,
            dependencies(manifest, table),
            "[{table}] and docs/dependencies.md differ"
        );
    }
}

/// hyper brings tokio's crate. What would start a runtime of it is not even compiled.
#[test]
fn no_second_runtime_is_built() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .args(["--format", "{lib} {f}"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let tokio: Vec<_> = tree.lines().filter(|line| line.starts_with("tokio ")).collect();
    assert!(!tokio.is_empty(), "who brings it has changed: {tree}");
    for line in tokio {
        let features: Vec<_> = line["tokio ".len()..].trim_end_matches(" (*)").split(',').collect();
        let starts = |feature: &&str| feature.starts_with("rt") || *feature == "net";
        assert!(!features.iter().any(starts), "{line}");
    }
    assert!(!tree.lines().any(|line| line.starts_with("async_std ")), "{tree}");
}

/// The fuzzers are a package of their own, which cargo-fuzz builds as its own lock says, or
/// silently otherwise.
#[test]
fn the_fuzzers_are_built_with_the_versions_that_the_program_is_built_with() {
    let versions = |lock: &str| -> BTreeSet<String> {
        let packages = lock.split("[[package]]\n").skip(1);
        packages.map(|package| package.lines().take(2).collect::<Vec<_>>().join(", ")).collect()
    };
    let [own, fuzz] =
        [include_str!("../../../Cargo.lock"), include_str!("../../../fuzz/Cargo.lock")]
            .map(versions);
    for name in dependencies(include_str!("../../../Cargo.toml"), "dependencies") {
        let wanted = own.iter().find(|package| package.starts_with(&format!("name = \"{name}\",")));
        let help =
            "`cp Cargo.lock fuzz/ && cargo update --workspace --manifest-path fuzz/Cargo.toml`";
        assert!(
            fuzz.contains(wanted.unwrap()),
            "fuzz/Cargo.lock lacks {wanted:?}; {help} writes it anew"
        );
    }
}

/// The rest of the rules for dependencies is deny.toml's, which cargo-deny keeps; it lets a folder
/// pass where a version stands beside its path.
#[test]
fn no_dependency_is_a_folder_of_somebody_s_machine() {
    let lock = include_str!("../../../Cargo.lock");
    let packages = lock.split("[[package]]\n").skip(1);
    let own: Vec<_> = packages.filter(|package| !package.contains("\nsource = ")).collect();
    assert!(own.len() == 1 && own[0].starts_with("name = \"postman\"\n"), "{own:?}");
}
