//! A client's socket, TCP or unix, as the wire and the door use it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use async_io::Async;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;

/// A socket that never blocks.
#[derive(Clone, Debug)]
pub(super) enum Socket {
    Tcp(Arc<Async<TcpStream>>),
    Unix(Arc<Async<UnixStream>>),
}

impl Socket {
    /// Lets replies leave at once: they leave in one write, and there is nothing to wait for.
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.get_ref().set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// The server's address on this connection, if the socket has one.
    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.get_ref().local_addr().ok().map(|local| local.ip()),
            Self::Unix(_) => None,
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    /// Acknowledges at once what was read, where the system would wait for a reply to do it.
    pub(super) fn acknowledge(&self) {
        if let Self::Tcp(stream) = self {
            // Where it fails the client waits, as it would without this.
            let _ = rustix::net::sockopt::set_tcp_quickack(stream.get_ref(), true);
        }
    }

    /// Whether the client has closed, behind octets that are not read.
    pub(super) fn is_gone(&self) -> bool {
        let mut asked = [match self {
            Self::Tcp(stream) => PollFd::new(stream.get_ref(), PollFlags::RDHUP),
            Self::Unix(stream) => PollFd::new(stream.get_ref(), PollFlags::RDHUP),
        }];
        let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
            && asked.iter().any(|fd| fd.revents().intersects(ended))
    }

    /// Has the system reset the connection when it is closed, in place of an orderly end.
    pub(super) fn reset_when_closed(&self) {
        if let Self::Tcp(stream) = self {
            // Where it fails the connection is closed.
            let _ = set_socket_linger(stream.get_ref(), Some(Duration::ZERO));
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.get_ref().shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.get_ref().shutdown(Shutdown::Write),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.get_ref().read(octets),
            Socket::Unix(stream) => stream.get_ref().read(octets),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.get_ref().write(octets),
            Socket::Unix(stream) => stream.get_ref().write(octets),
        }
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.get_ref().write_vectored(parts),
            Socket::Unix(stream) => stream.get_ref().write_vectored(parts),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a socket has nothing now.
pub(super) fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
