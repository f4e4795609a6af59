//! Octets into lines and content. RFC 5321 2.3.7, 2.3.8, 4.1.1.4, 4.5.2.
//!
//! Outside content the framer yields lines; inside, runs of content with the transparency
//! dots taken away, until CR LF dot CR LF and nothing else ends it. It holds no content: what
//! it yields are places in the caller's octets.

use std::ops::Range;

/// A line of the client's, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line that ended in CR LF.
    Whole(Vec<u8>),
    /// A line that ended in a bare LF; it must not be obeyed.
    BareLf,
    /// A line longer than the limit, swallowed to its end.
    TooLong,
}

/// Cuts lines. Holds at most one line of the limit's length.
#[derive(Debug)]
pub struct Lines {
    held: Vec<u8>,
    overlong: bool,
    last: u8,
}

impl Lines {
    /// A cutter at the begin of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: Vec::new(), overlong: false, last: 0 }
    }

    /// Takes octets up to the end of one line of at most `bytes_max` octets, CR LF included.
    /// Returns how many were taken, and the line where it was completed.
    pub fn take(&mut self, octets: &[u8], bytes_max: usize) -> (usize, Option<Line>) {
        let end = memchr::memchr(b'\n', octets);
        let taken = end.map_or(octets.len(), |place| place + 1);
        let piece = octets.get(..taken).unwrap_or(octets);
        if self.overlong || self.held.len() + piece.len() > bytes_max {
            self.overlong = true;
            // An over-long line must hold no memory while it is swallowed.
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(piece);
        }
        let before_end = match piece {
            [.., before, _] => *before,
            _ => self.last,
        };
        self.last = piece.last().copied().unwrap_or(self.last);
        if end.is_none() {
            return (taken, None);
        }
        self.last = 0;
        let line = if before_end != b'\r' {
            self.held = Vec::new();
            Line::BareLf
        } else if self.overlong {
            Line::TooLong
        } else {
            let mut line = std::mem::take(&mut self.held);
            line.truncate(line.len().saturating_sub(2));
            Line::Whole(line)
        };
        self.overlong = false;
        (taken, Some(line))
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

/// What has been seen at the end of what came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Something inside a line.
    Inside,
    /// A CR.
    Cr,
    /// CR LF, or nothing yet: a line begins.
    Start,
    /// CR LF and a dot, which is held back.
    Dot,
    /// CR LF, dot and CR; the last two are held back.
    DotCr,
}

/// What becomes of an octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is content.
    Keep,
    /// It is content, and a CR or LF stood alone.
    KeepBare,
    /// It is held back, or was a doubled dot.
    Hold,
    /// The CR that was held back is content; then look at the octet again.
    Release,
    /// It ends the content.
    End,
}

/// The whole of RFC 5321 4.5.2 and of the end of data, as a table: a row for what was seen,
/// a column each for CR, LF, dot and any other octet.
const TABLE: [[(Seen, Fate); 4]; 5] = {
    use Fate::{End, Hold, Keep, KeepBare, Release};
    use Seen::{Cr, Dot, DotCr, Inside, Start};
    [
        // CR             LF                  dot                 other
        [(Cr, Keep), (Inside, KeepBare), (Inside, Keep), (Inside, Keep)], // Inside
        [(Cr, KeepBare), (Start, Keep), (Inside, KeepBare), (Inside, KeepBare)], // Cr
        [(Cr, Keep), (Inside, KeepBare), (Dot, Hold), (Inside, Keep)],    // Start
        [(DotCr, Hold), (Inside, KeepBare), (Inside, Keep), (Inside, Keep)], // Dot
        [(Cr, Release), (Start, End), (Cr, Release), (Cr, Release)],      // DotCr
    ]
};

/// A run of content.
#[derive(Debug, PartialEq, Eq)]
pub enum Run {
    /// These of the octets given.
    Octets(Range<usize>),
    /// A CR that was held back from earlier octets.
    HeldCr,
    /// No content, but the end of it.
    End,
}

/// Cuts content out of what comes after 354.
#[derive(Debug)]
pub struct Content {
    seen: Seen,
    bare: bool,
}

impl Content {
    /// A cutter at the begin of the content.
    #[must_use]
    pub const fn new() -> Self {
        Self { seen: Seen::Start, bare: false }
    }

    /// Whether a CR or an LF stood alone so far.
    #[must_use]
    pub fn has_bare(&self) -> bool {
        self.bare
    }

