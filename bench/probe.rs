//! The harness's own tools, each a small program: what the disk gives, connections that are held,
//! a lone client's latency, the time of a start. `bench/run` calls them.
//!
//! ```text
//! probe disk DIR THREADS SECONDS    files a second: create, write, sync, move, sync the folder
//! probe hold ADDRESS COUNT          holds connections after EHLO until standard input ends
//! probe lone ADDRESS USER COUNT     latencies of one client's messages, in microseconds
//! probe slow ADDRESS                sends a message an octet at a time until standard input ends
//! probe start ADDRESS COMMAND...    microseconds from the start of a server to its first 220
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, RenameFlags, fdatasync, fsync, openat, renameat_with};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The message of the disk probe, in octets.
const FILE_BYTES: usize = 4096;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["disk", folder, threads, seconds] => disk(Path::new(folder), threads, seconds),
        ["hold", address, count] => hold(address, count),
        ["lone", address, user, count] => lone(address, user, count),
        ["slow", address] => slow(address),
        ["start", address, program, arguments @ ..] => start(address, program, arguments),
        _ => Err("the usage stands at the top of bench/probe.rs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::from(2)
        }
    }
}

/// What any server that keeps the same promise has to ask of the disk, and nothing else.
fn disk(folder: &Path, threads: &str, seconds: &str) -> Result<()> {
    let (threads, seconds): (usize, f64) = (threads.parse()?, seconds.parse()?);
    let open = |name: &str| -> io::Result<_> {
        std::fs::create_dir_all(folder.join(name))?;
        Ok(rustix::fs::open(folder.join(name), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    };
    let (tmp, new) = (open("tmp")?, open("new")?);
    let (over, files) = (AtomicBool::new(false), AtomicU64::new(0));
    let content = [b'x'; FILE_BYTES];
    let one = |name: &str| -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&tmp, name, flags, Mode::RUSR | Mode::WUSR)?;
        if rustix::io::write(&file, &content)? != FILE_BYTES {
            return Err("a short write".into());
        }
        fdatasync(&file)?;
        renameat_with(&tmp, name, &new, name, RenameFlags::NOREPLACE)?;
        Ok(fsync(&new)?)
    };
    let begin = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let work = |number: usize| {
            for file in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                one(&format!("{number}.{file}"))?;
                files.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let workers: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        thread::sleep(Duration::from_secs_f64(seconds));
        over.store(true, Ordering::Relaxed);
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        })
    })?;
    let files = u32::try_from(files.into_inner())?;
    println!("{:.1}", f64::from(files) / begin.elapsed().as_secs_f64());
    Ok(())
}

/// A client that reads replies.
struct Peer {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Peer {
    fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(Self { stream, held: Vec::new() })
    }

    /// The code of the next reply.
    fn reply(&mut self) -> Result<u16> {
        loop {
            while let Some(end) = self.held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                if line.get(3) != Some(&b'-') {
                    return Ok(String::from_utf8_lossy(line.get(..3).unwrap_or_default()).parse()?);
                }
            }
            let mut octets = [0; 512];
            match self.stream.read(&mut octets)? {
                0 => return Err("the server closed".into()),
                taken => self.held.extend_from_slice(octets.get(..taken).unwrap_or_default()),
            }
        }
    }

    fn ask(&mut self, line: &str, code: u16) -> Result<()> {
        self.stream.write_all(line.as_bytes())?;
        let got = self.reply()?;
        if got == code { Ok(()) } else { Err(format!("{} got {got}", line.trim_end()).into()) }
    }
}

/// Holds connections after EHLO. Tells how many were held, refused with 421, and failed.
fn hold(address: &str, count: &str) -> Result<()> {
    raise_descriptor_limit();
    let (mut held, mut refused, mut failed) = (Vec::new(), 0, 0);
    for _ in 0..count.parse()? {
        let greeted = Peer::connect(address).map_err(Into::into).and_then(|mut peer| {
            peer.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let code = peer.reply()?;
            if code == 220 {
                peer.ask("EHLO probe.example\r\n", 250)?;
            }
            Ok((peer, code))
        });
        match greeted {
            Ok((peer, 220)) => held.push(peer.stream),
            Ok(_) => refused += 1,
            Err(error) => {
                let _: Box<dyn Error + Send + Sync> = error;
                failed += 1;
            }
        }
        if failed > 3 {
            break;
        }
    }
    println!("{} {refused} {failed}", held.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    // Those that are held are held to the end.
    let mut closed = 0;
    for stream in &mut held {
        stream.set_nonblocking(true)?;
        closed += u32::from(
            !matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        );
    }
    println!("{closed}");
    Ok(())
}

fn content(octets: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(78));
    format!("Subject: probe\r\n\r\n{}", line.repeat(octets / line.len()))
}

/// One client, one connection, one message after the other: the time from MAIL to the last 250.
fn lone(address: &str, user: &str, count: &str) -> Result<()> {
    let mut peer = Peer::connect(address)?;
    peer.reply()?;
    peer.ask("HELO lone.example\r\n", 250)?;
    let content = content(FILE_BYTES);
    let mut times = Vec::new();
    for _ in 0..count.parse()? {
        let begin = Instant::now();
        peer.ask("MAIL FROM:<lone@client.example>\r\n", 250)?;
        peer.ask(&format!("RCPT TO:<{user}>\r\n"), 250)?;
        peer.ask("DATA\r\n", 354)?;
        peer.ask(&format!("{content}.\r\n"), 250)?;
        times.push(begin.elapsed().as_micros());
    }
    peer.ask("QUIT\r\n", 221)?;
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() - 1) * part / 100).copied().unwrap_or_default();
    println!("{} {}", at(50), at(99));
    Ok(())
}

/// A message that comes an octet at a time.
fn slow(address: &str) -> Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let mut peer = Peer::connect(address)?;
    peer.reply()?;
    peer.ask("HELO slow.example\r\n", 250)?;
    peer.ask("MAIL FROM:<slow@client.example>\r\n", 250)?;
    peer.ask("RCPT TO:<slow@postman.local>\r\n", 250)?;
    peer.ask("DATA\r\n", 354)?;
    while !over.load(Ordering::Relaxed) {
        peer.stream.write_all(b"x")?;
        thread::sleep(Duration::from_millis(10));
    }
    peer.ask("\r\n.\r\n", 250)
}

/// Starts a server and waits for its greeting.
fn start(address: &str, program: &str, arguments: &[&str]) -> Result<()> {
    let begin = Instant::now();
    let mut server = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let greeted = loop {
        match Peer::connect(address) {
            Ok(mut peer) => break peer.reply(),
            Err(_) if begin.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) => break Err(error.into()),
        }
    };
    let taken = begin.elapsed();
    server.kill()?;
    server.wait()?;
    let code = greeted?;
    if code != 220 {
        return Err(format!("the greeting was {code}").into());
    }
    println!("{}", taken.as_micros());
    Ok(())
}

fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised shows as connections that failed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
