//! Octets into lines. RFC 5321 2.3.7, 2.3.8, 4.5.3.1.4.

use std::borrow::Cow;

/// The most of a line that is kept for the log if the line is not obeyed, in octets.
const SHOWN_BYTES_MAX: usize = 256;

/// A line from the client, without its end. A line that arrived in one piece is not copied.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line that ended in CR LF.
    Whole(Cow<'a, [u8]>),
    /// A line that ended in a bare LF; it must not be obeyed.
    BareLf(Cow<'a, [u8]>),
    /// The beginning of a line longer than the limit, which was swallowed to its end.
    TooLong(Cow<'a, [u8]>),
}

/// Cuts lines. Holds at most one line of the limit's length.
#[derive(Debug)]
pub struct Lines {
    /// What has arrived of an unfinished line; its beginning if it is longer than the limit.
    held: Vec<u8>,
    /// Whether the unfinished line is longer than the limit.
    overlong: bool,
    /// The last octet of the unfinished line, or 0: a CR may arrive without its LF.
    last: u8,
}

impl Lines {
    /// A cutter at the start of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: Vec::new(), overlong: false, last: 0 }
    }

    /// The octets that are held of an unfinished line.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Takes octets up to the end of one line of at most `bytes_max` octets, CR LF included.
    /// Returns the number that was taken, and the line if it is complete.
    pub fn take<'a>(&mut self, octets: &'a [u8], bytes_max: usize) -> (usize, Option<Line<'a>>) {
        let end = memchr::memchr(b'\n', octets);
        let taken = end.map_or(octets.len(), |place| place + 1);
        let piece = octets.get(..taken).unwrap_or(octets);
        if let [line @ .., b'\r', b'\n'] = piece
            && self.held.is_empty()
            && !self.overlong
            && piece.len() <= bytes_max
        {
            // Nearly every line arrives in one piece.
            return (taken, Some(Line::Whole(Cow::Borrowed(line))));
        }
        if self.overlong || self.held.len() + piece.len() > bytes_max {
            self.overlong = true;
            // An over-long line must hold little memory while it is swallowed.
            let missing = SHOWN_BYTES_MAX.saturating_sub(self.held.len());
            self.held.extend_from_slice(piece.get(..missing).unwrap_or(piece));
            self.held.truncate(SHOWN_BYTES_MAX);
            self.held.shrink_to_fit();
        } else if end.is_none() || !self.held.is_empty() {
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
        let overlong = std::mem::take(&mut self.overlong);
        let whole = if self.held.is_empty() {
            Cow::Borrowed(piece)
        } else {
            Cow::Owned(std::mem::take(&mut self.held))
        };
        let bare = before_end != b'\r';
        let line = match (overlong, bare) {
            (true, true) => Line::BareLf(whole),
            (true, false) => Line::TooLong(whole),
            (false, true) => Line::BareLf(without(whole, 1)),
            (false, false) => Line::Whole(without(whole, 2)),
        };
        (taken, Some(line))
    }
}

/// A line without the octets of its end.
fn without(line: Cow<'_, [u8]>, end: usize) -> Cow<'_, [u8]> {
    let length = line.len().saturating_sub(end);
    match line {
        Cow::Borrowed(octets) => Cow::Borrowed(octets.get(..length).unwrap_or(octets)),
        Cow::Owned(mut octets) => {
            octets.truncate(length);
            Cow::Owned(octets)
        }
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], bytes_max: usize) -> Vec<Line<'static>> {
        let (mut cutter, mut found) = (Lines::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (taken, line) = cutter.take(rest, bytes_max);
                found.extend(line.map(|line| match line {
                    Line::Whole(text) => Line::Whole(Cow::Owned(text.into_owned())),
                    Line::BareLf(text) => Line::BareLf(Cow::Owned(text.into_owned())),
                    Line::TooLong(text) => Line::TooLong(Cow::Owned(text.into_owned())),
                }));
                rest = &rest[taken..];
            }
            assert!(cutter.held.capacity() <= bytes_max.max(SHOWN_BYTES_MAX) * 2);
        }
        found
    }

    fn whole(text: &'static [u8]) -> Line<'static> {
        Line::Whole(Cow::Borrowed(text))
    }

    #[test]
    fn lines_end_in_cr_lf_wherever_they_are_cut() {
        let text = b"NOOP\r\nlf\nlong line, too long\r\n\r\n";
        let (bare, long) =
            (Cow::Borrowed(&b"lf"[..]), Cow::Borrowed(&b"long line, too long\r\n"[..]));
        let expected = [whole(b"NOOP"), Line::BareLf(bare), Line::TooLong(long), whole(b"")];
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]], 12), expected, "cut at {cut}");
        }
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&octets, 12), expected);
    }

    #[test]
    fn the_limit_of_a_line_counts_its_end() {
        assert_eq!(lines(&[b"1234\r\n"], 6), [whole(b"1234")]);
        assert_eq!(lines(&[b"12345\r\n"], 6), [Line::TooLong(Cow::Borrowed(b"12345\r\n"))]);
    }

    #[test]
    fn a_line_without_end_holds_next_to_nothing_and_what_is_its_tail_is_no_command() {
        let piece = [b'x'; 10_000];
        let mut cutter = Lines::new();
        for _ in 0..1000 {
            assert_eq!(cutter.take(&piece, 2048), (piece.len(), None));
            assert!(cutter.held.capacity() <= SHOWN_BYTES_MAX);
        }
        let (taken, line) = cutter.take(b" QUIT\r\nNOOP\r\n", 2048);
        assert_eq!(
            (taken, line),
            (7, Some(Line::TooLong(Cow::Borrowed(&[b'x'; SHOWN_BYTES_MAX]))))
        );
        assert_eq!(cutter.take(b"NOOP\r\n", 2048), (6, Some(whole(b"NOOP"))));
    }

    #[test]
    fn a_line_that_came_whole_is_not_copied() {
        assert!(matches!(
            Lines::new().take(b"NOOP\r\n", 512).1,
            Some(Line::Whole(Cow::Borrowed(b"NOOP")))
        ));
    }
}
