//! How content begins: whether with a header, and what is before it.
//!
//! Some senders put something before the first header field: a byte order mark (editors and scripts
//! on Windows), or the line that separates messages in an mbox (`From alice@example.org Thu Jan  1
//! ...`; cron, a part of an mbox). A reader takes such a line for the end of the header, and shows
//! a message without a sender and a subject. This module finds what it is; [`super::form`] decides
//! what a file has instead.

/// The octets of content that decide at most, wherever it is cut and whether or not it went to a
/// file meanwhile. Content that is still undecided there is a body.
pub(super) const OPENING_BYTES_MAX: usize = 8192;

/// A field's name and its colon are in one line: a longer text is not a name. RFC 5322 2.1.1.
const FIELD_NAME_BYTES_MAX: usize = 997;

/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The start of a message's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening {
    /// The octets of byte order marks at its very start.
    pub marks: usize,
    /// The mbox lines before the header, each with its line end.
    pub mbox_lines: Vec<Vec<u8>>,
    /// Where the first header field begins; None where the content is a body.
    pub header: Option<usize>,
}

impl Opening {
    /// None while the octets so far do not decide. `ended` says that no more will come.
    pub(super) fn read(content: &[u8], ended: bool) -> Option<Self> {
        let content = content.get(..OPENING_BYTES_MAX).unwrap_or(content);
        let may_grow = !ended && content.len() < OPENING_BYTES_MAX;
        let (mut opening, mut place) = (Self::default(), 0);
        loop {
            let rest = content.get(place..).unwrap_or_default();
            if rest.starts_with(MARK) {
                place += MARK.len();
                if opening.mbox_lines.is_empty() {
                    opening.marks = place;
                }
                continue;
            }
            let is_field = begins_with_field(rest);
            if is_field == Some(true) {
                opening.header = Some(place);
                return Some(opening);
            }
            let is_mbox = begins_with_mbox_line(rest);
            let end = memchr::memchr(b'\n', rest).filter(|_| is_mbox == Some(true));
            if let Some(line) = end.and_then(|end| rest.get(..=end)) {
                opening.mbox_lines.push(line.to_vec());
                place += line.len();
                continue;
            }
            let is_open = MARK.starts_with(rest) || is_field.is_none() || is_mbox != Some(false);
            if may_grow && is_open {
                return None;
            }
            // The mbox lines are lines of the body then.
            opening.mbox_lines.clear();
            return Some(opening);
        }
    }
}

// field-name   = 1*ftext      ftext = %d33-57 / %d59-126                 RFC 5322 3.6.8
// obs-optional = field-name *WSP ":" unstructured CRLF                   RFC 5322 4.5.8
/// None where it ends too early to tell.
fn begins_with_field(content: &[u8]) -> Option<bool> {
    let name = content.iter().take_while(|octet| matches!(octet, 33..=57 | 59..=126)).count();
    let mut rest = content.iter().skip(name).skip_while(|octet| matches!(octet, b' ' | b'\t'));
    match rest.next() {
        _ if name > FIELD_NAME_BYTES_MAX => Some(false),
        Some(next) => Some(name > 0 && *next == b':'),
        None if name > 0 || content.is_empty() => None,
        None => Some(false),
    }
}

