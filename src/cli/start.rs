//! The start of a server, up to its first client. `serve` goes on from here; `check` ends here, and
//! takes back what the start has made.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;

use clap::Args;

use super::End;
use super::states::States;
use crate::config::{Config, Listen};
use crate::logging::LogFiles;
use crate::maildir::{Made, Store};
use crate::server::{self, sandbox, service, user};
use crate::smtp::path::Domain;

/// What a server is started with; each option overrules the configuration.
#[derive(Args)]
pub(super) struct Options {
    /// The configuration file (RON); without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen here instead: an address, a port, or both (`127.0.0.1:2525`, `2525`, `[::]:25`).
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<Listen>,
    /// Keep mail in this folder instead.
    #[arg(long, value_name = "DIR")]
    pub maildir: Option<PathBuf>,
    /// Be this domain instead.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Domain::parse_own(text).map_err(|_| "not a domain"))]
    pub domain: Option<Domain>,
    /// Become this user after the port is bound; needs root.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Run this definition instead of the built-in one; it is checked before anything else.
    #[arg(long, value_name = "FILE")]
    pub states: Option<PathBuf>,
}

impl Options {
    fn configuration(&self) -> Result<Config, String> {
        let mut config =
            self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
        if let Some(listen) = self.listen {
            config.listen_on(listen);
        }
        if let Some(folder) = &self.maildir {
            config.maildir_path.clone_from(folder);
        }
        if let Some(domain) = &self.domain {
            config.domain.clone_from(domain);
        }
        if let Some(user) = &self.user {
            config.user = Some(user.clone());
        }
        Ok(config)
    }
}

/// A server that needs nothing more of the system than its clients.
pub(super) struct Start {
    pub config: Config,
    pub states: States,
    /// `None` if the port was left out.
    pub listener: Option<TcpListener>,
    pub address: SocketAddr,
    pub logs: LogFiles,
    /// The folders that were made for the mail.
    pub made: Made,
    /// What an operator should know; none of it stops the server.
    pub warnings: Vec<String>,
    rules: Vec<sandbox::Rule>,
}

impl Start {
    /// Does all that may need root, and then gives root up; opens the logs and the mail folder. No
    /// thread runs yet. What was made is taken back when the value is dropped, unless it is kept.
    pub(super) fn new(options: &Options, with_port: bool) -> Result<Self, End> {
        let config = options.configuration()?;
        // A definition with an error is refused before the port is opened.
        let states = States::load(options.states.as_deref())?;
        user::configured(&config)?;
        if config.nice != 0 {
            rustix::process::setpriority_process(None, config.nice)
                .map_err(|error| format!("cannot set the priority to {}: {error}", config.nice))?;
        }
        let listener = match service::listener()? {
            _ if !with_port => None,
            Some(given) => Some(given),
            None => Some(server::listen(&config)?),
        };
        let address = match &listener {
            None => SocketAddr::new(config.host, config.port),
            Some(listener) => listener
                .local_addr()
                .map_err(|error| format!("cannot tell the address of the port: {error}"))?,
        };
        // From here on nothing needs root, and no thread is started yet: it is given up for all.
        let mut warnings: Vec<String> =
            user::become_configured(&config, address)?.into_iter().collect();
        let made = Store::make_folder(&config.maildir_path).map_err(|error| error.to_string())?;
        if let [_, above @ ..] = made.folders()
            && !above.is_empty()
        {
            let above: Vec<String> =
                above.iter().map(|folder| folder.display().to_string()).collect();
            let (folder, above) = (config.maildir_path.display(), above.join(", "));
            warnings.push(format!(
                "the mail folder {folder} is new, and so is what was missing above it: {above}"
            ));
        }
        let served = server::kept(states.machine);
        if states.machine.delivers() && !served.delivers() {
            let left_out = served.left_out.join(", ");
            warnings.push(format!(
                "no client can send mail: the definition wants {left_out} first, which needs a certificate"
            ));
        }
        let logs = LogFiles::open(&config.log)?;
        let rules = sandbox::rules(&config, options.config.as_deref());
        Ok(Self { config, states, listener, address, logs, made, warnings, rules })
    }

    /// Locks this thread, and all that it starts, in.
    pub(super) fn enter_sandbox(&self) -> Result<Option<String>, String> {
        sandbox::enter(&self.config, &self.rules)
    }

    /// What the sandbox allows, in lines.
    pub(super) fn explain_sandbox(&self) -> String {
        sandbox::explain(&self.config, &self.rules)
    }

    /// Enters the sandbox and takes the mail folder's lock as a server does, on a thread of its
    /// own, which the sandbox ends with. Adds what an operator should know to the warnings.
    pub(super) fn try_rest(&mut self) -> Result<(), String> {
        let tried = thread::scope(|scope| {
            let rest = || {
                let warning = self.enter_sandbox()?;
                Store::try_folder(&self.config.maildir_path).map_err(|error| error.to_string())?;
                Ok(warning)
            };
            scope.spawn(rest).join().unwrap_or_else(|_| Err("the start panicked".to_owned()))
        });
        self.warnings.extend(tried?);
        Ok(())
    }

    /// What the server is, in a few lines.
    pub(super) fn about(&self) -> String {
        let config = &self.config;
        let users = match config.written("users").as_str() {
            "Any" => "any: a mailbox is made on first use".to_owned(),
            listed => format!("{listed} and postmaster"),
        };
        let relay = match config.relay_from.as_slice() {
            [] => "for nobody".to_owned(),
            networks => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                format!("for {}", networks.join(", "))
            }
        };
        let new = if self.made.folders().is_empty() { "" } else { " (new)" };
        let mut text = format!(
            "  address     {}\n  domain      {}\n  mail        {}{new}\n  users       {users}\n  relay       {relay}\n",
            self.address,
            config.domain,
            config.maildir_path.display(),
        );
        text += &format!("  log         standard error: {}\n", config.log.console_level);
        for (path, level) in &config.log.files {
            text += &format!("  log         {}: {level}\n", path.display());
        }
        if let Some(user) = &config.user {
            let group =
                config.group.as_ref().map_or_else(String::new, |group| format!(", group {group}"));
            text += &format!("  runs as     {user}{group}\n");
        }
        text += &format!("  definition  {}\n", self.states.about());
        let left_out = server::kept(self.states.machine).left_out;
        if !left_out.is_empty() {
            let left_out = left_out.join(", ");
            text += &format!("  left out    {left_out}: there is no certificate\n");
        }
        text
    }
}
