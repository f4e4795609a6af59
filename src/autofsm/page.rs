//! A definition without some of its events, and a definition as a page again. A server runs its
//! table without the same rows; this is that machine as text.
//!
//! Fewer rows allow fewer conversations, so that no `never` can break, and an `always` that does
//! not speak of what is left out holds of the conversations that are left. One that does is not
//! asked any more.

use std::fmt::Write as _;

use super::expression;
use super::faults::shown_time;
use super::{
    Answer, Cell, Code, Count, Definition, Ending, EventIndex, Fault, Keyword, Move, Property,
    StateIndex, normal, same_name,
};

impl Definition {
    /// The definition as it is once it has come to a state: that one is the first, and the first is
    /// any other. Faults, which count from the begin, are left out.
    #[must_use]
    pub fn begun_at(&self, first: StateIndex) -> Self {
        let moved = |state: usize| match state {
            0 => first.0,
            state if state == first.0 => 0,
            state => state,
        };
        let mut moved_on = self.clone();
        let width = self.events.len();
        moved_on.states.swap(0, first.0);
        for event in 0..width {
            moved_on.cells.swap(event, first.0 * width + event);
        }
        for cell in moved_on.cells.iter_mut().flatten() {
            cell.next = moved(cell.next);
        }
        moved_on.taken_back.clear();
        moved_on.faults.clear();
        moved_on
    }

    /// The definition without these events: without their rows, the states that nothing reaches
    /// then, the keywords that stand for them, and the properties that name them.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let is_left_out = |name: &str| names.iter().any(|out| same_name(out, name));
        let mut rest = self.clone();
        let width = self.events.len().max(1);
        for (place, cell) in rest.cells.iter_mut().enumerate() {
            if self.events.get(place % width).is_some_and(|event| is_left_out(&event.name)) {
                *cell = None;
            }
        }
        let (reached, last) = (rest.reached(), self.states.len().saturating_sub(1));
        let keeps = |state: usize| [0, last].contains(&state) || reached[state];
        let states: Vec<usize> = (0..self.states.len()).filter(|state| keeps(*state)).collect();
        let events: Vec<usize> = (0..self.events.len())
            .filter(|event| !is_left_out(&self.events[*event].name))
            .collect();
        let state_at = |old: usize| states.iter().position(|state| *state == old);
        let event_at = |old: usize| events.iter().position(|event| *event == old);
        let places =
            states.iter().flat_map(|state| events.iter().map(move |event| (*state, *event)));
        let cells = places.map(|(state, event)| {
            let cell = rest.cell(state, event)?;
            Some(Cell { next: state_at(cell.next)?, ..cell.clone() })
        });
        let keywords = self.keywords.iter().filter_map(|keyword| {
            let command = match keyword.command {
                Some(event) => Some(event_at(event)?),
                None => None,
            };
            Some(Keyword { command, ..keyword.clone() })
        });
        let properties = self.properties.iter().filter_map(|property| {
            let speaks = expression::names(&property.path).any(is_left_out);
            let accepts = match &property.accepts {
                Some(accepts) => {
                    Some(accepts.iter().map(|old| event_at(*old)).collect::<Option<_>>()?)
                }
                None => None,
            };
            (!speaks).then(|| Property { accepts, ..property.clone() })
        });
        let moved = |step: Move| {
            let (state, event) = (state_at(step.state.0)?, event_at(step.event.0)?);
            Some(Move { state: StateIndex(state), event: EventIndex(event) })
        };
        let faults = self.faults.iter().filter_map(|fault| fault.over(&events, is_left_out, moved));
        Self {
            prefix: self.prefix.clone(),
            states: states.iter().map(|state| self.states[*state].clone()).collect(),
            events: events.iter().map(|event| self.events[*event].clone()).collect(),
            keywords: keywords.collect(),
            cells: cells.collect(),
            taken_back: std::collections::BTreeMap::new(),
            properties: properties.collect(),
            faults: faults.collect(),
        }
    }
}

/// A word as GNU autogen reads it: quoted, unless it is a plain name.
fn word(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
    if plain { text.to_owned() } else { quoted(text) }
}

