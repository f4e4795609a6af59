//! `postman certificate self-signed`: a certificate for a trial, which its clients have to be told
//! to trust.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike as _, Utc};
use clap::{Args, Subcommand};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::{End, print};

/// How long the certificate is valid.
const VALID: Duration = Duration::from_hours(90 * 24);
/// How far its begin lies back: another machine's clock may be late.
const BACK: Duration = Duration::from_hours(24);

#[derive(Subcommand)]
pub(super) enum Certificate {
    /// Make a certificate and its key, for a trial: no client trusts it by itself.
    SelfSigned(SelfSigned),
}

#[derive(Args)]
pub(super) struct SelfSigned {
    /// The folder that gets chain.pem and key.pem.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The names of the server, as its clients call it.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn run(command: &Certificate) -> Result<(), End> {
    let Certificate::SelfSigned(options) = command;
    let (chain, key) = (options.folder.join("chain.pem"), options.folder.join("key.pem"));
    let (certificate, secret) = make(&options.names)
        .map_err(|error| format!("cannot make a certificate for {:?}: {error}", options.names))?;
    // The key first: a certificate without a key is of no use.
    write(&key, &secret, 0o600)?;
    write(&chain, &certificate, 0o644)?;
    let days = VALID.as_secs() / (24 * 60 * 60);
    print(&format!(
        "The certificate is in {chain} and its key in {key}, for {days} days. In the configuration:\n\n\
         \x20   certificates: [(chain: \"{chain}\", key: \"{key}\")],\n\n\
         No client trusts it by itself: it is for a trial.\n",
        chain = chain.display(),
        key = key.display(),
    ))
}

/// A certificate and its key, both PEM.
fn make(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, names.first().map_or("", String::as_str));
    params.distinguished_name = name;
    let now = SystemTime::now();
    let day = |time: SystemTime| {
        let date = DateTime::<Utc>::from(time);
        let small = |number: u32| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(date.year(), small(date.month()), small(date.day()))
    };
    (params.not_before, params.not_after) = (day(now - BACK), day(now + VALID));
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Writes a file that must not be there yet.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let shown = path.display();
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::AlreadyExists => "; move it away, or name another folder with --folder",
            _ => "",
        };
        format!("cannot write {shown}: {error}{help}")
    })
}
