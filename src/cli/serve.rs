//! `postman serve` and `postman check`: a start, and what follows it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::listening::Listening;
use super::shown::shown;
use super::start::{Options, Start};
use super::swap::Swap;
use super::{End, command, print};
use crate::logging::escape;
use crate::server::certificates::Certificates;
use crate::server::{Exchange, Server, Stopper, Transcripts, Why, service};
use crate::web::Web;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub options: Options,
    /// Write each session into this folder, as a dialogue that `postman fsm play` takes.
    #[arg(long, value_name = "DIR")]
    pub transcripts: Option<PathBuf>,
    /// Stop after so many messages.
    #[arg(long, value_name = "N")]
    pub messages: Option<NonZero<u64>>,
    /// Whether a fault that never fired is a failure of the command's; it is, unless this is `ok`.
    #[arg(long, value_enum, requires = "command")]
    pub unfired: Option<Unfired>,
    /// Serve for this command only, on a free port and with a folder of its own, and end with its
    /// status. It finds `POSTMAN_HOST`, `POSTMAN_PORT`, `SMTP_URL` and `POSTMAN_MAILDIR` in its
    /// environment.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What a fault means that never fired.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Unfired {
    /// Nothing.
    Ok,
    /// That the test does not test it.
    Fail,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    options: Options,
    /// Leave the ports out, to check beside a server that uses them.
    #[arg(long)]
    skip_port: bool,
    /// Print the definition as a listener serves it, without the rows that it cannot keep: the
    /// first listener, or the one whose address `check` shows so.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true,
        default_missing_value = "", conflicts_with = "explain_sandbox")]
    page: Option<String>,
    /// Say what the sandbox will allow, too.
    #[arg(long)]
    explain_sandbox: bool,
}

pub(super) fn check(check: &Check) -> Result<(), End> {
    let mut start = Start::new(&check.options, !check.skip_port)?;
    start.try_rest()?;
    if let Some(address) = &check.page {
        for warning in &start.warnings {
            let _ = writeln!(io::stderr(), "warning: {warning}");
        }
        return print(&page_at(&start.listening, address)?);
    }
    let mut text = start.about();
    if check.explain_sandbox {
        text += &start.explain_sandbox();
    }
    for warning in &start.warnings {
        text += &format!("  warning     {warning}\n");
    }
    // What the start has made is taken back before it is said that all is well.
    drop(start);
    print(&text)
}

/// The page of the listener at an address, or of the first one if that is empty.
///
/// # Errors
/// One line: no listener has the address.
fn page_at(listening: &[Listening], address: &str) -> Result<String, String> {
    let found = listening.iter().find(|one| address.is_empty() || one.opened.address == address);
    found.map(Listening::page).ok_or_else(|| {
        let addresses = listening.iter().map(|one| one.opened.address.as_str());
        let addresses = addresses.collect::<Vec<_>>().join(", ");
        format!("no listener has the address `{address}`; there are {addresses}")
    })
}

pub(super) fn serve(serve: &Serve) -> Result<(), End> {
    if !serve.command.is_empty() {
        return command::serve(serve);
    }
    let start = Start::new(&serve.options, true)?;
    let text = format!(
        "Postman receives mail.\n{}  to stop     Ctrl-C\n{}  to try it   swaks --to {}@{} {}\n",
        start.about(),
        if start.web.is_some() { "" } else { "  to watch    --web 127.0.0.1:8025\n" },
        start.config.users.one(),
        start.config.domain,
        start.reached_by_swaks(),
    );
    let ready = || drop(print(&text));
    run(start, serve, serve.transcripts.as_deref(), |_, _| {}, ready)?;
    Ok(())
}

