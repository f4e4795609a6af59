//! Octets after 354 into content. RFC 5321 4.1.1.4, 4.5.2.
//!
//! It holds no content: it yields ranges of the caller's octets.

use std::ops::Range;

/// The end of the octets so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Something inside a line.
    Inside,
    /// A CR.
    Cr,
    /// CR LF, or nothing yet: a line starts.
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
    /// It is content, and a CR or LF is bare.
    KeepBare,
    /// It is held back, or was a doubled dot.
    Hold,
    /// The CR that was held back is content; then look at the octet again.
    Release,
    /// It ends the content.
    End,
}

/// RFC 5321 4.5.2 and the end of data, complete, as a table: a row for each end of the octets so
/// far, a column each for CR, LF, dot and any other octet.
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

/// A CR without an LF after it, or an LF without a CR before it. RFC 5321 2.3.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareNewline {
    /// `CR` or `LF`.
    pub name: &'static str,
    /// The line of the content, from 1; lines end in CR LF.
    pub line: u64,
    /// Its octet in that line, from 1. A dot that the client doubled counts once.
    pub octet: u64,
}

/// Cuts content out of the octets after 354.
#[derive(Debug)]
pub struct Content {
    /// The state of [`TABLE`].
    seen: Seen,
    /// The content so far, in octets.
    octets: u64,
    /// Its complete lines.
    lines: u64,
    /// The octets of its complete lines.
    lines_octets: u64,
    /// The first bare CR or LF.
    bare: Option<BareNewline>,
}

impl Content {
    /// A cutter at the start of the content.
    #[must_use]
    pub const fn new() -> Self {
        Self { seen: Seen::Start, octets: 0, lines: 0, lines_octets: 0, bare: None }
    }

    /// The first bare CR or LF so far.
    #[must_use]
    pub fn bare_newline(&self) -> Option<BareNewline> {
        self.bare
    }

    /// Takes octets up to the end of one run. Returns the number that was taken, and the run; call
    /// again with the rest.
    pub fn take(&mut self, octets: &[u8]) -> (usize, Run) {
        let (taken, run) = self.cut(octets);
        self.octets += match &run {
            Run::Octets(range) => range.len() as u64,
            Run::HeldCr => 1,
            Run::End => 0,
        };
        (taken, run)
    }

