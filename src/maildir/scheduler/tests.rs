//! The scheduler with a simulated disk and a simulated clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;

/// A disk, and what else a batch needs: the parts that go on beside other batches, and those that
/// wait for each other.
#[derive(Clone, Copy, Debug)]
struct Disk {
    /// What a batch waits, whatever else is on its way, in nanoseconds.
    parallel: u64,
    /// What a batch needs of something that does one batch after the other.
    serial: u64,
    /// The same for each of its messages: the processor, mostly.
    message: u64,
}

/// What a client does between its messages, in nanoseconds.
const THINKS: u64 = 100_000;

enum Event {
    Arrives,
    /// The parallel part of a batch is over: it needs the serial one.
    Waited(usize),
    Ends(usize),
}

struct Batch {
    report: Report,
    begun: u64,
}

/// Sessions that each send one message after the other, and the batches that the scheduler forms of
/// them.
struct World {
    disk: Disk,
    scheduler: Scheduler,
    sessions: usize,
    /// The sessions that have no message in the store.
    thinking: usize,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    kinds: Vec<Event>,
    waiting: VecDeque<u64>,
    batches: Vec<Batch>,
    serial_free: u64,
    random: u64,
    done: u64,
}

impl World {
    fn new(disk: Disk, sessions: usize, scheduler: Scheduler) -> Self {
        let mut world = Self {
            disk,
            scheduler,
            sessions,
            thinking: sessions,
            now: 0,
            events: BinaryHeap::new(),
            kinds: Vec::new(),
            waiting: VecDeque::new(),
            batches: Vec::new(),
            serial_free: 0,
            random: 7,
            done: 0,
        };
        for _ in 0..sessions {
            let at = world.spread(THINKS);
            world.push(at, Event::Arrives);
        }
        world
    }

    /// A time of about this length: from nine tenths to eleven tenths.
    fn spread(&mut self, time: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        time - time / 10 + (self.random >> 33) % (time / 5).max(1)
    }

    fn push(&mut self, after: u64, event: Event) {
        self.kinds.push(event);
        let order = self.kinds.len();
        self.events.push(Reverse((self.now + after, order as u64, order - 1)));
    }

    fn begin(&mut self) {
        let count = self.waiting.len().min(64);
        let waited: u64 = self.waiting.drain(..count).map(|arrived| self.now - arrived).sum();
        let report = Report {
            limit: self.scheduler.limit(),
            messages: count,
            present: 0,
            waited: Duration::from_nanos(waited),
            took: Duration::ZERO,
        };
        self.batches.push(Batch { report, begun: self.now });
        let parallel = self.spread(self.disk.parallel);
        self.push(parallel, Event::Waited(self.batches.len() - 1));
    }

    /// Messages a second, after a time to learn.
    #[allow(clippy::cast_precision_loss)]
    fn run(&mut self, learns: u64, measured: u64) -> f64 {
        let (start, mut before) = (learns, None);
        while let Some(Reverse((at, _, number))) = self.events.peek().copied() {
            if at > start && before.is_none() {
                before = Some(self.done);
            }
            if at > start + measured {
                break;
            }
            self.events.pop();
            self.now = at;
            match self.kinds[number] {
                Event::Arrives => {
                    self.waiting.push_back(at);
                    self.thinking -= 1;
                    if self.scheduler.may_begin() {
                        self.scheduler.begin();
                        self.begin();
                    }
                }
                Event::Waited(batch) => {
                    let messages = self.batches[batch].report.messages as u64;
                    let needs = self.spread(self.disk.serial + self.disk.message * messages);
                    self.serial_free = self.serial_free.max(at) + needs;
                    self.push(self.serial_free - at, Event::Ends(batch));
                }
                Event::Ends(batch) => {
                    let Batch { mut report, begun } = self.batches[batch];
                    report.took = Duration::from_nanos(at - begun);
                    report.present = self.sessions - self.thinking;
                    self.thinking += report.messages;
                    self.done += report.messages as u64;
                    self.scheduler.end(report);
                    for _ in 0..report.messages {
                        let thinks = self.spread(THINKS);
                        self.push(thinks, Event::Arrives);
                    }
                    if !self.waiting.is_empty() && self.scheduler.may_begin() {
                        self.scheduler.begin();
                        self.begin();
                    }
                }
            }
        }
        let rate = (self.done - before.unwrap_or_default()) as f64 / (measured as f64 / 1e9);
        assert!(rate > 0.0);
        rate
    }
}

const MAX: usize = 64;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

/// The rate after enough time to learn, on the slowest disk too.
fn rate(disk: Disk, sessions: usize, scheduler: Scheduler) -> f64 {
    let time = (200 * (disk.parallel + disk.serial)).max(500 * MILLISECOND);
    World::new(disk, sessions, scheduler).run(2 * time, time)
}

