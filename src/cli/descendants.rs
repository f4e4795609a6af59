//! The processes that a process has started, and those that they have, as `/proc` tells.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Handles of a process and of all its descendants, the first one first. A signal that is sent by
/// one reaches no later process of the same number.
pub(super) fn handles(root: Pid) -> Vec<OwnedFd> {
    let mut found = vec![root.as_raw_pid()];
    let parents = parents();
    let mut place = 0;
    while let Some(parent) = found.get(place).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        place += 1;
    }
    let pids = found.into_iter().filter_map(Pid::from_raw);
    pids.filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).collect()
}

/// Each process of the system with its parent.
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let processes = names.filter_map(|name| name.parse::<i32>().ok());
    let with_parents = processes.filter_map(|process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may be anything.
        let (_, fields) = stat.rsplit_once(')')?;
        Some((process, fields.split_whitespace().nth(1)?.parse().ok()?))
    });
    with_parents.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_with_what_it_has_started() {
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'echo x; read -r x; :'; :"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 2]).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(handles(pid).len(), 2);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(handles(pid).is_empty());
    }
}
