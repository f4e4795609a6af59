//! `postman serve -- CMD`: a server for one command, as somebody has it who tests a program of his
//! own.
//!
//! The command is a shell that prints its environment and waits for the end of its input, so that a
//! test says when it ends; what it would send the test sends.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::rig::{PAGE_PATH, Talk, wait_until};

/// The command's end: its exit status, what it left on standard output, and what was said on
/// standard error.
struct Ended {
    code: Option<i32>,
    out: String,
    said: String,
}

struct Beside {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
    environment: HashMap<String, String>,
}

/// Postman, whom Ctrl-C reaches: a shell has its background jobs ignore it, and with them all that
/// they start.
fn program() -> Command {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignores_int = u64::from_str_radix(ignored.trim(), 16).unwrap() & 2 != 0;
    if !ignores_int {
        return Command::new(env!("CARGO_BIN_EXE_postman"));
    }
    let mut env = Command::new("env");
    env.args(["--default-signal=INT", env!("CARGO_BIN_EXE_postman")]);
    env
}

impl Beside {
    /// With these options, and a command that goes on with this script at the end of its input.
    fn start(options: &[&str], script: &str) -> Self {
        let mut child = program()
            .args(["serve", "--states", PAGE_PATH])
            .args(options)
            .args(["--", "sh", "-c", &format!("env; echo; cat; {script}")])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut environment = HashMap::new();
        loop {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once('=') else { break };
            environment.insert(name.to_owned(), value.to_owned());
        }
        Self { input: child.stdin.take(), child, output, environment }
    }

    fn value(&self, name: &str) -> &str {
        &self.environment[name]
    }

    fn maildir(&self) -> PathBuf {
        self.value("POSTMAN_MAILDIR").into()
    }

    fn folder(&self) -> PathBuf {
        self.maildir().parent().unwrap().to_owned()
    }

