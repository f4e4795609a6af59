//! Ways to make files safe, side by side: what was tried before the store was written as it is.
//!
//! ```text
//! ways DIR SECONDS    for each way: files a second, CPU time a file of its own and of the whole machine
//! ```
//!
//! Each way does the same for each file: create, write 4 KiB, have it on stable storage, give it
//! its final name, have that on stable storage. `bench/run --case ways` calls it on a disk of its
//! own.

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags, fallocate, fdatasync, fsync, linkat,
    openat, renameat_with, syncfs,
};
use rustix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FILE_BYTES: usize = 4096;

/// How the octets become safe.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Each file by its own fdatasync.
    Own,
    /// The same, with its blocks allocated first.
    Allocated,
    /// A file without a name, linked when it is safe.
    Unnamed,
    /// So many files, then one syncfs for all; their names by the sync of each folder, one after
    /// the other.
    Together(usize),
    /// The same, with a second syncfs for the names.
    TogetherTwice(usize),
}

/// What is tried: its name, how, by so many threads, into so many folders.
const WAYS: [(&str, Way, usize, usize); 14] = [
    ("1 thread: fdatasync, fsync", Way::Own, 1, 1),
    ("1 thread: O_TMPFILE, linkat", Way::Unnamed, 1, 1),
    ("1 thread: syncfs for 1", Way::Together(1), 1, 1),
    ("2 threads: fdatasync, fsync", Way::Own, 2, 1),
    ("1 thread: syncfs for 2", Way::Together(2), 1, 1),
    ("8 threads: fdatasync, fsync", Way::Own, 8, 1),
    ("64 threads: fdatasync, fsync", Way::Own, 64, 1),
    ("64 threads: fallocate first", Way::Allocated, 64, 1),
    ("64 threads: O_TMPFILE, linkat", Way::Unnamed, 64, 1),
    ("1 thread: syncfs for 50", Way::Together(50), 1, 1),
    ("2 threads: syncfs for 25 each", Way::Together(25), 2, 1),
    ("64 threads, 50 folders: fdatasync, fsync", Way::Own, 64, 50),
    ("2 threads, 50 folders: syncfs, fsync each", Way::Together(50), 2, 50),
    ("2 threads, 50 folders: syncfs, syncfs", Way::TogetherTwice(50), 2, 50),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.as_slice() {
        [folder, seconds] => {
            seconds.parse().map_err(Into::into).and_then(|seconds| all(Path::new(folder), seconds))
        }
        _ => Err("the usage stands at the top of bench/ways.rs".into()),
    };
    done.map_or_else(
        |error| {
            eprintln!("ways: {error}");
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

fn all(folder: &Path, seconds: f64) -> Result<()> {
    for (number, (name, way, threads, boxes)) in WAYS.into_iter().enumerate() {
        let place = folder.join(number.to_string());
        let boxes = (0..boxes)
            .map(|number| Mailbox::new(&place.join(number.to_string())))
            .collect::<Result<Vec<_>>>()?;
        rustix::fs::sync();
        let (rate, own, machine) = run(way, threads, &boxes, seconds)?;
        println!("{name}\t{rate:.0}\t{own:.0}\t{machine:.0}");
    }
    Ok(())
}

struct Mailbox {
    tmp: OwnedFd,
    new: OwnedFd,
}

impl Mailbox {
    fn new(folder: &Path) -> Result<Self> {
        let open = |name: &str| -> io::Result<_> {
            fs::create_dir_all(folder.join(name))?;
            Ok(rustix::fs::open(
                folder.join(name),
                OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?)
        };
        Ok(Self { tmp: open("tmp")?, new: open("new")? })
    }
}

/// Files a second, and microseconds of CPU time a file: of this process, and of the machine.
fn run(way: Way, threads: usize, boxes: &[Mailbox], seconds: f64) -> Result<(f64, f64, f64)> {
    let files = AtomicU64::new(0);
    let (begin, own, machine) = (Instant::now(), own_cpu(), machine_cpu()?);
    let end = begin + Duration::from_secs_f64(seconds);
    thread::scope(|scope| -> Result<()> {
        let work = |thread: usize| -> Result<()> {
            let mut next = 0;
            while Instant::now() < end {
                next += 1;
                let names = format!("{thread}.{next}");
                let done = turn(way, boxes, &names, thread + next)?;
                files.fetch_add(u64::try_from(done)?, Ordering::Relaxed);
            }
            Ok(())
        };
        let workers: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        })
    })?;
    let (taken, own, machine) = (begin.elapsed(), own_cpu() - own, machine_cpu()? - machine);
    let files = f64::from(u32::try_from(files.into_inner())?);
    Ok((files / taken.as_secs_f64(), own * 1e6 / files, machine * 1e6 / files))
}

/// Makes one file safe, or as many as the way takes at once; their number.
fn turn(way: Way, boxes: &[Mailbox], names: &str, first: usize) -> Result<usize> {
    let (count, twice) = match way {
        Way::Together(count) => (count, false),
        Way::TogetherTwice(count) => (count, true),
        Way::Own | Way::Allocated | Way::Unnamed => {
            one(way, boxes.get(first % boxes.len()).ok_or("no mailbox")?, names)?;
            return Ok(1);
        }
    };
    let of = |number: usize| boxes.get(number % boxes.len()).ok_or("no mailbox");
    let mut held = Vec::new();
    for number in 0..count {
        held.push(create(of(number)?, &format!("{names}.{number}"))?);
    }
    syncfs(&of(0)?.tmp)?;
    for number in 0..count {
        let (mailbox, name) = (of(number)?, format!("{names}.{number}"));
        renameat_with(&mailbox.tmp, &name, &mailbox.new, &name, RenameFlags::NOREPLACE)?;
    }
    let folders = if twice { syncfs(&of(0)?.tmp).map(|()| 1)? } else { count.min(boxes.len()) };
    for number in 0..folders {
        fsync(&of(number)?.new)?;
    }
    Ok(count)
}

fn create(mailbox: &Mailbox, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&mailbox.tmp, name, flags, Mode::RUSR | Mode::WUSR)?;
    write(&file)?;
    Ok(file)
}

fn write(file: &OwnedFd) -> Result<()> {
    let written = rustix::io::write(file, &[b'x'; FILE_BYTES])?;
    if written == FILE_BYTES { Ok(()) } else { Err("a short write".into()) }
}

fn one(way: Way, mailbox: &Mailbox, name: &str) -> Result<()> {
    if way == Way::Unnamed {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = openat(&mailbox.new, ".", flags, Mode::RUSR | Mode::WUSR)?;
        write(&file)?;
        fdatasync(&file)?;
        linkat(
            CWD,
            format!("/proc/self/fd/{}", file.as_raw_fd()),
            &mailbox.new,
            name,
            AtFlags::SYMLINK_FOLLOW,
        )?;
        return Ok(fsync(&mailbox.new)?);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&mailbox.tmp, name, flags, Mode::RUSR | Mode::WUSR)?;
    if way == Way::Allocated {
        fallocate(&file, FallocateFlags::empty(), 0, u64::try_from(FILE_BYTES)?)?;
    }
    write(&file)?;
    fdatasync(&file)?;
    renameat_with(&mailbox.tmp, name, &mailbox.new, name, RenameFlags::NOREPLACE)?;
    Ok(fsync(&mailbox.new)?)
}

/// Seconds of this process.
fn own_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds).as_secs_f64()
}

/// Seconds in which the processors were busy, in ticks of 10 ms: the kernel's own threads among
/// them.
fn machine_cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let numbers: Vec<u32> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait), irq, softirq
    let busy = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|place| numbers.get(*place))
        .map(|ticks| f64::from(*ticks))
        .sum::<f64>();
    Ok(busy / 100.0)
}
