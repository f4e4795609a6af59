//! One connection. The client's octets go to its session; the session's outputs go to the socket,
//! the store and the log.
//!
//! `serve` is a loop: it waits for the client (`wait`), and gives the session (`give`) what has
//! come: octets, silence, the stop. `take_outputs` does what the session then wants, up to a
//! question, and `answer` makes the next input of that question. `give` ends with one write of the
//! replies. After STARTTLS it sends them before the handshake (`encryption.rs`).

use std::io;
use std::time::{Instant, SystemTime};

use super::Shared;
use super::encryption::Begun;
use super::ending::LAST_MS;
use super::fault::{self, Paused};
use super::log::SessionLog;
use super::socket::Socket;
use super::terms::Terms;
use super::watch::{Deadline, Ended};
use super::wire::{Received, Wire};
use crate::config::Config;
use crate::maildir::{self, Draft, Fill, StoreError};
use crate::smtp::session::{Client, Input, NoUser, Output, Question, Refusal, Session};

/// While the server is pressed, how many times longer than a single wait a message may take.
const PRESSED_MESSAGE: u64 = 10;

/// What comes next in a connection.
enum Next {
    /// The client's octets.
    Read,
    /// The answer to a question of the session.
    Answer(Question),
    /// The handshake.
    Encrypt,
    /// A fault's wait, of so many milliseconds.
    Pause(u64),
    /// Nothing more, until the client is gone.
    Hang,
    /// The end, without an orderly one for the client.
    Reset,
    /// The end: the session has closed, or the client is gone.
    Close,
}

pub(super) struct Connection<'a> {
    /// What all connections share.
    pub(super) shared: &'a Shared,
    /// The configuration as it was when the client came.
    config: &'a Config,
    /// The socket.
    pub(super) wire: Wire<'a>,
    /// The protocol.
    session: Session,
    /// The session's lines in the log.
    pub(super) log: &'a mut SessionLog,
    /// The handshake that may begin, since the session has asked.
    pub(super) handshake: Option<Begun>,
    /// The message whose content is arriving. In a place of its own: most connections are without.
    draft: Option<Box<Draft>>,
    /// Since when the client owes a command, or the rest of a message, in the watch's time.
    pub(super) since: u64,
    /// Whether the client sends content.
    reads_content: bool,
}

/// Serves a client until it or the session ends the connection.
pub(super) async fn serve(
    shared: &Shared,
    terms: &Terms,
    socket: &Socket,
    client: Client,
    log: &mut SessionLog,
) -> io::Result<()> {
    let wire = Wire::new(shared, &terms.config, socket)?;
    let mut connection = Connection {
        shared,
        config: &terms.config,
        since: wire.waiter.now(),
        wire,
        session: Session::new(terms.settings.clone(), client),
        log,
        handshake: None,
        draft: None,
        reads_content: false,
    };
    if terms.from_first_octet && !Box::pin(connection.encrypt_from_first_octet()).await {
        return Ok(());
    }
    // The work is boxed: it needs more room than a wait, and most clients wait.
    let mut next = Box::pin(connection.give(Input::Connect)).await?;
    let mut stopping = false;
    loop {
        next = match next {
            Next::Close => return Ok(()),
            // These too are boxed: nobody else needs their room.
            Next::Pause(milliseconds) => {
                let input = Box::pin(connection.pause(milliseconds)).await;
                let is_gone = matches!(input, Input::HangUp);
                stopping = stopping || matches!(input, Input::Stop);
                let next = Box::pin(connection.give(input)).await?;
                if is_gone { Next::Close } else { next }
            }
            Next::Hang => {
                Box::pin(connection.hang()).await;
                Next::Close
            }
            Next::Read | Next::Answer(_) | Next::Encrypt | Next::Reset => {
                let ended = connection.wait(stopping).await;
                stopping = stopping || matches!(ended, Ended::Stop);
                Box::pin(connection.work(ended)).await?
            }
        };
    }
}

