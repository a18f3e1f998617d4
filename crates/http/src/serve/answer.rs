//! Answers: what is sent, and what lasts as long as it does.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::serve::requests::Request;
use crate::serve::running::Listed;

/// A response's body, and what is to be known of it until it is over.
pub(super) struct Answer {
    body: Body,
    /// The session that it is, if it is one.
    _session: Option<Listed>,
    /// Its place among the connection's requests.
    _request: Option<Request>,
}

impl Answer {
    pub(super) fn new(body: Body, session: Option<Listed>, request: Option<Request>) -> Self {
        Self {
            body,
            _session: session,
            _request: request,
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
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
