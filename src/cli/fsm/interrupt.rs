//! Ctrl-C: the first keeps what is known, the second ends at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

/// Whether the user wants to end it.
pub(super) static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT and SIGTERM only set [`STOPPED`]; the second ends the program.
pub(super) fn watch() -> Result<(), String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    let failed = |error: &dyn std::fmt::Display| format!("cannot watch for Ctrl-C: {error}");
    signals.thread_block().map_err(|error| failed(&error))?;
    let watch = move || {
        let _ = signals.wait();
        STOPPED.store(true, Ordering::Relaxed);
        let _ = signals.wait();
        // 128 and the number of SIGINT, as a shell tells it.
        process::exit(130);
    };
    let started = thread::Builder::new().name("interrupt".to_owned()).spawn(watch);
    started.map(drop).map_err(|error| failed(&error))
}
