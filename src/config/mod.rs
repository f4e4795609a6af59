//! The configuration: a RON file, where every key has a default.
//!
//! Parse, don't validate: what is in a [`Config`] can be used as it is. The keys are one table,
//! `keys.rs`; everything that is wrong with a file is said in one run, each with its place and key.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::maildir::Naming;
use crate::smtp::machine::Machine;
use crate::smtp::path::Syntax;
use crate::smtp::session::{Domains, Settings, Standing};

mod groups;
mod key;
mod keys;
mod kind;
mod listen;
mod listeners;
mod network;
mod reader;
mod renewed;
mod slip;
mod values;
mod web;

use key::Key;
pub use keys::{Config, Log};
pub use listen::Listen;
pub use listeners::{Address, Certificate, Listener, NotAnAddress, Tls};
pub use network::{Network, NotANetwork};
use reader::{Entry, Finding, Raw};
pub use renewed::Change;
use slip::Mend;
pub use values::{BareNewline, Level, MailboxFormat, NotALevel, UncappedFrom, Users, Verify};
pub use web::{HostName, NotAHostName, Web};

/// The largest file that is read, in octets.
const FILE_BYTES_MAX: usize = 1 << 20;
/// The most slips of form after which a reading goes on.
const SLIPS_MAX: usize = 20;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// `cannot read FILE: reason`, or a line `FILE:line:column: reason` for each finding.
    pub fn read(path: &Path) -> Result<Self, String> {
        Self::default().overruled_by(path)
    }

    /// Reads a file, whose missing keys keep the values that they have here.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn overruled_by(self, path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let failed = |why: &dyn std::fmt::Display| format!("cannot read {shown}: {why}");
        let mut octets = Vec::new();
        let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let file = File::open(path).map_err(|error| failed(&error))?;
        file.take(limit).read_to_end(&mut octets).map_err(|error| failed(&error))?;
        if octets.len() > FILE_BYTES_MAX {
            return Err(failed(&format!("it is larger than {FILE_BYTES_MAX} octets")));
        }
        let text = String::from_utf8(octets).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let (line, column) = place(&String::from_utf8_lossy(error.as_bytes()), valid);
            failed(&format!("it is not valid UTF-8 at {line}:{column}"))
        })?;
        self.parse_over(&text).map_err(|findings| {
            let lines: Vec<String> =
                findings.lines().map(|line| format!("{shown}:{line}")).collect();
            lines.join("\n")
        })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// A line `line:column: reason` for each finding, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::default().parse_over(text)
    }

    fn parse_over(self, text: &str) -> Result<Self, String> {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (config, mut findings) = parse(&self, text);
        if findings.is_empty() {
            return Ok(config);
        }
        findings.sort_by_key(|finding| finding.at);
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| {
                let (line, column) = place(text, finding.at);
                format!("{line}:{column}: {finding}")
            })
            .collect();
        Err(lines.join("\n"))
    }

    /// The default configuration with a comment for each key, ready to be saved and edited.
    #[must_use]
    pub fn sample() -> String {
        let sample = key::sample(&Self::default(), 0);
        format!(
            "// Postman's configuration. Every key may be left out; these are the defaults.\n{sample}\n"
        )
    }

    /// The keys as a table in Markdown, for the documents.
    #[must_use]
    pub fn table() -> String {
        // Links are written as they lead from the project's folder, and the table is in docs/.
        let escaped = |text: &str| text.replace('|', "\\|").replace("](docs/", "](");
        let rows = key::rows(&Self::default()).into_iter().map(|row| {
            let [name, default, allowed, words] =
                [&row.name, &row.default, &row.allowed, &row.words].map(|cell| escaped(cell));
            format!("| `{name}` | `{default}` | {allowed} | {words} |\n")
        });
        let head = "| key | default | must be | |\n|---|---|---|---|\n";
        rows.fold(head.to_owned(), |table, row| table + &row)
    }

    /// Keys with their values as they are written in a file, for the names that are given.
    #[must_use]
    pub fn written(&self, name: &str) -> String {
        Key::<Self>::of(name).map_or_else(String::new, |key| (key.written)(self, 0))
    }

    /// What sessions need of it.
    #[must_use]
    pub fn settings(&self, machine: &'static Machine) -> Settings {
        Settings {
            machine,
            standing: Standing::Proven,
            domain: self.domain.clone(),
            syntax: self.syntax,
            refuse_bare_newline: self.bare_newline == BareNewline::Refuse,
            verify_honestly: self.vrfy == Verify::Honest,
            domains: match self.mailboxes {
                Naming::ByUser => Domains::Own,
                Naming::ByAddress => Domains::Every,
            },
            limits: self.limits,
            shows_lines: false,
            faults: None,
        }
    }
}

/// Reads a text as far as it goes, and collects what is wrong.
fn parse(defaults: &Config, source: &str) -> (Config, Vec<Finding>) {
    let mut text = source.to_owned();
    let (mut findings, mut mended): (_, Vec<Mend>) = (Vec::new(), Vec::new());
    loop {
        let (entries, stop) = reader::entries(Raw { text: &text, at: 0 });
        let is_new = |mend: &Mend| {
            matches!(mend, Mend::Comma { .. }) || !mended.iter().any(|one| one.holds(mend.at()))
        };
        let mend = stop
            .as_ref()
            .filter(|_| mended.len() < SLIPS_MAX)
            .and_then(|stop| slip::mend(&text, stop));
        if let (Some(mend), Some(stop)) = (mend.filter(is_new), &stop) {
            findings.push(mend.finding(source, stop.key.clone().unwrap_or_default()));
            mend.apply(&mut text);
            mended.push(mend);
            continue;
        }
        findings.extend(stop.map(|stop| slip::words(source, &stop)));
        let mut found = Vec::new();
        let config = key::table(defaults.clone(), &entries, &mut found);
        check_together(&config, &entries, &mut found);
        listeners::check(&config, &entries, &mut found);
        // The value that was put in place of a wrong one is not the file's.
        found.retain(|finding| !mended.iter().any(|mend| mend.holds(finding.at)));
        findings.extend(found);
        return (config, findings);
    }
}

/// What no key can say alone.
fn check_together(config: &Config, entries: &[Entry<'_>], findings: &mut Vec<Finding>) {
    let mut at = |name: &str, message: String| {
        let entry = entries.iter().rfind(|entry| entry.key == name);
        let at = entry
            .map_or_else(|| entries.last().map_or(0, |entry| entry.at), |entry| entry.value.at);
        findings.push(Finding { at, key: name.to_owned(), message });
    };
    let (all, one) = (config.limits.recipients_per_session_max, config.limits.recipients_max);
    if all < one {
        let is_set = entries.iter().any(|entry| entry.key == "recipients_per_session_max");
        let name = if is_set { "recipients_per_session_max" } else { "recipients_max" };
        let bound =
            if is_set { "at least recipients_max" } else { "at most recipients_per_session_max" };
        at(
            name,
            format!("must be {bound}: recipients_max is {one}, recipients_per_session_max {all}"),
        );
    }
    if config.syntax == Syntax::Strict && !config.domain.is_strict() {
        at(
            "domain",
            "must be without underscores for syntax: Strict, or no client could name it".to_owned(),
        );
    }
}

/// The line and the column of an octet, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

#[cfg(test)]
mod tests;
