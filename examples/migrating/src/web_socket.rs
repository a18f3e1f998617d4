//! WebSocket alone.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use dualcast::Ws;

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/web-socket", any(room))
}

async fn room(State(app): State<App>, ws: Ws) -> Response {
    ws.on_message(app.inbound()).subscribe(&app.room)
}
