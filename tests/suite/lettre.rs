//! Mail from Rust programs: the crate `lettre` sends what the other real programs send.

use lettre::address::{Address, Envelope};
use lettre::{SmtpTransport, Transport as _};

use crate::rig::Server;

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
