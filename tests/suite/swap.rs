//! What SIGHUP has read again: what is new is served to new sessions, what is wrong changes nothing.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::peer::PAGE;
use crate::rig::{Server, Talk, wait_until};

/// A server with the page in a file of its own, and with a log.
struct Swapped {
    server: Server,
    files: tempfile::TempDir,
}

/// The page with one more command, which has this answer.
fn with_xping(answer: &str) -> String {
    let row =
        format!("{{ tst = init, client_init; tev = XPING; ttype = answer; reply = '{answer}'; }};");
    let page = PAGE.replacen("EXPN, QUIT;", "EXPN, QUIT, XPING;", 1);
    let page = page.replacen("/* end of", &format!("transition = {row}\n/* end of"), 1);
    assert!(page.contains("QUIT, XPING") && page.contains(&row));
    page
}

/// The page with a row by which a transaction could begin within a transaction.
fn broken() -> String {
    let page = PAGE.replacen(
        "tst = client_init, client_ready;       tev = MAIL",
        "tst = client_init, client_ready, begin_transaction; tev = MAIL",
        1,
    );
    assert_ne!(page, PAGE);
    page
}

/// As editors save: another file gets the name.
fn save(path: &Path, text: &str) {
    let other = path.with_extension("new");
    fs::write(&other, text).unwrap();
    fs::rename(&other, path).unwrap();
}

