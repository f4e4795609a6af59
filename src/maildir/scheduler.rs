//! How many batches of a group commit are on their way at once. It knows no file, no thread and no
//! clock.
//!
//! **Goal.** The mean time of a message in the store, from its arrival to its result, is as short as the
//! disk allows, on every disk and with any number of clients.
//!
//! **The choice.** A message that arrives begins a batch at once if fewer batches than the *limit* are on
//! their way; else it waits for the next one, and shares it with all that wait. On a disk that does
//! many syncs at the same time (a network volume, a queue in the drive) a high limit is free, and
//! each wait is lost time. On a disk or a processor that does one thing after the other, batches
//! beside each other only get slower, and a low limit lets more messages share a sync. Nothing
//! tells the two disks apart in advance, and a neighbour's load makes one of the other.
//!
//! **Plan.** The limit is measured, in turns, as a benchmark would do it. It begins at the most:
//! each message is a batch, as in a server that shares nothing. After each period of some messages
//! the scheduler asks what another limit could gain at best:
//!
//! - A lower one, K, at best makes each batch as fast as the fastest of the last periods, and a
//!   message then waits for the end of half of the time between two batches: F (1 + 1/2K).
//! - A higher one at best removes the waiting for a batch.
//!
//! If neither bound promises [`WORTH`], or a message takes less than [`SLOWED`] times the fastest
//! batch, nothing is tried: a lone client and a disk whose syncs do not slow each other down seldom
//! pay for a trial. Else the two limits take turns for four periods, fewer if the difference is
//! plain, and the one with the shorter mean time is kept. After a trial that gained nothing the next
//! one is twice as far away; after one that gained something
//! the next one goes on in the same direction. Batches that take far longer than the last ones say
//! that the disk has changed: then the limit is raised at once ([`Scheduler::stalled`]).
//!
//! The lower limit to try is that of a disk on which a batch takes P + S k beside k - 1 others:
//! with many clients the mean time is (P + S K)(1 + 1/K), which is shortest at K = sqrt(P / S). S
//! is the slope from the fastest batch to the mean one. Where that gained nothing, and upwards, the
//! neighbours are tried.
//!
//! **Invariants.** The limit is between 1 and the most. A batch whose limit changed while it was on
//! its way counts for no limit. A trial ends.
//!
//! **Tested** below, with a simulated disk and a simulated clock: throughput beside the best fixed
//! limit, for disks from 0.1 ms to 1 s a sync, parallel, serial and between, and from 1 to 200
//! sessions.

use std::time::Duration;

/// The messages of a period, at least, and as a multiple of the messages that are present; its
/// batches, at least; and the most batches that a period waits for.
const PERIOD_MESSAGES: usize = 32;
const PERIOD_ROUNDS: usize = 2;
const PERIOD_BATCHES: usize = 4;
const PERIOD_BATCHES_MAX: usize = 16;
/// What a trial has to promise, and what another limit has to gain, as parts of the mean time.
const WORTH: f64 = 0.1;
const GAIN: f64 = 0.03;
/// How many times as long as the fastest batch a message has to take before a lower limit is tried
/// for it. A trial costs what the messages in it wait: where batches slow each other down little,
/// more than it could gain.
const SLOWED: f64 = 2.0;
/// A difference that needs no second look, as a part of the best limit's mean time.
const PLAIN_GAIN: f64 = 0.75;
const PLAIN_LOSS: f64 = 1.2;
/// The periods between two trials: at first, and at most.
const PAUSE_PERIODS: u32 = 4;
const PAUSE_PERIODS_MAX: u32 = 256;
/// A mean time that changed by this factor ends a pause.
const CHANGE: f64 = 2.0;
/// The periods of a trial, the best limit's and the other's in turns.
const TRIAL_PERIODS: usize = 4;
/// After this many periods that promised nothing a lower limit is tried all the same: if batches
/// have never been alone, nothing tells how fast they could be.
const QUIET_PERIODS: u32 = 64;
/// A batch that takes this many times the mean of the last ones has stalled; bounds for that time.
const STALL: u32 = 8;
const STALL_MIN: Duration = Duration::from_millis(10);
const STALL_MAX: Duration = Duration::from_secs(1);

/// How a batch went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// The limit when it began.
    pub limit: usize,
    pub messages: usize,
    /// The messages in the store when it ended, its own among them: those that wait, and those in
    /// batches.
    pub present: usize,
    /// How long its messages waited before it began, all together.
    pub waited: Duration,
    /// How long it took.
    pub took: Duration,
}

