//! Server-Sent Events, and POSTs for what clients say.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use dualcast::{Inbound, InboundHandler, Reply, Sse};

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/event-stream", get(room).post(say))
}

async fn room(State(app): State<App>, sse: Sse) -> Response {
    sse.subscribe(&app.room)
}

async fn say(State(app): State<App>, message: Inbound) -> Reply {
    app.inbound().handle(message).await
}