impl Swapped {
    fn start(keys: &str, before: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (page, log) = (files.path().join("page.def"), files.path().join("log"));
        fs::write(&page, PAGE).unwrap();
        let config = format!("({keys} log: (files: [(\"{}\", \"info\")]))", log.display());
        Self { server: Server::start_by(Some(&page), &config, before), files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// SIGHUP; returns the lines of the log that follow, up to the end of the swap.
    fn hang_up(&self) -> String {
        let from = fs::metadata(self.path("log")).unwrap().len();
        // The log of a server under load is long.
        let new = || {
            let mut file = fs::File::open(self.path("log")).unwrap();
            file.seek(SeekFrom::Start(from)).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        let ends = ["- swap done", "- swap failed", "- swap unchanged"];
        self.server.send_signal(Signal::HUP);
        wait_until("the swap", || ends.iter().any(|end| new().contains(end)));
        new()
    }

    fn swap(&self, page: &str) -> String {
        save(&self.path("page.def"), page);
        self.hang_up()
    }
}

impl Drop for Swapped {
    fn drop(&mut self) {
        // Transcripts name the page's file, which is another one now. No other one is to come.
        self.server.stop();
        let _ = fs::remove_dir_all(self.server.folder.path().join("transcripts"));
    }
}

#[test]
fn a_session_keeps_its_table_and_the_next_has_the_new_one() {
    let swapped = Swapped::start("", ":");
    let mut old = swapped.server.connect();
    old.send(b"HELO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<user@postman.local>\r\nDATA\r\n");
    for code in ["250", "250", "250", "354"] {
        old.expect(code);
    }
    old.send(b"Subject: x\r\n\r\nhalf of it, ");
    let log = swapped.swap(&with_xping("250 2.0.0 pong"));
    assert!(log.contains("- swap change=\"XPING is accepted now\""), "{log}");
    assert!(
        log.contains("- swap definition=") && log.contains("- swap done sessions_with_the_old=1"),
        "{log}"
    );
    let mut new = swapped.server.connect();
    new.say("XPING", "250 2.0.0 pong");
    old.send(b"and the rest\r\n");
    old.say(".", "250");
    old.say("XPING", "500");
    assert!(
        String::from_utf8_lossy(&swapped.server.files("user/new")[0])
            .contains("half of it, and the rest")
    );
    // Nothing new is said to be nothing, and another way to write the same changes no answer.
    assert!(swapped.hang_up().contains("- swap unchanged"));
    let log = swapped.swap(&format!("{}/* the same */\n", with_xping("250 2.0.0 pong")));
    assert!(log.contains("- swap done") && !log.contains("change="), "{log}");
    let log = swapped.swap(PAGE);
    assert!(log.contains("change=\"XPING is no longer accepted\""), "{log}");
    swapped.server.connect().say("XPING", "500");
    new.say("XPING", "250");
}

#[test]
fn a_bad_definition_changes_nothing_and_is_said_with_its_place_and_dialogue() {
    let folder = tempfile::tempdir().unwrap();
    let status = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    status.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let notify = format!("export NOTIFY_SOCKET={}", folder.path().join("notify").display());
    let swapped =
        Swapped::start("connections_per_address_max: 200, connects_per_second_max: 200,", &notify);
    let told = || {
        let mut octets = [0; 4096];
        let taken = status.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..taken]).into_owned()
    };
    assert!(told().contains("READY=1"));
    let mut clients: Vec<Talk> = (0..100).map(|_| swapped.server.connect()).collect();
    let log = swapped.swap(&broken());
    assert!(
        log.contains("page.def:")
            && log.contains(": error: this can happen: a transaction within a transaction"),
        "{log}"
    );
    assert!(
        log.contains("C: MAIL") && log.contains("- swap failed: all is served as before"),
        "{log}"
    );
    let status = told();
    assert!(
        status.starts_with("STATUS=serving as before; not taken: ") && status.contains("page.def:"),
        "{status}"
    );
    fs::remove_file(swapped.path("page.def")).unwrap();
    assert!(swapped.hang_up().contains("No such file"));
    assert!(told().contains("No such file"));
    save(&swapped.server.folder.path().join("postman.ron"), "(timer: 0)");
    save(&swapped.path("page.def"), &with_xping("250 2.0.0 pong"));
    assert!(swapped.hang_up().contains("postman.ron:1:9: "));
    for client in &mut clients {
        client.deliver();
    }
    swapped.server.connect().say("XPING", "500");
    assert!(told().contains("postman.ron:1:9"));
    save(&swapped.server.folder.path().join("postman.ron"), "()");
    assert!(swapped.hang_up().contains("- swap done"));
    assert!(told().starts_with("STATUS=serving "));
}

#[test]
fn users_and_limits_change_and_what_cannot_is_named() {
    let swapped = Swapped::start("users: Listed([\"user\"]),", ":");
    let recipient = |reply: &str| {
        let mut talk = swapped.server.connect();
        talk.say("HELO x", "250");
        talk.say("MAIL FROM:<a@x.org>", "250");
        talk.say("RCPT TO:<new@postman.local>", reply);
        talk
    };
    let mut old = recipient("550");
    let log = swapped.path("log");
    let config = format!(
        "(users: Listed([\"new\"]), vrfy: Honest, domain: \"other.example\", store_threads: 7, \
         log: (files: [(\"{}\", \"info\")]))",
        log.display()
    );
    save(&swapped.server.folder.path().join("postman.ron"), &config);
    let log = swapped.hang_up();
    assert!(
        log.contains(
            "- swap key=users was=\"Listed([\\\"user\\\"])\" is=\"Listed([\\\"new\\\"])\""
        ),
        "{log}"
    );
    assert!(log.contains("- swap key=vrfy was=\"Vague\" is=\"Honest\""), "{log}");
    for key in ["domain", "store_threads"] {
        assert!(log.contains(&format!("- swap key={key} stays")), "{log}");
    }
    recipient("250");
    old.say("RCPT TO:<new@postman.local>", "550");
    old.say("RCPT TO:<user@postman.local>", "250");
}

#[test]
fn faults_that_are_new_count_from_nought() {
    let files = tempfile::tempdir().unwrap();
    let log = files.path().join("log");
    let config = format!("(log: (files: [(\"{}\", \"info\")]))", log.display());
    let fault = |code: u16| {
        format!("fault = {{ says = 'x'; path = 'HELO'; first = 1; reply = '{code} 4.0.0 no'; }};")
    };
    let mut server = Server::start_with_faults(&fault(450), &config);
    let swaps = || fs::read_to_string(&log).unwrap().matches("- swap ").count();
    let hang_up = || {
        let before = swaps();
        server.send_signal(Signal::HUP);
        wait_until("the swap", || swaps() > before);
    };
    let helo = |reply: &str| drop(server.connect().say("HELO x", reply));
    helo("450");
    helo("250");
    hang_up();
    helo("250");
    save(&server.folder.path().join("faults.def"), &fault(451));
    hang_up();
    wait_until("the end", || fs::read_to_string(&log).unwrap().contains("- swap done"));
    helo("451");
    helo("250");
    server.stop();
    let _ = fs::remove_dir_all(server.folder.path().join("transcripts"));
}

/// Clients send mail, one message a session, while the server swaps two pages for one another.
fn swap_under_load(swaps: usize) {
    let swapped = Swapped::start("connects_per_second_max: 100000, connections_max: 900,", ":");
    let pages = [with_xping("250 2.0.0 one"), with_xping("250 2.0.0 other")];
    let stop = AtomicBool::new(false);
    let (sent, grown) = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut sent = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let mut talk = swapped.server.connect();
                        let first = talk.say("XPING", "");
                        talk.deliver();
                        talk.say("RSET", "250");
                        talk.say("QUIT", "221");
                        sent += usize::from(!first.is_empty());
                    }
                    sent
                })
            })
            .collect();
        let mut before = 0;
        for number in 0..swaps {
            swapped.swap(&format!("{}/* {number} */\n", pages[number % 2]));
            if number == swaps / 10 {
                before = swapped.server.memory_kib();
            }
        }
        stop.store(true, Ordering::SeqCst);
        let sent: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        (sent, swapped.server.memory_kib().saturating_sub(before))
    });
    assert!(sent > 0);
    assert_eq!(swapped.server.files("user/new").len(), sent);
    let log = swapped.log();
    assert!(!log.contains("swap failed") && !log.contains("panic"), "{log}");
    println!("{swaps} swaps, {sent} sessions, {grown} KiB more");
    assert!(grown < 4096, "{grown} KiB more after {swaps} swaps");
}

#[test]
fn swaps_under_load_drop_no_session() {
    swap_under_load(20);
}

/// Each page of its own would take 20 KiB; two of them take it once. CI runs it with the program that
/// it has built for release, which compiles a page in some milliseconds.
#[test]
#[ignore = "some seconds with a program of a release build"]
fn a_thousand_swaps_under_load_keep_memory_flat() {
    swap_under_load(1000);
}
