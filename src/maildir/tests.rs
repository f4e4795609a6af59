//! The store on a real disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use super::disk::RealDisk;
use super::*;
use crate::smtp::envelope::{Place, Recipient};
use crate::smtp::path::{ForwardPath, ReversePath, Syntax};

mod crash;
mod failing;
mod owners;
mod simulated;
mod stalls;

fn options(root: &Path) -> Options {
    Options {
        root: root.to_owned(),
        format: Format::Message,
        host: "postman.local".to_owned(),
        threads_max: 8,
        naming: Naming::ByUser,
        memory_bytes_max: 1000,
        waiting_max: 100,
        free_bytes_min: 0,
    }
}

fn envelope(recipients: &[&str]) -> Envelope {
    let recipient = |address: &&str| {
        let Ok(ForwardPath::Mailbox(mailbox)) =
            ForwardPath::parse(&format!("<{address}>"), Syntax::Lenient)
        else {
            panic!("{address}")
        };
        let local = mailbox.domain.folded() == "postman.local";
        Recipient { mailbox, place: if local { Place::Local } else { Place::Remote } }
    };
    Envelope {
        id: "1-1".to_owned(),
        sender: ReversePath::parse("<a@x.org>", Syntax::Strict).unwrap(),
        recipients: recipients.iter().map(recipient).collect(),
        helo: "client.example".to_owned(),
        client: Some([127, 0, 0, 1].into()),
        with: "ESMTP",
        encryption: None,
    }
}

fn draft(store: &Store, recipients: &[impl AsRef<str>], content: &[u8]) -> Draft {
    let recipients: Vec<&str> = recipients.iter().map(AsRef::as_ref).collect();
    let mut draft = store.begin(envelope(&recipients), 1_608_416_175);
    for piece in content.chunks(300) {
        draft = push(store, draft, piece);
    }
    draft
}

fn push(store: &Store, mut draft: Draft, piece: &[u8]) -> Draft {
    if draft.push(piece) == Fill::Room {
        return draft;
    }
    let (back, spilled) = channel();
    store.spill(draft, move |draft| drop(back.send(draft)));
    spilled.recv().unwrap()
}

fn deliver(store: &Store, recipients: &[&str], content: &[u8]) -> Result<(), StoreError> {
    deliver_all(store, &[recipients], content).remove(0)
}

/// All of them take one turn, where there is one thread.
fn deliver_all(store: &Store, each: &[&[&str]], content: &[u8]) -> Vec<Result<(), StoreError>> {
    let drafts: Vec<Draft> =
        each.iter().map(|recipients| draft(store, recipients, content)).collect();
    let hold = (store.0.options.threads_max == 1).then(|| hold(store));
    let wait = |draft| {
        let (back, done) = channel();
        store.commit(draft, move |result| drop(back.send(result.map(drop))));
        done
    };
    let dones: Vec<_> = drafts.into_iter().map(wait).collect();
    drop(hold);
    dones.into_iter().map(|done| done.recv().unwrap()).collect()
}

/// Holds a thread of the store until it is dropped.
fn hold(store: &Store) -> impl Drop + use<> {
    struct Hold(Option<std::sync::mpsc::Sender<()>>);
    impl Drop for Hold {
        fn drop(&mut self) {
            self.0.take();
        }
    }
    let (end, held) = channel::<()>();
    let (begun, begins) = channel();
    store.run(move |_| {
        begun.send(()).unwrap();
        assert!(held.recv().is_err());
    });
    begins.recv().unwrap();
    Hold(Some(end))
}

