//! `postman serve` and `postman check`: a start, and what follows it.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

use super::start::{Options, Start};
use super::{End, print};
use crate::logging::escape;
use crate::server::{Server, kept, service};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    options: Options,
    /// Leave the port out, to check beside a server that uses it.
    #[arg(long)]
    skip_port: bool,
    /// Print the definition as it is served, without the rows that this server cannot keep.
    #[arg(long, conflicts_with = "explain_sandbox")]
    page: bool,
    /// Say what the sandbox will allow, too.
    #[arg(long)]
    explain_sandbox: bool,
}

pub(super) fn check(check: &Check) -> Result<(), End> {
    let mut start = Start::new(&check.options, !check.skip_port)?;
    start.try_rest()?;
    if check.page {
        for warning in &start.warnings {
            let _ = writeln!(io::stderr(), "warning: {warning}");
        }
        return print(&start.states.page());
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

pub(super) fn serve(serve: &Serve) -> Result<(), End> {
    let start = Start::new(&serve.options, true)?;
    let unlocked = start.enter_sandbox()?;
    let about = start.about();
    let Start { config, states, listener, address, logs, made, warnings, .. } = start;
    let listener = listener.ok_or_else(|| "no port was opened".to_owned())?;
    let logging = logs.start(&config.log)?;
    let built_in = if states.built_in { " built_in=yes" } else { "" };
    log::info!("- definition file=\"{}\" sha256={}{built_in}", escape(&states.name), states.digest);
    for command in kept(states.machine).left_out {
        log::info!("- left_out command={command} reason=\"no certificate\"");
    }
    for warning in warnings.into_iter().chain(unlocked) {
        log::warn!("- {warning}");
    }
    let (user, domain) = (config.users.one().to_owned(), config.domain.clone());
    // A client on this machine reaches every address by loopback's.
    let near = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let near = SocketAddr::new(near, address.port());
    let server = Server::open(config, states.machine, listener)?;
    made.keep();
    let ready = || {
        let text = format!(
            "Postman receives mail.\n{about}  to stop     Ctrl-C\n  to try it   swaks --to {user}@{domain} --server {near}\n",
        );
        let _ = print(&text);
        log::info!("- listening address={address} domain={domain}");
        service::ready();
    };
    server.run(&|| logging.reopen(), ready)?;
    Ok(())
}
