//! Who the server is, what it may reach, and what of its surroundings it hears.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use landlock::{
    AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    make_bitflags,
};
use rustix::process::Signal;

use crate::rig::{Server, skip, wait_until};

#[test]
fn started_as_root_it_becomes_its_user_in_all_its_threads() {
    if !rustix::process::getuid().is_root() {
        return skip("becoming another user needs root");
    }
    let server = Server::start_with(
        "(user: \"nobody\", group: \"daemon\", nice: -3, worker_threads: 3)",
        "chown nobody \"$(dirname \"$4\")\"",
    );
    // A delivery starts the store's threads too.
    server.connect().deliver();
    let mut threads = 0;
    for task in fs::read_dir(server.proc("task")).unwrap() {
        let task = task.unwrap().path();
        let status = fs::read_to_string(task.join("status")).unwrap();
        let line = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let (uid, gid) = (id("/etc/passwd", "nobody"), id("/etc/group", "daemon"));
        assert_eq!(line("Uid:"), vec![uid; 4], "{status}");
        assert_eq!(line("Gid:"), vec![gid; 4], "{status}");
        assert!(line("Groups:").is_empty(), "{status}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(set), ["0000000000000000"], "{status}");
        }
        assert_eq!(line("NoNewPrivs:"), ["1"], "{status}");
        // The priority is the process's, so each thread's.
        let stat = fs::read_to_string(task.join("stat")).unwrap();
        assert_eq!(
            stat.rsplit(')').next().unwrap().split_whitespace().nth(16),
            Some("-3"),
            "{stat}"
        );
        threads += 1;
    }
    assert!(threads >= 4, "main, the reactor's, log, store: {threads}");
    let mail = server.folder.path().join("maildir/user/new");
    let file = fs::read_dir(mail).unwrap().next().unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().uid().to_string(), id("/etc/passwd", "nobody"));
}

fn id(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap().to_owned();
    line.split(':').nth(2).unwrap().to_owned()
}

#[test]
fn root_without_a_user_serves_on_loopback_only() {
    if !rustix::process::getuid().is_root() {
        return skip("being refused as root needs root");
    }
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = Command::new(env!("CARGO_BIN_EXE_postman"))
            .args(["--listen", address, "--maildir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with("postman: root serves on loopback only") && said.lines().count() == 1,
            "{said}"
        );
    }
    let server = with_log("");
    wait_until("the warning", || server.log().matches("serving as root").count() == 1);
}

/// A server with a log of its own, in a folder of its own.
struct Logged {
    server: Server,
    logs: tempfile::TempDir,
}

fn with_log(keys: &str) -> Logged {
    with_log_and(keys, ":")
}

fn with_log_and(keys: &str, before: &str) -> Logged {
    let logs = tempfile::tempdir().unwrap();
    let path = logs.path().join("log");
    let config = format!("({keys} log: (files: [(\"{}\", \"info\")]))", path.display());
    Logged { server: Server::start_with(&config, before), logs }
}

impl Logged {
    fn log(&self) -> String {
        fs::read_to_string(self.logs.path().join("log")).unwrap_or_default()
    }

    /// The log is moved away, a link to a place outside stands where it was, and SIGHUP comes:
    /// does the server write there?
    fn can_be_led_astray(&self) -> bool {
        let outside = tempfile::tempdir().unwrap();
        let (log, before) = (self.logs.path().join("log"), self.logs.path().join("before"));
        fs::rename(&log, &before).unwrap();
        symlink(outside.path().join("evil"), &log).unwrap();
        self.server.send_signal(Signal::HUP);
        let evil = || fs::read_to_string(outside.path().join("evil")).unwrap_or_default();
        wait_until("a line in either log", || {
            (evil() + &fs::read_to_string(&before).unwrap()).contains("reopen")
        });
        fs::remove_file(&log).unwrap();
        !evil().is_empty()
    }
}

#[test]
fn inside_the_sandbox_mail_is_delivered_logs_rotate_and_nothing_else_is_written() {
    let locked = with_log("");
    if locked.log().contains("no sandbox") {
        return skip("this system has no Landlock");
    }
    locked.server.connect().deliver();
    assert!(!locked.can_be_led_astray());
    // The same without the sandbox is: the test can see the difference.
    let open = with_log("sandbox: false,");
    assert!(open.can_be_led_astray());
    for logged in [&locked, &open] {
        // SIGHUP makes a new log where the old one was.
        logged.server.send_signal(Signal::HUP);
        wait_until("the new log", || logged.log().contains("logs reopened"));
        logged.server.connect().deliver();
    }
    assert_eq!(locked.server.files("user/new").len(), 2);
}

