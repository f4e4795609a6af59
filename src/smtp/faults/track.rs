//! How far one session is in the faults: which of them it meets, and when.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counts::{Counts, Key};
use super::header::Header;
use super::{Effect, Faults, Ready};
use crate::autofsm::{Count, Progress};
use crate::smtp::machine::EventId;
use crate::smtp::session::Client;

/// What a session does with the faults at the end of its content: those that refuse are met before
/// the store is asked, and all others once it has said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp) enum Phase {
    /// A command, or the greeting: all of them at once.
    Whole,
    /// Before the store is asked.
    BeforeStore,
    /// After its yes.
    Stored,
}

/// Of whom something is counted.
#[derive(Clone, Copy, Debug)]
pub(in crate::smtp) struct Who<'a> {
    /// The session's id.
    pub(in crate::smtp) session: &'a str,
    /// The client's address; clients without one are the same client.
    pub(in crate::smtp) client: Option<IpAddr>,
    /// The sender, if there is one.
    pub(in crate::smtp) sender: Option<&'a str>,
}

impl<'a> Who<'a> {
    pub(in crate::smtp) fn of(client: &'a Client, sender: Option<&'a str>) -> Self {
        Self { session: &client.id, client: client.address, sender }
    }
}

/// How far a session is in the faults.
#[derive(Debug)]
pub struct Track {
    /// Those of the server.
    faults: Arc<Faults>,
    /// How far the accepted events are in each expression.
    progress: Vec<Progress>,
    /// What is counted for this session alone.
    own: Counts,
    /// Whether the last event was a piece of content: the next one is the same.
    in_content: bool,
    /// The faults inside content that this message can still meet.
    ahead: Vec<usize>,
    /// The header of the message.
    header: Header,
    /// The sender of the message that is stored: the session has forgotten it by the answer.
    sender: Option<String>,
    /// The time, in milliseconds of the caller.
    now: u64,
}

impl Track {
    pub(in crate::smtp) fn new(faults: Arc<Faults>) -> Self {
        let progress = faults.all.iter().map(|ready| ready.fault.automaton.start()).collect();
        Self {
            faults,
            progress,
            own: Counts::default(),
            in_content: false,
            ahead: Vec::new(),
            header: Header::default(),
            sender: None,
            now: 0,
        }
    }