fn best_rate(disk: Disk, sessions: usize) -> f64 {
    [1, 2, 4, 8, 16, 64]
        .map(|limit| rate(disk, sessions, Scheduler::fixed(limit)))
        .into_iter()
        .fold(0.0, f64::max)
}

#[test]
fn on_every_disk_and_with_any_number_of_sessions_it_is_nearly_as_fast_as_the_best_limit() {
    let mut worst: f64 = 1.0;
    for sync in [100, 1_000, 5_000, 20_000, 100_000, 1_000_000].map(|micros| micros * MICROSECOND) {
        for serial in [0, 20, 50, 100] {
            for sessions in [1, 6, 10, 50, 200] {
                let serial = sync / 100 * serial;
                let disk = Disk { parallel: sync - serial, serial, message: 30 * MICROSECOND };
                let (ours, best) =
                    (rate(disk, sessions, Scheduler::new(MAX)), best_rate(disk, sessions));
                worst = worst.min(ours / best);
                assert!(
                    ours > 0.8 * best,
                    "{disk:?}, {sessions} sessions: {ours:.0} of {best:.0} messages a second"
                );
            }
        }
    }
    println!("the worst: {worst:.3} of the best limit's throughput");
}

/// A batch for each message is best there. Trials cost less than a hundredth, from the first message
/// on.
#[test]
fn on_a_disk_that_does_many_syncs_at_the_same_time_learning_costs_nothing() {
    for sync in [1, 5, 20, 100].map(|millis| millis * MILLISECOND) {
        for sessions in [1, 10, 50] {
            let disk = Disk { parallel: sync, serial: 0, message: 30 * MICROSECOND };
            for measured in [20 * sync, 1_000 * sync] {
                let rate = |scheduler| World::new(disk, sessions, scheduler).run(0, measured);
                let (ours, best) = (rate(Scheduler::new(MAX)), rate(Scheduler::fixed(MAX)));
                assert!(
                    ours > 0.99 * best,
                    "{disk:?}, {sessions} sessions: {ours:.0} of {best:.0} messages a second"
                );
            }
        }
    }
}

/// No fixed limit is right for both: a disk that does many syncs at the same time, and one that
/// does not.
#[test]
fn no_fixed_limit_is_good_on_each_disk() {
    let parallel = Disk { parallel: 5 * MILLISECOND, serial: 0, message: 30 * MICROSECOND };
    let serial = Disk { parallel: 0, serial: 5 * MILLISECOND, message: 30 * MICROSECOND };
    for limit in [1, 2, 4, 8, 16, 64] {
        let is_good = |disk| rate(disk, 50, Scheduler::fixed(limit)) > 0.8 * best_rate(disk, 50);
        assert!(!is_good(parallel) || !is_good(serial), "{limit}");
    }
}

#[test]
fn a_disk_that_becomes_slow_or_quick_is_learnt_again() {
    let quick = Disk { parallel: 0, serial: MILLISECOND, message: 30 * MICROSECOND };
    let slow = Disk { parallel: 100 * MILLISECOND, serial: 0, message: 30 * MICROSECOND };
    for (before, after) in [(quick, slow), (slow, quick)] {
        let mut world = World::new(before, 50, Scheduler::new(MAX));
        world.run(10_000 * MILLISECOND, 10_000 * MILLISECOND);
        world.disk = after;
        let ours = world.run(60_000 * MILLISECOND, 20_000 * MILLISECOND);
        let best = best_rate(after, 50);
        assert!(ours > 0.75 * best, "{after:?}: {ours:.0} of {best:.0} messages a second");
    }
}

#[test]
fn a_lone_client_is_never_part_of_a_trial_and_never_waits() {
    for sync in [100 * MICROSECOND, 100 * MILLISECOND] {
        let disk = Disk { parallel: sync, serial: 0, message: 0 };
        let mut world = World::new(disk, 1, Scheduler::new(MAX));
        world.run(1_000 * sync, 1_000 * sync);
        assert_eq!(world.scheduler.limit(), MAX);
    }
}

#[test]
fn batches_that_stall_raise_the_limit_to_the_most_and_no_further() {
    let mut scheduler = Scheduler::new(5);
    scheduler.best = 1;
    scheduler.begin();
    let mut begun = 1;
    while scheduler.stalled() {
        scheduler.begin();
        begun += 1;
    }
    assert_eq!((begun, scheduler.limit(), scheduler.may_begin()), (5, 5, false));
    let report = |millis| Report {
        limit: 5,
        messages: 1,
        present: 1,
        waited: Duration::ZERO,
        took: Duration::from_millis(millis),
    };
    scheduler.end(report(2));
    assert_eq!(scheduler.stall(), Duration::from_millis(16));
    for _ in 0..100 {
        scheduler.end(report(2_500));
    }
    assert_eq!(scheduler.stall(), STALL_MAX);
}
