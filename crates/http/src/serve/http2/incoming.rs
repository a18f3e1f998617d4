//! What a client sends with a request over HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Body, Frame, SizeHint};

/// The body of a request.
pub(super) struct Incoming {
    receiver: RecvStream,
    /// How much of it is to come, where its head says so.
    left: Option<u64>,
    has_ended: bool,
}

impl Incoming {
    pub(super) fn new(receiver: RecvStream, head: &HeaderMap) -> Self {
        let length = head.get(header::CONTENT_LENGTH);
        Self {
            receiver,
            // h2 holds the client to it.
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            has_ended: false,
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.has_ended {
            match ready!(self.receiver.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The application has it: there is room for more. Where the stream is gone there is nobody to tell.
                    drop(self.receiver.flow_control().release_capacity(data.len()));
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error)).filter(is_no_end)),
                None => self.has_ended = true,
            }
        }
        let trailers = ready!(self.receiver.poll_trailers(cx)).transpose();
        Poll::Ready(
            trailers
                .map(|trailers| trailers.map(Frame::trailers))
                .filter(is_no_end),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.receiver.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.left.or_else(|| self.is_end_stream().then_some(0));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A client may say by a reset that it has no more to say (RFC 9113 section 8.1).
fn is_no_end(frame: &Result<Frame<Bytes>, h2::Error>) -> bool {
    !frame
        .as_ref()
        .is_err_and(|error| error.reason() == Some(Reason::NO_ERROR))
}
