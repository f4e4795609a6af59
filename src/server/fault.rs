//! What a fault asks of a connection: to wait, to hang, to be reset.
//!
//! A wait holds a timer, and no thread. It ends with the time, with the client, and with the server,
//! whichever comes first. What the client sends meanwhile is read, since only who reads learns that
//! the client is gone.

use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;

use super::watch::{Deadline, Ended};
use super::wire::{Received, Wire};

/// The octets that are kept of such a client; more stays in the system's buffer.
pub(super) const EARLY_BYTES_MAX: usize = 64 * 1024;
/// How often it is looked whether a client is gone of which nothing more is read, in milliseconds.
const LOOK_MS: u64 = 50;
/// The longest that a connection hangs, in milliseconds.
pub(super) const HANG_MS_MAX: u64 = 3_600_000;

/// How a wait went on.
pub(super) enum Paused {
    /// The time has passed.
    Over,
    /// The client is gone.
    Gone,
    /// The server stops.
    Stop,
    /// The client has sent this, and the wait is not over.
    Octets(Vec<u8>),
}

impl Wire<'_> {
    /// Waits until a moment of the watch. If `reads`, the client's octets are read.
    pub(super) async fn pause(&mut self, end: u64, reads: bool) -> Paused {
        const NEVER: Deadline = Deadline { usual: u64::MAX, pressed: u64::MAX };
        loop {
            let left = end.saturating_sub(self.waiter.now());
            let step = if reads { left } else { left.min(LOOK_MS) };
            let timer = async {
                Timer::after(Duration::from_millis(step)).await;
                false
            };
            let octets = async {
                if !reads {
                    std::future::pending::<()>().await;
                }
                // An error is the client's end, which the read then finds.
                let _ = self.filled().await;
                true
            };
            match self.waiter.until(NEVER, true, timer.or(octets)).await {
                Ended::Stop => return Paused::Stop,
                Ended::Done(true) => match self.read(false) {
                    Ok(Received::Nothing) => {}
                    Ok(Received::Octets(mut octets)) => {
                        octets.shrink_to_fit();
                        return Paused::Octets(octets);
                    }
                    Ok(Received::End) | Err(_) => return Paused::Gone,
                },
                Ended::Done(false) | Ended::Late if !reads && self.socket().is_gone() => {
                    return Paused::Gone;
                }
                Ended::Done(false) | Ended::Late => {}
            }
            if self.waiter.now() >= end {
                return Paused::Over;
            }
        }
    }
}
