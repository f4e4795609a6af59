//! SIGHUP: what the server was started with is read again, and what is new is served to new sessions.
//!
//! All is read, compiled and proven before anything changes: what has an error changes nothing.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::End;
use super::fsm::diff::changes;
use super::listening::{machine, serves};
use super::start::{Options, read_pages};
use super::states::States;
use crate::config::{Change, Config, Tls};
use crate::logging::escape;
use crate::server::{Exchange, Served, elsewhere, service, swap as log};

/// The most changes of a definition that are logged; one more line says that there are more.
const CHANGES_LOGGED: usize = 50;

/// What a server was started with, and what it serves of it now.
pub(super) struct Swap {
    options: Options,
    /// What neither file nor option says.
    defaults: Config,
    has_certificates: bool,
    places: Vec<Place>,
    exchange: Exchange,
    config: RefCell<Config>,
    /// The page of each listener, in their order.
    pages: RefCell<Vec<Arc<States>>>,
}

/// A listener, as far as its page is concerned.
pub(super) struct Place {
    /// The path that its configuration names.
    pub states: Option<PathBuf>,
    pub tls: Tls,
    pub address: String,
    /// Whether it may have faults.
    pub may_misbehave: bool,
    /// The lines of a dialogue that name its files.
    pub played_by: String,
}

/// What was read, and has no error.
struct Read {
    config: Config,
    changes: Vec<Change>,
    /// The pages of the listeners, in their order, and what new sessions are served of them.
    pages: Vec<(Arc<States>, Option<Served>)>,
    /// What is doubtful.
    said: String,
}

impl Swap {
    pub(super) fn new(
        (options, defaults): (Options, Config),
        config: Config,
        has_certificates: bool,
        (places, pages): (Vec<Place>, Vec<Arc<States>>),
        exchange: Exchange,
    ) -> Self {
        let (config, pages) = (RefCell::new(config), RefCell::new(pages));
        Self { options, defaults, has_certificates, places, exchange, config, pages }
    }

    /// Reads all again, and serves it, or says why not.
    pub(super) fn hung_up(&self) {
        match self.read() {
            Ok(read) => self.serve(read),
            Err(why) => {
                for line in why.lines() {
                    log::refused(line);
                }
                log::nothing_taken();
                let first = escape(why.lines().next().unwrap_or_default());
                service::status(&format!("serving as before; not taken: {first}"));
            }
        }
    }

    /// Reads all that was read at the start.
    ///
    /// # Errors
    /// Lines: what is wrong, with its place.
    fn read(&self) -> Result<Read, String> {
        let now = self.config.borrow();
        let read = self.options.configuration(self.defaults.clone())?;
        let (config, changes) = now.renewed(read);
        let mut said = String::new();
        // The listeners stay; so do the paths of their pages.
        let pages = read_pages(&now, &self.options, &mut |path, faults| {
            [path, faults].into_iter().flatten().try_for_each(is_file)?;
            States::read(path, faults, &[], &mut said)
        });
        let pages = pages.map_err(|end| match end {
            End::Error(why) => why,
            End::Findings | End::Status(_) => said.clone(),
        })?;
        let known = self.pages.borrow();
        let mut taken = Vec::new();
        for (place, old) in self.places.iter().zip(known.iter()) {
            let page = pages.iter().find(|(path, _)| *path == place.states);
            let Some((_, page)) = page.filter(|(_, page)| !page.is_same(old)) else {
                taken.push((Arc::clone(old), None));
                continue;
            };
            if page.faults.is_some() && !place.may_misbehave {
                return Err(elsewhere(&place.address));
            }
            let machine = machine(place.tls, &place.address, page, self.has_certificates)?;
            let served = serves(page, machine, place.played_by.clone());
            taken.push((Arc::clone(page), Some(served)));
        }
        Ok(Read { config, changes, pages: taken, said })
    }

    /// Serves new sessions by what was read.
    fn serve(&self, read: Read) {
        let Read { config, changes, pages, said } = read;
        said.lines().for_each(log::doubt);
        for change in changes.iter().filter(|change| !change.holds) {
            log::key_stays(change.key);
        }
        let mut holding = changes.iter().filter(|change| change.holds).peekable();
        let (pages, served): (Vec<_>, Vec<_>) = pages.into_iter().unzip();
        if holding.peek().is_none() && served.iter().all(Option::is_none) {
            return log::nothing_new();
        }
        for Change { key, was, is, .. } in holding {
            log::key(key, was, is);
        }
        let known = self.pages.replace(pages);
        let pages = self.pages.borrow();
        for (number, (old, new)) in known.iter().zip(pages.iter()).enumerate() {
            let is_told = pages.iter().take(number).any(|earlier| Arc::ptr_eq(earlier, new));
            if !Arc::ptr_eq(old, new) && !is_told {
                tell(old, new);
            }
        }
        let kept = self.exchange.take(config.clone(), served);
        self.config.replace(config);
        log::done(kept);
        let about: Vec<_> = pages.first().map(|page| page.about()).into_iter().collect();
        service::status(&format!("serving {}", escape(&about.join(", "))));
    }
}

/// Logs what is new of a page.
fn tell(old: &States, new: &States) {
    if old.digest != new.digest {
        log::definition(&new.name, &old.digest, &new.digest);
    }
    let changes = changes(&old.definition, &new.definition);
    for change in changes.iter().take(CHANGES_LOGGED) {
        log::change(change);
    }
    if changes.len() > CHANGES_LOGGED {
        log::change(&format!("and {} more", changes.len() - CHANGES_LOGGED));
    }
    if let Some((file, number)) = new.faults_of() {
        log::faults(file, number);
    }
}

/// # Errors
/// It is a pipe or a device, which might never end.
fn is_file(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(format!("cannot read {shown} again: it is not a regular file")),
        Err(error) => Err(format!("cannot read {shown}: {error}")),
    }
}
