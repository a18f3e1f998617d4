//! The server's side: a hub with a few channels, and an application behind hyper, on a connection in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::any;
use dualcast::{
    Channel, Error, Hub, Identity, Inbound, LagRule, MaxLag, Message, Payload, Position, Reply, Ws,
};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::time;
use tower::ServiceExt;

/// What was logged, by its sequence.
pub(super) type Published = BTreeMap<u64, Logged>;

/// A record: a message, or the end of a channel.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) id: String,
    pub(super) channel: String,
    /// Where it has one.
    pub(super) text: Option<String>,
}

#[derive(Clone)]
pub(super) struct Server {
    hub: Hub,
    /// The first is the route's; the others a client may join.
    channels: [Channel; CHANNELS.len()],
    lag: LagRule,
    max_batch_bytes: usize,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    published: Published,
    is_handling: bool,
    /// What the handler saw that must not be. A panic in a task of its own would be lost.
    faults: Vec<String>,
}

impl Server {
    /// Channels that keep few records, so that there are gaps to tell; the byte chooses the bounds of the session.
    pub(super) fn new(bounds: u8) -> Self {
        let hub = Hub::builder().log(|log| log.max_records = MAX_RECORDS).build();
        let hub = hub.expect("the limits hold together");
        let channels = CHANNELS.map(|name| hub.channel(name).expect("a name"));
        let lag = match bounds % 3 {
            0 => LagRule::CatchUp,
            1 => LagRule::Skip(MaxLag::records(5)),
            _ => LagRule::Disconnect(MaxLag::records(5)),
        };
        Self {
            hub,
            channels,
            lag,
            max_batch_bytes: if bounds & 0x40 == 0 { 200 } else { 64 << 10 },
            shared: Arc::default(),
        }
    }

    /// Serves the connection, in a task of its own.
    pub(super) fn serve(&self, socket: DuplexStream) {
        let app = Router::new().route("/ws", any(ws)).with_state(self.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.oneshot(request.map(Body::new)).await.expect("it answers")) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection.with_upgrades());
    }

    /// Publishes something; what breaks a rule is refused.
    pub(super) async fn publish(&self, kind: u8, data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        let message = match kind % 5 {
            0 | 1 => Message::text("said", &*text),
            2 => Message::new("json", Payload::Json(text.into())),
            3 => Message::binary("bytes", data.to_vec()),
            _ => Message::text("volatile", &*text).volatile(),
        };
        let _ = self.log(usize::from(kind >> 5), message).await;
    }

    async fn log(&self, channel: usize, message: Message) -> Result<Reply, Error> {
        let channel = &self.channels[channel % CHANNELS.len()];
        let is_volatile = message.is_volatile();
        let text = match message.payload() {
            Payload::Text(text) => Some(text.to_string()),
            _ => None,
        };
        let position = channel.publish(message).await?;
        // A volatile message has no place of its own.
        if !is_volatile {
            self.note(channel, position, text);
        }
        Ok(Reply::from(position))
    }

    fn note(&self, channel: &Channel, position: Position, text: Option<String>) {
        let (id, channel) = (position.to_string(), channel.name().to_string());
        let logged = Logged { id, channel, text };
        self.shared().published.insert(sequence(&logged.id), logged);
    }

    /// Ends a channel, the right to one, or the server; or lets the hub look after itself.
    pub(super) async fn end(&self, what: u8) {
        let channel = &self.channels[usize::from(what >> 4) % CHANNELS.len()];
        match what % 8 {
            0 => {
                if let Ok(position) = channel.finish().await {
                    self.note(channel, position, None);
                }
            }
            1 => self.hub.shutdown(),
            2 => drop(self.hub.unsubscribe(&Identity::new(USER), channel.name())),
            _ => self.hub.maintain(),
        }
    }

    /// An id from the beginning: to resume where the log may reach no longer.
    pub(super) fn old_id(&self) -> Option<String> {
        let shared = self.shared();
        shared.published.values().next().map(|logged| logged.id.clone())
    }

    /// Waits until nothing is left of the session.
    pub(super) async fn is_free(&self) {
        let is_over = async {
            let is_followed = || self.channels.iter().any(|channel| channel.followers() > 0);
            while self.hub.session_count() > 0 || is_followed() || self.shared().is_handling {
                time::sleep(Duration::from_millis(100)).await;
            }
        };
        time::timeout(LONG, is_over)
            .await
            .expect("the session ends, and is freed");
    }

    pub(super) fn published(&self) -> Published {
        self.shared().published.clone()
    }

    pub(super) fn faults(&self) -> Vec<String> {
        self.shared().faults.clone()
    }

    async fn handle(self, message: Inbound) -> Result<Reply, Error> {
        if std::mem::replace(&mut self.shared().is_handling, true) {
            self.shared()
                .faults
                .push("two messages are handled at once".into());
        }
        let reply = match &*message.event {
            "say" => self.log(0, message.into_message()).await,
            "slow" => {
                time::sleep(Duration::from_millis(300)).await;
                Ok(Reply::empty())
            }
            "no" => Err(Error::new(
                StatusCode::FORBIDDEN,
                "no",
                message.text().unwrap_or("no").to_owned(),
            )),
            _ => Ok(Reply::json(&message.text().ok())),
        };
        self.shared().is_handling = false;
        reply
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ws(State(server): State<Server>, ws: Ws) -> Response {
    let subscribe = server.channels[0].subscribe().lag(server.lag);
    let max_batch_bytes = server.max_batch_bytes;
    let ws = ws.options(|options| {
        options.max_inbound_bytes = MAX_INBOUND_BYTES;
        options.ping_interval = Duration::from_secs(4);
        options.pong_timeout = Duration::from_secs(3);
        options.session.heartbeat = Duration::from_secs(2);
        options.session.write_timeout = Duration::from_secs(5);
        options.session.max_batch_bytes = max_batch_bytes;
    });
    let joining = server.clone();
    let ws = ws.identity(Identity::new(USER)).on_subscribe(move |request| {
        let joined = joining.channels[1..]
            .iter()
            .find(|channel| *channel.name() == request.channel);
        let joined = joined.map(|channel| channel.subscribe().lag(joining.lag));
        async move { joined.ok_or_else(|| Error::new(StatusCode::FORBIDDEN, "no", "not this one")) }
    });
    ws.on_message(move |message| server.clone().handle(message))
        .subscribe(subscribe)
}

/// The number in an id. Clients read nothing from it; this one knows more.
pub(super) fn sequence(id: &str) -> u64 {
    let (_, sequence) = id.split_once('-').expect("an id");
    sequence.parse().expect("an id ends in a number")
}

/// The first is the route's.
pub(super) const CHANNELS: [&str; 3] = ["room", "side", "other"];

/// Whose session it is.
const USER: &str = "ann";

/// Few, so that the log is trimmed under whoever doesn't read.
const MAX_RECORDS: usize = 20;

/// Less than a client here can send.
const MAX_INBOUND_BYTES: usize = 200;

/// Longer than all deadlines of a session together. The clock moves when nothing else can.
pub(super) const LONG: Duration = Duration::from_secs(600);
