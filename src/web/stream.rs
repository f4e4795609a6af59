//! A connection whose writes have a deadline: a client that does not read keeps no place for ever.
//! Reads have hyper's own (`header_read_timeout`), and a body's (`answer.rs`).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncWrite};

/// A stream whose writes fail if they make no progress for so long.
pub(super) struct Unstalled<S> {
    stream: S,
    /// How long a write may wait.
    most: Duration,
    /// Since a write began to wait.
    waiting: Option<Timer>,
}

impl<S> Unstalled<S> {
    pub(super) fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, waiting: None }
    }

    /// What a write has found, or that it has waited for too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        found: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if found.is_ready() {
            self.waiting = None;
            return found;
        }
        let most = self.most;
        let waiting = self.waiting.get_or_insert_with(|| Timer::after(most));
        match Pin::new(waiting).poll(context) {
            Poll::Ready(_) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(context, octets)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let found = Pin::new(&mut self.stream).poll_write(context, octets);
        self.bounded(context, found)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let found = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, found)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let found = Pin::new(&mut self.stream).poll_close(context);
        self.bounded(context, found)
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_left() {
        async_io::block_on(async {
            let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
            let near = async_io::Async::new(near).unwrap();
            let mut stream = Unstalled::new(near, Duration::from_millis(10));
            let error = stream.write_all(&vec![0; 8 << 20]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
