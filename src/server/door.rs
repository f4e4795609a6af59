//! The door: accepts clients, and turns away those for which the caps or the system have no room.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use async_io::{Async, Timer};
use rustix::io::Errno;

use super::listeners;
use super::log::Refusals;
use super::socket::Socket;
use super::{Current, log, wire};
use crate::smtp::reply::{self, Reply};

/// The pause after an accept that failed: the system may have room again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The clients in a row that may have gone before they were accepted, without a pause.
const GONE_MAX: u32 = 16;

/// The socket that clients connect to, twice: to wait for one, and for an accept that does not wait.
enum Listening {
    Tcp(async_net::TcpListener, Arc<Async<TcpListener>>),
    Unix(async_net::unix::UnixListener, Arc<Async<UnixListener>>),
}

/// A listener that goes on after every error.
pub(super) struct Door {
    /// The socket that clients connect to.
    listening: Listening,
    /// What holds for its clients.
    pub(super) current: Arc<Current>,
    /// A descriptor that is kept for when there is no other: it is given up for one client, which
    /// then gets 421 instead of silence.
    reserve: Option<OwnedFd>,
    /// The lines about clients that were turned away.
    refusals: Refusals,
    /// Whether the last accept failed.
    failing: bool,
    /// Clients in a row that had gone before they were accepted.
    gone: u32,
}

impl Listening {
    fn new(socket: listeners::Socket) -> io::Result<Self> {
        Ok(match socket {
            listeners::Socket::Tcp(listener) => {
                let listener = async_net::TcpListener::from(Async::new(listener)?);
                let socket = listener.clone().into();
                Self::Tcp(listener, socket)
            }
            listeners::Socket::Unix(listener) => {
                let listener = async_net::unix::UnixListener::from(Async::new(listener)?);
                let socket = listener.clone().into();
                Self::Unix(listener, socket)
            }
        })
    }

    /// The next client, with its address if it has one.
    async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // A socket for IPv6 calls an IPv4 client `::ffff:192.0.2.7`.
                Ok((Socket::Tcp(stream.into()), Some(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream.into()), None))
            }
        }
    }

    /// A client that has connected already.
    fn accept_now(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(_, socket) => {
                let (stream, _) = socket.get_ref().accept()?;
                Socket::Tcp(Arc::new(Async::new(stream)?))
            }
            Self::Unix(_, socket) => {
                let (stream, _) = socket.get_ref().accept()?;
                Socket::Unix(Arc::new(Async::new(stream)?))
            }
        })
    }

    /// A clone of the listener: it keeps no other descriptor busy.
    fn reserve(&self) -> Option<OwnedFd> {
        match self {
            Self::Tcp(_, socket) => socket.as_fd().try_clone_to_owned().ok(),
            Self::Unix(_, socket) => socket.as_fd().try_clone_to_owned().ok(),
        }
    }
}

impl Door {
    pub(super) fn new(socket: listeners::Socket, current: Arc<Current>) -> io::Result<Self> {
        let listening = Listening::new(socket)?;
        let reserve = listening.reserve();
        let refusals = Refusals::default();
        Ok(Self { listening, current, reserve, refusals, failing: false, gone: 0 })
    }

    /// The next client; `None` if accept failed or the client has gone.
    pub(super) async fn accept(&mut self) -> Option<(Socket, Option<IpAddr>)> {
        match self.listening.accept().await {
            Ok(accepted) => {
                self.gone = 0;
                if std::mem::take(&mut self.failing) {
                    log::accept_works();
                }
                Some(accepted)
            }
            Err(error) => {
                self.fail(&error).await;
                None
            }
        }
    }

