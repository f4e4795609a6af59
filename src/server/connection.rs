//! One connection: octets to its session, and what the session wants to the socket, the store
//! and the log.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, SystemTime};

use async_io::{Async, Timer};
use futures_lite::{AsyncWriteExt as _, FutureExt as _};

use super::Shared;
use crate::logging::escape;
use crate::maildir::{Draft, Failure, Fill};
use crate::smtp::reply::Reply;
use crate::smtp::session::{Client, Input, Output, Question, Session, Verdict};

/// How much is read at once: lines, and content.
const LINE_READ_BYTES: usize = 4 * 1024;
const CONTENT_READ_BYTES: usize = 64 * 1024;
/// A closing server waits so long for the client to read the last reply.
const LINGER: Duration = Duration::from_millis(500);

struct Connection<'a> {
    shared: &'a Shared,
    stream: &'a Async<TcpStream>,
    id: String,
    session: Session,
    draft: Option<Draft>,
    about: String,
    out: Vec<u8>,
}

enum Event {
    Readable(io::Result<()>),
    Silence,
    Stop,
}

/// Says one reply and closes.
pub(super) async fn turn_away(stream: &Async<TcpStream>, reply: &Reply) {
    let mut writer = stream;
    let say = async { writer.write_all(&super::wire(reply)).await };
    let late = async {
        Timer::after(LINGER).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let _: io::Result<()> = say.or(late).await;
}

/// Serves a client until it or the session ends the connection.
pub(super) async fn serve(shared: &Shared, stream: &Async<TcpStream>, client: Client) -> io::Result<()> {
    // Replies leave in one write: there is nothing to wait for.
    stream.get_ref().set_nodelay(true)?;
    let id = client.id.clone();
    let session = Session::new(shared.settings.clone(), client);
    let mut connection = Connection { shared, stream, id, session, draft: None, about: String::new(), out: Vec::new() };
    if !connection.give(Input::Connect).await? {
        return Ok(());
    }
    let mut stopping = false;
    loop {
        let go_on = match connection.wait(stopping).await {
            Event::Silence => connection.give(Input::Silence).await?,
            Event::Stop => {
                stopping = true;
                connection.give(Input::Stop).await?
            }
            Event::Readable(ready) => {
                ready?;
                connection.read().await?
            }
        };
        if !go_on {
            return Ok(());
        }
    }
}

impl Connection<'_> {
    /// Waits for octets without holding a buffer for them.
    async fn wait(&self, stopping: bool) -> Event {
        let readable = async { Event::Readable(self.stream.readable().await) };
        let silence = async {
            Timer::after(Duration::from_secs(self.shared.config.timer)).await;
            Event::Silence
        };
        let stop = async {
            if stopping {
                futures_lite::future::pending::<()>().await;
            }
            let _ = self.shared.stop.recv().await;
            Event::Stop
        };
        stop.or(readable).or(silence).await
    }

    async fn read(&mut self) -> io::Result<bool> {
        let size = if self.session.reads_content() { CONTENT_READ_BYTES } else { LINE_READ_BYTES };
        let mut octets = vec![0; size];
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
        self.give(Input::Octets(octets.get(..taken).unwrap_or_default())).await
    }

    /// Gives the session one input and does all that it wants. False: the connection ends.
    async fn give(&mut self, input: Input<'_>) -> io::Result<bool> {
        let mut verdict = self.take_outputs(input).await;
        while let Ok(Some(question)) = verdict {
            let answer = self.answer(question).await;
            verdict = self.take_outputs(Input::Verdict(answer)).await;
        }
        let closing = verdict.is_err();
        self.flush().await?;
        if closing {
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
                Output::Refused(line, code) => log::info!("{} refused code={code} line=\"{}\"", self.id, escape(&line)),
                Output::Close => closed = true,
            }
            if full && let Some(draft) = self.draft.take() {
                let (done, spilled) = async_channel::bounded(1);
                self.shared.store.spill(draft, move |draft| drop(done.try_send(draft)));
                self.draft = spilled.recv().await.ok();
            }
        }
        if closed { Err(()) } else { Ok(question) }
    }

    async fn answer(&mut self, question: Question) -> Verdict {
        match question {
            Question::Room(octets) => self.verdict(self.shared.store.room(octets)),
            Question::Recipient(local) if self.shared.is_user(&local) => Verdict::Yes,
            Question::Recipient(_) => Verdict::Unknown,
            Question::Store => {
                let Some(draft) = self.draft.take() else { return Verdict::Broken };
                let size = draft.octets();
                let (done, committed) = async_channel::bounded(1);
                self.shared.store.commit(draft, move |result| drop(done.try_send(result)));
                let lost = || Err(Failure::Broken("the store went away".to_owned()));
                let verdict = self.verdict(committed.recv().await.unwrap_or_else(|_| lost()));
                let result = match verdict {
                    Verdict::Yes => 250,
                    Verdict::Full | Verdict::Busy => 452,
                    Verdict::Unknown | Verdict::Broken => 451,
                };
                log::info!("{} message {} size={size} result={result}", self.id, self.about);
                verdict
            }
        }
    }

    fn verdict(&self, result: Result<(), Failure>) -> Verdict {
        let Err(failure) = result else { return Verdict::Yes };
        log::error!("{} store error=\"{}\"", self.id, escape(&failure.to_string()));
        match failure {
            Failure::Full(_) => Verdict::Full,
            Failure::Busy => Verdict::Busy,
            Failure::Broken(_) => Verdict::Broken,
        }
    }

    /// Sends the replies in one write. A client that does not read them is not read either.
    async fn flush(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        let mut writer = self.stream;
        let write = async { writer.write_all(&out).await };
        let late = async {
            Timer::after(Duration::from_secs(self.shared.config.timer)).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        write.or(late).await
    }

    /// Closes so that the last reply arrives: octets that nobody read would reset it away.
    async fn linger(&self) {
        if self.stream.get_ref().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let drain = async {
            let mut octets = [0; 1024];
            while self.stream.readable().await.is_ok() {
                match self.stream.get_ref().read(&mut octets) {
                    Ok(0) => return,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        };
        let late = async {
            Timer::after(LINGER).await;
        };
        drain.or(late).await;
    }
}
