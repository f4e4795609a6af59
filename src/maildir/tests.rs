//! The store on a real disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use super::*;
use crate::smtp::envelope::{Place, Recipient};
use crate::smtp::path::{ForwardPath, ReversePath, Syntax};

mod crash;
mod failing;
mod simulated;

fn options(root: &Path) -> Options {
    Options {
        root: root.to_owned(),
        format: Format::Message,
        host: "postman.local".to_owned(),
        threads_max: 8,
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
        client: [127, 0, 0, 1].into(),
        with: "ESMTP",
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
fn a_dead_servers_tmp_is_swept_and_a_living_ones_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let living = Store::open(options(folder.path())).unwrap();
    deliver(&living, &["user@postman.local"], b"x").unwrap();
    let tmp = folder.path().join("user/tmp");
    let of_living = tmp.join(living.0.tmp_name());
    let (of_dead, of_stranger) = (tmp.join("00000000000000aa.1"), tmp.join("someone.else"));
    for path in [&of_living, &of_dead, &of_stranger] {
        fs::write(path, "half").unwrap();
    }
    fs::write(folder.path().join(".owner.00000000000000aa"), "").unwrap();
    let second = Store::open(options(folder.path())).unwrap();
    assert!(second.close(Duration::from_mins(1)));
    assert!(of_living.exists() && of_stranger.exists() && !of_dead.exists());
    let locks = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let locks: Vec<_> = locks.filter(|name| name.to_string_lossy().starts_with(".owner")).collect();
    assert_eq!(locks, [format!(".owner.{}", living.0.owner.id).as_str()]);
    assert!(living.close(Duration::from_mins(1)));
}

/// Programs list the mail folder's folders to find the users, and the queue's to find the domains.
#[test]
fn the_mail_folder_has_no_folders_except_mailboxes_and_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    let folders = |path: &Path| {
        let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let mut names: Vec<_> =
            folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert!(folders(folder.path()).is_empty());
    deliver(&store, ALL, b"x").unwrap();
    for _ in 0..2 {
        assert_eq!(folders(folder.path()), [".OTHER_SERVERS", "joe", "user"]);
        assert_eq!(folders(&folder.path().join(QUEUE)), ["other.server"]);
        assert!(store.close(Duration::from_mins(1)));
    }
    let files = fs::read_dir(folder.path())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_file());
    assert_eq!(files.count(), 0, "an orderly end leaves no lock");
}

#[test]
fn older_servers_locks_count_while_they_live_and_their_folder_goes_with_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let (old, tmp) = (folder.path().join(".owners"), folder.path().join("user/tmp"));
    fs::create_dir_all(&tmp).unwrap();
    fs::create_dir_all(&old).unwrap();
    let (dead, living) = ("00000000000000aa", "00000000000000bb");
    for id in [dead, living] {
        fs::write(tmp.join(format!("{id}.1")), "half").unwrap();
        fs::write(old.join(id), "").unwrap();
        fs::write(old.join(format!("spool.{id}.7")), "").unwrap();
    }
    let root = owner::open_root(folder.path()).unwrap();
    let locks = RealDisk.open_folder(&root, ".owners").unwrap();
    let lock = RealDisk.open_file(&locks, living).unwrap();
    assert!(RealDisk.lock(&lock).unwrap());
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for _ in 0..2 {
        let store = Store::open(options(folder.path())).unwrap();
        deliver(&store, &["user@postman.local"], b"x").unwrap();
        assert!(store.close(Duration::from_mins(1)));
        assert_eq!(names(&old), [living, &format!("spool.{living}.7")]);
        assert_eq!(names(&tmp), [format!("{living}.1")]);
    }
    // It ends while ours lives, without a word: what it left is swept when a thread has nothing to
    // do.
    let store = Store::open(options(folder.path())).unwrap();
    deliver(&store, &["user@postman.local"], b"x").unwrap();
    store.0.on_idle();
    assert!(old.exists());
    drop(lock);
    store.0.on_idle();
    assert!(!old.exists());
    assert_eq!(names(&tmp), Vec::<String>::new());
    assert!(store.close(Duration::from_mins(1)));
    // In order: it leaves its folder empty.
    fs::create_dir(&old).unwrap();
    assert!(Store::open(options(folder.path())).unwrap().close(Duration::from_mins(1)));
    assert!(!old.exists());
}

