//! Several listeners at once: each with its page and its kind of line, unix sockets, and systemd's
//! sockets by their names.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::peer::PAGE;
use crate::rig::{PAGE_PATH, Server, fields, postman, skip, text, wait_until};
use crate::secure::{Keys, Secure, VERSIONS, client, client_config};

/// A configuration in a folder of its own; `FOLDER` in the keys is its path.
struct Place(tempfile::TempDir);

impl Place {
    fn new(keys: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(keys);
        place
    }

    fn write(&self, keys: &str) {
        let keys = keys.replace("FOLDER", self.0.path().to_str().unwrap());
        let mail = self.path("mail");
        fs::write(self.path("postman.ron"), format!("(maildir_path: \"{mail}\", {keys})")).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn check(&self, more: &[&str]) -> (Option<i32>, String) {
        let config = self.path("postman.ron");
        let said =
            postman(&[&["check", "--states", PAGE_PATH, "--config", &config], more].concat());
        (said.status.code(), text(&said.stdout) + &text(&said.stderr))
    }
}

/// A client's first word and what it hears, to a unix socket.
struct Local(BufReader<UnixStream>);

impl Local {
    fn connect(path: &str) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut local = Self(BufReader::new(stream));
        local.expect("220");
        local
    }

    fn expect(&mut self, begin: &str) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            text += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        assert!(text.starts_with(begin), "expected {begin}, got {text:?}");
        text
    }

    fn say(&mut self, line: &str, reply: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.expect(reply)
    }
}

