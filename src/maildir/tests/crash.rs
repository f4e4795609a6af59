//! The store on a disk that crashes: after each operation, with each remainder that it can leave.
//!
//! Whoever was answered 250 finds the message afterwards for every recipient, once, octet for
//! octet; one that was not answered is in each mailbox whole or not at all; and `tmp` is swept.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::mpsc::channel;

use super::simulated::{Lie, Simulated, State};
use super::*;

/// The most remainders of one state that are checked one by one.
const EXHAUSTIVE_MAX: usize = 5_000;

struct Sent {
    recipients: Vec<String>,
    content: String,
}

impl Sent {
    fn new(number: usize, recipients: &[&str], octets: usize) -> Self {
        let line = format!("message {number} 0123456789\r\n");
        let content = format!("Subject: {number}\r\n\r\n{}", line.repeat(octets / line.len()));
        Self { recipients: recipients.iter().map(|&to| to.to_owned()).collect(), content }
    }

    /// Where it is to be found, and how it ends there.
    fn places(&self) -> BTreeMap<String, String> {
        let place = |address: &String| {
            let (local, domain) = address.split_once('@').unwrap();
            if domain == "postman.local" {
                (format!("/{local}/new"), self.content.replace("\r\n", "\n"))
            } else {
                (format!("/{QUEUE}/{domain}"), self.content.clone())
            }
        };
        self.recipients.iter().map(place).collect()
    }
}

/// A server's life: all messages at once, each answer noted; with one thread all of them take one
/// turn. The states of its disk, in order.
fn live(disk: &Simulated, sent: &[Sent], threads: usize) -> Vec<State> {
    disk.remember();
    let mut options = options(Path::new("/nowhere"));
    options.threads_max = threads;
    let store = Store::with_disk(options, Box::new(disk.clone()), Simulated::root()).unwrap();
    let drafts: Vec<Draft> =
        sent.iter().map(|sent| draft(&store, &sent.recipients, sent.content.as_bytes())).collect();
    let hold = (threads == 1).then(|| hold(&store));
    let (sender, answers) = channel();
    for (number, draft) in drafts.into_iter().enumerate() {
        let (disk, sender) = (disk.clone(), sender.clone());
        store.commit(draft, move |result| {
            result.unwrap();
            disk.answer(number);
            sender.send(()).unwrap();
        });
    }
    drop(hold);
    for _ in sent {
        answers.recv().unwrap();
    }
    let history = disk.history();
    assert!(store.close(Duration::from_mins(1)));
    history
}

/// What a reader and the sending stage see.
fn seen(state: &State) -> Vec<(String, Vec<u8>)> {
    // The owners' locks are files of the mail folder itself.
    let is_seen = |path: &str| !path.ends_with("/tmp") && !path.is_empty();
    state.files().into_iter().filter(|(path, _)| is_seen(path)).collect()
}

/// The promise, after a crash.
fn holds(after: &State, sent: &[Sent]) -> Result<(), String> {
    let found = seen(after);
    let mut counts: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for (path, octets) in &found {
        let text = String::from_utf8_lossy(octets);
        let whose = sent.iter().position(|sent| {
            sent.places().get(path).is_some_and(|content| {
                let headers = text.strip_suffix(content.as_str());
                headers.is_some_and(|headers| {
                    headers.matches("X-Postman-To").count() == 1 && !headers.contains('\0')
                })
            })
        });
        let Some(number) = whose else {
            return Err(format!("in {path} is half a message: {text:?}"));
        };
        *counts.entry((number, path.clone())).or_default() += 1;
    }
    for (number, sent) in sent.iter().enumerate() {
        for path in sent.places().into_keys() {
            let count = counts.get(&(number, path.clone())).copied().unwrap_or_default();
            if count > 1 || (count == 0 && after.answered.contains(&number)) {
                return Err(format!("message {number} is {count} times in {path}"));
            }
        }
    }
    // The next server sweeps, and touches nothing else.
    let disk = Simulated::restarted(after.clone()).alone();
    let owner = owner::Owner::take(&disk, &Simulated::root()).map_err(|error| error.to_string())?;
    owner::sweep(&disk, &Simulated::root(), &owner);
    let swept = disk.state();
    if let Some((path, _)) = swept.files().iter().find(|(path, _)| path.ends_with("/tmp")) {
        return Err(format!("something is left in {path}"));
    }
    if seen(&swept) != found {
        return Err("the sweep took a message".to_owned());
    }
    Ok(())
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    (state.files(), &state.answered).hash(&mut hasher);
    hasher.finish()
}