/// A stage that was forgotten, or a container that is started once more.
#[test]
fn an_older_server_that_starts_beside_ours_and_ends_leaves_no_folder_either() {
    let folder = tempfile::tempdir().unwrap();
    let (old, tmp) = (folder.path().join(".owners"), folder.path().join("user/tmp"));
    let store = Store::open(options(folder.path())).unwrap();
    deliver(&store, &["user@postman.local"], b"x").unwrap();
    let root = owner::open_root(folder.path()).unwrap();
    let id = "00000000000000cc";
    for in_order in [true, false] {
        let of_old = tmp.join(format!("{id}.1"));
        fs::create_dir(&old).unwrap();
        fs::write(old.join(id), "").unwrap();
        fs::write(&of_old, "half").unwrap();
        let locks = RealDisk.open_folder(&root, ".owners").unwrap();
        let lock = RealDisk.open_file(&locks, id).unwrap();
        assert!(RealDisk.lock(&lock).unwrap());
        store.0.on_idle();
        assert!(old.join(id).exists() && of_old.exists(), "it lives");
        if in_order {
            fs::remove_file(&of_old).unwrap();
            fs::remove_file(old.join(id)).unwrap();
        }
        drop(lock);
        store.0.on_idle();
        assert!(!old.exists() && !of_old.exists(), "{in_order}");
    }
    // What no server has made stays, and costs no sweep.
    fs::create_dir(&old).unwrap();
    fs::write(old.join("notes"), "").unwrap();
    assert!(!owner::old_locks_can_go(&RealDisk, &root, &store.0.owner));
    store.0.on_idle();
    assert!(old.join("notes").exists());
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
fn a_turn_that_hangs_holds_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate::Gate::default();
    let store = gate::open(options(folder.path()), gate.clone()).unwrap();
    let (sender, results) = channel();
    for count in 1..6 {
        let sender = sender.clone();
        let draft = draft(&store, &["user@postman.local"], b"x");
        store.commit(draft, move |result| sender.send(result.map(drop)).unwrap());
        // As many turns as are taken at once hang: the next is taken when their time is over,
        // though nobody comes any more.
        gate.is_reached_by(count);
    }
    gate.open();
    for _ in 1..6 {
        assert_eq!(results.recv().unwrap(), Ok(()));
    }
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn while_everything_hangs_no_more_turns_wait_than_there_are_threads() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate::Gate::default();
    let store =
        gate::open(Options { threads_max: 3, ..options(folder.path()) }, gate.clone()).unwrap();
    let (sender, results) = channel();
    let send = || {
        let sender = sender.clone();
        let draft = draft(&store, &["user@postman.local"], b"x");
        store.commit(draft, move |result| sender.send(result.map(drop)).unwrap());
    };
    for count in 1..=3 {
        send();
        gate.is_reached_by(count);
    }
    // Long enough for many more to begin: by who stands by, and by who comes.
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(120));
        send();
    }
    assert!(store.0.batches() <= 3, "{} turns", store.0.batches());
    gate.open();
    for _ in 0..11 {
        assert_eq!(results.recv().unwrap(), Ok(()));
    }
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_stall_while_several_messages_wait_leaves_none_of_them_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let gate = gate::Gate::default();
    let store =
        gate::open(Options { threads_max: 64, ..options(folder.path()) }, gate.clone()).unwrap();
    let (sender, results) = channel();
    let send = || {
        let sender = sender.clone();
        let draft = draft(&store, &["user@postman.local"], b"x");
        store.commit(draft, move |result| sender.send(result.map(drop)).unwrap());
    };
    // As many as go at once, and then some that have to wait for the watchdog.
    let at_once = 16;
    for count in 1..=at_once {
        send();
        gate.is_reached_by(count);
    }
    for _ in 0..5 {
        send();
    }
    gate.is_reached_by(at_once + 1);
    gate.open();
    for _ in 0..at_once + 5 {
        assert_eq!(results.recv_timeout(Duration::from_mins(1)), Ok(Ok(())));
    }
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
