//! The extractor: from a request to a WebSocket.

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dualcast_core::{CloseReason, Identity, Session, Subscribe, Transport};
use dualcast_http::{
    Drive, Feed, InboundHandler, Line, OriginPolicy, ServerHandle, Slot, Taken, Takeover, admit,
    last_event_id,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::handshake::{self, NoUpgrade};
use crate::options::WsOptions;
use crate::peer::WsPeer;
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
#[must_use]
pub struct Ws {
    response: Response,
    cursor: Option<String>,
    /// How the socket comes: by takeover, or by an upgrade that hyper will grant.
    on_upgrade: Option<OnUpgrade>,
    /// None under another server than ours.
    server: Option<ServerHandle>,
    identity: Option<Identity>,
    handler: Option<Arc<dyn InboundHandler>>,
    options: WsOptions,
}

impl Ws {
    /// Changes the [bounds](WsOptions) of this session: `.options(|o| o.ping_interval = …)`.
    pub fn options(mut self, change: impl FnOnce(&mut WsOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Says whose session it is.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Handles the client's messages: in order, one at a time, each with a reply. Without this they are answered with an error.
    pub fn on_message(mut self, handler: impl InboundHandler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// The cursor with which the client came back, if it did.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Streams a channel, or what `hub.subscribe(…)` describes. A cursor in the request goes before where that would begin.
    pub fn subscribe(self, to: impl Into<Subscribe>) -> Response {
        let Self {
            mut response,
            cursor,
            on_upgrade,
            server,
            identity,
            handler,
            options,
        } = self;
        let subscribe = to.into();
        let dialect = WsWire::get(subscribe.is_multi());
        let admitted = match admit(Transport::WebSocket, subscribe, cursor.as_deref(), identity) {
            Ok(admitted) => admitted,
            Err(error) => return error.into_response(),
        };
        let session = admitted.session.as_ref().map(Session::handle);
        let feed = Feed::new(
            dialect,
            admitted.session,
            admitted.source,
            options.session.clone(),
        );
        let waiting = Waiting {
            feed,
            handler,
            options,
        };
        let Some(on_upgrade) = on_upgrade else {
            response
                .extensions_mut()
                .insert(Takeover::new(session, Slot::new(waiting), start));
            return response;
        };
        let run = async move {
            let upgraded = match on_upgrade.await {
                Ok(upgraded) => upgraded,
                Err(error) => return tracing::debug!(%error, "the client left before the upgrade"),
            };
            run(waiting, Line::new(TokioIo::new(upgraded)), Bytes::new()).await;
        };
        match server {
            Some(server) => server.spawn(session, run),
            None => drop(tokio::spawn(run)),
        }
        response
    }
}

/// A session that waits for its socket.
struct Waiting {
    feed: Feed,
    handler: Option<Arc<dyn InboundHandler>>,
    options: WsOptions,
}

fn start(waiting: Waiting, taken: Taken) -> impl Future<Output = CloseReason> {
    run(waiting, taken.line, taken.read_ahead)
}

/// What opens a session is boxed, and gone once it runs: a connection that idles for hours keeps its loop alone.
fn run<IO>(waiting: Waiting, line: Line<IO>, read_ahead: Bytes) -> impl Future<Output = CloseReason>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let open = Box::pin(open(waiting, line, read_ahead));
    async { open.await.await }
}

async fn open<IO>(waiting: Waiting, line: Line<IO>, read_ahead: Bytes) -> Drive<WsPeer<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Waiting {
        feed,
        handler,
        options,
    } = waiting;
    let peer = WsPeer::new(line, read_ahead, handler, &options).await;
    Drive::new(feed, peer)
}

impl<S: Send + Sync> FromRequestParts<S> for Ws {
    type Rejection = NoUpgrade;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, NoUpgrade> {
        let policy: Result<Extension<OriginPolicy>, _> = Extension::from_request_parts(parts, state).await;
        policy
            .map(|Extension(policy)| policy)
            .unwrap_or_default()
            .check(parts)
            .map_err(dualcast_http::Error::from)?;
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
            cursor: last_event_id(parts),
            on_upgrade,
            server,
            identity: None,
            handler: None,
            options: WsOptions::default(),
        })
    }
}