/// All files below a folder, except the owners' locks, with their content.
fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else if path.is_file() && !entry.file_name().to_string_lossy().starts_with(".owner.")
            {
                let name = path.strip_prefix(root).unwrap().parent().unwrap().display().to_string();
                found.push((name, String::from_utf8(fs::read(path).unwrap()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

const ALL: &[&str] =
    &["user@postman.local", "Joe@postman.local", "a@other.server", "b@other.server"];

#[test]
fn each_mailbox_and_each_domain_gets_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    deliver(&store, ALL, b"Subject: x\r\n\r\nbody\r\n").unwrap();
    let found = files(folder.path());
    let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, [".OTHER_SERVERS/other.server", "joe/new", "user/new"]);
    assert_eq!(
        found[0].1,
        "X-Postman-From: a@x.org\r\nX-Postman-Date: 1608416175\r\nX-Postman-To: a@other.server,b@other.server\r\n\
         X-Postman-Id: 1-1\r\nX-Postman-Helo: client.example\r\nX-Postman-Client: 127.0.0.1\r\nX-Postman-With: ESMTP\r\n\
         \r\nSubject: x\r\n\r\nbody\r\n"
    );
    assert_eq!(
        found[2].1,
        "Return-Path: <a@x.org>\nReceived: from client.example ([127.0.0.1])\n\tby postman.local (Postman) via TCP with ESMTP id 1-1\n\
         \tfor <user@postman.local>;\n\tSat, 19 Dec 2020 22:16:15 +0000\nX-Postman-From: a@x.org\n\
         X-Postman-Date: 1608416175\nX-Postman-To: user@postman.local\nSubject: x\n\nbody\n"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let new = folder.path().join("user/new");
    let file = fs::read_dir(&new).unwrap().next().unwrap().unwrap().path();
    assert_eq!((mode(&new), mode(&file)), (0o700, 0o600));
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_spooled_message_is_whole_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    let body = "0123456789abcdef\r\n".repeat(50_000);
    let content = format!("Subject: x\r\n\r\n{body}");
    deliver(&store, ALL, content.as_bytes()).unwrap();
    for (place, text) in files(folder.path()) {
        let expected =
            if place.starts_with('.') { content.clone() } else { content.replace("\r\n", "\n") };
        assert!(text.ends_with(&expected), "{place}");
    }
    assert!(store.close(Duration::from_mins(1)));
}

/// Wherever the content is cut, and though each piece goes to a file as soon as it may.
#[test]
fn how_content_begins_is_decided_alike_however_it_comes() {
    let contents = [
        ("\u{feff}From: a@x.org\r\n\r\nb", "From: a@x.org\n\nb"),
        ("From a\r\n\u{feff}X: y\r\n", "X-Mailbox-Line: From a\nX: y\n"),
        ("\u{feff}From a\r\nbody\r\n", "\nFrom a\nbody\n"),
        ("\u{feff}\r\n", "\n\n"),
        ("Sub", "\nSub"),
    ];
    for (memory_bytes_max, (content, shown)) in
        [0, 9, 1000].into_iter().flat_map(|max| contents.map(|pair| (max, pair)))
    {
        let disk = simulated::Simulated::new();
        let options = Options { memory_bytes_max, ..options(Path::new("/nowhere")) };
        let store = Store::with_disk(options, Box::new(disk.clone()), simulated::Simulated::root())
            .unwrap();
        let cuts = content.len();
        for cut in 0..=cuts {
            // The last cut is between all octets.
            let size = if cut == cuts { 1 } else { cuts };
            let (first, second) = content.as_bytes().split_at(cut % cuts);
            // Where the first file is a mailbox's another's is copied from it; else it is the
            // queue's.
            for recipients in
                [["b@postman.local", "c@postman.local"], ["b@postman.local", "c@x.org"]]
            {
                let mut draft = store.begin(envelope(&recipients), 0);
                for piece in first.chunks(size).chain(second.chunks(size)) {
                    draft = push(&store, draft, piece);
                }
                let (back, done) = channel();
                store.commit(draft, move |result| drop(back.send(result)));
                done.recv().unwrap().unwrap();
            }
        }
        assert!(store.close(Duration::from_mins(1)));
        let found: Vec<_> =
            disk.state().files().into_iter().filter(|(place, _)| !place.is_empty()).collect();
        assert_eq!(found.len(), 4 * (cuts + 1));
        for (place, octets) in found {
            let expected = if place.contains("x.org") {
                format!("X-Postman-With: ESMTP\r\n\r\n{content}")
            } else {
                format!("X-Postman-To: {}@postman.local\n{shown}", &place[1..2])
            };
            let text = String::from_utf8(octets).unwrap();
            assert!(
                text.ends_with(&expected),
                "{place} in {memory_bytes_max}: {text:?} must end with {expected:?}"
            );
        }
    }
}

#[test]
fn many_threads_into_one_mailbox_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for count in 0..10 {
                    deliver(
                        store,
                        &["user@postman.local"],
                        format!("no header {number} {count}").as_bytes(),
                    )
                    .unwrap();
                }
            });
        }
    });
    let mut bodies: Vec<_> = files(folder.path())
        .into_iter()
        .map(|(_, text)| text.lines().last().unwrap().to_owned())
        .collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 80);
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_mailbox_that_became_a_link_takes_nothing_and_nothing_is_left_where_it_leads() {
    for link in ["user", "user/new"] {
        let folder = tempfile::tempdir().unwrap();
        let gate = gate::Gate::default();
        let store = gate::open(options(folder.path()), gate.clone()).unwrap();
        let (back, done) = channel();
        store.commit(draft(&store, &["user@postman.local"], b"x"), move |result| {
            back.send(result).unwrap();
        });
        gate.is_reached();
        // While the message is in its sync.
        let moved = folder.path().join("moved");
        fs::rename(folder.path().join(link), &moved).unwrap();
        symlink(&moved, folder.path().join(link)).unwrap();
        gate.open();
        assert!(matches!(done.recv().unwrap(), Err(StoreError::Io { .. })), "{link}");
        assert_eq!(files(folder.path()), [], "{link}");
        assert!(store.close(Duration::from_mins(1)));
    }
}

