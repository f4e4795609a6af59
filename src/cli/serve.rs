//! `postman serve` and `postman check`: from the options and the configuration to a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{End, print};
use crate::config::Config;
use crate::logging::Logging;
use crate::server::{self, Server};
use crate::smtp::machine::BUILT;
use crate::smtp::path::Domain;

#[derive(Args)]
pub(super) struct Serve {
    /// The configuration file (RON); without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Keep mail in this folder instead.
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Be this domain instead.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Domain::parse(text).map_err(|_| "no domain"))]
    domain: Option<Domain>,
}

fn configuration(options: &Serve) -> Result<Config, String> {
    let mut config = options.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    if let Some(listen) = options.listen {
        (config.host, config.port) = (listen.ip(), listen.port());
    }
    if let Some(folder) = &options.maildir {
        config.maildir_path.clone_from(folder);
    }
    if let Some(domain) = &options.domain {
        config.domain.clone_from(domain);
    }
    Ok(config)
}

pub(super) fn check(options: &Serve) -> Result<(), End> {
    let config = configuration(options)?;
    print(&about(&config, SocketAddr::new(config.host, config.port)))
}

/// What a server is, in a few lines.
fn about(config: &Config, address: SocketAddr) -> String {
    format!(
        "  address     {address}\n  domain      {}\n  mail        {}\n  definition  {}, built in\n",
        config.domain,
        config.maildir_path.display(),
        BUILT.source,
    )
}

pub(super) fn serve(options: &Serve) -> Result<(), End> {
    let config = configuration(options)?;
    let logging = Logging::start(&config.log)?;
    if config.nice != 0
        && let Err(error) = rustix::process::nice(config.nice)
    {
        log::warn!("cannot set the priority to {}: {error}", config.nice);
    }
    let server = Server::open(config.clone(), &BUILT, server::listen(&config)?)?;
    let address = server.address().map_err(|error| format!("cannot tell the address: {error}"))?;
    let ready = || {
        let text = format!(
            "Postman receives mail.\n{}  to stop     Ctrl-C\n  to try it   swaks --to user@{} --server {address}\n",
            about(&config, address),
            config.domain,
        );
        let _ = print(&text);
        log::info!("listening address={address} domain={} definition={}", config.domain, BUILT.source);
    };
    server.run(&|| logging.reopen(), ready)?;
    Ok(())
}
