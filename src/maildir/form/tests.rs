use super::*;
use crate::smtp::envelope::Encryption;
use crate::smtp::path::{LocalPart, Mailbox, ReversePath};

fn received(helo: &str, with: &'static str, recipients: &[&str]) -> String {
    received_from(Some("::ffff:192.0.2.7".parse().unwrap()), helo, with, None, recipients)
}

fn received_from(
    client: Option<std::net::IpAddr>,
    helo: &str,
    with: &'static str,
    encryption: Option<Encryption>,
    recipients: &[&str],
) -> String {
    let envelope = Envelope {
        id: "2a-1".to_owned(),
        sender: ReversePath(None),
        recipients: Vec::new(),
        helo: helo.to_owned(),
        client,
        with,
        encryption,
    };
    let recipients = recipients.iter().map(|text| (*text).to_owned()).collect();
    let target =
        Target { place: Place::Local, folder: "b".to_owned(), recipients, numbers: Vec::new() };
    let head = target.head(
        &envelope,
        1_608_416_175,
        "postman.local",
        Format::Message,
        &Opening::default(),
    );
    String::from_utf8(head.text).unwrap()
}

#[test]
fn the_trace_fields_are_as_the_rfc_has_them() {
    assert_eq!(
        received("client.example", "ESMTP", &["b@postman.local"]),
        "Return-Path: <>\n\
         Received: from client.example ([192.0.2.7])\n\
         \tby postman.local (Postman) via TCP with ESMTP id 2a-1\n\
         \tfor <b@postman.local>;\n\
         \tSat, 19 Dec 2020 22:16:15 +0000\n\
         X-Postman-From: <>\nX-Postman-Date: 1608416175\nX-Postman-To: b@postman.local\n\n"
    );
    let two = received("[192.0.2.7]", "SMTP", &["b@x.org", "c@x.org"]);
    assert!(two.contains(
        "from [192.0.2.7] ([192.0.2.7])\n\tby postman.local (Postman) via TCP with SMTP id 2a-1;"
    ));
    let encryption = Encryption { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned() };
    for (helo, from) in [("x.org", "x.org (local)"), ("a_b", "localhost (local, helo=a_b)")] {
        let here = received_from(None, helo, "ESMTPS", Some(encryption.clone()), &["b@x.org"]);
        let expected = format!(
            "Received: from {from}\n\tby postman.local (Postman) with ESMTPS id 2a-1\n\tfor <b@x.org>\n\
             \ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);\n\tSat, 19 Dec 2020 22:16:15 +0000\n"
        );
        assert!(here.contains(&expected), "{here}");
    }
}

/// HELO's word is any printable one: it cannot end its field or its comment, nor begin the date.
#[test]
fn a_hostile_greeting_stays_inside_a_comment() {
    for (helo, shown) in [
        ("my_pc", "my_pc"),
        ("x)(;by", "x\\)\\(;by"),
        ("a\\", "a\\\\"),
        (";\tMon", ";Mon"),
        ("\"x", "\"x"),
        ("x\r\nBcc:y@x.org", "xBcc:y@x.org"),
    ] {
        let text = received(helo, "SMTP", &["b@x.org"]);
        let from = text.lines().nth(1).unwrap();
        assert_eq!(from, format!("Received: from [192.0.2.7] (helo={shown})"));
        assert_eq!(text.lines().count(), 9);
    }
}

