//! Ctrl-C: the first keeps what is known, the second ends at once.

use std::io::{self, Write as _};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::cli::End;

/// Whether the user wants to end it.
pub(super) static STOPPED: AtomicBool = AtomicBool::new(false);
/// The exit code that says so: 128 and the signal's number, as a shell tells it.
static STATUS: AtomicU8 = AtomicU8::new(0);

/// What a command ends with that was ended by the user, and has told what is known. The words are
/// for standard error.
pub(super) fn interrupted(why: &str) -> End {
    let _ = writeln!(io::stderr(), "postman: {why}");
    End::Status(STATUS.load(Ordering::Relaxed))
}

/// From now on SIGINT and SIGTERM only set [`STOPPED`]; the second ends the program.
pub(super) fn watch() -> Result<(), String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    let failed = |error: &dyn std::fmt::Display| format!("cannot watch for Ctrl-C: {error}");
    signals.thread_block().map_err(|error| failed(&error))?;
    let watch = move || {
        let status = |signal| if signal == Ok(Signal::SIGTERM) { 143 } else { 130 };
        STATUS.store(status(signals.wait()), Ordering::Relaxed);
        STOPPED.store(true, Ordering::Relaxed);
        process::exit(status(signals.wait()).into());
    };
    let started = thread::Builder::new().name("interrupt".to_owned()).spawn(watch);
    started.map(drop).map_err(|error| failed(&error))
}
