//! What clients send: one message type and one handler for WebSocket messages and for the companion POST.

use std::borrow::Cow;
use std::time::Duration;

use axum::body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast_core::{Message, Payload, Position, count_posted};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time;

use crate::error::{Error, put_retry_after};
use crate::notice::millis;
use crate::origin::OriginPolicy;

/// The largest inbound message unless configured otherwise, in bytes: 64 KiB.
pub const MAX_INBOUND_BYTES: usize = 64 << 10;

/// For how long the body of the companion POST may take as a whole: 30 seconds, however it trickles in. It is small.
const INBOUND_TIMEOUT: Duration = Duration::from_secs(30);

/// A message from a client: `{"event": …, "data": …, "key": …}`.
///
/// As an extractor it is the body of the companion POST (`Content-Type: application/json`, at most [`MAX_INBOUND_BYTES`]), held
/// to the [`OriginPolicy`] of the route, since a POST from a foreign page is as dangerous as a WebSocket.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inbound {
    /// Its event name.
    pub event: String,
    /// Its data: text where it was a JSON string, JSON otherwise (`null` where it had none), or a binary message's bytes.
    pub payload: Payload,
    /// Its idempotency key: a client that sends again after a lost answer sends the same.
    pub key: Option<String>,
}

impl Inbound {
    /// A message as it would have come from a client.
    #[must_use]
    pub fn new(event: impl Into<String>, payload: Payload, key: Option<String>) -> Self {
        Self {
            event: event.into(),
            payload,
            key,
        }
    }

    /// Its data, read as JSON.
    ///
    /// # Errors
    ///
    /// An [`Error`] with the code `bad-data` that says what was expected where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let read = match &self.payload {
            Payload::Json(json) => serde_json::from_str(json),
            Payload::Text(text) => T::deserialize(serde::de::value::StrDeserializer::new(text)),
            Payload::Binary(bytes) => serde_json::from_slice(bytes),
        };
        read.map_err(|error| Error::new(StatusCode::BAD_REQUEST, "bad-data", error.to_string()))
    }

    /// Its data, as text.
    ///
    /// # Errors
    ///
    /// An [`Error`] with the code `bad-data` where it is anything else.
    pub fn text(&self) -> Result<&str, Error> {
        match &self.payload {
            Payload::Text(text) => Ok(text),
            _ => Err(Error::new(
                StatusCode::BAD_REQUEST,
                "bad-data",
                "the data must be a string",
            )),
        }
    }

    /// The message to publish it as it came, with its idempotency key. Name the sender, too: a key is scoped to it.
    #[must_use]
    pub fn into_message(self) -> Message {
        let message = Message::new(self.event, self.payload);
        match self.key {
            Some(key) => message.idempotency_key(key),
            None => message,
        }
    }

    /// Reads what a client wrote.
    ///
    /// # Errors
    ///
    /// An [`Error`] with the code `bad-message` that says what was expected where.
    pub fn parse(text: &str) -> Result<(Self, Option<Box<RawValue>>), Error> {
        let head = Head::parse(text)?;
        let payload = match head.data {
            Some(data) => payload(data)?,
            None => Payload::Json("null".into()),
        };
        Ok((
            Self::new(head.event, payload, head.key.map(Cow::into_owned)),
            head.reference.map(ToOwned::to_owned),
        ))
    }

    /// Reads what a client wrote in a binary message: the same as JSON without `data`, a line feed, and the bytes.
    ///
    /// # Errors
    ///
    /// As for [`Inbound::parse`].
    pub fn parse_binary(frame: &bytes::Bytes) -> Result<(Self, Option<Box<RawValue>>), Error> {
        let line_end = frame.iter().position(|byte| *byte == b'\n');
        let line_end = line_end.ok_or_else(|| bad("a binary message begins with a line of JSON"))?;
        let line =
            std::str::from_utf8(&frame[..line_end]).map_err(|_| bad("the line of JSON is not UTF-8"))?;
        let head = Head::parse(line)?;
        // Copied: as a slice it would keep the whole buffer that the frame was read into.
        let payload = Payload::Binary(bytes::Bytes::copy_from_slice(&frame[line_end + 1..]));
        Ok((
            Self::new(head.event, payload, head.key.map(Cow::into_owned)),
            head.reference.map(ToOwned::to_owned),
        ))
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| bad(error.to_string()))
    }
}

fn payload(data: &RawValue) -> Result<Payload, Error> {
    if data.get().starts_with('"') {
        let text: String = serde_json::from_str(data.get()).map_err(|error| bad(error.to_string()))?;
        return Ok(Payload::Text(text.into()));
    }
    Ok(Payload::Json(data.get().into()))
}

fn bad(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(StatusCode::BAD_REQUEST, "bad-message", message)
}

impl<S: Send + Sync> FromRequest<S> for Inbound {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        OriginPolicy::check_route(&parts)?;
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = content_type
            .and_then(|value| value.split(';').next())
            .unwrap_or("")
            .trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "expected Content-Type: application/json";
            return Err(Error::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad-type",
                message,
            ));
        }
        let read = time::timeout(INBOUND_TIMEOUT, body::to_bytes(body, MAX_INBOUND_BYTES));
        let read = read.await.map_err(|_| {
            let message = format!("a message comes within {} seconds", INBOUND_TIMEOUT.as_secs());
            Error::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message)
        })?;
        let body = read.map_err(|_| {
            let message = format!("a message has at most {MAX_INBOUND_BYTES} bytes");
            Error::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
        })?;
        let text = std::str::from_utf8(&body).map_err(|_| bad("the message is not UTF-8"))?;
        count_posted();
        Ok(Self::parse(text)?.0)
    }
}

