//! The start of a server, up to its first client. `serve` goes on from here; `check` ends here, and
//! takes back what the start has made.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use clap::Args;

use super::End;
use super::listening::{Listening, check_reach};
use super::states::States;
use crate::config::{Address, Config, Listen, Tls};
use crate::logging::LogFiles;
use crate::maildir::{Made, Naming, Store};
use crate::server::certificates::Certificates;
use crate::server::listeners::{self, Opened};
use crate::server::{self, sandbox, user};
use crate::smtp::path::Domain;

/// What a server is started with; each option overrules the configuration.
#[derive(Args, Clone)]
pub(super) struct Options {
    /// The configuration file (RON); without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen here instead: an address, a port, or both (`127.0.0.1:2525`, `2525`, `[::]:25`).
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<Listen>,
    /// Listen on this port instead; 0 is a free one, which is printed.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
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
    /// Misbehave as the faults of this file say: for tests. docs/faults.md tells how.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Serve the page and the metrics here, over HTTP (`127.0.0.1:8025`; port 0 is a free one).
    #[arg(long, value_name = "ADDR:PORT", value_parser = |text: &str| text.parse::<Address>().map_err(|_| "not an address with a port, such as 127.0.0.1:8025"))]
    pub web: Option<Address>,
    /// Misbehave beyond this machine, too.
    #[arg(long)]
    pub faults_anywhere: bool,
}

impl Options {
    /// The configuration of file and options; what neither has is as it is in `defaults`.
    pub(super) fn configuration(&self, defaults: Config) -> Result<Config, String> {
        let mut config = match &self.config {
            Some(file) => defaults.overruled_by(file)?,
            None => defaults,
        };
        let given = [("--listen", self.listen.is_some()), ("--port", self.port.is_some())];
        let given = given.iter().find(|(_, is_given)| *is_given);
        if let Some((option, _)) = given.filter(|_| !config.listeners.is_empty()) {
            return Err(format!(
                "{option} is for one listener, and the configuration has `listeners`; leave one of \
                 the two out"
            ));
        }
        if let Some(listen) = self.listen {
            config.listen_on(listen);
        }
        config.port = self.port.unwrap_or(config.port);
        if let Some(folder) = &self.maildir {
            config.maildir_path.clone_from(folder);
        }
        if let Some(domain) = &self.domain {
            config.domain.clone_from(domain);
        }
        if let Some(user) = &self.user {
            config.user = Some(user.clone());
        }
        if let Some(address) = &self.web {
            config.web.address = Some(address.clone());
        }
        Ok(config)
    }

    /// The files that SIGHUP has read again, with those that the configuration names. A pipe is not
    /// among them.
    pub(super) fn read_again(&self, config: &Config) -> Vec<PathBuf> {
        let given = [&self.config, &self.states, &self.faults].into_iter().flatten().cloned();
        let files = given.chain(config.listening().into_iter().filter_map(|one| one.states));
        files.filter(|file| fs::metadata(file).is_ok_and(|found| found.is_file())).collect()
    }
}

/// That the user that the server has become cannot read a file, which SIGHUP would have read again.
fn cannot_be_read(file: &Path) -> Option<String> {
    let error = File::open(file).err()?;
    Some(format!("SIGHUP cannot have {} read again: {error}", file.display()))
}

