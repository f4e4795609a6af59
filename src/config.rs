//! The configuration: a RON file, where every key has a default.
//!
//! Parse, don't validate: what is in a [`Config`] can be used as it is.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::smtp::machine::Machine;
use crate::smtp::path::{Domain, LocalPart, Syntax};
use crate::smtp::session::Settings;

/// Whose mailboxes there are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum Users {
    /// Anybody's; mailboxes are made on first use.
    Any,
    /// These and postmaster's.
    Listed(Vec<String>),
}

impl Users {
    /// Whether a mailbox of this name may receive. Postmaster always may (RFC 5321 4.5.1), and
    /// nobody is called `""`.
    #[must_use]
    pub fn contains(&self, local: &LocalPart) -> bool {
        match self {
            Self::Any => !local.as_str().is_empty(),
            Self::Listed(users) => {
                let name = local.folded();
                name == LocalPart::postmaster().as_str() || users.iter().any(|user| user.eq_ignore_ascii_case(&name))
            }
        }
    }
}

/// What becomes of a bare CR or LF in content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BareNewline {
    /// The message is refused with 550.
    Refuse,
    /// It is stored as it came.
    Keep,
}

/// What a file in a mailbox looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MailboxFormat {
    /// A message that mail readers show.
    Message,
    /// Exactly the queue's form.
    Envelope,
}

/// Who is held by the cap on all connections only, not by those per address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum UncappedFrom {
    /// Those who may relay.
    RelayFrom,
    /// These.
    Networks(Vec<Network>),
}

/// What VRFY tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Verify {
    /// 252, whoever exists.
    Vague,
    /// 250 or 550, as the user exists.
    Honest,
}

/// A network, `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpAddr, u8);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network, expected one like `192.0.2.0/24`");
        let (address, bits) =
            text.split_once('/').map_or((text.as_str(), None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self(address, bits)) }
    }
}

impl Network {
    /// Whether an address is of this network. A v4-mapped address is its IPv4 one.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let rest = width - u32::from(self.1);
            one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
        };
        match (self.0.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// How much a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Level(pub log::LevelFilter);

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is no level, expected off, error, warn, info, debug or trace"))
    }
}

/// A value that is one of a few words: what the reader's own errors do not name.
trait Choice<'de>: Deserialize<'de> {
    /// The key and its values.
    const ALLOWED: &'static str;
}

impl Choice<'_> for Users {
    const ALLOWED: &'static str = r#"users must be Any, or Listed(["alice", "bob"])"#;
}

impl Choice<'_> for BareNewline {
    const ALLOWED: &'static str = "bare_newline must be Refuse or Keep";
}

impl Choice<'_> for MailboxFormat {
    const ALLOWED: &'static str = "mailbox_format must be Message or Envelope";
}

impl Choice<'_> for UncappedFrom {
    const ALLOWED: &'static str = r#"uncapped_from must be RelayFrom, or Networks(["192.0.2.0/24"])"#;
}

impl Choice<'_> for Syntax {
    const ALLOWED: &'static str = "syntax must be Lenient or Strict";
}

impl Choice<'_> for Verify {
    const ALLOWED: &'static str = "vrfy must be Vague or Honest";
}

/// The logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What standard error gets.
    pub console_level: Level,
    /// Files, a level each.
    pub files: Vec<(PathBuf, Level)>,
}

impl Default for Log {
    fn default() -> Self {
        Self { console_level: Level(log::LevelFilter::Info), files: Vec::new() }
    }
}

/// The whole configuration; see [`SAMPLE`] for what each key means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the sample configuration says it, key by key")]
pub struct Config {
    #[serde(deserialize_with = "address")]
    pub host: IpAddr,
    pub port: u16,
    #[serde(deserialize_with = "domain")]
    pub domain: Domain,
    pub maildir_path: PathBuf,
    pub worker_threads: usize,
    pub timer: u64,
    pub command_seconds_max: u64,
    pub data_block_seconds_max: u64,
    pub message_seconds_max: u64,
    pub pressure_seconds_max: u64,
    pub nice: i32,
    pub user: Option<String>,
    pub group: Option<String>,
    pub sandbox: bool,
    pub log: Log,
    #[serde(deserialize_with = "choice")]
    pub users: Users,
    pub relay_from: Vec<Network>,
    pub refuse_from: Vec<Network>,
    #[serde(deserialize_with = "choice")]
    pub mailbox_format: MailboxFormat,
    #[serde(deserialize_with = "choice")]
    pub syntax: Syntax,
    #[serde(deserialize_with = "choice")]
    pub bare_newline: BareNewline,
    #[serde(deserialize_with = "choice")]
    pub vrfy: Verify,
    pub line_bytes_max: usize,
    pub header_bytes_max: u64,
    pub message_bytes_max: u64,
    pub recipients_max: usize,
    pub recipients_per_session_max: usize,
    pub commands_max: usize,
    pub errors_max: usize,
    pub received_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub connections_per_network_max: usize,
    pub connects_per_second_max: usize,
    #[serde(deserialize_with = "choice")]
    pub uncapped_from: UncappedFrom,
    pub backlog: i32,
    pub memory_bytes_max: usize,
    pub store_threads: usize,
    pub commits_waiting_max: usize,
    pub free_bytes_min: u64,
    pub stop_seconds_max: u64,
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| serde::de::Error::custom(format!("`{text}` is no IP address, expected one like `127.0.0.1`"));
    text.parse().map_err(wrong)
}

