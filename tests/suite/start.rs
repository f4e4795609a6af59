//! `check` is `serve` up to the first client: it refuses the same in the same words, and leaves
//! nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::rig::{postman, skip, text};

/// A folder with a configuration in it. `FOLDER` in the keys is its path.
struct Place(tempfile::TempDir);

impl Place {
    fn new(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys.replace("FOLDER", folder.path().to_str().unwrap());
        fs::write(folder.path().join("postman.ron"), format!("({keys})")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What `check` and `serve` say, which must be the same, and each a refusal.
    fn refused(&self, more: &[&str]) -> String {
        let config = self.path("postman.ron");
        let run = |command| postman(&[&[command, "--config", &config], more].concat());
        let before = listing(self.0.path());
        let (checked, served) = (run("check"), run("serve"));
        // A server that has opened its log tells it what it is before it opens its mail.
        let said = text(&served.stderr);
        let served_said: String =
            said.split_inclusive('\n').filter(|line| line.starts_with("postman: ")).collect();
        assert_eq!(text(&checked.stderr), served_said);
        assert_eq!(
            (checked.status.code(), served.status.code()),
            (Some(2), Some(2)),
            "{}",
            text(&checked.stderr)
        );
        assert_eq!(listing(self.0.path()), before, "{}", text(&checked.stderr));
        text(&checked.stderr).replace(self.0.path().to_str().unwrap(), "FOLDER")
    }
}

/// All paths below a folder, with their sizes and rights.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let about = entry.metadata().unwrap();
        let size = if about.is_dir() { 0 } else { about.len() };
        found.push(format!("{} {size} {:o}", entry.path().display(), about.permissions().mode()));
        if about.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found.sort();
    found
}

const PORT: &str = "port: 0, maildir_path: \"FOLDER/mail\",";

#[test]
fn what_serve_refuses_check_refuses_in_the_same_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    for (keys, expected) in [
        (
            format!("port: {}, maildir_path: \"FOLDER/mail\"", taken.port()),
            format!("cannot listen on {taken}: Address already in use; --listen or `port` chooses another port"),
        ),
        (
            "host: \"192.0.2.1\", port: 0, maildir_path: \"FOLDER/mail\"".to_owned(),
            "cannot listen on 192.0.2.1:0: Cannot assign requested address; --listen or `host` names an address \
             of this machine"
                .to_owned(),
        ),
        (
            format!("{PORT} log: (files: [(\"FOLDER/none/log\", \"info\")])"),
            "cannot open the log FOLDER/none/log: No such file or directory; there is no folder FOLDER/none".to_owned(),
        ),
        (
            format!("{PORT} log: (files: [(\"FOLDER/one\", \"info\"), (\"FOLDER\", \"info\")])"),
            "cannot open the log FOLDER: Is a directory".to_owned(),
        ),
        (
            "port: 0, maildir_path: \"/proc/x\"".to_owned(),
            "cannot open the mail folder /proc/x: No such file or directory".to_owned(),
        ),
        (
            "port: 0, maildir_path: \"FOLDER/postman.ron\"".to_owned(),
            "cannot open the mail folder FOLDER/postman.ron: File exists".to_owned(),
        ),
        (
            "port: 0, maildir_path: \"FOLDER/postman.ron/mail\"".to_owned(),
            "cannot open the mail folder FOLDER/postman.ron/mail: Not a directory".to_owned(),
        ),
        (format!("{PORT} user: \"no-such-user\""), "there is no user no-such-user".to_owned()),
        (format!("{PORT} user: \"nobody\", group: \"no-such-group\""), "there is no group no-such-group".to_owned()),
        (format!("{PORT} user: \"root\""), "the user root is root, which the server must not be".to_owned()),
        (format!("{PORT} group: \"daemon\""), "`group` needs `user`: root becomes both or neither".to_owned()),
    ] {
        assert_eq!(Place::new(&keys).refused(&[]), format!("postman: {expected}\n"), "{keys}");
    }
    let by_option = Place::new(PORT).refused(&["--user", "no-such-user"]);
    assert_eq!(by_option, "postman: there is no user no-such-user\n");
}

#[test]
fn a_mail_folder_that_the_user_cannot_write_to_is_refused() {
    if !rustix::process::getuid().is_root() {
        return skip("becoming another user needs root");
    }
    let place = Place::new(&format!("{PORT} user: \"nobody\""));
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let missing = place.refused(&[]);
    assert_eq!(missing, "postman: cannot open the mail folder FOLDER/mail: Permission denied\n");
    fs::create_dir(place.path("mail")).unwrap();
    assert_eq!(
        place.refused(&[]),
        "postman: cannot lock the mail folder FOLDER/mail: Permission denied\n"
    );
}

