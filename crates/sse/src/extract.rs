//! The extractor: from a request to an event stream.

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast_core::{Identity, Message, Session, Subscribe, Transport};
use dualcast_http::{
    Admitted, Drive, Error, Feed, FeedBody, OriginPolicy, ServerHandle, SessionOptions, Slot, Source, Taken,
    Takeover, admit, last_event_id,
};
use futures::{Stream, StreamExt};

use crate::peer::SsePeer;
use crate::wire::SseWire;

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
#[derive(Debug)]
#[must_use]
pub struct Sse {
    cursor: Option<String>,
    is_head: bool,
    identity: Option<Identity>,
    options: SessionOptions,
    /// None under another server than ours.
    server: Option<ServerHandle>,
}

impl Sse {
    /// Changes the [bounds](SessionOptions) of this session: `.options(|o| o.heartbeat = …)`.
    pub fn options(mut self, change: impl FnOnce(&mut SessionOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Says whose session it is.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
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
        let subscribe = to.into();
        let is_multi = subscribe.is_multi();
        if self.is_head {
            return head().into_response();
        }
        match admit(Transport::Sse, subscribe, self.cursor.as_deref(), self.identity) {
            Ok(Admitted { is_over: true, .. }) => StatusCode::NO_CONTENT.into_response(),
            Ok(admitted) => {
                let feed = feed(admitted.session, admitted.source, self.options, is_multi);
                respond(feed, self.server.as_ref(), is_multi)
            }
            Err(error) => error.into_response(),
        }
    }

    /// Streams messages of no channel to this one client: without ids, so that nothing can be resumed. The stream is asked for
    /// the next message when the last has left. Its heartbeat is a comment, for strict clients.
    pub fn stream(self, messages: impl Stream<Item = Message> + Send + 'static) -> Response {
        if self.is_head {
            return head().into_response();
        }
        // No session of the hub, which would be told of a shutdown.
        let shutdown = self.server.as_ref().map(ServerHandle::draining);
        let feed = feed(None, Source::Stream(messages.boxed()), self.options, false).until(shutdown);
        respond(feed, self.server.as_ref(), false)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Sse {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let policy: Result<Extension<OriginPolicy>, _> = Extension::from_request_parts(parts, state).await;
        policy
            .map(|Extension(policy)| policy)
            .unwrap_or_default()
            .check(parts)?;
        Ok(Self {
            cursor: last_event_id(parts),
            is_head: parts.method == Method::HEAD,
            identity: None,
            options: SessionOptions::default(),
            server: parts.extensions.get().cloned(),
        })
    }
}

fn feed(session: Option<Session>, source: Source, options: SessionOptions, is_multi: bool) -> Feed {
    Feed::new(SseWire::in_body(is_multi), session, source, options)
}

fn respond(feed: Feed, server: Option<&ServerHandle>, is_multi: bool) -> Response {
    let handle = feed.session().map(Session::handle);
    let feed = Slot::new(feed);
    let start = if is_multi { start::<true> } else { start::<false> };
    let takeover = Takeover::new(handle, feed.clone(), start);
    let mut response = head();
    let body = if server.is_some_and(ServerHandle::hands_over) {
        FeedBody::new(feed)
    } else {
        FeedBody::unclaimed(feed)
    };
    *response.body_mut() = Body::new(body);
    response.extensions_mut().insert(takeover);
    response
}

fn start<const IS_MULTI: bool>(feed: Feed, taken: Taken) -> Drive<SsePeer> {
    let feed = feed.speaking(SseWire::chunked(IS_MULTI));
    Drive::new(feed, SsePeer::new(taken.line))
}

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
