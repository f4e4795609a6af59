//! `postman serve -- CMD`: a server for one command.
//!
//! The command's folder holds the mail, the transcripts and the log. It is removed at the end, and
//! kept where the command's status is not 0.
//!
//! Three threads: this one waits; one serves, and is locked in with all that it starts; one waits
//! for the command. The command is this thread's child, so that nothing of the sandbox is
//! inherited.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use log::LevelFilter;
use nix::sys::signal::{SIGHUP, SIGINT, SIGTERM, SigSet};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use tempfile::TempDir;

use super::End;
use super::descendants::handles;
use super::serve::{Serve, Unfired, run};
use super::start::Start;
use crate::config::{Config, Level};
use crate::maildir::Naming;
use crate::server::{Exchange, Stopper, Why};
use crate::smtp::faults::Report;

/// How long a command may take to end after Ctrl-C, and again after SIGTERM.
const END_SECONDS_MAX: Duration = Duration::from_secs(10);
/// The stack of the server's first thread, in octets.
const STACK_BYTES: usize = 8 << 20;

/// What this thread waits for.
enum Event {
    /// The server can be stopped, and its faults can be asked.
    Opened(Stopper, Exchange),
    /// The server hears signals.
    Ready,
    /// The server has ended.
    Served(Result<Why, String>),
    /// The command has ended.
    Ended(io::Result<ExitStatus>),
}

pub(super) fn serve(serve: &Serve) -> Result<(), End> {
    let folder = Folder::make()?;
    let defaults = folder.defaults();
    let config = serve.options.configuration(defaults.clone())?;
    if config.user.is_some() {
        return Err(End::Error(
            "a command after `--` runs with your own rights, so `user` cannot be set: leave it out"
                .to_owned(),
        ));
    }
    let maildir = config.maildir_path;
    let start = Start::by(defaults, &serve.options, true)?;
    // Before signals are held back: a child inherits that, and would be deaf to its own SIGTERM.
    let child = run_command(serve, &start, &maildir)?;
    let process = pid(&child)?;
    // One that came before the server hears it would leave the command alone.
    let signals: SigSet = [SIGHUP, SIGINT, SIGTERM].into_iter().collect();
    if let Err(error) = signals.thread_block() {
        end(process, Signal::KILL);
        return Err(End::Error(format!("cannot hold signals back: {error}")));
    }
    let (events, heard) = channel();
    let transcripts = serve.transcripts.clone().unwrap_or_else(|| folder.path("transcripts"));
    let ended = thread::scope(|scope| {
        let (serving, waiting) = (events.clone(), events);
        let served = move || {
            let opened = |stopper, exchange| drop(serving.send(Event::Opened(stopper, exchange)));
            let ready = || drop(serving.send(Event::Ready));
            let ended = run(start, serve, Some(&transcripts), opened, ready);
            drop(serving.send(Event::Served(ended)));
        };
        let threads = thread::Builder::new().name("server".to_owned()).stack_size(STACK_BYTES);
        if let Err(error) = threads.spawn_scoped(scope, served) {
            end(process, Signal::KILL);
            return Err(format!("cannot start the server's thread: {error}"));
        }
        scope.spawn(move || wait_for(child, &waiting));
        supervise(&heard, process, &signals)
    });
    let (status, exchange) = ended?;
    let reports: Vec<_> =
        exchange.iter().flat_map(Exchange::faults).flat_map(|faults| faults.report()).collect();
    let all_fired = tell(&reports);
    folder.end(status, all_fired || serve.unfired == Some(Unfired::Ok))
}

/// Starts the command, which finds the server in its environment.
fn run_command(serve: &Serve, start: &Start, maildir: &Path) -> Result<Child, String> {
    let Some((program, arguments)) = serve.command.split_first() else {
        return Err("no command is given after `--`".to_owned());
    };
    let (near, is_encrypted) = start.near().ok_or_else(|| {
        "a command after `--` reaches the server by TCP, and no listener is a TCP port".to_owned()
    })?;
    let maildir = std::path::absolute(maildir)
        .map_err(|error| format!("cannot tell where {} is: {error}", maildir.display()))?;
    Command::new(program)
        .args(arguments)
        .env("POSTMAN_HOST", near.ip().to_string())
        .env("POSTMAN_PORT", near.port().to_string())
        .env("SMTP_URL", format!("smtp{}://{near}", if is_encrypted { "s" } else { "" }))
        .env("POSTMAN_MAILDIR", maildir)
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", shown(program)))
}

fn shown(program: &OsStr) -> String {
    program.display().to_string()
}

fn pid(child: &Child) -> Result<Pid, String> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| "the command has no process id".to_owned())
}

/// Sends a signal to the command, whose end has not been heard yet, and to all that it has started:
/// a shell would leave what it waits for.
fn end(command: Pid, signal: Signal) {
    for process in handles(command) {
        let _ = pidfd_send_signal(process, signal);
    }
}

