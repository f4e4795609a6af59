//! The envelope: a message's sender, its recipients, and the way it arrived. RFC 5321 2.3.1.

use std::net::IpAddr;

use super::path::{Mailbox, ReversePath};

/// Where a recipient's mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A mailbox of this server.
    Local,
    /// The queue for another server.
    Remote,
}

/// One accepted recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// The address as the client wrote it.
    pub mailbox: Mailbox,
    /// Where the mail goes.
    pub place: Place,
}

/// All that is known of a message before its content arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The message's id: letters, digits and dashes.
    pub id: String,
    /// Where reports go.
    pub sender: ReversePath,
    /// The recipients; no two are the same mailbox.
    pub recipients: Vec<Recipient>,
    /// The client's name for itself: printable ASCII without blanks, at most 255 octets.
    pub helo: String,
    /// The client's address; `None` for one on a unix socket.
    pub client: Option<IpAddr>,
    /// The protocol by which it arrived: `SMTP`, `ESMTP` or `ESMTPS`. RFC 5321 4.4, RFC 3848.
    pub with: &'static str,
    /// How the line is encrypted. The caller of the session fills it in: the session does not know.
    pub encryption: Option<Encryption>,
}

/// How a line is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The version of the protocol, `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its registered name, `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}
