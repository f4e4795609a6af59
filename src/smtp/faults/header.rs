//! The lines of a message's header, for the patterns of faults at the end of its content.

/// How much of a header is kept, in octets.
const BYTES_MAX: usize = 64 << 10;

/// The header of the message that arrives.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// The header so far, line ends included.
    octets: Vec<u8>,
    /// Whether it has ended: by its empty line, or at the bound.
    is_over: bool,
}

impl Header {
    /// Takes more content.
    pub(super) fn push(&mut self, content: &[u8]) {
        if self.is_over {
            return;
        }
        let before = self.octets.len();
        let room = BYTES_MAX - before;
        self.octets.extend_from_slice(content.get(..room).unwrap_or(content));
        // The empty line may have begun in the piece before.
        let from = before.saturating_sub(3);
        let end = if self.octets.starts_with(b"\r\n") {
            Some(0)
        } else {
            let seen = self.octets.get(from..).unwrap_or_default();
            memchr::memmem::find(seen, b"\r\n\r\n").map(|place| from + place + 2)
        };
        if let Some(end) = end {
            self.octets.truncate(end);
        }
        self.is_over = end.is_some() || self.octets.len() >= BYTES_MAX;
    }

    /// Forgets it.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.octets.capacity()
    }

    /// Its fields, each on one line. RFC 5322 2.2.3.
    pub(super) fn lines(&self) -> Vec<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in self.octets.split(|octet| *octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match lines.last_mut() {
                Some(last) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    last.extend_from_slice(line);
                }
                _ if line.is_empty() => {}
                _ => lines.push(line.to_vec()),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_at_its_empty_line_however_it_is_cut() {
        let text = b"Subject: a\r\n b\r\nTo: c\r\n\r\nbody: d\r\n\r\nx";
        for piece in [1, 2, 3, 7, text.len()] {
            let mut header = Header::default();
            text.chunks(piece).for_each(|piece| header.push(piece));
            assert_eq!(header.lines(), [b"Subject: a b".to_vec(), b"To: c".to_vec()], "{piece}");
        }
        let mut none = Header::default();
        none.push(b"\r\nSubject: x\r\n");
        assert!(none.lines().is_empty());
        let mut long = Header::default();
        long.push(&vec![b'x'; BYTES_MAX + 1]);
        long.push(b"\r\nSubject: x\r\n");
        assert_eq!(long.octets.len(), BYTES_MAX);
    }
}
