//! The only async code: listen, serve, timers, stopping.
//!
//! The way of a client: `accept` has it from the `door` of a listener, counts it by `admission`, and
//! begins its task, `serve_client`; `guard` keeps a panic in that task; `connection` joins the
//! client's `wire` to a session and to the store, and waits by the `watch`. The wire's octets go over
//! a `line`, clear or encrypted by what `certificates` has.
//!
//! The tasks run on the reactor's thread (`reactor`), and on workers where the configuration and
//! the processors allow more; file work runs on the store's threads. Stopping is a phase: no new
//! clients; a message whose final dot was received is stored and answered; the other clients get
//! 421; and it ends within a bounded time.

use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _, future};
use smol::Executor;

use crate::config::{BareNewline, Config, MailboxFormat};
use crate::maildir::{Format, Naming, Options, Store};
use crate::smtp::reply::Reply;
use crate::smtp::session::Client;

mod accept;
mod admission;
mod capacity;
pub mod certificates;
mod connection;
mod counters;
mod dialogues;
mod door;
mod encryption;
mod ending;
mod exchange;
mod fault;
mod guard;
mod handshakes;
mod line;
pub mod listeners;
mod live;
mod log;
mod message_id;
mod octets;
mod reactor;
pub mod sandbox;
pub mod service;
mod socket;
mod terms;
#[cfg(test)]
mod tests;
mod trace;
mod transcript;
pub mod user;
mod watch;
mod wire;

use accept::accept;
use admission::{Admission, Caps};
use capacity::{connections_max, threads};
use certificates::Certificates;
pub use counters::{Counters, OTHER_CODE, Refused, Taken, Tally};
pub use dialogues::{Dialogue, Dialogues, Told};
use door::Door;
use ending::Enough;
pub use ending::{Stopper, Why};
use exchange::Place;
pub use exchange::{Exchange, NotTaken, Now, elsewhere};
use handshakes::Handshakes;
use listeners::Opened;
use live::Totals;
pub use live::{Live, Numbers, Times};
use log::SessionLog;
pub use log::swap;
use reactor::Driver;
use socket::Socket;
use terms::{Current, Terms};
pub use terms::{PageText, Served, kept, served};
pub use transcript::{Transcripts, make_folder as make_transcripts_folder};
use watch::Watch;

/// The stack of a worker, in octets. Set here, since an environment variable would set it
/// otherwise.
const STACK_BYTES: usize = 2 << 20;

/// How often a server that stops looks whether its clients are gone.
const STOP_LOOK: Duration = Duration::from_millis(5);

/// What all connections share.
struct Shared {
    /// The configuration of the start. What can change is in a listener's terms.
    config: Config,
    store: Store,
    watch: Arc<Watch>,
    admission: Arc<Admission>,
    /// The certificates; a server without any encrypts no line.
    certificates: Option<Arc<Certificates>>,
    handshakes: Arc<Handshakes>,
    /// The clients so far, whose numbers are their ids.
    clients: AtomicU64,
    /// The writer of the sessions' dialogues.
    transcripts: Option<Transcripts>,
    /// The messages after which the server stops.
    enough: Enough,
    totals: Arc<Totals>,
    dialogues: Arc<Dialogues>,
    /// Whether clients are let in.
    is_ready: Arc<AtomicBool>,
    /// What serves a client: [`serve`], or a test's double.
    serve: Serve,
}

/// A client's session as a future.
type Session<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;
type Serve =
    for<'a> fn(&'a Shared, &'a Terms, &'a Socket, Client, &'a mut SessionLog) -> Session<'a>;

fn serve<'a>(
    shared: &'a Shared,
    terms: &'a Terms,
    socket: &'a Socket,
    client: Client,
    log: &'a mut SessionLog,
) -> Session<'a> {
    Box::pin(connection::serve(shared, terms, socket, client, log))
}

/// A listener that is open, and what it serves.
pub struct Serving {
    /// The listener.
    pub opened: Opened,
    /// What it serves.
    pub served: Served,
    /// Whether it may have faults: no other machine reaches it, or the operator wants it so.
    pub may_misbehave: bool,
}

/// A server that listens.
pub struct Server {
    /// The listeners, each with what holds for its clients.
    listeners: Vec<(Opened, Arc<Current>)>,
    exchange: Exchange,
    shared: Arc<Shared>,
    /// How often the certificates' files are looked at.
    look: Duration,
}