    /// The same without a count of the content. What changes with each octet is in local variables.
    fn cut(&mut self, octets: &[u8]) -> (usize, Run) {
        let (mut from, mut place, mut seen) = (0, 0, self.seen);
        let (mut lines, mut lines_octets) = (self.lines, self.lines_octets);
        let cut = loop {
            if seen == Seen::Inside {
                // Most octets are inside a line: skip to the next that can matter.
                let rest = octets.get(place..).unwrap_or_default();
                match memchr::memchr2(b'\r', b'\n', rest) {
                    None => break (octets.len(), Run::Octets(from..octets.len())),
                    Some(ahead) => place += ahead,
                }
            }
            let rest = octets.get(place..).unwrap_or_default();
            if matches!(seen, Seen::Inside | Seen::Start) && rest.starts_with(b"\r\n") {
                // The end of a line, as a rule whole: the table would take two steps.
                (place, seen) = (place + 2, Seen::Start);
                (lines, lines_octets) = (lines + 1, self.octets + (place - from) as u64);
                continue;
            }
            let Some(&octet) = rest.first() else { break (place, Run::Octets(from..place)) };
            let column = match octet {
                b'\r' => 0,
                b'\n' => 1,
                b'.' => 2,
                _ => 3,
            };
            let before = seen;
            let fate;
            (seen, fate) = TABLE[before as usize][column];
            // The content in front of this octet.
            let position = || self.octets + (place - from) as u64;
            match fate {
                Fate::Keep => {
                    if seen == Seen::Start {
                        lines += 1;
                        lines_octets = position() + 1;
                    }
                    place += 1;
                }
                Fate::KeepBare => {
                    // Bare is the CR before this octet, or this octet, an LF.
                    let (name, octet) = if before == Seen::Cr {
                        ("CR", position())
                    } else {
                        ("LF", position() + 1)
                    };
                    let bare = BareNewline { name, line: lines + 1, octet: octet - lines_octets };
                    self.bare.get_or_insert(bare);
                    place += 1;
                }
                Fate::Hold if place > from => break (place + 1, Run::Octets(from..place)),
                Fate::Hold => {
                    place += 1;
                    from = place;
                }
                Fate::Release => break (place, Run::HeldCr),
                Fate::End => break (place + 1, Run::End),
            }
        };
        (self.seen, self.lines, self.lines_octets) = (seen, lines, lines_octets);
        cut
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

    /// Content, whether it ended, the number of octets left, the first bare CR or LF.
    fn read(pieces: &[&[u8]]) -> (Vec<u8>, bool, usize, Option<BareNewline>) {
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
        (content, ended, left, cutter.bare_newline())
    }

    /// The same by another reading: find the end in the entire text, then undo the dots.
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

    /// The first bare CR or LF in content. A CR at its very end may get its LF yet.
    fn reference_bare(content: &[u8]) -> Option<BareNewline> {
        let is_bare = |place: usize| match content[place] {
            b'\r' => content.get(place + 1).is_some_and(|next| *next != b'\n'),
            b'\n' => place == 0 || content[place - 1] != b'\r',
            _ => false,
        };
        let place = (0..content.len()).find(|place| is_bare(*place))?;
        let lines: Vec<usize> =
            (0..=place).filter(|end| content[..*end].ends_with(b"\r\n")).collect();
        Some(BareNewline {
            name: if content[place] == b'\r' { "CR" } else { "LF" },
            line: lines.len() as u64 + 1,
            octet: (place - lines.last().copied().unwrap_or(0) + 1) as u64,
        })
    }

    #[test]
    fn every_text_of_the_four_classes_reads_as_the_rfc_has_it_however_it_is_cut() {
        // Eight octets reach every state of the table and of the reference from every other.
        for number in 0..4_usize.pow(8) {
            let text: Vec<u8> =
                (0..8).map(|place| b"\r\n.x"[number / 4_usize.pow(place) % 4]).collect();
            let (content, ended, left) = reference(&text);
            for cut in 0..text.len() {
                let (mut got, got_ended, got_left, bare) = read(&[&text[..cut], &text[cut..]]);
                assert_eq!(bare, reference_bare(&got), "{text:?} cut at {cut}");
                if !ended {
                    // What is held back at the end of the octets is not yet content.
                    let held = content.len() - got.len();
                    assert!(held <= 1, "{text:?}");
                    got.extend_from_slice(&content[content.len() - held..]);
                }
                assert_eq!(
                    (&got, got_ended, got_left),
                    (&content, ended, left),
                    "{text:?} cut at {cut}"
                );
            }
            let octets: Vec<&[u8]> = text.chunks(1).collect();
            let whole = read(&[&text]);
            assert_eq!(read(&octets), whole, "{text:?}");
        }
    }

    #[test]
    fn a_bare_cr_or_lf_is_seen() {
        assert_eq!(read(&[b"a\r\n.b\r\n.\r\n"]).3, None);
        for (text, name, line, octet) in [
            (&b"Subject: x\n\r\n.\r\n"[..], "LF", 1, 11),
            (b"a\r\n\r\na\rb\nc\r\n.\r\n", "CR", 3, 2),
            (b"a\nb\r\n.\r\n", "LF", 1, 2),
            (b"a\r\r\n.\r\n", "CR", 1, 2),
            (b"\r\n.\rx\r\n.\r\n", "CR", 2, 1),
            (b"\r\n..x\n\r\n.\r\n", "LF", 2, 3),
            (b"\n.\n\r\n.\r\n", "LF", 1, 1),
            (b".\n\r\n.\r\n", "LF", 1, 1),
        ] {
            let expected = Some(BareNewline { name, line, octet });
            assert_eq!(read(&[text]).3, expected, "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(
                    read(&[&text[..cut], &text[cut..]]).3,
                    expected,
                    "{text:?} cut at {cut}"
                );
            }
        }
        // Far after the header, in lines and runs of any length.
        let long = [&b"x".repeat(70_000)[..], b"\r\n"].concat().repeat(3);
        let expected = Some(BareNewline { name: "CR", line: 4, octet: 70_001 });
        assert_eq!(read(&[&long, &long[..70_000], b"\r", b"x"]).3, expected);
    }

