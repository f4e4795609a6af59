//! `/sessions`: the last sessions as dialogues.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::definition::{Page, cell_name};
use crate::server::{Dialogue, Told};

/// A time as JSON has it. RFC 3339.
pub(super) fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A session, with its lines from this one on.
pub(super) fn json(pages: &[Page], dialogue: &Dialogue, told: &Told, from: usize) -> Value {
    let is_its = |page: &Page| page.is_of(dialogue.machine);
    let cells = told.cells.iter().map(|(state, event)| cell_name(state, event));
    json!({
        "id": dialogue.id,
        "client": dialogue.client,
        "definition": pages.iter().position(is_its),
        "began": time(dialogue.began),
        "ended": told.ended.map(time),
        "state": told.state,
        "cells": cells.collect::<Vec<_>>(),
        "refused": told.refused,
        "messages": told.messages,
        "faults": told.faults,
        "from": from,
        "is_cut": told.is_cut,
        "lines": told.lines.get(from..).unwrap_or_default(),
    })
}
