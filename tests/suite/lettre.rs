//! Mail from Rust programs: the crate `lettre` sends what the other real programs send.

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};

use crate::rig::{Server, fields};
use crate::secure::Keys;

const HEAD: &str = "From: a@example.org\r\nTo: b@postman.local\r\nSubject: from lettre\r\n\r\n";

#[test]
fn what_lettre_sends_arrives_octet_by_octet() {
    let server = Server::start("()");
    let transport =
        SmtpTransport::builder_dangerous("127.0.0.1").port(server.address.port()).build();
    let attachment =
        "VGhpcyBpcyBub3QgdGhlIHdvcmxkJ3MgbW9zdCBzdXJwcmlzaW5nIGF0dGFjaG1lbnQuISEhISE=\r\n"
            .repeat(10 << 20 >> 6);
    let cases = [
        ("plain", "A plain message.\r\n\r\nWith an empty line.\r\n", 1),
        ("attachment", attachment.as_str(), 1),
        ("8bit", "Gr\u{fc}\u{df}e, \u{4f60}\u{597d}\r\n", 1),
        ("dots", ".\r\n..\r\n...\r\n.a dot\r\n\r\n..two dots\r\n.\r\n", 1),
        ("many", "One to many.\r\n", 100),
    ];
    for (name, body, boxes) in cases {
        let addresses: Vec<Address> = (0..boxes)
            .map(|number| format!("{name}-{number}@postman.local").parse().unwrap())
            .collect();
        let envelope = Envelope::new(Some("a@example.org".parse().unwrap()), addresses).unwrap();
        let message = format!("{HEAD}{body}");
        // lettre ends what it sends with a line end of its own.
        transport.send_raw(&envelope, message.trim_end_matches("\r\n").as_bytes()).unwrap();
        for number in 0..boxes {
            let files = server.files(&format!("{name}-{number}/new"));
            assert_eq!(files.len(), 1, "{name}-{number}");
            let ours = format!("X-Postman-To: {name}-{number}@postman.local\n");
            let expected = ours + &message.replace("\r\n", "\n");
            assert!(files[0].ends_with(expected.as_bytes()), "{name}-{number} differs");
        }
    }
}

/// What verifies the server by one certificate, and by no other.
fn trusting(keys: &Keys, name: &str) -> TlsParameters {
    let pem = std::fs::read(keys.path(&format!("{name}.pem"))).unwrap();
    TlsParameters::builder("mail.example.org".to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&pem).unwrap())
        .build()
        .unwrap()
}

#[test]
fn lettre_sends_over_tls_and_to_no_server_that_it_does_not_know() {
    let keys = Keys::new();
    keys.put("other", &["mail.example.org"]);
    let server = Server::start_listening(&format!(
        "(listeners: [(address: \"127.0.0.1:0\"), (address: \"127.0.0.1:0\", tls: FirstOctet)], {})",
        keys.ron(&["a"])
    ));
    let addresses = vec!["user@postman.local".parse().unwrap()];
    let envelope = Envelope::new(Some("a@example.org".parse().unwrap()), addresses).unwrap();
    let kinds: [fn(TlsParameters) -> Tls; 2] = [Tls::Required, Tls::Wrapper];
    for (number, (address, tls)) in server.addresses.iter().zip(kinds).enumerate() {
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        let send = |name| {
            SmtpTransport::builder_dangerous("127.0.0.1")
                .port(port)
                .tls(tls(trusting(&keys, name)))
                .build()
                .send_raw(&envelope, format!("{HEAD}Over TLS.").as_bytes())
        };
        assert!(send("other").is_err());
        assert_eq!(server.files("user/new").len(), number);
        send("a").unwrap();
    }
    let files = server.files("user/new");
    assert_eq!(files.len(), 2);
    for file in files {
        let trace = fields(&file).value("Received").unwrap().to_owned();
        assert!(trace.contains(" with ESMTPS id ") && trace.contains("(TLSv1.3)"), "{trace}");
    }
}
