//! The header block as it arrives: its size, and the number of its Received: fields.

// obs-received = "Received" *WSP ":" ...                                 RFC 5322 4.5.7
// No one writes the blanks any more, and everyone has to read them.
const RECEIVED: &[u8] = b"received";

/// Counts the Received: fields of a header block as it arrives. RFC 5321 6.3.
#[derive(Debug, Default)]
pub(super) struct HeaderScan {
    /// The octets of the name `Received` that the current line has so far.
    column: usize,
    /// Whether the current line cannot be a `Received:` field any more, or was counted.
    differs: bool,
    /// Whether the current line has nothing but a CR so far.
    empty: bool,
    /// Whether the header block has ended.
    over: bool,
    /// The fields so far.
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
            match (RECEIVED.get(self.column), octet) {
                (Some(expected), _) if !self.differs && octet.eq_ignore_ascii_case(expected) => {
                    self.column += 1;
                    content = rest;
                }
                (None, b' ' | b'\t') if !self.differs => content = rest,
                (None, b':') if !self.differs => {
                    self.count += 1;
                    self.differs = true;
                    content = rest;
                }
                _ => {
                    // The rest of the line does not matter.
                    self.differs = true;
                    self.column = self.column.max(1);
                    let end = if self.empty {
                        1
                    } else {
                        memchr::memchr(b'\n', content).unwrap_or(content.len())
                    };
                    content = content.get(end..).unwrap_or_default();
                }
            }
        }
        self.count
    }
}

/// The longest field name, in octets: a longer one is body text.
const NAME_BYTES_MAX: usize = 1024;

/// The position of the next octet in the header block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    /// In a field's name, if a colon follows.
    Name(usize),
    Value,
    /// After the first line that is not a field: the empty one, or one of a body without a header.
    Over,
}

/// Measures the header block as it arrives: the fields at the start of the content. RFC 5322 2.2.
#[derive(Debug, Default)]
pub(super) struct HeaderBlock {
    /// Where the next octet is.
    at: At,
    /// The octets of the block so far.
    octets: u64,
}

impl HeaderBlock {
    /// Takes more content; returns the octets of the block so far.
    pub(super) fn scan(&mut self, mut content: &[u8]) -> u64 {
        while let (false, Some((octet, rest))) = (self.at == At::Over, content.split_first()) {
            let mut taken = 1;
            self.at = match (self.at, octet) {
                (At::Start, b' ' | b'\t') if self.octets > 0 => At::Value,
                (At::Start, b'!'..=b'9' | b';'..=b'~') => At::Name(1),
                (At::Name(_), b':') => At::Value,
                (At::Name(octets @ ..NAME_BYTES_MAX), b' '..=b'~' | b'\t') => At::Name(octets + 1),
                (At::Value, _) => {
                    let end = memchr::memchr(b'\n', content);
                    taken = end.map_or(content.len(), |end| end + 1);
                    end.map_or(At::Value, |_| At::Start)
                }
                _ => At::Over,
            };
            self.octets += taken as u64;
            content = if taken == 1 { rest } else { content.get(taken..).unwrap_or_default() };
        }
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_block_ends_at_the_first_line_that_is_no_field() {
        let block = "A: 1\r\n folded\r\nB : 2\r\n";
        for (rest, more) in
            [("\r\nbody: x\r\n", 1), ("no field\r\nC: 3\r\n", 9), ("\u{e9}: x\r\n", 1), ("", 0)]
        {
            let text = format!("{block}{rest}");
            let expected = (block.len() + more) as u64;
            assert_eq!(HeaderBlock::default().scan(text.as_bytes()), expected, "{rest:?}");
            let mut pieces = HeaderBlock::default();
            assert_eq!(
                text.as_bytes().chunks(1).map(|piece| pieces.scan(piece)).last(),
                Some(expected)
            );
        }
        // A body without a header has no block, however long its lines are.
        assert_eq!(HeaderBlock::default().scan(&vec![b'x'; 100_000]), NAME_BYTES_MAX as u64 + 1);
        assert_eq!(HeaderBlock::default().scan(b" A: 1\r\n"), 1);
    }

    #[test]
    fn only_the_fields_of_the_header_block_count() {
        let text = b"Received: a\r\nX: Received: b\r\n Received: c\r\nreCEIVED:d\r\nReceivedx: e\r\nReceived x: f\r\n\
              Received \t : g: Received: h\r\nReceived\r\n: i\r\nReceive d: j\r\n\r\nReceived: k\r\n";
        assert_eq!(HeaderScan::default().scan(text), 3);
        let mut pieces = HeaderScan::default();
        assert_eq!(text.chunks(1).map(|piece| pieces.scan(piece)).last(), Some(3));
    }
}
