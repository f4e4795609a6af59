//! Finds the Message-ID of a message as its content comes, for the log. RFC 5322 3.6.4.

/// The longest Message-ID that is kept, in octets; the rest is cut off.
const VALUE_BYTES_MAX: usize = 256;

const NAME: &[u8] = b"message-id";

/// Where in the header the next octet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In what may be the field's name, after this many octets of it.
    Name(usize),
    /// After the name, before the colon.
    Colon,
    Value,
    /// After a line end in the value: a blank goes on with it.
    Fold,
    /// In a line without it.
    #[default]
    Other,
    /// After a CR at the start of a line.
    EmptyLine,
    /// The value is whole, or the header has ended without one.
    Over,
}

/// Looks for the first `Message-ID:` up to the first empty line.
#[derive(Debug)]
pub(super) struct MessageId {
    /// Where the next octet is.
    at: At,
    /// The value so far, or all of it.
    value: Vec<u8>,
}

impl Default for MessageId {
    fn default() -> Self {
        Self { at: At::Name(0), value: Vec::new() }
    }
}

impl MessageId {
    /// Takes more content.
    pub(super) fn scan(&mut self, mut content: &[u8]) {
        while let (true, Some((octet, rest))) = (self.at != At::Over, content.split_first()) {
            content = rest;
            self.at = match (self.at, octet) {
                (At::Name(0) | At::EmptyLine, b'\n') => At::Over,
                (At::Name(0), b'\r') => At::EmptyLine,
                (At::Name(taken), octet)
                    if NAME.get(taken).is_some_and(|name| octet.eq_ignore_ascii_case(name)) =>
                {
                    if taken + 1 == NAME.len() {
                        At::Colon
                    } else {
                        At::Name(taken + 1)
                    }
                }
                (At::Colon, b' ' | b'\t') => At::Colon,
                (At::Colon, b':') | (At::Value, b'\r') => At::Value,
                (At::Value, b'\n') => At::Fold,
                (At::Value, octet) | (At::Fold, octet @ (b' ' | b'\t')) => self.keep(*octet),
                (At::Fold, _) => At::Over,
                (_, b'\n') => At::Name(0),
                _ => {
                    // The rest of the line has no name in it.
                    let end = memchr::memchr(b'\n', content).unwrap_or(content.len());
                    content = content.get(end..).unwrap_or_default();
                    At::Other
                }
            };
        }
    }

    fn keep(&mut self, octet: u8) -> At {
        let is_blank = matches!(octet, b' ' | b'\t');
        if !(is_blank && self.value.is_empty()) {
            self.value.push(octet);
        }
        if self.value.len() < VALUE_BYTES_MAX { At::Value } else { At::Over }
    }

    /// The value without the blanks around it; empty if the message has none. It is as the client
    /// sent it.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str) -> String {
        let mut whole = MessageId::default();
        whole.scan(content.as_bytes());
        let mut pieces = MessageId::default();
        content.as_bytes().chunks(1).for_each(|piece| pieces.scan(piece));
        assert_eq!(whole.text(), pieces.text(), "{content:?}");
        whole.text()
    }

    #[test]
    fn the_first_one_of_the_header_is_found_and_none_of_the_body() {
        for (content, expected) in [
            ("Message-ID: <a@x>\r\n\r\nx", "<a@x>"),
            ("A: 1\r\nmessage-id:<a@x> \r\nB: 2\r\n", "<a@x>"),
            ("MESSAGE-ID \t:\t<a@x>\nB: 2", "<a@x>"),
            ("Message-Id:\r\n <a\r\n\t@x>\r\nMessage-ID: <b@x>\r\n", "<a\t@x>"),
            ("From - Thu\r\nMessage-ID: <a@x>\r\n", "<a@x>"),
            (
                "X-Message-ID: <b@x>\r\nMessage-IDs: <b@x>\r\nA: Message-ID: <b@x>\r\n Message-ID: <b@x>\r\n",
                "",
            ),
            ("\r\nMessage-ID: <b@x>\r\n", ""),
            ("A: 1\n\nMessage-ID: <b@x>\r\n", ""),
            ("Message-ID:\r\nA: 1\r\n", ""),
            ("Message-\r\nID: <b@x>\r\n", ""),
            ("", ""),
        ] {
            assert_eq!(found(content), expected, "{content:?}");
        }
        let long = format!("Message-ID: {}\r\n\r\n", "x".repeat(5000));
        assert_eq!(found(&long), "x".repeat(VALUE_BYTES_MAX));
    }
}
