//! The listeners' sockets: all are opened, or taken from systemd, before root is given up.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::service;
use crate::config::{Address, Config, Listener};

/// A listening socket.
#[derive(Debug)]
pub enum Socket {
    /// A TCP port.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// A listener whose socket is open.
#[derive(Debug)]
pub struct Opened {
    /// What the configuration says of it.
    pub listener: Listener,
    /// The address, with the port that was given where 0 was asked for.
    pub address: String,
    /// The address of a TCP port; `None` for a unix socket.
    pub tcp: Option<SocketAddr>,
    /// The socket; `None` if it was left out.
    pub(super) socket: Option<Socket>,
    /// The unix socket's file, if this process has made it.
    _file: Option<SocketFile>,
}

/// A unix socket's file. Dropping it removes the file.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Where this fails, the next start removes what nobody listens on.
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens the sockets of a configuration.
///
/// # Errors
/// One line: what was attempted, and the cause.
pub fn open(config: &Config) -> Result<Vec<Opened>, String> {
    let mut given = service::given()?;
    let is_list = !config.listeners.is_empty();
    let mut opened = Vec::new();
    for listener in config.listening() {
        match &listener.address {
            // A lone socket of systemd's stands for `host` and `port`.
            _ if !is_list && given.len() == 1 => {
                opened.extend(given.pop().map(|(_, socket)| with(listener, socket, None)));
            }
            Address::Tcp(address) => {
                let socket = bind(*address, config.backlog, is_list)?;
                opened.push(with(listener, Socket::Tcp(socket), None));
            }
            Address::Unix(path) => {
                let (socket, file) = bind_unix(path, config.backlog)?;
                opened.push(with(listener.clone(), Socket::Unix(socket), Some(file)));
            }
            Address::Given(name) => {
                let (mine, others) = given.into_iter().partition(|(of, _)| of == name);
                given = others;
                let mine: Vec<(String, Socket)> = mine;
                if mine.is_empty() {
                    return Err(format!(
                        "systemd gave no socket that is called {name}; a socket unit names it by FileDescriptorName={name}"
                    ));
                }
                let mine = mine.into_iter();
                opened.extend(mine.map(|(_, socket)| with(listener.clone(), socket, None)));
            }
        }
    }
    match given.as_slice() {
        [] => Ok(opened),
        [(name, _), ..] if is_list => Err(format!(
            "systemd gave the socket {name}, and no listener has the address \"systemd:{name}\""
        )),
        many => Err(format!(
            "{} sockets were given, expected one; `listeners` names several, as in \"systemd:NAME\"",
            many.len()
        )),
    }
}

/// The listeners of a configuration without their sockets.
#[must_use]
pub fn left_closed(config: &Config) -> Vec<Opened> {
    let closed = |listener: Listener| Opened {
        address: listener.address.to_string(),
        tcp: if let Address::Tcp(address) = listener.address { Some(address) } else { None },
        listener,
        socket: None,
        _file: None,
    };
    config.listening().into_iter().map(closed).collect()
}

fn with(listener: Listener, socket: Socket, file: Option<SocketFile>) -> Opened {
    let tcp = match &socket {
        Socket::Tcp(socket) => socket.local_addr().ok(),
        Socket::Unix(_) => None,
    };
    let name = match &socket {
        Socket::Tcp(_) => tcp.map(|address| address.to_string()),
        Socket::Unix(socket) => socket.local_addr().ok().and_then(|address| {
            address.as_pathname().map(|path| format!("unix:{}", path.display()))
        }),
    };
    let address = name.unwrap_or_else(|| listener.address.to_string());
    Opened { listener, address, tcp, socket: Some(socket), _file: file }
}

fn bind(address: SocketAddr, backlog: i32, is_list: bool) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let help = match (error.kind(), is_list) {
            (io::ErrorKind::AddrInUse, false) => "; --listen or `port` chooses another port",
            (io::ErrorKind::AddrInUse, true) => {
                "; another program has this port, or another of the `listeners`"
            }
            (io::ErrorKind::AddrNotAvailable, false) => {
                "; --listen or `host` names an address of this machine"
            }
            (io::ErrorKind::AddrNotAvailable, true) => "; it is no address of this machine",
            (io::ErrorKind::PermissionDenied, _) => {
                "; this port needs root, which `user` then gives up, or a service manager"
            }
            _ => "",
        };
        format!("cannot listen on {address}: {error}{help}")
    })?;
    // The standard library asks for 128, and a client beyond them starts with a second of silence.
    rustix::net::listen(&listener, backlog)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    Ok(listener)
}

/// Every user may connect, as every user may connect to a port of loopback: the folder's rights say
/// who reaches the socket.
const SOCKET_MODE: u32 = 0o666;

fn bind_unix(path: &Path, backlog: i32) -> Result<(UnixListener, SocketFile), String> {
    let shown = path.display();
    let failed = |why: &dyn std::fmt::Display| format!("cannot listen on unix:{shown}: {why}");
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        match UnixStream::connect(path) {
            // What a server has left that was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(|error| failed(&error))?;
            }
            Err(error) => return Err(failed(&error)),
            Ok(_) => return Err(failed(&"another server listens on it")),
        }
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::AddrInUse => "; a file is in its place, which is no socket",
            io::ErrorKind::NotFound => "; its folder is missing",
            _ => "",
        };
        format!("{}{help}", failed(&error))
    })?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))
        .map_err(|error| failed(&error))?;
    rustix::net::listen(&listener, backlog).map_err(|error| failed(&error))?;
    Ok((listener, file))
}
