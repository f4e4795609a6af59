//! The command line, and the README's examples.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use postman::config::Config;

use crate::rig::{postman, text};

#[test]
fn the_printed_configuration_can_be_saved_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postman.ron");
    let printed = postman(&["config"]);
    fs::write(&path, &printed.stdout).unwrap();
    let checked = postman(&["check", "--skip-port", "--config", path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("127.0.0.1:2525"));
}

/// Both are made of the one table of keys, so an edit of it shows in git as what an operator will
/// see.
#[test]
fn the_page_and_the_golden_sample_have_every_key_as_the_table_has_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let start = page.find("| key | default |").unwrap();
    let end = page[start..].find("\n\n").map_or(page.len(), |end| start + end + 1);
    let page = page[..start].to_owned() + &Config::table() + &page[end..];
    for (path, text) in
        [("docs/configuration.md", page), ("tests/golden/config.ron", Config::sample())]
    {
        let path = root.join(path);
        if fs::read_to_string(&path).unwrap_or_default() != text {
            fs::write(&path, text).unwrap();
            panic!(
                "the keys have changed: see `git diff {}`, then run the test again",
                path.display()
            );
        }
    }
}

#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.ron");
    fs::write(&bad, "(\n  prot: 25,\n)").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let bad = bad.to_str().unwrap();
    let with = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (nobody, root) =
        (&with("nobody.ron", "(user: \"no-such-user\")"), &with("root.ron", "(user: \"root\")"));
    let maildir = folder.path().join("m");
    let in_use = &format!(
        "postman: cannot listen on {address}: Address already in use; --listen or `port` chooses another port\n"
    );
    for (arguments, expected) in [
        (
            vec!["--config", "/does/not/exist"],
            "postman: cannot read /does/not/exist: No such file or directory",
        ),
        (vec!["serve", "--config", bad], "unknown key `prot`; did you mean `port`?"),
        (vec!["--listen", &address, "--maildir", maildir.to_str().unwrap()], in_use),
        (
            vec!["--listen", "127.0.0.1:0", "--maildir", "/proc/none"],
            "postman: cannot open the mail folder /proc/none",
        ),
        (vec!["check", "--config", nobody], "postman: there is no user no-such-user"),
        (
            vec!["check", "--config", root],
            "postman: the user root is root, which the server must not be",
        ),
        (vec!["fsm", "check", "/does/not/exist"], "postman: cannot read /does/not/exist"),
        (vec!["fsm", "check", "/"], "postman: cannot read /"),
    ] {
        let output = postman(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
    assert_eq!(postman(&["--nonsense"]).status.code(), Some(2));
}

/// A configuration with two mistakes is not read twice.
#[test]
fn each_finding_about_the_configuration_is_a_line_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.ron");
    fs::write(&path, "(\n  port: 99999,\n  message_bytes_max: 50MiB,\n)").unwrap();
    let path = path.to_str().unwrap();
    let said = [postman(&["check", "--config", path]), postman(&["serve", "--config", path])];
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].status.code(), Some(2));
    let expected = format!(
        "postman: {path}:2:9: port must be a number from 0 to 65535, not 99999\n\
         postman: {path}:3:22: message_bytes_max must be a number, at least 65536 octets (RFC 5321 4.5.3.1.7), \
         such as 1048576 or \"1 MiB\", not 50MiB; write it in quotes, \"50MiB\"\n"
    );
    assert_eq!(text(&said[0].stderr), expected);
}

#[test]
fn a_priority_that_is_not_allowed_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postman.ron");
    fs::write(&path, "(nice: -20)").unwrap();
    // Root may do it; without the capability it may not.
    let mut command = Command::new("setpriv");
    if rustix::process::getuid().is_root() {
        command.args(["--bounding-set", "-sys_nice"]).arg(env!("CARGO_BIN_EXE_postman"));
    } else {
        command = Command::new(env!("CARGO_BIN_EXE_postman"));
    }
    let Ok(output) = command.arg("--config").arg(&path).output() else {
        return crate::rig::skip("there is no setpriv");
    };
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with("postman: cannot set the priority to -20: Permission denied"),
        "{said}"
    );
}