    fn connect(&self) -> Talk {
        let port = self.value("POSTMAN_PORT").parse::<u16>().unwrap();
        let stream = TcpStream::connect((self.value("POSTMAN_HOST"), port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut talk = Talk::new(stream);
        talk.expect("220");
        talk
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Waits for the end, which comes by itself.
    fn wait(mut self) -> Ended {
        let (mut out, mut said) = (String::new(), String::new());
        self.output.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        Ended { code: self.child.wait().unwrap().code(), out, said }
    }

    /// Lets the command go on.
    fn end(mut self) -> Ended {
        drop(self.input.take());
        self.wait()
    }
}

/// Sends one message, from HELO to QUIT.
fn send(talk: &mut Talk, to: &[&str], content: &str) {
    talk.say("HELO x", "250");
    talk.say("MAIL FROM:<app@example.org>", "250");
    for to in to {
        talk.say(&format!("RCPT TO:<{to}>"), "250");
    }
    talk.say("DATA", "354");
    talk.say(&format!("{content}."), "250");
    talk.say("QUIT", "221");
}

fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn a_command_finds_its_server_and_mail_for_any_domain_and_its_folder_goes_with_it() {
    let beside = Beside::start(&[], "echo done");
    assert_eq!(beside.value("POSTMAN_HOST"), "127.0.0.1");
    let url = format!("smtp://127.0.0.1:{}", beside.value("POSTMAN_PORT"));
    assert_eq!(beside.value("SMTP_URL"), url);
    let to = ["Alice@Example.COM", "bob@postman.local", "alice@other.example"];
    send(&mut beside.connect(), &to, "Subject: hi\r\n\r\nHello\r\n");
    for to in to {
        let file = only_file(&beside.maildir().join(to.to_lowercase()).join("new"));
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("Return-Path: <app@example.org>\n"), "{text}");
        assert!(text.contains(&format!("\nX-Postman-To: {to}\n")), "{text}");
        assert!(text.ends_with("\nSubject: hi\n\nHello\n"), "{text}");
    }
    assert!(!beside.maildir().join(".OTHER_SERVERS").exists());
    let folder = beside.folder();
    let Ended { code, out, said } = beside.end();
    assert_eq!((code, out.as_str(), said.as_str()), (Some(0), "done\n", ""));
    assert!(!folder.exists());
}

#[test]
fn a_command_that_fails_leaves_its_mail_transcript_and_log() {
    let beside = Beside::start(&[], "exit 7");
    send(&mut beside.connect(), &["alice@example.com"], "Subject: hi\r\n\r\nHello\r\n");
    let folder = beside.folder();
    let Ended { code, out, said } = beside.end();
    let expected = format!(
        "postman: the command ended with status 7; its mail, transcripts and log are in {}\n",
        folder.display()
    );
    assert_eq!((code, out.as_str(), said), (Some(7), "", expected));
    only_file(&folder.join("mail/alice@example.com/new"));
    let transcript = fs::read_to_string(only_file(&folder.join("transcripts"))).unwrap();
    assert!(transcript.contains("\nC: Subject: hi\nC: \nC: Hello\nC: .\nS: 250"), "{transcript}");
    assert!(fs::read_to_string(folder.join("log")).unwrap().contains(" message id=0001-1 "));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_the_configuration_and_the_options_say_overrules_what_a_command_has() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("postman.ron");
    fs::write(&config, "(mailboxes: ByUser, mailbox_format: Content)").unwrap();
    let maildir = place.path().join("mail");
    let options = ["--config", config.to_str().unwrap(), "--maildir", maildir.to_str().unwrap()];
    let beside = Beside::start(&options, ":");
    assert_eq!(beside.maildir(), maildir);
    send(&mut beside.connect(), &["bob@postman.local"], "\u{feff}Subject: x\r\n\r\n..\r\n");
    let file = only_file(&maildir.join("bob/new"));
    // Not an octet is ours.
    assert_eq!(fs::read_to_string(&file).unwrap(), "\u{feff}Subject: x\r\n\r\n.\r\n");
    assert_eq!(beside.end().code, Some(0));
    assert!(file.exists(), "a folder that was named is not removed");
}

#[test]
fn a_command_is_outside_the_sandbox_and_all_that_serves_is_inside() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file");
    let script = format!("grep NoNewPrivs: /proc/self/status; echo x >{}", file.display());
    let beside = Beside::start(&[], &script);
    send(&mut beside.connect(), &["a@example.com"], "\r\n");
    let (mut free, mut confined) = (Vec::new(), 0);
    for task in fs::read_dir(format!("/proc/{}/task", beside.child.id())).unwrap() {
        let task = task.unwrap().path();
        let status = fs::read_to_string(task.join("status")).unwrap();
        if status.contains("NoNewPrivs:\t1\n") {
            confined += 1;
        } else {
            free.push(fs::read_to_string(task.join("comm")).unwrap());
        }
    }
    // The thread that waits, and the one that waits for the command.
    assert!(free.len() == 2 && confined >= 4, "{free:?} {confined}");
    let Ended { code, out, said } = beside.end();
    assert_eq!((code, out.as_str(), said.as_str()), (Some(0), "NoNewPrivs:\t0\n", ""));
    assert_eq!(fs::read_to_string(file).unwrap(), "x\n");
}

/// Python and bash keep the mask that they are given: with one, what they start cannot be ended.
#[test]
fn a_command_begins_with_no_signal_held_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(["serve", "--", "grep", "SigBlk:", "/proc/self/status"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "SigBlk:\t0000000000000000\n");
}

#[test]
fn a_command_is_ended_with_its_server() {
    let beside = Beside::start(&[], ":");
    let folder = beside.folder();
    kill_process(beside.pid(), Signal::TERM).unwrap();
    let Ended { code, said, .. } = beside.wait();
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("the command ended with signal 15"), "{said}");
    fs::remove_dir_all(folder).unwrap();
}

/// As a terminal sends it: to each process of the group.
#[test]
fn ctrl_c_reaches_the_command_which_may_end_as_it_likes() {
    let mut beside = Beside::start(&[], ":");
    // A shell that has not started `cat` yet would leave that without the signal.
    beside.input.as_mut().unwrap().write_all(b"x\n").unwrap();
    beside.output.read_line(&mut String::new()).unwrap();
    let folder = beside.folder();
    kill_process_group(beside.pid(), Signal::INT).unwrap();
    let Ended { code, said, .. } = beside.wait();
    assert_eq!(code, Some(130), "{said}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_command_that_cannot_be_run_is_one_line_and_nothing_is_left() {
    let temporary = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_postman"))
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        run(&["serve", "--", "/no/such/program"]),
        "postman: cannot run /no/such/program: No such file or directory\n"
    );
    let said = run(&["serve", "--user", "nobody", "--", "true"]);
    assert!(said.starts_with("postman: a command after `--` runs with your own rights"), "{said}");
}

