//! What a client says for each event of a definition, and what must be refused everywhere.

use crate::autofsm::{Definition, same_name};
use crate::smtp::vocabulary::VOCABULARY;

/// The values that commands are made of.
#[derive(Clone, Debug)]
pub struct Values {
    /// The name that the client gives itself.
    pub helo: String,
    /// The address for reports; "" is the null reverse-path, which gets none.
    pub sender: String,
    /// Who gets the messages.
    pub recipient: String,
    /// An address that the server does not take.
    pub unknown: Option<String>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            helo: "client.example".to_owned(),
            sender: String::new(),
            recipient: "user@postman.local".to_owned(),
            unknown: None,
        }
    }
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command of the definition.
    Command,
    /// A command behind which, if it is accepted, the line is encrypted: the client shakes hands.
    Encrypt,
    /// A line of content.
    Content,
    /// The line that ends content.
    End,
    /// A line that is refused wherever commands are heard.
    Probe,
}

/// One thing that a client can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The event's name, or the probe's.
    pub name: String,
    /// The line, without its end.
    pub line: String,
    /// What it stands for.
    pub kind: Kind,
    /// The number of its event; a probe has none.
    pub event: Option<usize>,
}

/// Whether an event begins encryption.
fn encrypts(definition: &Definition, event: usize) -> bool {
    action(definition, event).is_some_and(|action| action == "start_tls")
}

/// The action by which some state accepts an event.
pub(super) fn action(definition: &Definition, event: usize) -> Option<&str> {
    let mut accepted =
        (0..definition.states.len()).filter_map(|state| definition.accepted(state, event));
    accepted.find_map(|cell| cell.action.as_deref())
}

/// All that a client can say: the commands in their order, content, its end, and the probes.
#[must_use]
pub fn symbols(definition: &Definition, values: &Values) -> Vec<Symbol> {
    let mut all = Vec::new();
    for (number, event) in definition.events.iter().enumerate() {
        let name = event.name.clone();
        let (kind, line) = if same_name(&name, VOCABULARY.content) {
            (Kind::Content, "Subject: conformance".to_owned())
        } else if same_name(&name, VOCABULARY.end) {
            (Kind::End, ".".to_owned())
        } else {
            let kind = if encrypts(definition, number) { Kind::Encrypt } else { Kind::Command };
            (kind, line(definition, number, values))
        };
        all.push(Symbol { name, line, kind, event: Some(number) });
    }
    let probes = probes(definition, values);
    all.extend(probes.into_iter().map(|(name, line)| Symbol {
        name: name.to_owned(),
        line,
        kind: Kind::Probe,
        event: None,
    }));
    all
}

/// A command with the argument that its action wants.
fn line(definition: &Definition, event: usize, values: &Values) -> String {
    let name = definition.events.get(event).map_or("", |event| &event.name);
    let word = VOCABULARY.commands.iter().find(|known| same_name(known.name, name));
    let word = word.map_or("", |command| command.word);
    match action(definition, event) {
        Some("greet" | "greet_extended") => format!("{name} {}", values.helo),
        Some("set_sender") => format!("{name} {word}<{}>", values.sender),
        Some("add_recipient") => format!("{name} {word}<{}>", values.recipient),
        Some("verify") => {
            let local = values.recipient.split('@').next().unwrap_or_default();
            format!("{name} {local}")
        }
        _ => name.to_owned(),
    }
}

/// What no server may take: a verb that nobody knows, a greeting without a name, a sender that is
/// no path, a recipient that is none, and one that is unknown. RFC 5321 4.1.1.1, 4.1.2, 4.2.4.
fn probes(definition: &Definition, values: &Values) -> Vec<(&'static str, String)> {
    let accepted_by = |wanted: &str| {
        let mut events =
            (0..definition.events.len()).filter(|event| action(definition, *event) == Some(wanted));
        events.next().and_then(|event| Some(definition.events.get(event)?.name.clone()))
    };
    let mut found = vec![("unknown-verb", "XYZZY".to_owned())];
    if let Some(name) = accepted_by("greet_extended").or_else(|| accepted_by("greet")) {
        found.push(("no-name", name));
    }
    if let Some(name) = accepted_by("set_sender") {
        found.push(("bad-sender", format!("{name} FROM:<a b@example.org>")));
    }
    if let Some(name) = accepted_by("add_recipient") {
        found.push(("no-recipient", format!("{name} TO:<>")));
        if let Some(unknown) = &values.unknown {
            found.push(("unknown-user", format!("{name} TO:<{unknown}>")));
        }
    }
    found
}