/// Which clients may relay, in a few words: the networks of `relay_from`, or nobody.
#[must_use]
pub fn may_relay(config: &Config) -> String {
    if config.relay_from.is_empty() || config.mailboxes == Naming::ByAddress {
        return "nobody".to_owned();
    }
    let networks: Vec<_> = config.relay_from.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

impl Server {
    /// Opens the store, for clients of these listeners.
    ///
    /// # Errors
    /// One line: what was attempted, and the cause.
    pub fn open(
        config: Config,
        listeners: Vec<Serving>,
        certificates: Option<Arc<Certificates>>,
    ) -> Result<Self, String> {
        guard::log_panics();
        let store = Store::open(options(&config)).map_err(|error| error.to_string())?;
        Ok(Self::with(config, listeners, certificates, store, serve))
    }

    fn with(
        config: Config,
        listeners: Vec<Serving>,
        certificates: Option<Arc<Certificates>>,
        store: Store,
        serve: Serve,
    ) -> Self {
        let terms_of = Arc::new(config.clone());
        let (mut places, mut open) = (Vec::new(), Vec::new());
        for Serving { opened, served, may_misbehave } in listeners {
            let may_relay = opened.listener.may_relay;
            let current = Current::new(Terms::new(&terms_of, served, may_relay));
            let address = opened.address.clone();
            places.push(Place { current: Arc::clone(&current), address, may_relay, may_misbehave });
            open.push((opened, current));
        }
        let admission = Admission::new(Caps {
            connections: connections_max(&config),
            per_address: config.connections_per_address_max,
            per_network: config.connections_per_network_max,
            per_second: config.connects_per_second_max,
        });
        let handshakes = Handshakes::new(config.handshakes_max);
        let shared = Arc::new(Shared {
            config,
            store,
            watch: Watch::new(),
            admission,
            certificates,
            handshakes,
            clients: AtomicU64::new(0),
            transcripts: None,
            enough: Enough::default(),
            totals: Arc::default(),
            dialogues: Arc::default(),
            is_ready: Arc::default(),
            serve,
        });
        let (listeners, exchange) = (open, Exchange::new(places));
        Self { listeners, exchange, shared, look: certificates::LOOK }
    }

    /// Writes each session's dialogue, and stops after so many messages.
    #[must_use]
    pub fn for_tests(
        mut self,
        transcripts: Option<Transcripts>,
        messages: Option<NonZero<u64>>,
    ) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.transcripts = transcripts;
            shared.enough = Enough::new(messages);
        }
        self
    }

    /// The server as others see it while it runs.
    #[must_use]
    pub fn live(&self) -> Live {
        let shared = &self.shared;
        Live {
            exchange: self.exchange.clone(),
            totals: Arc::clone(&shared.totals),
            dialogues: Arc::clone(&shared.dialogues),
            store: shared.store.clone(),
            admission: Arc::clone(&shared.admission),
            watch: Arc::clone(&shared.watch),
            begun: Instant::now(),
            is_ready: Arc::clone(&shared.is_ready),
        }
    }

    /// Stops the server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared.watch))
    }

    /// What new sessions are served by, to be exchanged while the server runs.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.exchange.clone()
    }

    /// Serves until SIGTERM or SIGINT; SIGHUP calls `hung_up`, and has the certificates read
    /// again. `ready` is called when a signal would be heard. Clients are served on the reactor's
    /// thread and, where the configuration and the processors allow more, on workers; this thread
    /// waits for signals.
    ///
    /// # Errors
    /// One line: what was attempted, and the cause.
    pub fn run(self, hung_up: &dyn Fn(), ready: impl FnOnce()) -> Result<Why, String> {
        let Self { mut listeners, shared, look, .. } = self;
        let executor = Arc::new(Executor::new());
        let (finish, finished) = async_channel::bounded::<()>(1);
        let mut workers = Vec::new();
        let on_reactor = reactor::has_stack();
        for number in usize::from(on_reactor)..threads(&shared.config) {
            let (executor, finished) = (Arc::clone(&executor), finished.clone());
            let work = move || {
                let _ = future::block_on(executor.run(finished.recv()));
            };
            let named =
                thread::Builder::new().name(format!("worker-{number}")).stack_size(STACK_BYTES);
            workers.push(
                named.spawn(work).map_err(|error| format!("cannot start a worker: {error}"))?,
            );
        }
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
        let doors = doors(&mut listeners)?;
        let renew = watch_certificates(&shared, look)?;
        let driver = if on_reactor { Some(Driver::start(&executor)) } else { None };
        let driver =
            driver.transpose().map_err(|error| format!("cannot start the reactor: {error}"))?;
        let watched = Arc::clone(&shared);
        executor
            .spawn(async move { watched.watch.run(|| watched.admission.is_pressed()).await })
            .detach();
        log::relay(&may_relay(&shared.config));
        shared.is_ready.store(true, Ordering::Relaxed);
        ready();
        // Clients that have connected since the port was opened wait until here.
        let accepting = doors
            .into_iter()
            .map(|door| executor.spawn(accept(Arc::clone(&shared), Arc::clone(&executor), door)));
        let accepting: Vec<_> = accepting.collect();
        let heard = || {
            // The certificates first: they have a thread of their own.
            let _ = renew.send(());
            hung_up();
        };
        let why = future::block_on(wait_for_the_end(&shared.watch, signals, &heard));
        // The ports are closed before clients are told.
        for accepting in accepting {
            future::block_on(accepting);
        }
        log::stopping();
        service::stopping();
        let stopped_by = Instant::now() + Duration::from_secs(shared.config.stop_seconds_max);
        while shared.admission.connections() > 0 {
            if Instant::now() >= stopped_by {
                log::stop_cuts(shared.admission.connections(), shared.config.stop_seconds_max);
                break;
            }
            thread::sleep(STOP_LOOK);
        }
        drop(finish);
        for worker in workers {
            let _ = worker.join();
        }
        drop(driver);
        if !shared.store.close(stopped_by.saturating_duration_since(Instant::now())) {
            log::stop_leaves_messages();
        }
        log::stopped();
        Ok(shared.enough.why(why))
    }
}

