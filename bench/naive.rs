//! A durable server as one writes it first, to be measured beside Postman: a thread for each
//! connection, and for each file create, write, fdatasync, rename and the fsync of its folder.
//! Nothing is shared and nothing waits for another client. It has Postman's own session, so that
//! only the store and the threads differ.
//!
//! ```text
//! naive ADDRESS DIR    serves until it is killed; mailboxes are DIR/NAME
//! ```
//!
//! It has no limits, no time-outs and no queue for other servers: not for mail that matters.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use postman::config::Config;
use postman::server::kept;
use postman::smtp::envelope::Envelope;
use postman::smtp::machine::BUILT;
use postman::smtp::session::{
    Client, Input, Output, Question, Refusal, Session, Settings, World, drive,
};

/// Numbers the files, beside the time.
static NUMBER: AtomicU64 = AtomicU64::new(0);

struct Connection {
    folder: PathBuf,
    enhanced: bool,
    out: Vec<u8>,
    message: Option<(Box<Envelope>, Vec<u8>)>,
    closed: bool,
}

impl World for Connection {
    fn take(&mut self, output: Output<'_>) {
        match output {
            Output::Reply(reply) => reply.write(&mut self.out, self.enhanced),
            Output::Open(envelope) => self.message = Some((envelope, Vec::new())),
            Output::Content(octets) => {
                if let Some((_, content)) = &mut self.message {
                    content.extend_from_slice(octets);
                }
            }
            Output::Discard => self.message = None,
            Output::Close => self.closed = true,
            // `Encrypt` is one of the row that is left out, and there are no faults.
            Output::Ask(_)
            | Output::Fault(_)
            | Output::Octets(_)
            | Output::Cut
            | Output::Wait(_)
            | Output::Reset
            | Output::Hang
            | Output::Encrypt
            | Output::Line(..)
            | Output::Step(_)
            | Output::Refused(..) => {}
        }
    }

    fn answer(&mut self, question: Question) -> Input<'static> {
        match question {
            Question::Room(_) => Input::Room(Ok(())),
            Question::User(_) => Input::User(Ok(())),
            // The row that asks it is left out.
            Question::Handshake => Input::Handshake(Err(Refusal::Broken)),
            Question::Store => {
                let stored = self
                    .message
                    .take()
                    .map(|(envelope, content)| store(&self.folder, &envelope, &content));
                Input::Stored(match stored {
                    Some(Ok(())) => Ok(()),
                    Some(Err(error)) => {
                        eprintln!("naive: {error}");
                        Err(Refusal::Broken)
                    }
                    None => Err(Refusal::Broken),
                })
            }
        }
    }
}

fn store(folder: &Path, envelope: &Envelope, content: &[u8]) -> io::Result<()> {
    let names: BTreeSet<String> =
        envelope.recipients.iter().map(|to| to.mailbox.local.folded()).collect();
    for name in names {
        let home = folder.join(&name);
        if !home.join("new").is_dir() {
            for part in ["tmp", "cur", "new"] {
                fs::create_dir_all(home.join(part))?;
            }
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let file_name =
            format!("{seconds}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (tmp, new) = (home.join("tmp").join(&file_name), home.join("new").join(&file_name));
        let mut octets =
            format!("X-Postman-From: {}\nX-Postman-To: {name}\n", envelope.sender).into_bytes();
        octets.extend(content.iter().copied().filter(|octet| *octet != b'\r'));
        let mut file = File::create_new(&tmp)?;
        file.write_all(&octets)?;
        file.sync_data()?;
        fs::rename(tmp, new)?;
        File::open(home.join("new"))?.sync_all()?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream, settings: Arc<Settings>, folder: PathBuf) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (address, local) = (Some(stream.peer_addr()?.ip()), Some(stream.local_addr()?.ip()));
    let client = Client { id: "1".to_owned(), address, local, may_relay: false, refused: false };
    let mut session = Session::new(settings, client);
    let mut connection = Connection {
        folder,
        enhanced: session.shows_enhanced(),
        out: Vec::new(),
        message: None,
        closed: false,
    };
    drive(&mut session, Input::Connect, &mut connection);
    let mut octets = vec![0; 16 * 1024];
    loop {
        connection.enhanced = session.shows_enhanced();
        stream.write_all(&std::mem::take(&mut connection.out))?;
        if connection.closed {
            return Ok(());
        }
        let read = stream.read(&mut octets)?;
        if read == 0 {
            return Ok(());
        }
        drive(&mut session, Input::Octets(octets.get(..read).unwrap_or_default()), &mut connection);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(folder)) = (words.next(), words.next()) else {
        return Err("usage: naive ADDRESS DIR".into());
    };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let settings = Arc::new(Config::default().settings(kept(&BUILT)));
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, settings, folder) = (stream?, Arc::clone(&settings), folder.clone());
        // A client that goes away ends its own thread only.
        thread::spawn(move || drop(serve(stream, settings, folder)));
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("naive: {error}");
            ExitCode::from(2)
        }
    }
}
