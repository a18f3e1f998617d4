//! What a client asks of Dualcast itself: to follow a channel, to follow it no longer, to live longer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use dualcast_core::{ChannelName, Subscribe};
use dualcast_http::Error;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A client's wish to follow one more channel on a live connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// Which one. The client chose the name: whether it may follow it is for the application to say.
    pub channel: ChannelName,
    /// The last id that the client saw of it, if it comes back. Taken up by itself.
    pub cursor: Option<String>,
}

/// Says whether a client may follow a channel, and how.
pub(crate) type SubscribeHandler =
    Arc<dyn Fn(SubscribeRequest) -> BoxFuture<'static, Result<Subscribe, Error>> + Send + Sync>;

/// Says until when a token lets a session live.
pub(crate) type TokenHandler =
    Arc<dyn Fn(String) -> BoxFuture<'static, Result<SystemTime, Error>> + Send + Sync>;

pub(crate) fn subscribe_handler<F, Fut, S, E>(handler: F) -> SubscribeHandler
where
    F: Fn(SubscribeRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: Into<Subscribe>,
    E: Into<Error>,
{
    Arc::new(move |request| {
        let asked = handler(request);
        async { asked.await.map(Into::into).map_err(Into::into) }.boxed()
    })
}

pub(crate) fn token_handler<F, Fut, E>(handler: F) -> TokenHandler
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<SystemTime, E>> + Send + 'static,
    E: Into<Error>,
{
    Arc::new(move |token| {
        let asked = handler(token);
        async { asked.await.map_err(Into::into) }.boxed()
    })
}

/// A control frame of a client.
#[derive(Debug)]
pub(crate) enum Control {
    Subscribe(SubscribeRequest),
    Unsubscribe(ChannelName),
    Token(String),
}

/// A frame as it stands on the wire. All of it is optional, so that an error can name the `ref` of a frame that is otherwise wrong.
#[derive(Deserialize)]
pub(crate) struct Asked<'a> {
    #[serde(borrow)]
    control: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "ref")]
    pub(crate) reference: Option<&'a RawValue>,
}

impl<'a> Asked<'a> {
    /// None where it is nothing of the kind.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The control frame, if it means to be one.
    ///
    /// # Errors
    ///
    /// `unknown-control`, or what is missing.
    pub(crate) fn control(&self) -> Result<Option<Control>, Error> {
        let Some(control) = &self.control else {
            return Ok(None);
        };
        let control = match &**control {
            "subscribe" => Control::Subscribe(SubscribeRequest {
                channel: self.channel()?,
                cursor: self.id.as_deref().map(ToOwned::to_owned),
            }),
            "unsubscribe" => Control::Unsubscribe(self.channel()?),
            "token" => {
                let token = self.token.as_deref().ok_or_else(|| missing("token"))?;
                Control::Token(token.to_owned())
            }
            unknown => {
                let message = format!("there is no control {unknown:?}");
                return Err(Error::new(StatusCode::BAD_REQUEST, "unknown-control", message));
            }
        };
        Ok(Some(control))
    }

    fn channel(&self) -> Result<ChannelName, Error> {
        let channel = self.channel.as_deref().ok_or_else(|| missing("channel"))?;
        Ok(ChannelName::parse(channel)?)
    }
}

fn missing(field: &str) -> Error {
    Error::new(
        StatusCode::BAD_REQUEST,
        "bad-message",
        format!("missing field `{field}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Control>, Error> {
        Asked::parse(text).unwrap().control()
    }

    #[test]
    fn a_client_subscribes_with_or_without_a_cursor() {
        let asked = read(r#"{"control":"subscribe","channel":"room.42","id":"a-1"}"#);
        let Ok(Some(Control::Subscribe(request))) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (request.channel.as_str(), request.cursor.as_deref()),
            ("room.42", Some("a-1"))
        );
        assert!(matches!(
            read(r#"{"control":"unsubscribe","channel":"a"}"#),
            Ok(Some(Control::Unsubscribe(_)))
        ));
        assert!(
            matches!(read(r#"{"control":"token","token":"t"}"#), Ok(Some(Control::Token(token))) if token == "t")
        );
    }

    #[test]
    fn what_is_wrong_with_it_has_a_code_and_keeps_its_ref() {
        for (text, code) in [
            (r#"{"control":"dance","ref":1}"#, "unknown-control"),
            (r#"{"control":"subscribe","ref":1}"#, "bad-message"),
            (
                r#"{"control":"subscribe","channel":"a..b","ref":1}"#,
                "bad-channel",
            ),
            (r#"{"control":"token","ref":1}"#, "bad-message"),
        ] {
            let asked = Asked::parse(text).unwrap();
            assert_eq!(asked.reference.unwrap().get(), "1");
            assert_eq!(asked.control().unwrap_err().code(), code, "{text}");
        }
        assert!(read(r#"{"event":"e"}"#).unwrap().is_none());
        assert!(Asked::parse("[]").is_none() && Asked::parse("x").is_none());
    }
}
