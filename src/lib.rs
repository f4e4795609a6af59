//! Postman: an SMTP receiver whose protocol is one file.

pub mod autofsm;
pub mod maildir;
pub mod smtp;
