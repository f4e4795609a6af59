//! The octets of a session as its client sent them, cut into the lines of a dialogue.
//!
//! The session's outputs say which lines it has read and when a message begins. What the client
//! sent for a line, and between DATA and the end of its content, is kept here until then.

use crate::smtp::framer::{Content, Run};
use crate::smtp::session::LineEnd;

use super::trace::{escape, too_long};

/// The longest line that is kept whole, in octets.
const LINE_BYTES_MAX: usize = 256 << 10;
/// How much of a longer one is kept, in octets.
const SHOWN_BYTES_MAX: usize = 256;
/// The longest content that is kept, in octets.
const CONTENT_BYTES_MAX: usize = 1 << 20;

/// What a client has sent and no line of the dialogue has yet.
#[derive(Default)]
pub(super) struct Octets {
    /// Octets outside content.
    pending: Vec<u8>,
    /// Whether `pending` ends in a line that was cut, and its rest is left out.
    is_cut: bool,
    /// The message that is arriving.
    message: Option<Message>,
}

/// The content of a message so far.
struct Message {
    /// Finds its end.
    framer: Content,
    /// As the client sent it, with doubled dots, and the final one.
    octets: Vec<u8>,
    /// Its length, in octets: also of what is left out.
    length: usize,
    /// Whether its end was found.
    is_whole: bool,
}

impl Octets {
    /// Takes what has arrived.
    pub(super) fn push(&mut self, mut octets: &[u8]) {
        if let Some(message) = self.message.as_mut().filter(|message| !message.is_whole) {
            let taken = message.push(octets);
            octets = octets.get(taken..).unwrap_or_default();
        }
        if self.is_cut {
            let end = memchr::memchr(b'\n', octets).unwrap_or(octets.len());
            octets = octets.get(end..).unwrap_or_default();
        }
        self.pending.extend_from_slice(octets);
        if self.pending.len() > LINE_BYTES_MAX && !self.pending.contains(&b'\n') {
            self.pending.truncate(SHOWN_BYTES_MAX);
            self.is_cut = true;
        }
    }

    /// Takes all that no line has.
    pub(super) fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// A message begins: what the client sends now is content.
    pub(super) fn open(&mut self) {
        let mut message =
            Message { framer: Content::new(), octets: Vec::new(), length: 0, is_whole: false };
        // It may have been sent with DATA.
        let taken = message.push(&self.pending);
        self.pending.drain(..taken);
        self.message = Some(message);
    }

    /// Takes the line that the session has read. Its beginning is given for one that was cut.
    pub(super) fn line(
        &mut self,
        beginning: &[u8],
        end: LineEnd,
        line_bytes_max: usize,
    ) -> Vec<String> {
        let place = memchr::memchr(b'\n', &self.pending).map_or(self.pending.len(), |at| at + 1);
        let line: Vec<u8> = self.pending.drain(..place).collect();
        if std::mem::take(&mut self.is_cut) {
            return too_long(beginning, end, line_bytes_max);
        }
        vec![act(&line)]
    }

    /// Takes the message whose end the session has read, and tells whether all of it is shown.
    pub(super) fn message(&mut self) -> (Vec<String>, bool) {
        let Some(message) = self.message.take() else { return (Vec::new(), false) };
        if message.length > CONTENT_BYTES_MAX {
            let about = format!("# {} octets of content, which are left out", message.length);
            return (vec![about, "C: .".to_owned()], false);
        }
        (message.octets.split_inclusive(|octet| *octet == b'\n').map(act).collect(), true)
    }

    /// Whether a message is arriving.
    pub(super) fn is_in_content(&self) -> bool {
        self.message.as_ref().is_some_and(|message| !message.is_whole)
    }

    /// Takes what is left of a client that says nothing more.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let (mut lines, is_whole) = match &self.message {
            Some(_) => self.message(),
            None => (Vec::new(), true),
        };
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() && is_whole {
            lines.push(act(&rest));
        }
        if !is_whole {
            // The end that the message does not have.
            lines.pop();
        }
        lines
    }
}

impl Message {
    /// Takes octets up to the end of the content, and returns their number.
    fn push(&mut self, octets: &[u8]) -> usize {
        let mut place = 0;
        while place < octets.len() && !self.is_whole {
            let (taken, run) = self.framer.take(octets.get(place..).unwrap_or_default());
            self.is_whole = run == Run::End;
            place += taken;
        }
        self.length += place;
        if self.length <= CONTENT_BYTES_MAX {
            self.octets.extend_from_slice(octets.get(..place).unwrap_or(octets));
        } else {
            self.octets = Vec::new();
        }
        place
    }
}

/// A line of the client, with its end if it has one, as a dialogue has it.
fn act(line: &[u8]) -> String {
    match line.strip_suffix(b"\r\n") {
        Some(text) if text.iter().all(|octet| matches!(octet, b' '..=b'~')) => {
            format!("C: {}", String::from_utf8_lossy(text))
        }
        _ => format!("O: {}", escape(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(text: &[u8]) -> Octets {
        let mut octets = Octets::default();
        octets.push(text);
        octets
    }

    #[test]
    fn content_is_told_from_the_lines_around_it_however_it_is_cut() {
        let text = b"DATA\r\n..a\r\nb\nc\r\n\r\n.\r\nQUIT\r\n";
        for cut in 0..=text.len() {
            let mut octets = octets(&text[..cut]);
            let is_open = cut >= 6;
            if is_open {
                assert_eq!(octets.line(b"DATA", LineEnd::CrLf, 512), ["C: DATA"]);
                octets.open();
            }
            octets.push(&text[cut..]);
            if !is_open {
                assert_eq!(octets.line(b"DATA", LineEnd::CrLf, 512), ["C: DATA"]);
                octets.open();
            }
            let expected = ["C: ..a", "O: b\\x0a", "C: c", "C: ", "C: ."];
            assert_eq!(octets.message(), (expected.map(str::to_owned).to_vec(), true), "{cut}");
            assert_eq!(octets.line(b"QUIT", LineEnd::CrLf, 512), ["C: QUIT"]);
            assert_eq!(octets.rest(), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_long_costs_little_memory_and_plays() {
        let mut long = octets(&vec![b'x'; LINE_BYTES_MAX]);
        for _ in 0..10 {
            long.push(&vec![b'y'; LINE_BYTES_MAX]);
        }
        assert!(long.pending.capacity() < 4 * LINE_BYTES_MAX);
        long.push(b"\r\nNOOP\r\n");
        let lines = long.line(b"xx", LineEnd::TooLong, 512);
        assert_eq!(lines, ["O: xx", "O: x * 512", "O: \\r\\n"]);
        assert_eq!(long.line(b"NOOP", LineEnd::CrLf, 512), ["C: NOOP"]);
        long.open();
        long.push(&b"0123456789\r\n".repeat(CONTENT_BYTES_MAX / 12));
        long.push(b"0123456789\r\n.\r\nNOOP\r\n");
        let (lines, is_shown) = long.message();
        assert!(!is_shown && lines.len() == 2 && lines[0].starts_with("# 1048"), "{lines:?}");
        assert_eq!(long.rest(), ["C: NOOP"]);
    }

    #[test]
    fn a_client_that_says_nothing_more_leaves_half_a_line() {
        assert_eq!(octets(b"NOO").rest(), ["O: NOO"]);
        let mut half = octets(b"a\r\nhal");
        half.open();
        assert_eq!(half.rest(), ["C: a", "O: hal"]);
    }
}
