//! A dialogue's text, read line by line.

use std::collections::BTreeMap;

use super::{Act, BASE, Dialogue, Ending, Mismatch, Verdict, shown};
use crate::autofsm::milliseconds;

/// The most octets that one line may send.
const OCTETS_MAX: usize = 64 << 20;

fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(octets)
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let Some((piece, times)) =
        text.rsplit_once(" * ").and_then(|(piece, times)| Some((piece, times.parse().ok()?)))
    else {
        return unescape(text);
    };
    let piece = unescape(piece)?;
    (piece.len().checked_mul(times)? <= OCTETS_MAX).then(|| piece.repeat(times))
}

fn act(line: &str) -> Option<Act> {
    let (mark, text) = line.split_at_checked(2)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(match (mark, text) {
        ("S:", begin) => Act::Reply(begin.to_owned()),
        ("C:", line) => Act::Octets(format!("{line}\r\n").into_bytes()),
        ("O:", text) => Act::Octets(octets(text)?),
        ("= ", state) => Act::State(state.to_owned()),
        ("* ", "discarded") => Act::Discarded,
        ("* ", "encrypted") => Act::Encrypted,
        ("* ", "silence") => Act::Silence,
        ("* ", "stop") => Act::Stop,
        ("* ", "closed") => Act::Closed,
        ("* ", "reset") => Act::Ends(Ending::Reset),
        ("* ", "hangs") => Act::Ends(Ending::Hang),
        ("* ", text) => match text.split_once(' ').unwrap_or((text, "")) {
            ("fault", says) if !says.is_empty() => Act::Fault(says.to_owned()),
            ("stored", content) => Act::Stored(octets(content)?),
            ("waited", time) => Act::Waited(milliseconds(time)?),
            ("later", time) => Act::Later(milliseconds(time)?),
            ("verdict", "yes") => Act::Verdict(Verdict::Yes),
            ("verdict", "unknown") => Act::Verdict(Verdict::Unknown),
            ("verdict", "full") => Act::Verdict(Verdict::Full),
            ("verdict", "busy") => Act::Verdict(Verdict::Busy),
            ("verdict", "broken") => Act::Verdict(Verdict::Broken),
            _ => return None,
        },
        _ => return None,
    })
}

/// What a line that cannot be read should have been.
fn expected(line: &str) -> &'static str {
    match line.as_bytes() {
        [b'*', ..] => {
            "`* verdict yes`, `unknown`, `full`, `busy` or `broken`, `* stored TEXT`, `* discarded`, \
             `* encrypted`, `* silence`, `* stop`, `* closed`, `* waited TIME`, `* later TIME`, `* reset`, `* hangs` or `* fault WORDS`"
        }
        [b'=', ..] => "a state, as in `= init`",
        [b'!', ..] => "`! key: value`",
        [b'O', b':', ..] => {
            "octets, with `\\r`, `\\n`, `\\t`, `\\0`, `\\\\`, `\\xHH`, and ` * N` for N times"
        }
        _ => {
            "`C: ` and what the client says, `S: ` and how the reply begins, `= STATE`, or `#` and a comment"
        }
    }
}

impl Dialogue {
    /// Reads a dialogue.
    ///
    /// # Errors
    /// A line that no dialogue has; a dialogue where the server does not speak first.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let mut keys: BTreeMap<String, String> =
            BASE.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (mut acts, mut definition, mut key_lines) = (Vec::new(), None, BTreeMap::new());
        let (mut without, mut encrypted, mut faults, mut due) = (Vec::new(), None, None, None);
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim_start();
            let fail = |expected: &str| Mismatch {
                line: number,
                expected: expected.to_owned(),
                got: shown(line),
            };
            if let Some(setting) = line.strip_prefix("! ") {
                let (key, value) =
                    setting.split_once(": ").ok_or_else(|| fail("`! key: value`"))?;
                key_lines.insert(key.to_owned(), number);
                match key {
                    "definition" => definition = Some(value.to_owned()),
                    "faults" => faults = Some(value.to_owned()),
                    "due" if value == "listed" => due = Some(Vec::new()),
                    "without" => without.push((number, value.to_owned())),
                    "encrypted" if value == "yes" => encrypted = Some(number),
                    _ => drop(keys.insert(key.to_owned(), value.to_owned())),
                }
            } else if !(line.is_empty() || line.starts_with('#')) {
                let act = act(line).ok_or_else(|| fail(expected(line)))?;
                if acts.is_empty()
                    && let (Act::Fault(says), Some(due)) = (&act, &mut due)
                {
                    due.push(says.clone());
                    continue;
                }
                if acts.is_empty() && !matches!(act, Act::Reply(_)) {
                    return Err(fail("the server to speak first, as in `S: 220`"));
                }
                acts.push((number, act));
            }
        }
        // A fault may end the connection before anything is said.
        if acts.is_empty() && due.as_ref().is_none_or(Vec::is_empty) {
            let expected =
                "a dialogue, which begins with the server's greeting: `S: 220`".to_owned();
            return Err(Mismatch { line: 1, expected, got: "nothing".to_owned() });
        }
        Ok(Self { keys, key_lines, definition, faults, due, without, encrypted, acts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_dialogues_is_refused() {
        for line in [
            "",
            "X: x",
            "O: \\q",
            "O: \\x9",
            "O: x * 99999999999",
            "* verdict maybe",
            "* tea",
            "é",
            "=x",
        ] {
            assert_eq!(act(line), None, "{line}");
        }
        assert_eq!(act("O: \\x41\\0 * 2"), Some(Act::Octets(b"A\0A\0".to_vec())));
        assert_eq!(act("O: a * b"), Some(Act::Octets(b"a * b".to_vec())));
    }
}