    /// The end of the octets so far, by a second reading: their longest suffix (with the CR LF
    /// before the content) that is the beginning of CR LF dot CR LF.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct Suffix(usize);

    const END: &[u8] = b"\r\n.\r\n";

    impl Suffix {
        /// By the definition, not by a table: the longest prefix of the end that the text ends in.
        fn after(self, octet: u8) -> Self {
            let mut text = END[..self.0].to_vec();
            text.push(octet);
            Self((0..=END.len()).rev().find(|length| text.ends_with(&END[..*length])).unwrap())
        }
    }

    /// The table against the reference, over their entire product: every pair of states that
    /// any text of any length can bring about, each with every octet. The octets held back
    /// belong to the pair; the way of cutting does not, since a cutter keeps only its
    /// state between octets, which the last part of this test checks.
    #[test]
    fn in_every_state_that_any_text_can_reach_the_table_does_what_the_rfc_says() {
        let start = (Seen::Start, Suffix(2));
        let (mut met, mut todo) = (vec![start], vec![start]);
        let mut ends = 0;
        while let Some((seen, suffix)) = todo.pop() {
            // The pair is one fact told twice.
            let expected = match suffix.0 {
                0 => Seen::Inside,
                1 => Seen::Cr,
                2 => Seen::Start,
                3 => Seen::Dot,
                _ => Seen::DotCr,
            };
            assert_eq!(seen, expected);
            for octet in 0..=u8::MAX {
                let next = suffix.after(octet);
                let mut cutter = Content { seen, ..Content::new() };
                let text = [octet];
                let (mut given, mut rest, mut ended) = (Vec::new(), &text[..], false);
                while !rest.is_empty() {
                    let (taken, run) = cutter.take(rest);
                    match run {
                        Run::Octets(range) => given.extend_from_slice(&rest[range]),
                        Run::HeldCr => given.push(b'\r'),
                        Run::End => ended = true,
                    }
                    rest = &rest[taken..];
                }
                // Content is what is surely not the end: all that was held and is not held now.
                // The dot that begins a line is never content; nor is the CR after it while an
                // LF could end all.
                let mut content = Vec::new();
                if !(next.0 == END.len() || suffix.0 == 2 && octet == b'.') {
                    content.extend((suffix.0 == 4).then_some(b'\r'));
                    content.extend((next.0 != 4).then_some(octet));
                }
                assert_eq!(
                    (&given, ended),
                    (&content, next.0 == END.len()),
                    "{seen:?} {octet:#04x}"
                );
                // A CR without an LF after it, or an LF without a CR before it.
                let bare = (octet == b'\n') != matches!(suffix.0, 1 | 4)
                    && (octet == b'\n' || matches!(suffix.0, 1 | 4));
                assert_eq!(cutter.bare.is_some(), bare, "{seen:?} {octet:#04x}");
                if ended {
                    ends += 1;
                    continue;
                }
                let pair = (cutter.seen, next);
                if !met.contains(&pair) {
                    met.push(pair);
                    todo.push(pair);
                }
            }
        }
        assert_eq!((met.len(), ends), (5, 1), "each state once, and one way out");
        // However it is cut: in every state, two octets at once are as one and one.
        for (seen, _) in met {
            for pair in 0..=u16::MAX {
                let both = pair.to_be_bytes();
                let mut runs = [(Vec::new(), None, false), (Vec::new(), None, false)];
                for (result, size) in runs.iter_mut().zip([2, 1]) {
                    let mut cutter = Content { seen, ..Content::new() };
                    'pieces: for piece in both.chunks(size) {
                        let mut rest = piece;
                        while !rest.is_empty() {
                            let (taken, run) = cutter.take(rest);
                            match run {
                                Run::Octets(range) => result.0.extend_from_slice(&rest[range]),
                                Run::HeldCr => result.0.push(b'\r'),
                                Run::End => break 'pieces,
                            }
                            rest = &rest[taken..];
                        }
                    }
                    (result.1, result.2) = (Some(cutter.seen), cutter.bare.is_some());
                }
                assert_eq!(runs[0], runs[1], "{seen:?} {both:?}");
            }
        }
    }
}
