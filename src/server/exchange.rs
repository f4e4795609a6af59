//! The exchange of what is served, while the server runs.
//!
//! Each listener has its terms (`terms.rs`), and a client takes those of its moment. An exchange puts
//! others in their place: clients that come later have the new ones, and a session goes on with
//! those that it began with, to its end. So each session is a path in one machine that is proven.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counters::Counters;
use super::log::swap as log;
use super::terms::{Current, PageText, Served, Terms};
use crate::autofsm::{self, Definition};
use crate::config::Config;
use crate::smtp::faults::{Faults, RULES};
use crate::smtp::machine::Machine;

/// The name that a text of faults has in findings if it is no file.
const NAME: &str = "faults";

/// Exchanges what new sessions are served by. A clone does the same.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The listeners, in their order.
    places: Vec<Place>,
    /// How many exchanges there were.
    generation: AtomicU64,
    /// Held by the one exchange that goes on.
    going_on: Mutex<()>,
}

/// A listener, as far as an exchange is concerned.
#[derive(Debug)]
pub(super) struct Place {
    /// What holds for its clients now.
    pub(super) current: Arc<Current>,
    /// Its address, as it is printed.
    pub(super) address: String,
    /// Whether a client without an address may relay.
    pub(super) may_relay: bool,
    /// Whether it may have faults: no other machine reaches it, or the operator wants it so.
    pub(super) may_misbehave: bool,
}

/// What a listener serves now.
#[derive(Clone, Debug)]
pub struct Now {
    /// The listener's address, as it is printed.
    pub address: String,
    /// The machine.
    pub machine: &'static Machine,
    /// The definition that it was made of, with the faults of now.
    pub definition: Arc<Definition>,
    /// The text of that definition.
    pub page: Arc<PageText>,
    /// What is counted of the machine.
    pub counters: Arc<Counters>,
    /// The faults with their counts, in the order of the definition's.
    pub faults: Option<Arc<Faults>>,
    /// The text of the faults; `None` if they stand in the definition, or if there are none.
    pub source: Option<Arc<str>>,
    /// How many exchanges there were.
    pub generation: u64,
}

/// Why faults were not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The text has errors: the findings, as `postman fsm check` prints them.
    Findings(String),
    /// Other machines reach a listener, and the server was not told that it may misbehave there.
    Elsewhere(String),
}

impl Exchange {
    pub(super) fn new(places: Vec<Place>) -> Self {
        let (generation, going_on) = (AtomicU64::new(0), Mutex::new(()));
        Self(Arc::new(Inner { places, generation, going_on }))
    }