#[test]
fn fsm_check_has_the_exit_codes_0_and_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.def");
    fs::write(&path, crate::peer::PAGE.replace("tev = RCPT;", "tev = RCTP;")).unwrap();
    let found = postman(&["fsm", "check", path.to_str().unwrap()]);
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found.stderr).contains("did you mean `RCPT`?"));
    assert_eq!(postman(&["fsm", "check"]).status.code(), Some(0));
    assert!(text(&postman(&["fsm", "dot"]).stdout).starts_with("digraph"));
    assert!(
        text(&postman(&["fsm", "table", "--format", "json"]).stdout)
            .starts_with("{\n  \"states\": [\"init\"")
    );
}

/// A file with an error is still one for this server, so that nothing waits for the next run.
#[test]
fn fsm_check_and_serve_say_the_same_of_a_broken_rule() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.def");
    let source = crate::peer::PAGE;
    fs::write(
        &path,
        source.replacen(
            "{ tst = client_init, client_ready;  ",
            "{ tst = client_init, client_ready, transaction;",
            1,
        ),
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let checked = text(&postman(&["fsm", "check", path]).stderr);
    assert!(checked.contains("`set_sender` must not find a sender"), "{checked}");
    assert!(checked.contains("this can happen: a transaction within a transaction"), "{checked}");
    assert_eq!(text(&postman(&["check", "--states", path]).stderr), checked);
    let foreign = text(&postman(&["fsm", "check", "--foreign", path]).stderr);
    assert!(!foreign.contains("set_sender`"), "{foreign}");
}

#[test]
fn a_definition_that_is_no_text_is_refused_in_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, octets).unwrap();
        path
    };
    let cases = [
        (write("binary", b"AutoGen\n\xff\xfe"), "not valid UTF-8 at 2:1"),
        (write("big", &vec![b' '; (1 << 20) + 1]), "larger than 1 MiB"),
        (folder.path().join("missing"), "No such file or directory"),
        (folder.path().to_owned(), "Is a directory"),
        ("/dev/zero".into(), "larger than 1 MiB"),
    ];
    for (path, expected) in cases {
        let output = postman(&["fsm", "check", path.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with(&format!("postman: cannot read {}: {expected}", path.display())),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn the_version_names_the_commit_and_the_readme_the_rust_that_it_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = text(&postman(&["--version"]).stdout);
    let git =
        Command::new("git").arg("-C").arg(root).args(["rev-parse", "--show-toplevel"]).output();
    // An unpacked archive has no commit, even within another repository.
    let of_git = git
        .ok()
        .filter(|git| git.status.success() && Path::new(text(&git.stdout).trim_end()) == root);
    let version = format!("postman {}", env!("CARGO_PKG_VERSION"));
    if of_git.is_some() {
        let commit = said
            .strip_prefix(&format!("{version} ("))
            .and_then(|rest| rest.split_once(' '))
            .unwrap()
            .0;
        assert!(
            commit.len() >= 12 && commit.bytes().all(|octet| octet.is_ascii_hexdigit()),
            "{said}"
        );
    } else {
        assert_eq!(said, version + "\n");
    }
    let needs = format!("With Rust {} or later", env!("CARGO_PKG_RUST_VERSION"));
    assert!(include_str!("../../README.md").contains(&needs), "the README does not say {needs}");
    for (licence, begin) in [("LICENSE-MIT", "MIT License"), ("LICENSE-APACHE", "Apache License")] {
        let text = fs::read_to_string(root.join(licence)).unwrap();
        assert!(text.trim_start().starts_with(begin), "{licence}");
    }
}

#[test]
fn ready_tells_whether_a_server_greets() {
    let mut server = crate::rig::Server::start("()");
    let address = server.address.to_string();
    let asked = postman(&["ready", &address]);
    assert_eq!(asked.status.code(), Some(0));
    assert!(text(&asked.stdout).starts_with("220 "));
    assert_eq!(server.stop(), Some(0));
    let asked = postman(&["ready", &address]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked.stdout).contains("is not ready: "));
    assert_eq!(postman(&["ready", "nowhere"]).status.code(), Some(2));
}

#[test]
fn each_command_has_a_page_of_the_manual_and_a_completion() {
    let names = text(&postman(&["manual", "--list"]).stdout);
    assert!(names.lines().count() > 15, "{names}");
    let bash = text(&postman(&["completions", "bash"]).stdout);
    for name in names.lines() {
        let page = text(&postman(&["manual", name]).stdout);
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        let words = name.trim_start_matches("postman").trim_start_matches('-').to_owned();
        assert!(bash.contains(words.rsplit('-').next().unwrap()), "{name}");
    }
    assert!(!names.contains("completions"), "what is hidden has no page");
}
