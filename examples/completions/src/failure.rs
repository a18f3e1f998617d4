//! Why a request was refused, in the shape that clients of OpenAI's API read.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A status, a code for programs and a text for people.
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

impl From<dualcast::Error> for Failure {
    fn from(error: dualcast::Error) -> Self {
        Self::new(error.status(), "refused", error.message())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(object(self.code, &self.message))).into_response()
    }
}

/// A failure as these clients read it, from an answer or from a stream.
pub(crate) fn object(code: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": "completions_error", "param": null, "code": code } })
}
