//! The session's contract: its settings, its inputs and its outputs.

use std::net::IpAddr;
use std::sync::Arc;

use crate::smtp::envelope::Envelope;
use crate::smtp::faults::Faults;
use crate::smtp::machine::Machine;
use crate::smtp::path::{Domain, Mailbox, Syntax};
use crate::smtp::reply::Reply;

/// What the compiler has said of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On every path each action finds what it needs.
    Proven,
    /// It has errors, and only `fsm try` and `fsm play` hold a session by it: an action that does
    /// not find what it needs ends the session, and is no fault of the session's.
    Refused,
}

/// The domains whose mail is for this server; other mail is for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domains {
    /// The server's own.
    Own,
    /// Each there is.
    Every,
}

/// What all sessions of a server share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocol.
    pub machine: &'static Machine,
    /// What the compiler has said of the protocol.
    pub standing: Standing,
    /// The server's own domain.
    pub domain: Domain,
    /// How much the readers of arguments tolerate.
    pub syntax: Syntax,
    /// Whether a message with a bare CR or LF is refused.
    pub refuse_bare_newline: bool,
    /// Whether VRFY says that a user exists.
    pub verify_honestly: bool,
    /// The domains whose mail is for this server.
    pub domains: Domains,
    /// The limits of a session.
    pub limits: Limits,
    /// Whether [`Output::Line`] hands out each line, for a log.
    pub shows_lines: bool,
    /// Where the server misbehaves, if it does.
    pub faults: Option<Arc<Faults>>,
}

/// What a client may ask of a session at most. The configuration has a key for each, with the
/// defaults and the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest command line with its CR LF, in octets.
    pub line_bytes_max: usize,
    /// The longest message, in octets.
    pub message_bytes_max: u64,
    /// The most recipients of one message.
    pub recipients_max: usize,
    /// The refused commands in a row that end the session.
    pub errors_max: usize,
    /// The most command lines of a session, refused ones too.
    pub commands_max: usize,
    /// The most recipients of all messages of a session.
    pub recipients_per_session_max: usize,
    /// The longest header block of a message, in octets.
    pub header_bytes_max: u64,
    /// The most Received: fields; a message with more is taken for a loop.
    pub received_max: usize,
}

/// The client of a session.
#[derive(Clone, Debug)]
pub struct Client {
    /// The session's id: letters and digits.
    pub id: String,
    /// The client's address. `None`: it is on this machine, at the other end of a unix socket.
    pub address: Option<IpAddr>,
    /// The server's address on this connection: its address literal is a name of the server's
    /// domain. A unix socket has none.
    pub local: Option<IpAddr>,
    /// Whether mail for other domains is taken.
    pub may_relay: bool,
    /// Whether it is not served at all: 554, and all that it can say is QUIT. RFC 5321 3.1.
    pub refused: bool,
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The connection is open: greet.
    Connect,
    /// Octets arrived.
    Octets(&'a [u8]),
    /// The answer to [`Question::Room`].
    Room(Result<(), Refusal>),
    /// The answer to [`Question::User`].
    User(Result<(), NoUser>),
    /// The answer to [`Question::Store`]. `Ok` is a promise: the message is on stable storage for
    /// every recipient.
    Stored(Result<(), Refusal>),
    /// The answer to [`Question::Handshake`].
    Handshake(Result<(), Refusal>),
    /// The handshake that [`Output::Encrypt`] asked for is over, and the line is encrypted. After a
    /// handshake that failed the input is [`Input::HangUp`].
    Encrypted,
    /// The time that [`Output::Wait`] asked for has passed.
    Waited,
    /// The client was silent for too long.
    Silence,
    /// The server stops.
    Stop,
    /// The client is gone.
    HangUp,
}

/// Why the store takes no message now, or the line cannot be encrypted now. The client may try
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too little space is free.
    Full,
    /// Too many messages wait for the disk, or too many handshakes are under way.
    Busy,
    /// The disk failed, or no certificate can be used.
    Broken,
}

/// Why no mail is taken for a local user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUser {
    /// No mailbox has this name.
    Unknown,
    /// No mailbox can have this name: it is too long for a folder.
    NameTooLong,
    /// The users cannot be read now.
    Unavailable(Refusal),
}

/// What the session cannot know. Each question has its input for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is there room for a message of this size, in octets (0: unknown)? [`Input::Room`].
    Room(u64),
    /// Is there this mailbox of the server's? [`Input::User`].
    User(Mailbox),
    /// Make the open message safe. [`Input::Stored`].
    Store,
    /// Can a handshake begin? [`Input::Handshake`].
    Handshake,
}

/// How a line of the client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// In CR LF, as it must.
    CrLf,
    /// In a bare LF.
    Lf,
    /// Beyond the limit; the octets are its beginning.
    TooLong,
}

/// What a session wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this.
    Reply(Reply),
    /// Answer this; nothing else happens until then.
    Ask(Question),
    /// A message begins.
    Open(Box<Envelope>),
    /// Content of the message that was opened.
    Content(&'a [u8]),
    /// Send all replies, shake hands, and then give [`Input::Encrypted`]. Until then give no
    /// octets, and drop those that have arrived in the clear. RFC 3207 4.
    Encrypt,
    /// Forget the message that was opened.
    Discard,
    /// The machine moved.
    Step(Step),
    /// The client sent this line: a command or the end of content. The next reply answers it. Only
    /// if [`Settings::shows_lines`] says so.
    Line(Vec<u8>, LineEnd),
    /// A line was refused; the next reply says so.
    Refused(Refused),
    /// Send all replies, and close.
    Close,
    /// A fault fired: for the log.
    Fault(Fired),
    /// Send these octets, after the replies so far. They are a fault's answer, or a part of it.
    Octets(Vec<u8>),
    /// The octets so far are not the whole answer: no more of it leaves. An encrypted line then breaks
    /// off within a record, and without a farewell.
    Cut,
    /// Send all replies, let so many milliseconds pass, and then give [`Input::Waited`]. Meanwhile the
    /// client's silence does not count; its octets may be given, and are kept. If it hangs up, or the
    /// server stops, that is the next input.
    Wait(u64),
    /// Send all replies, and reset the connection.
    Reset,
    /// Send all replies. Say nothing more, take nothing more, and keep the connection until the client
    /// is gone.
    Hang,
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line as the client sent it, at most its first 256 octets; or in parentheses what it was.
    pub line: String,
    /// The name of its event; `None` if it is no command of the machine.
    pub event: Option<&'static str>,
    /// The reply's code.
    pub code: u16,
}

/// A fault that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Its words.
    pub says: String,
    /// The reply that is not sent as it is: octets follow in its place, or nothing.
    pub unsaid: Option<Reply>,
}

/// One move of the machine: what the log shows and the tests assert on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: &'static str,
    /// The event.
    pub event: &'static str,
    /// The action.
    pub action: &'static str,
    /// The reply's code; 0 for a step without a reply.
    pub code: u16,
    /// The state after.
    pub to: &'static str,
}
