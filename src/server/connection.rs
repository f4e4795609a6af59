//! One connection: octets to its session, and what the session wants to the socket, the store
//! and the log.

use std::cmp::Ordering;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::SystemTime;

use async_io::Async;
use futures_lite::AsyncWriteExt as _;

use super::Shared;
use super::watch::{Deadline, Ended, Waiter};
use crate::logging::escape;
use crate::maildir::{self, Draft, Failure, Fill};
use crate::smtp::session::{Client, Input, NoUser, Output, Question, Refusal, Session};

/// How much is read at once: little, and more while content fills it.
const READ_BYTES: usize = 8 * 1024;
const CONTENT_READ_BYTES: usize = 64 * 1024;
/// A closing server waits so long for the client to read the last reply, in milliseconds.
const LINGER_MS: u64 = 500;
/// Replies leave when there are so many of them, though the client pipelined more commands.
const OUT_BYTES: usize = 16 * 1024;
/// A session fills no log: so many of its refused commands are told, and one more line.
const REFUSALS_LOGGED: u32 = 50;
/// While the server is pressed, a message may take so many times longer than a single wait.
const PRESSED_MESSAGE: u64 = 10;

struct Connection<'a> {
    shared: &'a Shared,
    stream: &'a Async<TcpStream>,
    waiter: Waiter,
    /// Since when the client owes a command, or the rest of a message, in the watch's time.
    since: u64,
    reads_content: bool,
    /// Whether a reply was sent since the last read: it acknowledges what was read.
    has_replied: bool,
    refused: u32,
    read_bytes: usize,
    id: String,
    session: Session,
    draft: Option<Draft>,
    about: String,
    out: Vec<u8>,
}

/// Serves a client until it or the session ends the connection.
pub(super) async fn serve(shared: &Shared, stream: &Async<TcpStream>, client: Client) -> io::Result<()> {
    // Replies leave in one write: there is nothing to wait for.
    stream.get_ref().set_nodelay(true)?;
    let waiter = shared.watch.waiter();
    let mut connection = Connection {
        shared,
        stream,
        since: waiter.now(),
        waiter,
        reads_content: false,
        has_replied: false,
        refused: 0,
        read_bytes: READ_BYTES,
        id: client.id.clone(),
        session: Session::new(shared.settings.clone(), client),
        draft: None,
        about: String::new(),
        out: Vec::new(),
    };
    // The work is boxed: it needs more room than a wait, and most clients wait.
    let mut go_on = Box::pin(connection.give(Input::Connect)).await?;
    let mut stopping = false;
    while go_on {
        let ended = connection.wait(stopping).await;
        stopping = stopping || matches!(ended, Ended::Stop);
        go_on = Box::pin(connection.work(ended)).await?;
    }
    Ok(())
}

