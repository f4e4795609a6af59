//! Octets into outputs: lines and content are read only as the outputs are taken.

use super::{Output, Session};
use crate::smtp::framer::Run;

/// The outputs that one input brings about.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// The session that was given the input.
    session: &'a mut Session,
    /// Octets that were kept from earlier inputs, with the given ones after them.
    held: Vec<u8>,
    /// The octets of the input, or none.
    given: &'a [u8],
    /// The octets that were read, of `held` or, if it is empty, of `given`.
    position: usize,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(session: &'a mut Session, held: Vec<u8>, given: &'a [u8]) -> Self {
        Self { session, held, given, position: 0 }
    }

    fn octets(&self) -> &[u8] {
        if self.held.is_empty() { self.given } else { &self.held }
    }

    /// The next output. Returns `None` when the session wants the next input.
    #[expect(
        clippy::should_implement_trait,
        reason = "an output borrows from the octets, which Iterator cannot say"
    )]
    pub fn next(&mut self) -> Option<Output<'_>> {
        loop {
            if self.session.paused {
                return None;
            }
            if let Some(output) = self.session.queue.pop_front() {
                self.session.paused = matches!(output, Output::Wait(_));
                return Some(output);
            }
            let octets = if self.held.is_empty() { self.given } else { &self.held };
            let rest = octets.get(self.position..).unwrap_or_default();
            if rest.is_empty() || self.session.closed || self.session.waiting.is_some() {
                return None;
            }
            if let Some(event) = self.session.content_event() {
                let (taken, run) = self.session.content(event, rest);
                let start = self.position;
                self.position += taken;
                match run {
                    None | Some(Run::End) => {}
                    Some(Run::HeldCr) => return Some(Output::Content(b"\r")),
                    Some(Run::Octets(range)) => {
                        let range = start + range.start..start + range.end;
                        return self.octets().get(range).map(Output::Content);
                    }
                }
            } else {
                let (taken, line) =
                    self.session.lines.take(rest, self.session.settings.limits.line_bytes_max);
                self.position += taken;
                self.session.is_followed = taken < rest.len();
                if let Some(line) = line {
                    self.session.line(line);
                }
            }
        }
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        // A question was asked before them: they are read after its answer.
        let rest = self.octets().get(self.position..).unwrap_or_default();
        if !rest.is_empty() && !self.session.closed {
            self.session.unread = rest.to_vec();
        }
    }
}
