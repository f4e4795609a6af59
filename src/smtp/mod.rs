//! The protocol. No socket, no file, no clock, no log.

pub mod command;
pub mod envelope;
pub mod faults;
pub mod framer;
mod literal;
pub mod loaded;
pub mod machine;
pub mod path;
pub mod reply;
pub mod session;
pub mod vocabulary;
