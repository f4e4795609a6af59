//! A client that sends mail over TLS, as smtp-source does in the clear: `bench/run --case tls` calls
//! it.
//!
//! ```text
//! encrypted ADDRESS USER SESSIONS COUNT OCTETS each|kept clear|full|resumed
//! ```
//!
//! So many messages of so many octets by so many sessions at a time, each on a connection of its own
//! or on one that is kept: in the clear, or after STARTTLS with a full handshake each time or with
//! keys that are resumed. It trusts any certificate, since speed is what it measures. It prints the
//! seconds from the first connection to the last answer, and how many handshakes were resumed.

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postman::dialogue::trusting;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What all sessions share.
struct Plan {
    address: String,
    user: String,
    content: String,
    /// Messages that are still to be sent.
    left: AtomicUsize,
    resumed: AtomicUsize,
    is_kept: bool,
    /// `None` in the clear.
    tls: Option<Arc<ClientConfig>>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encrypted: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let [address, user, sessions, count, octets, connection, line] = words else {
        return Err("the usage stands at the top of bench/encrypted.rs".into());
    };
    let text = format!("{}\r\n", "x".repeat(78));
    let tls = match line.as_str() {
        "clear" => None,
        "full" => Some(config(Resumption::disabled())?),
        "resumed" => Some(config(Resumption::default())?),
        other => return Err(format!("`{other}` is no line").into()),
    };
    let plan = Plan {
        address: address.clone(),
        user: user.clone(),
        content: format!(
            "Subject: bench\r\n\r\n{}.\r\n",
            text.repeat(octets.parse::<usize>()? / text.len())
        ),
        left: AtomicUsize::new(count.parse()?),
        resumed: AtomicUsize::new(0),
        is_kept: connection == "kept",
        tls,
    };
    let begin = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let sessions: Vec<_> =
            (0..sessions.parse()?).map(|_| scope.spawn(|| session(&plan))).collect();
        sessions.into_iter().try_for_each(|session| {
            session.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        })
    })?;
    println!("{:.4} {}", begin.elapsed().as_secs_f64(), plan.resumed.into_inner());
    Ok(())
}

/// Sends as long as messages are left.
fn session(plan: &Plan) -> Result<()> {
    let mut line = None;
    loop {
        let is_another = |left: usize| left.checked_sub(1);
        if plan.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_another).is_err() {
            break;
        }
        let mut open = match line.take() {
            Some(open) => open,
            None => connect(plan)?,
        };
        ask(&mut *open, "MAIL FROM:<from@client.example>\r\n", "250")?;
        ask(&mut *open, &format!("RCPT TO:<{}>\r\n", plan.user), "250")?;
        ask(&mut *open, "DATA\r\n", "354")?;
        ask(&mut *open, &plan.content, "250")?;
        if plan.is_kept {
            line = Some(open);
        } else {
            ask(&mut *open, "QUIT\r\n", "221")?;
        }
    }
    Ok(())
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// A session after EHLO, and after STARTTLS if it is to be encrypted.
fn connect(plan: &Plan) -> Result<Box<dyn Line>> {
    const EHLO: &str = "EHLO client.example\r\n";
    let mut stream = TcpStream::connect(&plan.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    expect(&mut stream, "220")?;
    ask(&mut stream, EHLO, "250")?;
    let Some(config) = &plan.tls else { return Ok(Box::new(stream)) };
    ask(&mut stream, "STARTTLS\r\n", "220")?;
    let name = ServerName::try_from("mail.example.org")?;
    let mut line = StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream);
    ask(&mut line, EHLO, "250")?;
    let is_resumed = line.conn.handshake_kind() == Some(HandshakeKind::Resumed);
    plan.resumed.fetch_add(usize::from(is_resumed), Ordering::Relaxed);
    Ok(Box::new(line))
}

fn ask(line: &mut (impl Read + Write + ?Sized), text: &str, code: &str) -> Result<()> {
    line.write_all(text.as_bytes())?;
    line.flush()?;
    expect(line, code)
}

/// Reads one reply. Nothing follows it, since nothing is piped.
fn expect(line: &mut (impl Read + ?Sized), code: &str) -> Result<()> {
    let (mut reply, mut octets) = (Vec::new(), [0; 1024]);
    loop {
        match line.read(&mut octets)? {
            0 => return Err("the server closed".into()),
            taken => reply.extend_from_slice(octets.get(..taken).unwrap_or_default()),
        }
        let text = String::from_utf8_lossy(&reply);
        let last = text.lines().next_back().unwrap_or_default();
        if text.ends_with("\r\n") && last.as_bytes().get(3) == Some(&b' ') {
            let is_expected = last.starts_with(code);
            return if is_expected {
                Ok(())
            } else {
                Err(format!("{code} was due: {text}").into())
            };
        }
    }
}

fn config(resumption: Resumption) -> Result<Arc<ClientConfig>> {
    let mut config = trusting(rustls::ALL_VERSIONS)?;
    config.resumption = resumption;
    Ok(Arc::new(config))
}
