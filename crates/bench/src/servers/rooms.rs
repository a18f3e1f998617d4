//! Dualcast with many channels: `hello`, but for the channel in the path.

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use dualcast::{Error, Hub, Message, Sse, Ws};

pub(crate) fn run() -> Result<()> {
    let app = Router::new()
        .route("/{room}/sse", get(sse))
        .route("/{room}/ws", get(ws))
        .route("/{room}/publish", post(publish))
        .with_state(Hub::new());
    super::run(app, async |listener, app| dualcast::serve(listener, app).await)
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