pub(super) struct Scheduler {
    batches_max: usize,
    in_flight: usize,
    /// The best limit that is known.
    best: usize,
    trial: Option<Trial>,
    period: Period,
    /// The messages that are not counted after the limit has changed: the first ones still have the
    /// company of those under the last one.
    skipped: usize,
    /// The fastest batch of this block of periods and of the last one, in seconds.
    fastest: [f64; 2],
    periods: u32,
    /// How many periods pass until the next trial, and how many passed before the last.
    pause: u32,
    last_pause: u32,
    /// The mean time of a message when the last pause began.
    paused_mean: f64,
    /// The periods without a trial and without a pause.
    quiet: u32,
    /// Where the last trial led, if it gained something: the next one goes on there.
    gained: Option<Step>,
    /// The mean time that a batch takes, the last ones weighing most.
    took: Option<Duration>,
}

/// What the messages and batches of one period had, in seconds.
#[derive(Clone, Copy, Default)]
struct Period {
    messages: usize,
    batches: usize,
    waited: f64,
    /// The time that batches took, once for each of their messages.
    committed: f64,
    in_flight_max: usize,
    present: usize,
    /// The sum of what was on its way at the end of each batch.
    in_flight: usize,
}

impl Period {
    /// The mean time of a message.
    #[allow(clippy::cast_precision_loss)]
    fn mean(&self) -> f64 {
        (self.waited + self.committed) / self.messages as f64
    }

    fn is_over(&self) -> bool {
        let batches = self.in_flight_max.clamp(PERIOD_BATCHES, PERIOD_BATCHES_MAX);
        // Clients that wait for each other's batches fall into step: a part of a round says little
        // of the whole.
        self.messages >= PERIOD_MESSAGES.max(PERIOD_ROUNDS * self.present)
            && self.batches >= batches
    }
}

/// What the last trial that gained something did to the limit.
#[derive(Clone, Copy)]
enum Step {
    Lower,
    Higher,
}

/// Two limits that take turns.
struct Trial {
    other: usize,
    /// The mean times under the best limit and the other, in turns.
    means: Vec<f64>,
}

impl Scheduler {
    /// At most this many batches are ever on their way; at least one.
    pub(super) fn new(batches_max: usize) -> Self {
        let batches_max = batches_max.max(1);
        Self {
            batches_max,
            in_flight: 0,
            best: batches_max,
            trial: None,
            period: Period::default(),
            skipped: 0,
            fastest: [f64::INFINITY; 2],
            periods: 0,
            pause: 0,
            last_pause: PAUSE_PERIODS,
            paused_mean: 0.0,
            quiet: 0,
            gained: None,
            took: None,
        }
    }

    /// Another one is never tried.
    pub(super) fn fixed(limit: usize) -> Self {
        Self { best: limit.max(1), pause: u32::MAX, ..Self::new(limit) }
    }

