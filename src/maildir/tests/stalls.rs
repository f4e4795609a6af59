//! Batches that hang, on a disk whose syncs wait until a gate is opened.

use std::sync::mpsc::channel;
use std::thread;

use super::*;

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
        // though no message arrives any more.
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
    // Long enough for many more to begin: by the watchdog, and by new messages.
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

/// The first message to a mailbox waits for one sync more than the next.
#[test]
fn new_mailboxes_are_made_side_by_side_and_the_names_of_their_folders_synced_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let gate = gate::Gate::default();
    let store = gate::open(options(dir.path()), gate.clone()).unwrap();
    gate.holds_folders();
    let draft = draft(&store, &["a@postman.local", "b@postman.local", "c@example.org"], b"x");
    let (back, done) = channel();
    store.commit(draft, move |result| drop(back.send(result.map(drop))));
    // Each mailbox syncs the mail folder and itself; the queue's folder one more.
    gate.is_reached_by(7);
    gate.open();
    done.recv().unwrap().unwrap();
    assert!(store.close(Duration::from_mins(1)));
}
