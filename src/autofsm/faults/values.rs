//! The values of a fault's attributes: times, counts, replies and octets.

use super::{Code, Pace};

/// The longest wait, in milliseconds: an hour.
pub(super) const WAIT_MS_MAX: u64 = 3_600_000;
/// The longest time in which is counted, in milliseconds: a day.
const IN_MS_MAX: u64 = 86_400_000;
/// The most that is counted.
pub(super) const TIMES_MAX: u32 = 1_000_000;
/// The most that is counted in a time: each is remembered.
const OVER_MAX: u32 = 10_000;
/// The most octets of an answer.
pub(super) const OCTETS_MAX: usize = 8_192;
/// The most pauses of a paced answer are as many as it has octets; a pause is this long at most.
const PACE_MS_MAX: u64 = 60_000;

const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// A number without a sign.
fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Milliseconds, of `30s`; `None` if the text is no time.
#[must_use]
pub fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(digits)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number(digits)?.checked_mul(*factor)
}

/// The same of a definition's value, which may have a blank before its unit: `200 ms`.
///
/// # Errors
/// What it must be.
pub(super) fn time(text: &str) -> Result<u64, &'static str> {
    const HELP: &str = "a number and `ms`, `s`, `min` or `h`, in quotes: `'30s'`";
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    milliseconds(&format!("{digits}{}", unit.trim())).ok_or(HELP)
}

/// How long an answer waits.
///
/// # Errors
/// What it must be.
pub(super) fn wait(text: &str) -> Result<u64, &'static str> {
    let wait = time(text)?;
    if wait > WAIT_MS_MAX { Err("at most an hour: `'1h'`") } else { Ok(wait) }
}

/// How often, from 1.
///
/// # Errors
/// What it must be.
pub(super) fn times(text: &str) -> Result<u32, &'static str> {
    let times = number(text.trim()).and_then(|number| u32::try_from(number).ok());
    times.filter(|times| (1..=TIMES_MAX).contains(times)).ok_or("a number from 1 to 1000000")
}

/// How many in how long, of `10 in 60s`.
///
/// # Errors
/// What it must be.
pub(super) fn over(text: &str) -> Result<(u32, u64), &'static str> {
    const HELP: &str = "how many in how long, in quotes: `'10 in 60s'`; at most 10000 in a day";
    let (most, time_text) = text.split_once(" in ").ok_or(HELP)?;
    let most = times(most).map_err(|_| HELP)?;
    let in_ms = time(time_text).map_err(|_| HELP)?;
    if most > OVER_MAX || !(1..=IN_MS_MAX).contains(&in_ms) { Err(HELP) } else { Ok((most, in_ms)) }
}

/// How many octets at a time, of `1 octet, 200ms`.
///
/// # Errors
/// What it must be.
pub(super) fn pace(text: &str) -> Result<Pace, &'static str> {
    const HELP: &str =
        "how many octets and how often, in quotes: `'1 octet, 200ms'`; a pause of at most a minute";
    let (octets, every) = text.split_once(',').ok_or(HELP)?;
    let octets = octets.trim();
    let octets = octets.strip_suffix("octets").or_else(|| octets.strip_suffix("octet"));
    let octets = number(octets.ok_or(HELP)?.trim()).and_then(|number| usize::try_from(number).ok());
    let octets = octets.filter(|octets| (1..=OCTETS_MAX).contains(octets)).ok_or(HELP)?;
    let every_ms = time(every).map_err(|_| HELP)?;
    if !(1..=PACE_MS_MAX).contains(&every_ms) {
        return Err(HELP);
    }
    Ok(Pace { octets, every_ms })
}

/// So many octets.
///
/// # Errors
/// What it must be.
pub(super) fn octets(text: &str) -> Result<u64, &'static str> {
    const MAX: u64 = 1 << 32;
    number(text.trim()).filter(|octets| *octets <= MAX).ok_or("a number of octets, from 0")
}

/// A line of a reply: its code, whether another line follows, and its words.
///
/// # Errors
/// What it must be.
pub(super) fn reply_line(text: &str) -> Result<(Code, bool, &str), &'static str> {
    const HELP: &str = "a code from 200 to 599, or `$1`; then, if there are words, a blank and at most 500 \
                        printable characters";
    let (code, rest) = match text.as_bytes() {
        [b'$', digit @ b'1'..=b'9', ..] => {
            (Code::Group(usize::from(digit - b'0')), text.get(2..).unwrap_or_default())
        }
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', ..] => {
            let (code, rest) = text.split_at_checked(3).ok_or(HELP)?;
            (Code::Fixed(code.parse().map_err(|_| HELP)?), rest)
        }
        _ => return Err(HELP),
    };
    let is_printable = rest.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    let follows = rest.starts_with('-');
    if !is_printable || rest.len() > 500 || !(rest.is_empty() || rest.starts_with([' ', '-'])) {
        return Err(HELP);
    }
    Ok((code, follows, rest.get(1..).unwrap_or_default()))
}

