//! What a step leaves behind, and what a header block tells of the way a message came.

/// One move of the machine: what the log shows and the tests assert on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: &'static str,
    /// The event.
    pub event: &'static str,
    /// What was done.
    pub action: &'static str,
    /// The reply's code; 0 where there is none.
    pub code: u16,
    /// The state after.
    pub to: &'static str,
}

const RECEIVED: &[u8] = b"received:";

/// Counts the Received: fields of a header block as it comes. RFC 5321 6.3.
#[derive(Debug, Default)]
pub(super) struct HeaderScan {
    /// How much of the line at hand has come.
    column: usize,
    /// Whether the line at hand begins like `Received:` so far.
    differs: bool,
    /// Whether the last octet but perhaps one CR was a line's begin.
    empty: bool,
    over: bool,
    count: usize,
}

impl HeaderScan {
    /// Takes more content; returns the number of fields so far.
    pub(super) fn scan(&mut self, mut content: &[u8]) -> usize {
        while let (false, Some((octet, rest))) = (self.over, content.split_first()) {
            if *octet == b'\n' {
                self.over = self.column == 0 || self.empty;
                (self.column, self.differs, self.empty) = (0, false, false);
                content = rest;
                continue;
            }
            self.empty = self.column == 0 && *octet == b'\r';
            match RECEIVED.get(self.column) {
                Some(expected) if !self.differs && octet.eq_ignore_ascii_case(expected) => {
                    self.column += 1;
                    self.count += usize::from(self.column == RECEIVED.len());
                    content = rest;
                }
                _ => {
                    // The rest of the line tells nothing.
                    self.differs = true;
                    self.column = self.column.max(1);
                    let end = if self.empty { 1 } else { memchr::memchr(b'\n', content).unwrap_or(content.len()) };
                    content = content.get(end..).unwrap_or_default();
                }
            }
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fields_of_the_header_block_count() {
        let text =
            b"Received: a\r\nX: Received: b\r\n Received: c\r\nreCEIVED:d\r\nReceivedx: e\r\n\r\nReceived: f\r\n";
        assert_eq!(HeaderScan::default().scan(text), 2);
        let mut pieces = HeaderScan::default();
        assert_eq!(text.chunks(1).map(|piece| pieces.scan(piece)).last(), Some(2));
    }
}