/// A server that needs nothing more of the system than its clients.
pub(super) struct Start {
    pub config: Config,
    /// What holds of it unless a file or an option says otherwise.
    pub defaults: Config,
    /// Each listener, with what it serves.
    pub listening: Vec<Listening>,
    /// The socket of the page.
    pub web: Option<Opened>,
    pub certificates: Option<Arc<Certificates>>,
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
        Self::by(Config::default(), options, with_port)
    }

    /// The same with other defaults of the configuration.
    pub(super) fn by(defaults: Config, options: &Options, with_port: bool) -> Result<Self, End> {
        let config = options.configuration(defaults.clone())?;
        // A definition with an error is refused before a port is opened.
        let pages = pages(&config, options)?;
        user::configured(&config)?;
        if config.nice != 0 {
            rustix::process::setpriority_process(None, config.nice)
                .map_err(|error| format!("cannot set the priority to {}: {error}", config.nice))?;
        }
        let sockets =
            if with_port { listeners::open(&config)? } else { listeners::left_closed(&config) };
        let of = |opened: &Opened| {
            let page = pages.iter().find(|(path, _)| *path == opened.listener.states);
            page.or(pages.first()).map(|(_, page)| Arc::clone(page))
        };
        let opened: Vec<_> = sockets
            .listeners
            .into_iter()
            .filter_map(|opened| of(&opened).map(|page| (opened, page)))
            .collect();
        if !options.faults_anywhere {
            opened.iter().try_for_each(|(opened, page)| check_reach(opened, page))?;
        }
        // From here on nothing needs root, and no thread is started yet: it is given up for all.
        let web = sockets.web;
        let all = opened.iter().map(|(opened, _)| opened).chain(&web);
        let tcp: Vec<_> = all.filter_map(|opened| opened.tcp).collect();
        let mut warnings: Vec<String> =
            user::become_configured(&config, &tcp)?.into_iter().collect();
        // They are read as the user that reads them again: what it cannot read shows now.
        let certificates = Certificates::read(&config.certificates)?;
        let about = certificates.iter().flat_map(|certificates| certificates.about());
        warnings.extend(about.flat_map(|about| about.warnings));
        let mut listening = Vec::new();
        for (opened, page) in opened {
            listening.push(Listening::new(opened, page, certificates.is_some())?);
        }
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
        warnings.extend(listening.iter().flat_map(Listening::warnings));
        let read_again = options.read_again(&config);
        warnings.extend(read_again.iter().filter_map(|file| cannot_be_read(file)));
        let logs = LogFiles::open(&config.log)?;
        let rules = sandbox::rules(&config, &read_again);
        Ok(Self { config, defaults, listening, web, certificates, logs, made, warnings, rules })
    }

    /// Makes the folder for transcripts, and lets the server write to it.
    pub(super) fn transcribe_to(&mut self, folder: &Path) -> Result<(), String> {
        server::make_transcripts_folder(folder)?;
        self.rules.push(sandbox::transcripts(folder));
        Ok(())
    }

    /// The first TCP listener's address for a client on this machine, which reaches every address by
    /// loopback's, and whether its lines are encrypted from the first octet.
    pub(super) fn near(&self) -> Option<(SocketAddr, bool)> {
        let tcp = |opened: &Opened| Some((opened.tcp?, opened.listener.tls == Tls::FirstOctet));
        let (address, is_encrypted) = self.listening.iter().find_map(|one| tcp(&one.opened))?;
        Some((near(address), is_encrypted))
    }

    /// How swaks reaches the first listener, from this machine.
    pub(super) fn reached_by_swaks(&self) -> String {
        let Some(Listening { opened, .. }) = self.listening.first() else { return String::new() };
        let tls = if opened.listener.tls == Tls::FirstOctet { " --tls-on-connect" } else { "" };
        if let (Some(_), Some((near, _))) = (opened.tcp, self.near()) {
            return format!("--server {near}{tls}");
        }
        let path = opened.address.strip_prefix("unix:").unwrap_or(&opened.address);
        format!("--socket {path}{tls}")
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
            _ if config.mailboxes == Naming::ByAddress => {
                "for nobody: each address of any domain has a mailbox".to_owned()
            }
            [] => "for nobody".to_owned(),
            networks => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                format!("for {}", networks.join(", "))
            }
        };
        let new = if self.made.folders().is_empty() { "" } else { " (new)" };
        let pages = self.listening.iter().map(|listening| &listening.states);
        let first = pages.clone().next();
        let is_one = pages.clone().all(|page| first.is_some_and(|one| Arc::ptr_eq(one, page)));
        let mut text: String =
            self.listening.iter().map(|listening| listening.about(!is_one)).collect();
        for about in self.certificates.iter().flat_map(|certificates| certificates.about()) {
            let names = about.names.join(", ");
            text += &format!("  certificate {names}, until {} ({})\n", about.until, about.chain);
        }
        text += &format!(
            "  domain      {}\n  mail        {}{new}\n  users       {users}\n  relay       {relay}\n",
            config.domain,
            config.maildir_path.display(),
        );
        if let Some(web) = &self.web {
            text += &format!("  page        {}\n", page_url(web));
        }
        if let Some((near, _)) = self.near().filter(|_| config.port == 0) {
            text += &format!("  port        {}\n", near.port());
        }
        text += &format!("  log         standard error: {}\n", config.log.console_level);
        for (path, level) in &config.log.files {
            text += &format!("  log         {}: {level}\n", path.display());
        }
        if let Some(user) = &config.user {
            let group =
                config.group.as_ref().map_or_else(String::new, |group| format!(", group {group}"));
            text += &format!("  runs as     {user}{group}\n");
        }
        if let Some(page) = first.filter(|_| is_one) {
            text += &page.about_with_faults();
        }
        text
    }
}

/// The address for a client on this machine, which reaches every address by loopback's.
fn near(address: SocketAddr) -> SocketAddr {
    let near = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(near, address.port())
}

/// Where a browser on this machine finds the page, or the page's socket.
fn page_url(web: &Opened) -> String {
    web.tcp.map_or_else(|| web.address.clone(), |address| format!("http://{}/", near(address)))
}

/// The definitions of all listeners, each once, by the path that names it.
type Pages = Vec<(Option<PathBuf>, Arc<States>)>;
/// Makes a page of its path and that of its faults.
type Load<'l> = dyn FnMut(Option<&Path>, Option<&Path>) -> Result<States, End> + 'l;

fn pages(config: &Config, options: &Options) -> Result<Pages, End> {
    read_pages(config, options, &mut |path, faults| States::load(path, faults))
}

/// The same by another way to load one, from its path and that of the faults.
pub(super) fn read_pages(
    config: &Config,
    options: &Options,
    load: &mut Load<'_>,
) -> Result<Pages, End> {
    let mut pages = Pages::new();
    for listener in config.listening() {
        if pages.iter().all(|(path, _)| *path != listener.states) {
            let path = listener.states.as_ref().or(options.states.as_ref());
            let page = load(path.map(PathBuf::as_path), options.faults.as_deref())?;
            pages.push((listener.states, Arc::new(page)));
        }
    }
    Ok(pages)
}