#[test]
fn after_so_many_messages_a_server_stops_and_its_last_client_can_say_goodbye() {
    let beside = Beside::start(&["--messages", "2"], ":");
    let mut first = beside.connect();
    first.deliver();
    let mut second = beside.connect();
    second.deliver();
    second.say("QUIT", "221");
    // The other one is told, and the command is ended for the server.
    assert!(first.rest().starts_with("421 "));
    let Ended { code, said, .. } = beside.wait();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    // A client that goes on holds the server up for a second.
    let beside = Beside::start(&["--messages", "1"], ":");
    let mut only = beside.connect();
    only.deliver();
    assert!(only.rest().starts_with("421 "));
    assert_eq!(beside.wait().code, Some(0));
}

/// A file of faults.
fn faults(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.def");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

const SECOND: &str =
    "fault = { says = \"not twice\"; path = '.* MAIL RCPT RCPT'; reply = '451 4.2.1 Later'; };\n";

#[test]
fn each_fault_is_counted_and_the_counts_and_transcripts_are_the_same_each_time() {
    let (_folder, path) = faults(SECOND);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let beside = Beside::start(&["--faults", &path], "exit 3");
        // Four clients at once.
        let mut clients: Vec<_> = (0..4).map(|_| beside.connect()).collect();
        for line in ["HELO x", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "RCPT TO:<c@x.org>"] {
            for client in &mut clients {
                client.say(line, if line.contains("c@") { "451 4.2.1 Later" } else { "250" });
            }
        }
        for client in &mut clients {
            client.say("QUIT", "221");
            assert!(client.is_closed());
        }
        let folder = beside.folder();
        let Ended { code, said, .. } = beside.end();
        assert_eq!(code, Some(3));
        let (told, kept) = said.split_once('\n').unwrap();
        assert_eq!(told, "  fault \"not twice\" fired 4 times");
        assert!(kept.starts_with("postman: the command ended with status 3; "), "{kept}");
        let files = fs::read_dir(folder.join("transcripts")).unwrap();
        let mut texts: Vec<_> =
            files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        texts.sort();
        assert_eq!(texts.len(), 4);
        assert!(texts.iter().all(|text| text.contains("\nC: RCPT TO:<c@x.org>\n")), "{texts:?}");
        seen.push(texts);
        fs::remove_dir_all(folder).unwrap();
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
}

#[test]
fn a_fault_that_never_fired_is_a_failure_with_the_dialogue_that_would_fire_it() {
    let (_folder, path) = faults(SECOND);
    let run = |more: &[&str], command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_postman"))
            .args(["serve", "--states", PAGE_PATH, "--faults", &path])
            .args(more)
            .args(["--", "sh", "-c", command])
            .output()
            .unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let told = "  fault \"not twice\" NEVER FIRED; this would: HELO MAIL RCPT RCPT\n";
    let (code, said) = run(&[], ":");
    assert_eq!(code, Some(1));
    let kept = said.strip_prefix(told).unwrap();
    let folder = kept
        .strip_prefix("postman: a fault never fired, which `--unfired ok` allows; its mail, transcripts and log are in ")
        .unwrap();
    fs::remove_dir_all(folder.trim_end()).unwrap();
    assert_eq!(run(&["--unfired", "ok"], ":"), (Some(0), told.to_owned()));
    // The command's own failure comes first.
    let (code, said) = run(&[], "exit 9");
    assert!(code == Some(9) && said.starts_with(told), "{said}");
    fs::remove_dir_all(said.rsplit_once(" are in ").unwrap().1.trim_end()).unwrap();
}

#[test]
fn a_free_port_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(["serve", "--port", "0", "--maildir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port = lines.find_map(|line| line.trim().strip_prefix("port").map(str::to_owned)).unwrap();
    lines.find(|line| line.contains("swaks")).unwrap();
    let port: u16 = port.trim().parse().unwrap();
    let mut talk = Talk::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    talk.expect("220");
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_script_waits_for_a_message_looks_at_it_and_clears() {
    let place = tempfile::tempdir().unwrap();
    let maildir = place.path().join("mail");
    let postman = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_postman"))
            .args(arguments)
            .env("POSTMAN_MAILDIR", &maildir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let run = |arguments: &[&str]| {
        let output = postman(arguments).wait_with_output().unwrap();
        let [out, said] =
            [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap());
        Ended { code: output.status.code(), out, said }
    };
    let beside = Beside::start(&["--maildir", maildir.to_str().unwrap()], ":");
    // It waits before there is a mailbox.
    let waiting = postman(&["wait", "--to", "Alice", "--subject", "Grüße", "--timeout", "60s"]);
    send(&mut beside.connect(), &["alice@example.com"], "Subject: other\r\n\r\nx\r\n");
    let content = "Subject: =?utf-8?q?Viele_Gr=C3=BC=C3=9Fe?=\r\n\r\n\u{1b}[31mHello\r\n";
    send(&mut beside.connect(), &["alice@example.com", "bob@example.com"], content);
    let waited = waiting.wait_with_output().unwrap();
    let file = String::from_utf8(waited.stdout).unwrap().trim_end().to_owned();
    assert!(fs::read_to_string(&file).unwrap().contains("Hello"), "{file}");
    // What is there already is there at once, by its whole address too.
    let again = run(&["wait", "--to", "bob@example.com", "--timeout", "0s"]);
    assert_eq!(again.code, Some(0), "{}", again.said);

    let late = run(&["wait", "--to", "carol", "--timeout", "30ms"]);
    let (first, second) = late.said.split_once('\n').unwrap();
    assert_eq!((late.code, late.out.as_str()), (Some(1), ""));
    let folder = maildir.display();
    assert_eq!(first, format!("postman: no message to carol within 0.03 s in {folder}"));
    assert!(
        second.starts_with("postman: 3 messages there do not match; the latest: to=<"),
        "{second}"
    );

    let listed = run(&["mail", "list"]).out;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let line = "to=<bob@example.com> from=<app@example.org> subject=\"Viele Grüße\"";
    assert!(listed.contains(line), "{listed}");
    let json = run(&["mail", "list", "--to", "bob", "--format", "json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["to"][0], "bob@example.com");
    let shown = run(&["mail", "show", "--to", "bob"]).out;
    assert!(shown.contains("recipients: bob@example.com\n"), "{shown}");
    // A terminal obeys nothing of it.
    assert!(shown.ends_with("Subject: Viele Grüße\n\n[31mHello\n"), "{shown:?}");
    assert_eq!(run(&["mail", "show", "--to", "bob", "--source"]).out.matches('\u{1b}').count(), 1);

    assert_eq!(run(&["mail", "clear", "--to", "bob"]).out, "1 messages removed\n");
    assert_eq!(run(&["mail", "clear"]).out, "2 messages removed\n");
    assert_eq!(run(&["mail", "list"]).out, "");
    let unnamed = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(["mail", "clear"])
        .env_remove("POSTMAN_MAILDIR")
        .current_dir(place.path())
        .output()
        .unwrap();
    assert_eq!(unnamed.status.code(), Some(2));
    assert_eq!(beside.end().code, Some(0));
}

/// The queue's form is another, and its mail is found by its recipients.
#[test]
fn mail_in_the_queue_is_found_by_its_recipients() {
    let place = tempfile::tempdir().unwrap();
    let maildir = place.path().join("mail");
    let config = place.path().join("postman.ron");
    fs::write(&config, "(mailboxes: ByUser)").unwrap();
    let maildir = maildir.to_str().unwrap();
    let beside = Beside::start(&["--config", config.to_str().unwrap(), "--maildir", maildir], ":");
    let to = ["carol@other.example", "\"d,e\"@other.example"];
    send(&mut beside.connect(), &to, "Subject: x\r\n\r\nx\r\n");
    let output = Command::new(env!("CARGO_BIN_EXE_postman"))
        .args(["mail", "list", "--to", "carol", "--maildir", maildir])
        .output()
        .unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let end = "to=<carol@other.example>,<\\\"d,e\\\"@other.example> from=<app@example.org> subject=\"x\"\n";
    assert!(line.ends_with(end), "{line}");
    wait_until("the file", || !line.is_empty());
    assert_eq!(beside.end().code, Some(0));
}
