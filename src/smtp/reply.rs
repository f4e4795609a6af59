//! Every reply that is not written in the definition, on one screen. RFC 5321 4.2, RFC 3463.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::framer::BareNewline;
use super::path::{ADDRESS_BYTES_MAX, PathError};
use super::session::{NoUser, Refusal};

/// The longest reply line, CR LF included, in octets. RFC 5321 4.5.3.1.5.
const LINE_BYTES_MAX: usize = 512;

/// An answer to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The enhanced status code, or "". RFC 2034 has none on a greeting, HELO, EHLO and 3xx.
    pub enhanced: &'static str,
    /// The words, one entry a line; never empty.
    pub lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A reply of one line.
    #[must_use]
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced, lines: vec![text.into()] }
    }

    /// Writes it as it goes to the client; `enhanced` says whether to show the enhanced code.
    pub fn write(&self, out: &mut Vec<u8>, enhanced: bool) {
        for (place, line) in self.lines.iter().enumerate() {
            let mut text = String::new();
            let separator = if place + 1 == self.lines.len() { ' ' } else { '-' };
            let shown = if enhanced && !self.enhanced.is_empty() { self.enhanced } else { "" };
            let gap = if shown.is_empty() || line.is_empty() { "" } else { " " };
            let _ = write!(text, "{}{separator}{shown}{gap}{line}", self.code);
            // Words from a client are parsed and bounded; this bounds all others.
            text.retain(|char| matches!(char, ' '..='~'));
            text.truncate(LINE_BYTES_MAX - 2);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

macro_rules! replies {
    ($( $(#[$doc:meta])* $name:ident = $code:literal $enhanced:literal $text:literal; )*) => {
        $( $(#[$doc])* #[must_use] pub fn $name() -> Reply { Reply::new($code, $enhanced, $text) } )*
    };
}

replies! {
    /// The server is full.
    too_many_connections = 421 "4.3.2" "Too many connections, try again later";
    /// The server stops.
    stopping = 421 "4.3.2" "Service closing, try again later";
    /// The client was silent for too long, or a command or a message took too long.
    silent = 421 "4.4.2" "Waited for too long, closing";
    /// The client made too many errors in a row.
    too_many_errors = 421 "4.7.0" "Too many errors, closing";
    /// The client gave more commands than a session may have.
    too_many_commands = 421 "4.7.0" "Too many commands in one session, come again";
    /// A panic, which is our fault.
    broken = 421 "4.3.0" "Something is broken here, try again later";
    /// A web client, with or without TLS.
    not_http = 421 "4.7.0" "This is SMTP, closing";
    /// A proxy that names another client's address: that of the connection would be taken for it.
    not_proxy = 421 "4.7.0" "The PROXY protocol is not expected here, closing";
    /// Octets in the clear after STARTTLS: they may be another's, put in before the client's own.
    clear_after_start_tls = 421 "4.7.0" "Nothing may follow STARTTLS before the handshake, closing";
    /// Too many handshakes are under way, or no certificate can be used. RFC 3207 4.
    no_handshake_now = 454 "4.7.0" "TLS is not available now, try again later";
    /// Below the reserve of free space, or over quota.
    store_full = 452 "4.3.1" "Out of space, try again later";
    /// Too many messages wait for the disk.
    store_busy = 452 "4.3.2" "Busy, try again later";
    /// The disk failed.
    store_broken = 451 "4.3.0" "The message was not stored, try again later";
    /// More recipients than the limit.
    too_many_recipients = 452 "4.5.3" "Too many recipients, send these and come again";
    /// More recipients than a session may have.
    too_many_recipients_in_all = 452 "4.5.3" "Too many recipients in one session, come again";
    /// A client that is not served at all.
    no_service = 554 "" "No SMTP service for you here";
    /// Anything but QUIT after that.
    only_quit = 503 "5.5.1" "No service for you here; expected QUIT";
    /// No such verb.
    unknown_command = 500 "5.5.1" "Command unknown, try HELP";
    /// Octets that no command has.
    not_text = 500 "5.5.2" "Commands are printable ASCII";
    /// The line ended in a bare LF.
    bare_lf = 500 "5.5.2" "Lines end in CR LF (nc -C sends them)";
    /// The line was over the limit.
    line_too_long = 500 "5.5.2" "Line too long";
    /// An address against the grammar.
    bad_sender = 501 "5.1.7" "Bad sender address, expected <user@domain> or <>";
    /// An address against the grammar.
    bad_recipient = 501 "5.1.3" "Bad recipient address, expected <user@domain>";
    /// A general address literal as a destination.
    no_route = 553 "5.1.2" "No route to address literals of this kind";
    /// A host name against the grammar.
    bad_domain = 501 "5.5.4" "Expected a domain or an address literal";
    /// A parameter whose value is wrong, or given twice.
    bad_parameter = 501 "5.5.4" "Bad or repeated parameter";
    /// A parameter that was not offered.
    unknown_parameter = 555 "5.5.4" "Parameter not supported";
    /// Over the size limit, announced or sent.
    too_big = 552 "5.3.4" "Message too big";
    /// A header block over its limit.
    header_too_big = 552 "5.3.4" "Message header too big";
    /// Nobody of this name.
    no_such_user = 550 "5.1.1" "No such user here";
    /// A mailbox that no folder can be named after.
    mailbox_name_too_long = 553 "5.1.1" "Mailbox name too long, at most 255 octets with its escapes";
    /// A domain for another server that is longer than any name in DNS.
    domain_too_long = 553 "5.1.2" "Domain too long, at most 255 octets";
    /// Mail for other servers, from a client that may not relay.
    no_relaying = 550 "5.7.1" "Relaying denied";
    /// Too many Received: fields.
    mail_loop = 554 "5.4.6" "Too many Received: fields, this is a loop";
}

/// 501 for an invalid path: `usual` if it is against the grammar, else the limit that it exceeds.
/// RFC 5321 4.5.3.1.10.
#[must_use]
pub fn bad_path(error: PathError, usual: Reply) -> Reply {
    match error {
        PathError::Syntax => usual,
        PathError::AddressTooLong => {
            let text = format!("Address too long, at most {ADDRESS_BYTES_MAX} octets");
            Reply::new(usual.code, usual.enhanced, text)
        }
    }
}

/// Why the store takes no message now.
#[must_use]
pub fn store_refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Full => store_full(),
        Refusal::Busy => store_busy(),
        Refusal::Broken => store_broken(),
    }
}

/// Why no mail is taken for a user.
#[must_use]
pub fn no_user(reason: NoUser) -> Reply {
    match reason {
        NoUser::Unknown => no_such_user(),
        NoUser::NameTooLong => mailbox_name_too_long(),
        NoUser::Unavailable(refusal) => store_refusal(refusal),
    }
}

/// 550 for a CR or an LF alone in the content, with its place, since users look for it by this
/// reply.
#[must_use]
pub fn bare_newline(bare: BareNewline) -> Reply {
    let BareNewline { name, line, octet } = bare;
    Reply::new(
        550,
        "5.6.11",
        format!("Bare {name} in line {line}, at octet {octet}; lines end in CR LF"),
    )
}

/// The default words for a code that the definition gives without any.
#[must_use]
pub fn by_code(code: u16) -> Reply {
    match code {
        214 => Reply::new(214, "2.0.0", "Help"),
        220 => Reply::new(220, "2.0.0", "Ready to start TLS"),
        221 => Reply::new(221, "2.0.0", "Bye"),
        252 => Reply::new(252, "2.5.0", "Cannot verify, but send and see"),
        354 => Reply::new(354, "", "Send the message, end it with a dot on a line of its own"),
        200..=299 => Reply::new(code, "2.0.0", "OK"),
        300..=399 => Reply::new(code, "", "Go on"),
        400..=499 => Reply::new(code, "4.0.0", "Not now"),
        502 => Reply::new(502, "5.5.1", "Command not implemented"),
        _ => Reply::new(code, "5.0.0", "Refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_line_is_never_longer_than_the_rfc_allows_nor_broken() {
        let mut out = Vec::new();
        Reply::new(250, "2.0.0", format!("a\r\n250 b{}", "x".repeat(600))).write(&mut out, true);
        assert_eq!(out.len(), LINE_BYTES_MAX);
        assert_eq!(memchr::memchr(b'\n', &out), Some(LINE_BYTES_MAX - 1));
    }

    #[test]
    fn the_enhanced_code_stands_on_every_line_when_offered() {
        let reply = Reply { code: 214, enhanced: "2.0.0", lines: vec!["a".into(), "b".into()] };
        let mut out = Vec::new();
        reply.write(&mut out, true);
        reply.write(&mut out, false);
        assert_eq!(out, b"214-2.0.0 a\r\n214 2.0.0 b\r\n214-a\r\n214 b\r\n");
    }
}
