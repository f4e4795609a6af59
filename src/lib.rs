//! Postman: an SMTP receiver whose protocol is one file.
//!
//! The way of the data:
//!
//! ```text
//! smtp-states.def --autofsm, at build time--> the table
//!                                               |
//! octets --framer--> lines --command--> session looks, judges, steps, acts --> replies
//!                      |                        |
//!                      '------- content ------> maildir: mailboxes and queue, safe on disk
//! ```
//!
//! `docs/architecture.md` has the same, file by file.

pub mod autofsm;
pub mod cli;
pub mod config;
pub mod conformance;
pub mod dialogue;
pub mod logging;
pub mod maildir;
mod reader;
pub mod server;
pub mod smtp;
pub mod web;
