//! A message as the log names it: from DATA to its reply.

use super::super::message_id::MessageId;
use super::escape;
use crate::maildir::Delivered;

/// The length at which a message's line goes on in another one, in octets.
const LINE_BYTES_MAX: usize = 1000;

/// A message from DATA to its reply.
#[derive(Default)]
pub(super) struct Transaction {
    /// The id that its reply names.
    pub(super) id: String,
    /// Its escaped address, without brackets.
    pub(super) sender: String,
    /// Escaped addresses, in the envelope's order.
    pub(super) recipients: Vec<String>,
    /// The content so far, in octets.
    pub(super) octets: u64,
    /// Its Message-ID, found in the content.
    pub(super) message_id: MessageId,
    /// Whether the final dot came.
    pub(super) is_whole: bool,
    /// Where it is, once it is stored.
    pub(super) files: Vec<Delivered>,
}

impl Transaction {
    /// The message's line, with each recipient and where its mail is; more lines where it would be
    /// too long.
    pub(super) fn lines(&self, id: &str, result: &str) -> Vec<String> {
        let message_id = escape(&self.message_id.text());
        let mut line = format!(
            "{id} message id={} from=<{}> rcpts={} size={} message_id=\"{message_id}\" result={result}",
            self.id,
            self.sender,
            self.recipients.len(),
            self.octets
        );
        let mut lines = Vec::new();
        for piece in self.pieces() {
            // A line of nothing but its id takes any piece.
            if line.len() + piece.len() > LINE_BYTES_MAX
                && !line.ends_with(&format!(" files id={}", self.id))
            {
                let next = format!("{id} files id={}", self.id);
                lines.push(std::mem::replace(&mut line, next));
            }
            line += &piece;
        }
        lines.push(line);
        lines
    }

    /// Recipients with the file that they share, in pieces of half a line at most, if they can be.
    fn pieces(&self) -> Vec<String> {
        let all = (0..self.recipients.len()).collect();
        let nowhere = [Delivered { path: String::new(), recipients: all }];
        let files = if self.files.is_empty() { &nowhere[..] } else { &self.files };
        let mut pieces = Vec::new();
        for file in files {
            let end = if file.path.is_empty() {
                String::new()
            } else {
                format!(" file={}", escape(&file.path))
            };
            let mut piece = String::new();
            for recipient in file.recipients.iter().filter_map(|place| self.recipients.get(*place))
            {
                if !piece.is_empty()
                    && piece.len() + recipient.len() + end.len() > LINE_BYTES_MAX / 2
                {
                    pieces.push(std::mem::take(&mut piece) + &end);
                }
                piece += if piece.is_empty() { " to=<" } else { ",<" };
                piece += recipient;
                piece.push('>');
            }
            pieces.push(piece + &end);
        }
        pieces
    }
}