/// What a handler answers a message with: on WebSocket a `reply` or an `error`, on a POST its status and body.
#[derive(Debug)]
pub struct Reply(Result<Option<Box<RawValue>>, Error>);

impl Reply {
    /// Done, and nothing to say.
    #[must_use]
    pub fn empty() -> Self {
        Self(Ok(None))
    }

    /// Done, with data.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(data: &T) -> Self {
        Self(
            serde_json::value::to_raw_value(data)
                .map(Some)
                .map_err(Error::from),
        )
    }

    /// The error, if it is one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.0.as_ref().err()
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn to_json(&self, reference: Option<&RawValue>) -> String {
        let frame = match &self.0 {
            Ok(data) => Frame::Reply {
                reference,
                data: data.as_deref(),
            },
            Err(error) => Frame::Error {
                reference,
                code: error.code(),
                message: error.message(),
                retry: error.get_retry_after().map(millis),
            },
        };
        serde_json::to_string(&frame).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(tag = "control", rename_all = "lowercase")]
enum Frame<'a> {
    Reply {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    },
    Error {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a RawValue>,
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<u64>,
    },
}

impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Self(Err(error))
    }
}

impl From<Position> for Reply {
    /// `{"id": …}`: where the message stands.
    fn from(position: Position) -> Self {
        Self::json(&serde_json::json!({ "id": position }))
    }
}

impl<T: Into<Reply>, E: Into<Error>> From<Result<T, E>> for Reply {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::from(error.into()), Into::into)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = self.0.as_ref().map_or_else(Error::status, |_| StatusCode::OK);
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, content_type, self.to_json(None)).into_response();
        if let Err(Some(wait)) = self.0.as_ref().map_err(Error::get_retry_after) {
            put_retry_after(&mut response, wait);
        }
        response
    }
}

/// What an application does with a message from a client: any `async` closure from [`Inbound`] to a reply.
///
/// It knows nothing of the connection, so that one handler serves WebSocket and the companion POST; who sent the message,
/// the closure has captured. It must finish by itself: on WebSocket the next message of the same client waits for it.
pub trait InboundHandler: Send + Sync + 'static {
    /// Handles a message.
    fn handle(&self, message: Inbound) -> BoxFuture<'static, Reply>;
}

impl<F, Fut> InboundHandler for F
where
    F: Fn(Inbound) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Into<Reply>,
{
    fn handle(&self, message: Inbound) -> BoxFuture<'static, Reply> {
        self(message).map(Into::into).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_string_is_text_and_anything_else_stays_json() {
        let (message, reference) = Inbound::parse(r#"{"event":"e","data":"a\nb","ref":7}"#).unwrap();
        assert_eq!(message.payload, Payload::Text("a\nb".into()));
        assert_eq!(reference.unwrap().get(), "7");
        let (message, _) = Inbound::parse(r#"{"event":"e","data":{"a":[1]},"key":"k"}"#).unwrap();
        assert_eq!(message.payload, Payload::Json(r#"{"a":[1]}"#.into()));
        assert_eq!(message.key.as_deref(), Some("k"));
        assert_eq!(
            Inbound::parse(r#"{"event":"e"}"#).unwrap().0.payload,
            Payload::Json("null".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_trickles_in_is_refused() {
        let bytes = futures::stream::unfold((), |()| async {
            time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::convert::Infallible>(" "), ()))
        });
        let request = Request::post("/say")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body::Body::from_stream(bytes))
            .unwrap();
        let refused = Inbound::from_request(request, &()).await.unwrap_err();
        assert_eq!(
            (refused.status(), refused.code()),
            (StatusCode::REQUEST_TIMEOUT, "too-slow")
        );
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_code() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"event":1}"#,
            r#"{"event":"e","data":"\ud800"}"#,
        ] {
            assert_eq!(Inbound::parse(text).unwrap_err().code(), "bad-message", "{text}");
        }
        for frame in ["", "{}", "\n", "{\"event\":1}\n"] {
            let frame = bytes::Bytes::from_static(frame.as_bytes());
            assert_eq!(Inbound::parse_binary(&frame).unwrap_err().code(), "bad-message");
        }
    }

    #[test]
    fn a_binary_message_is_a_line_of_json_and_the_bytes() {
        let frame = bytes::Bytes::from_static(b"{\"event\":\"e\",\"ref\":\"r\"}\n\x00\n\xff");
        let (message, reference) = Inbound::parse_binary(&frame).unwrap();
        assert_eq!(
            message.payload,
            Payload::Binary(bytes::Bytes::from_static(b"\x00\n\xff"))
        );
        assert_eq!(reference.unwrap().get(), "\"r\"");
        // Whoever keeps the payload keeps no frame alive, nor the buffer that it was read into.
        let Payload::Binary(bytes) = message.payload else {
            panic!()
        };
        let place = frame.as_ptr_range();
        assert!(!place.contains(&bytes.as_ptr()));
    }

    #[test]
    fn a_reply_reads_the_same_with_and_without_a_reference() {
        let reply = Reply::json(&[1, 2]);
        assert_eq!(reply.to_json(None), r#"{"control":"reply","data":[1,2]}"#);
        let reference = RawValue::from_string("7".into()).unwrap();
        assert_eq!(
            Reply::empty().to_json(Some(&reference)),
            r#"{"control":"reply","ref":7}"#
        );
        let error = Reply::from(Error::new(
            StatusCode::FORBIDDEN,
            "read-only",
            "you can only look",
        ));
        assert_eq!(
            error.to_json(None),
            r#"{"control":"error","code":"read-only","message":"you can only look"}"#
        );
    }
}
