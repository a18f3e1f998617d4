//! The extractor: from a request to a WebSocket.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast_core::{Hub, Identity, Session, Subscribe, Transport};
use dualcast_http::{
    Admitted, Dialect, Drive, Error, Feed, InboundHandler, Line, MAX_WAIT, OriginPolicy, Portions,
    ServerHandle, Slot, Socket, Source, Taken, Takeover, admit, last_event_id,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time;

use crate::acceptance::Acceptance;
use crate::control::{self, SubscribeRequest};
use crate::handshake::{self, NoUpgrade, SUBPROTOCOL};
use crate::inbox::{Handlers, Inbox};
use crate::options::WsOptions;
use crate::peer::WsPeer;
use crate::raw::{self, RawSocket, RawWire};
use crate::receiver::Receiver;
use crate::wire::WsWire;

/// Answers a request with a WebSocket.
///
/// ```
/// use axum::{extract::{Path, State}, response::Response};
/// use dualcast_core::Hub;
/// use dualcast_http::{Error, Inbound};
/// use dualcast_ws::Ws;
///
/// async fn room(State(hub): State<Hub>, Path(id): Path<String>, ws: Ws) -> Result<Response, Error> {
///     let room = hub.channel(("room", &id))?;
///     let publish = {
///         let room = room.clone();
///         move |message: Inbound| {
///             let room = room.clone();
///             async move { room.publish(message.into_message()).await }
///         }
///     };
///     Ok(ws.on_message(publish).subscribe(room))
/// }
/// ```
///
/// As an extractor it checks the handshake, and the route's [`OriginPolicy`] (an `Extension`, else same origin).
///
/// `Option<Ws>` is for a route that serves something else beside WebSockets, an event stream first of all: it is `None` where the request
/// doesn't ask for one. A handshake that is a bad one is refused as ever.
#[must_use]
pub struct Ws {
    response: Response,
    offered: Vec<String>,
    protocol: Option<String>,
    cursor: Option<String>,
    /// How the socket comes: by takeover, or by an upgrade that hyper will grant.
    on_upgrade: Option<OnUpgrade>,
    /// None under another server than ours.
    server: Option<ServerHandle>,
    identity: Option<Identity>,
    expires_at: Option<SystemTime>,
    handlers: Handlers,
    options: WsOptions,
}

impl Ws {
    /// Changes the [bounds](WsOptions) of this session: `.options(|o| o.ping_interval = …)`.
    pub fn options(mut self, change: impl FnOnce(&mut WsOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Speaks one of these subprotocols: the first of them that the client offers. Without this it is [`SUBPROTOCOL`] where that
    /// is offered, and none for [`Ws::raw`].
    pub fn protocols<'a>(mut self, accepted: impl IntoIterator<Item = &'a str>) -> Self {
        let chosen = accepted
            .into_iter()
            .find(|accepted| self.offered.iter().any(|offered| offered == accepted));
        self.protocol = chosen.map(ToOwned::to_owned);
        self
    }

    /// The subprotocol that was chosen. A browser that offered some goes away when none is.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Says whose session it is.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Ends the session at this time, unless the client hands in [another token](Self::on_token) before.
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Handles the client's messages: in order, one at a time, each with a reply. Without this they are answered with an error.
    pub fn on_message(mut self, handler: impl InboundHandler) -> Self {
        self.handlers.message = Some(Arc::new(handler));
        self
    }

    /// Lets the client follow other channels on the live connection, as the handler says: with what is to be subscribed to, which
    /// has to be the channel that the client named, or with an error that it is told. Each has a cursor of its own.
    ///
    /// ```
    /// # use axum::{extract::State, http::StatusCode, response::Response};
    /// # use dualcast_core::Hub;
    /// # use dualcast_http::Error;
    /// # use dualcast_ws::{SubscribeRequest, Ws};
    /// async fn socket(State(hub): State<Hub>, ws: Ws) -> Response {
    ///     let channels = hub.clone();
    ///     ws.on_subscribe(move |request: SubscribeRequest| {
    ///         let hub = channels.clone();
    ///         async move {
    ///             if !request.channel.as_str().starts_with("public.") {
    ///                 return Err(Error::new(StatusCode::FORBIDDEN, "forbidden", "not for you"));
    ///             }
    ///             Ok(hub.channel(&request.channel)?)
    ///         }
    ///     })
    ///     .listen(&hub)
    /// }
    /// ```
    ///
    /// Such a session doesn't end with its channels: its client may still ask for others. It takes
    /// [`max_subscriptions`](WsOptions::max_subscriptions) at the most. [`Hub::unsubscribe`] takes the right back.
    pub fn on_subscribe<F, Fut, S, E>(mut self, handler: F) -> Self
    where
        F: Fn(SubscribeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S, E>> + Send + 'static,
        S: Into<Subscribe>,
        E: Into<Error>,
    {
        self.handlers.subscribe = Some(control::subscribe_handler(handler));
        self
    }

    /// Lets the client hand in a new token on the live connection. The handler checks that it is good, and the same user's, and
    /// answers until when the session may live from now on; or with an error that the client is told.
    pub fn on_token<F, Fut, E>(mut self, handler: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SystemTime, E>> + Send + 'static,
        E: Into<Error>,
    {
        self.handlers.token = Some(control::token_handler(handler));
        self
    }

    /// The cursor with which the client came back, if it did.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Streams a channel, or what `hub.subscribe(…)` describes. A cursor in the request goes before where that would begin.
    pub fn subscribe(mut self, to: impl Into<Subscribe>) -> Response {
        let subscribe = to.into();
        let is_multi = subscribe.is_multi();
        let (cursor, identity) = (self.cursor.take(), self.identity.take());
        match admit(Transport::WebSocket, subscribe, cursor.as_deref(), identity) {
            Ok(admitted) => self.stream(admitted, is_multi),
            Err(error) => error.into_response(),
        }
    }

    /// Streams nothing by itself: the client [subscribes](Self::on_subscribe) to what it wants to hear.
    pub fn listen(mut self, hub: &Hub) -> Response {
        let identity = self.identity.take();
        let admitted = Admitted::without_channel(hub, Transport::WebSocket, identity, Source::Nothing);
        self.stream(admitted, true)
    }

    /// Hands the socket to a handler that speaks a protocol of the application's own: STOMP, graphql-ws, Yjs. It is counted among
    /// the hub's sessions, and has their bounds, pings, deadlines and shutdown.
    ///
    /// ```
    /// # use axum::{extract::State, response::Response};
    /// # use dualcast_core::Hub;
    /// # use dualcast_ws::{RawSocket, Ws};
    /// async fn echo(State(hub): State<Hub>, ws: Ws) -> Response {
    ///     ws.protocols(["echo"]).raw(&hub, |mut socket: RawSocket| async move {
    ///         while let Some(message) = socket.recv().await {
    ///             if socket.send(message).await.is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     })
    /// }
    /// ```
    pub fn raw<F, Fut>(mut self, hub: &Hub, handler: F) -> Response
    where
        F: FnOnce(RawSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (source, mut receiver) =
            raw::open(handler, self.options.session.close_timeout, self.server.clone());
        let identity = self.identity.take();
        let admitted = Admitted::without_channel(hub, Transport::WebSocket, identity, source);
        if admitted.session.is_none() {
            receiver.forget();
        }
        self.respond(admitted, &RawWire, receiver)
    }

    fn stream(mut self, admitted: Admitted, is_multi: bool) -> Response {
        if self.protocol.is_none() {
            self = self.protocols([SUBPROTOCOL]);
        }
        // Who is sent away is told so, and nothing of what it says is handled.
        let handlers = match admitted.session {
            Some(_) => std::mem::take(&mut self.handlers),
            None => Handlers::default(),
        };
        let receiver = Inbox::new(handlers, &self.options, self.server.clone());
        self.respond(admitted, WsWire::get(is_multi), receiver)
    }

    fn respond<R: Receiver + 'static>(
        self,
        admitted: Admitted,
        dialect: &'static dyn Dialect,
        receiver: R,
    ) -> Response {
        let Self {
            mut response,
            protocol,
            on_upgrade,
            expires_at,
            options,
            ..
        } = self;
        // It is one of those that were offered, in a header.
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::try_from) {
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let session = admitted.session.as_ref().map(Session::handle);
        let patience = options.session.write_timeout.min(MAX_WAIT);
        let feed = admitted
            .into_feed(dialect, options.session.clone())
            .joinable(receiver.takes_subscriptions())
            .expiring(expires_at)
            .hearing_up_to(options.max_inbound_bytes);
        let waiting = Waiting {
            feed,
            receiver,
            options,
        };
        let Some(on_upgrade) = on_upgrade else {
            response
                .extensions_mut()
                .insert(Takeover::new(session, Slot::new(waiting), start));
            return response;
        };
        // Over HTTP/2 hyper takes an upgrade back that was not accepted.
        let acceptance = (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| {
            let (body, acceptance) = Acceptance::new();
            *response.body_mut() = body;
            acceptance
        });
        // Boxed, and gone once the session runs: that alone stays for hours.
        let opening = Box::pin(async move {
            let is_stream = acceptance.is_none();
            if let Some(mut acceptance) = acceptance
                && !acceptance.is_sent().await
            {
                tracing::debug!("a layer took the answer to a handshake back");
                return None;
            }
            let io = match time::timeout(patience, on_upgrade).await {
                Ok(Ok(upgraded)) => TokioIo::new(upgraded),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the client left before the upgrade");
                    return None;
                }
                Err(_) => {
                    tracing::debug!("the answer to a handshake was not taken");
                    return None;
                }
            };
            let io = if is_stream {
                Portions::of_stream(io)
            } else {
                Portions::of_connection(io)
            };
            // Not before: the answer to a refused handshake leaves by it, too.
            Some(waiting.open(Line::new(io), &[]))
        });
        tokio::spawn(async move {
            if let Some(session) = opening.await {
                session.await;
            }
        });
        response
    }
}

/// A session that waits for its socket.
struct Waiting<R> {
    feed: Feed,
    receiver: R,
    options: WsOptions,
}

fn start<R: Receiver>(waiting: Waiting<R>, taken: Taken) -> Drive<WsPeer<Socket, R>> {
    let Taken { line, read_ahead } = taken.bounded(waiting.feed.options());
    waiting.open(line, &read_ahead)
}

impl<R: Receiver> Waiting<R> {
    fn open<IO>(self, line: Line<IO>, read_ahead: &[u8]) -> Drive<WsPeer<IO, R>>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = WsPeer::new(line, read_ahead, self.receiver, &self.options);
        Drive::new(self.feed, peer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ws {
    type Rejection = NoUpgrade;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NoUpgrade> {
        OriginPolicy::check_route(parts).map_err(Error::from)?;
        let response = handshake::accept(parts)?;
        let server = parts.extensions.get::<ServerHandle>().cloned();
        let on_upgrade = match &server {
            Some(server) if server.hands_over() => None,
            _ => Some(
                parts
                    .extensions
                    .remove::<OnUpgrade>()
                    .ok_or_else(NoUpgrade::impossible)?,
            ),
        };
        Ok(Self {
            response,
            offered: handshake::offered(&parts.headers),
            protocol: None,
            cursor: last_event_id(parts),
            on_upgrade,
            server,
            identity: None,
            expires_at: None,
            handlers: Handlers::default(),
            options: WsOptions::default(),
        })
    }
}

/// None where the request is no handshake: whoever else the route serves finds it untouched.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Ws {
    type Rejection = NoUpgrade;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, NoUpgrade> {
        if !handshake::is_begun(parts) {
            return Ok(None);
        }
        let ws = <Self as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Some(ws))
    }
}
