//! Real-time for axum: publish once, and let each route choose Server-Sent Events or WebSocket.
//!
//! An application has one [`Hub`]. It publishes a [`Message`] to a [`Channel`]; a route answers with [`Sse`] or [`Ws`]; and a
//! client that was cut off comes back with the last id it saw, on either transport, and misses nothing, or is told by a
//! [`Gap`] what it missed.
//!
//! ```no_run
//! use axum::{Router, extract::State, response::Response, routing::get};
//! use dualcast::{Error, Hub, Sse, Ws};
//!
//! async fn events(State(hub): State<Hub>, sse: Sse) -> Result<Response, Error> {
//!     Ok(sse.subscribe(hub.channel("news")?))
//! }
//!
//! async fn socket(State(hub): State<Hub>, ws: Ws) -> Result<Response, Error> {
//!     Ok(ws.subscribe(hub.channel("news")?))
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let app = Router::new().route("/sse", get(events)).route("/ws", get(socket)).with_state(Hub::new());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! dualcast::serve(listener, app).await
//! # }
//! ```

#[cfg(feature = "client-js")]
pub use dualcast_client_js::client_js;
pub use dualcast_core::{
    Arrival, Channel, ChannelName, Check, Clock, CloseReason, ConfigError, Elsewhere, Epoch, FanOut, Gap,
    GapReason, Health, Held, History, Hooks, Hub, HubBuilder, Identity, Ingest, IntoChannelName, Item,
    LagRule, LimitReached, Limits, Local, LogLimits, Lost, METRICS, MaxLag, Member, MemberError, Merged,
    Message, MessageError, Metric, MetricKind, NameError, Order, Page, Payload, Position, PositionError,
    Presence, PresenceUpdate, Present, PublishError, Publishing, Reconnect, Record, SessionId, SessionInfo,
    Step, Subscribe, SubscribeError, Subscription, SystemClock, Transport, Volatile, Wanted, WeakHub,
};
#[cfg(feature = "tls")]
pub use dualcast_http::rustls;
pub use dualcast_http::{
    ClientAddress, Cors, CorsService, Error, Http2Options, Inbound, InboundHandler, NetworkError,
    OriginError, OriginPolicy, OriginRefused, Rate, RateLimit, Reply, Serve, ServerOptions, SessionOptions,
    TrustedProxies, client_address, health, maintain, serve, shutdown,
};
#[cfg(feature = "nats")]
pub use dualcast_nats::{
    Access, Existing, Nats, NatsError, NatsOptions, StreamOptions, TailLimits, TlsOptions,
};
#[cfg(feature = "sse")]
pub use dualcast_sse::{CHANNEL_HEADER, HeartbeatAs, Sse, SseOptions};
#[cfg(feature = "ws")]
pub use dualcast_ws::{
    Disconnected, MAX_FINISHING_HANDLERS, RawMessage, RawSender, RawSocket, SUBPROTOCOL, SubscribeRequest,
    Ws, WsOptions, subprotocol_token,
};
