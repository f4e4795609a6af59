//! `/events`: what changes, as server-sent events. <https://html.spec.whatwg.org/multipage/server-sent-events.html>
//!
//! Who listens looks at the counters ten times a second, and is sent what is another number than
//! the last time. Sessions know nothing of it, and without listeners nothing is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::{Stream, stream};
use hyper::body::Bytes;
use serde_json::Value;

use super::answer::Context;
use super::definition::Page;
use super::sessions;
use super::state::{self, Snapshot};

/// The time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// How long nothing is said; then a line that says nothing, which shows who is gone.
const SILENCE: Duration = Duration::from_secs(15);

/// What one listener was told.
struct Listener {
    context: Arc<Context>,
    /// The number of the page.
    number: usize,
    /// The number of exchanges before what it was told.
    generation: u64,
    /// The counts that it was told.
    counts: Option<Snapshot>,
    /// Whether it hears of sessions.
    hears_sessions: bool,
    /// The sessions' number of changes that it was told.
    changes: Option<u64>,
    /// For each session its version, and the number of lines that were told.
    told: HashMap<String, (u64, usize)>,
    /// When something was said last.
    spoke: Instant,
}

/// The events for one listener.
pub(super) fn events(
    context: Arc<Context>,
    number: usize,
    hears_sessions: bool,
) -> impl Stream<Item = Bytes> {
    let listener = Listener {
        generation: context.live.exchange().generation(),
        context,
        number,
        counts: None,
        hears_sessions,
        changes: None,
        told: HashMap::new(),
        spoke: Instant::now(),
    };
    stream::unfold(listener, |mut listener| async move {
        if listener.counts.is_some() {
            Timer::after(FRAME).await;
        }
        loop {
            if let Some(frame) = listener.frame() {
                listener.spoke = Instant::now();
                return Some((frame.into(), listener));
            }
            Timer::after(FRAME).await;
        }
    })
}

fn event(name: &str, data: &Value) -> String {
    // JSON has no line end in it.
    format!("event: {name}\ndata: {data}\n\n")
}

impl Listener {
    /// What is to be said now, if anything is.
    fn frame(&mut self) -> Option<String> {
        let context = Arc::clone(&self.context);
        let mut text = self.reset(&context);
        let pages = context.pages();
        let page = pages.get(self.number)?;
        let now = Snapshot::of(page, context.live.numbers());
        text += &match &self.counts {
            None => {
                let state = state::json(&context, &pages, self.number, &now);
                format!("retry: 1000\n{}", event("state", &state))
            }
            Some(earlier) => now
                .changes(page, earlier)
                .map_or_else(String::new, |changes| event("state", &changes)),
        };
        self.counts = Some(now);
        if self.hears_sessions {
            let sessions = self.sessions(&context, &pages);
            if !sessions.is_empty() {
                text += &event("sessions", &sessions.into());
            }
        }
        if text.is_empty() && self.spoke.elapsed() >= SILENCE {
            text += ": alive\n\n";
        }
        (!text.is_empty()).then_some(text)
    }

    /// Begins anew if what is served is another, and says so.
    fn reset(&mut self, context: &Context) -> String {
        let generation = context.live.exchange().generation();
        if std::mem::replace(&mut self.generation, generation) == generation {
            return String::new();
        }
        (self.counts, self.changes) = (None, None);
        self.told.clear();
        event("reset", &Value::Object(serde_json::Map::new()))
    }

    /// The sessions that have changed.
    fn sessions(&mut self, context: &Context, pages: &[Page]) -> Vec<Value> {
        let dialogues = context.live.dialogues();
        let changes = dialogues.changes();
        if self.changes.replace(changes) == Some(changes) {
            return Vec::new();
        }
        let last = dialogues.last();
        let mut news = Vec::new();
        let mut told = HashMap::new();
        for dialogue in last {
            let before = self.told.get(&dialogue.id).copied();
            let mut after = before.unwrap_or_default();
            if before.is_none_or(|(version, _)| version != dialogue.version()) {
                let now = dialogue.told();
                news.push(sessions::json(pages, &dialogue, &now, after.1));
                after = (now.version, now.lines.len());
            }
            told.insert(dialogue.id.clone(), after);
        }
        self.told = told;
        news
    }
}
