//! cargo run -p stomp
//!
//! [STOMP](https://stomp.github.io/stomp-specification-1.2.html) over the raw socket: clients that know nothing of Dualcast follow its
//! channels and publish to them. Destination `/topic/NAME` is the channel that `curl -N http://127.0.0.1:3000/topic/NAME` hears.

mod followed;
mod frame;
mod heart;
mod session;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use dualcast::{Channel, Error, Hub, NameError, RawSocket, Sse, Ws};

/// Its subprotocols, the best first. Which version is spoken is settled by the frames CONNECT and CONNECTED.
const SUBPROTOCOLS: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];

/// The channel of a topic. Whatever a client calls it stays one segment: no topic reaches another channel of the application.
fn channel(hub: &Hub, topic: &str) -> Result<Channel, NameError> {
    hub.channel(("topic", topic))
}

async fn stomp(State(hub): State<Hub>, headers: HeaderMap, ws: Ws) -> Result<Response, Error> {
    let ws = ws.protocols(SUBPROTOCOLS);
    if ws.protocol().is_none() && headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        let message = "this is STOMP: offer v12.stomp";
        return Err(Error::new(StatusCode::BAD_REQUEST, "bad-protocol", message));
    }
    let topics = hub.clone();
    Ok(ws.raw(&hub, |socket: RawSocket| session::run(topics, socket)))
}

async fn sse(State(hub): State<Hub>, Path(topic): Path<String>, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(channel(&hub, &topic)?))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(Html("<title>STOMP</title>Open this page’s console.")))
        .route("/stomp", any(stomp))
        .route("/topic/{topic}", get(sse))
        .with_state(Hub::new());
    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .with_graceful_shutdown(ctrl_c)
        .await
}
