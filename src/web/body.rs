//! The bodies of answers and of requests.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Timer;
use futures_lite::{FutureExt as _, Stream};
use hyper::StatusCode;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

use super::{BODY_BYTES_MAX, STALL_MAX};

/// The body of an answer.
pub(super) enum Body {
    /// All of it; `None` when it was taken.
    Whole(Option<Bytes>),
    /// Pieces, as they come.
    Stream(Pin<Box<dyn Stream<Item = Bytes>>>),
}

impl From<Bytes> for Body {
    fn from(octets: Bytes) -> Self {
        Self::Whole(Some(octets).filter(|octets| !octets.is_empty()))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let found = match self.get_mut() {
            Self::Whole(octets) => Poll::Ready(octets.take()),
            Self::Stream(stream) => stream.as_mut().poll_next(context),
        };
        found.map(|octets| octets.map(|octets| Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(octets) => {
                SizeHint::with_exact(octets.as_ref().map_or(0, |octets| octets.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Reads the body of a request.
///
/// # Errors
/// 413 if it is too long, 408 if it takes too long, 400 if it breaks off.
pub(super) async fn read(mut body: Incoming) -> Result<Vec<u8>, StatusCode> {
    let read = async {
        if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut octets = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Ok(data) = frame.into_data() else { continue };
            if octets.len() + data.len() > BODY_BYTES_MAX {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            octets.extend_from_slice(&data);
        }
        Ok(octets)
    };
    let late = async {
        Timer::after(STALL_MAX).await;
        Err(StatusCode::REQUEST_TIMEOUT)
    };
    read.or(late).await
}
