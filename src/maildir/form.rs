//! What a file looks like: the headers before the content, and the ends of its lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::smtp::envelope::{Envelope, Place};
use crate::smtp::path::{Domain, Syntax};

use super::{Format, name};

/// One file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub place: Place,
    /// The folder's name: the mailbox or the domain.
    pub folder: String,
    /// The recipients that this file names, and no others.
    pub recipients: Vec<String>,
    /// Their places in the envelope.
    pub numbers: Vec<usize>,
}

/// One file a mailbox, one a domain. None where a name fits no path component. Those in the queue's form
/// come first: the others can be made from them, but not they from the others.
pub(super) fn targets(envelope: &Envelope) -> Option<Vec<Target>> {
    let mut targets: BTreeMap<(bool, String), (Vec<String>, Vec<usize>)> = BTreeMap::new();
    for (number, recipient) in envelope.recipients.iter().enumerate() {
        let local = recipient.place == Place::Local;
        let folder =
            if local { name::mailbox(&recipient.mailbox.local) } else { name::domain(&recipient.mailbox.domain) };
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
        self.is_queue_form(format) || format == Format::MessageAsItCame
    }

    /// What stands before the content. `begin` is the content's begin.
    pub(super) fn headers(&self, envelope: &Envelope, time: u64, host: &str, format: Format, begin: &[u8]) -> String {
        let sender = envelope.sender.to_string();
        let sender = if sender.is_empty() { "<>".to_owned() } else { sender };
        let mut text = String::new();
        let queue = self.is_queue_form(format);
        if !queue {
            let _ = writeln!(text, "Return-Path: <{}>", envelope.sender);
            text += &self.received(envelope, time, host);
        }
        let _ = writeln!(
            text,
            "X-Postman-From: {sender}\nX-Postman-Date: {time}\nX-Postman-To: {}",
            self.recipients.join(",")
        );
        if queue {
            let Envelope { id, helo, client, with, .. } = envelope;
            let _ = writeln!(
                text,
                "X-Postman-Id: {id}\nX-Postman-Helo: {helo}\nX-Postman-Client: {client}\nX-Postman-With: {with}"
            );
        }
        if queue || !begins_with_header(begin) {
            text.push('\n');
        }
        if self.keeps_line_ends(format) { text.replace('\n', "\r\n") } else { text }
    }

    // Time-stamp-line = "Received:" FWS Stamp                              RFC 5321 4.4
    // Stamp           = From-domain By-domain Opt-info [CFWS] ";" FWS date-time
    // From-domain     = "FROM" FWS Extended-Domain
    // Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) / ( address-literal FWS "(" TCP-info ")" )
    // Opt-info        = [Via] [With] [ID] [For]
    fn received(&self, envelope: &Envelope, time: u64, host: &str) -> String {
        let client = Domain::Literal(envelope.client.to_canonical());
        let from = match Domain::parse(&envelope.helo, Syntax::Strict) {
            Ok(domain) => format!("{domain} ({client})"),
            // A name that is no domain stands in a comment, where it can end nothing.
            Err(_) => format!("{client} (helo={})", comment(&envelope.helo)),
        };
        let seconds = i64::try_from(time).unwrap_or(i64::MAX);
        let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc2822();
        // Only a lone recipient is named: nobody learns of another's.
        let with_for = match self.recipients.as_slice() {
            [one] => format!("\n\tfor <{one}>"),
            _ => String::new(),
        };
        format!(
            "Received: from {from}\n\tby {host} (Postman) via TCP with {} id {}{with_for};\n\t{date}\n",
            envelope.with, envelope.id
        )
    }
}

// comment = "(" *([FWS] ccontent) [FWS] ")"   ctext = %d33-39 / %d42-91 / %d93-126   RFC 5322 3.2.2
// What is no ctext is a quoted-pair.
fn comment(word: &str) -> String {
    let mut text = String::new();
    for sign in word.chars().filter(char::is_ascii_graphic) {
        if matches!(sign, '(' | ')' | '\\') {
            text.push('\\');
        }
        text.push(sign);
    }
    text
}

// field-name   = 1*ftext      ftext = %d33-57 / %d59-126                 RFC 5322 3.6.8
// obs-optional = field-name *WSP ":" unstructured CRLF                   RFC 5322 4.5.8
fn begins_with_header(content: &[u8]) -> bool {
    let name = content.iter().take_while(|octet| matches!(octet, 33..=57 | 59..=126)).count();
    let mut rest = content.iter().skip(name).skip_while(|octet| matches!(octet, b' ' | b'\t'));
    name > 0 && rest.next() == Some(&b':')
}

/// Turns CR LF into LF; a CR at the end waits for what follows.
#[derive(Clone, Debug, Default)]
pub(super) struct LineEnds {
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
    use crate::smtp::path::ReversePath;

    fn received(helo: &str, with: &'static str, recipients: &[&str]) -> String {
        let envelope = Envelope {
            id: "2a-1".to_owned(),
            sender: ReversePath(None),
            recipients: Vec::new(),
            helo: helo.to_owned(),
            client: "::ffff:192.0.2.7".parse().unwrap(),
            with,
        };
        let recipients = recipients.iter().map(|text| (*text).to_owned()).collect();
        let target = Target { place: Place::Local, folder: "b".to_owned(), recipients, numbers: Vec::new() };
        target.headers(&envelope, 1_608_416_175, "postman.local", Format::Message, b"")
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
    }

    /// HELO's word is any printable one: it cannot end its field, its comment or the date's begin.
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

    #[test]
    fn content_joins_the_headers_only_where_it_begins_with_one() {
        for content in [&b"Subject: x\r\n"[..], b"Subject \t : x\r\n"] {
            assert!(begins_with_header(content), "{content:?}");
        }
        for content in [&b""[..], b"\r\n", b" folded: x", b"\tx: y", b"no header", b":", b"From x: y", b"x "] {
            assert!(!begins_with_header(content), "{content:?}");
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
