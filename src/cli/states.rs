//! A definition to be served: the built-in one, or a file's, checked just so.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::End;
use super::fsm::file::read;
use crate::autofsm::{
    self, Compilation, Definition, Diagnostic, Fault, FaultCompilation, Marks, Move, Severity,
    same_name,
};
use crate::config::Config;
use crate::dialogue::Peer;
use crate::smtp::faults::{Faults, RULES};
use crate::smtp::loaded::BYTES_MAX;
use crate::smtp::machine::{BUILT, Machine};
use crate::smtp::session::{Settings, Standing};

/// The text that the build compiled.
pub(super) const BUILT_SOURCE: &str = include_str!("../../smtp-states.def");
/// Its SHA-256, as the build computed it.
const BUILT_DIGEST: &str = env!("POSTMAN_DEFINITION_SHA256");

/// A definition that the server's session can act by.
pub(super) struct States {
    /// Where it comes from.
    pub name: String,
    pub source: String,
    pub definition: Arc<Definition>,
    pub machine: &'static Machine,
    /// SHA-256 of the text, in hexadecimal.
    pub digest: String,
    pub built_in: bool,
    /// What is wrong with one that was loaded to be tried.
    errors: Vec<Diagnostic>,
    /// Its faults, or those of a file of their own, ready to be met.
    pub faults: Option<Arc<Faults>>,
    /// The file of the faults, if it has its own.
    faults_text: Option<FaultsText>,
}

/// A file of faults: its name and its text.
pub(super) struct FaultsText {
    pub name: String,
    pub source: String,
}

impl FaultsText {
    /// Reads a file of faults, compiles it for a definition that has none of its own, and puts its
    /// faults there. What is wrong or doubtful is said on standard error.
    pub(super) fn load(path: &Path, definition: &mut Definition) -> Result<Self, End> {
        aloud(|said| Self::read(path, definition, said))
    }

    /// The same; what is wrong or doubtful is added to what is said.
    fn read(path: &Path, definition: &mut Definition, said: &mut String) -> Result<Self, End> {
        let (text, found) = Self::compile(path, definition)?;
        *said += &autofsm::render(&found.diagnostics, &text.name, &text.source);
        definition.faults = found.faults.ok_or(End::Findings)?;
        Ok(text)
    }

    /// What is wrong or doubtful with a file of faults, a line each, and whether it can be used.
    pub(super) fn short(path: &Path, definition: &Definition) -> Result<(String, bool), End> {
        let (text, found) = Self::compile(path, definition)?;
        let said = autofsm::short(&found.diagnostics, &text.name, &text.source);
        Ok((said, found.faults.is_some()))
    }

    fn compile(path: &Path, definition: &Definition) -> Result<(Self, FaultCompilation), End> {
        let (name, source) = (path.display().to_string(), read(path)?);
        if !definition.faults.is_empty() {
            let why = "the definition has faults of its own; write all of them into one file";
            return Err(End::Error(format!("cannot use the faults of {name}: {why}")));
        }
        let found = autofsm::compile_faults(&source, definition, &RULES);
        Ok((Self { name, source }, found))
    }
}

/// Says on standard error what is wrong or doubtful.
fn aloud<T>(work: impl FnOnce(&mut String) -> T) -> T {
    let mut said = String::new();
    let done = work(&mut said);
    let _ = io::stderr().write_all(said.as_bytes());
    done
}

/// Where a fault stands, as `file:line:column`.
pub(super) fn fault_place(
    text: Option<&FaultsText>,
    name: &str,
    source: &str,
    fault: &Fault,
) -> String {
    let (name, source) = text.map_or((name, source), |text| (&text.name, &text.source));
    let (line, column) = autofsm::place(source, fault.span.start);
    format!("{name}:{line}:{column}")
}

impl States {
    /// The definition that is served, where no name is defined.
    pub(super) fn load(path: Option<&Path>, faults: Option<&Path>) -> Result<Self, End> {
        Self::load_with(path, faults, &[])
    }

