//! What clients send with a request, which may not take for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, Version, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{self, Sleep};

use crate::options::MAX_WAIT;
use crate::serve::requests::{Request, Requests};

/// A request's body, with a deadline for what comes next of it. It runs only while somebody waits for that.
struct RequestBody<B> {
    body: B,
    /// The request may be answered before all of this has come, and is not over then. None once nothing more will come.
    open: Option<Request>,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    lateness: Lateness,
}

/// Whether a body was too late.
#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Arc<AtomicBool>);

/// The body, for the application.
pub(super) fn within<B>(body: B, timeout: Duration, requests: &Requests) -> (Body, Lateness)
where
    B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    let lateness = Lateness::default();
    if body.is_end_stream() {
        return (Body::new(body), lateness);
    }
    let body = RequestBody {
        body,
        open: Some(requests.open()),
        timeout: timeout.min(MAX_WAIT),
        timer: None,
        lateness: lateness.clone(),
    };
    (Body::new(body), lateness)
}

impl Lateness {
    /// The answer to a request whose body was too late, where the application had nothing better to say than that it failed. What
    /// layers added to the head of that stays: without its CORS headers a page could not read why it failed.
    pub(super) fn tell(&self, mut response: Response<Body>, version: Version) -> Response<Body> {
        let has_failed = response.status().is_client_error() || response.status().is_server_error();
        if !self.0.load(Ordering::Relaxed) || !has_failed {
            return response;
        }
        *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        let headers = response.headers_mut();
        for name in OF_A_BODY {
            headers.remove(name);
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        // What may still come of the body is nobody's any more. Over HTTP/2 that is the stream's affair.
        if version < Version::HTTP_2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|_| Body::from(TOO_LATE))
    }
}

/// What a head says of the body that it had, and of nothing else (RFC 9110 section 8, RFC 6266, RFC 9530).
const OF_A_BODY: [HeaderName; 14] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_DISPOSITION,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

const TOO_LATE: &str = "the request's body did not come in time";

/// The client sent nothing of a request's body for too long.
#[derive(Debug, thiserror::Error)]
#[error("{TOO_LATE}")]
struct TooLate;

impl<B> http_body::Body for RequestBody<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        // hyper forgets to say so where the answer was all sent before (`dispatch.rs`: with a length the last byte makes the
        // connection idle at once).
        if this.body.is_end_stream() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timer = None;
            if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
                this.open = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let timer = this.timer.get_or_insert_with(|| Box::pin(time::sleep(timeout)));
        timer.as_mut().poll(cx).map(|()| {
            this.lateness.0.store(true, Ordering::Relaxed);
            this.open = None;
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