/// Text that neither ends the comment that it is in, nor looks like the start of another: a name's
/// comment may have been one that goes to the end of its line.
fn within_comment(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The rows of a page: what the cells of some states have in common.
struct Row<'d> {
    states: Vec<usize>,
    event: usize,
    cell: &'d Cell,
    stays: bool,
}

impl Row<'_> {
    fn takes(&self, event: usize, state: usize, cell: &Cell) -> bool {
        let same = self.event == event
            && (&self.cell.action, &self.cell.reply) == (&cell.action, &cell.reply);
        same && if self.stays { cell.next == state } else { cell.next == self.cell.next }
    }
}

/// The cells as rows: those that lead on first, so that a state in which such a row stays is among
/// its states.
fn rows(definition: &Definition) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for event in 0..definition.events.len() {
        for stays in [false, true] {
            for state in 0..definition.states.len() {
                let Some(cell) = definition.cell(state, event) else { continue };
                if rows.iter().any(|row| row.event == event && row.states.contains(&state)) {
                    continue;
                }
                match rows.iter_mut().find(|row| row.takes(event, state, cell)) {
                    Some(row) => row.states.push(state),
                    None if stays == (cell.next == state) => {
                        rows.push(Row { states: vec![state], event, cell, stays });
                    }
                    None => {}
                }
            }
        }
    }
    for row in &mut rows {
        row.states.sort_unstable();
    }
    rows
}

/// Writes a definition as a page that compiles to the same machine, after a comment. Comments other
/// than those on states and events are not kept.
#[must_use]
pub fn page(definition: &Definition, about: &[String]) -> String {
    let mut text = "/*\n".to_owned();
    for line in about {
        let _ = writeln!(text, " * {}", within_comment(line));
    }
    text += " */\nAutoGen Definitions fsm;\n\n";
    if let Some(prefix) = &definition.prefix {
        let _ = writeln!(text, "prefix = {};\n", word(prefix));
    }
    let declared = definition.states.len().saturating_sub(1);
    let states = definition.states.get(1..declared).unwrap_or_default();
    declare(&mut text, "state", states.iter().map(|state| (&*state.name, &*state.doc)));
    declare(&mut text, "event", definition.events.iter().map(|event| (&*event.name, &*event.doc)));
    for event in &definition.events {
        if let Some(display) = &event.display {
            // The name of an attribute cannot be quoted; case does not count in it.
            let name = if word(&event.name) == event.name {
                event.name.clone()
            } else {
                normal(&event.name)
            };
            let _ = writeln!(text, "{name} = {};", quoted(display));
        }
    }
    if !definition.keywords.is_empty() {
        let words: Vec<_> = definition.keywords.iter().map(|keyword| word(&keyword.name)).collect();
        let _ = writeln!(text, "\nkeyword = {};", words.join(", "));
    }
    let rows: Vec<_> = rows(definition).iter().map(|row| row_text(definition, row)).collect();
    if !rows.is_empty() {
        let _ = writeln!(text, "\ntransition =\n{};", rows.join(",\n"));
    }
    for property in &definition.properties {
        text += &property_text(definition, property);
    }
    for fault in &definition.faults {
        text += &fault_text(fault);
    }
    text
}

/// A list of names, each with its comment.
fn declare<'d>(text: &mut String, kind: &str, names: impl Iterator<Item = (&'d str, &'d str)>) {
    let names: Vec<_> = names.map(|(name, doc)| (word(name), doc)).collect();
    let width = names.iter().map(|(name, _)| name.len() + 1).max().unwrap_or(0);
    let Some(last) = names.len().checked_sub(1) else { return };
    let mut begins_line = true;
    for (number, (name, doc)) in names.iter().enumerate() {
        let begin = if number == 0 { format!("{kind} = ") } else { " ".repeat(kind.len() + 3) };
        text.push_str(if begins_line { &begin } else { " " });
        let name = format!("{name}{}", if number == last { ";" } else { "," });
        begins_line = number == last
            || !doc.is_empty()
            || names.get(number + 1).is_some_and(|(_, next)| !next.is_empty());
        if doc.is_empty() {
            text.push_str(&name);
        } else {
            let _ = write!(text, "{name:<width$}   /* {} */", within_comment(doc));
        }
        if begins_line {
            text.push('\n');
        }
    }
    text.push('\n');
}

