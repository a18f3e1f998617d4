//! The server that the browsers and `curl` are pointed at: one hub, both transports, and a few routes by which a test
//! publishes and looks behind the scenes.
//!
//! cargo run -p dualcast-tests --bin fixture
//!
//! It listens on `ADDR`, else on 127.0.0.1:3000, and ends on SIGTERM and Ctrl-C. Pages of the origins in `ORIGINS` (with commas
//! between them) may connect, and those in `CORS` may read what they are answered, too. A channel whose name begins with
//! `short.` keeps three records, for tests of what was trimmed, and one with `long.` 20,000 or 32 MiB, for bursts. `LIMITS`, such as
//! `max_sessions=1`, changes limits of the hub, and `MAX_CONNECTIONS` is how many connections the server lets in. With `SHARE_PORT`
//! another process may listen on the port, too. With `ONLY` pages of those origins alone may connect.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{Html, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use dualcast::{
    Channel, ChannelName, Cors, Error, HeartbeatAs, Hub, Identity, Inbound, InboundHandler, LagRule, Limits,
    MaxLag, Message, NameError, OriginError, OriginPolicy, Payload, Reply, SessionOptions, Sse, Subscribe,
    SubscribeRequest, Ws,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

mod guard;

/// A client that was cut off comes back soon: a test waits for it.
const RETRY: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let hub = Hub::builder()
        .log_for(|channel, log| match channel.as_str().split('.').next() {
            Some("short") => log.max_records = 3,
            Some("long") => (log.max_records, log.max_bytes) = (20_000, 32 << 20),
            _ => {}
        })
        .limits(|limits| set_limits(limits, &std::env::var("LIMITS").unwrap_or_default()))
        .build()?;
    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = if std::env::var_os("SHARE_PORT").is_some() {
        share(address.parse()?)?
    } else {
        TcpListener::bind(address).await?
    };
    let mut terminated = signal(SignalKind::terminate())?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let app = Fixture::new(hub).router()?;
    let max_connections = std::env::var("MAX_CONNECTIONS")
        .ok()
        .map(|max| max.parse())
        .transpose()?;
    dualcast::serve(listener, app)
        .options(|options| options.max_connections = max_connections.unwrap_or(options.max_connections))
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        })
        .await?;
    Ok(())
}

/// Listens where another process may listen, too: the system spreads what comes over both.
fn share(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(4_096)
}

fn set_limits(limits: &mut Limits, changes: &str) {
    for (name, value) in changes.split(',').filter_map(|change| change.split_once('=')) {
        let limit = match name {
            "max_sessions" => &mut limits.max_sessions,
            "max_subscriptions" => &mut limits.max_subscriptions,
            "max_channels" => &mut limits.max_channels,
            "max_channels_per_subscription" => &mut limits.max_channels_per_subscription,
            _ => panic!("no limit that a test changes: {name}"),
        };
        *limit = value.parse().expect("a limit is a number");
    }
}

#[derive(Clone)]
struct Fixture {
    hub: Hub,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// The channels that nobody may follow any more beside others.
    revoked: Arc<Mutex<BTreeSet<ChannelName>>>,
}

/// A request for a stream, or a message, as it came in and as it was answered.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Heard {
    method: String,
    path: String,
    query: String,
    last_event_id: Option<String>,
    origin: Option<String>,
    authorization: Option<String>,
    cookie: Option<String>,
    /// In a header, or among the subprotocols.
    token: Option<String>,
    status: u16,
}

impl Fixture {
    fn new(hub: Hub) -> Self {
        Self {
            hub,
            heard: Arc::default(),
            revoked: Arc::default(),
        }
    }

