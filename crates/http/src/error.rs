//! What a handler can fail with: one error for both transports and for the companion POST, with one code.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast_core::{ChannelName, NameError, PublishError, SubscribeError};

use crate::inbound::Reply;
use crate::origin::OriginRefused;

/// Why a request, or an inbound message, was refused: a code for programs, a text for people, and an HTTP status.
///
/// A route may return it ([`IntoResponse`]), and so may an inbound handler: then it is the `error` on a WebSocket and the body
/// of the POST's answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of the application's own. The code is part of its protocol; the message is for people.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// What a handler answers to an event that it doesn't know.
    #[must_use]
    pub fn unknown_event(event: &str) -> Self {
        let message = format!("there is no event {event:?} here");
        Self::new(StatusCode::BAD_REQUEST, "unknown-event", message)
    }

    /// The client sends more than it may: what it sent was not handled, and it should wait so long before it sends that again.
    #[must_use]
    pub fn too_fast(retry_after: Duration) -> Self {
        let message = "more than may be sent: wait, and send it again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-fast", message).retry_after(retry_after)
    }

    /// Says how long to wait before the same is worth another try: `Retry-After` on a POST, `retry` on a WebSocket.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Something failed on the server. What it was is for the log, not for the client.
    #[must_use]
    pub fn internal() -> Self {
        let message = "something failed on the server";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn already_subscribed(channel: &ChannelName) -> Self {
        let message = format!("this connection follows `{channel}` already");
        Self::new(StatusCode::CONFLICT, "already-subscribed", message)
    }

    pub(crate) fn not_subscribed(channel: &ChannelName) -> Self {
        let message = format!("this connection has not subscribed to `{channel}` by itself");
        Self::new(StatusCode::CONFLICT, "not-subscribed", message)
    }

    pub(crate) fn revoked(channel: &ChannelName) -> Self {
        let message = format!("`{channel}` may no longer be followed");
        Self::new(StatusCode::FORBIDDEN, "revoked", message)
    }

    /// Not `busy`: that passes, and this lasts until the client leaves a channel.
    pub(crate) fn too_many_channels(max: usize) -> Self {
        let message =
            format!("this connection has joined as many channels as it may: `max_subscriptions` is {max}");
        Self::new(StatusCode::CONFLICT, "too-many-channels", message)
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before the same is worth another try, where that is known.
    #[must_use]
    pub fn get_retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-channel", error.to_string())
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        let (status, code) = match &error {
            PublishError::Message(_) => (StatusCode::BAD_REQUEST, "bad-message"),
            PublishError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            PublishError::Finished => (StatusCode::CONFLICT, "finished"),
            PublishError::Limit(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            PublishError::Unconfirmed(_) => (StatusCode::GATEWAY_TIMEOUT, "unconfirmed"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SubscribeError> for Error {
    fn from(error: SubscribeError) -> Self {
        let (status, code) = match &error {
            SubscribeError::NoChannel => (StatusCode::BAD_REQUEST, "no-channel"),
            SubscribeError::Member(_) => (StatusCode::BAD_REQUEST, "bad-member"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<OriginRefused> for Error {
    fn from(refused: OriginRefused) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", refused.to_string())
    }
}

impl From<serde_json::Error> for Error {
    /// A value of the application that JSON can't hold. What a client sent is refused by [`Inbound::json`](crate::Inbound::json).
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "a value could not be written as JSON");
        Self::internal()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Reply::from(self).into_response()
    }
}

/// Whole seconds, as `Retry-After` has them (RFC 9110 section 10.2.3): rounded up, so that nobody comes too early.
pub(crate) fn put_retry_after(response: &mut Response, wait: Duration) {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}