    /// Takes octets up to the end of one run. Returns how many were taken, and the run; call
    /// again with the rest.
    pub fn take(&mut self, octets: &[u8]) -> (usize, Run) {
        let mut from = 0;
        let mut place = 0;
        while let Some(&octet) = octets.get(place) {
            if self.seen == Seen::Inside {
                // Most octets are inside a line: skip to the next that can matter.
                let rest = octets.get(place..).unwrap_or_default();
                match memchr::memchr2(b'\r', b'\n', rest) {
                    None => return (octets.len(), Run::Octets(from..octets.len())),
                    Some(0) => {}
                    Some(ahead) => {
                        place += ahead;
                        continue;
                    }
                }
            }
            let column = match octet {
                b'\r' => 0,
                b'\n' => 1,
                b'.' => 2,
                _ => 3,
            };
            let (seen, fate) = TABLE[self.seen as usize][column];
            self.seen = seen;
            match fate {
                Fate::Keep => place += 1,
                Fate::KeepBare => {
                    self.bare = true;
                    place += 1;
                }
                Fate::Hold if place > from => return (place + 1, Run::Octets(from..place)),
                Fate::Hold => {
                    place += 1;
                    from = place;
                }
                Fate::Release => return (place, Run::HeldCr),
                Fate::End => return (place + 1, Run::End),
            }
        }
        (place, Run::Octets(from..place))
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content, whether it ended, what is left, whether something was bare.
    fn read(pieces: &[&[u8]]) -> (Vec<u8>, bool, usize, bool) {
        let (mut cutter, mut content, mut left) = (Content::new(), Vec::new(), 0);
        let mut ended = false;
        for piece in pieces {
            let mut rest = *piece;
            while !ended && !rest.is_empty() {
                let (taken, run) = cutter.take(rest);
                match run {
                    Run::Octets(range) => content.extend_from_slice(&rest[range]),
                    Run::HeldCr => content.push(b'\r'),
                    Run::End => ended = true,
                }
                rest = &rest[taken..];
            }
            left += rest.len();
        }
        (content, ended, left, cutter.has_bare())
    }

    /// The same by another reading: find the end in the whole text, then undo the dots.
    fn reference(text: &[u8]) -> (Vec<u8>, bool, usize) {
        let mut whole = b"\r\n".to_vec();
        whole.extend_from_slice(text);
        let end = whole.windows(5).position(|window| window == b"\r\n.\r\n");
        let body = end.map_or(&whole[..], |end| &whole[..end + 2]);
        let mut content = Vec::new();
        for (place, octet) in body.iter().enumerate() {
            let doubled = *octet == b'.' && place >= 2 && &body[place - 2..place] == b"\r\n";
            if !doubled {
                content.push(*octet);
            }
        }
        (content[2..].to_vec(), end.is_some(), end.map_or(0, |end| whole.len() - end - 5))
    }

    #[test]
    fn every_text_of_the_four_classes_reads_as_the_rfc_has_it_however_it_is_cut() {
        // Eight octets reach every state of the table and of the reference from every other.
        for number in 0..4_usize.pow(8) {
            let text: Vec<u8> = (0..8).map(|place| b"\r\n.x"[number / 4_usize.pow(place) % 4]).collect();
            let (content, ended, left) = reference(&text);
            for cut in 0..text.len() {
                let (mut got, got_ended, got_left, _) = read(&[&text[..cut], &text[cut..]]);
                if !ended {
                    // What is held back at the end of the octets is not yet content.
                    let held = content.len() - got.len();
                    assert!(held <= 1, "{text:?}");
                    got.extend_from_slice(&content[content.len() - held..]);
                }
                assert_eq!((&got, got_ended, got_left), (&content, ended, left), "{text:?} cut at {cut}");
            }
            let octets: Vec<&[u8]> = text.chunks(1).collect();
            let whole = read(&[&text]);
            assert_eq!(read(&octets), whole, "{text:?}");
        }
    }

    #[test]
    fn a_bare_cr_or_lf_is_seen() {
        assert!(!read(&[b"a\r\n.b\r\n.\r\n"]).3);
        for text in [&b"a\nb\r\n.\r\n"[..], b"a\rb\r\n.\r\n", b"\r\n.\rx\r\n.\r\n", b"\n.\n\r\n.\r\n", b".\n\r\n.\r\n"]
        {
            assert!(read(&[text]).3, "{text:?}");
        }
    }

    fn lines(pieces: &[&[u8]], bytes_max: usize) -> Vec<Line> {
        let (mut cutter, mut found) = (Lines::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (taken, line) = cutter.take(rest, bytes_max);
                found.extend(line);
                rest = &rest[taken..];
            }
        }
        found
    }

    #[test]
    fn lines_end_in_cr_lf_wherever_they_are_cut() {
        let text = b"NOOP\r\nlf\nlong line, too long\r\n\r\n";
        let expected = [Line::Whole(b"NOOP".to_vec()), Line::BareLf, Line::TooLong, Line::Whole(Vec::new())];
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]], 12), expected, "cut at {cut}");
        }
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&octets, 12), expected);
    }

    #[test]
    fn the_limit_of_a_line_counts_its_end() {
        assert_eq!(lines(&[b"1234\r\n"], 6), [Line::Whole(b"1234".to_vec())]);
        assert_eq!(lines(&[b"12345\r\n"], 6), [Line::TooLong]);
    }
}