    async fn fail(&mut self, error: &io::Error) {
        // Not an error: a client has gone before it was accepted. A few in a row cost no pause, but
        // an accept that fails for ever must not keep the thread from all else.
        let is_gone = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted
        );
        self.gone = if is_gone { self.gone.saturating_add(1) } else { 0 };
        if is_gone && self.gone <= GONE_MAX {
            return;
        }
        if !std::mem::replace(&mut self.failing, true) {
            log::accept_failed(error);
        }
        let out_of_descriptors =
            matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
        if out_of_descriptors
            && self.reserve.take().is_some()
            && let Ok(socket) = self.listening.accept_now()
        {
            self.turn_away(&socket);
        }
        if self.reserve.is_none() {
            self.reserve = self.listening.reserve();
        }
        Timer::after(ACCEPT_PAUSE).await;
    }

    /// Turns away a client for which the caps have no room.
    pub(super) fn refuse(
        &mut self,
        socket: &Socket,
        client: Option<IpAddr>,
        reason: &str,
        second: u64,
    ) {
        self.refusals.log(second, client, reason);
        self.turn_away(socket);
    }

    fn turn_away(&self, socket: &Socket) {
        // Where TLS begins at the first octet, nothing can be said before it.
        if !self.current.get().from_first_octet {
            turn_away(socket, &reply::too_many_connections());
        }
    }
}

/// What is read of a client that is turned away, in octets.
const UNREAD_BYTES_MAX: usize = 4096;

/// Sends one reply and closes, without waiting. A fresh socket has room for the reply.
pub(super) fn turn_away(mut socket: &Socket, reply: &Reply) {
    if socket.write_all(&wire(reply)).is_ok() {
        let _ = socket.shutdown_write();
        // A socket that is closed with octets unread resets the connection, and the client may lose
        // the reply.
        let _ = socket.read(&mut [0; UNREAD_BYTES_MAX]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::server::Terms;
    use crate::server::tests::served;

    fn with(listener: TcpListener) -> Door {
        let config = Config::default();
        let terms = Terms::new(&Arc::new(config), served(), false);
        Door::new(listeners::Socket::Tcp(listener), Current::new(terms)).unwrap()
    }

    fn door() -> Door {
        with(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn client(door: &Door) -> TcpStream {
        let Listening::Tcp(_, socket) = &door.listening else { panic!("a TCP socket") };
        TcpStream::connect(socket.get_ref().local_addr().unwrap()).unwrap()
    }

    #[test]
    fn an_ipv4_client_has_its_own_address_on_a_socket_for_ipv6() {
        // A system without IPv6 has no such socket.
        let Ok(listener) = TcpListener::bind("[::]:0") else { return };
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut door = with(listener);
        let (_, address) = async_io::block_on(door.accept()).unwrap();
        assert_eq!(address, Some(client.local_addr().unwrap().ip()));
    }

    #[test]
    fn an_accept_that_fails_costs_a_pause_and_the_next_one_works() {
        async_io::block_on(async {
            let mut door = door();
            for errno in [
                Errno::NOMEM,
                Errno::NOBUFS,
                Errno::PROTO,
                Errno::PERM,
                Errno::NETDOWN,
                Errno::INVAL,
            ] {
                let begun = Instant::now();
                door.fail(&errno.into()).await;
                assert!(begun.elapsed() >= ACCEPT_PAUSE && door.failing, "{errno}");
            }
            let _client = client(&door);
            assert!(door.accept().await.is_some() && !door.failing);
            // A client that was gone before it was accepted is not a failure.
            door.fail(&Errno::CONNABORTED.into()).await;
            assert!(!door.failing);
            // If all of them are, it is.
            let begun = Instant::now();
            for _ in 1..=GONE_MAX {
                door.fail(&Errno::CONNABORTED.into()).await;
            }
            assert!(begun.elapsed() >= ACCEPT_PAUSE && door.failing);
        });
    }

    #[test]
    fn without_a_descriptor_the_reserve_is_given_up_for_one_client_and_taken_back() {
        async_io::block_on(async {
            let mut door = door();
            let (mut first, _second) = (client(&door), client(&door));
            for errno in [Errno::MFILE, Errno::NFILE] {
                door.fail(&errno.into()).await;
                assert!(door.reserve.is_some(), "{errno}");
            }
            let mut said = String::new();
            first.read_to_string(&mut said).unwrap();
            assert!(said.starts_with("421 "), "{said}");
        });
    }
}
