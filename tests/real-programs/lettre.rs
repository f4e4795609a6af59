//! lettre as a client: `lettre HOST PORT FROM TO...` sends the message on standard input, and fails
//! if it is not taken.

#![allow(clippy::unwrap_used, reason = "a test's client ends with what went wrong")]

use std::io::{Read as _, stdin};
use std::process::ExitCode;

use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport as _};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, from, to @ ..] = arguments.as_slice() else { return ExitCode::from(2) };
    let mut message = Vec::new();
    stdin().read_to_end(&mut message).unwrap();
    let to = to.iter().map(|to| to.parse().unwrap()).collect();
    let envelope = Envelope::new(Some(from.parse().unwrap()), to).unwrap();
    let transport = SmtpTransport::builder_dangerous(host).port(port.parse().unwrap()).build();
    match transport.send_raw(&envelope, &message) {
        Ok(response) => {
            println!("{}", response.code());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