fn row_text(definition: &Definition, row: &Row<'_>) -> String {
    let name = |state: &usize| word(&definition.states[*state].name);
    let states: Vec<_> = row.states.iter().map(name).collect();
    let mut text = format!(
        "  {{ tst = {}; tev = {};",
        states.join(", "),
        word(&definition.events[row.event].name)
    );
    if !row.stays {
        let _ = write!(text, " next = {};", name(&row.cell.next));
    }
    let _ = write!(text, " ttype = {};", word(row.cell.action.as_deref().unwrap_or("noop")));
    if let Some(reply) = &row.cell.reply {
        let reply = match &reply.text {
            Some(words) => quoted(&format!("{} {words}", reply.code)),
            None => reply.code.to_string(),
        };
        let _ = write!(text, " reply = {reply};");
    }
    text + " }"
}

fn property_text(definition: &Definition, property: &Property) -> String {
    let (kind, key) =
        if property.accepts.is_none() { ("never", "path") } else { ("always", "after") };
    let mut text = format!(
        "\n{kind} = {{\n  says = {};\n  {key} = {};\n",
        quoted(&property.says),
        quoted(&property.path)
    );
    if let Some(accepts) = &property.accepts {
        let names: Vec<_> =
            accepts.iter().map(|event| word(&definition.events[*event].name)).collect();
        let _ = writeln!(text, "  accepts = {};", names.join(", "));
    }
    text + "};\n"
}

/// A text as a C string.
fn cooked(text: &str) -> String {
    let mut shown = "\"".to_owned();
    for char in text.chars() {
        match char {
            '"' | '\\' => shown.extend(['\\', char]),
            '\r' => shown += "\\r",
            '\n' => shown += "\\n",
            ' '..='~' => shown.push(char),
            _ => drop(write!(shown, "\\x{:02x}", u32::from(char))),
        }
    }
    shown + "\""
}

/// A fault as a page has it.
fn fault_text(fault: &Fault) -> String {
    let mut text = format!(
        "\nfault = {{\n  says = {};\n  path = {};\n",
        quoted(&fault.says),
        quoted(&fault.path)
    );
    let mut add = |key: &str, value: &str| text += &format!("  {key} = {value};\n");
    if let Some(when) = &fault.when {
        add("when", &quoted(when));
    }
    match fault.count {
        Count::Always => {}
        Count::First(times) => add("first", &times.to_string()),
        Count::Over { most, in_ms } => add("over", &format!("'{most} in {}'", shown_time(in_ms))),
    }
    if !fault.each.is_empty() {
        add("each", &fault.each.iter().map(|key| key.name).collect::<Vec<_>>().join(", "));
    }
    match &fault.answer {
        Answer::Row => {}
        Answer::Octets(octets) => add("octets", &cooked(octets)),
        Answer::Reply(code, lines) => {
            let code = match code {
                Code::Fixed(code) => code.to_string(),
                Code::Group(group) => format!("${group}"),
            };
            let lines = lines.iter().map(|words| quoted(format!("{code} {words}").trim_end()));
            add("reply", &lines.collect::<Vec<_>>().join(", "));
        }
    }
    if fault.wait_ms > 0 {
        add("wait", &format!("'{}'", shown_time(fault.wait_ms)));
    }
    if let Some(pace) = fault.pace {
        add("pace", &format!("'{} octets, {}'", pace.octets, shown_time(pace.every_ms)));
    }
    let numbers = [("cut", fault.cut.map(|cut| cut as u64)), ("content", fault.content)];
    for (key, number) in numbers {
        if let Some(number) = number {
            add(key, &number.to_string());
        }
    }
    if let Some(end) = fault.end {
        add(
            "end",
            match end {
                Ending::Close => "close",
                Ending::Reset => "reset",
                Ending::Hang => "hang",
            },
        );
    }
    text + if fault.done { "  done;\n};\n" } else { "};\n" }
}