impl Connection<'_> {
    /// Waits for octets without holding a buffer for them. Each octet begins a new silence, but
    /// a command or a message that comes octet by octet has an end too.
    async fn wait(&self, stopping: bool) -> Ended<io::Result<()>> {
        let config = &self.shared.config;
        let (now, pressed) = (self.waiter.now(), config.pressure_seconds_max);
        let (silence, whole, pressed_whole) = if self.reads_content {
            (config.data_block_seconds_max, config.message_seconds_max, pressed * PRESSED_MESSAGE)
        } else {
            (config.timer, config.command_seconds_max, pressed)
        };
        let after = |begin: u64, seconds: u64| begin.saturating_add(seconds.saturating_mul(1000));
        let deadline = Deadline {
            usual: after(now, silence.min(config.timer)).min(after(self.since, whole)),
            pressed: after(now, pressed).min(after(self.since, pressed_whole)),
        };
        self.waiter.until(deadline, !stopping, self.stream.readable()).await
    }

    async fn work(&mut self, ended: Ended<io::Result<()>>) -> io::Result<bool> {
        match ended {
            Ended::Late => self.give(Input::Silence).await,
            Ended::Stop => self.give(Input::Stop).await,
            Ended::Done(ready) => {
                ready?;
                self.read().await
            }
        }
    }

    async fn read(&mut self) -> io::Result<bool> {
        let mut octets = vec![0; self.read_bytes];
        let taken = match self.stream.get_ref().read(&mut octets) {
            Ok(0) => {
                self.give(Input::HangUp).await?;
                return Ok(false);
            }
            Ok(taken) => taken,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let filled = taken == octets.len();
        self.read_bytes = if filled && self.reads_content { CONTENT_READ_BYTES } else { READ_BYTES };
        self.has_replied = false;
        #[cfg(test)]
        assert!(!octets.starts_with(b"PANIC"), "the test asked for it");
        let go_on = self.give(Input::Octets(octets.get(..taken).unwrap_or_default())).await?;
        if go_on && !filled && !self.has_replied {
            acknowledge(self.stream.get_ref());
        }
        Ok(go_on)
    }

    /// Gives the session one input and does all that it wants. False: the connection ends.
    async fn give(&mut self, input: Input<'_>) -> io::Result<bool> {
        let mut wanted = self.take_outputs(input).await;
        while let Ok(Some(question)) = wanted {
            let answer = self.answer(question).await;
            wanted = self.take_outputs(answer).await;
        }
        let closing = wanted.is_err();
        self.flush().await?;
        let reads_content = self.session.reads_content();
        if reads_content != self.reads_content {
            (self.reads_content, self.since) = (reads_content, self.waiter.now());
        }
        if closing && !self.is_quit() {
            self.linger().await;
        }
        Ok(!closing)
    }

    /// Takes the outputs; a question is handed back, and `Err` means that the session closed.
    async fn take_outputs(&mut self, input: Input<'_>) -> Result<Option<Question>, ()> {
        let enhanced = self.session.shows_enhanced();
        let mut question = None;
        let mut closed = false;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            let mut full = false;
            match output {
                Output::Reply(reply) => reply.write(&mut self.out, enhanced),
                Output::Ask(asked) => question = Some(asked),
                Output::Open(envelope) => {
                    self.about = format!(
                        "id={} from=<{}> rcpts={}",
                        envelope.id,
                        escape(&envelope.sender.to_string()),
                        envelope.recipients.len()
                    );
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    self.draft = Some(self.shared.store.begin(*envelope, now.as_secs()));
                }
                Output::Content(content) => {
                    full = self.draft.as_mut().is_some_and(|draft| draft.push(content) == Fill::Full);
                }
                Output::Discard => self.draft = None,
                Output::Step(step) => log::debug!(
                    "{} {} --{}--> {} {} {}",
                    self.id,
                    step.from,
                    step.event,
                    step.to,
                    step.action,
                    step.code
                ),
                Output::Refused(line, code) => {
                    self.refused += 1;
                    match self.refused.cmp(&REFUSALS_LOGGED) {
                        Ordering::Less => {
                            log::info!("{} refused code={code} line=\"{}\"", self.id, escape(&line));
                        }
                        Ordering::Equal => log::info!("{} refused, and what is refused now is not logged", self.id),
                        Ordering::Greater => {}
                    }
                }
                Output::Close => closed = true,
            }
            if full && let Some(draft) = self.draft.take() {
                let (done, spilled) = async_channel::bounded(1);
                self.shared.store.spill(draft, move |draft| drop(done.try_send(draft)));
                self.draft = spilled.recv().await.ok();
            }
            if self.out.len() >= OUT_BYTES {
                let out = std::mem::take(&mut self.out);
                self.has_replied = true;
                if send(self.shared, &self.waiter, self.stream, &out).await.is_err() {
                    // The client is gone, or does not read.
                    return Err(());
                }
                // Who asks for so much lets others have their turn.
                futures_lite::future::yield_now().await;
            }
        }
        if closed { Err(()) } else { Ok(question) }
    }

    async fn answer(&mut self, question: Question) -> Input<'static> {
        match question {
            Question::Room(octets) => {
                let store = &self.shared.store;
                let mut room = store.room(octets);
                if matches!(room, Err(Failure::Full(_))) {
                    // Space may have come back: the disk is asked, and not here.
                    let (done, looked) = async_channel::bounded(1);
                    store.look_for_room(octets, move |result| drop(done.try_send(result)));
                    room = looked.recv().await.unwrap_or(room);
                }
                Input::Room(self.refusal(room))
            }
            Question::User(local) if !self.shared.config.users.contains(&local) => Input::User(Err(NoUser::Unknown)),
            Question::User(local) if !maildir::takes_name(&local) => Input::User(Err(NoUser::NameTooLong)),
            Question::User(_) => Input::User(Ok(())),
            Question::Store => {
                let Some(draft) = self.draft.take() else { return Input::Stored(Err(Refusal::Broken)) };
                let size = draft.octets();
                let (done, committed) = async_channel::bounded(1);
                self.shared.store.commit(draft, move |result| drop(done.try_send(result.map(drop))));
                let lost = || Err(Failure::Broken("the store went away".to_owned()));
                let stored = self.refusal(committed.recv().await.unwrap_or_else(|_| lost()));
                let result = match stored {
                    Ok(()) => 250,
                    Err(Refusal::Full | Refusal::Busy) => 452,
                    Err(Refusal::Broken) => 451,
                };
                log::info!("{} message {} size={size} result={result}", self.id, self.about);
                Input::Stored(stored)
            }
        }
    }

    /// What the session hears of a failure; the rest goes to the log.
    fn refusal(&self, result: Result<(), Failure>) -> Result<(), Refusal> {
        let Err(failure) = result else { return Ok(()) };
        if !matches!(failure, Failure::Full(_) | Failure::Busy) || self.refused < REFUSALS_LOGGED {
            log::error!("{} store error=\"{}\"", self.id, escape(&failure.to_string()));
        }
        Err(match failure {
            Failure::Full(_) => Refusal::Full,
            Failure::Busy => Refusal::Busy,
            Failure::Broken(_) => Refusal::Broken,
        })
    }

    /// Sends the replies in one write. A client that does not read them is not read either, and
    /// not waited for without end.
    async fn flush(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        self.has_replied = true;
        let sent = send(self.shared, &self.waiter, self.stream, &out).await;
        // What was answered is done: the next command has its own time.
        self.since = self.waiter.now();
        sent
    }

    /// Whether the client has said its last word, so that no octets can come that nobody reads.
    fn is_quit(&self) -> bool {
        self.session.position().is_final()
            && match self.stream.get_ref().read(&mut [0]) {
                Ok(taken) => taken == 0,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
    }

    /// Closes so that the last reply arrives: octets that nobody read would reset it away.
    async fn linger(&self) {
        if self.stream.get_ref().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let drain = async { while self.stream.readable().await.is_ok() && !is_over(self.stream.get_ref()) {} };
        let end = self.waiter.now() + LINGER_MS;
        self.waiter.until(Deadline { usual: end, pressed: end }, false, drain).await;
    }
}

