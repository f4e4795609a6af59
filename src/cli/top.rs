//! `postman top`: the machine of a running server in a terminal.

use std::io;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{End, print};
use crate::autofsm::grid;
use crate::web;

/// How long a picture stands.
const PAUSE: Duration = Duration::from_secs(1);
/// Clears a terminal.
const CLEAR: &str = "\x1b[2J";
/// Goes to a terminal's top; clears the rest of a line; clears all lines that follow. What is drawn
/// over what was there does not flicker.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// How long a state's name may be where the table is too wide for its terminal: the first that fits.
const ROOMS: [usize; 9] = [20, 16, 12, 10, 9, 8, 7, 5, 3];
/// The event of what is no command, and the name of its row.
const NO_COMMAND: &str = "-";
const NO_COMMAND_ROW: &str = "no command";

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

/// # Errors
/// One line: the server cannot be asked at the start. Where it goes away later, it is asked again.
pub(super) fn top(options: &Top) -> Result<(), End> {
    let mut state = ask(options)?;
    if options.once {
        return print(&shown(&state, None));
    }
    let mut lost = String::new();
    if size().is_some() {
        print(CLEAR)?;
    }
    loop {
        print(&match size() {
            Some((columns, rows)) => over(&(lost + &shown(&state, Some(columns))), columns, rows),
            None => lost + &shown(&state, None) + "\n",
        })?;
        thread::sleep(PAUSE);
        lost = match ask(options) {
            Ok(now) => {
                state = now;
                String::new()
            }
            Err(why) => format!("{}; trying again\n", safe(&why)),
        };
    }
}

/// The columns and the rows of the terminal, if it is one.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

fn ask(options: &Top) -> Result<Value, String> {
    let answer = web::get(&options.url, &format!("state?definition={}", options.definition))?;
    serde_json::from_str(&answer)
        .map_err(|_| format!("{} is not the page of a server", options.url))
}

/// Nothing that a server says moves the cursor.
fn safe(text: &str) -> String {
    let safe = |char: char| if char.is_control() && char != '\n' { '\u{fffd}' } else { char };
    text.chars().map(safe).collect()
}

/// A text in the place of what a terminal shows, as much as it has room for.
fn over(text: &str, columns: usize, rows: usize) -> String {
    let lines = text.lines().take(rows.saturating_sub(1));
    let line = |line: &str| line.chars().take(columns).collect::<String>() + CLEAR_LINE + "\n";
    HOME.to_owned() + &lines.map(line).collect::<String>() + CLEAR_BELOW
}

