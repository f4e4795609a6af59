//! `postman serve` and `postman check`: a start, and what follows it.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;

use super::listening::Listening;
use super::start::{Options, Start};
use super::{End, print};
use crate::config::Tls;
use crate::logging::escape;
use crate::server::{Server, service};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    options: Options,
    /// Leave the ports out, to check beside a server that uses them.
    #[arg(long)]
    skip_port: bool,
    /// Print the definition as the first listener serves it, without the rows that it cannot keep.
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
        let page = start.listening.first().map(Listening::page);
        return print(&page.unwrap_or_default());
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
    let Start { config, listening, certificates, logs, made, warnings, .. } = start;
    let logging = logs.start(&config.log)?;
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
    for about in certificates.iter().flat_map(|certificates| certificates.about()) {
        let (chain, names) = (escape(&about.chain), escape(&about.names.join(",")));
        log::info!("- certificate chain=\"{chain}\" names=\"{names}\" until={}", about.until);
    }
    for warning in warnings.into_iter().chain(unlocked) {
        log::warn!("- {warning}");
    }
    let (user, domain) = (config.users.one().to_owned(), config.domain.clone());
    let addresses: Vec<String> =
        listening.iter().map(|listening| listening.opened.address.clone()).collect();
    let near = near(&listening);
    let listeners = listening.into_iter().map(Listening::serving);
    let server = Server::open(config, listeners.collect(), certificates)?;
    made.keep();
    let ready = || {
        let text = format!(
            "Postman receives mail.\n{about}  to stop     Ctrl-C\n  to try it   swaks --to {user}@{domain} {near}\n",
        );
        let _ = print(&text);
        for address in &addresses {
            log::info!("- listening address={address} domain={domain}");
        }
        service::ready();
    };
    server.run(&|| logging.reopen(), ready)?;
    Ok(())
}

/// How swaks reaches the first listener, from this machine.
fn near(listening: &[Listening]) -> String {
    let Some(Listening { opened, .. }) = listening.first() else { return String::new() };
    let tls = if opened.listener.tls == Tls::FirstOctet { " --tls-on-connect" } else { "" };
    let Some(address) = opened.tcp else {
        let path = opened.address.strip_prefix("unix:").unwrap_or(&opened.address);
        return format!("--socket {path}{tls}");
    };
    // A client on this machine reaches every address by loopback's.
    let near = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("--server {}{tls}", SocketAddr::new(near, address.port()))
}
