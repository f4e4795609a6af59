//! Requests in memory, without a server: for fuzzers.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite, future};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol_hyper::rt::FuturesIo;

use super::body::{self, Body};
use super::gate::Gate;
use super::route::route;
use crate::config::Web as Keys;

/// What a client has sent before it closed its side, and what it was sent.
struct Memory<'a> {
    unread: &'a [u8],
    sent: &'a mut Vec<u8>,
}

impl AsyncRead for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let taken = octets.len().min(self.unread.len());
        let (now, later) = self.unread.split_at(taken);
        if let Some(room) = octets.get_mut(..taken) {
            room.copy_from_slice(now);
        }
        self.unread = later;
        Poll::Ready(Ok(taken))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sent.extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Judges the requests of a client on this machine, whose octets these are: whether each is let in,
/// and what it asks for. Returns what is sent: the answers, of which each has its status and says
/// what was asked for.
#[must_use]
pub fn judge(octets: &[u8]) -> Vec<u8> {
    let gate = Gate::new(&Keys::default());
    let mut sent = Vec::new();
    let answer = |request: Request<Incoming>| {
        let admitted = gate.admit(request.method(), request.uri(), request.headers(), None);
        let asked = route(request.method(), request.uri());
        async move {
            let read = body::read(request.into_body()).await;
            let judged = admitted.map_err(|(status, _)| status);
            let judged = judged.and(read).and_then(|_| asked.map_err(|wrong| wrong.0));
            let (status, text) = match judged {
                Ok(asked) => (hyper::StatusCode::OK, format!("{asked:?}")),
                Err(status) => (status, String::new()),
            };
            let mut response = Response::new(Body::from(Bytes::from(text)));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    };
    let memory = Memory { unread: octets, sent: &mut sent };
    let served = super::http().serve_connection(FuturesIo::new(memory), service_fn(answer));
    // An error is the client's.
    let _ = future::block_on(served);
    sent
}
