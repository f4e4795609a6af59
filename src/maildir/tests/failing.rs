//! The store on a disk that fails: for N = 1, 2, 3, ... the N-th operation, until a run succeeds.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use rustix::io::Errno;

use super::simulated::{Lie, Simulated};
use super::*;

mod disk;
mod meddled;

use crate::maildir::disk::FreeSpace;
use disk::{FailingDisk, How};

fn start(how: How, all: bool, threads: usize) -> (Store, FailingDisk) {
    start_on(Simulated::new(), how, all, threads)
}

fn start_on(disk: Simulated, how: How, all: bool, threads: usize) -> (Store, FailingDisk) {
    let disk = if threads == 1 { disk.alone() } else { disk };
    let disk = FailingDisk {
        disk,
        left: Arc::new(AtomicI64::new(i64::MIN / 2)),
        how,
        all,
        opened: Arc::default(),
    };
    let mut options = options(std::path::Path::new("/nowhere"));
    options.threads_max = threads;
    let store = Store::with_disk(options, Box::new(disk.clone()), Simulated::root()).unwrap();
    // All threads meet, the watchdog too: whatever they had to do is done.
    let threads = threads + usize::from(store.0.group_commit.has_watchdog());
    let barrier = Arc::new(Barrier::new(threads));
    let (sender, met) = std::sync::mpsc::channel();
    for _ in 0..threads {
        let (barrier, sender) = (Arc::clone(&barrier), sender.clone());
        store.run(move |_| {
            barrier.wait();
            sender.send(()).unwrap();
        });
    }
    (0..threads).for_each(|_| met.recv().unwrap());
    (store, disk)
}

/// All files except the owners' locks, which are files of the mail folder itself.
fn mail(state: &simulated::State) -> Vec<(String, Vec<u8>)> {
    state.files().into_iter().filter(|(path, _)| !path.is_empty()).collect()
}

fn contents() -> [String; 2] {
    // One that stays in memory, and one that goes to disk while it comes.
    [500, 3600].map(|octets| format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(octets / 12)))
}

/// Whether the result fits how an operation failed. `succeeded`: all was done before it would have
/// failed; `files` is the number of files afterwards.
fn is_right(result: &Result<(), StoreError>, how: How, succeeded: bool, files: usize) -> bool {
    match result {
        // A short write goes on, and so does what a signal interrupted, if that is safe; and what
        // did not happen anyhow cannot fail afterwards.
        Ok(()) if matches!(how, How::Short | How::After(_) | How::Error(Errno::INTR)) => files == 3,
        Ok(()) => succeeded,
        Err(StoreError::Io { .. }) if matches!(how, How::Short) => false,
        Err(error @ StoreError::Io { .. }) => {
            error.is_full() == matches!(how, How::Error(Errno::NOSPC | Errno::DQUOT))
        }
        Err(StoreError::Full { .. } | StoreError::Busy) => false,
    }
}