/// A line that separates messages in an mbox, quoted or not. None where it ends too early to tell.
fn begins_with_mbox_line(content: &[u8]) -> Option<bool> {
    const BEGIN: &[u8] = b"From ";
    let quotes = content.iter().take_while(|octet| **octet == b'>').count();
    let line = content.get(quotes..).unwrap_or_default();
    if line.starts_with(BEGIN) {
        return Some(true);
    }
    if BEGIN.starts_with(line) { None } else { Some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Opening {
        Opening::read(content, true).unwrap()
    }

    #[test]
    fn a_header_is_found_behind_marks_and_mbox_lines_in_any_order() {
        for (before, lines) in [
            (&b""[..], 0),
            (b"\xef\xbb\xbf", 0),
            (b"\xef\xbb\xbf\xef\xbb\xbf", 0),
            (b"From a@x.org Thu Jan  1 00:00:00 1970\r\n", 1),
            (b">From a@x.org\r\n", 1),
            (b">>From a\r\n", 1),
            (b"From \r\n", 1),
            (b"From a\n", 1),
            (b"From a\rb\r\n", 1),
            (b"From gr\xc3\xbc\xdfe\r\n", 1),
            (b"From Subject: x\r\n", 1),
            (b"\xef\xbb\xbfFrom a\r\n", 1),
            (b"From a\r\n\xef\xbb\xbf", 1),
            (b"From a\r\n>From b\r\n", 2),
            (b"\xef\xbb\xbfFrom a\r\n\xef\xbb\xbf>From b\r\n\xef\xbb\xbf", 2),
        ] {
            for field in [
                &b"From: a@x.org\r\n"[..],
                b"Subject \t : x\r\n",
                b"From : a@x.org\r\n",
                b">From: x\r\n",
                b"x:",
            ] {
                let opening = read(&[before, field].concat());
                assert_eq!(opening.header, Some(before.len()), "{before:?} {field:?}");
                assert_eq!(opening.mbox_lines.len(), lines, "{before:?}");
            }
        }
    }

    #[test]
    fn what_no_field_follows_is_a_body() {
        for content in [
            &b""[..],
            b"\xef",
            b"\xef\xbb",
            b"\xef\xbbx: y\r\n",
            b"\r\n",
            b"\r\nSubject: x\r\n",
            b" folded: x",
            b"\tx: y",
            b"no header",
            b"no header\r\nx: y\r\n",
            b":",
            b"x ",
            b"F",
            b">",
            b"From ",
            b"From a",
            b"From a: b",
            b"From a\r\n",
            b"From a\r\n\r\nx: y",
            b"From a\r\n folded\r\nSubject: x\r\n",
            b"From here on it is text\r\nand here too\r\n",
            b"From a\r\nFrom b\r\n",
            b"from a\r\nSubject: x\r\n",
            b"From\ta\r\nSubject: x\r\n",
            b"\xfe\xffS: x",
        ] {
            assert_eq!(read(content), Opening::default(), "{content:?}");
            let marked = read(&[MARK, content].concat());
            assert_eq!(marked, Opening { marks: 3, ..Opening::default() }, "{content:?}");
        }
    }

    #[test]
    fn the_decision_is_the_same_wherever_the_content_is_cut_and_is_made_in_time() {
        let long = [b"From ".as_slice(), &[b'x'; 3000], b"\r\nSubject: y\r\n"].concat();
        let over =
            [b"From ".as_slice(), &[b'x'; OPENING_BYTES_MAX], b"\r\nSubject: y\r\n"].concat();
        let name = [vec![b'x'; FIELD_NAME_BYTES_MAX], b": y\r\n".to_vec()].concat();
        let late = [vec![b'x'; FIELD_NAME_BYTES_MAX + 1], b": y\r\n".to_vec()].concat();
        let contents = [
            &b"\xef\xbb\xbfFrom a\r\n\xef\xbb\xbf>From b\r\nSubject: x\r\n\r\nbody"[..],
            b"\xef\xbb\xbfbody\r\n",
            b"From a\r\nbody\r\n",
            b"From : a\r\n",
            b">From: a\r\n",
            &long,
            &over,
            &name,
            &late,
        ];
        for content in contents {
            let whole = read(content);
            let mut decided = None;
            let step = if content.len() > 1000 { 89 } else { 1 };
            for end in (0..content.len()).step_by(step).chain([content.len()]) {
                let so_far = Opening::read(&content[..end], false);
                if let Some(decided) = &decided {
                    assert_eq!(so_far.as_ref(), Some(decided), "{end} of {content:?}");
                }
                decided = so_far.or(decided);
            }
            assert_eq!(decided, Some(whole), "{content:?}");
        }
        assert_eq!(read(&long).header, Some(3007));
        assert_eq!(read(&name).header, Some(0));
        for (content, most) in [(&over, OPENING_BYTES_MAX), (&late, FIELD_NAME_BYTES_MAX + 1)] {
            assert_eq!(Opening::read(&content[..most - 1], false), None);
            assert_eq!(Opening::read(&content[..most], false), Some(Opening::default()));
        }
    }
}