/// Every remainder of every state; the number of them that differ, or the first that breaks the
/// promise.
fn every_crash(history: &[State], sent: &[Sent]) -> Result<usize, String> {
    let mut known = HashSet::new();
    for (number, state) in history.iter().enumerate() {
        let remainders = state.remainders();
        assert!(
            remainders <= EXHAUSTIVE_MAX,
            "{remainders} remainders are too many to be looked at one by one"
        );
        for remainder in 0..remainders {
            let mut rest = remainder;
            let after = state.crash(|count| {
                let picked = rest % count;
                rest /= count;
                picked
            });
            if known.insert(fingerprint(&after)) {
                holds(&after, sent).map_err(|error| {
                    format!("after operation {number}, remainder {remainder}: {error}")
                })?;
            }
        }
    }
    Ok(known.len())
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((value ^ (value >> 32)) % bound as u64).unwrap()
    }
}

const USER: &str = "user@postman.local";
const JOE: &str = "joe@postman.local";
const OTHER: &str = "a@other.server";
/// On another file system: [`simulated::ELSEWHERE`].
const CAROL: &str = "carol@postman.local";

#[test]
fn every_crash_of_one_message_to_one_two_or_three_recipients() {
    for (recipients, octets) in [
        (&[USER][..], 600),
        (&[OTHER], 600),
        (&[USER], 1700),
        (&[USER, OTHER], 600),
        (&[USER, JOE], 600),
        (&[OTHER, "b@good.server"], 100),
        (&[USER, JOE, OTHER], 100),
        (&[USER, JOE, CAROL], 100),
    ] {
        let sent = [Sent::new(0, recipients, octets)];
        for disk in [Simulated::new(), Simulated::new().without_sync_fs()] {
            let history = live(&disk, &sent, 1);
            let count = every_crash(&history, &sent)
                .unwrap_or_else(|error| panic!("{recipients:?}: {error}"));
            assert!(
                history.len() > 20 && count > 10,
                "{} states, {count} remainders",
                history.len()
            );
        }
    }
}

#[test]
fn every_crash_of_two_messages_at_once() {
    for (one, other) in
        [(&[USER][..], &[USER][..]), (&[USER], &[OTHER]), (&[USER], &[JOE]), (&[USER], &[CAROL])]
    {
        let sent = [Sent::new(0, one, 100), Sent::new(1, other, 100)];
        // In one turn that shares its sync, and in two.
        for (disk, threads) in [(Simulated::new(), 1), (Simulated::new().without_sync_fs(), 2)] {
            let history = live(&disk, &sent, threads);
            every_crash(&history, &sent)
                .unwrap_or_else(|error| panic!("{one:?} and {other:?}: {error}"));
        }
    }
}

