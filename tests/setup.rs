//! What an application under test looks like: routes for both transports, and what a test changes of them.

use std::iter;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use dualcast::{
    Channel, Error, Hub, HubBuilder, Identity, Inbound, Member, Nats, NatsOptions, Reply, ServerOptions,
    SessionOptions, Sse, SseOptions, Subscribe, SubscribeRequest, Ws, WsOptions,
};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use serde::Deserialize;
use serde_json::json;

use crate::broker::nats_options;
use crate::matrix::{FanOut, Under};
use crate::server::{Server, eventually};

/// A server to be started.
///
/// Its application answers `/sse` and `/ws` with the channels that the query names (`?channels=a,b`; on `/ws` none is a choice), and takes inbound
/// messages for the first of them at `POST /say`.
#[must_use]
pub struct Setup {
    pub(crate) under: Under,
    hub: Vec<HubChange>,
    nats: NatsChange,
    routes: Routes,
    app: AppChange,
    pub(crate) options: Box<dyn FnOnce(&mut ServerOptions) + Send>,
    pub(crate) send_buffer_bytes: usize,
}

type HubChange = Box<dyn Fn(HubBuilder) -> HubBuilder + Send + Sync>;
type NatsChange = Box<dyn Fn(&mut NatsOptions) + Send + Sync>;
type AppChange = Box<dyn FnOnce(Router, &Hub) -> Router + Send>;
type Change<T> = Arc<dyn Fn(&mut T) + Send + Sync>;
type SubscribeHandler =
    Arc<dyn Fn(Hub, SubscribeRequest) -> BoxFuture<'static, Result<Subscribe, Error>> + Send + Sync>;
type TokenHandler = Arc<dyn Fn(String) -> Result<SystemTime, Error> + Send + Sync>;
type Handler = Arc<dyn Fn(Channel, Inbound) -> BoxFuture<'static, Reply> + Send + Sync>;

/// What the routes share.
#[derive(Clone)]
struct Routes {
    subscribe: Arc<dyn Fn(Subscribe) -> Subscribe + Send + Sync>,
    session: Change<SessionOptions>,
    sse: Change<SseOptions>,
    ws: Change<WsOptions>,
    handler: Option<Handler>,
    on_subscribe: Option<SubscribeHandler>,
    on_token: Option<TokenHandler>,
    expires: Option<Duration>,
    is_told_of_presence: bool,
}

impl Setup {
    /// With the defaults of everything, but no sign of life unless a test asks for it.
    pub fn new(under: Under) -> Self {
        let routes = Routes {
            subscribe: Arc::new(|subscribe| subscribe),
            session: Arc::new(|_| {}),
            sse: Arc::new(|_| {}),
            ws: Arc::new(|_| {}),
            handler: None,
            on_subscribe: None,
            on_token: None,
            expires: None,
            is_told_of_presence: false,
        };
        Self {
            under,
            hub: Vec::new(),
            nats: Box::new(|_| {}),
            routes,
            app: Box::new(|app, _| app),
            options: Box::new(|_| {}),
            send_buffer_bytes: ServerOptions::default().send_buffer_bytes,
        }
    }

    /// Changes the hub.
    pub fn hub(mut self, change: impl Fn(HubBuilder) -> HubBuilder + Send + Sync + 'static) -> Self {
        self.hub.push(Box::new(change));
        self
    }

    /// Changes how it reaches NATS, where it does.
    pub fn nats(mut self, change: impl Fn(&mut NatsOptions) + Send + Sync + 'static) -> Self {
        self.nats = Box::new(change);
        self
    }

    /// Changes how the routes subscribe.
    pub fn subscribe(mut self, change: impl Fn(Subscribe) -> Subscribe + Send + Sync + 'static) -> Self {
        self.routes.subscribe = Arc::new(change);
        self
    }

    /// Changes the bounds of every session.
    pub fn session(mut self, change: impl Fn(&mut SessionOptions) + Send + Sync + 'static) -> Self {
        self.routes.session = Arc::new(change);
        self
    }

