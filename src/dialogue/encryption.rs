//! The client's end of TLS, for a server that is to be tried and not to be trusted.
//!
//! No certificate is verified: what is put to a server here is its protocol, and the usual one on
//! trial has a certificate of its own making (RFC 7435's opportunistic security). The signature of
//! the handshake must fit the certificate all the same, or it would be no handshake.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    SupportedProtocolVersion,
};

/// How a client encrypts its lines: TLS 1.2 or 1.3, whatever the certificate. Clones share the
/// tickets by which a later handshake is shorter.
#[derive(Clone, Debug)]
pub struct Encryption(Arc<ClientConfig>);

impl Encryption {
    /// A client that has met no server.
    ///
    /// # Errors
    /// The library of cryptography has none of the versions.
    pub fn new() -> Result<Self, String> {
        let config = trusting(rustls::ALL_VERSIONS);
        Ok(Self(Arc::new(config.map_err(|error| format!("cannot speak TLS: {error}"))?)))
    }

    /// One connection's. The name is asked for, unless it is none; an address never is (RFC 6066 3).
    pub(super) fn line(&self, name: &str, address: IpAddr) -> Result<Line, String> {
        let name = ServerName::try_from(name.to_owned())
            .unwrap_or_else(|_| ServerName::IpAddress(address.into()));
        let connection = ClientConnection::new(Arc::clone(&self.0), name);
        connection.map(|one| Line(Box::new(one))).map_err(|error| failed(&error))
    }
}

/// A client's configuration, for these versions and whatever the certificate.
///
/// # Errors
/// The library of cryptography has none of the versions.
pub fn trusting(versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Unverified(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

fn failed(error: &Error) -> String {
    format!("a handshake that fails ({error})")
}

/// The encrypted line of one connection, from the handshake on.
#[derive(Debug)]
pub(super) struct Line(Box<ClientConnection>);

impl Line {
    /// Whether the handshake is under way.
    pub(super) fn shakes_hands(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Opens what has come, as far as it is whole. Returns why nothing more comes, if so.
    pub(super) fn open(&mut self, mut sealed: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        while !sealed.is_empty() {
            let failed_before = self.shakes_hands();
            let read = self.0.read_tls(&mut sealed).map_err(|error| error.to_string())?;
            let state = self.0.process_new_packets().map_err(|error| {
                if failed_before { failed(&error) } else { format!("what is no TLS ({error})") }
            })?;
            // More than what is there would be an error of the reader's, and is none here.
            let length = state.plaintext_bytes_to_read();
            let begin = into.len();
            into.resize(begin + length, 0);
            let plain = into.get_mut(begin..).unwrap_or_default();
            self.0.reader().read_exact(plain).map_err(|error| error.to_string())?;
            if state.peer_has_closed() || read == 0 {
                return Err("a closed connection".to_owned());
            }
        }
        Ok(())
    }

    /// Sends that nothing more is sent.
    pub(super) fn close(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.0.send_close_notify();
        self.send(b"", stream)
    }

    /// Seals octets, and sends them behind what the handshake has to send.
    pub(super) fn send(&mut self, octets: &[u8], stream: &mut TcpStream) -> io::Result<()> {
        self.0.writer().write_all(octets)?;
        while self.0.wants_write() {
            self.0.write_tls(stream)?;
        }
        Ok(())
    }
}

/// Takes each certificate.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