    fn router(self) -> Result<Router, OriginError> {
        let guarded = Router::new()
            .route("/guarded", any(live).post(say_live))
            .route_layer(middleware::from_fn(guard::check));
        let streams = Router::new()
            .merge(guarded)
            .route("/sse", get(sse))
            .route("/ws", any(ws))
            .route("/live", any(live).post(say_live))
            .route("/panics", get(panics))
            .route("/say", post(say));
        let router = listing(streams)?
            .layer(middleware::from_fn_with_state(self.clone(), hear))
            .route("/publish", post(publish))
            .route("/publish-burst", post(publish_burst))
            .route("/publish-json", post(publish_json))
            .route("/publish-binary", post(publish_binary))
            .route("/publish-volatile", post(publish_volatile))
            .route("/finish", post(finish))
            .route("/revoke", post(revoke))
            .route("/state", get(state))
            .route("/requests", get(requests))
            .route("/page", get(page))
            .merge(dualcast::client_js())
            .with_state(self);
        Ok(router)
    }

    fn channel(&self, to: &To) -> Result<Channel, NameError> {
        self.hub.channel(to.channel.as_str())
    }

    /// Whether a client may join this channel.
    fn is_open(&self, channel: &ChannelName) -> bool {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        !channel.as_str().starts_with("private.") && !revoked.contains(channel)
    }
}

/// Lets in the pages that the environment lists.
fn listing(streams: Router<Fixture>) -> Result<Router<Fixture>, OriginError> {
    let policy = |origins: String| OriginPolicy::allow(origins.split(','));
    if let Ok(origins) = std::env::var("CORS") {
        return Ok(streams.layer(Cors::new(policy(origins)?).credentials()));
    }
    if let Ok(origins) = std::env::var("ONLY") {
        return Ok(streams.layer(Extension(OriginPolicy::only(origins.split(','))?)));
    }
    if let Ok(origins) = std::env::var("ORIGINS") {
        return Ok(streams.layer(Extension(policy(origins)?)));
    }
    Ok(streams)
}

/// What a client wants to hear, and how.
#[derive(Deserialize)]
struct Wish {
    /// Names with commas between them.
    channels: String,
    /// In milliseconds.
    heartbeat: Option<u64>,
    /// Whether heartbeats are comments.
    #[serde(default)]
    comments: bool,
    /// After how long a silence a WebSocket is pinged, in milliseconds.
    ping: Option<u64>,
    /// In milliseconds.
    write_timeout: Option<u64>,
    /// Beyond how many records behind it is disconnected.
    max_lag: Option<u64>,
    /// Whether the first of the channels is the route's own, and the client joins others, as far as they are
    /// [open](Fixture::is_open): on `/live`.
    #[serde(default)]
    joins: bool,
    /// How long a session lasts, from the opening and from each new token on, in milliseconds.
    lifetime: Option<u64>,
}

impl Wish {
    /// At least one: there is always something between commas.
    fn channels(&self, hub: &Hub) -> Result<Vec<Channel>, NameError> {
        self.channels.split(',').map(|name| hub.channel(name)).collect()
    }

    fn subscribe(&self, hub: &Hub, channels: &[Channel]) -> Subscribe {
        let subscribe = hub.subscribe(channels.iter().map(|channel| channel.name().clone()));
        match self.max_lag {
            Some(records) => subscribe.lag(LagRule::Disconnect(MaxLag::records(records))),
            None => subscribe,
        }
    }

    /// When a session ends that begins now.
    fn end(&self) -> Option<SystemTime> {
        Some(SystemTime::now() + Duration::from_millis(self.lifetime?))
    }

    fn change(&self, options: &mut SessionOptions) {
        options.retry = RETRY;
        options.restart_window = RETRY;
        if let Some(heartbeat) = self.heartbeat {
            options.heartbeat = Duration::from_millis(heartbeat);
        }
        if let Some(write_timeout) = self.write_timeout {
            options.write_timeout = Duration::from_millis(write_timeout);
        }
    }
}

async fn sse(State(fixture): State<Fixture>, Query(wish): Query<Wish>, sse: Sse) -> Result<Response, Error> {
    let channels = wish.channels(&fixture.hub)?;
    Ok(stream(&fixture, &wish, &channels, sse))
}