    /// Reads a definition and proves that it can be served; without a path it is the built-in one.
    /// These names are defined to its `#ifdef`; to the built-in one none is.
    /// What is wrong or doubtful is said on standard error.
    pub(super) fn load_with(
        path: Option<&Path>,
        faults: Option<&Path>,
        defines: &[&str],
    ) -> Result<Self, End> {
        aloud(|said| Self::read(path, faults, defines, said))
    }

    /// The same; what is wrong or doubtful is added to what is said.
    pub(super) fn read(
        path: Option<&Path>,
        faults: Option<&Path>,
        defines: &[&str],
        said: &mut String,
    ) -> Result<Self, End> {
        let text = Text::read(path)?;
        let found = text.compile(defines, said);
        let definition = found.definition.ok_or(End::Findings)?;
        // Each of its actions is one of ours.
        let machine = text.machine(&definition).ok_or_else(|| {
            format!(
                "cannot serve {}: the definitions of this process take {} MiB; a restart frees them",
                text.name,
                BYTES_MAX >> 20
            )
        })?;
        text.states(definition, machine, Vec::new(), faults, said)
    }

    /// Whether it was made of the same texts.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let faults = |states: &Self| states.faults_text.as_ref().map(|text| text.source.clone());
        self.digest == other.digest && faults(self) == faults(other)
    }

    /// The same, but for one with errors, too, if all its cells are known and each has an action of
    /// this server's: a session can be held by it, and no server runs it.
    pub(super) fn load_to_try(
        path: Option<&Path>,
        faults: Option<&Path>,
        defines: &[&str],
    ) -> Result<Self, End> {
        let text = Text::read(path)?;
        let mut found = aloud(|said| text.compile(defines, said));
        found.diagnostics.retain(|found| found.severity == Severity::Error);
        let definition = found.definition.or(found.refused).ok_or(End::Findings)?;
        let Some(machine) = text.machine(&definition) else {
            let why = "not each of its rows has an action of this server's";
            let _ = writeln!(io::stderr(), "{} cannot be tried: {why}", text.name);
            return Err(End::Findings);
        };
        aloud(|said| text.states(definition, machine, found.diagnostics, faults, said))
    }

    /// Whether it can be served.
    pub(super) fn is_accepted(&self) -> bool {
        self.errors.is_empty()
    }

    /// The other end of a dialogue: a session by this definition.
    pub(super) fn peer(&self, config: &Config) -> Peer {
        self.peer_by(self.machine, config)
    }

    /// The same by a machine of this definition's that some rows are left out of.
    pub(super) fn peer_by(&self, machine: &'static Machine, config: &Config) -> Peer {
        self.peer_with(machine, config, self.fresh_faults())
    }

    /// The same with these faults.
    pub(super) fn peer_with(
        &self,
        machine: &'static Machine,
        config: &Config,
        faults: Option<Arc<Faults>>,
    ) -> Peer {
        let standing = if self.is_accepted() { Standing::Proven } else { Standing::Refused };
        Peer::with(config, Settings { standing, faults, ..config.settings(machine) })
    }

    /// The faults with all counts at nought.
    pub(super) fn fresh_faults(&self) -> Option<Arc<Faults>> {
        // Their patterns were read before.
        Faults::new(&self.definition, &self.definition.faults).ok().flatten()
    }

    /// Where a fault stands.
    pub(super) fn fault_place(&self, fault: &Fault) -> String {
        fault_place(self.faults_text.as_ref(), &self.name, &self.source, fault)
    }

    /// What an operator should know of faults that only fire at commands that are left out.
    pub(super) fn idle_faults(&self, left_out: &[&str]) -> Option<String> {
        let is_left_out = |step: &Move| {
            let event = self.definition.events.get(step.event.0);
            event.is_some_and(|event| left_out.iter().any(|out| same_name(out, &event.name)))
        };
        let is_idle =
            |fault: &&Fault| !fault.cells.is_empty() && fault.cells.iter().all(is_left_out);
        let idle: Vec<_> = self.definition.faults.iter().filter(is_idle).collect();
        let says: Vec<_> = idle.iter().map(|fault| format!("\"{}\"", fault.shown())).collect();
        (!idle.is_empty()).then(|| {
            let (says, left_out) = (says.join(", "), left_out.join(", "));
            format!("never fires, since {left_out} is left out: {says}")
        })
    }

    /// The text of the faults, if they have a file of their own.
    pub(super) fn faults_source(&self) -> Option<&str> {
        self.faults_text.as_ref().map(|text| text.source.as_str())
    }

    /// The file of the faults, if there are any, and how many there are.
    pub(super) fn faults_of(&self) -> Option<(&str, usize)> {
        let number = self.faults.as_ref()?.count();
        Some((self.faults_text.as_ref().map_or(&self.name, |text| &text.name), number))
    }

    /// How many faults there are, and where: a few words, if there are any.
    pub(super) fn about_faults(&self) -> Option<String> {
        self.faults_of().map(|(name, number)| format!("{number} of {name}"))
    }

    /// What it is, and what faults it has, a line each.
    pub(super) fn about_with_faults(&self) -> String {
        let mut text = format!("  definition  {}\n", self.about());
        if let Some(faults) = self.about_faults() {
            text += &format!("  faults      {faults}\n");
        }
        text
    }

    /// What its errors are about.
    pub(super) fn marks(&self) -> Marks<'_> {
        Marks::of(&self.definition, &self.errors)
    }

    /// The definition as a listener serves it: the text, or, if rows are left out for this reason,
    /// the rest as a page.
    pub(super) fn page(&self, left_out: &[&'static str], why: &str) -> String {
        if left_out.is_empty() {
            return self.source.clone();
        }
        let rest = self.definition.without(left_out);
        let asked: Vec<_> = rest.properties.iter().map(|property| &property.says).collect();
        let mut about = vec![
            format!("{} as it is served.", self.name),
            format!("Left out, since {why}: {}.", left_out.join(", ")),
        ];
        let dropped = self.definition.properties.iter().map(|property| &property.says);
        let mut dropped = dropped.filter(|says| !asked.contains(says)).peekable();
        if dropped.peek().is_some() {
            about.push("Not asked, since they speak of it:".to_owned());
            about.extend(dropped.map(|says| format!("  {says}")));
        }
        autofsm::page(&rest, &about)
    }

    /// The name and the first digits of the digest, as a person compares them.
    pub(super) fn about(&self) -> String {
        let kind = if self.built_in { ", built in" } else { "" };
        format!("{}{kind}, sha256 {}", self.name, self.digest.get(..12).unwrap_or_default())
    }
}