/// The highest group of a pattern that a text speaks of, as in `$2`.
pub(super) fn highest_group(text: &str) -> usize {
    let octets = text.as_bytes().windows(2);
    let groups = octets.filter_map(|pair| match pair {
        [b'$', digit @ b'1'..=b'9'] => Some(usize::from(digit - b'0')),
        _ => None,
    });
    groups.max().unwrap_or(0)
}

/// What is known of octets that are sent as an answer, by the narrowest reading: a line ends at a
/// CR as well as at an LF, and what begins with `ddd-` goes on, all else is the end of a reply.
pub(super) struct Shape {
    /// They are one whole reply: lines that go on, and then one that ends in CR LF.
    pub is_whole: bool,
    /// Something stands behind the first line that ends a reply.
    pub goes_on: bool,
    /// Some line begins with the digit of a success.
    pub has_success: bool,
}

pub(super) fn shape(octets: &str) -> Shape {
    let begins = |line: &str| {
        let code = line.as_bytes().get(..3)?;
        code.iter().all(u8::is_ascii_digit).then(|| line.as_bytes().get(3).copied())
    };
    let lines: Vec<&str> = octets.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().position(|line| matches!(begins(line), Some(Some(b' ') | None)));
    let goes_on = last.is_some_and(|last| last + 1 < lines.len());
    let lead = lines.split_last().map_or(&[][..], |(_, lead)| lead);
    let is_whole = last.is_some()
        && !goes_on
        && octets.ends_with("\r\n")
        && lead.iter().all(|line| begins(line) == Some(Some(b'-')))
        // Nothing but whole line ends between.
        && octets.split_inclusive("\r\n").all(|line| {
            line.strip_suffix("\r\n").is_some_and(|line| !line.is_empty() && !line.contains(['\r', '\n']))
        });
    let has_success = lines.iter().any(|line| line.trim_start().starts_with('2'));
    Shape { is_whole, goes_on, has_success }
}

/// Whether some line begins with the digit of a success, and a line is none of a reply: a client
/// that takes that for an answer would take the success for the next one.
pub(super) fn hides_success(octets: &str) -> bool {
    let code = |line: &str| {
        line.as_bytes().get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
    };
    let lines: Vec<&str> = octets.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    let lead = lines.split_last().map_or(&[][..], |(_, lead)| lead);
    let is_reply = lead.iter().all(|line| code(line) && line.as_bytes().get(3) == Some(&b'-'))
        && lines.last().is_none_or(|line| code(line));
    shape(octets).has_success && !is_reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_counts_and_paces_are_read() {
        assert_eq!(time("30s"), Ok(30_000));
        assert_eq!(time(" 200 ms "), Ok(200));
        assert_eq!(time("2min"), Ok(120_000));
        for wrong in ["30", "s", "", "-1s", "1.5s", "30 sec", "99999999999999999999h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(wait("1h").is_ok() && wait("61min").is_err());
        assert_eq!(over("10 in 60s"), Ok((10, 60_000)));
        assert!(over("10in60s").is_err() && over("0 in 1s").is_err());
        assert_eq!(pace("1 octet, 200ms"), Ok(Pace { octets: 1, every_ms: 200 }));
        assert!(pace("0 octets, 1s").is_err() && pace("5, 1s").is_err());
    }

    #[test]
    fn the_shape_of_octets_is_read_in_the_narrowest_way() {
        let shape = |octets| {
            let Shape { is_whole, goes_on, has_success } = shape(octets);
            let is_odd = goes_on || octets.starts_with("garbage");
            assert_eq!(hides_success(octets), has_success && is_odd, "{octets}");
            (is_whole, goes_on, has_success)
        };
        assert_eq!(shape("550 no\r\n"), (true, false, false));
        assert_eq!(shape("550-no\r\n550 no\r\n"), (true, false, false));
        assert_eq!(shape("250 ok\r\n"), (true, false, true));
        assert_eq!(shape("550 no\r\n250 ok\r\n"), (false, true, true));
        assert_eq!(shape("550 no\n250 ok\r\n"), (false, true, true));
        assert_eq!(shape("550 no\r250 ok\r\n"), (false, true, true));
        assert_eq!(shape("550-no\r\n"), (false, false, false));
        assert_eq!(shape("garbage\r\n550 no\r\n"), (false, false, false));
        assert_eq!(shape("garbage\r\n250 ok\r\n"), (false, false, true));
        assert_eq!(shape("550 no"), (false, false, false));
        assert_eq!(shape(""), (false, false, false));
    }
}
