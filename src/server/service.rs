//! systemd's protocol for services: the sockets that it opened, and the notifications that it gets.
//!
//! `LISTEN_FDS`, `LISTEN_FDNAMES`, `LISTEN_PID` and `NOTIFY_SOCKET` are the only environment
//! variables that change what the server does.

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::listeners::Socket;
use super::log;

/// The name of a socket that has none, by `sd_listen_fds(3)`.
const UNNAMED: &str = "unknown";

/// The listening sockets that the service manager has opened, each with its name.
///
/// # Errors
/// One line: one of them is no socket that listens, TCP or unix.
pub fn given() -> Result<Vec<(String, Socket)>, String> {
    // The names count only if the sockets are this process's, which the library looks at.
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..given.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or(UNNAMED).to_owned();
        let tcp = given.take_tcp_listener(number).map(|socket| socket.map(Socket::Tcp));
        let socket = tcp
            .or_else(|_| given.take_unix_listener(number).map(|socket| socket.map(Socket::Unix)));
        let socket = socket.map_err(|error| {
            let shown = if name == UNNAMED { String::new() } else { format!(" {name}") };
            format!("cannot use the socket{shown} that was given: {error}")
        })?;
        sockets.extend(socket.map(|socket| (name, socket)));
    }
    Ok(sockets)
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::not_notified(&error);
    }
}

/// Tells the service manager that clients are served.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Tells the service manager how it stands, in one line that `systemctl status` shows.
pub fn status(line: &str) {
    tell(NotifyState::Status(line));
}

/// Tells the service manager that no new clients are served.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}
