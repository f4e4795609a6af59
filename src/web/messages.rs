//! `/messages`: the mail folder, for who may read it. Only with `web.messages`.
//!
//! Files are read on threads of their own, one a request, so that a slow disk stops no other
//! request. A message is found by its place in the folder's list: no path is made of what a client
//! sends.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Timer;
use serde_json::{Value, json};

use super::sessions::time;
use crate::reader::{File, Folder, Message, folder};
use crate::server::Live;

/// The most messages in a list: the latest.
const MESSAGES_MAX: usize = 1000;
/// What is read of each message for a list, in octets.
const HEAD_BYTES_MAX: u64 = 64 << 10;
/// How often is looked whether a message has come.
const LOOK: Duration = Duration::from_millis(50);
/// The stack of a thread that reads, in octets.
const STACK_BYTES: usize = 2 << 20;

/// A mail folder.
pub(super) struct Mail {
    root: PathBuf,
}

/// Does work that waits for the disk on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (done, result) = async_channel::bounded(1);
    let work = move || drop(done.try_send(work()));
    let thread = thread::Builder::new().name("web-work".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map_err(|error| format!("cannot start a thread: {error}"))?;
    result.recv().await.unwrap_or_else(|_| Err("the work was not done".to_owned()))
}

impl Mail {
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    fn folder(&self) -> Folder {
        Folder::at(self.root.clone())
    }

    /// The list of messages, those to `to` if that is given. Waits until there is one.
    pub(super) async fn list(
        &self,
        live: &Live,
        to: Option<String>,
        wait: Option<Duration>,
    ) -> Result<Value, String> {
        let end = Instant::now() + wait.unwrap_or_default();
        loop {
            let stored = live.stored();
            let (folder, to) = (self.folder(), to.clone());
            let found = apart(move || list(&folder, to.as_deref())).await?;
            if !found.is_empty() || Instant::now() >= end {
                return Ok(json!({ "messages": found }));
            }
            // A reader may put a file there, too; but mail comes by the server.
            while live.stored() == stored && Instant::now() < end {
                Timer::after(LOOK).await;
            }
        }
    }

    /// One message; `None` if it is gone.
    pub(super) async fn message(&self, id: String) -> Result<Option<Value>, String> {
        let folder = self.folder();
        let found = apart(move || {
            let Some((file, message)) = find(&folder, &id)? else { return Ok(None) };
            let mut value = about(&id, &file, &message);
            value["headers"] =
                message.fields().into_iter().map(|(name, value)| json!([name, value])).collect();
            value["text"] = message.text().into();
            value["attachments"] = message
                .attachments()
                .into_iter()
                .map(|one| json!({"name": one.name, "type": one.kind, "size": one.size}))
                .collect();
            Ok(Some(value))
        });
        found.await
    }

    /// The octets of a message's file; `None` if it is gone.
    pub(super) async fn octets(&self, id: String) -> Result<Option<Vec<u8>>, String> {
        let folder = self.folder();
        apart(move || Ok(find(&folder, &id)?.map(|(_, message)| message.octets))).await
    }

    /// Removes all messages, or those to `to`.
    pub(super) async fn remove(&self, to: Option<String>) -> Result<(), String> {
        let folder = self.folder();
        let removed = apart(move || {
            for file in folder.files_if_there()? {
                let path = file.path.clone();
                let is_meant = match &to {
                    None => true,
                    Some(to) => Message::read_head(file, HEAD_BYTES_MAX)?
                        .is_some_and(|message| message.is_to(to)),
                };
                if is_meant {
                    folder::remove(&path)?;
                }
            }
            Ok(())
        });
        removed.await
    }
}

fn id(folder: &Folder, file: &File) -> String {
    folder.below(file).to_string_lossy().into_owned()
}

fn list(folder: &Folder, to: Option<&str>) -> Result<Vec<Value>, String> {
    let mut files = folder.files_if_there()?;
    // The latest are at the end; whom a message is to is known only when it is read.
    let first = if to.is_none() { files.len().saturating_sub(MESSAGES_MAX) } else { 0 };
    let mut found = Vec::new();
    for file in files.drain(first..).rev() {
        let (id, known) = (id(folder, &file), file.clone());
        let Some(message) = Message::read_head(file, HEAD_BYTES_MAX)? else { continue };
        if to.is_none_or(|to| message.is_to(to)) {
            found.push(about(&id, &known, &message));
        }
        if found.len() == MESSAGES_MAX {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

fn find(folder: &Folder, wanted: &str) -> Result<Option<(File, Message)>, String> {
    let files = folder.files_if_there()?;
    let Some(file) = files.into_iter().find(|file| id(folder, file) == wanted) else {
        return Ok(None);
    };
    let message = Message::read(file.clone())?;
    Ok(message.map(|message| (file, message)))
}

fn about(id: &str, file: &File, message: &Message) -> Value {
    json!({
        "id": id,
        "to": message.to(),
        "from": message.from(),
        "subject": message.subject(),
        "date": time(file.time),
        "size": file.size,
    })
}