fn choice<'de, D: serde::Deserializer<'de>, T: Choice<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(deserializer).map_err(|error| {
        // The reader's own words begin with a capital letter; ours quote the file, and say more.
        let is_ours = error.to_string().starts_with('`');
        if is_ours { error } else { serde::de::Error::custom(T::ALLOWED) }
    })
}

fn domain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Domain, D::Error> {
    let text = String::deserialize(deserializer)?;
    Domain::parse_own(&text).map_err(|_| serde::de::Error::custom(format!("`{text}` is no domain")))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 2525,
            domain: Domain::Name("postman.local".to_owned()),
            maildir_path: PathBuf::from("./maildir"),
            worker_threads: 4,
            timer: 300,
            command_seconds_max: 300,
            data_block_seconds_max: 180,
            message_seconds_max: 3600,
            pressure_seconds_max: 30,
            nice: 0,
            user: None,
            group: None,
            sandbox: true,
            log: Log::default(),
            users: Users::Any,
            relay_from: vec![
                Network(IpAddr::from([127, 0, 0, 0]), 8),
                Network(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]), 128),
            ],
            refuse_from: Vec::new(),
            mailbox_format: MailboxFormat::Message,
            syntax: Syntax::Lenient,
            bare_newline: BareNewline::Refuse,
            vrfy: Verify::Vague,
            line_bytes_max: 2048,
            header_bytes_max: 256 << 10,
            message_bytes_max: 50 << 20,
            recipients_max: 1000,
            recipients_per_session_max: 10_000,
            commands_max: 100_000,
            errors_max: 20,
            received_max: 100,
            connections_max: 1000,
            connections_per_address_max: 50,
            connections_per_network_max: 100,
            connects_per_second_max: 20,
            uncapped_from: UncappedFrom::RelayFrom,
            backlog: 4096,
            memory_bytes_max: 64 << 10,
            store_threads: 64,
            commits_waiting_max: 4096,
            free_bytes_min: 16 << 20,
            stop_seconds_max: 10,
        }
    }
}

/// The default configuration, ready to be saved and edited.
pub const SAMPLE: &str = include_str!("config.sample.ron");

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// One line that names the file, the place and the reason.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{shown}:{error}"))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// `line:column: reason`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let config: Self = options.from_str(text).map_err(|error| {
            let place = error.span.start;
            format!("{}:{}: {}", place.line, place.col, reason(&error.code))
        })?;
        config.check().map_err(|(key, reason)| {
            let place = place(text, key).unwrap_or(text.len());
            let before = text.get(..place).unwrap_or_default();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("{}:{column}: {key} must be {reason}", before.matches('\n').count() + 1)
        })?;
        Ok(config)
    }

    /// What sessions need of it.
    #[must_use]
    pub fn settings(&self, machine: &'static Machine) -> Settings {
        Settings {
            machine,
            domain: self.domain.clone(),
            syntax: self.syntax,
            refuse_bare_newline: self.bare_newline == BareNewline::Refuse,
            verify_honestly: self.vrfy == Verify::Honest,
            line_bytes_max: self.line_bytes_max,
            message_bytes_max: self.message_bytes_max,
            recipients_max: self.recipients_max,
            errors_max: self.errors_max,
            commands_max: self.commands_max,
            recipients_per_session_max: self.recipients_per_session_max,
            header_bytes_max: self.header_bytes_max,
            received_max: self.received_max,
        }
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let bounds = [
            ((1..=1024).contains(&self.worker_threads), "worker_threads", "from 1 to 1024"),
            ((1..=86_400).contains(&self.timer), "timer", "from 1 to 86400 seconds"),
            ((1..=86_400).contains(&self.command_seconds_max), "command_seconds_max", "from 1 to 86400 seconds"),
            ((1..=86_400).contains(&self.data_block_seconds_max), "data_block_seconds_max", "from 1 to 86400 seconds"),
            ((1..=86_400).contains(&self.message_seconds_max), "message_seconds_max", "from 1 to 86400 seconds"),
            ((1..=86_400).contains(&self.pressure_seconds_max), "pressure_seconds_max", "from 1 to 86400 seconds"),
            ((-20..=19).contains(&self.nice), "nice", "from -20 to 19"),
            (
                (512..=1 << 20).contains(&self.line_bytes_max),
                "line_bytes_max",
                "from 512 (RFC 5321 4.5.3.1.4) to 1048576",
            ),
            (
                self.syntax == Syntax::Lenient || self.domain.is_strict(),
                "domain",
                "without underscores for syntax: Strict, or no client could name it",
            ),
            (self.header_bytes_max >= 4096, "header_bytes_max", "at least 4096"),
            (self.message_bytes_max >= 65_536, "message_bytes_max", "at least 65536 (RFC 5321 4.5.3.1.7)"),
            (self.recipients_max >= 100, "recipients_max", "at least 100 (RFC 5321 4.5.3.1.8)"),
            (
                self.recipients_per_session_max >= self.recipients_max,
                "recipients_per_session_max",
                "at least recipients_max",
            ),
            (self.commands_max >= 100, "commands_max", "at least 100"),
            (self.errors_max >= 1, "errors_max", "at least 1"),
            (self.received_max >= 100, "received_max", "at least 100 (RFC 5321 6.3)"),
            (self.connections_max >= 1, "connections_max", "at least 1"),
            (self.connections_per_address_max >= 1, "connections_per_address_max", "at least 1"),
            (self.connections_per_network_max >= 1, "connections_per_network_max", "at least 1"),
            (self.connects_per_second_max >= 1, "connects_per_second_max", "at least 1"),
            ((1..=65_535).contains(&self.backlog), "backlog", "from 1 to 65535"),
            ((1..=1024).contains(&self.store_threads), "store_threads", "from 1 to 1024"),
            (self.commits_waiting_max >= 1, "commits_waiting_max", "at least 1"),
            ((1..=3600).contains(&self.stop_seconds_max), "stop_seconds_max", "from 1 to 3600"),
        ];
        bounds.into_iter().find(|(holds, ..)| !holds).map_or(Ok(()), |(_, key, reason)| Err((key, reason)))
    }
}