#[test]
fn when_any_operation_fails_nothing_of_the_message_is_left_and_the_next_is_taken() {
    let errors = [
        Errno::NOSPC,
        Errno::IO,
        Errno::MFILE,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::ACCESS,
        Errno::INTR,
    ];
    let mut hows: Vec<How> = errors.into_iter().map(How::Error).collect();
    hows.extend([How::After(Errno::IO), How::Short]);
    let ways = [(1, true), (3, true), (3, false)];
    for (how, (threads, sync_fs_is_reliable), content) in hows
        .iter()
        .flat_map(|how| ways.into_iter().flat_map(move |way| contents().map(|c| (*how, way, c))))
    {
        for number in 1.. {
            let case = format!(
                "operation {number}, {how:?}, {threads} threads, {sync_fs_is_reliable}, {} octets",
                content.len()
            );
            let disk = Simulated::new();
            let disk = if sync_fs_is_reliable { disk } else { disk.without_sync_fs() };
            let (store, disk) = start_on(disk, how, false, threads);
            disk.left.store(number, Ordering::SeqCst);
            let result = deliver(&store, ALL, content.as_bytes());
            let succeeded = disk.left.load(Ordering::SeqCst) > 0;
            disk.left.store(i64::MIN / 2, Ordering::SeqCst);
            let state = disk.disk.state();
            let files = mail(&state).len();
            assert!(is_right(&result, how, succeeded, files), "{case}: {result:?}");
            if result.is_err() {
                assert_eq!(mail(&state), [], "{case}");
                // Nor does a crash bring it back where a reader looks.
                for seed in 0..8 {
                    let mut random = seed;
                    let after = state.crash(|count| {
                        random = (random * 5 + 3) % 31;
                        random % count
                    });
                    let found = mail(&after);
                    assert!(
                        found.iter().all(|(path, _)| path.ends_with("/tmp")),
                        "{case}: {found:?}"
                    );
                }
            }
            let before = mail(&state).len();
            assert_eq!(deliver(&store, ALL, content.as_bytes()), Ok(()), "{case}");
            let state = disk.disk.state();
            assert_eq!(mail(&state).len(), before + 3, "{case}");
            // What the failed sync lost is not taken for safe by the next.
            let safe: Vec<_> = mail(&state.crash(|_| 0))
                .into_iter()
                .filter(|(path, _)| !path.ends_with("/tmp"))
                .collect();
            let paths = |mail: &[(String, Vec<u8>)]| {
                mail.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
            };
            assert_eq!(paths(&safe), paths(&mail(&state)), "{case}");
            assert!(safe == mail(&state), "{case}: the content differs");
            assert!(store.close(Duration::from_mins(1)));
            if succeeded {
                assert!(number > 25, "a commit has more operations than {number}");
                break;
            }
        }
    }
}

#[test]
fn in_one_turn_each_message_has_its_own_result_and_a_failed_sync_of_all_fails_all() {
    let messages = [
        &["user@postman.local"][..],
        &["joe@postman.local"],
        &["user@postman.local", "a@other.server"],
    ];
    let places =
        [&["/user/new"][..], &["/joe/new"], &["/user/new", "/.OTHER_SERVERS/other.server"]];
    let mut seen = [0; 4];
    for how in [How::Error(Errno::IO), How::After(Errno::IO), How::Short] {
        for number in 1.. {
            let (store, disk) = start(how, false, 1);
            disk.left.store(number, Ordering::SeqCst);
            let results = deliver_all(&store, &messages, contents()[0].as_bytes());
            let over = disk.left.load(Ordering::SeqCst) > 0;
            disk.left.store(i64::MIN / 2, Ordering::SeqCst);
            let case = format!("operation {number}, {how:?}: {results:?}");
            let state = disk.disk.state();
            let mut expected: Vec<&str> = results
                .iter()
                .zip(places)
                .flat_map(|(result, places)| if result.is_ok() { places } else { &[] })
                .copied()
                .collect();
            expected.sort_unstable();
            // An answered message is there, even after a crash, and nothing is left of the others.
            for state in [state.crash(|_| 0), state] {
                let mail = mail(&state);
                let is_whole = |text: &[u8]| {
                    text.ends_with(b"0123456789\n") || text.ends_with(b"0123456789\r\n")
                };
                assert!(
                    mail.iter().all(|(path, text)| path.ends_with("/tmp") || is_whole(text)),
                    "{case}"
                );
                let found = mail
                    .iter()
                    .map(|(path, _)| path.as_str())
                    .filter(|path| !path.ends_with("/tmp"));
                assert_eq!(found.collect::<Vec<_>>(), expected, "{case}");
            }
            seen[results.iter().filter(|result| result.is_err()).count()] += 1;
            assert_eq!(
                deliver_all(&store, &messages, contents()[0].as_bytes()),
                vec![Ok(()); 3],
                "{case}"
            );
            assert!(store.close(Duration::from_mins(1)));
            if over {
                break;
            }
        }
    }
    let [none, one, two, all] = seen;
    assert!(none > 0 && one > 0 && two > 0 && all > 0, "each number of failures is met: {seen:?}");
}

