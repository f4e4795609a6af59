//! A definition to be served: the built-in one, or a file's, checked just so.

use std::io::{self, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::End;
use super::fsm::file::read;
use crate::autofsm::{self, Compilation, Definition};
use crate::smtp::machine::{BUILT, Machine};
use crate::smtp::vocabulary::VOCABULARY;

/// The text that the build compiled.
pub(super) const BUILT_SOURCE: &str = include_str!("../../smtp-states.def");
/// Its SHA-256, as the build computed it.
const BUILT_DIGEST: &str = env!("POSTMAN_DEFINITION_SHA256");

/// A definition that this server can act by.
pub(super) struct States {
    /// Where it comes from.
    pub name: String,
    pub source: String,
    pub definition: Definition,
    pub machine: &'static Machine,
    /// SHA-256 of the text, in hexadecimal.
    pub digest: String,
    pub built_in: bool,
}

impl States {
    /// The definition that is served, where no name is defined.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, End> {
        Self::load_with(path, &[])
    }

    /// Reads a definition and proves that it can be served; without a path it is the built-in one.
    /// These names are defined to its `#ifdef`; to the built-in one none is.
    /// What is wrong or doubtful is said on standard error.
    pub(super) fn load_with(path: Option<&Path>, defines: &[&str]) -> Result<Self, End> {
        let defines = path.map_or(&[][..], |_| defines);
        let (name, source) = match path {
            None => (BUILT.source.to_owned(), BUILT_SOURCE.to_owned()),
            Some(path) => (path.display().to_string(), read(path)?),
        };
        let Compilation { definition, diagnostics, .. } =
            autofsm::compile_with(&source, Some(&VOCABULARY), defines);
        if path.is_some() {
            let _ =
                io::stderr().write_all(autofsm::render(&diagnostics, &name, &source).as_bytes());
        }
        let definition = definition.ok_or(End::Findings)?;
        let machine = match path {
            None => &BUILT,
            Some(_) => Machine::load(&name, &definition).ok_or(End::Findings)?,
        };
        let digest = if path.is_none() { BUILT_DIGEST.to_owned() } else { digest(&source) };
        Ok(Self { name, source, definition, machine, digest, built_in: path.is_none() })
    }

    /// The name and the begin of the digest, as a person compares them.
    pub(super) fn about(&self) -> String {
        let kind = if self.built_in { ", built in" } else { "" };
        format!("{}{kind}, sha256 {}", self.name, self.digest.get(..12).unwrap_or_default())
    }
}

fn digest(source: &str) -> String {
    let octets = Sha256::digest(source.as_bytes());
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_and_the_loader_compute_the_same_digest() {
        assert_eq!(digest(BUILT_SOURCE), BUILT_DIGEST);
        // FIPS 180-4's own example.
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