#[test]
fn a_mail_folder_that_was_removed_takes_nothing_whatever_is_made_in_its_place() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("mail");
    let store = Store::open(options(&folder)).unwrap();
    deliver(&store, ALL, b"x").unwrap();
    fs::remove_dir_all(&folder).unwrap();
    for _ in 0..2 {
        for to in ["user@postman.local", "a@other.server"] {
            let error = deliver(&store, &[to], b"x").unwrap_err().to_string();
            assert_eq!(
                error,
                "cannot use the mail folder: the mail folder was removed; all mail is refused with 451 until the server is started again"
            );
        }
        let _ = fs::create_dir(&folder);
    }
    assert_eq!(files(&folder), []);
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_planted_link_leads_nowhere() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(options(folder.path())).unwrap();
    symlink(elsewhere.path(), folder.path().join("user")).unwrap();
    assert!(matches!(deliver(&store, &["user@postman.local"], b"x"), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn those_who_take_one_turn_all_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Options { threads_max: 1, ..options(folder.path()) }).unwrap();
    let all = [
        &["user@postman.local"][..],
        &["joe@postman.local"],
        &["user@postman.local", "a@other.server"],
    ];
    assert_eq!(deliver_all(&store, &all, b"Subject: x\r\n\r\nx\r\n"), vec![Ok(()); 3]);
    let places: Vec<_> = files(folder.path()).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, [".OTHER_SERVERS/other.server", "joe/new", "user/new", "user/new"]);
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn the_verdict_names_each_file_with_its_recipients() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    let recipients = [
        "user@postman.local",
        "a@other.server",
        "b@third.server",
        "joe@postman.local",
        "c@other.server",
    ];
    let (sender, result) = channel();
    store.commit(draft(&store, &recipients, b"x"), move |result| sender.send(result).unwrap());
    let delivered = result.recv().unwrap().unwrap();
    let named = delivered
        .iter()
        .map(|file| (file.path.rsplit_once('/').unwrap().0, file.recipients.as_slice()));
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|(_, recipients)| recipients.first().copied());
    let (other, third) = (".OTHER_SERVERS/other.server", ".OTHER_SERVERS/third.server");
    let expected: [(&str, &[usize]); 4] =
        [("user/new", &[0]), (other, &[1, 4]), (third, &[2]), ("joe/new", &[3])];
    assert_eq!(named, expected);
    for file in &delivered {
        assert!(folder.path().join(&file.path).is_file(), "{}", file.path);
    }
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_hole_in_a_file_is_found_where_a_sync_of_all_is_relied_upon() {
    let folder = tempfile::tempdir().unwrap();
    let root = owner::open_root(folder.path()).unwrap();
    if !RealDisk.sync_fs_is_reliable(&root) {
        return;
    }
    let whole = RealDisk.create(&root, "whole").unwrap();
    disk::write_all(&RealDisk, &whole, &[0; 10_000]).unwrap();
    RealDisk.sync_fs(&root).unwrap();
    assert!(RealDisk.has_no_holes(&whole, 10_000).is_ok());
    let hole = RealDisk.create(&root, "hole").unwrap();
    disk::write_all(&RealDisk, &hole, b"x").unwrap();
    fs::File::options()
        .write(true)
        .open(folder.path().join("hole"))
        .unwrap()
        .set_len(10_000)
        .unwrap();
    RealDisk.sync_fs(&root).unwrap();
    assert!(RealDisk.has_no_holes(&hole, 10_000).is_err());
}
