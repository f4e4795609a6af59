//! The certificates: which one a client gets, and how they are renewed while the server runs.
//!
//! What a handshake needs of them is one value, `Certificates::current`, which is made anew when
//! a file has changed: a session keeps the one that it began with, so that none is dropped. Files
//! are read when they are named on SIGHUP, and when what their names lead to is another file than
//! before (`stat`, every `LOOK`). A pair that cannot be used is refused in one line of the log,
//! and the one before it stays.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::log;
use crate::config::Certificate;

mod file;
#[cfg(test)]
mod tests;

use file::{Pair, Seen};

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// How often the end of a certificate is warned of.
const WARN: Duration = Duration::from_hours(24);
/// How long before its end a certificate is warned of.
const WARN_BEFORE: Duration = Duration::from_hours(14 * 24);

/// The tickets for resumption that a client gets. One is enough for one connection after another,
/// and each costs a write.
const TICKETS: usize = 1;

/// A certificate of the configuration.
struct Entry {
    /// Its files.
    certificate: Certificate,
    /// What the files were when they were read.
    seen: (Seen, Seen),
    /// What is used: what they held when they could be used.
    pair: Pair,
    /// When its end was warned of.
    warned: Option<SystemTime>,
}

/// The certificates of the server.
pub struct Certificates {
    /// The cryptography.
    provider: Arc<CryptoProvider>,
    /// Each certificate, in the configuration's order.
    entries: Mutex<Vec<Entry>>,
    /// What handshakes that begin now are made with.
    current: Mutex<Arc<ServerConfig>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

/// Chooses a certificate by the name that the client asks for.
#[derive(Debug)]
struct ByName(Vec<(Vec<String>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let can_sign =
            |key: &Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let named: Vec<_> = hello.server_name().map_or_else(Vec::new, |asked| {
            let is_for = |(names, _): &&(Vec<String>, _)| {
                names.iter().any(|name| matches(name, &asked.to_ascii_lowercase()))
            };
            self.0.iter().filter(is_for).map(|(_, key)| key).collect()
        });
        let usable = named.iter().find(|key| can_sign(key)).or(named.first()).copied();
        // Most mail servers name none, or one that they do not look at.
        usable.or(self.0.first().map(|(_, key)| key)).map(Arc::clone)
    }
}

/// Whether a name of a certificate is that of a host. RFC 6125 6.4.3: a star is one whole label.
fn matches(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name == host,
        Some(rest) => {
            host.split_once('.').is_some_and(|(label, of)| !label.is_empty() && of == rest)
        }
    }
}

/// What a certificate is for, and until when, for `check` and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The file.
    pub chain: String,
    /// The names.
    pub names: Vec<String>,
    /// The day until which it is valid, `2027-02-26`.
    pub until: String,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

impl Certificates {
    /// Reads the certificates of a configuration; `None` if it has none.
    ///
    /// # Errors
    /// A line for each that cannot be used.
    pub fn read(certificates: &[Certificate]) -> Result<Option<Arc<Self>>, String> {
        if certificates.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mut entries, mut wrongs) = (Vec::new(), Vec::new());
        for certificate in certificates {
            // First the look: what changes meanwhile is read again.
            let seen = file::look(certificate);
            match file::read(certificate, &provider) {
                Ok(pair) => {
                    let certificate = certificate.clone();
                    entries.push(Entry { certificate, seen, pair, warned: None });
                }
                Err(wrong) => wrongs.push(wrong),
            }
        }
        if !wrongs.is_empty() {
            return Err(wrongs.join("\n"));
        }
        let config = config(&provider, &entries)?;
        let (entries, current) = (Mutex::new(entries), Mutex::new(config));
        Ok(Some(Arc::new(Self { provider, entries, current })))
    }

    /// What a handshake that begins now is made with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the certificates are for, and until when.
    #[must_use]
    pub fn about(&self) -> Vec<About> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| entry.about(SystemTime::now())).collect()
    }

    /// Looks at the files every so often, and reads them when told to, until the other end of
    /// `told` is gone. A thread of its own does this, since files may let one wait.
    pub(super) fn watch(&self, told: &Receiver<()>, every: Duration) {
        self.warn(SystemTime::now());
        loop {
            let is_told = match told.recv_timeout(every) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.renew(is_told);
            self.warn(SystemTime::now());
        }
    }

    /// Reads what has changed, or everything.
    fn renew(&self, everything: bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        for entry in entries.iter_mut() {
            let seen = file::look(&entry.certificate);
            if seen == entry.seen && !everything {
                continue;
            }
            entry.seen = seen;
            match file::read(&entry.certificate, &self.provider) {
                Ok(pair) => {
                    entry.pair = pair;
                    entry.warned = None;
                    is_new = true;
                    log::certificate_read(&entry.about(SystemTime::now()));
                }
                Err(wrong) => log::certificate_refused(&wrong),
            }
        }
        if !is_new {
            return;
        }
        match config(&self.provider, &entries) {
            Ok(config) => {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
            }
            Err(wrong) => log::certificate_refused(&wrong),
        }
    }

    /// Warns, once a day, of the certificates whose end is near.
    fn warn(&self, now: SystemTime) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.iter_mut() {
            let is_due = entry
                .warned
                .is_none_or(|last| now.duration_since(last).is_ok_and(|since| since >= WARN));
            if !is_due {
                continue;
            }
            entry.warned = Some(now);
            for warning in entry.about(now).warnings {
                log::certificate_warning(&warning);
            }
        }
    }
}

impl Entry {
    fn about(&self, now: SystemTime) -> About {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (pair, chain) = (&self.pair, self.certificate.chain.display().to_string());
        let until = day(pair.until);
        let mut warnings = Vec::new();
        if pair.until < now {
            warnings
                .push(format!("the certificate {chain} has expired: it was valid until {until}"));
        } else if pair.until < now + WARN_BEFORE.as_secs() {
            let days = (pair.until - now) / (24 * 60 * 60);
            warnings.push(format!(
                "the certificate {chain} expires in {days} days: it is valid until {until}"
            ));
        } else if pair.from > now {
            let from = day(pair.from);
            warnings.push(format!("the certificate {chain} is not valid yet, but from {from}"));
        }
        if pair.is_open {
            let key = self.certificate.key.display();
            warnings.push(format!("every user of this machine can read the key {key}"));
        }
        About { chain, names: pair.names.clone(), until, warnings }
    }
}

fn day(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| "the end of time".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}

/// What handshakes are made with. Tickets have a key of their own in each, so that nothing of a
/// certificate that is gone is resumed.
fn config(provider: &Arc<CryptoProvider>, entries: &[Entry]) -> Result<Arc<ServerConfig>, String> {
    let failed = |error: rustls::Error| format!("cannot make a configuration of TLS: {error}");
    let by_name =
        entries.iter().map(|entry| (entry.pair.names.clone(), Arc::clone(&entry.pair.key)));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(failed)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName(by_name.collect())));
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
    config.send_tls13_tickets = TICKETS;
    Ok(Arc::new(config))
}