#[test]
fn a_port_that_needs_root_is_refused_with_what_to_do() {
    let place = Place::new("port: 1, maildir_path: \"FOLDER/mail\"");
    let start: u16 = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default();
    if start < 2 {
        return skip("here each port is for everybody");
    }
    let run = |command| {
        let config = place.path("postman.ron");
        let mut run = Command::new("setpriv");
        if rustix::process::getuid().is_root() {
            run.args(["--bounding-set", "-net_bind_service"]).arg(env!("CARGO_BIN_EXE_postman"));
        } else {
            run = Command::new(env!("CARGO_BIN_EXE_postman"));
        }
        run.args([command, "--config", &config]).output()
    };
    let (Ok(checked), Ok(served)) = (run("check"), run("serve")) else {
        return skip("there is no setpriv");
    };
    let said = text(&checked.stderr);
    assert_eq!((said.as_str(), checked.status.code()), (text(&served.stderr).as_str(), Some(2)));
    assert!(
        said.starts_with(
            "postman: cannot listen on 127.0.0.1:1: Permission denied; this port needs root"
        ),
        "{said}"
    );
}

#[test]
fn check_leaves_nothing_and_says_what_would_be_served() {
    let place = Place::new(
        "port: 0, domain: \"example.org\", maildir_path: \"FOLDER/a/b/mail\", users: Listed([\"alice\", \"Bob\"]),
         relay_from: [\"10.0.0.0/8\"], log: (console_level: \"warn\", files: [(\"FOLDER/log\", \"debug\")])",
    );
    let before = listing(place.0.path());
    let checked = postman(&["check", "--explain-sandbox", "--config", &place.path("postman.ron")]);
    let said = text(&checked.stdout).replace(place.0.path().to_str().unwrap(), "FOLDER");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    for line in [
        "  domain      example.org",
        "  mail        FOLDER/a/b/mail (new)",
        "  users       Listed([\"alice\", \"Bob\"]) and postmaster",
        "  relay       for 10.0.0.0/8",
        "  log         standard error: warn",
        "  log         FOLDER/log: debug",
        "  may         read, write, make, move, remove: FOLDER/a/b/mail (mailboxes and queue)",
        "  may         write, make: FOLDER (the log FOLDER/log)",
        "  may         read: FOLDER (what SIGHUP has read again)",
        "  may not     reach other files, connect or bind TCP, start programs of more rights",
        "  warning     the mail folder FOLDER/a/b/mail is new, and so is what was missing above it: FOLDER/a/b, FOLDER/a",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    assert_eq!(listing(place.0.path()), before);
    // Nor is a folder touched that has mail in it, or a log that has lines.
    fs::create_dir_all(place.path("a/b/mail/alice/new")).unwrap();
    fs::create_dir_all(place.path("a/b/mail/alice/tmp")).unwrap();
    fs::write(place.path("a/b/mail/alice/tmp/0123456789abcdef.0"), "left by a dead server")
        .unwrap();
    fs::write(place.path("log"), "").unwrap();
    let before = listing(place.0.path());
    let checked = postman(&["check", "--config", &place.path("postman.ron")]);
    assert!(!text(&checked.stdout).contains("new"), "{}", text(&checked.stdout));
    assert_eq!(listing(place.0.path()), before);
}

#[test]
fn check_can_leave_the_port_to_a_server_that_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new(&format!(
        "port: {}, maildir_path: \"FOLDER/mail\"",
        taken.local_addr().unwrap().port()
    ));
    let checked = postman(&["check", "--skip-port", "--config", &place.path("postman.ron")]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn a_container_needs_no_configuration_file_to_become_a_user() {
    if !rustix::process::getuid().is_root() {
        return skip("becoming another user needs root");
    }
    let place = Place::new("");
    let mail = place.path("mail");
    fs::create_dir(&mail).unwrap();
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(&mail, Some(65534), Some(65534)).unwrap();
    let checked = postman(&["check", "--user", "nobody", "--listen", "[::]:0", "--maildir", &mail]);
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(said.contains("\n  runs as     nobody\n") && !said.contains("warning"), "{said}");
}

/// `tests/follow-the-guide` runs the rest of docs/running.md as it is, and needs root and Dovecot.
#[test]
fn each_configuration_that_the_guide_shows_is_whole() {
    let guide = include_str!("../../docs/running.md");
    let (mut configurations, mut scripts) = (0, 0);
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        match kind.split_once(' ').unwrap_or((kind, "")) {
            ("ron", path) => {
                assert!(path.starts_with('/'), "a configuration without its path:\n{text}");
                postman::config::Config::parse(text)
                    .unwrap_or_else(|findings| panic!("{path}:\n{findings}"));
                configurations += 1;
            }
            ("conf", path) => assert!(path.starts_with('/'), "a file without its path:\n{text}"),
            ("sh", "") => scripts += 1,
            ("" | "text", "") => {}
            _ => panic!("no block is called {kind}"),
        }
    }
    assert!(configurations > 0 && scripts > 8);
    assert!(include_str!("../../.ci/run").contains("\ntests/follow-the-guide "));
}