#[test]
fn each_listener_has_its_own_page_and_its_own_kind_of_line() {
    let keys = Keys::new();
    let page = keys.path("small.def");
    let small = PAGE.replace(
        "{ tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP;",
        "{ tst = init, client_init, tls_init, client_ready, begin_transaction, transaction; tev = NOOP; reply = '250 2.0.0 small';",
    );
    let small = small.replace(
        "reply = '250 2.0.0 small'; ttype = answer;  reply = 250;",
        "ttype = answer; reply = '250 2.0.0 small';",
    );
    fs::write(&page, small).unwrap();
    let server = Server::start_listening(&format!(
        "({}, listeners: [(address: \"127.0.0.1:0\"), (address: \"127.0.0.1:0\", states: \"{}\", tls: Never),
          (address: \"127.0.0.1:0\", tls: FirstOctet)])",
        keys.ron(&["a"]),
        page.display()
    ));
    let addresses: Vec<SocketAddr> =
        server.addresses.iter().map(|address| address.parse().unwrap()).collect();
    assert_eq!(addresses.len(), 3);
    let mut one = server.connect();
    assert!(one.say("EHLO x", "250").contains("STARTTLS"));
    one.say("NOOP", "250 2.0.0 OK");
    let mut two = Server::connect_to(addresses[1]);
    two.expect("220");
    assert!(!two.say("EHLO x", "250").contains("STARTTLS"));
    two.say("STARTTLS", "500");
    two.say("NOOP", "250 2.0.0 small");
    two.deliver();
    let stream = Server::connect_to(addresses[2]).into_stream();
    let mut three = Secure::over(stream, client(&client_config(VERSIONS[1]), "mail.example.org"));
    three.expect("220");
    three.say("NOOP", "250 2.0.0 OK");
    three.deliver();
    assert_eq!(server.files("user/new").len(), 2);
}

#[test]
fn check_says_of_each_listener_what_it_is() {
    let keys = Keys::new();
    let place = Place::new("");
    place.write(&format!(
        "{}, listeners: [(address: \"127.0.0.1:0\"), (address: \"127.0.0.1:0\", tls: FirstOctet),
          (address: \"unix:FOLDER/smtp\", tls: Never, may_relay: true, states: \"{}\")]",
        keys.ron(&["a"]),
        PAGE_PATH
    ));
    let (code, said) = place.check(&[]);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let block = |begin: &str| {
        let first = lines.iter().rposition(|line| line.starts_with(begin)).unwrap();
        lines[first..].iter().take(6).map(|line| line.trim()).collect::<Vec<_>>().join("\n")
    };
    let offers = "PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES";
    let local = block("  address     unix:");
    for expected in [
        format!("encrypted   never\noffers      {offers}\ndefinition  "),
        "left out    STARTTLS: its tls is Never".to_owned(),
        "may relay   each of its clients".to_owned(),
    ] {
        assert!(local.contains(&expected), "{expected}\n{said}");
    }
    for expected in [
        format!("  encrypted   after STARTTLS\n  offers      {offers}, STARTTLS\n"),
        format!("  encrypted   from the first octet\n  offers      {offers}\n"),
        "  left out    STARTTLS: its lines are encrypted already\n".to_owned(),
    ] {
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
    // What it has made is taken back.
    assert!(!fs::exists(place.path("smtp")).unwrap());
}

#[test]
fn what_cannot_be_opened_is_refused_with_what_to_do() {
    let keys = Keys::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let place = Place::new("");
    let clear = PAGE.replace(
        "{ tst = init, client_init;               tev = STARTTLS;",
        "{ tst = client_init;                     tev = STARTTLS;",
    );
    let clear = clear.replace(
        "after = '[^ STARTTLS MAIL QUIT]*';                         accepts = STARTTLS;",
        "after = '[HELO EHLO]';                                     accepts = STARTTLS;",
    );
    fs::write(place.path("clear.def"), clear).unwrap();
    fs::write(place.path("file"), "").unwrap();
    let busy = place.path("busy");
    let _busy = UnixListener::bind(&busy).unwrap();
    let certificates = keys.ron(&["a"]);
    for (keys, expected) in [
        (
            format!("listeners: [(address: \"127.0.0.1:0\"), (address: \"{taken}\")]"),
            format!("cannot listen on {taken}: Address already in use; another program has this port"),
        ),
        (
            format!("{certificates}, listeners: [(address: \"127.0.0.1:0\", tls: FirstOctet, states: \"FOLDER/clear.def\")]"),
            "which is encrypted from the first octet: FOLDER/clear.def has no row for STARTTLS in its first state".to_owned(),
        ),
        (
            "listeners: [(address: \"127.0.0.1:0\", tls: FirstOctet)]".to_owned(),
            "listeners has 127.0.0.1:0 with tls: FirstOctet, which needs `certificates`".to_owned(),
        ),
        (
            "listeners: [(address: \"127.0.0.1:0\", may_relay: true)]".to_owned(),
            "with may_relay, which is for unix sockets; `relay_from` names networks".to_owned(),
        ),
        (
            "port: 25, listeners: [(address: \"127.0.0.1:0\")]".to_owned(),
            "port is the short form of `listeners`; leave one of the two out".to_owned(),
        ),
        ("listeners: [(tls: Never)]".to_owned(), "listeners: lacks the key `address`".to_owned()),
        (
            "listeners: [(address: \"smtp\")]".to_owned(),
            "listeners.address must be an address in quotes, such as \"[::]:25\"".to_owned(),
        ),
        (
            "listeners: [(adress: \"127.0.0.1:0\")]".to_owned(),
            "listeners: unknown key `adress`; did you mean `address`?".to_owned(),
        ),
        (
            "certificates: [(chain: \"/a\")]".to_owned(),
            "certificates: lacks the key `key`".to_owned(),
        ),
        (
            "listeners: [(address: \"systemd:smtp\")]".to_owned(),
            "systemd gave no socket that is called smtp; a socket unit names it by FileDescriptorName=smtp".to_owned(),
        ),
        (
            "listeners: [(address: \"unix:FOLDER/none/smtp\")]".to_owned(),
            "cannot listen on unix:FOLDER/none/smtp: No such file or directory; its folder is missing".to_owned(),
        ),
        (
            "listeners: [(address: \"unix:FOLDER/file\")]".to_owned(),
            "cannot listen on unix:FOLDER/file: Address already in use; a file is in its place, which is no socket".to_owned(),
        ),
        (
            "listeners: [(address: \"unix:FOLDER/busy\")]".to_owned(),
            "cannot listen on unix:FOLDER/busy: another server listens on it".to_owned(),
        ),
    ] {
        place.write(&keys);
        let (code, said) = place.check(&[]);
        let said = said.replace(place.0.path().to_str().unwrap(), "FOLDER");
        assert_eq!(code, Some(2), "{keys}\n{said}");
        assert!(said.contains(&expected), "{expected}\n{said}");
        assert!(fs::exists(&busy).unwrap());
    }
    place.write("listeners: [(address: \"127.0.0.1:0\")]");
    for option in ["--listen", "--port"] {
        let (code, said) = place.check(&[option, "2525"]);
        let expected = format!("{option} is for one listener");
        assert!(code == Some(2) && said.contains(&expected), "{said}");
    }
}

#[test]
fn a_command_is_told_the_kind_of_line_of_the_first_listener() {
    let keys = Keys::new();
    for (kind, expected) in
        [("StartTls", "smtp://127.0.0.1:"), ("FirstOctet", "smtps://127.0.0.1:")]
    {
        let place = Place::new(&format!(
            "{}, listeners: [(address: \"127.0.0.1:0\", tls: {kind})]",
            keys.ron(&["a"])
        ));
        let config = place.path("postman.ron");
        let output = postman(&[
            "serve",
            "--states",
            PAGE_PATH,
            "--config",
            &config,
            "--",
            "sh",
            "-c",
            "echo $SMTP_URL",
        ]);
        let said = text(&output.stdout);
        assert!(said.starts_with(expected), "{said}{}", text(&output.stderr));
    }
}

#[test]
fn a_client_on_a_unix_socket_is_local_and_relays_only_where_its_listener_says_so() {
    let keys = Keys::new();
    let [usual, relaying] = ["usual", "relaying"].map(|name| keys.path(name));
    // What a server left that was killed is in nobody's way.
    drop(UnixListener::bind(&usual).unwrap());
    assert!(fs::exists(&usual).unwrap());
    let mut server = Server::start_listening(&format!(
        "({}, connections_per_address_max: 1, connects_per_second_max: 1,
          listeners: [(address: \"127.0.0.1:0\"), (address: \"unix:{}\"), (address: \"unix:{}\", may_relay: true)])",
        keys.ron(&["a"]),
        usual.display(),
        relaying.display()
    ));
    let (usual, relaying) = (usual.to_str().unwrap(), relaying.to_str().unwrap());
    assert_eq!(fs::metadata(usual).unwrap().permissions().mode() & 0o777, 0o666);
    // No cap of an address holds a client that has none.
    let mut locals: Vec<Local> = (0..5).map(|_| Local::connect(usual)).collect();
    let local = &mut locals[0];
    assert!(local.say("EHLO x.org", "250").contains("STARTTLS"));
    local.say("MAIL FROM:<a@x.org>", "250");
    local.say("RCPT TO:<b@other.server>", "550 5.7.1");
    local.say("RCPT TO:<user@postman.local>", "250");
    // An address literal names a server that has an address.
    local.say("RCPT TO:<user@[127.0.0.1]>", "550 5.7.1");
    local.say("DATA", "354");
    local.say("Subject: x\r\n\r\nx\r\n.", "250");
    let file = server.files("user/new").remove(0);
    let trace = fields(&file).value("Received").unwrap().to_owned();
    assert!(
        trace.starts_with("from x.org (local)\tby postman.local (Postman) with ESMTP id"),
        "{trace}"
    );

    let mut local = Local::connect(relaying);
    local.say("EHLO x.org", "250");
    local.say("MAIL FROM:<a@x.org>", "250");
    local.say("RCPT TO:<b@other.server>", "250");
    local.say("DATA", "354");
    local.say("Subject: x\r\n\r\nx\r\n.", "250");
    let file = server.files(".OTHER_SERVERS/other.server").remove(0);
    assert_eq!(fields(&file).value("X-Postman-Client"), Some("local"));

    // STARTTLS works there, too.
    locals[1].say("EHLO x", "250");
    locals[1].say("STARTTLS", "220");
    let stream = locals.remove(1).0.into_inner();
    let tls = client(&client_config(VERSIONS[1]), "mail.example.org");
    Secure::over(stream, tls).deliver();
    assert_eq!(server.files("user/new").len(), 2);
    assert_eq!(server.stop(), Some(0));
    assert!(!fs::exists(usual).unwrap() && !fs::exists(relaying).unwrap());
}

/// A server that is handed two sockets by these names.
fn handed(names: &str, place: &Place) -> (std::process::Child, SocketAddr, SocketAddr) {
    let sockets = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = [0, 1].map(|number: usize| sockets[number].local_addr().unwrap());
    let [first, second] = sockets;
    let script = format!(
        "exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES={names}; exec \"$0\" \"$@\""
    );
    let child = Command::new("sh")
        .args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_postman"),
            "serve",
            "--states",
            PAGE_PATH,
            "--config",
        ])
        .arg(place.path("postman.ron"))
        .stdin(Stdio::from(OwnedFd::from(first)))
        .stdout(Stdio::from(OwnedFd::from(second)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, one, two)
}

#[test]
fn two_sockets_of_systemd_s_are_told_apart_by_their_names() {
    let keys = Keys::new();
    let place = Place::new("");
    let list =
        "listeners: [(address: \"systemd:smtps\", tls: FirstOctet), (address: \"systemd:smtp\")]";
    place.write(&format!("{}, {list}", keys.ron(&["a"])));
    let (mut child, smtp, smtps) = handed("smtp:smtps", &place);
    let mut talk = Server::connect_to(smtp);
    talk.expect("220");
    assert!(talk.say("EHLO x", "250").contains("STARTTLS"));
    let stream = Server::connect_to(smtps).into_stream();
    let mut secure = Secure::over(stream, client(&client_config(VERSIONS[1]), "mail.example.org"));
    secure.expect("220");
    secure.deliver();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for (names, keys, expected) in [
        ("smtp:other", list, "systemd gave no socket that is called smtps"),
        (
            "smtp:other",
            "listeners: [(address: \"systemd:smtp\")]",
            "systemd gave the socket other, and no listener has the address \"systemd:other\"",
        ),
        ("smtp:smtps", "port: 0", "2 sockets were given, expected one; `listeners` names several"),
    ] {
        place.write(keys);
        if keys == list {
            place.write(&format!("{}, {list}", Keys::ron(&self::Keys::new(), &["a"])));
        }
        let (child, ..) = handed(names, &place);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{expected}\n{said}");
    }
}

/// The same by systemd's own program.
#[test]
fn systemd_socket_activate_hands_on_two_sockets_by_name() {
    if Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        return skip("there is no systemd-socket-activate");
    }
    let place = Place::new(
        "listeners: [(address: \"systemd:two\"), (address: \"systemd:one\", may_relay: true)]",
    );
    let port = {
        // It takes no port 0: one that is free now.
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let path = place.path("one");
    let mut child = Command::new("systemd-socket-activate")
        .args(["--fdname=one:two", "--listen", &path, "--listen", &port.to_string()])
        .arg(env!("CARGO_BIN_EXE_postman"))
        .args(["serve", "--states", PAGE_PATH, "--config", &place.path("postman.ron")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("systemd's program", || TcpStream::connect(port).is_ok());
    let mut talk = Server::connect_to(port);
    talk.expect("220");
    talk.deliver();
    let mut local = Local::connect(&path);
    local.say("HELO x", "250");
    local.say("MAIL FROM:<>", "250");
    local.say("RCPT TO:<b@other.server>", "250");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    local.expect("421");
    let _ = local.0.read(&mut [0]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
