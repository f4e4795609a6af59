//! The second peer: a session without a socket, and a server in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use postman::config::{Config, Users};
use postman::smtp::envelope::Envelope;
use postman::smtp::machine::BUILT;
use postman::smtp::session::{Client, Input, Output, Question, Session, Step, Verdict};
use tempfile::TempDir;

/// Numbers that only look random: the same seed, the same numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// `POSTMAN_SEED`, or another each time. Print it.
    pub(crate) fn seed() -> u64 {
        let given = std::env::var("POSTMAN_SEED").ok().and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    /// splitmix64
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, which is not among them.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// A session, with the users of its configuration and a store that takes all but where
/// `verdicts` says otherwise. It holds the session to its contract.
pub(crate) struct Peer {
    pub(crate) session: Session,
    users: Users,
    /// What the session said and `take_reply` has not taken.
    pub(crate) said: Vec<u8>,
    /// The content of the message at hand.
    pub(crate) content: Vec<u8>,
    /// Whether a message is open.
    pub(crate) draft: bool,
    /// What the store was asked to make safe.
    pub(crate) stored: Vec<Vec<u8>>,
    pub(crate) envelopes: Vec<Envelope>,
    pub(crate) steps: Vec<Step>,
    pub(crate) refused: Vec<(String, u16)>,
    pub(crate) questions: usize,
    /// By the number of their question.
    pub(crate) verdicts: BTreeMap<usize, Verdict>,
    pub(crate) open: bool,
}

impl Peer {
    /// A session that has greeted its client.
    pub(crate) fn new(config: &Config) -> Self {
        let address = [127, 0, 0, 1].into();
        let may_relay = config.relay_from.iter().any(|network| network.contains(address));
        let client = Client { id: "1".to_owned(), address, local: address, may_relay };
        let session = Session::new(Arc::new(config.settings(&BUILT)), client);
        let mut peer = Self {
            session,
            users: config.users.clone(),
            said: Vec::new(),
            content: Vec::new(),
            draft: false,
            stored: Vec::new(),
            envelopes: Vec::new(),
            steps: Vec::new(),
            refused: Vec::new(),
            questions: 0,
            verdicts: BTreeMap::new(),
            open: true,
        };
        peer.give(Input::Connect);
        peer
    }

    pub(crate) fn give(&mut self, input: Input<'_>) {
        let enhanced = self.session.shows_enhanced();
        let mut asked = None;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            assert!(self.open, "an output after the end: {output:?}");
            match output {
                Output::Reply(reply) => reply.write(&mut self.said, enhanced),
                Output::Ask(question) => {
                    assert!(asked.replace(question).is_none(), "two questions at once");
                }
                Output::Open(envelope) => {
                    assert!(!std::mem::replace(&mut self.draft, true), "a message within a message");
                    self.envelopes.push(*envelope);
                    self.content.clear();
                }
                Output::Content(content) => {
                    assert!(self.draft && !content.is_empty(), "content without a message");
                    self.content.extend_from_slice(content);
                }
                Output::Discard => {
                    assert!(std::mem::replace(&mut self.draft, false), "no message to discard");
                    self.content.clear();
                }
                Output::Step(step) => self.steps.push(step),
                Output::Refused(line, code) => self.refused.push((line, code)),
                Output::Close => self.open = false,
            }
        }
        drop(outputs);
        if matches!(input, Input::HangUp) || !self.open {
            assert!(!self.draft && asked.is_none(), "an end that leaves something open");
        }
        if let Some(question) = asked {
            let verdict = match question {
                Question::Recipient(local) if !self.users.contains(&local) => Verdict::Unknown,
                Question::Store => {
                    assert!(std::mem::replace(&mut self.draft, false), "no message to store");
                    self.stored.push(std::mem::take(&mut self.content));
                    Verdict::Yes
                }
                _ => Verdict::Yes,
            };
            let verdict = self.verdicts.get(&self.questions).copied().unwrap_or(verdict);
            self.questions += 1;
            self.give(Input::Verdict(verdict));
        }
    }

    /// The oldest reply that was not taken, whole.
    pub(crate) fn take_reply(&mut self) -> Option<String> {
        let mut end = 0;
        for line in self.said.split_inclusive(|octet| *octet == b'\n') {
            end += line.len();
            if line.get(3) == Some(&b' ') {
                break;
            }
        }
        let reply: Vec<u8> = self.said.drain(..end).collect();
        (end > 0).then(|| String::from_utf8(reply).unwrap())
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

    /// The same, after a command of the shell, which finds the configuration's path in `$4`.
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
        let mut talk = self.connect_quietly();
        talk.expect("220");
        talk
    }

    /// A client that has not read its greeting.
    pub(crate) fn connect_quietly(&self) -> Talk {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Talk { reader: BufReader::new(stream) }
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal();
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self) {
        self.send_signal(rustix::process::Signal::TERM);
    }

    pub(crate) fn send_signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn proc(&self, name: &str) -> PathBuf {
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

    /// Sends one message to user@postman.local.
    pub(crate) fn deliver(&mut self) {
        self.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
        for code in ["250", "250", "250", "354"] {
            self.expect(code);
        }
        self.send(b"Subject: x\r\n\r\nx\r\n");
        self.say(".", "250");
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.reader.read(&mut [0]).is_ok_and(|taken| taken == 0)
    }
}

/// Something that a test waits for, which must come within a minute.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says aloud that a test cannot run here; where CI demands all of them, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_none(), "cannot run: {why}");
    eprintln!("SKIPPED: {why}");
}
