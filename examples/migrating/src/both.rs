//! Both transports, and the POST beside the event stream, on one address.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use dualcast::{Inbound, InboundHandler, Reply, Sse, Ws};

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/both", any(room).post(say))
}

async fn room(State(app): State<App>, ws: Option<Ws>, sse: Sse) -> Response {
    match ws {
        Some(ws) => ws.on_message(app.inbound()).subscribe(&app.room),
        None => sse.subscribe(&app.room),
    }
}

async fn say(State(app): State<App>, message: Inbound) -> Reply {
    app.inbound().handle(message).await
}
