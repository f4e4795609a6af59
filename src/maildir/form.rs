//! What a file looks like: the headers before the content, and the ends of its lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::smtp::envelope::{Envelope, Place};

use super::{Format, name};

/// One file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub place: Place,
    /// The folder's name: the mailbox or the domain.
    pub folder: String,
    /// The recipients that this file names, and no others.
    pub recipients: Vec<String>,
}

/// One file a mailbox, one a domain. None where a name fits no path component.
pub(super) fn targets(envelope: &Envelope) -> Option<Vec<Target>> {
    let mut targets: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
    for recipient in &envelope.recipients {
        let remote = recipient.place == Place::Remote;
        let folder =
            if remote { name::domain(&recipient.mailbox.domain) } else { name::mailbox(&recipient.mailbox.local) };
        targets.entry((remote, folder?)).or_default().push(recipient.mailbox.to_string());
    }
    let target = |((remote, folder), recipients)| Target {
        place: if remote { Place::Remote } else { Place::Local },
        folder,
        recipients,
    };
    Some(targets.into_iter().map(target).collect())
}

impl Target {
    /// Whether the file has the queue's form.
    pub(super) fn is_queue_form(&self, format: Format) -> bool {
        self.place == Place::Remote || format == Format::Envelope
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
        if queue { text.replace('\n', "\r\n") } else { text }
    }

    /// The trace field. RFC 5321 4.4.
    fn received(&self, envelope: &Envelope, time: u64, host: &str) -> String {
        let client = match envelope.client.to_canonical() {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let seconds = i64::try_from(time).unwrap_or(i64::MAX);
        let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc2822();
        // Only a lone recipient is named: nobody learns of another's.
        let with_for = match self.recipients.as_slice() {
            [one] => format!("\n\tfor <{one}>"),
            _ => String::new(),
        };
        format!(
            "Received: from {} ({client})\n\tby {host} (Postman) with {} id {}{with_for};\n\t{date}\n",
            envelope.helo, envelope.with, envelope.id
        )
    }
}

// field-name = 1*ftext      ftext = %d33-57 / %d59-126                   RFC 5322 3.6.8
fn begins_with_header(content: &[u8]) -> bool {
    let name = content.iter().take_while(|octet| matches!(octet, 33..=57 | 59..=126)).count();
    name > 0 && content.get(name) == Some(&b':')
}

/// Turns CR LF into LF; a CR at the end waits for what follows.
#[derive(Debug, Default)]
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

    #[test]
    fn content_joins_the_headers_only_where_it_begins_with_one() {
        assert!(begins_with_header(b"Subject: x\r\n"));
        for content in
            [&b""[..], b"\r\n", b" folded: x", b"\tx: y", b"no header", b":", b"From x", b"Subject : x", b"x"]
        {
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