fn stream(fixture: &Fixture, wish: &Wish, channels: &[Channel], sse: Sse) -> Response {
    let sse = sse.options(|options| {
        wish.change(&mut options.session);
        if wish.comments {
            options.heartbeat_as = HeartbeatAs::Comment;
        }
    });
    let sse = match wish.end() {
        Some(end) => sse.expires_at(end),
        None => sse,
    };
    sse.subscribe(wish.subscribe(&fixture.hub, channels))
}

/// A message, and then a panic that says nothing.
async fn panics(State(fixture): State<Fixture>, sse: Sse) -> Response {
    let first = futures::stream::iter([Message::text("message", "first")]);
    let messages = first.chain(futures::stream::once(async {
        resume_unwind(Box::new("on purpose"))
    }));
    sse.options(|options| {
        options.session.retry = RETRY;
        options.session.restart_window = RETRY;
    })
    .stream(&fixture.hub, messages)
}

/// What the client sends is published to the first of its channels.
async fn ws(State(fixture): State<Fixture>, Query(wish): Query<Wish>, ws: Ws) -> Result<Response, Error> {
    let channels = wish.channels(&fixture.hub)?;
    Ok(socket(&fixture, &wish, &channels, ws))
}

fn socket(fixture: &Fixture, wish: &Wish, channels: &[Channel], ws: Ws) -> Response {
    let ws = ws.options(|options| {
        wish.change(&mut options.session);
        if let Some(ping) = wish.ping {
            options.ping_interval = Duration::from_millis(ping);
        }
    });
    let ws = match (wish.end(), wish.lifetime) {
        (Some(end), Some(lifetime)) => ws
            .expires_at(end)
            .on_token(move |token| guard::renew(token, Duration::from_millis(lifetime))),
        _ => ws,
    };
    ws.on_message(republish(channels[0].clone()))
        .subscribe(wish.subscribe(&fixture.hub, channels))
}

/// Both transports on one address.
async fn live(
    State(fixture): State<Fixture>,
    Query(wish): Query<Wish>,
    ws: Option<Ws>,
    sse: Sse,
) -> Result<Response, Error> {
    let mut channels = wish.channels(&fixture.hub)?;
    if !wish.joins {
        return Ok(match ws {
            Some(ws) => socket(&fixture, &wish, &channels, ws),
            None => stream(&fixture, &wish, &channels, sse),
        });
    }
    let own = channels[0].name().clone();
    channels.retain(|channel| *channel.name() == own || fixture.is_open(channel.name()));
    Ok(match ws {
        Some(ws) => socket(&fixture, &wish, &channels, joinable(&fixture, ws)),
        None => stream(&fixture, &wish, &channels, sse.identity(member())),
    })
}

fn joinable(fixture: &Fixture, ws: Ws) -> Ws {
    let fixture = fixture.clone();
    ws.identity(member())
        .on_subscribe(move |request: SubscribeRequest| {
            let fixture = fixture.clone();
            async move {
                if !fixture.is_open(&request.channel) {
                    return Err(Error::new(StatusCode::FORBIDDEN, "forbidden", "not for you"));
                }
                Ok(fixture.hub.channel(&request.channel)?)
            }
        })
}

/// Everybody who joins channels.
fn member() -> Identity {
    Identity::new("member")
}

/// Takes back the right to a channel.
async fn revoke(State(fixture): State<Fixture>, Query(to): Query<To>) -> Result<String, Error> {
    let channel = fixture.channel(&to)?;
    let revoked = &fixture.revoked;
    revoked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(channel.name().clone());
    Ok(fixture.hub.unsubscribe(&member(), channel.name()).to_string())
}

/// The companion of `/live`: its message is published to the first of the channels, as on the WebSocket.
async fn say_live(
    State(fixture): State<Fixture>,
    Query(wish): Query<Wish>,
    message: Inbound,
) -> Result<Reply, Error> {
    let channels = wish.channels(&fixture.hub)?;
    let handler = republish(channels[0].clone());
    Ok(handler.handle(message).await)
}

#[derive(Deserialize)]
struct To {
    channel: String,
    #[serde(default = "default_event")]
    event: String,
}

fn default_event() -> String {
    "message".into()
}

