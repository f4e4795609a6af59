//! The protocol. No socket, no file, no clock, no log.

pub mod envelope;
pub mod framer;
pub mod machine;
pub mod path;
pub mod vocabulary;
