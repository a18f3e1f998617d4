//! Answers: what hyper sends, and what lasts as long as it does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;

use crate::cut::{self, Cut};
use crate::handout::{Handout, MAX_PORTION_BYTES, portion};
use crate::options::MAX_WAIT;
use crate::serve::requests::Request;
use crate::serve::running::Listed;
use crate::serve::server::lock;
use crate::watch::{self, Watched, Watchee};

/// A response's body, and what is to be known of it until it is over.
pub(super) struct Answer {
    body: Body,
    /// Where it is one of several streams of a connection.
    stream: Option<Stream>,
    /// The session that it is, if it is one.
    _session: Option<Listed>,
    /// Its place among the connection's requests.
    _request: Option<Request>,
}

/// Nobody sees how the socket fares with one of several streams. So an answer goes out in portions, and one that isn't asked for the
/// next within the write deadline is cut.
struct Stream {
    /// What is left of the last frame.
    rest: Bytes,
    unasked: Watched<Unasked>,
}

/// An answer that has something to hand out.
struct Unasked {
    handout: Mutex<Handout>,
    write_timeout: Duration,
    /// Resets its stream.
    cut: Cut,
}

impl Answer {
    pub(super) fn new(body: Body, session: Option<Listed>, request: Option<Request>) -> Self {
        Self {
            body,
            stream: None,
            _session: session,
            _request: request,
        }
    }

    /// Cuts it, and nothing else, where its client takes nothing of it for so long. From now on, since it may never be asked at all.
    pub(super) fn cut_after(mut self, write_timeout: Duration) -> Self {
        if let Some(cut) = cut::current()
            && !self.body.is_end_stream()
        {
            let unasked = Unasked {
                handout: Mutex::default(),
                write_timeout: write_timeout.min(MAX_WAIT),
                cut,
            };
            self.stream = Some(Stream {
                rest: Bytes::new(),
                unasked: watch::watch(Arc::new(unasked)),
            });
        }
        self
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        body: &mut Body,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.portion()))))
    }

    /// When hyper has all of an answer, nobody asks any more, and what of it can't leave would wait for ever. So the last byte of a
    /// large frame goes alone: hyper takes it when the others have left.
    fn portion(&mut self) -> Bytes {
        let length = self.rest.len();
        if (MAX_UNSEEN_BYTES + 1..=MAX_PORTION_BYTES).contains(&length) {
            self.rest.split_to(length - 1)
        } else {
            portion(&mut self.rest)
        }
    }
}

impl Unasked {
    fn handout(&self) -> MutexGuard<'_, Handout> {
        lock(&self.handout)
    }
}

impl Watchee for Unasked {
    fn patience(&self) -> Duration {
        self.write_timeout
    }

    fn look(&self, now: Instant) {
        let waited = self.handout().unasked(now);
        if waited.is_some_and(|waited| waited >= self.write_timeout) {
            self.cut.cut();
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else {
            return Pin::new(&mut this.body).poll_frame(cx);
        };
        let frame = stream.poll_frame(&mut this.body, cx);
        let has_given = matches!(frame, Poll::Ready(Some(_)));
        stream.unasked.handout().asked(has_given);
        frame
    }

    fn is_end_stream(&self) -> bool {
        let is_given = self.stream.as_ref().is_none_or(|stream| stream.rest.is_empty());
        is_given && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.stream.as_ref().map_or(0, |stream| stream.rest.len());
        self.body.size_hint() + SizeHint::with_exact(rest as u64)
    }
}

/// How much of an answer may wait for its client when all of it was handed out, in bytes: one frame of HTTP/2, so that most answers
/// still leave in one.
const MAX_UNSEEN_BYTES: usize = 16 << 10;
