//! The routes: the channel by both transports, what people say, and what the page's buttons do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use dualcast::{Error, Inbound, InboundHandler, OriginPolicy, Reply, SessionOptions, Sse, Ws};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time;

use crate::clock::HurriedClock;
use crate::journal::{self, Journal};
use crate::machine::Machine;
use crate::notes::{self, Way};
use crate::page;
use crate::pane::PaneName;
use crate::wire::Wire;
use crate::wires::Wires;

/// The largest burst, in messages.
const MAX_BURST: u64 = 1_000;

/// The longest that a wire is held, in seconds: well before the server would give a client up that takes nothing, or answers no ping.
const MAX_HOLD_SECONDS: u64 = 15;

/// For how long nothing is published before the log is trimmed: whoever keeps up has read all by then.
const GRACE: Duration = Duration::from_millis(200);

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) journal: Arc<Journal>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) wires: Wires,
    pub(crate) clock: HurriedClock,
}

pub(crate) fn router(app: App) -> Router {
    let buttons = Router::new()
        .route("/clock", get(clock))
        .route("/burst", post(burst))
        .route("/trim", post(trim))
        .route("/statistics", get(statistics).post(switch_statistics))
        .route("/wires/{pane}", get(weigh))
        .route("/wires/{pane}/cut", post(cut))
        .route("/wires/{pane}/hold", post(hold))
        .route_layer(middleware::from_fn(same_origin));
    Router::new()
        .route("/live", any(live).post(say))
        .merge(buttons)
        .merge(page::router())
        .merge(dualcast::client_js())
        .with_state(app)
}

/// How a pane opens its connection.
#[derive(Deserialize)]
struct Opening {
    pane: PaneName,
    #[serde(default)]
    heartbeats: Wish,
    /// Whether it may have a WebSocket.
    #[serde(default)]
    upgrades: Wish,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Wish {
    #[default]
    On,
    Off,
}

impl Opening {
    /// Everything sooner than by default, since somebody is watching.
    fn set(&self, session: &mut SessionOptions) {
        session.retry = Duration::from_secs(1);
        session.heartbeat = match self.heartbeats {
            Wish::On => Duration::from_secs(2),
            Wish::Off => Duration::MAX,
        };
    }
}

/// The channel, by whichever transport is asked for.
async fn live(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(opening): Query<Opening>,
    ws: Option<Ws>,
    sse: Sse,
) -> Result<Response, Error> {
    if ws.is_some() && opening.upgrades == Wish::Off {
        let message = "from this pane the WebSocket was taken away";
        return Err(Error::new(StatusCode::NOT_IMPLEMENTED, "no-upgrade", message));
    }
    app.wires.name(address, opening.pane.clone());
    let channel = app.journal.channel();
    Ok(match ws {
        Some(ws) => ws
            .options(|ws| opening.set(&mut ws.session))
            .on_message(notes::handler(Arc::clone(&app.journal), Way::WebSocket))
            .subscribe(channel),
        None => sse
            .options(|sse| opening.set(&mut sse.session))
            .subscribe(channel),
    })
}

async fn say(State(app): State<App>, message: Inbound) -> Reply {
    notes::handler(app.journal, Way::Post).handle(message).await
}

/// The server's time, by which a page sets its clock.
async fn clock() -> Json<Value> {
    Json(json!({ "now": journal::now() }))
}

#[derive(Deserialize)]
struct Length {
    count: u64,
}

async fn burst(State(app): State<App>, Query(Length { count }): Query<Length>) -> Result<Json<Value>, Error> {
    if !(1..=MAX_BURST).contains(&count) {
        return Err(out_of_range("count", count, MAX_BURST));
    }
    Ok(Json(json!(app.journal.publish_burst(count).await?)))
}

/// Lets all that is in the log be too old, and clears it away.
async fn trim(State(app): State<App>) -> StatusCode {
    let _still = app.journal.hold().await;
    time::sleep(GRACE).await;
    app.clock.age_everything();
    app.journal.channel().hub().maintain();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

async fn statistics(State(app): State<App>) -> Json<Value> {
    Json(json!({ "on": !app.machine.is_silent() }))
}

async fn switch_statistics(State(app): State<App>, Query(Switch { on }): Query<Switch>) -> StatusCode {
    app.machine.set_silent(!on);
    StatusCode::NO_CONTENT
}

/// How many bytes came down to a pane over the connection that it has; `null` where it has none just now, which is no error.
async fn weigh(State(app): State<App>, Path(pane): Path<PaneName>) -> Json<Value> {
    let bytes = app.wires.of(&pane).map(|wire| wire.bytes());
    Json(json!({ "bytes": bytes }))
}

async fn cut(State(app): State<App>, Path(pane): Path<PaneName>) -> Result<StatusCode, Error> {
    wire(&app, &pane)?.cut();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Time {
    seconds: u64,
}

async fn hold(
    State(app): State<App>,
    Path(pane): Path<PaneName>,
    Query(Time { seconds }): Query<Time>,
) -> Result<StatusCode, Error> {
    if !(1..=MAX_HOLD_SECONDS).contains(&seconds) {
        return Err(out_of_range("seconds", seconds, MAX_HOLD_SECONDS));
    }
    wire(&app, &pane)?.hold(Duration::from_secs(seconds));
    Ok(StatusCode::NO_CONTENT)
}

fn wire(app: &App, pane: &PaneName) -> Result<Arc<Wire>, Error> {
    let message = "this pane has no open connection";
    app.wires
        .of(pane)
        .ok_or_else(|| Error::new(StatusCode::NOT_FOUND, "no-wire", message))
}

fn out_of_range(what: &str, is: u64, max: u64) -> Error {
    let message = format!("{what} must be between 1 and {max}, not {is}");
    Error::new(StatusCode::BAD_REQUEST, "out-of-range", message)
}

/// `Sse`, `Ws` and `Inbound` see to it themselves; the buttons must not be pressed by foreign pages either.
async fn same_origin(request: Request, next: Next) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    OriginPolicy::same_origin().check(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}
