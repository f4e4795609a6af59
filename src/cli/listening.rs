//! A listener with the page that it serves, and what is said of it.

use std::sync::Arc;

use super::states::States;
use super::swap::Place;
use crate::config::Tls;
use crate::server::listeners::Opened;
use crate::server::{PageText, Served, Serving, elsewhere, served};
use crate::smtp::machine::{Machine, Position};

/// # Errors
/// The page has faults, and other machines reach the listener: their clients would lose time, and
/// take the server for broken.
pub(super) fn check_reach(opened: &Opened, states: &States) -> Result<(), String> {
    if states.faults.is_none() || is_here(opened) {
        return Ok(());
    }
    Err(elsewhere(&opened.address))
}

/// Whether only this machine reaches it.
fn is_here(opened: &Opened) -> bool {
    opened.tcp.is_none_or(|tcp| tcp.ip().to_canonical().is_loopback())
}

/// A listener with the page that it serves.
pub(super) struct Listening {
    pub opened: Opened,
    pub states: Arc<States>,
    pub served: &'static Machine,
    /// Why rows are left out, if any are.
    why: &'static str,
}

/// What a listener serves of a page.
pub(super) fn serves(states: &States, machine: &'static Machine, played_by: String) -> Served {
    Served {
        machine,
        definition: Arc::clone(&states.definition),
        page: Arc::new(PageText {
            name: states.name.clone(),
            sha256: states.digest.clone(),
            text: states.source.clone(),
        }),
        faults: states.faults.clone(),
        faults_text: states.faults_source().map(Arc::from),
        played_by,
    }
}

/// The machine that a listener serves of a page.
///
/// # Errors
/// One line: the listener cannot serve the page.
pub(super) fn machine(
    tls: Tls,
    address: &str,
    states: &States,
    has_certificate: bool,
) -> Result<&'static Machine, String> {
    served(states.machine, tls, has_certificate).ok_or_else(|| {
        format!(
            "cannot open {address}, which is encrypted from the first octet: {} has no row for STARTTLS in its first state, \
             and it begins where that row leads",
            states.name
        )
    })
}

impl Listening {
    /// # Errors
    /// One line: the listener cannot serve the page.
    pub(super) fn new(
        opened: Opened,
        states: Arc<States>,
        has_certificate: bool,
    ) -> Result<Self, String> {
        let tls = opened.listener.tls;
        let served = machine(tls, &opened.address, &states, has_certificate)?;
        let why = match tls {
            Tls::StartTls => "there is no certificate",
            Tls::FirstOctet => "its lines are encrypted already",
            Tls::Never => "its tls is Never",
        };
        Ok(Self { opened, states, served, why })
    }

    /// What an exchange of its page needs of it, and the page.
    pub(super) fn place(&self, played_by: &str, faults_anywhere: bool) -> (Place, Arc<States>) {
        let place = Place {
            states: self.opened.listener.states.clone(),
            tls: self.opened.listener.tls,
            address: self.opened.address.clone(),
            may_misbehave: faults_anywhere || is_here(&self.opened),
            played_by: played_by.to_owned(),
        };
        (place, Arc::clone(&self.states))
    }

    /// What the server needs of it.
    pub(super) fn serving(self, played_by: String, faults_anywhere: bool) -> Serving {
        let may_misbehave = faults_anywhere || is_here(&self.opened);
        let served = serves(&self.states, self.served, played_by);
        Serving { opened: self.opened, served, may_misbehave }
    }

    /// The commands whose rows are left out, and why.
    pub(super) fn left_out(&self) -> (&'static [&'static str], &'static str) {
        (self.served.left_out, self.why)
    }

    /// The page as it is served.
    pub(super) fn page(&self) -> String {
        self.states.page(self.served.left_out, self.why)
    }

    /// What an operator should know.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let idle = self.states.idle_faults(self.served.left_out);
        [self.misbehaves(), self.in_vain(), idle].into_iter().flatten()
    }

    /// That it has faults.
    fn misbehaves(&self) -> Option<String> {
        let (faults, address) = (self.states.about_faults()?, &self.opened.address);
        Some(format!("{address} misbehaves as it is told to ({faults}); it is for tests only"))
    }

    /// That no client can send mail here.
    fn in_vain(&self) -> Option<String> {
        let is_in_vain = self.opened.listener.tls != Tls::FirstOctet
            && self.states.machine.delivers()
            && !self.served.delivers();
        is_in_vain.then(|| {
            let (left_out, why) = self.left_out();
            let left_out = left_out.join(", ");
            let address = &self.opened.address;
            match self.opened.listener.tls {
                Tls::Never => format!("no client of {address} can send mail: the definition wants {left_out} first, and {why}"),
                _ => format!("no client can send mail: the definition wants {left_out} first, which needs a certificate"),
            }
        })
    }

    /// What it is, in a few lines, with its page if others have another.
    pub(super) fn about(&self, says_page: bool) -> String {
        let offers = Position::initial(self.served).offered_by_ehlo().map_or_else(
            || "nothing: EHLO is not accepted first".to_owned(),
            |offers| if offers.is_empty() { "nothing".to_owned() } else { offers.join(", ") },
        );
        let (left_out, why) = self.left_out();
        let encrypted = match self.opened.listener.tls {
            Tls::FirstOctet => "from the first octet",
            Tls::StartTls if left_out.is_empty() && self.offers_start_tls() => "after STARTTLS",
            Tls::StartTls | Tls::Never => "never",
        };
        let mut text = format!(
            "  address     {}\n  encrypted   {encrypted}\n  offers      {offers}\n",
            self.opened.address
        );
        if says_page {
            text += &self.states.about_with_faults();
        }
        if !left_out.is_empty() {
            text += &format!("  left out    {}: {why}\n", left_out.join(", "));
        }
        if self.opened.listener.may_relay {
            text += "  may relay   each of its clients\n";
        }
        text
    }

    fn offers_start_tls(&self) -> bool {
        self.served.accepts("STARTTLS")
    }
}