/// A name without its middle, if it is longer than this.
fn cut(name: &str, length_max: usize) -> String {
    let name: Vec<char> = name.chars().collect();
    if name.len() <= length_max {
        return name.iter().collect();
    }
    let kept = length_max.saturating_sub(1);
    let (first, last) = (&name[..kept.div_ceil(2)], &name[name.len() - kept / 2..]);
    first.iter().chain(['…'].iter()).chain(last).collect()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// One line of totals; the table, the states with the sessions that stand there; and the faults. If
/// the table is wider than the terminal, it has only the cells' counts.
fn shown(state: &Value, columns: Option<usize>) -> String {
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
    let whole = table(state, None);
    let fits = |table: &String| {
        columns.is_none_or(|columns| table.lines().all(|line| line.chars().count() <= columns))
    };
    text += &if fits(&whole) {
        whole
    } else {
        let narrow = |room: &usize| table(state, Some(*room));
        ROOMS.iter().map(narrow).find(fits).unwrap_or_else(|| table(state, Some(1)))
    };
    for fault in list(&state["faults"]) {
        let says = fault["says"].as_str().unwrap_or_default();
        text += &format!("! {says}: {} fired\n", fault["fired"].as_u64().unwrap_or(0));
    }
    safe(&text)
}

/// The table: whole, or the counts only, with names that are not longer than this.
fn table(state: &Value, room: Option<usize>) -> String {
    let known = names(&state["states"]);
    // Nothing happens after the last state, so it needs no column.
    let states = known.split_last().map_or(&[][..], |(_, before)| before);
    let mut events = names(&state["events"]);
    let mut rows = events.clone();
    if list(&state["refused"]).any(|one| one["event"] == NO_COMMAND) {
        events.push(NO_COMMAND);
        rows.push(NO_COMMAND_ROW);
    }
    let heads: Vec<String> = states
        .iter()
        .map(|name| match state["sessions"][name].as_u64().unwrap_or(0) {
            0 => cut(name, room.unwrap_or(usize::MAX)),
            count => format!("{} ({count})", cut(name, room.unwrap_or(usize::MAX))),
        })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let is_whole = room.is_none();
    grid(&heads, &rows, |event, column| cell(state, states[column], events[event], is_whole))
}

/// The state that follows and how often it was taken; how often it was refused; and `!` for a fault.
/// With counts only a row of the definition that was not taken is a dot.
fn cell(state: &Value, name: &str, event: &str, is_whole: bool) -> String {
    let is_here = |one: &&Value| one["state"] == name && one["event"] == event;
    let mut words = Vec::new();
    if let Some(cell) = list(&state["cells"]).find(is_here) {
        let next = cell["next"].as_str().unwrap_or_default();
        let taken = cell["taken"].as_u64().filter(|taken| *taken > 0);
        words.extend(match cell["code"].as_u64() {
            _ if !is_whole => taken.is_none().then(|| ".".to_owned()),
            _ if next != name => Some(next.to_owned()),
            Some(code) => Some(code.to_string()),
            None => Some("=".to_owned()),
        });
        words.extend(taken.map(|taken| taken.to_string()));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> Value {
        let cell = |state: &str, event: &str, next: &str, taken: u64| {
            let code = if state == next { json!(250) } else { Value::Null };
            json!({"state": state, "event": event, "next": next, "code": code, "taken": taken})
        };
        json!({
            "definition": {"name": "x.def", "sha256": "0123456789abcdef"},
            "states": ["init", "client_ready", "done"],
            "events": ["EHLO", "NOOP", "QUIT"],
            "cells": [
                cell("init", "EHLO", "client_ready", 12),
                cell("client_ready", "NOOP", "client_ready", 0),
                cell("client_ready", "QUIT", "done", 3),
            ],
            "refused": [{"state": "init", "event": "NOOP", "count": 7}, {"state": "init", "event": "-", "count": 1}],
            "sessions": {"client_ready": 2},
            "faults": [{"says": "busy\u{1b}[2J", "fired": 4, "cells": ["client_ready QUIT"]}],
            "totals": {"open": 2, "sessions": 5, "turned_away": 0, "messages": 1},
        })
    }

    const HEAD: &str = "x.def 0123456789ab: 2 open, 5 sessions, 0 turned away, 1 messages\n\n";

    #[test]
    fn a_cell_has_what_follows_and_the_counts() {
        let table = "            init             client_ready (2)\n\
                     EHLO        client_ready 12\n\
                     NOOP        x7               250\n\
                     QUIT                         done 3 !\n\
                     no command  x1\n\
                     ! busy\u{fffd}[2J: 4 fired\n";
        assert_eq!(shown(&state(), None), format!("{HEAD}{table}"));
        assert_eq!(shown(&state(), Some(48)), format!("{HEAD}{table}"));
    }

    #[test]
    fn a_narrow_terminal_has_the_counts_alone() {
        let table = "            init  cl…dy (2)\n\
                     EHLO        12\n\
                     NOOP        x7    .\n\
                     QUIT              3 !\n\
                     no command  x1\n\
                     ! busy\u{fffd}[2J: 4 fired\n";
        assert_eq!(shown(&state(), Some(27)), format!("{HEAD}{table}"));
        assert!(shown(&state(), Some(1)).contains(" … (2)\n"));
        assert_eq!(
            over("one\ntwo\nthree\n", 2, 3),
            format!("{HOME}on{CLEAR_LINE}\ntw{CLEAR_LINE}\n{CLEAR_BELOW}")
        );
    }
}
