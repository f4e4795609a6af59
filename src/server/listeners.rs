//! The listeners' sockets: all are opened, or taken from systemd, before root is given up.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::service;
use crate::config::{Address, Config, Listener};

/// The connections to the page that wait in the system until they are accepted.
const WEB_BACKLOG: i32 = 64;

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
    /// The socket; `None` if it was left out, or is taken.
    pub socket: Option<Socket>,
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

/// The sockets of a server.
#[derive(Debug)]
pub struct Sockets {
    /// Those of its clients.
    pub listeners: Vec<Opened>,
    /// That of its page.
    pub web: Option<Opened>,
}

/// Opens the sockets of a configuration.
///
/// # Errors
/// One line: what was attempted, and the cause.
pub fn open(config: &Config) -> Result<Sockets, String> {
    let mut given = service::given()?;
    let web = open_web(config, &mut given)?;
    Ok(Sockets { listeners: open_listeners(config, given)?, web })
}

/// Opens the page's socket, or takes it out of those that systemd gave.
fn open_web(config: &Config, given: &mut Vec<(String, Socket)>) -> Result<Option<Opened>, String> {
    let Some(address) = &config.web.address else { return Ok(None) };
    let listener = Listener { address: address.clone(), ..Listener::default() };
    let opened = match address {
        Address::Tcp(address) => {
            with(listener, Socket::Tcp(bind(*address, WEB_BACKLOG, For::Web)?), None)
        }
        Address::Unix(path) => {
            let (socket, file) = bind_unix(path, WEB_BACKLOG)?;
            with(listener, Socket::Unix(socket), Some(file))
        }
        Address::Given(name) => {
            let place =
                given.iter().position(|(of, _)| of == name).ok_or_else(|| not_given(name))?;
            with(listener, given.remove(place).1, None)
        }
    };
    Ok(Some(opened))
}

fn not_given(name: &str) -> String {
    format!(
        "systemd gave no socket that is called {name}; a socket unit names it by FileDescriptorName={name}"
    )
}

fn open_listeners(
    config: &Config,
    mut given: Vec<(String, Socket)>,
) -> Result<Vec<Opened>, String> {
    let is_list = !config.listeners.is_empty();
    let what_for = if is_list { For::OneOfMany } else { For::One };
    let mut opened = Vec::new();
    for listener in config.listening() {
        match &listener.address {
            // A lone socket of systemd's stands for `host` and `port`.
            _ if !is_list && given.len() == 1 => {
                opened.extend(given.pop().map(|(_, socket)| with(listener, socket, None)));
            }
            Address::Tcp(address) => {
                let socket = bind(*address, config.backlog, what_for)?;
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
                    return Err(not_given(name));
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

/// The listeners of a configuration, and its page, without their sockets.
#[must_use]
pub fn left_closed(config: &Config) -> Sockets {
    let closed = |listener: Listener| Opened {
        address: listener.address.to_string(),
        tcp: if let Address::Tcp(address) = listener.address { Some(address) } else { None },
        listener,
        socket: None,
        _file: None,
    };
    let web = config.web.address.clone();
    let web = web.map(|address| closed(Listener { address, ..Listener::default() }));
    Sockets { listeners: config.listening().into_iter().map(closed).collect(), web }
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

/// What a socket is for, and so which key changes its address.
#[derive(Clone, Copy)]
enum For {
    One,
    OneOfMany,
    Web,
}

fn bind(address: SocketAddr, backlog: i32, what_for: For) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let help = match (error.kind(), what_for) {
            (io::ErrorKind::AddrInUse, For::One) => "; --listen or `port` chooses another port",
            (io::ErrorKind::AddrInUse, For::Web) => "; --web or `web` chooses another port",
            (io::ErrorKind::AddrInUse, For::OneOfMany) => {
                "; another program has this port, or another of the `listeners`"
            }
            (io::ErrorKind::AddrNotAvailable, For::One) => {
                "; --listen or `host` names an address of this machine"
            }
            (io::ErrorKind::AddrNotAvailable, _) => "; it is no address of this machine",
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
