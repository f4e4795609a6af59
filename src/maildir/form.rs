//! What a file looks like: the headers before the content, and the ends of its lines.
//! `docs/mailbox.md` is its manual.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::smtp::envelope::{Envelope, Place};
use crate::smtp::path::{Domain, Syntax};

use super::opening::Opening;
use super::{Format, Naming, name};

/// The longest line that we write, without its line end, in octets. RFC 5322 2.1.1.
const LINE_BYTES_MAX: usize = 998;
/// The most octets of HELO's word that we write.
const HELO_BYTES_MAX: usize = 255;
/// What becomes of an mbox's separating line is a field of this name, as Postfix has it.
const MBOX_FIELD: &str = "X-Mailbox-Line:";

/// What a file begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The octets before the content.
    pub text: Vec<u8>,
    /// The octets at the start of the content that it replaces.
    pub replaced: usize,
}

/// One file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether it is a mailbox or the queue of a domain.
    pub place: Place,
    /// The folder's name: the mailbox or the domain.
    pub folder: String,
    /// The recipients that this file names, and no others.
    pub recipients: Vec<String>,
    /// Their places in the envelope.
    pub numbers: Vec<usize>,
}

/// One file for each mailbox and each domain. Returns `None` if a name fits no path component.
/// Those in the queue's form come first: the others can be made from them, but not they from the
/// others.
pub(super) fn targets(envelope: &Envelope, naming: Naming) -> Option<Vec<Target>> {
    let mut targets: BTreeMap<(bool, String), (Vec<String>, Vec<usize>)> = BTreeMap::new();
    for (number, recipient) in envelope.recipients.iter().enumerate() {
        let local = recipient.place == Place::Local;
        let folder = if local {
            name::mailbox(&recipient.mailbox, naming)
        } else {
            name::domain(&recipient.mailbox.domain)
        };
        let (recipients, numbers) = targets.entry((local, folder?)).or_default();
        recipients.push(recipient.mailbox.to_string());
        numbers.push(number);
    }
    let target = |((local, folder), (recipients, numbers))| Target {
        place: if local { Place::Local } else { Place::Remote },
        folder,
        recipients,
        numbers,
    };
    Some(targets.into_iter().map(target).collect())
}

impl Target {
    /// Whether the file has the queue's form.
    pub(super) fn is_queue_form(&self, format: Format) -> bool {
        self.place == Place::Remote || format == Format::Envelope
    }

    /// Whether lines end in CR LF, as they came.
    pub(super) fn keeps_line_ends(&self, format: Format) -> bool {
        self.is_queue_form(format)
            || matches!(format, Format::MessageAsItCame | Format::ContentAlone)
    }

    /// What is before the content, which starts with `opening`.
    pub(super) fn head(
        &self,
        envelope: &Envelope,
        time: u64,
        host: &str,
        format: Format,
        opening: &Opening,
    ) -> Head {
        let queue = self.is_queue_form(format);
        if !queue && format == Format::ContentAlone {
            return Head { text: Vec::new(), replaced: 0 };
        }
        let sender = envelope.sender.to_string();
        let sender = if sender.is_empty() { "<>".to_owned() } else { sender };
        let mut text = String::new();
        if !queue {
            let _ = writeln!(text, "Return-Path: <{}>", envelope.sender);
            text += &self.received(envelope, time, host);
        }
        let _ = writeln!(text, "X-Postman-From: {sender}\nX-Postman-Date: {time}");
        text += &address_list("X-Postman-To: ", &self.recipients);
        if queue {
            let Envelope { id, with, .. } = envelope;
            let (helo, client) = (helo(envelope), client(envelope));
            let _ = writeln!(
                text,
                "X-Postman-Id: {id}\nX-Postman-Helo: {helo}\nX-Postman-Client: {client}\nX-Postman-With: {with}"
            );
        }
        let text = if self.keeps_line_ends(format) { text.replace('\n', "\r\n") } else { text };
        let mut head = Head { text: text.into_bytes(), replaced: 0 };
        if queue {
            head.text.extend_from_slice(b"\r\n");
        } else if format == Format::MessageAsItCame {
            head.join_as_it_came(opening);
        } else {
            head.join(opening);
        }
        head
    }

