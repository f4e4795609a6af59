//! The page, the metrics and the rest that is asked for over HTTP: the only room that knows HTTP.
//!
//! ```text
//! accept -- gate: whose request is answered -- route: what is asked -- answer
//!                                                                       |- state, sessions, events
//!                                                                       |- metrics, messages
//!                                                                       '- files of the page
//! ```
//!
//! What parses the octets is hyper. All runs on one thread of its own, on which nothing waits for a
//! disk: so neither who looks nor the page's own work stops a session. It reads what sessions count
//! (`server::Live`) and changes nothing of them.
//!
//! Bounds: `CONNECTIONS_MAX` connections, `HEAD_BYTES_MAX` octets of head and
//! `BODY_BYTES_MAX` of body, `HEAD_TIME_MAX` for the head, `STALL_MAX` without progress and
//! `LINGER_MAX` behind the last answer.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use async_net::TcpStream;
use async_net::unix::UnixStream;
use futures_lite::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _, future,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::LocalExecutor;
use smol_hyper::rt::FuturesIo;

use crate::config::Web as Keys;
use crate::server::Live;
use crate::server::listeners::{Opened, Socket};

mod answer;
mod ask;
mod body;
mod clock;
mod definition;
mod events;
mod gate;
mod messages;
mod metrics;
pub mod rehearsal;
mod route;
mod sessions;
mod state;
mod stream;

use answer::Context;
pub(crate) use ask::get;
pub(crate) use definition::Definition;
use definition::Describe;
use gate::Gate;
use messages::Mail;
use stream::Unstalled;

/// The most connections at once; one more is closed with 503.
const CONNECTIONS_MAX: usize = 16;
/// The longest head of a request, in octets.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest body of a request, in octets.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long the head of a request may take, and a connection may wait for its next one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a write may make no progress, and a body may take.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long a client that was answered may go on to send.
const LINGER_MAX: Duration = Duration::from_secs(5);
/// The pause after an accept that failed: the system may have room again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The stack of the thread, in octets, as the other threads have it.
const STACK_BYTES: usize = 2 << 20;

/// The answer to a connection too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The page of a server that runs. Dropping it ends its thread.
pub(crate) struct Web {
    /// Closed to end the thread.
    stop: Option<Sender<()>>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Serves the page at a socket that is open. `describe` says what is shown of a listener's
    /// definition; `maildir` is where the mail is.
    ///
    /// # Errors
    /// One line: the thread could not be started.
    pub(crate) fn start(
        opened: Opened,
        keys: &Keys,
        maildir: PathBuf,
        describe: Describe,
        live: Live,
    ) -> Result<Self, String> {
        live.dialogues().keep();
        let mail = keys.messages.then(|| Mail::at(maildir));
        let context = Context::new(Gate::new(keys), mail, describe, live);
        let (stop, stopped) = async_channel::bounded(1);
        let thread = thread::Builder::new()
            .name("web".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || serve(opened, context, &stopped))
            .map_err(|error| format!("cannot start the page's thread: {error}"))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves until the channel is closed. `opened` keeps a unix socket's file until then.
fn serve(mut opened: Opened, context: Context, stopped: &Receiver<()>) {
    let (Some(socket), context) = (opened.socket.take(), Arc::new(context)) else { return };
    let executor = LocalExecutor::new();
    let served = async {
        let accepted = match socket {
            Socket::Tcp(listener) => match Async::new(listener) {
                Ok(listener) => accept_tcp(&listener, &executor, &context).await,
                Err(error) => Err(error),
            },
            Socket::Unix(listener) => match Async::new(listener) {
                Ok(listener) => accept_unix(&listener, &executor, &context).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = accepted {
            log::error!("- web error=\"{error}\"");
        }
    };
    let stop = async {
        let _ = stopped.recv().await;
    };
    future::block_on(executor.run(served.or(stop)));
    drop(opened);
}

async fn accept_tcp(
    listener: &Async<std::net::TcpListener>,
    executor: &LocalExecutor<'_>,
    context: &Arc<Context>,
) -> io::Result<()> {
    let places = Arc::new(());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.get_ref().set_nodelay(true);
                let (context, peer) = (Arc::clone(context), Some(peer.ip().to_canonical()));
                let stream = TcpStream::from(stream);
                let place = place(&places);
                executor.spawn(answer_all(stream, peer, context, place)).detach();
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

async fn accept_unix(
    listener: &Async<std::os::unix::net::UnixListener>,
    executor: &LocalExecutor<'_>,
    context: &Arc<Context>,
) -> io::Result<()> {
    let places = Arc::new(());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (context, place) = (Arc::clone(context), place(&places));
                let stream = UnixStream::from(stream);
                executor.spawn(answer_all(stream, None, context, place)).detach();
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

/// A place among the connections; `None` if all are taken.
fn place(places: &Arc<()>) -> Option<Arc<()>> {
    (Arc::strong_count(places) <= CONNECTIONS_MAX).then(|| Arc::clone(places))
}

/// Answers the requests of one connection, one after the other.
async fn answer_all(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Option<IpAddr>,
    context: Arc<Context>,
    place: Option<Arc<()>>,
) {
    let mut stream = Unstalled::new(stream, STALL_MAX);
    if place.is_none() {
        let _ = stream.write_all(TOO_MANY).await;
        return;
    }
    let answer = |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(answer::answer(&context, peer, request).await) }
    };
    // An error is the client's, or it is gone: there is nobody to tell.
    let _ = http().serve_connection(FuturesIo::new(&mut stream), service_fn(answer)).await;
    let _ = stream.close().await;
    linger(&mut stream).await;
}

/// Reads what the client still sends, and drops it: a socket that is closed with octets unread tells
/// the client of a reset, and takes the answer from it (RFC 9112, 9.6).
async fn linger(stream: &mut (impl AsyncRead + Unpin)) {
    let read = async {
        let mut octets = [0; 8 << 10];
        while stream.read(&mut octets).await.is_ok_and(|count| count > 0) {}
    };
    let late = async {
        Timer::after(LINGER_MAX).await;
    };
    read.or(late).await;
}

/// hyper with our bounds.
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES_MAX).timer(clock::Clock).header_read_timeout(HEAD_TIME_MAX);
    http
}
