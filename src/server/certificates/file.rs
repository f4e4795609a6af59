//! A certificate's two files: read, and looked at.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::Certificate;

/// The largest file that is read, in octets.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A certificate that was read, with its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case; `*.` may begin one.
    pub names: Vec<String>,
    /// From when it is valid, in seconds of Unix's time.
    pub from: u64,
    /// Until when it is valid.
    pub until: u64,
    /// Whether every user of this machine can read the key.
    pub is_open: bool,
}

/// What a path led to when it was looked at. Another one means that the file may be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen(Option<[i64; 7]>);

/// Looks where a path leads to, without reading it.
fn seen(path: &Path) -> Seen {
    let found = fs::metadata(path).ok();
    Seen(found.map(|found| {
        let number = |number: u64| number.cast_signed();
        [
            number(found.dev()),
            number(found.ino()),
            number(found.size()),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ]
    }))
}

/// Looks at both files.
pub(super) fn look(certificate: &Certificate) -> (Seen, Seen) {
    (seen(&certificate.chain), seen(&certificate.key))
}

/// Reads a certificate and its key.
///
/// # Errors
/// One line: what was attempted, and the cause.
pub(super) fn read(certificate: &Certificate, provider: &CryptoProvider) -> Result<Pair, String> {
    let chain_name = certificate.chain.display();
    let of_chain = |why: &str| format!("cannot use the certificate {chain_name}: {why}");
    let text = read_file(&certificate.chain)
        .map_err(|why| format!("cannot read the certificate {chain_name}: {why}"))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| of_chain(&broken_pem(&error)))?;
    let Some(own) = chain.first() else {
        return Err(of_chain("it has no `BEGIN CERTIFICATE`; it must be in the form PEM"));
    };
    let (names, from, until) =
        about(own).ok_or_else(|| of_chain("its first certificate is broken"))?;

    let key_name = certificate.key.display();
    let of_key = |why: &str| format!("cannot use the key {key_name}: {why}");
    let text = read_file(&certificate.key)
        .map_err(|why| format!("cannot read the key {key_name}: {why}"))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        of_key(&match error {
            pem::Error::NoItemsFound => {
                "it has no private key in the form PEM that is not encrypted".to_owned()
            }
            other => broken_pem(&other),
        })
    })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            of_key(&format!("it is not the key of the certificate {chain_name}"))
        }
        Error::InvalidCertificate(why) => of_chain(&why.to_string()),
        other => of_key(&other.to_string()),
    })?;
    let mode = fs::metadata(&certificate.key).map_or(0, |found| found.permissions().mode());
    Ok(Pair { key: Arc::new(key), names, from, until, is_open: mode & 0o004 != 0 })
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; the server reads it as the user that it becomes")
        }
        _ => error.to_string(),
    })?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} octets"));
    }
    Ok(octets)
}

/// What is wrong with the form, in words; what is in the file is not in them.
fn broken_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut: an `END` line is missing",
        pem::Error::IllegalSectionStart { .. } => "a `BEGIN` line is broken",
        pem::Error::Base64Decode(_) => "what is between `BEGIN` and `END` is not base64",
        pem::Error::NoItemsFound => "it has nothing in the form PEM",
        _ => "it is not in the form PEM",
    }
    .to_owned()
}

/// The names of a certificate, and from when until when it is valid.
fn about(certificate: &CertificateDer<'_>) -> Option<(Vec<String>, u64, u64)> {
    let read = x509_cert::Certificate::from_der(certificate).ok()?;
    let about = read.tbs_certificate();
    let names = about.get_extension::<SubjectAltName>().ok()?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    });
    let validity = about.validity();
    let (from, until) = (&validity.not_before, &validity.not_after);
    let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
    Some((names.collect(), seconds(from), seconds(until)))
}