    // Time-stamp-line = "Received:" FWS Stamp                              RFC 5321 4.4
    // Stamp           = From-domain By-domain Opt-info [CFWS] ";" FWS date-time
    // From-domain     = "FROM" FWS Extended-Domain
    // Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) /
    //                   ( address-literal FWS "(" TCP-info ")" )
    // Opt-info        = [Via] [With] [ID] [For] [Additional-Registered-Clauses]
    // tls             = "tls" FWS tls-cipher                               RFC 8314 4.3
    fn received(&self, envelope: &Envelope, time: u64, host: &str) -> String {
        let address = envelope.client.map(|address| Domain::Literal(address.to_canonical()));
        let helo = helo(envelope);
        // A name that is not a domain is put into a comment, where it can end nothing.
        let from = match (Domain::parse(&helo, Syntax::Strict), address) {
            (Ok(domain), Some(address)) => format!("{domain} ({address})"),
            (Err(_), Some(address)) => format!("{address} (helo={})", comment(&helo)),
            (Ok(domain), None) => format!("{domain} (local)"),
            (Err(_), None) => format!("localhost (local, helo={})", comment(&helo)),
        };
        let via = if envelope.client.is_some() { " via TCP" } else { "" };
        let seconds = i64::try_from(time).unwrap_or(i64::MAX);
        let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc2822();
        // Only a lone recipient is named: no recipient learns of another one.
        let with_for = match self.recipients.as_slice() {
            [one] => format!("\n\tfor <{one}>"),
            _ => String::new(),
        };
        let tls = envelope.encryption.as_ref().map_or_else(String::new, |encryption| {
            format!("\n\ttls {} ({})", encryption.cipher, encryption.version)
        });
        format!(
            "Received: from {from}\n\tby {host} (Postman){via} with {} id {}{with_for}{tls};\n\t{date}\n",
            envelope.with, envelope.id
        )
    }
}

impl Head {
    /// Lets content follow in a mailbox: its header joins ours, and a body follows an empty line.
    fn join(&mut self, opening: &Opening) {
        let Some(header) = opening.header else {
            self.text.push(b'\n');
            self.replaced = opening.marks;
            return;
        };
        for line in &opening.mbox_lines {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            fold(&[MBOX_FIELD.as_bytes(), b" ", line].concat(), &mut self.text);
        }
        self.replaced = header;
    }

    /// The same where each octet of the content stays as it came: the one thing that we can do for
    /// a reader is to put the name of a field before an mbox line that is the first.
    fn join_as_it_came(&mut self, opening: &Opening) {
        let first = opening.mbox_lines.first().map_or(0, Vec::len);
        if opening.header != Some(first) {
            self.text.extend_from_slice(b"\r\n");
        } else if first > 0 {
            let is_long = MBOX_FIELD.len() + first > LINE_BYTES_MAX;
            self.text.extend_from_slice(MBOX_FIELD.as_bytes());
            self.text.extend_from_slice(if is_long { b"\r\n " } else { b" " });
        }
    }
}

/// The client as the queue's form names it.
fn client(envelope: &Envelope) -> String {
    envelope.client.map_or_else(|| "local".to_owned(), |address| address.to_string())
}

/// A field that lists addresses, folded after commas where it would be too long. An address is at
/// most 900 octets long, so one fits into each line.
fn address_list(name: &str, addresses: &[String]) -> String {
    let (mut text, mut line) = (name.to_owned(), name.len());
    for (number, address) in addresses.iter().enumerate() {
        let comma = usize::from(number + 1 < addresses.len());
        if number > 0 && line + address.len() + comma > LINE_BYTES_MAX {
            text += "\n ";
            line = 1;
        }
        text += address;
        text += if comma > 0 { "," } else { "\n" };
        line += address.len() + comma;
    }
    text
}

// FWS = ([*WSP CRLF] 1*WSP)                                              RFC 5322 3.2.2
/// Writes a field of any octets in lines that are not too long: folded before a blank where there
/// is one, else anywhere but within a character of UTF-8.
fn fold(field: &[u8], out: &mut Vec<u8>) {
    let mut rest = field;
    let mut indent = 0;
    while rest.len() + indent > LINE_BYTES_MAX {
        let most = LINE_BYTES_MAX - indent;
        let piece = rest.get(..=most).unwrap_or(rest);
        let blank = piece
            .iter()
            .rposition(|octet| matches!(octet, b' ' | b'\t'))
            .filter(|place| *place > 0);
        let whole =
            || piece.iter().rposition(|octet| octet & 0xc0 != 0x80).filter(|place| *place > 0);
        let (line, left) = rest.split_at(blank.or_else(whole).unwrap_or(most));
        out.extend_from_slice(line);
        out.push(b'\n');
        indent = usize::from(blank.is_none());
        out.extend(std::iter::repeat_n(b' ', indent));
        rest = left;
    }
    out.extend_from_slice(rest);
    out.push(b'\n');
}