#[test]
fn random_crashes_of_many_messages_at_once_and_of_the_sweep() {
    let seed = std::env::var("POSTMAN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| unique::random().unwrap());
    println!("POSTMAN_SEED={seed}");
    let mut random = Random(seed);
    let addresses = [USER, JOE, CAROL, OTHER, "b@other.server", "c@good.server"];
    for _ in 0..12 {
        let sent: Vec<Sent> = (0..=random.below(4))
            .map(|number| {
                let to: Vec<&str> =
                    addresses.iter().copied().filter(|_| random.below(2) == 0).collect();
                Sent::new(
                    number,
                    if to.is_empty() { &[USER] } else { &to },
                    30 + random.below(3000),
                )
            })
            .collect();
        let disk = if random.below(3) == 0 {
            Simulated::new().without_sync_fs()
        } else {
            Simulated::new()
        };
        let history = live(&disk, &sent, 1 + random.below(4));
        for state in &history {
            for _ in 0..3 {
                let after = state.crash(|count| random.below(count));
                holds(&after, &sent).unwrap_or_else(|error| panic!("POSTMAN_SEED={seed}: {error}"));
            }
        }
        // A crash, and another one while the next server sweeps.
        for _ in 0..10 {
            let first = history[random.below(history.len())].crash(|count| random.below(count));
            let disk = Simulated::restarted(first).alone();
            disk.remember();
            let owner = owner::Owner::take(&disk, &Simulated::root()).unwrap();
            owner::sweep(&disk, &Simulated::root(), &owner);
            for state in disk.history() {
                let after = state.crash(|count| random.below(count));
                holds(&after, &sent)
                    .unwrap_or_else(|error| panic!("POSTMAN_SEED={seed}, in a sweep: {error}"));
            }
        }
    }
}

#[test]
fn a_sync_that_is_left_out_or_comes_late_is_noticed() {
    let (one, two) = (vec![Sent::new(0, &[USER], 600)], vec![Sent::new(0, &[USER, OTHER], 600)]);
    let (all, each) = (Simulated::new, || Simulated::new().without_sync_fs());
    for (lie, disk, sent) in [
        (Lie::NoSyncOfFiles, all(), &one),
        (Lie::NoSyncOfFiles, each(), &two),
        (Lie::NoSyncFs, all(), &two),
        (Lie::NoSyncOf("new"), all(), &two),
        (Lie::NoSyncOf("other.server"), all(), &two),
        (Lie::NoSyncOf("/"), all(), &one),
        (Lie::NoSyncOf("user"), all(), &one),
        (Lie::NoSyncOf(QUEUE), each(), &two),
        (Lie::SyncsFilesLast, all(), &two),
        (Lie::SyncsFilesLast, each(), &two),
    ] {
        disk.lie(lie);
        let history = live(&disk, sent, 1);
        assert!(
            every_crash(&history, sent).is_err(),
            "{lie:?} breaks the promise, and nobody saw it"
        );
    }
}

#[test]
fn a_living_servers_files_are_not_swept_by_another() {
    let disk = Simulated::new();
    let root = Simulated::root();
    let living = owner::Owner::take(&disk, &root).unwrap();
    disk.make_folder(&root, "user").unwrap();
    let user = disk.open_folder(&root, "user").unwrap();
    disk.make_folder(&user, "tmp").unwrap();
    let tmp = disk.open_folder(&user, "tmp").unwrap();
    disk.create(&tmp, &format!("{}.0", living.id)).unwrap();
    let second = owner::Owner::take(&disk, &root).unwrap();
    owner::sweep(&disk, &root, &second);
    assert_eq!(disk.names(&tmp).unwrap().len(), 1);
    // After a crash no server lives.
    let disk = Simulated::restarted(disk.state());
    let third = owner::Owner::take(&disk, &root).unwrap();
    owner::sweep(&disk, &root, &third);
    assert_eq!(disk.names(&tmp).unwrap().len(), 0);
}

/// Another program removes a mailbox while the server runs, and makes it again without a sync: it
/// is another folder, of whose name nothing is known.
#[test]
fn a_mailbox_that_somebody_made_anew_is_made_safe_anew() {
    let disk = Simulated::new();
    let root = Simulated::root();
    let store =
        Store::with_disk(options(Path::new("/nowhere")), Box::new(disk.clone()), root.clone());
    let store = store.unwrap();
    let folders = &store.0.folders;
    folders.home(&store.0, Place::Local, "user").unwrap();
    folders.close(true);
    let user = disk.open_folder(&root, "user").unwrap();
    for name in ["tmp", "cur", "new"] {
        disk.remove_folder(&user, name).unwrap();
    }
    disk.remove_folder(&root, "user").unwrap();
    disk.make_folder(&root, "user").unwrap();
    folders.home(&store.0, Place::Local, "user").unwrap();
    // Of all that could be lost, everything is.
    let after = Simulated::restarted(disk.state().crash(|_| 0));
    let user = after.open_folder(&root, "user").expect("the name was synced");
    assert!(after.open_folder(&user, "new").is_ok());
}
