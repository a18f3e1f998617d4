//! Dualcast with many channels: `hello`, but for the channel in the path. By itself, or a node over the NATS that its environment
//! names.

use std::env;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use dualcast::{Error, Hub, Message, Nats, Sse, Ws};

use crate::broker;

/// The server that nodes of it share.
pub(crate) const NATS_URL: &str = "NATS_URL";
/// What their subjects begin with.
pub(crate) const NATS_PREFIX: &str = "NATS_PREFIX";
/// How many records of a channel its memory keeps.
pub(crate) const MAX_RECORDS: &str = "MAX_RECORDS";

pub(crate) fn run() -> Result<()> {
    let app = async || Ok(routes(hub().await?));
    super::run(app, async |listener, app| dualcast::serve(listener, app).await)
}

/// The same routes over any hub.
pub(crate) fn routes(hub: Hub) -> Router {
    Router::new()
        .route("/{room}/sse", get(sse))
        .route("/{room}/ws", get(ws))
        .route("/{room}/publish", post(publish))
        .with_state(hub)
}

async fn hub() -> Result<Hub> {
    let mut hub = Hub::builder();
    if let Ok(max_records) = env::var(MAX_RECORDS) {
        let max_records = max_records.parse().context(MAX_RECORDS)?;
        hub = hub.log(|log| log.max_records = max_records);
    }
    if let Ok(url) = env::var(NATS_URL) {
        let prefix = env::var(NATS_PREFIX).context(NATS_PREFIX)?;
        hub = hub.fan_out(Nats::connect(broker::options(&url, &prefix)).await?);
    }
    Ok(hub.build()?)
}

async fn sse(State(hub): State<Hub>, Path(room): Path<String>, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(hub.channel(("room", &room))?))
}

async fn ws(State(hub): State<Hub>, Path(room): Path<String>, ws: Ws) -> Result<Response, Error> {
    Ok(ws.subscribe(hub.channel(("room", &room))?))
}

async fn publish(State(hub): State<Hub>, Path(room): Path<String>, text: String) -> Result<String, Error> {
    let position = hub
        .channel(("room", &room))?
        .publish(Message::text("message", text))
        .await?;
    Ok(format!("{position}\n"))
}
