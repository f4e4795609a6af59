//! The sandbox: after its start the server reaches its mail, its logs and its configuration, and
//! no other file. It is made of Linux's Landlock.
//!
//! Moving a message between folders needs Landlock's second ABI. A system without it gets no
//! sandbox and one warning, never a server that cannot deliver.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    make_bitflags,
};

use crate::config::{Address, Config};

/// A path, and the access to it that is allowed.
pub struct Rule {
    path: PathBuf,
    access: BitFlags<AccessFs>,
    says: &'static str,
    why: String,
}

/// The rules that a configuration needs, and the files that SIGHUP has read again. Paths are as they
/// will be opened.
#[must_use]
pub fn rules(config: &Config, read_again: &[PathBuf]) -> Vec<Rule> {
    let mail = make_bitflags!(AccessFs::{
        ReadFile | WriteFile | ReadDir | RemoveFile | RemoveDir | MakeDir | MakeReg | Refer | Truncate
    });
    let mut rules = vec![Rule {
        path: config.maildir_path.clone(),
        access: mail,
        says: "read, write, make, move, remove",
        why: "mailboxes and queue".to_owned(),
    }];
    for (file, _) in &config.log.files {
        // A rotated log is created again, which needs a right on its folder. A device is not
        // rotated.
        let is_special = fs::metadata(file).is_ok_and(|found| !found.is_file());
        let folder =
            file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (path, access) = if is_special {
            (file.as_path(), make_bitflags!(AccessFs::{WriteFile}))
        } else {
            (folder, make_bitflags!(AccessFs::{WriteFile | MakeReg}))
        };
        let says = if is_special { "write" } else { "write, make" };
        rules.push(Rule {
            path: path.to_owned(),
            access,
            says,
            why: format!("the log {}", file.display()),
        });
    }
    let certificates = config.certificates.iter().flat_map(|one| [&one.chain, &one.key]);
    for folder in folders(certificates) {
        // A renewed certificate is another file, which needs a right on its folder.
        rules.push(Rule {
            path: folder,
            access: make_bitflags!(AccessFs::{ReadFile}),
            says: "read",
            why: "certificates".to_owned(),
        });
    }
    let listening = config.listening().into_iter().map(|listener| listener.address);
    for address in listening.chain(config.web.address.clone()) {
        // The socket's file is removed when the server has stopped.
        if let Address::Unix(path) = &address
            && let Some(folder) = path.parent()
        {
            rules.push(Rule {
                path: folder.to_owned(),
                access: make_bitflags!(AccessFs::{RemoveFile}),
                says: "remove",
                why: format!("the socket {}", path.display()),
            });
        }
    }
    for folder in folders(read_again.iter()) {
        // An editor makes another file, and gives it the old one's name.
        rules.push(Rule {
            path: folder,
            access: make_bitflags!(AccessFs::{ReadFile}),
            says: "read",
            why: "what SIGHUP has read again".to_owned(),
        });
    }
    rules
}

/// The folders of these files: those of their names, and those that they lead to now.
fn folders<'f>(files: impl Iterator<Item = &'f PathBuf>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for file in files {
        for path in [Some(file.clone()), fs::canonicalize(file).ok()].into_iter().flatten() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).to_owned();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// The rule for the folder of `--transcripts`.
#[must_use]
pub fn transcripts(folder: &Path) -> Rule {
    Rule {
        path: folder.to_owned(),
        access: make_bitflags!(AccessFs::{WriteFile | MakeReg | RemoveFile}),
        says: "write, make, rename",
        why: "transcripts".to_owned(),
    }
}

/// What `check --explain-sandbox` prints.
#[must_use]
pub fn explain(config: &Config, rules: &[Rule]) -> String {
    let state = match (config.sandbox, ruleset()) {
        (false, _) => "off, by `sandbox`".to_owned(),
        (true, Ok(_)) => "Landlock".to_owned(),
        (true, Err(error)) => format!("none, this system cannot: {error}"),
    };
    let mut text = format!("  sandbox     {state}\n");
    for Rule { path, says, why, .. } in rules {
        text += &format!("  may         {says}: {} ({why})\n", path.display());
    }
    text += "  may not     reach other files, connect or bind TCP, start programs of more rights\n";
    text
}

/// A ruleset that allows nothing so far.
fn ruleset() -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V2))?
        .set_compatibility(CompatLevel::BestEffort)
        // Newer rights are taken away too if the system knows them.
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))
}

/// Restricts this thread and all threads that it starts. Returns a warning if there is no sandbox.
///
/// # Errors
/// One line: a path that should be allowed does not exist.
pub fn enter(config: &Config, rules: &[Rule]) -> Result<Option<String>, String> {
    // The server starts no programs; should it ever, they get no more rights than it has.
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| format!("cannot give up new privileges: {error}"))?;
    if !config.sandbox {
        return Ok(None);
    }
    let none = |error: &dyn std::fmt::Display| {
        Ok(Some(format!("no sandbox, this system cannot: {error}")))
    };
    let created = match ruleset().and_then(Ruleset::create) {
        Ok(created) => created,
        Err(error) => return none(&error),
    };
    let mut created = created.set_compatibility(CompatLevel::BestEffort);
    for rule in rules {
        let shown = rule.path.display();
        let path = PathFd::new(&rule.path)
            .map_err(|error| format!("cannot open {shown} for the sandbox: {error}"))?;
        let beneath = PathBeneath::new(path, rule.access);
        created =
            created.add_rule(beneath).map_err(|error| format!("cannot allow {shown}: {error}"))?;
    }
    match created.restrict_self() {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            none(&"Landlock is not enforced")
        }
        Ok(_) => Ok(None),
        Err(error) => none(&error),
    }
}
