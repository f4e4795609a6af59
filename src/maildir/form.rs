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
mod tests;
