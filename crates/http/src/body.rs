//! A session as an HTTP body: the way out where hyper keeps the connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::feed::Feed;
use crate::takeover::Slot;

/// A feed that hyper polls. Weaker than a session on a socket of its own: hyper takes up to 16 frames before the kernel
/// has any, and no longer asks a body whose client doesn't read, so that there is no write deadline.
pub struct FeedBody {
    waiting: Slot<Feed>,
    feed: Option<Feed>,
    staged: VecDeque<Bytes>,
    is_over: bool,
}

impl FeedBody {
    /// The body of a response whose feed may be taken over instead.
    #[must_use]
    pub fn new(waiting: Slot<Feed>) -> Self {
        Self {
            waiting,
            feed: None,
            staged: VecDeque::new(),
            is_over: false,
        }
    }
}

/// Whoever throws the body away wants nothing of it: nobody may start the session after that.
impl Drop for FeedBody {
    fn drop(&mut self) {
        drop(self.waiting.take());
    }
}

impl Body for FeedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.feed.is_none() && !this.is_over {
            this.feed = this.waiting.take();
        }
        loop {
            if let Some(piece) = this.staged.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(feed) = &mut this.feed else {
                return Poll::Ready(None);
            };
            let span = feed.observed().span();
            let _inside = span.enter();
            // As far as can be seen from here: it was taken.
            feed.observed().written();
            if ready!(feed.poll_stage(cx, &mut this.staged)).is_err() {
                this.feed = None;
                this.is_over = true;
            }
        }
    }
}
