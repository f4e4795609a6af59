//! Octets into lines and content. RFC 5321 2.3.7, 2.3.8, 4.1.1.4, 4.5.2.
//!
//! Outside content the framer yields lines ([`Lines`]); inside, runs of content with the
//! transparency dots taken away ([`Content`]), until CR LF dot CR LF and nothing else ends it. The
//! two know nothing of each other: which of them reads is the session's to say.

mod content;
mod lines;

pub use content::{BareNewline, Content, Run};
pub use lines::{Line, Lines};