/// HELO's word as we write it: printable ASCII, and not too long for a line.
fn helo(envelope: &Envelope) -> String {
    envelope.helo.chars().filter(char::is_ascii_graphic).take(HELO_BYTES_MAX).collect()
}

// comment = "(" *([FWS] ccontent) [FWS] ")"   ctext = %d33-39 / %d42-91 / %d93-126   RFC 5322 3.2.2
// A character that is not ctext is a quoted-pair.
fn comment(word: &str) -> String {
    let mut text = String::new();
    for char in word.chars() {
        if matches!(char, '(' | ')' | '\\') {
            text.push('\\');
        }
        text.push(char);
    }
    text
}

/// Turns CR LF into LF; a CR at the end waits for what follows.
#[derive(Clone, Debug, Default)]
pub(super) struct LineEnds {
    /// Whether a CR waits for the next octet.
    held: bool,
}

impl LineEnds {
    pub(super) fn convert(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let mut rest = content;
        if self.held && !rest.is_empty() {
            self.held = false;
            if rest.first() != Some(&b'\n') {
                out.push(b'\r');
            }
        }
        while let Some(place) = memchr::memchr(b'\r', rest) {
            let (before, behind) = rest.split_at(place);
            out.extend_from_slice(before);
            match behind.get(1) {
                Some(b'\n') => {}
                Some(_) => out.push(b'\r'),
                None => self.held = true,
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert!(
            two.contains("from [192.0.2.7] ([192.0.2.7])\n\tby postman.local (Postman) via TCP with SMTP id 2a-1;")
        );
        let encryption =
            Encryption { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned() };
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
        for content in
            [&b"Subject: x\r\n"[..], b"", b"\xef\xbb\xbfSubject: x\r\n", b"From a\r\nbody"]
        {
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
        for filling in
            ["x".repeat(4000), "word ".repeat(800), "\u{fc}".repeat(2000), " ".repeat(2000)]
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
        let address = |local: &str, length: usize| {
            format!("{local}@{}", "d".repeat(length - local.len() - 1))
        };
        let mut recipients: Vec<String> =
            (0..1000).map(|number| format!("recipient-{number}@other.server")).collect();
        recipients
            .extend((0..20).map(|number| address(&format!("\"a,b {number},\""), 900 - number)));
        let longest =
            Mailbox { local: LocalPart::postmaster(), domain: Domain::Name("d".repeat(889)) };
        for helo in [
            "h".repeat(2000),
            "(".repeat(2000),
            format!("{}.example", "h".repeat(247)),
            "\u{fc}x".to_owned(),
        ] {
            let envelope = envelope(&helo, ReversePath(Some(longest.clone())));
            for recipients in
                [recipients.clone(), vec![address("b", 900)], vec![address("b", 900); 2]]
            {
                for format in [Format::Message, Format::MessageAsItCame, Format::Envelope] {
                    let (place, recipients) = (Place::Local, recipients.clone());
                    let target =
                        Target { place, folder: "b".to_owned(), recipients, numbers: Vec::new() };
                    let head =
                        target.head(&envelope, 0, &"d".repeat(900), format, &Opening::default());
                    let text = String::from_utf8(head.text).unwrap();
                    let longest = text.lines().max_by_key(|line| line.len()).unwrap();
                    assert!(longest.len() <= LINE_BYTES_MAX, "{} octets: {longest}", longest.len());
                    assert!(
                        text.lines().all(|line| !line.trim().is_empty() || line.is_empty()),
                        "{text}"
                    );
                    let unfolded = text.replace("\r\n", "\n").replace(",\n ", ",");
                    let line = unfolded
                        .lines()
                        .find_map(|line| line.strip_prefix("X-Postman-To: "))
                        .unwrap();
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
        for (helo, length) in [
            ("h".repeat(255), 255),
            ("h".repeat(256), 255),
            (format!("{}-h", "h".repeat(254)), 255),
        ] {
            let envelope = envelope(&helo, ReversePath(None));
            let (place, recipients) = (Place::Remote, vec!["b@x.org".to_owned()]);
            let target =
                Target { place, folder: "x.org".to_owned(), recipients, numbers: Vec::new() };
            let head = target.head(&envelope, 0, "x.org", Format::Message, &Opening::default());
            let text = String::from_utf8(head.text).unwrap();
            let written =
                text.lines().find_map(|line| line.strip_prefix("X-Postman-Helo: ")).unwrap();
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
}
