//! Compiles `smtp-states.def` into the table that the server includes.

use std::path::Path;
use std::process::ExitCode;
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
    let source = match fs::read_to_string(SOURCE) {
        Ok(source) => source,
        Err(error) => {
            println!("cargo::error=cannot read {SOURCE}: {error}");
            return ExitCode::SUCCESS;
        }
    };
    let compiled = autofsm::compile(&source, Some(&vocabulary::VOCABULARY));
    let is_error = |found: &autofsm::Diagnostic| found.severity == autofsm::Severity::Error;
    let (errors, warnings): (Vec<_>, Vec<_>) = compiled.diagnostics.into_iter().partition(is_error);
    for (kind, found) in [("error", errors), ("warning", warnings)] {
        for line in autofsm::render(&found, SOURCE, &source).lines() {
            // Cargo says which it is.
            println!("cargo::{kind}={}", line.replacen(&format!(": {kind}: "), ": ", 1));
        }
    }
    let Some(definition) = compiled.definition else {
        return ExitCode::SUCCESS;
    };
    let text = autofsm::rust(&definition, &vocabulary::VOCABULARY, SOURCE);
    // The picture stands in the docs of the module that includes the table.
    let picture = autofsm::svg(&definition).unwrap_or_default();
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