/// The companion of `/ws`, for those who listen on `/sse`.
async fn say(State(fixture): State<Fixture>, Query(to): Query<To>, message: Inbound) -> Result<Reply, Error> {
    let handler = republish(fixture.channel(&to)?);
    Ok(handler.handle(message).await)
}

fn republish(channel: Channel) -> impl InboundHandler {
    move |message: Inbound| {
        let channel = channel.clone();
        async move { channel.publish(message.into_message()).await }
    }
}

async fn publish(
    State(fixture): State<Fixture>,
    Query(to): Query<To>,
    text: String,
) -> Result<String, Error> {
    let message = Message::text(to.event.clone(), text);
    Ok(fixture.channel(&to)?.publish(message).await?.to_string())
}

/// So many messages, `1`, `2` and on, with nothing between them.
async fn publish_burst(
    State(fixture): State<Fixture>,
    Query(to): Query<To>,
    count: String,
) -> Result<String, Error> {
    let channel = fixture.channel(&to)?;
    for number in 1..=count.parse().unwrap_or(0) {
        let message = Message::text(to.event.clone(), number.to_string());
        channel.publish(message).await?;
    }
    Ok(fixture.hub.position().to_string())
}

/// The body goes out as it is, white space and all.
async fn publish_json(
    State(fixture): State<Fixture>,
    Query(to): Query<To>,
    json: String,
) -> Result<String, Error> {
    let message = Message::new(to.event.clone(), Payload::Json(json.into()));
    Ok(fixture.channel(&to)?.publish(message).await?.to_string())
}

async fn publish_binary(
    State(fixture): State<Fixture>,
    Query(to): Query<To>,
    bytes: Bytes,
) -> Result<String, Error> {
    let message = Message::new(to.event.clone(), Payload::Binary(bytes));
    Ok(fixture.channel(&to)?.publish(message).await?.to_string())
}

async fn publish_volatile(
    State(fixture): State<Fixture>,
    Query(to): Query<To>,
    text: String,
) -> Result<String, Error> {
    let message = Message::text(to.event.clone(), text).volatile();
    Ok(fixture.channel(&to)?.publish(message).await?.to_string())
}

async fn finish(State(fixture): State<Fixture>, Query(to): Query<To>) -> Result<String, Error> {
    Ok(fixture.channel(&to)?.finish().await?.to_string())
}

/// How things stand.
#[derive(Serialize)]
struct Counts {
    sessions: usize,
    channels: usize,
    head: String,
    /// Of the channels that were asked about.
    followers: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    channels: String,
}

async fn state(State(fixture): State<Fixture>, Query(about): Query<About>) -> Result<Json<Counts>, Error> {
    let names = about.channels.split(',').filter(|name| !name.is_empty());
    let followers = names
        .map(|name| Ok((name.into(), fixture.hub.channel(name)?.followers())))
        .collect::<Result<_, NameError>>()?;
    Ok(Json(Counts {
        sessions: fixture.hub.session_count(),
        channels: fixture.hub.channel_count(),
        head: fixture.hub.position().to_string(),
        followers,
    }))
}

/// Takes down what was asked and how it was answered.
async fn hear(State(fixture): State<Fixture>, request: Request, next: Next) -> Response {
    let mut heard = Heard {
        method: request.method().to_string(),
        path: request.uri().path().into(),
        query: request.uri().query().unwrap_or_default().into(),
        last_event_id: header(&request, "last-event-id"),
        origin: header(&request, "origin"),
        authorization: header(&request, "authorization"),
        cookie: header(&request, "cookie"),
        token: guard::shown(request.headers()),
        status: StatusCode::OK.as_u16(),
    };
    let response = next.run(request).await;
    heard.status = response.status().as_u16();
    let all = &fixture.heard;
    all.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    response
}

fn header(request: &Request, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The requests for `/sse`, `/ws`, `/live` and `/say` so far.
async fn requests(State(fixture): State<Fixture>) -> Json<Vec<Heard>> {
    let all = &fixture.heard;
    Json(all.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Bare, and of the same origin as the streams.
async fn page() -> Html<&'static str> {
    Html("<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>Dualcast</title>")
}
