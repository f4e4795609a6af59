//! The server as it is seen from outside while it runs: what it counts, and its last sessions.
//!
//! Sessions write here and read nothing; who looks (`web/`) disturbs no session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::dialogues::Dialogues;
use super::exchange::Exchange;
use super::watch::Watch;
use crate::maildir::Store;

/// The upper bounds of the histogram's buckets, in microseconds; one more has no bound.
const BOUNDS_US: [u64; 13] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// How long the store took, from the end of a message to its 250.
#[derive(Debug, Default)]
pub struct Times {
    /// For each bound, and for what lies beyond, the messages that took so long.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    /// All of them together, in microseconds.
    sum_us: AtomicU64,
}

impl Times {
    fn add(&self, taken: Duration) {
        let taken = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < taken);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(taken, Ordering::Relaxed);
    }

    /// Each bucket's upper bound in seconds, and the messages in it and in no lower one. The last
    /// bound is `f64::INFINITY`.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = BOUNDS_US.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64());
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        bounds.chain([f64::INFINITY]).zip(counts)
    }

    /// The time of all messages together, in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// What is counted of the server as a whole.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Clients that were let in.
    sessions: AtomicU64,
    /// Clients that the caps turned away.
    turned_away: AtomicU64,
    /// Messages that were stored.
    messages: AtomicU64,
    /// The octets of their content.
    octets: AtomicU64,
    /// How long the store took for each.
    times: Times,
}

impl Totals {
    pub(super) fn begin_session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// A message of so many octets was stored.
    pub(super) fn store(&self, octets: u64, taken: Duration) {
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.times.add(taken);
        // Last, since who waits for a message looks at this number.
        self.messages.fetch_add(1, Ordering::Release);
    }
}

/// A server that others look at.
#[derive(Clone)]
pub struct Live {
    pub(super) exchange: Exchange,
    pub(super) totals: Arc<Totals>,
    pub(super) dialogues: Arc<Dialogues>,
    pub(super) store: Store,
    pub(super) admission: Arc<Admission>,
    pub(super) watch: Arc<Watch>,
    pub(super) begun: Instant,
    /// Whether clients are let in.
    pub(super) is_ready: Arc<AtomicBool>,
}

/// The server's numbers of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Clients that were let in so far.
    pub sessions: u64,
    /// Clients that the caps turned away.
    pub turned_away: u64,
    /// Messages that were stored.
    pub messages: u64,
    /// The octets of their content, as they were received.
    pub octets: u64,
    /// Syncs of files, of folders and of the file system.
    pub syncs: u64,
    /// Clients that are connected now.
    pub open: u64,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

impl Live {
    /// What new sessions are served by, and what exchanges it.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Its numbers now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Numbers {
            messages: self.stored(),
            sessions: of(&self.totals.sessions),
            turned_away: of(&self.totals.turned_away),
            octets: of(&self.totals.octets),
            syncs: self.store.syncs(),
            open: self.admission.connections() as u64,
            uptime_seconds: self.begun.elapsed().as_secs(),
        }
    }

    /// The messages that were stored so far: each is in its folder.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.totals.messages.load(Ordering::Acquire)
    }

    /// How long the store took for them.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.totals.times
    }

    /// The last sessions.
    #[must_use]
    pub fn dialogues(&self) -> &Dialogues {
        &self.dialogues
    }

    /// Whether clients are let in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed) && !self.watch.is_stopping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_first_bucket_that_holds_it() {
        let times = Times::default();
        for microseconds in [1, 500, 501, 9_999_999, 10_000_001] {
            times.add(Duration::from_micros(microseconds));
        }
        let counted: Vec<_> = times.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(0.0005, 2), (0.001, 1), (10.0, 1), (f64::INFINITY, 1)]);
        assert!((times.sum() - 20.001_002).abs() < 1e-6, "{}", times.sum());
    }
}