/// The lines of a dialogue that name the files by which it is played.
fn played_by(listening: &Listening, options: &Options) -> Result<String, String> {
    let mut head = String::new();
    let states = listening.opened.listener.states.as_ref().or(options.states.as_ref());
    for (key, file) in [("definition", states), ("faults", options.faults.as_ref())] {
        let Some(file) = file else { continue };
        let path = std::path::absolute(file)
            .map_err(|error| format!("cannot tell where {} is: {error}", file.display()))?;
        head += &format!("! {key}: {}\n", path.display());
    }
    if !head.is_empty() {
        // What was counted is all sessions', and this is one.
        head += "! due: listed\n";
    }
    Ok(head)
}

/// Logs what is served, and with which certificates.
fn log_start(listening: &[Listening], certificates: Option<&Certificates>) {
    for (number, listener) in listening.iter().enumerate() {
        let states = &listener.states;
        let is_known = |earlier: &Listening| Arc::ptr_eq(&earlier.states, states);
        if !listening.iter().take(number).any(is_known) {
            let built_in = if states.built_in { " built_in=yes" } else { "" };
            let (name, digest) = (escape(&states.name), &states.digest);
            log::info!("- definition file=\"{name}\" sha256={digest}{built_in}");
        }
        let (left_out, why) = listener.left_out();
        for command in left_out {
            let address = escape(&listener.opened.address);
            log::info!("- left_out command={command} reason=\"{why}\" listener=\"{address}\"");
        }
    }
    for about in certificates.into_iter().flat_map(Certificates::about) {
        let (chain, names) = (escape(&about.chain), escape(&about.names.join(",")));
        log::info!("- certificate chain=\"{chain}\" names=\"{names}\" until={}", about.until);
    }
}

/// Serves until the server is stopped. `opened` gets what stops it and what
/// exchanges its pages; `ready` is called when clients
/// are about to be served.
pub(super) fn run(
    mut start: Start,
    serve: &Serve,
    transcripts: Option<&Path>,
    opened: impl FnOnce(Stopper, Exchange),
    ready: impl FnOnce(),
) -> Result<Why, String> {
    transcripts.map_or(Ok(()), |folder| start.transcribe_to(folder))?;
    let unlocked = start.enter_sandbox()?;
    let Start { config, defaults, listening, web, certificates, logs, made, warnings, .. } = start;
    let logging = logs.start(&config.log)?;
    log_start(&listening, certificates.as_deref());
    for warning in warnings.into_iter().chain(unlocked) {
        if serve.command.is_empty() {
            log::warn!("- {warning}");
        } else {
            // The console is the command's.
            log::info!("- {warning}");
        }
    }
    let domain = config.domain.clone();
    let transcripts =
        transcripts.map(|folder| Transcripts::start(folder.to_owned())).transpose()?;
    let addresses: Vec<String> =
        listening.iter().map(|listening| listening.opened.address.clone()).collect();
    let (keys, maildir) = (config.web.clone(), config.maildir_path.clone());
    let mut swapped = (Vec::new(), Vec::new());
    let mut listeners = Vec::new();
    for listening in listening {
        let played_by = played_by(&listening, &serve.options)?;
        let (place, page) = listening.place(&played_by, serve.options.faults_anywhere);
        swapped.0.push(place);
        swapped.1.push(page);
        listeners.push(listening.serving(played_by, serve.options.faults_anywhere));
    }
    let has_certificates = certificates.is_some();
    let server = Server::open(config.clone(), listeners, certificates)?;
    let server = server.for_tests(transcripts, serve.messages);
    // It ends when the server has ended.
    let page = web.map(|web| {
        log::info!("- page address={}", escape(&web.address));
        Web::start(web, &keys, maildir, Box::new(shown), server.live())
    });
    let _page = page.transpose()?;
    let given = (serve.options.clone(), defaults);
    let swap = Swap::new(given, config, has_certificates, swapped, server.exchange());
    made.keep();
    opened(server.stopper(), server.exchange());
    let ready = || {
        ready();
        for address in &addresses {
            log::info!("- listening address={address} domain={domain}");
        }
        service::ready();
    };
    let hung_up = || {
        logging.reopen();
        swap.hung_up();
    };
    server.run(&hung_up, ready)
}
