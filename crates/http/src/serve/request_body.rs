//! What clients send with a request, which may not take for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{self, Sleep};

use crate::options::MAX_WAIT;

/// A request's body, with a deadline for what comes next of it. It runs only while somebody waits for that.
struct RequestBody {
    body: Incoming,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    lateness: Lateness,
}

/// Whether a body was too late.
#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Arc<AtomicBool>);

/// The body, for the application.
pub(super) fn within(body: Incoming, timeout: Duration) -> (Body, Lateness) {
    let lateness = Lateness::default();
    if body.is_end_stream() {
        return (Body::new(body), lateness);
    }
    let body = RequestBody {
        body,
        timeout: timeout.min(MAX_WAIT),
        timer: None,
        lateness: lateness.clone(),
    };
    (Body::new(body), lateness)
}

impl Lateness {
    /// The answer to a request whose body was too late, where the application had nothing better to say than that it failed.
    pub(super) fn tell(&self, response: Response<Body>) -> Response<Body> {
        let has_failed = response.status().is_client_error() || response.status().is_server_error();
        if !self.0.load(Ordering::Relaxed) || !has_failed {
            return response;
        }
        let mut response = Response::new(Body::from("the request's body did not come in time"));
        *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        // What may still come of the body is nobody's any more.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// The client sent nothing of a request's body for too long.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
struct TooLate;

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let timer = this.timer.get_or_insert_with(|| Box::pin(time::sleep(timeout)));
        timer.as_mut().poll(cx).map(|()| {
            this.lateness.0.store(true, Ordering::Relaxed);
            Some(Err(TooLate.into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