fn envelope(helo: &str, sender: ReversePath) -> Envelope {
    let client = Some("2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap());
    let id = "0123456789abcdef-100000".to_owned();
    Envelope {
        id,
        sender,
        recipients: Vec::new(),
        helo: helo.to_owned(),
        client,
        with: "ESMTP",
        encryption: None,
    }
}

/// What a file of this content begins with after our other headers, line ends included.
fn begin(content: &[u8], format: Format) -> Vec<u8> {
    let place = Place::Local;
    let target = Target {
        place,
        folder: "b".to_owned(),
        recipients: vec!["b@x.org".to_owned()],
        numbers: vec![],
    };
    let opening = Opening::read(content, true).unwrap();
    let head = target.head(&envelope("x", ReversePath(None)), 0, "x.org", format, &opening);
    let last = if format == Format::Envelope {
        "X-Postman-With: ESMTP\r\n"
    } else {
        "X-Postman-To: b@x.org"
    };
    let place = memchr::memmem::find(&head.text, last.as_bytes()).unwrap() + last.len();
    let line_end =
        if format == Format::Envelope { 0 } else { 1 + usize::from(head.text[place] == b'\r') };
    [&head.text[place + line_end..], &content[head.replaced..]].concat()
}

#[test]
fn what_stands_before_the_header_hides_it_in_no_mailbox() {
    for (content, shown) in [
        (&b"Subject: x\r\n"[..], &b"Subject: x\r\n"[..]),
        (b"\xef\xbb\xbfSubject: x\r\n", b"Subject: x\r\n"),
        (b"From a  b\t\r\nSubject: x\r\n", b"X-Mailbox-Line: From a  b\t\nSubject: x\r\n"),
        (b">From a\nSubject: x\r\n", b"X-Mailbox-Line: >From a\nSubject: x\r\n"),
        (
            b"\xef\xbb\xbfFrom a\r\n\xef\xbb\xbf>From \xc3\xbc\r\nx:\r\n\xef\xbb\xbf",
            b"X-Mailbox-Line: From a\nX-Mailbox-Line: >From \xc3\xbc\nx:\r\n\xef\xbb\xbf",
        ),
        (b"", b"\n"),
        (b"\r\nx: y", b"\n\r\nx: y"),
        (b"\xef\xbb\xbfbody", b"\nbody"),
        (b"From a\r\nbody", b"\nFrom a\r\nbody"),
        (b"\xef\xbb\xbfFrom a\r\n\xef\xbb\xbfbody", b"\nFrom a\r\n\xef\xbb\xbfbody"),
    ] {
        let text = begin(content, Format::Message);
        assert_eq!(text, shown, "{content:?}: {:?}", String::from_utf8_lossy(&text));
        assert_eq!(
            begin(content, Format::Envelope),
            [b"\r\n", content].concat(),
            "the queue's form: {content:?}"
        );
    }
}

/// `bare_newline: Keep` promises each octet of the content, so that nothing of it is left out
/// or changed.
#[test]
fn content_that_stays_as_it_came_does() {
    for (content, before) in [
        (&b"Subject: x\r\n"[..], &b""[..]),
        (b"From a\r\nSubject: x\r\n", b"X-Mailbox-Line: "),
        (b"From a\rb\nSubject: x\r\n", b"X-Mailbox-Line: "),
        (b"From a\r\nFrom b\r\nSubject: x\r\n", b"\r\n"),
        (b"From a\r\n\xef\xbb\xbfSubject: x\r\n", b"\r\n"),
        (b"\xef\xbb\xbfSubject: x\r\n", b"\r\n"),
        (b"\xef\xbb\xbfbody\r\n", b"\r\n"),
        (b"", b"\r\n"),
    ] {
        assert_eq!(
            begin(content, Format::MessageAsItCame),
            [before, content].concat(),
            "{content:?}"
        );
    }
    let long = [b"From ", &[b'x'; 990][..], b"\r\nSubject: x\r\n"].concat();
    assert!(begin(&long, Format::MessageAsItCame).starts_with(b"X-Mailbox-Line:\r\n From x"));
}

/// A test compares what its program has sent, whatever it begins with.
#[test]
fn content_alone_is_all_of_its_file() {
    for content in [&b"Subject: x\r\n"[..], b"", b"\xef\xbb\xbfSubject: x\r\n", b"From a\r\nbody"] {
        let place = Place::Local;
        let recipients = vec!["b@x.org".to_owned()];
        let target = Target { place, folder: "b".to_owned(), recipients, numbers: vec![] };
        let opening = Opening::read(content, true).unwrap();
        let envelope = envelope("x", ReversePath(None));
        let head = target.head(&envelope, 0, "x.org", Format::ContentAlone, &opening);
        assert_eq!(head, Head { text: Vec::new(), replaced: 0 }, "{content:?}");
        assert!(target.keeps_line_ends(Format::ContentAlone));
        let queued = Target { place: Place::Remote, ..target };
        assert!(
            !queued.head(&envelope, 0, "x.org", Format::ContentAlone, &opening).text.is_empty()
        );
    }
}

#[test]
fn a_long_mbox_line_is_folded_where_a_reader_unfolds_it() {
    for filling in ["x".repeat(4000), "word ".repeat(800), "\u{fc}".repeat(2000), " ".repeat(2000)]
    {
        let content = format!("From {filling}\r\nSubject: x\r\n");
        let text = String::from_utf8(begin(content.as_bytes(), Format::Message)).unwrap();
        assert!(text.lines().all(|line| line.len() <= LINE_BYTES_MAX), "{text}");
        let (field, rest) = text.split_once("\nSubject:").unwrap();
        assert!(
            rest.starts_with(" x") && field.lines().skip(1).all(|line| line.starts_with(' ')),
            "{text}"
        );
        let without_blanks = |text: &str| text.replace([' ', '\n'], "");
        assert_eq!(
            without_blanks(field),
            without_blanks(&format!("X-Mailbox-Line: From {filling}"))
        );
    }
}

/// The longest of everything that is taken, in each form: RFC 5322 2.1.1.
#[test]
fn no_line_is_longer_than_998_octets() {
    let address =
        |local: &str, length: usize| format!("{local}@{}", "d".repeat(length - local.len() - 1));
    let mut recipients: Vec<String> =
        (0..1000).map(|number| format!("recipient-{number}@other.server")).collect();
    recipients.extend((0..20).map(|number| address(&format!("\"a,b {number},\""), 900 - number)));
    let longest = Mailbox { local: LocalPart::postmaster(), domain: Domain::Name("d".repeat(889)) };
    for helo in [
        "h".repeat(2000),
        "(".repeat(2000),
        format!("{}.example", "h".repeat(247)),
        "\u{fc}x".to_owned(),
    ] {
        let envelope = envelope(&helo, ReversePath(Some(longest.clone())));
        for recipients in [recipients.clone(), vec![address("b", 900)], vec![address("b", 900); 2]]
        {
            for format in [Format::Message, Format::MessageAsItCame, Format::Envelope] {
                let (place, recipients) = (Place::Local, recipients.clone());
                let target =
                    Target { place, folder: "b".to_owned(), recipients, numbers: Vec::new() };
                let head = target.head(&envelope, 0, &"d".repeat(900), format, &Opening::default());
                let text = String::from_utf8(head.text).unwrap();
                let longest = text.lines().max_by_key(|line| line.len()).unwrap();
                assert!(longest.len() <= LINE_BYTES_MAX, "{} octets: {longest}", longest.len());
                assert!(
                    text.lines().all(|line| !line.trim().is_empty() || line.is_empty()),
                    "{text}"
                );
                let unfolded = text.replace("\r\n", "\n").replace(",\n ", ",");
                let line =
                    unfolded.lines().find_map(|line| line.strip_prefix("X-Postman-To: ")).unwrap();
                assert_eq!(line, target.recipients.join(","));
            }
        }
    }
}

#[test]
fn a_list_of_addresses_is_folded_only_where_it_must_be() {
    let list = |lengths: &[usize]| {
        let addresses: Vec<String> = lengths.iter().map(|length| "a".repeat(*length)).collect();
        address_list("To: ", &addresses).lines().map(str::len).collect::<Vec<_>>()
    };
    assert_eq!(list(&[400, 593]), [998]);
    assert_eq!(list(&[400, 594]), [405, 595]);
    assert_eq!(list(&[400, 592, 1]), [998, 2]);
    assert_eq!(list(&[900, 96, 900]), [905, 998]);
    assert_eq!(list(&[900, 97, 900]), [905, 99, 901]);
}

#[test]
fn a_long_greeting_is_cut() {
    for (helo, length) in
        [("h".repeat(255), 255), ("h".repeat(256), 255), (format!("{}-h", "h".repeat(254)), 255)]
    {
        let envelope = envelope(&helo, ReversePath(None));
        let (place, recipients) = (Place::Remote, vec!["b@x.org".to_owned()]);
        let target = Target { place, folder: "x.org".to_owned(), recipients, numbers: Vec::new() };
        let head = target.head(&envelope, 0, "x.org", Format::Message, &Opening::default());
        let text = String::from_utf8(head.text).unwrap();
        let written = text.lines().find_map(|line| line.strip_prefix("X-Postman-Helo: ")).unwrap();
        assert!(helo.starts_with(written) && written.len() == length, "{text}");
    }
}

#[test]
fn line_ends_become_lf_however_the_content_is_cut() {
    let content = b"a\r\n\r\r\nb\rc\nd\r";
    for cut in 0..=content.len() {
        let (mut ends, mut out) = (LineEnds::default(), Vec::new());
        ends.convert(&content[..cut], &mut out);
        ends.convert(&content[cut..], &mut out);
        ends.finish(&mut out);
        assert_eq!(out, b"a\n\r\nb\rc\nd\r", "cut at {cut}");
    }
}