impl Connection<'_> {
    /// Waits for the client. Each octet begins a new silence, but a command or a message that comes
    /// octet by octet has an end too.
    async fn wait(&self, stopping: bool) -> Ended<io::Result<()>> {
        let config = self.config;
        let (now, pressed) = (self.wire.waiter.now(), config.pressure_seconds_max);
        let (silence, whole, pressed_whole) = if self.reads_content {
            (config.data_block_seconds_max, config.message_seconds_max, pressed * PRESSED_MESSAGE)
        } else {
            (config.timer, config.command_seconds_max, pressed)
        };
        let after = |start: u64, seconds: u64| start.saturating_add(seconds.saturating_mul(1000));
        let is_last = self.shared.enough.is_reached();
        let last = if is_last { now.saturating_add(LAST_MS) } else { u64::MAX };
        let deadline = Deadline {
            usual: after(now, silence.min(config.timer)).min(after(self.since, whole)).min(last),
            pressed: after(now, pressed).min(after(self.since, pressed_whole)),
        };
        match self.wire.readable(deadline, !stopping).await {
            Ended::Late if is_last => Ended::Stop,
            ended => ended,
        }
    }

    /// Gives the session what a wait has brought about.
    async fn work(&mut self, ended: Ended<io::Result<()>>) -> io::Result<Next> {
        match ended {
            Ended::Late => self.give(Input::Silence).await,
            Ended::Stop => self.give(Input::Stop).await,
            Ended::Done(ready) => {
                ready?;
                self.read().await
            }
        }
    }

    /// Waits for a fault. What the client sends is kept by the session.
    async fn pause(&mut self, milliseconds: u64) -> Input<'static> {
        let end = self.wire.waiter.now().saturating_add(milliseconds);
        loop {
            let reads = self.session.held_bytes() < fault::EARLY_BYTES_MAX;
            match self.wire.pause(end, reads).await {
                Paused::Over => return Input::Waited,
                Paused::Gone => return Input::HangUp,
                Paused::Stop => return Input::Stop,
                // It has no outputs before the wait is over.
                Paused::Octets(octets) => {
                    self.log.input(&Input::Octets(&octets));
                    drop(self.session.handle(Input::Octets(&octets)));
                }
            }
        }
    }

    /// Keeps the connection, and does nothing, until the client is gone.
    async fn hang(&mut self) {
        let end = self.wire.waiter.now().saturating_add(fault::HANG_MS_MAX);
        while matches!(self.wire.pause(end, true).await, Paused::Octets(_)) {}
    }

    /// Reads what is there, and gives it to the session.
    async fn read(&mut self) -> io::Result<Next> {
        match self.wire.read(self.reads_content)? {
            Received::Nothing => Ok(Next::Read),
            Received::End => {
                self.give(Input::HangUp).await?;
                Ok(Next::Close)
            }
            Received::Octets(octets) => {
                let next = self.give(Input::Octets(&octets)).await?;
                if matches!(next, Next::Read) {
                    self.wire.acknowledge();
                }
                Ok(next)
            }
        }
    }

    /// Gives the session one input, and answers its questions until it wants to read or to close.
    async fn give(&mut self, input: Input<'_>) -> io::Result<Next> {
        let mut next = self.take_outputs(input).await;
        loop {
            next = match next {
                Next::Answer(question) => {
                    let answer = self.answer(question).await;
                    self.take_outputs(answer).await
                }
                Next::Encrypt => {
                    let ended = Box::pin(self.encrypt()).await;
                    let next = self.take_outputs(ended).await;
                    if self.wire.is_encrypted() { next } else { Next::Close }
                }
                Next::Read | Next::Pause(_) | Next::Hang | Next::Reset | Next::Close => break,
            };
        }
        if self.wire.has_replies() {
            let sent = self.wire.send().await;
            // What was answered is done: the next command has its own time.
            self.since = self.wire.waiter.now();
            sent?;
        }
        self.wire.tear();
        let reads_content = self.session.reads_content();
        if reads_content != self.reads_content {
            (self.reads_content, self.since) = (reads_content, self.wire.waiter.now());
        }
        if matches!(next, Next::Reset) {
            self.wire.socket().reset_when_closed();
            return Ok(Next::Close);
        }
        // After QUIT no octets can arrive that are not read.
        if matches!(next, Next::Close)
            && !(self.session.position().is_final() && self.wire.is_quiet())
        {
            self.wire.linger().await;
        }
        Ok(next)
    }

    /// Does what the session wants, up to a question or the end.
    async fn take_outputs(&mut self, input: Input<'_>) -> Next {
        self.log.input(&input);
        let enhanced = self.session.shows_enhanced();
        if self.session.has_faults() {
            self.session.set_time(self.wire.waiter.now());
        }
        let mut next = Next::Read;
        let mut outputs = self.session.handle(input);
        while let Some(output) = outputs.next() {
            let mut fill = Fill::Room;
            match output {
                Output::Reply(reply) => {
                    self.log.reply(&reply, enhanced);
                    self.wire.write(&reply, enhanced);
                }
                Output::Ask(question) => next = Next::Answer(question),
                Output::Open(mut envelope) => {
                    envelope.encryption = self.wire.encryption();
                    self.log.open(&envelope);
                    let now = SystemTime::now()
                        .duration_since(SystemTime::UNIX_EPOCH)
                        .unwrap_or_default();
                    self.draft = Some(Box::new(self.shared.store.begin(*envelope, now.as_secs())));
                }
                Output::Content(content) => {
                    self.log.content(content);
                    fill = self.draft.as_mut().map_or(Fill::Room, |draft| draft.push(content));
                }
                Output::Encrypt => next = Next::Encrypt,
                Output::Discard => self.draft = None,
                Output::Step(step) => self.log.step(&step),
                Output::Line(line, end) => self.log.line(line, end),
                Output::Refused(refused) => self.log.refused(refused),
                Output::Close => {
                    self.log.close();
                    next = Next::Close;
                }
                Output::Fault(fired) => self.log.fault(&fired),
                Output::Octets(octets) => {
                    self.log.octets(&octets);
                    self.wire.write_octets(&octets);
                }
                Output::Cut => self.wire.cut(),
                Output::Wait(milliseconds) => next = Next::Pause(milliseconds),
                end @ (Output::Reset | Output::Hang) => {
                    self.log.break_off();
                    next = if end == Output::Reset { Next::Reset } else { Next::Hang };
                }
            }
            if fill == Fill::Full
                && let Some(draft) = self.draft.take()
            {
                let (done, spilled) = async_channel::bounded(1);
                self.shared.store.spill(*draft, move |draft| drop(done.try_send(draft)));
                self.draft = spilled.recv().await.ok().map(Box::new);
            }
            if self.wire.is_full() {
                if self.wire.send().await.is_err() {
                    // The client is gone, or does not read.
                    return Next::Close;
                }
                // A client with this many commands lets other clients have their turn.
                futures_lite::future::yield_now().await;
            }
        }
        next
    }

    /// Answers a question: whether there is room, whether there is such a user, or whether the
    /// message is safe. This task waits for the store meanwhile, and others run.
    async fn answer(&mut self, question: Question) -> Input<'static> {
        match question {
            Question::Room(octets) => {
                let store = &self.shared.store;
                let mut room = store.room(octets);
                if matches!(room, Err(StoreError::Full(_))) {
                    // Space may have come back: another thread asks the disk.
                    let (done, looked) = async_channel::bounded(1);
                    store.look_for_room(octets, move |result| drop(done.try_send(result)));
                    room = looked.recv().await.unwrap_or(room);
                }
                Input::Room(self.refusal(room))
            }
            Question::User(mailbox) if !self.config.users.contains(&mailbox.local) => {
                Input::User(Err(NoUser::Unknown))
            }
            Question::User(mailbox) if !maildir::takes_name(&mailbox, self.config.mailboxes) => {
                Input::User(Err(NoUser::NameTooLong))
            }
            Question::User(_) => Input::User(Ok(())),
            Question::Handshake => Input::Handshake(self.begin_handshake()),
            Question::Store => {
                let Some(draft) = self.draft.take() else {
                    return Input::Stored(Err(Refusal::Broken));
                };
                let begun = Instant::now();
                let (done, committed) = async_channel::bounded(1);
                self.shared.store.commit(*draft, move |result| drop(done.try_send(result)));
                let stored = committed.recv().await;
                let stored = stored.unwrap_or_else(|_| Err(StoreError::given_up()));
                let stored = stored.map(|files| {
                    self.shared.totals.store(self.log.octets_of_content(), begun.elapsed());
                    self.shared.enough.count();
                    self.log.delivered(files);
                });
                Input::Stored(self.refusal(stored))
            }
        }
    }

    /// What the session hears of an error; the rest goes to the log.
    fn refusal(&self, result: Result<(), StoreError>) -> Result<(), Refusal> {
        let Err(error) = result else { return Ok(()) };
        self.log.not_stored(&error, self.config);
        Err(match error {
            _ if error.is_full() => Refusal::Full,
            StoreError::Busy => Refusal::Busy,
            StoreError::Full(_) | StoreError::Io { .. } => Refusal::Broken,
        })
    }
}
