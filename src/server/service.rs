//! systemd's protocol for services: a socket that it opened, and the notifications that it gets.
//!
//! `LISTEN_FDS`, `LISTEN_PID` and `NOTIFY_SOCKET` are the only environment variables that change
//! what the server does.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::log;

/// The listener that the service manager has opened, if it has.
///
/// # Errors
/// One line: it is not a TCP listener, or there are several.
pub fn listener() -> Result<Option<TcpListener>, String> {
    let mut given = ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given
            .take_tcp_listener(0)
            .map_err(|error| format!("cannot use the socket that was given: {error}")),
        many => Err(format!("{many} sockets were given, expected one")),
    }
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

/// Tells the service manager that no new clients are served.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}
