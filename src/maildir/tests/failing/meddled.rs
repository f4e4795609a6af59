//! Folders that other programs rename, replace and remove while a message is stored.

use std::sync::atomic::Ordering;

use super::super::simulated::Simulated;
use super::*;

/// Takes the place of a folder of the mail folder: under another name it keeps all that is in it.
fn rename(disk: &Simulated, path: &str) {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some(above) = disk.folder(above) {
        let _ = disk.rename(&above, name, &above, &format!("{name}.1"));
    }
}

fn make(disk: &Simulated, path: &str) {
    let mut above = Simulated::root();
    for name in path.split('/') {
        let _ = disk.make_folder(&above, name);
        above = disk.open_folder(&above, name).unwrap();
    }
}

/// What another program does while the server runs: as a command, and on the simulated disk.
type Meddling = (&'static str, fn(&Simulated));

const MEDDLINGS: &[Meddling] = &[
    ("mv user user.1", |disk| rename(disk, "user")),
    ("mv user user.1; mkdir -p user/new", |disk| {
        rename(disk, "user");
        make(disk, "user/new");
    }),
    ("mv user/new user/new.1", |disk| rename(disk, "user/new")),
    ("mv user/tmp user/tmp.1", |disk| rename(disk, "user/tmp")),
    ("rm -r user/new", |disk| disk.remove_tree("user/new")),
    ("rm -r user/tmp", |disk| disk.remove_tree("user/tmp")),
    ("rm -r user", |disk| disk.remove_tree("user")),
    ("rm -r user; mkdir -p user/tmp user/new", |disk| {
        disk.remove_tree("user");
        make(disk, "user/tmp");
        make(disk, "user/new");
    }),
    ("mv .OTHER_SERVERS .OTHER_SERVERS.1", |disk| rename(disk, ".OTHER_SERVERS")),
    ("mv .OTHER_SERVERS/other.server ...", |disk| rename(disk, ".OTHER_SERVERS/other.server")),
    ("rm -r .OTHER_SERVERS/other.server", |disk| disk.remove_tree(".OTHER_SERVERS/other.server")),
    ("rm -r .OTHER_SERVERS", |disk| disk.remove_tree(".OTHER_SERVERS")),
];

#[test]
fn a_folder_that_is_renamed_or_removed_at_any_moment_has_each_file_where_its_name_leads() {
    let expected = ["/.OTHER_SERVERS/other.server", "/joe/new", "/user/new"];
    for ((name, meddle), content) in
        MEDDLINGS.iter().flat_map(|meddling| contents().map(|text| (*meddling, text)))
    {
        // The folders are known, and in use.
        let start = || {
            let (store, disk) = start(How::Meddled(meddle), false, 1);
            deliver(&store, ALL, b"Subject: before\r\n\r\n").unwrap();
            disk.disk.remove_mail();
            (store, disk)
        };
        let (store, disk) = start();
        disk.left.store(1_000_000, Ordering::SeqCst);
        deliver(&store, ALL, content.as_bytes()).unwrap();
        let all = 1_000_000 - disk.left.load(Ordering::SeqCst);
        assert!(store.close(Duration::from_mins(1)));
        // After the last sync each of the three files is looked at, by two names.
        for number in 1..=all - 5 {
            let case =
                format!("{name} before operation {number} of {all}, {} octets", content.len());
            let (store, disk) = start();
            disk.left.store(number, Ordering::SeqCst);
            assert_eq!(deliver(&store, ALL, content.as_bytes()), Ok(()), "{case}");
            assert!(disk.left.load(Ordering::SeqCst) <= 0, "{case}");
            let state = disk.disk.state();
            for state in [state.crash(|_| 0), state] {
                let found: Vec<_> =
                    mail(&state).into_iter().filter(|(path, _)| !path.contains("/tmp")).collect();
                let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
                assert_eq!(paths, expected, "{case}");
                let whole = content.replace("\r\n", "\n");
                let is_whole = |text: &[u8]| {
                    text.ends_with(content.as_bytes()) || text.ends_with(whole.as_bytes())
                };
                assert!(found.iter().all(|(_, text)| is_whole(text)), "{case}");
            }
            assert!(store.close(Duration::from_mins(1)));
        }
    }
}