#[test]
fn without_landlock_there_is_one_warning_and_mail_is_delivered() {
    let layers = || {
        // The kernel stacks 16 rulesets and no more: the server's own will be refused. These
        // take nothing away that it needs; they hold for this thread and what it starts.
        for _ in 0..16 {
            let everywhere = PathBeneath::new(PathFd::new("/").ok()?, AccessFs::Refer);
            let ruleset = Ruleset::default()
                .handle_access(make_bitflags!(AccessFs::{MakeSock | Refer}))
                .ok()?;
            ruleset.create().ok()?.add_rule(everywhere).ok()?.restrict_self().ok()?;
        }
        Some(())
    };
    thread::spawn(move || {
        if layers().is_none() {
            return skip("rulesets cannot be stacked here");
        }
        let logged = with_log("");
        logged.server.connect().deliver();
        assert_eq!(logged.server.files("user/new").len(), 1);
        assert_eq!(logged.log().matches("no sandbox").count(), 1, "{}", logged.log());
    })
    .join()
    .unwrap();
}

#[test]
fn the_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let heard = || {
        let mut octets = [0; 1000];
        let taken = socket.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..taken]).trim().to_owned()
    };
    let mut server = Server::start_with("()", &format!("export NOTIFY_SOCKET={}", path.display()));
    assert_eq!(heard(), "READY=1");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(heard(), "STOPPING=1");
}

/// Runs a server with this socket as the service manager gives it; returns what it printed first.
fn activated(socket: TcpListener, before: &str) -> (std::process::Child, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new("sh")
        .args([
            "-c",
            &format!("exec 3<&0 0</dev/null; {before}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_postman"),
        ])
        .args(["--listen", "127.0.0.1:0", "--maildir"])
        .arg(folder.path())
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, folder)
}

#[test]
fn a_socket_that_the_service_manager_opened_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (mut child, _folder) = activated(socket, "export LISTEN_FDS=1 LISTEN_PID=$$");
    // Who comes before the server is up waits in the socket.
    assert!(greeting(address).starts_with("220"));
    child.kill().unwrap();
    child.wait().unwrap();
    // Of what is no listener the operator hears.
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (child, _folder) = activated(socket, "exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("postman: cannot use the socket that was given"), "{said}");
}

/// systemd's own program speaks its own protocol: it hands on the socket when the first client
/// comes.
#[test]
fn systemd_socket_activate_starts_it_for_the_first_client() {
    if Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        return skip("there is no systemd-socket-activate");
    }
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let handed = "export LISTEN_FDS=1 LISTEN_PID=$$; exec systemd-socket-activate --fdname=smtp \"$0\" \"$@\"";
    let (mut child, folder) = activated(socket, handed);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "it was started for nobody");
    for _ in 0..2 {
        assert!(greeting(address).starts_with("220"));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn greeting(address: SocketAddr) -> String {
    use std::io::{BufRead as _, BufReader};
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn nothing_in_the_environment_changes_what_it_does() {
    let hostile = "export TZ=Asia/Tokyo RUST_LOG=off RUST_BACKTRACE=full RUST_LIB_BACKTRACE=1 RUST_MIN_STACK=1 \
                   SMOL_THREADS=0 BLOCKING_MAX_THREADS=0 HOME=/does/not/exist TMPDIR=/does/not/exist PATH=/ \
                   LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 COLUMNS=1 NO_COLOR=1 CLICOLOR_FORCE=1 POSTMAN_PORT=1 \
                   POSTMAN_CONFIG=/does/not/exist LISTEN_FDS=1 LISTEN_PID=1 http_proxy=http://127.0.0.1:1";
    let seen = ["unset $(env | cut -d= -f1 | grep -v PWD) 2>/dev/null", hostile].map(|before| {
        let logged = with_log_and("", before);
        let mut talk = logged.server.connect();
        talk.deliver();
        talk.say("QUIT", "221");
        wait_until("the log", || logged.log().contains("disconnect"));
        let mail = String::from_utf8(logged.server.files("user/new").remove(0)).unwrap();
        let log = logged.log();
        // Times in UTC, whatever the zone.
        let now = chrono::Utc::now();
        let hours = [now, now - chrono::TimeDelta::minutes(5)]
            .map(|time| time.format("%F %H:").to_string());
        assert!(log.lines().all(|line| hours.iter().any(|hour| line.starts_with(hour))), "{log}");
        assert!(mail.contains(" +0000"), "{mail}");
        // What differs from run to run, or is a number of seconds: digits.
        let plain = |text: &str| text.replace(|sign: char| sign.is_ascii_digit(), "");
        (plain(&log), plain(&mail))
    });
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_mail_folder_that_was_removed_is_451_and_the_log_says_so_at_once() {
    let logged = with_log("");
    let maildir = logged.server.folder.path().join("maildir");
    let mut talk = logged.server.connect();
    talk.deliver();
    fs::remove_dir_all(&maildir).unwrap();
    fs::create_dir(&maildir).unwrap();
    talk.send(b"MAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
    for code in ["250", "250", "354"] {
        talk.expect(code);
    }
    talk.say(".", "451");
    wait_until("the line", || {
        logged.log().contains(
            "the mail folder was removed; all mail is refused with 451 until the server is started again",
        )
    });
    assert_eq!(fs::read_dir(&maildir).unwrap().count(), 0);
}
