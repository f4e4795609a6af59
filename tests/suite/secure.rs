//! A client of TLS made of rustls, and certificates for its server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use postman::dialogue::trusting;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::rig::{Server, Talk};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate for these names, and its key, both PEM, valid from and until this year.
pub(crate) fn pair(names: &[&str], years: (i32, i32)) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A folder with certificates.
pub(crate) struct Keys(pub(crate) TempDir);

impl Keys {
    /// One certificate, for `mail.example.org`.
    pub(crate) fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        keys.put("a", &["mail.example.org"]);
        keys
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `NAME.pem` and `NAME.key`, for these names.
    pub(crate) fn put(&self, name: &str, names: &[&str]) {
        let (chain, key) = pair(names, (2020, 2120));
        fs::write(self.path(&format!("{name}.pem")), chain).unwrap();
        fs::write(self.path(&format!("{name}.key")), key).unwrap();
    }

    /// The key `certificates` of a configuration, with these.
    pub(crate) fn ron(&self, names: &[&str]) -> String {
        let one = |name: &&str| {
            let [chain, key] = ["pem", "key"].map(|end| self.path(&format!("{name}.{end}")));
            format!("(chain: \"{}\", key: \"{}\")", chain.display(), key.display())
        };
        format!("certificates: [{}]", names.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    /// A server with the first of them, on one port.
    pub(crate) fn serve(&self, more: &str) -> Server {
        Server::start(&format!("({}, {more})", self.ron(&["a"])))
    }
}

/// A client's configuration, for this version alone.
pub(crate) fn client_config(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(trusting(&[version]).unwrap())
}

/// A client's end of TLS, which asks for this name; an address asks for none.
pub(crate) fn client(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

/// A client with an encrypted line.
pub(crate) type Secure<S = TcpStream> = Talk<StreamOwned<ClientConnection, S>>;

impl<S: Read + Write> Secure<S> {
    /// Shakes hands.
    pub(crate) fn over(stream: S, tls: ClientConnection) -> Self {
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        Self::new(stream)
    }

    /// Sends one message to user@postman.local.
    pub(crate) fn deliver(&mut self) {
        self.say("EHLO x", "250");
        self.say("MAIL FROM:<a@x.org>", "250");
        self.say("RCPT TO:<user@postman.local>", "250");
        self.say("DATA", "354");
        self.say("Subject: x\r\n\r\nx\r\n.", "250");
    }

    pub(crate) fn tls(&self) -> &ClientConnection {
        &self.reader.get_ref().conn
    }

    pub(crate) fn tls_stream(&mut self) -> &mut StreamOwned<ClientConnection, S> {
        self.reader.get_mut()
    }

    /// The server's own certificate.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.tls().peer_certificates().unwrap()[0].to_vec()
    }
}

/// A client that has said STARTTLS and heard 220.
pub(crate) fn started(server: &Server) -> Talk {
    let mut talk = server.connect();
    talk.say("EHLO x", "250");
    talk.say("STARTTLS", "220");
    talk
}

/// A client with an encrypted line after STARTTLS, which asks for this name.
pub(crate) fn start_tls(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Secure {
    Secure::over(started(server).into_stream(), client(config, name))
}

/// The certificate of a file, as the server shows it.
pub(crate) fn der(pem: &std::path::Path) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_file(pem).unwrap().to_vec()
}
