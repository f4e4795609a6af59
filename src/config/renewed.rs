//! What of a configuration can change while the server runs.

use super::Key;
use super::key::Keys as _;
use super::keys::Config;
use crate::smtp::session::Limits;

/// A key whose value is another in the file than when it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub key: &'static str,
    /// The value that held so far, as it is written in a file.
    pub was: String,
    /// The value in the file.
    pub is: String,
    /// Whether it holds from now on; otherwise a restart is needed.
    pub holds: bool,
}

impl Config {
    /// The keys that can change while the server runs, beside those of `Limits`: what sessions ask.
    /// All else belongs to what was opened at the start: sockets, the mail folder, threads, logs.
    pub const CHANGING: &'static [&'static str] = &[
        "timer",
        "command_seconds_max",
        "data_block_seconds_max",
        "message_seconds_max",
        "pressure_seconds_max",
        "users",
        "relay_from",
        "refuse_from",
        "syntax",
        "vrfy",
        "uncapped_from",
    ];

    /// The configuration of a server that runs by this one, after its file was read again; and what
    /// differs in the file, in the order of the keys.
    #[must_use]
    pub fn renewed(&self, read: Self) -> (Self, Vec<Change>) {
        let changes = Self::KEYS.iter().filter_map(|key: &Key<Self>| {
            let (was, is) = ((key.written)(self, 0), (key.written)(&read, 0));
            let holds = Self::CHANGING.contains(&key.name) || Limits::KEYS.contains(&key.name);
            (was != is).then_some(Change { key: key.name, was, is, holds })
        });
        let changes = changes.collect();
        let renewed = Self {
            timer: read.timer,
            command_seconds_max: read.command_seconds_max,
            data_block_seconds_max: read.data_block_seconds_max,
            message_seconds_max: read.message_seconds_max,
            pressure_seconds_max: read.pressure_seconds_max,
            users: read.users,
            relay_from: read.relay_from,
            refuse_from: read.refuse_from,
            syntax: read.syntax,
            vrfy: read.vrfy,
            uncapped_from: read.uncapped_from,
            limits: read.limits,
            ..self.clone()
        };
        (renewed, changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_change_changes_and_all_else_stays() {
        let values = [
            ("users", "Listed([\"a\"])"),
            ("relay_from", "[]"),
            ("refuse_from", "[\"192.0.2.0/24\"]"),
            ("syntax", "Strict"),
            ("vrfy", "Honest"),
            ("uncapped_from", "Networks([])"),
            ("host", "\"::1\""),
            ("domain", "\"x.org\""),
            ("maildir_path", "\"./other\""),
            ("user", "Some(\"x\")"),
            ("sandbox", "false"),
            ("mailboxes", "ByAddress"),
        ];
        let numbers: Vec<_> = Config::KEYS.iter().map(|key| key.name).collect();
        let numbers = numbers.iter().filter_map(|key| {
            let old = Config::default().written(key).parse::<u64>().ok()?;
            Some((*key, (old + 1).to_string()))
        });
        let values: Vec<_> =
            values.iter().map(|(key, value)| (*key, (*value).to_owned())).chain(numbers).collect();
        assert!(values.len() > 25, "{}", values.len());
        for (key, value) in values {
            // A day is the most for some, and less must not be for others.
            let Ok(read) = Config::parse(&format!("({key}: {value})")) else { continue };
            let old = Config::default();
            let (renewed, changes) = old.renewed(read.clone());
            let [change] = changes.as_slice() else { panic!("{key}: {changes:?}") };
            assert_eq!((change.key, change.was.as_str()), (key, old.written(key).as_str()));
            assert_eq!(
                renewed.written(key),
                if change.holds { &change.is } else { &change.was }.as_str()
            );
        }
    }

    #[test]
    fn each_name_is_a_key() {
        for name in Config::CHANGING {
            assert!(Key::<Config>::of(name).is_some(), "{name}");
        }
    }
}
