//! A received message: whom it is for, and what a reader shows of it.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use mail_parser::{MessageParser, MessagePart, MimeHeaders as _};
use serde_json::{Value, json};

use super::folder::File;

/// A message, and its file.
pub(crate) struct Message {
    pub path: PathBuf,
    /// The whole file.
    pub octets: Vec<u8>,
    /// Its recipients: those that the file names, or its mailbox.
    to: Vec<String>,
    /// Its sender; `None` if the file does not name it.
    from: Option<String>,
    subject: String,
    /// Where the message begins in the file: after the server's fields, in the queue.
    start: usize,
}

impl Message {
    /// Reads a file. Returns `None` if it is not there any more.
    pub(crate) fn read(file: File) -> Result<Option<Self>, String> {
        Self::read_head(file, u64::MAX)
    }

    /// Reads as much of a file, in octets, which holds most headers.
    pub(crate) fn read_head(file: File, most: u64) -> Result<Option<Self>, String> {
        let mut octets = Vec::new();
        let read = fs::File::open(&file.path)
            .and_then(|opened| opened.take(most).read_to_end(&mut octets));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => {
                read.map_err(|error| format!("cannot read {}: {error}", file.path.display()))?
            }
        };
        // In the queue's form the server's fields are a block of their own.
        let is_queued = octets.starts_with(b"X-Postman-From: ");
        let end = memchr::memmem::find(&octets, b"\r\n\r\n").filter(|_| is_queued);
        let start = end.map_or(0, |end| end + 4);
        let (fields, content) = octets.split_at(start);
        let parsed = MessageParser::default().parse_headers(content);
        let ours = if is_queued { MessageParser::default().parse_headers(fields) } else { None };
        let field = |name: &'static str| {
            let of = ours.as_ref().or(parsed.as_ref())?;
            of.header_raw(name).map(|value| value.replace(['\r', '\n'], "").trim().to_owned())
        };
        let to = match field("X-Postman-To") {
            Some(list) => addresses(&list),
            None => file.mailbox.into_iter().collect(),
        };
        let from = field("X-Postman-From").map(|from| from.trim_matches(['<', '>']).to_owned());
        let subject = parsed.as_ref().and_then(|message| message.subject()).unwrap_or_default();
        let subject = subject.to_owned();
        Ok(Some(Self { path: file.path, to, from, subject, start, octets }))
    }

    /// Its recipients: those that the file names, or its mailbox.
    pub(crate) fn to(&self) -> &[String] {
        &self.to
    }

    /// Its sender; `None` if the file does not name it.
    pub(crate) fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The message without what the server has put before it in the queue.
    fn content(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// The fields of its header, each unfolded, as they are.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let Some(parsed) = MessageParser::default().parse_headers(self.content()) else {
            return Vec::new();
        };
        let fields = parsed.headers_raw();
        let unfolded = |value: &str| value.replace(['\r', '\n'], "").trim().to_owned();
        fields.map(|(name, value)| (name.to_owned(), unfolded(value))).collect()
    }

    /// Its text: that of the first part that has any. Of HTML the words are left.
    pub(crate) fn text(&self) -> String {
        let parsed = MessageParser::default().parse(self.content());
        let text = parsed.as_ref().and_then(|message| message.body_text(0));
        text.unwrap_or_default().replace("\r\n", "\n")
    }

    /// What is attached.
    pub(crate) fn attachments(&self) -> Vec<Attachment> {
        let Some(message) = MessageParser::default().parse(self.content()) else {
            return Vec::new();
        };
        let about = |part: &MessagePart<'_>| Attachment {
            name: part.attachment_name().map(str::to_owned),
            kind: part.content_type().map(|kind| {
                let rest = kind.subtype().map_or_else(String::new, |rest| format!("/{rest}"));
                format!("{}{rest}", kind.ctype())
            }),
            size: part.len(),
        };
        message.attachments().map(about).collect()
    }

    /// Whether it is to this address, or to one with this local part.
    pub(crate) fn is_to(&self, who: &str) -> bool {
        self.to.iter().any(|to| {
            let local = to.rsplit_once('@').map_or(to.as_str(), |(local, _)| local);
            to.eq_ignore_ascii_case(who) || local.eq_ignore_ascii_case(who)
        })
    }

    pub(crate) fn has_subject(&self, text: &str) -> bool {
        self.subject.contains(text)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "file": self.path.to_string_lossy(),
            "to": self.to,
            "from": self.from,
            "subject": self.subject,
        })
    }

    /// What a reader shows.
    pub(crate) fn shown(&self) -> String {
        let mut text =
            format!("file: {}\nrecipients: {}\n", self.path.display(), self.to.join(", "));
        let Some(message) = MessageParser::default().parse(self.content()) else { return text };
        for name in ["From", "To", "Cc", "Date"] {
            if let Some(value) = message.header_raw(name) {
                text += &format!("{name}: {}\n", value.replace("\r\n", "\n").trim());
            }
        }
        text += &format!("Subject: {}\n\n", self.subject);
        text += &message.body_text(0).unwrap_or_default().replace("\r\n", "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        for part in message.attachments() {
            let name = part.attachment_name().unwrap_or("without a name");
            text += &format!("attachment: {name}, {} octets\n", part.len());
        }
        // A terminal would obey what a sender has put there.
        text.chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')).collect()
    }
}

/// A part of a message that is attached to it.
pub(crate) struct Attachment {
    /// The name of its file.
    pub name: Option<String>,
    /// Its type, such as `application/pdf`.
    pub kind: Option<String>,
    /// Its octets, decoded.
    pub size: usize,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<_> = self.to.iter().map(|to| format!("<{}>", to.escape_debug())).collect();
        write!(f, "to={}", to.join(","))?;
        if let Some(from) = &self.from {
            write!(f, " from=<{}>", from.escape_debug())?;
        }
        write!(f, " subject=\"{}\"", self.subject.escape_debug())
    }
}

/// A list of addresses, cut at the commas outside quoted strings.
fn addresses(list: &str) -> Vec<String> {
    let (mut found, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for char in list.chars() {
        match char {
            ',' if !quoted => {
                found.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && !escaped && char == '\\';
        if let Some(last) = found.last_mut()
            && !(last.is_empty() && char == ' ')
        {
            last.push(char);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_outside_quoted_strings() {
        let list = "a@x.org, \"b,\\\"c\"@x.org,d@x.org";
        assert_eq!(addresses(list), ["a@x.org", "\"b,\\\"c\"@x.org", "d@x.org"]);
    }
}
