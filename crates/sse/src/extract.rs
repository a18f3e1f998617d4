//! The extractor: from a request to an event stream.

use std::time::SystemTime;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast_core::{ChannelName, Hub, Identity, Message, Session, Subscribe, Transport};
use dualcast_http::{
    Admitted, Drive, Error, Feed, FeedBody, OriginPolicy, ServerHandle, Slot, Source, Taken, Takeover, admit,
    last_event_id,
};
use futures::Stream;

use crate::options::{CHANNEL_HEADER, SseOptions};
use crate::peer::SsePeer;
use crate::wire::{SseWire, WAYS};

/// Answers a request with an event stream.
///
/// ```
/// use axum::{extract::{Path, State}, response::Response};
/// use dualcast_core::Hub;
/// use dualcast_http::Error;
/// use dualcast_sse::Sse;
///
/// async fn prices(State(hub): State<Hub>, Path(symbol): Path<String>, sse: Sse) -> Result<Response, Error> {
///     Ok(sse.subscribe(hub.channel(("prices", &symbol))?))
/// }
/// ```
///
/// As an extractor it holds the request to the route's [`OriginPolicy`] (an `Extension`, else same origin).
///
/// GET and POST are answered with the stream, HEAD with its head, OPTIONS with 204 and the list of these in `Allow`, where the route
/// lets them through (`any(…)`).
#[derive(Debug)]
#[must_use]
pub struct Sse {
    cursor: Option<String>,
    method: Method,
    identity: Option<Identity>,
    expires_at: Option<SystemTime>,
    options: SseOptions,
    /// None under another server than ours.
    server: Option<ServerHandle>,
}

impl Sse {
    /// Changes the [options](SseOptions) of this stream: `.options(|o| o.session.heartbeat = …)`.
    pub fn options(mut self, change: impl FnOnce(&mut SseOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Says whose session it is.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Ends the session at this time: the client is told to come back with a new token.
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The cursor with which the client came back, if it did.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Streams a channel, or what `hub.subscribe(…)` describes. A cursor in the request goes before where that would begin.
    ///
    /// A client that comes back to finished channels of which it has seen everything is answered 204, at which an
    /// `EventSource` stays away.
    pub fn subscribe(self, to: impl Into<Subscribe>) -> Response {
        let mut subscribe = to.into();
        if self.options.is_plain {
            subscribe = subscribe.without_presence();
        }
        let names = self.options.names_channels.then(|| names(subscribe.channels()));
        let mut response = match answer_without_stream(&self.method) {
            Some(answer) => answer,
            None => match self.admit(subscribe) {
                Ok(response) => response,
                Err(error) => return error.into_response(),
            },
        };
        if let Some(names) = names {
            response.headers_mut().insert(CHANNEL_HEADER, names);
        }
        response
    }

    /// Streams messages of no channel to this one client: without ids, so that nothing can be resumed. The stream is asked for
    /// the next message when the last has left. Its heartbeat is a comment.
    ///
    /// It is a session of the hub like any other: it counts among [`Limits::max_sessions`](dualcast_core::Limits::max_sessions),
    /// its hooks hear of it, and it ends with the hub. When the messages end it is told
    /// [`CloseReason::Finished`](dualcast_core::CloseReason::Finished). An `EventSource` comes back even then, and gets another
    /// stream, unless the page closes it at the `dualcast:closing`.
    ///
    /// ```
    /// use axum::{extract::State, response::Response};
    /// use dualcast_core::{Hub, Message};
    /// use dualcast_sse::Sse;
    /// use futures::stream;
    ///
    /// async fn countdown(State(hub): State<Hub>, sse: Sse) -> Response {
    ///     let numbers = (1..=3).rev().map(|number| Message::text("message", number.to_string()));
    ///     sse.stream(&hub, stream::iter(numbers))
    /// }
    /// ```
    pub fn stream(mut self, hub: &Hub, messages: impl Stream<Item = Message> + Send + 'static) -> Response {
        if let Some(answer) = answer_without_stream(&self.method) {
            return answer;
        }
        let source = Source::stream(messages);
        let identity = self.identity.take();
        let admitted = Admitted::without_channel(hub, Transport::Sse, identity, source);
        self.respond(admitted, false)
    }

    fn admit(mut self, subscribe: Subscribe) -> Result<Response, Error> {
        let is_multi = subscribe.is_multi();
        let (cursor, identity) = (self.cursor.take(), self.identity.take());
        let admitted = admit(Transport::Sse, subscribe, cursor.as_deref(), identity)?;
        if admitted.is_over {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Ok(self.respond(admitted, is_multi))
    }

    fn respond(self, admitted: Admitted, is_multi: bool) -> Response {
        let handle = admitted.session.as_ref().map(Session::handle);
        let way = SseWire::way(is_multi, &self.options);
        let feed = admitted
            .into_feed(SseWire::in_body(way), self.options.session)
            .padded(self.options.padding_bytes)
            .expiring(self.expires_at);
        let feed = Slot::new(feed);
        let takeover = Takeover::new(handle, feed.clone(), STARTS[way]);
        let body = if self.server.is_some_and(|server| server.hands_over()) {
            FeedBody::new(feed)
        } else {
            FeedBody::unclaimed(feed)
        };
        let mut response = head();
        *response.body_mut() = Body::new(body);
        response.extensions_mut().insert(takeover);
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Sse {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        OriginPolicy::check_route(parts)?;
        Ok(Self {
            cursor: last_event_id(parts),
            method: parts.method.clone(),
            identity: None,
            expires_at: None,
            options: SseOptions::default(),
            server: parts.extensions.get().cloned(),
        })
    }
}

/// The answer to a method that asks for no stream, where the route lets it through: HEAD gets the head, OPTIONS the list.
fn answer_without_stream(method: &Method) -> Option<Response> {
    let allow = [(header::ALLOW, METHODS)];
    match *method {
        Method::GET | Method::POST => None,
        Method::HEAD => Some(head()),
        Method::OPTIONS => Some((StatusCode::NO_CONTENT, allow).into_response()),
        _ => Some((StatusCode::METHOD_NOT_ALLOWED, allow).into_response()),
    }
}

/// A channel's name has no character that a header couldn't.
fn names(channels: &[ChannelName]) -> HeaderValue {
    let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
    HeaderValue::from_str(&names.join(",")).unwrap_or(HeaderValue::from_static(""))
}

/// On a socket of its own an event stream is written in chunks; one of HTTP/2 has frames for that. A takeover is started by a bare function, so there is one for each way.
const STARTS: [fn(Feed, Taken) -> Drive<SsePeer>; WAYS] = [
    start::<0>, start::<1>, start::<2>, start::<3>, start::<4>, start::<5>,
];

fn start<const WAY: usize>(feed: Feed, taken: Taken) -> Drive<SsePeer> {
    let mut taken = taken.bounded(feed.options());
    if taken.is_stream() {
        return Drive::new(feed, SsePeer::on_stream(taken.line));
    }
    Drive::new(
        feed.speaking(SseWire::chunked(WAY)),
        SsePeer::on_socket(taken.line),
    )
}

/// What [`Sse`] answers. The route may allow less: `get(…)` does.
const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// The head of an event stream. No cache may keep it, and no proxy may hold it back or change it.
fn head() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