/// A definition's text, not yet compiled.
struct Text {
    name: String,
    source: String,
    built_in: bool,
}

impl Text {
    /// Reads a file; without a path it is the built-in text.
    fn read(path: Option<&Path>) -> Result<Self, End> {
        let (name, source) = match path {
            None => (BUILT.source.to_owned(), BUILT_SOURCE.to_owned()),
            Some(path) => (path.display().to_string(), read(path)?),
        };
        Ok(Self { name, source, built_in: path.is_none() })
    }

    /// Compiles it, and says what is wrong with a file.
    fn compile(&self, defines: &[&str], said: &mut String) -> Compilation {
        let defines = if self.built_in { &[] } else { defines };
        let found = autofsm::compile_with(&self.source, Some(&RULES), defines);
        if !self.built_in {
            *said += &autofsm::render(&found.diagnostics, &self.name, &self.source);
        }
        found
    }

    /// The machine of what it was compiled to; none if a row has no action of this server's.
    fn machine(&self, definition: &Definition) -> Option<&'static Machine> {
        if self.built_in { Some(&BUILT) } else { Machine::load(&self.name, definition) }
    }

    fn states(
        self,
        mut definition: Definition,
        machine: &'static Machine,
        errors: Vec<Diagnostic>,
        faults: Option<&Path>,
        said: &mut String,
    ) -> Result<States, End> {
        let Self { name, source, built_in } = self;
        let faults_text = faults.map(|path| FaultsText::read(path, &mut definition, said));
        let faults_text = faults_text.transpose()?;
        let faults = Faults::new(&definition, &definition.faults)?;
        let digest = if built_in { BUILT_DIGEST.to_owned() } else { digest(&source) };
        Ok(States {
            name,
            source,
            definition: Arc::new(definition),
            machine,
            digest,
            built_in,
            errors,
            faults,
            faults_text,
        })
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
