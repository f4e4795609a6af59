//! `postman serve` and `postman check`: from the options and the configuration to a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::states::States;
use super::{End, print};
use crate::config::{Config, Listen};
use crate::logging::{Logging, escape};
use crate::maildir::Store;
use crate::server::{self, Server, sandbox, service, user};
use crate::smtp::path::Domain;

#[derive(Args)]
pub(super) struct Serve {
    /// The configuration file (RON); without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead: an address, a port, or both (`127.0.0.1:2525`, `2525`, `[::]:25`).
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listen>,
    /// Keep mail in this folder instead.
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Be this domain instead.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Domain::parse_own(text).map_err(|_| "no domain"))]
    domain: Option<Domain>,
    /// Run this definition instead of the built-in one; it is checked before anything else.
    #[arg(long, value_name = "FILE")]
    states: Option<PathBuf>,
}

fn configuration(options: &Serve) -> Result<Config, String> {
    let mut config = options.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    if let Some(listen) = options.listen {
        config.listen_on(listen);
    }
    if let Some(folder) = &options.maildir {
        config.maildir_path.clone_from(folder);
    }
    if let Some(domain) = &options.domain {
        config.domain.clone_from(domain);
    }
    Ok(config)
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    serve: Serve,
    /// Say what the sandbox will allow, too.
    #[arg(long)]
    explain_sandbox: bool,
}

pub(super) fn check(options: &Check) -> Result<(), End> {
    let config = configuration(&options.serve)?;
    user::configured(&config)?;
    let states = States::load(options.serve.states.as_deref())?;
    let mut text = about(&config, &states, SocketAddr::new(config.host, config.port));
    if options.explain_sandbox {
        text += &sandbox::explain(&config, &sandbox::rules(&config, options.serve.config.as_deref()));
    }
    print(&text)
}

/// What a server is, in a few lines.
fn about(config: &Config, states: &States, address: SocketAddr) -> String {
    format!(
        "  address     {address}\n  domain      {}\n  mail        {}\n  definition  {}\n",
        config.domain,
        config.maildir_path.display(),
        states.about(),
    )
}

pub(super) fn serve(options: &Serve) -> Result<(), End> {
    let config = configuration(options)?;
    // A definition with an error is refused before the port is opened.
    let states = States::load(options.states.as_deref())?;
    if config.nice != 0 {
        rustix::process::setpriority_process(None, config.nice)
            .map_err(|error| format!("cannot set the priority to {}: {error}", config.nice))?;
    }
    let listener = match service::listener()? {
        Some(given) => given,
        None => server::listen(&config)?,
    };
    let address = listener.local_addr().map_err(|error| format!("cannot tell the address: {error}"))?;
    // From here on nothing needs root, and no thread is started yet: it is given up for all.
    let as_root = user::become_configured(&config, address)?;
    Store::make_folder(&config.maildir_path).map_err(|error| error.to_string())?;
    let unlocked = sandbox::enter(&config, &sandbox::rules(&config, options.config.as_deref()))?;
    let logging = Logging::start(&config.log)?;
    let built_in = if states.built_in { " built_in=yes" } else { "" };
    log::info!("definition file=\"{}\" sha256={}{built_in}", escape(&states.name), states.digest);
    for warning in [as_root, unlocked].into_iter().flatten() {
        log::warn!("{warning}");
    }
    let server = Server::open(config.clone(), states.machine, listener)?;
    let ready = || {
        let text = format!(
            "Postman receives mail.\n{}  to stop     Ctrl-C\n  to try it   swaks --to user@{} --server {address}\n",
            about(&config, &states, address),
            config.domain,
        );
        let _ = print(&text);
        log::info!("listening address={address} domain={}", config.domain);
        service::ready();
    };
    server.run(&|| logging.reopen(), ready)?;
    Ok(())
}