    /// Changes the options of every event stream.
    pub fn sse(mut self, change: impl Fn(&mut SseOptions) + Send + Sync + 'static) -> Self {
        self.routes.sse = Arc::new(change);
        self
    }

    /// Changes the bounds of every WebSocket.
    pub fn ws(mut self, change: impl Fn(&mut WsOptions) + Send + Sync + 'static) -> Self {
        self.routes.ws = Arc::new(change);
        self
    }

    /// Handles inbound messages, with the first channel that the client asked for.
    pub fn on_message<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Channel, Inbound) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Reply>,
    {
        self.routes.handler = Some(Arc::new(move |channel, message| {
            handler(channel, message).map(Into::into).boxed()
        }));
        self
    }

    /// Lets WebSocket clients join channels, as the closure says.
    pub fn on_subscribe<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Hub, SubscribeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Subscribe, Error>> + Send + 'static,
    {
        self.routes.on_subscribe = Some(Arc::new(move |hub, request| handler(hub, request).boxed()));
        self
    }

    /// Lets WebSocket clients join every channel.
    pub fn joinable(self) -> Self {
        self.on_subscribe(|hub, request| async move { Ok(hub.channel(&request.channel)?.subscribe()) })
    }

    /// Lets every session expire after so long, but for WebSocket clients whose token the closure takes.
    pub fn expiring(
        mut self,
        after: Duration,
        on_token: impl Fn(String) -> Result<SystemTime, Error> + Send + Sync + 'static,
    ) -> Self {
        self.routes.expires = Some(after);
        self.routes.on_token = Some(Arc::new(on_token));
        self
    }

    /// Tells every session who is present. Those that say by `who=` in the query who they are, are, under that name.
    pub fn present(mut self) -> Self {
        self.routes.is_told_of_presence = true;
        self
    }

    /// Adds routes or layers.
    pub fn app(mut self, change: impl FnOnce(Router, &Hub) -> Router + Send + 'static) -> Self {
        self.app = Box::new(change);
        self
    }

    /// Changes the bounds of `dualcast::serve`.
    pub fn options(mut self, change: impl FnOnce(&mut ServerOptions) + Send + 'static) -> Self {
        self.options = Box::new(change);
        self
    }

    /// Makes the server feel at once when a client stops reading, together with [`Dial::slow`](crate::Dial::slow): a small send
    /// buffer and small batches.
    pub fn small_buffers(mut self) -> Self {
        self.send_buffer_bytes = 4_096;
        let before = self.routes.session;
        self.routes.session = Arc::new(move |options| {
            before(options);
            options.max_batch_bytes = 16 << 10;
        });
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it can't listen.
    pub async fn start(self) -> Server {
        let Self {
            under,
            hub,
            nats,
            routes,
            app,
            options,
            send_buffer_bytes,
        } = self;
        let mut builders = fan_outs(under.fan_out, nats).await.into_iter().map(|builder| {
            let builder = hub.iter().fold(builder, |builder, change| change(builder));
            builder.build().expect("the limits hold together")
        });
        let hub = builders.next().expect("there is a node");
        let others: Vec<_> = builders.collect();
        are_ready(iter::once(&hub).chain(&others)).await;
        let app = app(router(&hub, &routes), &hub);
        let mut server = Server::start(under, hub, app, options, send_buffer_bytes).await;
        for hub in others {
            let app = router(&hub, &routes);
            let other = Server::start(under, hub, app, Box::new(|_| {}), send_buffer_bytes);
            server.others.push(other.await);
        }
        server
    }
}

/// Until a node is ready something may come that it publishes itself, and takes a place in the order.
async fn are_ready(hubs: impl Iterator<Item = &Hub> + Clone) {
    let is_ready = || hubs.clone().all(|hub| hub.health().is_ready);
    eventually("every node is ready", is_ready).await;
    let positions = || hubs.clone().map(Hub::position);
    eventually("every node has what the others published", || {
        positions().all(|position| Some(position) == positions().next())
    })
    .await;
}

