//! The store alone beside the disk: the same file operations asked for by plain threads, in the
//! same run and the same folder, in turns. Ratios of medians.
//!
//! ```text
//! cargo bench --bench store                          in the target folder
//! cargo bench --bench store -- --folder DIR          on another disk
//! ```
//!
//! What one message costs depends on the disk and on what else it does, so that no number of one
//! run stands beside one of another; the ratio does. divan measures a function, not threads that
//! wait for a disk together: this bench is its own.

// Counts and times here are far below 2^52.
#![allow(clippy::cast_precision_loss)]

use std::env;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use postman::maildir::{Fill, Format, Options, Store, StoreError};
use postman::smtp::envelope::{Envelope, Place, Recipient};
use postman::smtp::path::{ForwardPath, ReversePath, Syntax};
use rustix::fs::{Mode, OFlags, RenameFlags, fdatasync, fsync, openat, renameat_with};
use rustix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FILE_BYTES: usize = 4096;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_millis(1500);

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let folder =
        words.iter().position(|word| word == "--folder").and_then(|place| words.get(place + 1));
    let folder = folder.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let place = folder.join(format!("store-bench-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    let done = all(&place);
    fs::remove_dir_all(&place)?;
    done
}

fn all(place: &Path) -> Result<()> {
    println!("{:<44} {:>10} {:>10} {:>7} {:>12}", "case", "store", "probe", "ratio", "CPU us/msg");
    let content = message(FILE_BYTES);
    let case =
        |name: &str, threads: usize, sessions: usize, boxes: usize, content: &[u8]| -> Result<()> {
            let (mut rates, mut probes, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let mut ask = || -> Result<()> {
                    probes
                        .push(probe(&place.join("probe"), threads, content.len())? / boxes as f64);
                    Ok(())
                };
                if round % 2 == 0 {
                    ask()?;
                }
                let (rate, cpu) = store(&place.join("store"), sessions, boxes, content)?;
                rates.push(rate);
                cpus.push(cpu);
                if round % 2 == 1 {
                    ask()?;
                }
            }
            let (rate, probe, cpu) = (median(&mut rates), median(&mut probes), median(&mut cpus));
            println!(
                "{name:<44} {rate:>10.1} {probe:>10.1} {:>6.0}% {cpu:>12.0}",
                100.0 * rate / probe
            );
            Ok(())
        };
    case("1 session, 4 KiB; 1 thread", 1, 1, 1, &content)?;
    case("50 sessions, 4 KiB; 64 threads", 64, 50, 1, &content)?;
    case("200 sessions, 4 KiB; 64 threads", 64, 200, 1, &content)?;
    case("50 sessions, 64 KiB; 64 threads", 64, 50, 1, &message(60_000))?;
    case("1 session, 50 mailboxes; 64 threads", 64, 1, 50, &content)?;
    case("4 sessions, 5 MiB; 4 threads", 4, 4, 1, &message(5 << 20))
}

fn message(octets: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "x".repeat(78));
    format!("Subject: bench\r\n\r\n{}", line.repeat(octets / line.len())).into_bytes()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Files a second: what any server that keeps the same promise has to ask of the disk.
fn probe(folder: &Path, threads: usize, octets: usize) -> Result<f64> {
    let open = |name: &str| -> Result<_> {
        fs::create_dir_all(folder.join(name))?;
        Ok(rustix::fs::open(folder.join(name), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    };
    let (tmp, new) = (open("tmp")?, open("new")?);
    let (content, files, begin) = (vec![b'x'; octets], AtomicU64::new(0), Instant::now());
    let one = |name: &str| -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&tmp, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut rest = content.as_slice();
        while !rest.is_empty() {
            rest = rest.get(rustix::io::write(&file, rest)?..).unwrap_or_default();
        }
        fdatasync(&file)?;
        renameat_with(&tmp, name, &new, name, RenameFlags::NOREPLACE)?;
        Ok(fsync(&new)?)
    };
    thread::scope(|scope| {
        let (one, files) = (&one, &files);
        let work = move |number: usize| -> Result<()> {
            let mut file = 0;
            while begin.elapsed() < TIME {
                one(&format!("{number}.{file}"))?;
                file += 1;
                files.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let workers: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        })
    })?;
    let rate = files.into_inner() as f64 / begin.elapsed().as_secs_f64();
    fs::remove_dir_all(folder)?;
    Ok(rate)
}

fn envelope(boxes: usize) -> Result<Envelope> {
    let recipient = |number: usize| -> Result<Recipient> {
        match ForwardPath::parse(&format!("<user{number}@postman.local>"), Syntax::Lenient) {
            Ok(ForwardPath::Mailbox(mailbox)) => Ok(Recipient { mailbox, place: Place::Local }),
            _ => Err("no mailbox".into()),
        }
    };
    Ok(Envelope {
        id: "1-1".to_owned(),
        sender: ReversePath::parse("<a@client.example>", Syntax::Lenient).map_err(|_| "no path")?,
        recipients: (0..boxes).map(recipient).collect::<Result<_>>()?,
        helo: "client.example".to_owned(),
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        with: "ESMTP",
        encryption: None,
    })
}

/// One after the other on each of so many sessions; no thread of ours waits for the disk.
struct Session {
    done: Sender<(Session, std::result::Result<(), StoreError>)>,
}

fn send(store: &Store, session: Session, envelope: &Envelope, content: &[u8]) -> Result<()> {
    let mut draft = store.begin(envelope.clone(), 1_608_416_175);
    for piece in content.chunks(64 << 10) {
        if draft.push(piece) == Fill::Full {
            let (back, spilled) = channel();
            store.spill(draft, move |draft| drop(back.send(draft)));
            draft = spilled.recv()?;
        }
    }
    store.commit(draft, move |result| {
        let done = session.done.clone();
        drop(done.send((session, result.map(drop))));
    });
    Ok(())
}

/// Messages a second, and microseconds of CPU for each.
fn store(folder: &Path, sessions: usize, boxes: usize, content: &[u8]) -> Result<(f64, f64)> {
    let store = Store::open(Options {
        root: folder.to_owned(),
        format: Format::Message,
        host: "postman.local".to_owned(),
        threads_max: 64,
        naming: postman::maildir::Naming::ByUser,
        memory_bytes_max: 64 << 10,
        waiting_max: 4096,
        free_bytes_min: 0,
    })?;
    let envelope = envelope(boxes)?;
    let (done, results): (_, Receiver<(Session, std::result::Result<(), StoreError>)>) = channel();
    // The folders are there.
    send(&store, Session { done: done.clone() }, &envelope, b"x")?;
    results.recv()?.1.map_err(|error| error.to_string())?;
    let cpu = || -> f64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let (begin, cpu_before, mut count) = (Instant::now(), cpu(), 0_u64);
    for _ in 0..sessions {
        send(&store, Session { done: done.clone() }, &envelope, content)?;
    }
    let mut running = sessions;
    while running > 0 {
        let (session, result) = results.recv()?;
        result.map_err(|error| error.to_string())?;
        count += 1;
        if begin.elapsed() < TIME {
            send(&store, session, &envelope, content)?;
        } else {
            running -= 1;
        }
    }
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu() - cpu_before);
    if !store.close(Duration::from_mins(1)) {
        return Err("the store did not close".into());
    }
    fs::remove_dir_all(folder)?;
    Ok((count as f64 / seconds, cpu / count as f64))
}