fn wait_for(mut child: Child, events: &Sender<Event>) {
    drop(events.send(Event::Ended(child.wait())));
}

/// Waits for the command and for the server, and ends each when the other has ended. Returns the
/// command's status, or `None` if the server had enough messages first, and what the server served.
fn supervise(
    heard: &Receiver<Event>,
    process: Pid,
    signals_held: &SigSet,
) -> Result<(Option<ExitStatus>, Option<Exchange>), String> {
    let (mut stopper, mut exchange) = (None::<Stopper>, None);
    let (mut served, mut ended) = (None, None);
    // The signals that a command gets which goes on when the server has ended, and after how long.
    let mut signals = [(Duration::ZERO, Signal::TERM), (END_SECONDS_MAX, Signal::KILL)].into_iter();
    let mut next: Option<(Duration, Signal)> = None;
    while served.is_none() || ended.is_none() {
        let event = match next {
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((after, _)) => heard.recv_timeout(after),
        };
        match event {
            Ok(Event::Opened(stops, swaps)) => (stopper, exchange) = (Some(stops), Some(swaps)),
            // They are heard on this thread, for the whole process.
            Ok(Event::Ready) => drop(signals_held.thread_unblock()),
            Ok(Event::Ended(status)) => (ended, next) = (Some(status), None),
            Ok(Event::Served(why)) => {
                next = signals.next().filter(|_| ended.is_none());
                if why == Ok(Why::Interrupted) {
                    // Ctrl-C has reached the command too.
                    next = next.map(|(_, signal)| (END_SECONDS_MAX, signal));
                }
                served = Some(why);
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, signal)) = next {
                    end(process, signal);
                }
                next = signals.next();
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ended.is_some()
            && served.is_none()
            && let Some(stopper) = stopper.take()
        {
            stopper.stop();
        }
    }
    let why = served.unwrap_or_else(|| Err("the server panicked".to_owned()))?;
    let status = ended.unwrap_or_else(|| Err(io::Error::other("its thread panicked")));
    let status = status.map_err(|error| format!("cannot wait for the command: {error}"))?;
    // A command that was ended for us has no status of its own.
    let is_ended_by_us = why == Why::Enough && status.signal().is_some();
    Ok(((!is_ended_by_us).then_some(status), exchange))
}

/// Says how often each fault fired, and for one that did not what would make it fire: a test that
/// never meets its fault tests nothing. Tells whether all of them did.
fn tell(faults: &[Report]) -> bool {
    for Report { says, fired, dialogue, condition } in faults {
        let told = match fired {
            0 if dialogue.is_empty() => {
                "NEVER FIRED; a client that connects would do it".to_owned()
            }
            0 => format!("NEVER FIRED; this would: {dialogue}"),
            1 => "fired once".to_owned(),
            many => format!("fired {many} times"),
        };
        let condition = if *fired == 0 { condition.as_str() } else { "" };
        let _ = writeln!(io::stderr(), "  fault \"{}\" {told}{condition}", says.escape_debug());
    }
    faults.iter().all(|fault| fault.fired > 0)
}

/// The command's folder.
struct Folder(TempDir);

impl Folder {
    fn make() -> Result<Self, String> {
        let made = tempfile::Builder::new().prefix("postman-").tempdir();
        made.map(Self).map_err(|error| format!("cannot make a folder for the command: {error}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What holds unless the configuration or an option says otherwise.
    fn defaults(&self) -> Config {
        let mut config = Config {
            port: 0,
            maildir_path: self.path("mail"),
            mailboxes: Naming::ByAddress,
            ..Config::default()
        };
        config.log.files = vec![(self.path("log"), config.log.console_level)];
        // The console is the command's.
        config.log.console_level = Level(LevelFilter::Warn);
        config
    }

    /// Removes the folder, or keeps it for a look at what went wrong, and ends as the command did.
    fn end(self, status: Option<ExitStatus>, is_tested: bool) -> Result<(), End> {
        let status = status.filter(|status| !status.success());
        if status.is_none() && is_tested {
            let path = self.0.path().display().to_string();
            return self.0.close().map_err(|error| {
                End::Error(format!("cannot remove the command's folder {path}: {error}"))
            });
        }
        let kept = self.0.keep();
        let why = match status {
            Some(status) => format!("the command ended with {}", in_words(status)),
            None => "a fault never fired, which `--unfired ok` allows".to_owned(),
        };
        let kept = kept.display();
        let _ =
            writeln!(io::stderr(), "postman: {why}; its mail, transcripts and log are in {kept}");
        status.map_or(Err(End::Findings), |status| Err(End::Status(code(status))))
    }
}

/// The status as a shell has it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_shell_s() {
        for (raw, expected, words) in
            [(0, 0, "status 0"), (7 << 8, 7, "status 7"), (15, 143, "signal 15")]
        {
            let status = ExitStatus::from_raw(raw);
            assert_eq!((code(status), in_words(status).as_str()), (expected, words));
        }
    }
}
