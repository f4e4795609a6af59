//! What a fault does once it fires.

use std::sync::Arc;

use regex::bytes::Captures;

use super::Ready;
use crate::autofsm::{Answer, Code, Ending, Pace};
use crate::smtp::reply::Reply;

/// What a session does for a fault that has fired.
#[derive(Clone, Debug)]
pub(in crate::smtp) struct Effect {
    /// The fault's words.
    pub(in crate::smtp) says: Arc<str>,
    /// Nothing changes, and the reply says why.
    pub(in crate::smtp) refuses: bool,
    /// The reply, if it is another than the row's.
    pub(in crate::smtp) reply: Option<Reply>,
    /// The octets in the reply's place.
    pub(in crate::smtp) octets: Option<Vec<u8>>,
    /// How long the answer waits, in milliseconds.
    pub(in crate::smtp) wait_ms: u64,
    /// The answer in pieces.
    pub(in crate::smtp) pace: Option<Pace>,
    /// So many octets of it leave.
    pub(in crate::smtp) cut: Option<usize>,
    /// How the connection ends.
    pub(in crate::smtp) end: Option<Ending>,
}

/// The longest part of a line that goes into a reply, in octets.
const GROUP_BYTES_MAX: usize = 200;

/// A group of the pattern, as text.
fn group(captures: Option<&Captures<'_>>, number: usize) -> String {
    let octets = captures
        .and_then(|captures| captures.get(number))
        .map_or(&b""[..], |group| group.as_bytes());
    let octets = octets.get(..GROUP_BYTES_MAX).unwrap_or(octets);
    String::from_utf8_lossy(octets).into_owned()
}

/// A text with the groups that it names.
fn expanded(text: &str, captures: Option<&Captures<'_>>) -> String {
    let mut parts = text.split('$');
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let [digit @ b'1'..=b'9', ..] = part.as_bytes() {
            said += &group(captures, usize::from(digit - b'0'));
            said += part.get(1..).unwrap_or_default();
        } else {
            said.push('$');
            said += part;
        }
    }
    said
}

impl Effect {
    /// What a fault does for a line that its pattern has matched. `None` if the code that the line
    /// asks for is no refusal's.
    pub(super) fn new(ready: &Ready, captures: Option<&Captures<'_>>) -> Option<Self> {
        let fault = &ready.fault;
        let reply = match &fault.answer {
            Answer::Reply(code, lines) => {
                let code = match code {
                    Code::Fixed(code) => *code,
                    Code::Group(number) => {
                        let code = group(captures, *number);
                        code.parse()
                            .ok()
                            .filter(|code| is_refusals(*code, &group(captures, *number)))?
                    }
                };
                let lines = lines.iter().map(|line| expanded(line, captures).into());
                Some(Reply { code, enhanced: "", lines: lines.collect() })
            }
            Answer::Row | Answer::Octets(_) => None,
        };
        let octets = match &fault.answer {
            Answer::Octets(octets) => Some(octets.clone().into_bytes()),
            Answer::Row | Answer::Reply(..) => None,
        };
        Some(Self {
            says: ready.says.clone(),
            refuses: fault.refuses(),
            reply,
            octets,
            wait_ms: fault.wait_ms,
            pace: fault.pace,
            cut: fault.cut,
            end: fault.end,
        })
    }

    /// What leaves in the place of a reply, in pieces; `None` if the reply leaves as it is.
    pub(in crate::smtp) fn pieces(&self, reply: &Reply, enhanced: bool) -> Option<Vec<Vec<u8>>> {
        if self.octets.is_none() && self.pace.is_none() && self.cut.is_none() {
            return None;
        }
        let mut octets = self.octets.clone().unwrap_or_else(|| {
            let mut octets = Vec::new();
            reply.write(&mut octets, enhanced);
            octets
        });
        octets.truncate(self.cut.unwrap_or(usize::MAX));
        let most = self.pace.map_or(usize::MAX, |pace| pace.octets).max(1);
        Some(octets.chunks(most).map(<[u8]>::to_vec).collect())
    }
}

/// Whether a line that asks for its answer asks for a refusal, and for three digits.
fn is_refusals(code: u16, text: &str) -> bool {
    (400..=599).contains(&code) && text.len() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_groups() {
        let regex = regex::bytes::Regex::new("(?-u)<(.)(.*)@").unwrap();
        let captures = regex.captures(b"<abc@x>");
        assert_eq!(expanded("$1 and $2, $3, $ and $", captures.as_ref()), "a and bc, , $ and $");
        assert_eq!(expanded("plain", None), "plain");
    }
}