#[test]
fn octets_that_found_no_place_are_missed_though_every_sync_says_that_all_is_well() {
    let (store, disk) = start(How::Short, false, 1);
    disk.disk.lie(Lie::NoPlace);
    let each = [&["user@postman.local"][..], &["joe@postman.local"]];
    for result in deliver_all(&store, &each, contents()[0].as_bytes()) {
        assert!(matches!(result, Err(StoreError::Io { .. })), "{result:?}");
    }
    assert_eq!(mail(&disk.disk.state()), []);
    disk.disk.lie(Lie::None);
    assert_eq!(deliver_all(&store, &each, contents()[0].as_bytes()), [Ok(()), Ok(())]);
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_failed_sync_of_all_fails_whoever_had_begun_to_write() {
    let (store, disk) = start(How::Short, false, 1);
    let begun = draft(&store, ALL, contents()[1].as_bytes());
    let syncfs = &store.0.syncfs;
    let failed = syncfs.wait(|| {
        disk.disk.fail_sync_fs();
        Err(Errno::IO.into())
    });
    assert!(failed.is_err());
    let (back, done) = std::sync::mpsc::channel();
    store.commit(begun, move |result| drop(back.send(result.map(drop))));
    // The content of its file is lost, though its own sync says that all is well.
    assert!(matches!(done.recv().unwrap(), Err(StoreError::Io { .. })));
    assert_eq!(mail(&disk.disk.state()), []);
    assert_eq!(deliver(&store, ALL, contents()[1].as_bytes()), Ok(()));
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn a_disk_that_stays_full_or_broken_refuses_each_message_until_it_recovers() {
    for (error, full) in
        [(Errno::NOSPC, true), (Errno::DQUOT, true), (Errno::ROFS, false), (Errno::MFILE, false)]
    {
        for number in 1..20 {
            let (store, disk) = start(How::Error(error), true, 1);
            disk.left.store(number, Ordering::SeqCst);
            for _ in 0..3 {
                let result = deliver(&store, ALL, contents()[0].as_bytes());
                let fits = |error: &StoreError| error.is_full() == full;
                assert!(
                    result.as_ref().is_err_and(fits),
                    "operation {number} on, {error}: {result:?}"
                );
            }
            disk.left.store(i64::MIN / 2, Ordering::SeqCst);
            assert_eq!(mail(&disk.disk.state()), []);
            assert_eq!(deliver(&store, ALL, contents()[0].as_bytes()), Ok(()));
            assert!(store.close(Duration::from_mins(1)));
        }
    }
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let (store, disk) = start(How::Short, false, 2);
    let mut draft = store.begin(envelope(ALL), 0);
    let _ = draft.push(&[b'x'; 2000]);
    let (back, spilled) = std::sync::mpsc::channel();
    store.spill(draft, move |draft| drop(back.send(draft)));
    let draft = spilled.recv().unwrap();
    assert_eq!(mail(&disk.disk.state()).len(), 1, "its first part is on disk");
    drop(draft);
    assert!(store.close(Duration::from_mins(1)));
    assert_eq!(mail(&disk.disk.state()), []);
}

#[test]
fn a_held_mailbox_costs_no_opening_and_one_that_was_removed_is_made_anew() {
    let (store, disk) = start(How::Short, false, 1);
    let to = &["user@postman.local"];
    deliver(&store, to, b"x").unwrap();
    let before = disk.opened.load(Ordering::SeqCst);
    deliver(&store, to, b"x").unwrap();
    // Unless the machine stood still for a second.
    assert!(disk.opened.load(Ordering::SeqCst) - before <= 4);
    // The store forgets it after a fault, and else after a second; here at once.
    store.0.folders.close(true);
    let root = Simulated::root();
    let user = disk.disk.open_folder(&root, "user").unwrap();
    disk.disk.rename(&root, "user", &root, "gone").unwrap();
    deliver(&store, to, b"x").unwrap();
    let again = disk.disk.open_folder(&root, "user").unwrap();
    assert_ne!(format!("{user:?}"), format!("{again:?}"));
    assert!(store.close(Duration::from_mins(1)));
}

#[test]
fn each_recipient_can_be_a_commit_of_its_own() {
    // As if each operation in turn failed for one of three files.
    for number in 1..40 {
        let (store, disk) = start(How::Error(Errno::IO), false, 1);
        disk.left.store(number, Ordering::SeqCst);
        let mut draft = store.begin(envelope(ALL), 0);
        let _ = draft.push(b"Subject: x\r\n\r\nx\r\n");
        let (back, done) = std::sync::mpsc::channel();
        store.commit_each(draft, move |results| drop(back.send(results)));
        let results = done.recv().unwrap();
        disk.left.store(i64::MIN / 2, Ordering::SeqCst);
        assert_eq!(results.len(), ALL.len());
        // The two of one domain share a file.
        assert_eq!(results[2], results[3]);
        let refused =
            [&results[0], &results[1], &results[2]].iter().filter(|result| result.is_err()).count();
        assert!(refused <= 1, "operation {number}: {results:?}");
        let found = mail(&disk.disk.state());
        assert_eq!(found.len(), 3 - refused, "operation {number}: {results:?} {found:?}");
        for (path, result) in [("/user/new", &results[0]), ("/joe/new", &results[1])] {
            assert_eq!(
                found.iter().any(|(place, _)| place == path),
                result.is_ok(),
                "operation {number}"
            );
        }
        assert!(store.close(Duration::from_mins(1)));
    }
}

/// Between two looks at the disk it may fill up. Then the next message does not begin.
#[test]
fn a_disk_that_turns_out_to_be_full_is_told_with_what_is_left_and_refuses_the_next_at_once() {
    let left = "; 700 octets and 0 files (inodes) are free";
    let shortage = Shortage::Message { free: 700, octets: 1000 };
    for (errno, end, next) in [
        (Errno::NOSPC, left, Err(StoreError::Full(shortage))),
        // What is left of a user's quota the disk does not tell.
        (Errno::DQUOT, "", Ok(())),
    ] {
        let (store, disk) = start(How::Error(errno), false, 1);
        disk.disk.has_left(FreeSpace { octets: 700, files: Some(0) });
        assert_eq!(store.room(1000), Ok(()));
        disk.left.store(1, Ordering::SeqCst);
        let error = deliver(&store, &["user@postman.local"], b"x").unwrap_err();
        assert!(error.is_full());
        let cause = error.to_string();
        assert!(cause.ends_with(&format!("(os error {}){end}", errno.raw_os_error())), "{cause}");
        assert_eq!(store.room(1000), next);
        assert!(store.close(Duration::from_mins(1)));
    }
}

#[test]
fn below_the_reserve_nothing_begins_and_a_look_tells_when_space_is_back() {
    let disk = Simulated::new();
    let mut options = options(std::path::Path::new("/nowhere"));
    options.free_bytes_min = 500;
    let store = Store::with_disk(options, Box::new(disk.clone()), Simulated::root()).unwrap();
    let ask = |store: &Store| {
        let (back, answer) = std::sync::mpsc::channel();
        store.look_for_room(1000, move |result| drop(back.send(result)));
        answer.recv().unwrap()
    };
    assert_eq!(ask(&store), Ok(()));
    for (octets, files, shortage) in [
        (499, None, Shortage::Octets { free: 499 }),
        (1499, Some(1000), Shortage::Message { free: 1499, octets: 1000 }),
        (u64::MAX, Some(3), Shortage::Files { free: 3 }),
    ] {
        disk.has_left(FreeSpace { octets, files });
        assert_eq!(ask(&store), Err(StoreError::Full(shortage)));
        assert_eq!(store.room(1000), Err(StoreError::Full(shortage)));
        disk.has_left(FreeSpace { octets: 1500, files: Some(1000) });
        assert_eq!(ask(&store), Ok(()));
        assert_eq!(store.room(1000), Ok(()));
    }
    assert!(store.close(Duration::from_mins(1)));
}
