//! The session's contract: what it is told, and what it wants.

use std::net::IpAddr;

use super::Step;
use crate::smtp::envelope::Envelope;
use crate::smtp::machine::Machine;
use crate::smtp::path::{Domain, LocalPart, Syntax};
use crate::smtp::reply::Reply;

/// What all sessions of a server share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocol.
    pub machine: &'static Machine,
    /// The server's own domain.
    pub domain: Domain,
    /// How much the readers of arguments tolerate.
    pub syntax: Syntax,
    /// Whether a message with a bare CR or LF is refused.
    pub refuse_bare_newline: bool,
    /// Whether VRFY tells who exists.
    pub verify_honestly: bool,
    /// The longest command line with its CR LF, in octets.
    pub line_bytes_max: usize,
    /// The longest message, in octets.
    pub message_bytes_max: u64,
    /// The most recipients of one message.
    pub recipients_max: usize,
    /// So many refused commands in a row end the session.
    pub errors_max: usize,
    /// So many command lines, refused ones too, are the most of a session.
    pub commands_max: usize,
    /// The most recipients of all messages of a session.
    pub recipients_per_session_max: usize,
    /// The longest header block of a message, in octets.
    pub header_bytes_max: u64,
    /// More Received: fields than these are a loop.
    pub received_max: usize,
}

impl Settings {
    /// The least that RFC 5321 4.5.3.1 asks for, where it asks; lenient where it leaves a choice.
    #[must_use]
    pub fn new(machine: &'static Machine, domain: Domain) -> Self {
        Self {
            machine,
            domain,
            syntax: Syntax::Lenient,
            refuse_bare_newline: true,
            verify_honestly: false,
            line_bytes_max: 2048,
            message_bytes_max: 65_536,
            recipients_max: 100,
            errors_max: 20,
            commands_max: usize::MAX,
            recipients_per_session_max: usize::MAX,
            header_bytes_max: 65_536,
            received_max: 100,
        }
    }
}

/// Who is on the other end.
#[derive(Clone, Debug)]
pub struct Client {
    /// The session's id: letters and digits.
    pub id: String,
    /// The client's address.
    pub address: IpAddr,
    /// The connection's own end: its address literal is a name of the own domain.
    pub local: IpAddr,
    /// Whether mail for other domains is taken.
    pub may_relay: bool,
    /// Whether it is not served at all: 554, and all that it can say is QUIT. RFC 5321 3.1.
    pub refused: bool,
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The connection stands: greet.
    Connect,
    /// Octets came.
    Octets(&'a [u8]),
    /// The answer to the question that was asked.
    Verdict(Verdict),
    /// The client was silent for too long.
    Silence,
    /// The server stops.
    Stop,
    /// The client is gone.
    HangUp,
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes; for [`Question::Store`]: the message is on stable storage for every recipient.
    Yes,
    /// No such user.
    Unknown,
    /// No mailbox can have this name: it is too long for a folder.
    Unnameable,
    /// There is no space.
    Full,
    /// Too many messages wait for the disk.
    Busy,
    /// The disk failed.
    Broken,
}

/// What the session cannot know by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// May a message of so many octets (0: unknown) begin?
    Room(u64),
    /// Is there a mailbox of this name in the own domain?
    Recipient(LocalPart),
    /// Make the message that was opened safe. `Yes` is a promise.
    Store,
}

/// What a session wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this.
    Reply(Reply),
    /// Answer this with [`Input::Verdict`]; nothing else happens until then.
    Ask(Question),
    /// A message begins.
    Open(Box<Envelope>),
    /// Content of the message that was opened.
    Content(&'a [u8]),
    /// Forget the message that was opened.
    Discard,
    /// The machine moved.
    Step(Step),
    /// A line was refused with this code; the line is as the client sent it, or in parentheses what it was.
    Refused(String, u16),
    /// Send what is to be sent, and close.
    Close,
}
