//! The service manager's protocol, systemd's: a socket that it opened, and what it is told.
//!
//! `LISTEN_FDS`, `LISTEN_PID` and `NOTIFY_SOCKET` are the only words of the environment that the
//! server hears.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The listener that the service manager has opened, if it has.
///
/// # Errors
/// One line: it is no TCP listener, or there are several.
pub fn listener() -> Result<Option<TcpListener>, String> {
    let mut given = ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given.take_tcp_listener(0).map_err(|error| format!("cannot use the socket that was given: {error}")),
        many => Err(format!("{many} sockets were given, expected one")),
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("cannot notify the service manager: {error}");
    }
}

/// Clients are served from now on.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// No new clients from now on.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}