    /// Sets the time, in milliseconds of the caller. It does not go back.
    pub(in crate::smtp) fn set_time(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    pub(in crate::smtp) fn held_bytes(&self) -> usize {
        self.header.held_bytes()
    }

    /// Keeps the sender of a message until its answer.
    pub(in crate::smtp) fn keep_sender(&mut self, sender: Option<String>) {
        self.sender = sender;
    }

    /// The sender that was kept.
    pub(in crate::smtp) fn kept_sender(&mut self) -> Option<String> {
        self.sender.take()
    }

    /// The event was accepted, and the machine has made its step.
    pub(in crate::smtp) fn step(&mut self, event: EventId) {
        let event = usize::from(event.0);
        let is_content = self.faults.content == Some(event);
        // In how many pieces content comes is chance: they are one event.
        if is_content && self.in_content {
            return;
        }
        let readies = self.faults.all.iter();
        for (ready, progress) in readies.clone().zip(&mut self.progress) {
            *progress = ready.fault.automaton.follow(progress, event);
        }
        self.in_content = is_content;
        self.ahead.clear();
        if is_content {
            let met = readies.zip(&self.progress).enumerate().filter(|(_, (ready, progress))| {
                ready.fault.content.is_some() && ready.fault.automaton.matches(progress)
            });
            self.ahead = met.map(|(number, _)| number).collect();
        }
        if is_content || self.faults.end != Some(event) {
            self.header.clear();
        }
    }

    /// A piece of content was taken.
    pub(in crate::smtp) fn content(&mut self, piece: &[u8]) {
        if self.faults.reads_header {
            self.header.push(piece);
        }
    }

    /// What the greeting is met by.
    pub(in crate::smtp) fn greeting(&mut self, who: &Who<'_>) -> Option<Effect> {
        let matching = |ready: &Ready, progress: &Progress| ready.fault.automaton.matches(progress);
        self.decide(matching, None, b"", who, Phase::Whole)
    }

    /// What a command is met by that would be accepted, or that was, after the store's yes.
    pub(in crate::smtp) fn command(
        &mut self,
        event: EventId,
        line: &[u8],
        who: &Who<'_>,
        phase: Phase,
    ) -> Option<Effect> {
        let number = usize::from(event.0);
        let matching = |ready: &Ready, progress: &Progress| {
            let automaton = &ready.fault.automaton;
            match phase {
                // The step was made.
                Phase::Stored => automaton.matches(progress),
                Phase::Whole | Phase::BeforeStore => {
                    automaton.matches(&automaton.follow(progress, number))
                }
            }
        };
        self.decide(matching, Some(number), line, who, phase)
    }

    /// What a message is met by after so many octets of its content.
    pub(in crate::smtp) fn within(&mut self, octets: u64, who: &Who<'_>) -> Option<Effect> {
        let faults = Arc::clone(&self.faults);
        let is_reached = |number: &usize| {
            let content = faults.all.get(*number).and_then(|ready| ready.fault.content);
            content.is_some_and(|content| octets >= content)
        };
        if !self.ahead.iter().any(is_reached) {
            return None;
        }
        let (reached, ahead) = self.ahead.iter().copied().partition::<Vec<_>, _>(is_reached);
        self.ahead = ahead;
        for number in reached {
            let Some(ready) = faults.all.get(number) else { continue };
            let key = key(number, ready, b"", who);
            let is_own = is_own(ready);
            let mut all = faults.counts();
            let counts = if is_own { &mut self.own } else { &mut *all };
            if is_due(&faults, ready, counts, key, self.now)
                && let Some(effect) = Effect::new(ready, None)
            {
                count(&faults, counts, ready, key);
                return Some(effect);
            }
            pass(counts, ready, key, self.now);
        }
        None
    }

    /// The first fault that fires; what it counts is counted, and so is what passes the others.
    fn decide(
        &mut self,
        matching: impl Fn(&Ready, &Progress) -> bool,
        event: Option<usize>,
        line: &[u8],
        who: &Who<'_>,
        phase: Phase,
    ) -> Option<Effect> {
        let faults = Arc::clone(&self.faults);
        let met: Vec<usize> = (0..faults.all.len())
            .filter(|number| {
                let ready = &faults.all[*number];
                ready.fault.content.is_none() && matching(ready, &self.progress[*number])
            })
            .collect();
        if met.is_empty() {
            return None;
        }
        let lines: Vec<Cow<'_, [u8]>> = if event.is_some() && event == faults.end {
            self.header.lines().into_iter().map(Cow::Owned).collect()
        } else {
            vec![Cow::Borrowed(line)]
        };
        let mut all = faults.counts();
        let (mut passed, mut effect) = (Vec::new(), None);
        for number in met {
            let ready = &faults.all[number];
            let captures = match &ready.when {
                None => None,
                Some(when) => match lines.iter().find_map(|line| when.captures(line)) {
                    None => continue,
                    captures => captures,
                },
            };
            let Some(its) = Effect::new(ready, captures.as_ref()) else { continue };
            let is_asked = match phase {
                Phase::Whole => true,
                Phase::BeforeStore => its.refuses,
                Phase::Stored => !its.refuses,
            };
            if phase == Phase::Stored && !is_asked {
                continue;
            }
            let key = key(number, ready, line, who);
            let counts = if is_own(ready) { &mut self.own } else { &mut *all };
            if !is_due(&faults, ready, counts, key, self.now) {
                if is_asked {
                    passed.push((number, key));
                }
                continue;
            }
            if is_asked {
                count(&faults, counts, ready, key);
                effect = Some(its);
            }
            break;
        }
        // What is refused by another fault has passed nobody.
        if effect.as_ref().is_none_or(|effect| !effect.refuses) {
            for (number, key) in passed {
                let ready = &faults.all[number];
                let counts = if is_own(ready) { &mut self.own } else { &mut *all };
                pass(counts, ready, key, self.now);
            }
        }
        effect
    }
}

/// Whether a fault is counted for the session alone.
fn is_own(ready: &Ready) -> bool {
    ready.fault.each.iter().any(|key| key.name == "session")
}

fn is_due(faults: &Faults, ready: &Ready, counts: &mut Counts, key: Key, now: u64) -> bool {
    faults.is_next(ready).unwrap_or_else(|| counts.is_due(key, ready.fault.count, now))
}

fn count(faults: &Faults, counts: &mut Counts, ready: &Ready, key: Key) {
    if let Some(listed) = faults.listed().as_mut() {
        listed.pop_front();
    }
    ready.fired.fetch_add(1, Ordering::Relaxed);
    if matches!(ready.fault.count, Count::First(_)) {
        counts.fired(key);
    }
}

fn pass(counts: &mut Counts, ready: &Ready, key: Key, now: u64) {
    if matches!(ready.fault.count, Count::Over { .. }) {
        counts.passed(key, now);
    }
}

fn key(number: usize, ready: &Ready, line: &[u8], who: &Who<'_>) -> Key {
    let client = who.client.map(|client| client.to_canonical().to_string()).unwrap_or_default();
    let values = ready.fault.each.iter().map(|key| match key.name {
        "client" => client.as_bytes(),
        "session" => who.session.as_bytes(),
        "sender" => who.sender.unwrap_or_default().as_bytes(),
        _ => line,
    });
    Key::new(number, values)
}