/// A hub to be for each node. Boxed, or the compiler loses sight of what is `Send` in it.
fn fan_outs(fan_out: FanOut, change: NatsChange) -> BoxFuture<'static, Vec<HubBuilder>> {
    let connect = |options| async move {
        let nats = Nats::connect(options).await.expect("NATS is there");
        Hub::builder().fan_out(nats)
    };
    match fan_out {
        FanOut::Local => future::ready(vec![Hub::builder()]).boxed(),
        FanOut::Nats { nodes } => async move {
            let mut options = nats_options().await;
            change(&mut options);
            future::join_all((0..nodes).map(|_| connect(options.clone()))).await
        }
        .boxed(),
    }
}

fn router(hub: &Hub, routes: &Routes) -> Router {
    Router::new()
        .route("/sse", any(sse))
        .route("/ws", any(ws))
        .route("/say", post(say))
        .with_state((hub.clone(), routes.clone()))
}

#[derive(Deserialize)]
struct Asked {
    channels: String,
    /// Whose session it is.
    who: Option<String>,
}

type Shared = State<(Hub, Routes)>;

async fn sse(
    State((hub, routes)): Shared,
    Query(asked): Query<Asked>,
    mut sse: Sse,
) -> Result<Response, Error> {
    if let Some(who) = &asked.who {
        sse = sse.identity(Identity::new(who.as_str()));
    }
    if let Some(after) = routes.expires {
        sse = sse.expires_at(SystemTime::now() + after);
    }
    let subscribe = asked.subscribe(&hub, &routes)?;
    let sse = sse.options(|options| {
        routes.tell(&mut options.session);
        (routes.sse)(options);
    });
    Ok(sse.subscribe(subscribe))
}

async fn ws(State((hub, routes)): Shared, Query(asked): Query<Asked>, mut ws: Ws) -> Result<Response, Error> {
    if let Some(who) = &asked.who {
        ws = ws.identity(Identity::new(who.as_str()));
    }
    if let Some(handler) = routes.on_subscribe.clone() {
        let hub = hub.clone();
        ws = ws.on_subscribe(move |request| handler(hub.clone(), request));
    }
    if let Some(handler) = routes.on_token.clone() {
        ws = ws.on_token(move |token| future::ready(handler(token)));
    }
    if let Some(after) = routes.expires {
        ws = ws.expires_at(SystemTime::now() + after);
    }
    if asked.channels.is_empty() {
        return Ok(ws.listen(&hub));
    }
    let subscribe = asked.subscribe(&hub, &routes)?;
    if let Some(handler) = &routes.handler {
        let (handler, channel) = (Arc::clone(handler), asked.first(&hub)?);
        ws = ws.on_message(move |message| handler(channel.clone(), message));
    }
    let ws = ws.options(|options| {
        routes.tell(&mut options.session);
        (routes.ws)(options);
    });
    Ok(ws.subscribe(subscribe))
}

async fn say(
    State((hub, routes)): Shared,
    Query(asked): Query<Asked>,
    message: Inbound,
) -> Result<Response, Error> {
    let handler = routes.handler.expect("the test handles messages");
    Ok(handler(asked.first(&hub)?, message).await.into_response())
}

impl Asked {
    fn subscribe(&self, hub: &Hub, routes: &Routes) -> Result<Subscribe, Error> {
        let names = self
            .channels
            .split(',')
            .map(|name| Ok(hub.channel(name)?.name().clone()));
        let names: Vec<_> = names.collect::<Result<_, Error>>()?;
        let subscribe = (routes.subscribe)(hub.subscribe(names));
        Ok(match &self.who {
            _ if !routes.is_told_of_presence => subscribe,
            Some(who) => {
                let member = Member::new(who.as_str()).data(&json!({ "name": who }))?;
                subscribe.present(member)
            }
            None => subscribe.watch_presence(),
        })
    }

    fn first(&self, hub: &Hub) -> Result<Channel, Error> {
        Ok(hub.channel(self.channels.split(',').next().unwrap_or(""))?)
    }
}

impl Routes {
    fn tell(&self, options: &mut SessionOptions) {
        options.heartbeat = NEVER;
        (self.session)(options);
    }
}

/// A sign of life that comes when nobody expects it would be in the way of most tests.
const NEVER: Duration = Duration::from_secs(3_600);