    /// The most batches that may be on their way now.
    pub(super) fn limit(&self) -> usize {
        match &self.trial {
            Some(trial) if trial.means.len() % 2 == 1 => trial.other,
            _ => self.best,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a message that has arrived, or waits, may begin another batch.
    pub(super) fn may_begin(&self) -> bool {
        self.in_flight < self.limit()
    }

    pub(super) fn begin(&mut self) {
        self.in_flight += 1;
        self.period.in_flight_max = self.period.in_flight_max.max(self.in_flight);
    }

    /// A batch has ended without a report, or could not begin.
    pub(super) fn give_up(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A batch has ended.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn end(&mut self, report: Report) {
        self.give_up();
        let took = report.took.as_secs_f64();
        self.took = Some(self.took.map_or(report.took, |mean| (mean * 7 + report.took) / 8));
        if report.messages == 0 || report.limit != self.limit() {
            return;
        }
        self.fastest[0] = self.fastest[0].min(took);
        if self.skipped > 0 {
            self.skipped = self.skipped.saturating_sub(report.messages);
            return;
        }
        let period = &mut self.period;
        period.messages += report.messages;
        period.batches += 1;
        period.present = period.present.max(report.present);
        period.in_flight += self.in_flight + 1;
        period.waited += report.waited.as_secs_f64();
        period.committed += took * report.messages as f64;
        if period.is_over() {
            let ended = std::mem::take(period);
            self.end_period(ended);
        }
    }

    /// After this time without another one begun, while messages wait, the batches on their way
    /// have stalled.
    pub(super) fn stall(&self) -> Duration {
        self.took.map_or(STALL_MAX / 10, |took| (took * STALL).clamp(STALL_MIN, STALL_MAX))
    }

    /// The batches on their way have stalled while messages wait. Whether another one may begin
    /// beside them.
    pub(super) fn stalled(&mut self) -> bool {
        (self.trial, self.pause) = (None, PAUSE_PERIODS);
        self.best = (self.best.max(self.in_flight) * 2).min(self.batches_max);
        self.in_flight < self.best
    }

    fn end_period(&mut self, period: Period) {
        let (limit, round) = (self.limit(), period.present);
        self.learn(period);
        if self.limit() != limit {
            self.skipped = round;
        }
    }

    fn learn(&mut self, period: Period) {
        self.periods += 1;
        if self.periods.is_multiple_of(PAUSE_PERIODS_MAX / 8) {
            self.fastest = [f64::INFINITY, self.fastest[0]];
        }
        if let Some(trial) = &mut self.trial {
            trial.means.push(period.mean());
            let is_plain = match *trial.means {
                [best, other] => other < best * PLAIN_GAIN || other > best * PLAIN_LOSS,
                _ => trial.means.len() >= TRIAL_PERIODS,
            };
            if is_plain {
                self.end_trial();
            }
        } else if self.pause > 0 {
            self.pause -= 1;
            let ratio = period.mean() / self.paused_mean;
            if self.paused_mean > 0.0 && !(1.0 / CHANGE..CHANGE).contains(&ratio) {
                // What was learnt was learnt on another disk, or with other clients.
                (self.pause, self.last_pause, self.fastest) =
                    (0, PAUSE_PERIODS, [f64::INFINITY; 2]);
            }
        } else if let Some(other) = self.next_trial(period) {
            self.quiet = 0;
            // The period that led to it does not count: it was an unusual one.
            self.trial = Some(Trial { other, means: Vec::new() });
        } else {
            self.quiet += 1;
        }
    }

    fn next_trial(&mut self, period: Period) -> Option<usize> {
        let now = self.best.min(period.in_flight_max);
        match self.gained.take() {
            Some(Step::Lower) if now > 1 => Some(now / 2),
            Some(Step::Higher) if self.best < self.batches_max => {
                Some((self.best * 2).min(self.batches_max))
            }
            _ if self.quiet >= QUIET_PERIODS && now > 1 => Some(now - now.div_ceil(4)),
            _ => self.other_limit(period),
        }
    }

    /// Another limit that may be better than this one, if any.
    #[allow(clippy::cast_precision_loss)]
    fn other_limit(&self, period: Period) -> Option<usize> {
        let mean = period.mean();
        let fastest = self.fastest[0].min(self.fastest[1]);
        let lower = self.lower_limit(period).filter(|_| mean > SLOWED * fastest);
        let lower_gain =
            lower.map_or(0.0, |limit| 1.0 - fastest * (1.0 + 0.5 / limit as f64) / mean);
        let higher_gain = if self.best < self.batches_max {
            period.waited / period.messages as f64 / mean
        } else {
            0.0
        };
        if lower_gain.max(higher_gain) < WORTH {
            None
        } else if lower_gain >= higher_gain {
            lower
        } else {
            let step = if self.has_failed() { 1 } else { self.best };
            Some((self.best + step).min(self.batches_max))
        }
    }

    /// Whether the last trial gained nothing.
    fn has_failed(&self) -> bool {
        self.last_pause > PAUSE_PERIODS
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn lower_limit(&self, period: Period) -> Option<usize> {
        // A limit above what was on its way bounds nothing.
        let now = self.best.min(period.in_flight_max);
        if now < 2 {
            return None;
        }
        if self.has_failed() {
            return Some(now - now.div_ceil(4));
        }
        let fastest = self.fastest[0].min(self.fastest[1]);
        let (took, beside) = (
            period.committed / period.messages as f64,
            period.in_flight as f64 / period.batches as f64 - 1.0,
        );
        let serial = (took - fastest).max(0.0) / beside.max(0.5);
        let parallel = (fastest - serial).max(0.0);
        // A quotient that is not a number becomes 0.
        Some(((parallel / serial).sqrt().round() as usize).clamp(1, now - 1))
    }

    fn end_trial(&mut self) {
        let Some(Trial { other, means }) = self.trial.take() else { return };
        let mean = |first: usize| {
            let (count, sum) = means
                .iter()
                .skip(first)
                .step_by(2)
                .fold((0.0, 0.0), |(n, sum), mean| (n + 1.0, sum + mean));
            sum / count
        };
        if mean(1) < mean(0) * (1.0 - GAIN) {
            self.gained = Some(if other < self.best { Step::Lower } else { Step::Higher });
            self.best = other;
            (self.pause, self.last_pause) = (0, PAUSE_PERIODS);
        } else {
            self.last_pause = (self.last_pause * 2).min(PAUSE_PERIODS_MAX);
            self.pause = self.last_pause;
            self.paused_mean = mean(0);
        }
    }
}

#[cfg(test)]
mod tests;
