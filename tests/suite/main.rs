//! The tests from outside, cheapest first.
//!
//! - `boundaries`: what each part of the source may know
//! - `machine`: the table that the build made of the project's page, and all that is made of that
//!   page. Every other test works on a page of its own, `tests/smtp-states.def`
//! - `compiler`: definitions that must be refused, each with its place and help
//! - `slips`: a letter wrong in each name of a page
//! - `mutants`: the project's definition, broken in every small way
//! - `proof`: never and always, against a naive search
//! - `definition`: the examples of docs/definition.md
//! - `picture`: definitions as pictures
//! - `diff`: what a client could notice between two definitions
//! - `explain`: why a state does what it does, and what a client sees of it
//! - `faults`: what the compiler says of faults, the ready ones, and that 250 after END means it
//! - `faulty`: a server that misbehaves, by its socket
//! - `faulty_tls`: the same over TLS, and in a handshake
//! - `refused`: a definition with errors is shown with marks, tried, and never served
//! - `autogen`: GNU autogen makes the same table
//! - `fixtures`: each mistake as a file, what is said of it beside it
//! - `dialogues`: sessions as the RFC writes them, cut in every way
//! - `confinement`: who the server is, what it may reach, and what it hears
//! - `against`: `fsm play --against`, and servers that say less, more, or nothing
//! - `conformance`: any server put to the page: ours, each mutant of it, and bad ones
//! - `conformance_tls`: the same over encrypted lines, with the handshake as one of the commands
//! - `interrupted`: Ctrl-C in a test and in learning keeps what is known
//! - `tools`: `fsm try`, `fsm play`, `fsm check --format json`, `serve --states`
//! - `limits`: each at its last good value and one past it
//! - `grammar`: what is taken is what the RFC's own ABNF says, and what other parsers say
//! - `smuggling`: nothing but CR LF dot CR LF ends a message
//! - `bad_input`: the reply, the log line, and folders that stay as they were
//! - `checks`: what the fuzzers check, run over their corpora
//! - `session`: what it refuses, how it ends, that it moves only along the table
//! - `scenarios`: the acceptance scenarios over real sockets, in both mailbox forms
//! - `mail_files`: the form of mailboxes and queue files, and the bounds of all lines that are
//!   written
//! - `server`: users, relaying, stopping, silence, over real sockets
//! - `swap`: SIGHUP: what is new is served to new sessions, what is wrong changes nothing
//! - `log`: its lines, and a trace that plays
//! - `system_calls`: what a client costs in them
//! - `lettre`: a real client that is a crate
//! - `cli`: the command line as a user runs it
//! - `web`: the page's HTTP: its numbers, who may, its limits, and the examples of docs/watching.md
//! - `tls`: the encrypted line, by a client made of rustls
//! - `certificates`: which one a client gets, and how they are renewed
//! - `listeners`: several at once, unix sockets, and systemd's by name
//! - `action`: the shell lines of action.yml
//! - `beside`: `serve -- CMD`, and what a script asks of the mail folder
//! - `start`: what `serve` refuses `check` refuses, and takes everything back

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod abnf;
mod action;
mod against;
mod autogen;
mod bad_input;
mod beside;
mod boundaries;
mod certificates;
mod checks;
mod cli;
mod compare;
mod compiler;
mod confinement;
mod conformance;
mod conformance_tls;
mod definition;
mod dialogue;
mod dialogues;
mod diff;
mod directives;
mod explain;
mod faults;
mod faulty;
mod faulty_tls;
mod fixtures;
mod grammar;
mod interrupted;
mod lettre;
mod limits;
mod listeners;
mod log;
mod machine;
mod mail_files;
mod mutants;
mod peer;
mod picture;
mod proof;
mod refused;
mod rig;
mod scenarios;
mod secure;
mod server;
mod session;
mod slips;
mod smuggling;
mod start;
mod starttls;
mod swap;
mod system_calls;
mod tls;
mod tools;
mod web;
