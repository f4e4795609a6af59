//! `postman top`: the machine of a running server in a terminal.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{End, print};
use crate::autofsm::grid;
use crate::web;

/// How long a picture stands.
const PAUSE: Duration = Duration::from_secs(1);
/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// The row of what is no command.
const NO_COMMAND: &str = "-";

#[derive(Args)]
pub(super) struct Top {
    /// Where the server has its page (`serve --web`).
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8025")]
    url: String,
    /// Which of several definitions, from 0 on.
    #[arg(long, value_name = "N", default_value = "0")]
    definition: usize,
    /// Print it once, for a script.
    #[arg(long)]
    once: bool,
}

pub(super) fn top(options: &Top) -> Result<(), End> {
    let path = format!("state?definition={}", options.definition);
    let is_terminal = io::stdout().is_terminal();
    loop {
        let answer = web::get(&options.url, &path)?;
        let state: Value = serde_json::from_str(&answer)
            .map_err(|_| format!("{} is not the page of a server", options.url))?;
        // Nothing that a server says moves the cursor.
        let safe = |char: char| if char.is_control() && char != '\n' { '\u{fffd}' } else { char };
        let text: String = shown(&state).chars().map(safe).collect();
        if options.once {
            return print(&text);
        }
        print(&format!("{}{text}", if is_terminal { CLEAR } else { "" }))?;
        thread::sleep(PAUSE);
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// One line of totals; the table, the states with the sessions that stand there; and the faults.
fn shown(state: &Value) -> String {
    let total = |name: &str| state["totals"][name].as_u64().unwrap_or(0);
    let digest = state["definition"]["sha256"].as_str().unwrap_or_default();
    let mut text = format!(
        "{} {}: {} open, {} sessions, {} turned away, {} messages\n\n",
        state["definition"]["name"].as_str().unwrap_or_default(),
        digest.get(..12).unwrap_or(digest),
        total("open"),
        total("sessions"),
        total("turned_away"),
        total("messages"),
    );
    let known = names(&state["states"]);
    // Nothing happens after the last state, so it needs no column.
    let states = known.split_last().map_or(&[][..], |(_, before)| before);
    let mut events = names(&state["events"]);
    if list(&state["refused"]).any(|one| one["event"] == NO_COMMAND) {
        events.push(NO_COMMAND);
    }
    let heads: Vec<String> = states
        .iter()
        .map(|name| match state["sessions"][name].as_u64().unwrap_or(0) {
            0 => (*name).to_owned(),
            count => format!("{name} ({count})"),
        })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    text += &grid(&heads, &events, |event, column| cell(state, states[column], events[event]));
    for fault in list(&state["faults"]) {
        let says = fault["says"].as_str().unwrap_or_default();
        text += &format!("! {says}: {} fired\n", fault["fired"].as_u64().unwrap_or(0));
    }
    text
}

/// The state that follows and how often it was taken; how often it was refused; and `!` for a fault.
fn cell(state: &Value, name: &str, event: &str) -> String {
    let is_here = |one: &&Value| one["state"] == name && one["event"] == event;
    let mut words = Vec::new();
    if let Some(cell) = list(&state["cells"]).find(is_here) {
        let next = cell["next"].as_str().unwrap_or_default();
        words.push(match cell["code"].as_u64() {
            _ if next != name => next.to_owned(),
            Some(code) => code.to_string(),
            None => "=".to_owned(),
        });
        words.extend(
            cell["taken"].as_u64().filter(|taken| *taken > 0).map(|taken| taken.to_string()),
        );
    }
    let refused = list(&state["refused"]).filter(is_here);
    let refused: u64 = refused.filter_map(|one| one["count"].as_u64()).sum();
    if refused > 0 {
        words.push(format!("x{refused}"));
    }
    let here = format!("{name} {event}");
    if list(&state["faults"]).any(|fault| names(&fault["cells"]).contains(&here.as_str())) {
        words.push("!".to_owned());
    }
    words.join(" ")
}
