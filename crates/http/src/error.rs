//! What a handler can fail with: one error for both transports and for the companion POST, with one code.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dualcast_core::{NameError, PublishError, SubscribeError};

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
        }
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
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SubscribeError> for Error {
    fn from(error: SubscribeError) -> Self {
        let (status, code) = match &error {
            SubscribeError::NoChannel => (StatusCode::BAD_REQUEST, "no-channel"),
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
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something failed on the server",
        )
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Reply::from(self).into_response()
    }
}