/// Watches the certificates, if there are any, on a thread of its own. What is sent has all of them
/// read again; the thread ends when nobody can send.
fn watch_certificates(shared: &Shared, look: Duration) -> Result<mpsc::Sender<()>, String> {
    let (renew, told) = mpsc::channel();
    if let Some(certificates) = shared.certificates.clone() {
        let watch = move || certificates.watch(&told, look);
        let named = thread::Builder::new().name("certificates".to_owned());
        named.spawn(watch).map_err(|error| format!("cannot watch the certificates: {error}"))?;
    }
    Ok(renew)
}

/// A door for each listener, which gives up its socket for it.
fn doors(listeners: &mut [(Opened, Arc<Current>)]) -> Result<Vec<Door>, String> {
    let mut doors = Vec::new();
    for (opened, current) in listeners {
        let Some(socket) = opened.socket.take() else { continue };
        let door = Door::new(socket, Arc::clone(current));
        doors.push(door.map_err(|error| format!("cannot listen on {}: {error}", opened.address))?);
    }
    Ok(doors)
}

/// Hears signals until the server is to stop.
async fn wait_for_the_end(watch: &Watch, mut signals: Signals, hang_up: &dyn Fn()) -> Why {
    let mut why = Why::Told;
    while !watch.is_stopping() {
        let stopped = async {
            watch.stopped().await;
            None
        };
        match stopped.or(signals.next()).await {
            Some(Ok(Signal::Hup)) => hang_up(),
            Some(Ok(Signal::Int)) => {
                why = Why::Interrupted;
                watch.stop();
            }
            Some(Ok(_)) | None => watch.stop(),
            Some(Err(error)) => log::signal_failed(&error),
        }
    }
    why
}

fn options(config: &Config) -> Options {
    Options {
        root: config.maildir_path.clone(),
        format: match (config.mailbox_format, config.bare_newline) {
            (MailboxFormat::Message, BareNewline::Refuse) => Format::Message,
            // If a bare LF is allowed, the other line ends stay what they are.
            (MailboxFormat::Message, BareNewline::Keep) => Format::MessageAsItCame,
            (MailboxFormat::Envelope, _) => Format::Envelope,
            (MailboxFormat::Content, _) => Format::ContentAlone,
        },
        naming: config.mailboxes,
        host: config.domain.to_string(),
        threads_max: config.store_threads,
        memory_bytes_max: config.memory_bytes_max,
        waiting_max: config.commits_waiting_max,
        free_bytes_min: config.free_bytes_min,
    }
}

/// A reply in octets, for a client that has no session. The module `wire` is for those with one.
fn wire(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    reply.write(&mut out, true);
    out
}
