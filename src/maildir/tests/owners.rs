//! The owners' locks, and the sweep of what dead servers left, on a real disk.

use std::fs;

use super::*;

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
