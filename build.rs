//! Compiles `smtp-states.def` into the table that the server includes.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use sha2::{Digest as _, Sha256};

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the command line uses more of the compiler than the build does"
)]
#[path = "src/autofsm/mod.rs"]
mod autofsm;
#[allow(dead_code, unreachable_pub, reason = "the build needs the vocabulary, not the enum")]
#[path = "src/smtp/vocabulary.rs"]
mod vocabulary;

const SOURCE: &str = "smtp-states.def";

fn main() -> ExitCode {
    for watched in [SOURCE, "src/autofsm", "src/smtp/vocabulary.rs", "build.rs"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    println!("cargo::rustc-env=POSTMAN_VERSION={}", version());
    let source = match fs::read_to_string(SOURCE) {
        Ok(source) => source,
        Err(error) => {
            println!("cargo::error=cannot read {SOURCE}: {error}");
            return ExitCode::SUCCESS;
        }
    };
    let mut compiled = autofsm::compile(&source, Some(&vocabulary::VOCABULARY));
    let faults = compiled.definition.as_ref().and_then(autofsm::refused_in_a_build);
    compiled.definition = compiled.definition.filter(|_| faults.is_none());
    compiled.diagnostics.extend(faults);
    let is_error = |found: &autofsm::Diagnostic| found.severity == autofsm::Severity::Error;
    let (errors, warnings): (Vec<_>, Vec<_>) = compiled.diagnostics.into_iter().partition(is_error);
    for (kind, found) in [("error", errors), ("warning", warnings)] {
        for line in autofsm::render(&found, SOURCE, &source).lines() {
            // Cargo itself says whether it is an error or a warning.
            println!("cargo::{kind}={}", line.replacen(&format!(": {kind}: "), ": ", 1));
        }
    }
    let Some(definition) = compiled.definition else {
        return ExitCode::SUCCESS;
    };
    let text = autofsm::rust(&definition, &vocabulary::VOCABULARY, SOURCE, &source);
    // The picture is in the docs of the module that includes the table.
    let picture = autofsm::svg(&definition, &autofsm::Marks::default()).unwrap_or_default();
    // By its digest an operator tells which definition a server runs.
    let digest = Sha256::digest(source.as_bytes());
    let digest = digest.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"));
    println!("cargo::rustc-env=POSTMAN_DEFINITION_SHA256={digest}");
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    for (name, text) in [("smtp_states.rs", text), ("smtp_states.svg", picture)] {
        if let Err(error) = fs::write(Path::new(&folder).join(name), text) {
            println!("cargo::error=cannot write {name}: {error}");
        }
    }
    ExitCode::SUCCESS
}

/// The version, and the commit if this is a checkout of the project.
fn version() -> String {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    commit().map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"))
}

/// The commit and its day. `None` without git, and in a folder that only lies in some repository,
/// as an unpacked archive may.
fn commit() -> Option<String> {
    let folder = env::var_os("CARGO_MANIFEST_DIR")?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // A hook of git's that builds would name another repository.
        let git = git
            .arg("-C")
            .arg(&folder)
            .args(arguments)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE");
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
    };
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(&folder).ok()? {
        return None;
    }
    // HEAD changes with a switch of branches, its log with each commit. A file that is not there
    // would have the build run each time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = Path::new(&folder).join(git(&["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["show", "--no-patch", "--no-show-signature", "--format=%h %cs", "--abbrev=12", "HEAD"])
}
