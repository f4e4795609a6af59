//! The only async code: listen, serve, timers, stopping.
//!
//! One task a connection, on an executor of our own; file work runs on the store's threads.
//! Stopping is a phase: no new clients; a message whose dot was received is finished and
//! answered; others get 421; and it ends within a bounded time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use smol::Executor;

use crate::config::{BareNewline, Config, MailboxFormat, Users, Verify};
use crate::logging::Logging;
use crate::maildir::{Format, Options, Store};
use crate::smtp::machine::Machine;
use crate::smtp::path::LocalPart;
use crate::smtp::reply::{self, Reply};
use crate::smtp::session::{Client, Settings};

mod connection;

/// After an accept that failed, so long a pause: descriptors may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// So many connections may wait to be accepted; the kernel's own bound may be lower. The standard
/// library asks for 128, and a client beyond them starts with a second of silence.
const BACKLOG: i32 = 4096;

/// What all connections share.
struct Shared {
    config: Config,
    settings: Arc<Settings>,
    store: Store,
    /// Closed when the server stops.
    stop: Receiver<()>,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    stopper: Sender<()>,
}

/// One client counted; dropped, it is not.
struct Counted {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Ok(mut clients) = self.shared.clients.lock()
            && let Some(count) = clients.get_mut(&self.address)
        {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
    }
}

impl Shared {
    fn may_relay(&self, address: IpAddr) -> bool {
        self.config.relay_from.iter().any(|network| network.contains(address))
    }

    fn is_user(&self, local: &LocalPart) -> bool {
        match &self.config.users {
            Users::Any => true,
            Users::Listed(users) => {
                let name = local.folded();
                name == "postmaster" || users.iter().any(|user| user.eq_ignore_ascii_case(&name))
            }
        }
    }

    /// Counts a client in, unless the server is full or its address has too many.
    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let mut clients = self.clients.lock().ok()?;
        let of_address = clients.get(&address).copied().unwrap_or(0);
        let full = clients.values().sum::<usize>() >= self.config.connections_max;
        if full || (of_address >= self.config.connections_per_address_max && !self.may_relay(address)) {
            return None;
        }
        clients.insert(address, of_address + 1);
        drop(clients);
        Some(Counted { shared: Arc::clone(self), address })
    }
}

impl Server {
    /// Opens the store and the port.
    ///
    /// # Errors
    /// One line: what was attempted, and the cause.
    pub fn bind(config: Config, machine: &'static Machine) -> Result<Self, String> {
        raise_descriptor_limit();
        let address = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
        rustix::net::listen(&listener, BACKLOG).map_err(|error| format!("cannot listen on {address}: {error}"))?;
        let store = Store::open(Options {
            root: config.maildir_path.clone(),
            format: match config.mailbox_format {
                MailboxFormat::Message => Format::Message,
                MailboxFormat::Envelope => Format::Envelope,
            },
            host: config.domain.to_string(),
            threads_max: config.store_threads,
            memory_bytes_max: config.memory_bytes_max,
            waiting_max: config.commits_waiting_max,
            free_bytes_min: config.free_bytes_min,
        })
        .map_err(|error| error.to_string())?;
        let settings = Arc::new(Settings {
            machine,
            domain: config.domain.clone(),
            strict_helo: config.strict_helo,
            refuse_bare_newline: config.bare_newline == BareNewline::Refuse,
            verify_honestly: config.vrfy == Verify::Honest,
            line_bytes_max: config.line_bytes_max,
            message_bytes_max: config.message_bytes_max,
            recipients_max: config.recipients_max,
            errors_max: config.errors_max,
            received_max: config.received_max,
        });
        let (stopper, stop) = async_channel::bounded(1);
        let shared = Arc::new(Shared { config, settings, store, stop, clients: Mutex::default() });
        Ok(Self { listener, shared, stopper })
    }

    /// The address, with the port that was given where 0 was asked for.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until SIGTERM or SIGINT; SIGHUP reopens the logs. `ready` is called when a signal
    /// would be heard.
    ///
    /// # Errors
    /// One line: what was attempted, and the cause.
    pub fn run(self, logging: &Logging, ready: impl FnOnce()) -> Result<(), String> {
        let executor = Arc::new(Executor::new());
        let (finish, finished) = async_channel::bounded::<()>(1);
        let mut workers = Vec::new();
        for number in 0..self.shared.config.worker_threads {
            let (executor, finished) = (Arc::clone(&executor), finished.clone());
            let work = move || {
                let _ = async_io::block_on(executor.run(finished.recv()));
            };
            let worker = thread::Builder::new().name(format!("worker-{number}")).spawn(work);
            workers.push(worker.map_err(|error| format!("cannot start a worker: {error}"))?);
        }
        let result = async_io::block_on(self.serve(&executor, logging, ready));
        drop(finish);
        for worker in workers {
            let _ = worker.join();
        }
        self.shared.store.close();
        result
    }

    async fn serve(
        &self,
        executor: &Arc<Executor<'static>>,
        logging: &Logging,
        ready: impl FnOnce(),
    ) -> Result<(), String> {
        let mut signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
        let listener = self.listener.try_clone().and_then(Async::new);
        let listener = async_net::TcpListener::from(listener.map_err(|error| format!("cannot listen: {error}"))?);
        ready();
        let mut number = 0_u64;
        loop {
            let accepted = async { Some(listener.accept().await) };
            let signalled = async {
                match signals.next().await {
                    Some(Ok(Signal::Hup)) => logging.reopen(),
                    Some(Ok(_)) | None => drop(self.stopper.close()),
                    Some(Err(error)) => log::warn!("signal error={error}"),
                }
                None
            };
            match signalled.or(accepted).await {
                None if self.shared.stop.is_closed() => break,
                None => {}
                Some(Ok((stream, peer))) => {
                    number += 1;
                    let task = self.accept(stream.into(), peer.ip(), number);
                    executor.spawn(task).detach();
                }
                Some(Err(error)) => {
                    // Out of descriptors, or the client is gone already: others come.
                    log::warn!("accept error=\"{error}\"");
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        log::info!("stopping");
        let last = async {
            while self.shared.clients.lock().is_ok_and(|clients| !clients.is_empty()) {
                Timer::after(Duration::from_millis(5)).await;
            }
        };
        let late = async {
            Timer::after(Duration::from_secs(self.shared.config.stop_seconds_max)).await;
            log::warn!("stopping took too long, sessions are cut");
        };
        last.or(late).await;
        log::info!("stopped");
        Ok(())
    }

    /// The life of a connection, from its first moment.
    fn accept(
        &self,
        stream: Arc<Async<std::net::TcpStream>>,
        address: IpAddr,
        number: u64,
    ) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        let counted = shared.admit(address.to_canonical());
        async move {
            let id = format!("{number:04x}");
            let Some(_counted) = counted else {
                log::info!("{id} refused client={address} reason=full");
                connection::turn_away(&stream, &reply::too_many_connections()).await;
                return;
            };
            log::info!("{id} connect client={address}");
            let local = stream.get_ref().local_addr().map_or(address, |local| local.ip());
            let may_relay = shared.may_relay(address);
            let client = Client { id: id.clone(), address, local, may_relay };
            match connection::serve(&shared, &stream, client).await {
                Ok(()) => log::info!("{id} disconnect"),
                Err(error) => log::info!("{id} disconnect error=\"{error}\""),
            }
        }
    }
}

fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        log::warn!("cannot raise the limit of file descriptors: {error}");
    }
}

/// A reply as it goes to a client who has no session.
fn wire(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    reply.write(&mut out, true);
    out
}