fn reason(error: &ron::Error) -> String {
    if let ron::Error::NoSuchStructField { expected, found, .. } = error {
        if found == "strict_helo" {
            return "unknown key `strict_helo`; its successor is `syntax: Strict`, or `Lenient`".to_owned();
        }
        let near = expected.iter().min_by_key(|known| strsim::damerau_levenshtein(known, found));
        let near = near.filter(|known| strsim::damerau_levenshtein(known, found) <= 1 + found.len() / 3);
        let help = near.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
        return format!("unknown key `{found}`{help}");
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    // The reader's own words begin with a capital letter; ours do not, and may quote the file.
    let mut signs = line.chars();
    signs.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + signs.as_str())
}

/// Where a key is set: not where a comment tells of it, nor within a longer key.
fn place(text: &str, key: &str) -> Option<usize> {
    let mut places = text.match_indices(key).map(|(place, _)| place);
    places.find(|&place| {
        let (before, after) = text.split_at(place);
        let is_whole = !before.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        let is_comment = before.rsplit('\n').next().is_some_and(|line| line.contains("//"));
        is_whole && !is_comment && after[key.len()..].trim_start().starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_default() {
        assert_eq!(Config::parse(SAMPLE), Ok(Config::default()));
        assert_eq!(Config::parse("()"), Ok(Config::default()));
        // A container's name.
        assert!(Config::parse("(domain: \"mail_server\")").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("(\n  prot: 25,\n)", "unknown key `prot`; did you mean `port`?"),
            ("(port: 99999)", "1:"),
            ("(domain: \"-\")", "`-` is no domain"),
            ("(relay_from: [\"10.0.0.0/33\"])", "is no network"),
            ("(log: (console_level: \"loud\"))", "`loud` is no level"),
            ("(\n recipients_max: 3)", "2:2: recipients_max must be at least 100 (RFC 5321 4.5.3.1.8)"),
            ("(\n // recipients_max: much\n recipients_max: 3)", "3:2: recipients_max must be"),
            (
                "(recipients_per_session_max: 2000, // of connections_max\n connections_max:\t0)",
                "2:2: connections_max must be",
            ),
            ("(host: \"localhost\")", "`localhost` is no IP address"),
            ("(users: any)", r#"1:9: users must be Any, or Listed(["alice", "bob"])"#),
            ("(\n users: [\"alice\"])", "2:9: users must be Any, or Listed(["),
            ("(users: Listed(\"alice\"))", "1:16: users must be Any, or Listed(["),
            ("(uncapped_from: [\"10.0.0.0/8\"])", "1:17: uncapped_from must be RelayFrom, or Networks(["),
            ("(uncapped_from: Networks([\"x\"]))", "`x` is no network"),
            ("(mailbox_format: \"Message\")", "1:18: mailbox_format must be Message or Envelope"),
            ("(bare_newline: keep)", "1:16: bare_newline must be Refuse or Keep"),
            (
                "(\n strict_helo: true)",
                "2:2: unknown key `strict_helo`; its successor is `syntax: Strict`, or `Lenient`",
            ),
            ("(syntax: strict)", "1:10: syntax must be Lenient or Strict"),
            ("(domain: \"my_server\", syntax: Strict)", "1:2: domain must be without underscores"),
            ("(vrfy: true)", "1:8: vrfy must be Vague or Honest"),
            ("(port: 1", "1:8: "),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let holds = |network: &str, address: &str| {
            Network::try_from(network.to_owned()).unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("127.0.0.0/8", "127.1.2.3") && holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.0/8", "128.0.0.1") && !holds("127.0.0.0/8", "::1"));
        assert!(holds("0.0.0.0/0", "9.9.9.9") && holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
    }
}
