//! A server in a process of its own, its client, and numbers that look random.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

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

/// The file of [`crate::peer::PAGE`].
pub(crate) const PAGE_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp-states.def");

/// The program that serves: `POSTMAN_PROGRAM`, or the one that cargo has built for the tests.
fn program() -> std::ffi::OsString {
    let given = std::env::var_os("POSTMAN_PROGRAM");
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_postman").into())
}

/// Runs the program to its end.
pub(crate) fn postman(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postman")).args(arguments).output().unwrap()
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// A server in a process of its own, on a port of its own, by the tests' own page. Dropped, it is
/// killed, and each session that it had must play.
pub(crate) struct Server {
    child: Child,
    /// The first TCP port that it listens on.
    pub(crate) address: SocketAddr,
    /// All that it listens on.
    pub(crate) addresses: Vec<String>,
    /// Where its page is, if it has one.
    pub(crate) page: Option<SocketAddr>,
    pub(crate) folder: TempDir,
    /// The sockets that it has without any client.
    own_sockets: usize,
}

impl Server {
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, ":")
    }

    /// The same, after a command of the shell, which finds the configuration's path in `$4`.
    pub(crate) fn start_with(config: &str, before: &str) -> Self {
        Self::start_by(Some(PAGE_PATH.as_ref()), config, before)
    }

    /// The same by another definition, or by the built-in one.
    pub(crate) fn start_by(definition: Option<&Path>, config: &str, before: &str) -> Self {
        Self::launch(definition, None, config, before, &["--listen", "127.0.0.1:0"])
    }

    /// The same by the tests' own page, with these faults.
    pub(crate) fn start_with_faults(faults: &str, config: &str) -> Self {
        let listen = &["--listen", "127.0.0.1:0"];
        Self::launch(Some(PAGE_PATH.as_ref()), Some(faults), config, ":", listen)
    }

    /// One with the listeners that its configuration names, of which one at least is a TCP port.
    pub(crate) fn start_listening(config: &str) -> Self {
        Self::launch(Some(PAGE_PATH.as_ref()), None, config, ":", &[])
    }

    fn launch(
        definition: Option<&Path>,
        faults: Option<&str>,
        config: &str,
        before: &str,
        listen: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postman.ron");
        fs::write(&path, config).unwrap();
        let faults_path = folder.path().join("faults.def");
        fs::write(&faults_path, faults.unwrap_or_default()).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(program())
            .args(listen)
            .arg("--config")
            .arg(&path)
            .args(definition.map(|_| "--states"))
            .args(definition)
            .args(faults.map(|_| "--faults"))
            .args(faults.map(|_| &faults_path))
            .arg("--maildir")
            .arg(folder.path().join("maildir"))
            .arg("--transcripts")
            .arg(folder.path().join("transcripts"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // All must be read, or the pipe breaks.
        let mut addresses: Vec<String> = Vec::new();
        let mut page = None;
        for line in lines.by_ref().map(Result::unwrap).take_while(|line| !line.contains("swaks")) {
            let address = line.trim().strip_prefix("address");
            addresses.extend(address.map(|address| address.trim().to_owned()));
            let url = line.trim().strip_prefix("page").map(str::trim);
            let url = url.and_then(|url| url.strip_prefix("http://")?.strip_suffix('/'));
            page = page.or(url.and_then(|address| address.parse().ok()));
        }
        let address = addresses.iter().find_map(|address| address.parse().ok()).unwrap();
        let mut server = Self { child, address, addresses, page, folder, own_sockets: 0 };
        server.own_sockets = server.clients();
        server
    }

    pub(crate) fn connect(&self) -> Talk {
        let mut talk = self.connect_quietly();
        talk.expect("220");
        talk
    }

    /// A client that has not read its greeting.
    pub(crate) fn connect_quietly(&self) -> Talk {
        Self::connect_to(self.address)
    }

    /// A client of another listener, that has not read its greeting.
    pub(crate) fn connect_to(address: SocketAddr) -> Talk {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Talk::new(stream)
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

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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

    /// The clients whose sockets the server has open.
    pub(crate) fn clients(&self) -> usize {
        // A descriptor that is closed meanwhile leads nowhere.
        let leads_to =
            |entry: std::io::Result<fs::DirEntry>| fs::read_link(entry.ok()?.path()).ok();
        let open = fs::read_dir(self.proc("fd")).unwrap().filter_map(leads_to);
        let sockets = open.filter(|path| path.to_string_lossy().starts_with("socket:")).count();
        sockets - self.own_sockets
    }

    /// The files of a folder below the maildir, not of its folders.
    pub(crate) fn files(&self, place: &str) -> Vec<Vec<u8>> {
        let folder = self.folder.path().join("maildir").join(place);
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
        files.retain(|path| Path::is_file(path));
        files.sort();
        files.iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.play_transcripts();
        }
    }
}

impl Server {
    /// Each session goes again as it went: `--transcripts` has written it.
    fn play_transcripts(&self) {
        let Ok(files) = fs::read_dir(self.folder.path().join("transcripts")) else { return };
        let files = files.map(|file| file.unwrap().path());
        // One that was being written has a hidden name.
        let is_whole =
            |file: &PathBuf| !file.file_name().unwrap().to_string_lossy().starts_with('.');
        // An address literal is this server's own only for a client that has an address, as a
        // dialogue's client has.
        let has_address = |file: &PathBuf| {
            let text = fs::read_to_string(file).unwrap();
            !text.lines().next().unwrap_or_default().ends_with(" of local")
        };
        let files: Vec<_> = files.filter(is_whole).filter(has_address).collect();
        for files in files.chunks(200) {
            let mut play = Command::new(env!("CARGO_BIN_EXE_postman"));
            play.args(["fsm", "play"]).args(files);
            let played = play.output().unwrap();
            let said = String::from_utf8_lossy(&played.stderr);
            let shown = said.split(".smtp:").next().map(|path| format!("{path}.smtp"));
            let shown = shown.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
            assert!(played.status.success(), "{said}\n{shown}");
        }
    }
}

/// A client.
pub(crate) struct Talk<S: Read + Write = TcpStream> {
    pub(crate) reader: BufReader<S>,
}

impl<S: Read + Write> Talk<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).unwrap();
        self.reader.get_mut().flush().unwrap();
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

    /// All that comes until the server closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = Vec::new();
        self.reader.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Talk {
    /// Sends one message to user@postman.local.
    pub(crate) fn deliver(&mut self) {
        self.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
        for code in ["250", "250", "250", "354"] {
            self.expect(code);
        }
        self.send(b"Subject: x\r\n\r\nx\r\n");
        self.say(".", "250");
    }

    /// The socket, without what was read of it.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.reader.buffer().is_empty());
        self.reader.into_inner()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.reader.read(&mut [0]).is_ok_and(|taken| taken == 0)
    }
}

/// The fields at the begin of a file, each with its unfolded value: of a mailbox's the whole
/// header, of the queue's ours. docs/mailbox.md tells how a reader goes about it.
pub(crate) struct Fields(Vec<(String, String)>);

pub(crate) fn fields(file: &[u8]) -> Fields {
    let text = String::from_utf8_lossy(file).replace("\r\n", "\n");
    let head = text.split("\n\n").next().unwrap_or_default();
    let unfolded = head.replace("\n ", " ").replace("\n\t", "\t");
    let field =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Fields(unfolded.lines().filter_map(field).collect())
}

impl Fields {
    /// The first of this name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// Whom the file names: the list is split at the commas outside quoted strings.
    pub(crate) fn recipients(&self) -> Vec<String> {
        let mut addresses = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for sign in self.value("X-Postman-To").unwrap_or_default().chars() {
            match sign {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    addresses.push(String::new());
                    continue;
                }
                _ => {}
            }
            addresses.last_mut().unwrap().push(sign);
        }
        addresses.iter().map(|address| address.trim_start().to_owned()).collect()
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