    /// How many exchanges there were.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::SeqCst)
    }

    /// What each listener serves now, in their order.
    #[must_use]
    pub fn now(&self) -> Vec<Now> {
        let generation = self.0.generation.load(Ordering::SeqCst);
        let now = |place: &Place| {
            let terms = place.current.get();
            let served = terms.served.clone();
            Now {
                counters: Arc::clone(&terms.counters),
                page: served.page,
                address: place.address.clone(),
                machine: served.machine,
                definition: served.definition,
                faults: served.faults,
                source: served.faults_text,
                generation,
            }
        };
        self.0.places.iter().map(now).collect()
    }

    /// All faults of now, each once.
    #[must_use]
    pub fn faults(&self) -> Vec<Arc<Faults>> {
        let mut all: Vec<Arc<Faults>> = Vec::new();
        for faults in self.now().into_iter().filter_map(|now| now.faults) {
            if all.iter().all(|known| !Arc::ptr_eq(known, &faults)) {
                all.push(faults);
            }
        }
        all
    }

    /// Serves new sessions so: `served` has a value for each listener, in their order, and `None`
    /// where what is served stays. Returns how many sessions keep what they began with.
    #[must_use]
    pub fn take(&self, config: Config, served: Vec<Option<Served>>) -> usize {
        let _alone = self.alone();
        let config = Arc::new(config);
        let served = served.into_iter().chain(std::iter::repeat(None));
        let places = self.0.places.iter().zip(served);
        self.exchange(places.map(|(place, served)| {
            let served = served.unwrap_or_else(|| place.current.get().served.clone());
            (place, Terms::new(&config, served, place.may_relay))
        }))
    }

    /// Serves new sessions with the faults of a text in the place of those of now; with none for
    /// `None`. Counts begin at nought. Returns how many sessions keep what they began with.
    ///
    /// It compiles the text for each definition that is served, which takes some milliseconds.
    ///
    /// # Errors
    /// The text has errors, or a listener must not misbehave; then nothing has changed.
    pub fn put_faults(&self, text: Option<&str>) -> Result<usize, NotTaken> {
        let _alone = self.alone();
        let mut made: Vec<(Arc<Definition>, Served)> = Vec::new();
        let mut terms = Vec::new();
        for place in &self.0.places {
            let now = place.current.get();
            let was = &now.served;
            let known = made.iter().find(|(known, _)| Arc::ptr_eq(known, &was.definition));
            let with = match known {
                Some((_, served)) => served.clone(),
                None => with_faults(was, text)?,
            };
            if with.faults.is_some() && !place.may_misbehave {
                return Err(NotTaken::Elsewhere(elsewhere(&place.address)));
            }
            made.push((Arc::clone(&was.definition), with.clone()));
            let served = Served { machine: was.machine, ..with };
            terms.push((place, Terms::new(&now.config, served, place.may_relay)));
        }
        let number = made.first().map_or(0, |(_, served)| served.definition.faults.len());
        let kept = self.exchange(terms.into_iter());
        log::faults_put(number, kept);
        Ok(kept)
    }

    /// Has the same faults begin anew, for new sessions: all counts are at nought. Returns how many
    /// sessions keep those that they began with.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn reset_faults(&self) -> usize {
        let _alone = self.alone();
        let mut made: Vec<(Arc<Definition>, Option<Arc<Faults>>)> = Vec::new();
        let mut terms = Vec::new();
        for place in &self.0.places {
            let now = place.current.get();
            let definition = &now.served.definition;
            let known = made.iter().find(|(known, _)| Arc::ptr_eq(known, definition));
            // Their patterns were read before.
            let fresh = || Faults::new(definition, &definition.faults).ok().flatten();
            let faults = known.map_or_else(fresh, |(_, faults)| faults.clone());
            made.push((Arc::clone(definition), faults.clone()));
            let served = Served { faults, ..now.served.clone() };
            terms.push((place, Terms::new(&now.config, served, place.may_relay)));
        }
        let kept = self.exchange(terms.into_iter());
        log::faults_reset(kept);
        kept
    }

    fn exchange<'p>(&self, terms: impl Iterator<Item = (&'p Place, Terms)>) -> usize {
        let kept = terms.map(|(place, terms)| place.current.exchange(terms)).sum();
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        kept
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.0.going_on.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a listener may have no faults.
#[must_use]
pub fn elsewhere(address: &str) -> String {
    format!(
        "cannot serve with faults on {address}: other machines reach it; listen on 127.0.0.1 or \
         ::1, or give --faults-anywhere"
    )
}

/// The same definition with the faults of a text and no others.
fn with_faults(was: &Served, text: Option<&str>) -> Result<Served, NotTaken> {
    let mut definition = Definition { faults: Vec::new(), ..Definition::clone(&was.definition) };
    if let Some(text) = text {
        let found = autofsm::compile_faults(text, &definition, &RULES);
        let said = || autofsm::render(&found.diagnostics, NAME, text);
        definition.faults = found.faults.clone().ok_or_else(|| NotTaken::Findings(said()))?;
    }
    let faults = Faults::new(&definition, &definition.faults);
    let faults = faults.map_err(|why| NotTaken::Findings(format!("{NAME}: {why}\n")))?;
    // No file has what was put.
    let stays = |line: &&str| !line.starts_with("! faults:");
    let mut played_by: String = was.played_by.split_inclusive('\n').filter(stays).collect();
    if faults.is_some() {
        played_by += "# The faults were put while the server ran: no file is named here.\n";
    }
    Ok(Served {
        machine: was.machine,
        definition: Arc::new(definition),
        page: Arc::clone(&was.page),
        faults,
        faults_text: text.map(Arc::from),
        played_by,
    })
}
