//! The handshakes under way, which have a cap, and why one failed, in words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::line::Failure;

/// Counts the handshakes under way.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// The most at once.
    max: usize,
    /// Those of now.
    under_way: AtomicUsize,
}

/// A counted handshake; dropping it gives its place back.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Handshakes>);

impl Handshakes {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, under_way: AtomicUsize::new(0) })
    }

    /// A place for one more, if the cap allows it.
    pub(super) fn begin(self: &Arc<Self>) -> Option<UnderWay> {
        let before = self.under_way.fetch_add(1, Ordering::SeqCst);
        let place = UnderWay(Arc::clone(self));
        (before < self.max).then_some(place)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Why a handshake failed, for the log. What a client sent is not in it.
pub(super) fn words(failure: &Failure) -> String {
    match failure {
        Failure::HungUp => "the client hung up".to_owned(),
        Failure::Socket(error) => error.to_string(),
        Failure::Tls(error) => tls(error),
    }
}

fn tls(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord => {
            "what the client sent is no handshake of TLS".to_owned()
        }
        Error::DecryptError => "a record of the client cannot be decrypted".to_owned(),
        Error::PeerMisbehaved(_) => format!("the client breaks the rules of TLS ({error})"),
        Error::PeerIncompatible(why) => incompatible(why, error),
        Error::AlertReceived(alert) => alerted(*alert),
        other => other.to_string(),
    }
}

fn incompatible(why: &PeerIncompatible, error: &Error) -> String {
    let common = match why {
        // A client of TLS 1.1 has no signatures to offer, and rustls looks for those first.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => "version; the server takes TLS 1.2 and 1.3",
        PeerIncompatible::NoCipherSuitesInCommon => "cipher",
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "way to agree on keys"
        }
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "signature that the certificate's key can make"
        }
        _ => return format!("the client's TLS is of another kind ({error})"),
    };
    format!("the client and the server have no common {common}")
}

fn alerted(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::UnknownCA | AlertDescription::CertificateUnknown => {
            "refuses the certificate, whose issuer it does not trust"
        }
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => {
            "refuses the certificate"
        }
        AlertDescription::CertificateExpired => "refuses the certificate, which has expired",
        AlertDescription::CertificateRevoked => "refuses the certificate, which is revoked",
        AlertDescription::ProtocolVersion => "wants another version than TLS 1.2 and 1.3",
        AlertDescription::UserCanceled | AlertDescription::CloseNotify => "gave up",
        other => return format!("the client gave up ({})", name(other)),
    };
    format!("the client {why}")
}

fn name(alert: AlertDescription) -> &'static str {
    alert.as_str().unwrap_or("an unknown alert")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_lets_its_last_one_begin_and_the_next_one_not() {
        let handshakes = Handshakes::new(2);
        let (one, two) = (handshakes.begin(), handshakes.begin());
        assert!(one.is_some() && two.is_some());
        assert!(handshakes.begin().is_none());
        assert!(handshakes.begin().is_none());
        drop(one);
        assert!(handshakes.begin().is_some());
    }

    #[test]
    fn a_failure_is_a_sentence() {
        for (failure, expected) in [
            (Failure::HungUp, "the client hung up"),
            (
                Failure::Tls(Error::AlertReceived(AlertDescription::UnknownCA)),
                "the client refuses the certificate, whose issuer it does not trust",
            ),
            (
                Failure::Tls(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)),
                "the client and the server have no common version; the server takes TLS 1.2 and 1.3",
            ),
            (
                Failure::Tls(Error::AlertReceived(AlertDescription::HandshakeFailure)),
                "the client gave up (HandshakeFailure)",
            ),
        ] {
            assert_eq!(words(&failure), expected);
        }
    }
}