/// Acknowledges what was read, at once. The system waits 40 ms for a reply that could carry the
/// acknowledgement; after half a command, or content without its end, there is none. A client with
/// Nagle's algorithm on (RFC 896) meanwhile holds back its next write: the rest of the line, or the
/// final dot. The system forgets this setting, so it is set again each time.
fn acknowledge(stream: &TcpStream) {
    // Where it fails the client waits, as it would without this.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

/// Reads what nobody wants. Whether the client has closed, too.
fn is_over(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 1024]) {
        Ok(taken) => taken == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

async fn send(shared: &Shared, waiter: &Waiter, stream: &Async<TcpStream>, out: &[u8]) -> io::Result<()> {
    // Nearly always there is room, and nothing to wait for.
    match stream.get_ref().write(out) {
        Ok(sent) if sent == out.len() => return Ok(()),
        Ok(sent) => return send_rest(shared, waiter, stream, out.get(sent..).unwrap_or_default()).await,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    send_rest(shared, waiter, stream, out).await
}

async fn send_rest(shared: &Shared, waiter: &Waiter, mut stream: &Async<TcpStream>, rest: &[u8]) -> io::Result<()> {
    let after = |seconds: u64| waiter.now().saturating_add(seconds.saturating_mul(1000));
    let deadline = Deadline { usual: after(shared.config.timer), pressed: after(shared.config.pressure_seconds_max) };
    // A server that stops sends what it has promised, as long as stopping may take.
    match waiter.until(deadline, false, stream.write_all(rest)).await {
        Ended::Done(sent) => sent,
        Ended::Late | Ended::Stop => Err(io::ErrorKind::TimedOut.into()),
    }
}
