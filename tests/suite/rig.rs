//! The second peer: a session without a socket, and a server in a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use postman::smtp::machine::BUILT;
use postman::smtp::path::Domain;
use postman::smtp::session::{Client, Input, Output, Question, Session, Settings, Step, Verdict};
use tempfile::TempDir;

/// A session with a store that takes all, and users that are all but `nobody`.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) said: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) steps: Vec<Step>,
    pub(crate) open: bool,
}

pub(crate) fn settings() -> Settings {
    Settings {
        machine: &BUILT,
        domain: Domain::Name("postman.local".to_owned()),
        strict_helo: false,
        refuse_bare_newline: true,
        verify_honestly: false,
        line_bytes_max: 1000,
        message_bytes_max: 100_000,
        recipients_max: 100,
        errors_max: 20,
        commands_max: 10_000,
        recipients_per_session_max: 200,
        header_bytes_max: 50_000,
        received_max: 100,
    }
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        let client = Client {
            id: "1".to_owned(),
            address: [127, 0, 0, 1].into(),
            local: [127, 0, 0, 1].into(),
            may_relay: false,
        };
        let session = Session::new(Arc::new(settings), client);
        let mut peer = Self { session, said: Vec::new(), content: Vec::new(), steps: Vec::new(), open: true };
        peer.give(Input::Connect);
        peer
    }

    pub(crate) fn give(&mut self, input: Input<'_>) {
        let enhanced = self.session.shows_enhanced();
        let mut verdict = None;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            match output {
                Output::Reply(reply) => reply.write(&mut self.said, enhanced),
                Output::Ask(Question::Recipient(local)) if local.folded() == "nobody" => {
                    verdict = Some(Verdict::Unknown);
                }
                Output::Ask(_) => verdict = Some(Verdict::Yes),
                Output::Open(_) | Output::Discard => self.content.clear(),
                Output::Content(content) => self.content.extend_from_slice(content),
                Output::Step(step) => self.steps.push(step),
                Output::Refused(..) => {}
                Output::Close => self.open = false,
            }
        }
        drop(outputs);
        if let Some(verdict) = verdict {
            self.give(Input::Verdict(verdict));
        }
    }
}

/// A server in a process of its own, on a port of its own. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
}

impl Server {
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, ":")
    }

    /// The same, after a command of the shell.
    pub(crate) fn start_with(config: &str, before: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postman.ron");
        fs::write(&path, config).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_postman")])
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&path)
            .arg("--maildir")
            .arg(folder.path().join("maildir"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().trim().strip_prefix("address").map(str::to_owned)).unwrap();
        let address = line.trim().parse().unwrap();
        // The rest must be read too, or the pipe breaks.
        lines.find(|line| line.as_ref().unwrap().contains("swaks")).unwrap().unwrap();
        Self { child, address, folder }
    }

    pub(crate) fn connect(&self) -> Talk {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut talk = Talk { reader: BufReader::new(stream) };
        talk.expect("220");
        talk
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal();
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// The memory that the server has to itself, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let text = fs::read_to_string(self.proc("status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The descriptors that the server has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// The files of a folder below the maildir, not of its folders.
    pub(crate) fn files(&self, place: &str) -> Vec<Vec<u8>> {
        let folder = self.folder.path().join("maildir").join(place);
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
        files.retain(|path| Path::is_file(path));
        files.sort();
        files.iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client.
pub(crate) struct Talk {
    reader: BufReader<TcpStream>,
}

impl Talk {
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).unwrap();
    }

    /// Reads one whole reply, which must begin so.
    pub(crate) fn expect(&mut self, begin: &str) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            text += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        assert!(text.starts_with(begin), "expected {begin}, got {text:?}");
        text
    }

    pub(crate) fn say(&mut self, line: &str, reply: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.expect(reply)
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.reader.read(&mut [0]).is_ok_and(|taken| taken == 0)
    }
}
