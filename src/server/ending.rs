//! How a server ends, beside signals: another thread stops it, or it has enough messages.
//!
//! `--messages N`: the client that brought the last one is not cut off. It has a second to say
//! QUIT, or to end the connection. Clients that send at the same time may bring more than N.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::watch::Watch;

/// How long the server waits for the client that brought the last message, in milliseconds.
pub(super) const LAST_MS: u64 = 1000;

/// Why a server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// SIGINT, which a terminal sends to each program in the foreground.
    Interrupted,
    /// SIGTERM, or a [`Stopper`].
    Told,
    /// It has as many messages as it was to take.
    Enough,
}

/// Stops a server, as SIGTERM does.
pub struct Stopper(pub(super) Arc<Watch>);

impl Stopper {
    /// Returns at once; [`super::Server::run`] returns when the server has stopped.
    pub fn stop(&self) {
        self.0.stop();
    }
}

/// The messages that were stored, and after how many there are enough.
#[derive(Debug, Default)]
pub(super) struct Enough {
    /// How many are enough; `None` if none ever are.
    messages: Option<NonZero<u64>>,
    /// The messages so far.
    stored: AtomicU64,
}

impl Enough {
    pub(super) fn new(messages: Option<NonZero<u64>>) -> Self {
        Self { messages, stored: AtomicU64::new(0) }
    }

    /// Counts a message that is stored.
    pub(super) fn count(&self) {
        self.stored.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn is_reached(&self) -> bool {
        self.messages.is_some_and(|messages| self.stored.load(Ordering::SeqCst) >= messages.get())
    }

    /// Why a server was told to stop.
    pub(super) fn why(&self, why: Why) -> Why {
        if why == Why::Told && self.is_reached() { Why::Enough } else { why }
    }
}
