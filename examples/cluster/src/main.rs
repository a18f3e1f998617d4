//! NATS_URL=nats://127.0.0.1:4222 cargo run -p cluster
//!
//! One node of several: `hello`, with a log that all of them share. `just cluster` starts two of them behind a balancer, with a server of NATS,
//! and `examples/cluster/moved.py` is a client that is moved from one to the other.

use std::error::Error as StdError;

use axum::http::HeaderValue;
use axum::middleware::map_response;
use axum::routing::{any, get, post};
use axum::{Router, extract::State, response::Response};
use dualcast::{Channel, Error, Hub, Message, Nats, NatsOptions, Sse, Ws};

async fn sse(State(hello): State<Channel>, sse: Sse) -> Response {
    sse.subscribe(hello)
}

async fn ws(State(hello): State<Channel>, ws: Ws) -> Response {
    ws.subscribe(hello)
}

async fn publish(State(hello): State<Channel>, text: String) -> Result<String, Error> {
    let position = hello.publish(Message::text("message", text)).await?;
    Ok(format!("{position}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let servers = std::env::var("NATS_URL").unwrap_or("nats://127.0.0.1:4222".into());
    let nats = Nats::connect(NatsOptions::new(servers.split(','))).await?;
    let hub = Hub::builder().fan_out(nats).build()?;

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    // So that one sees who answered.
    let node = std::env::var("NODE").unwrap_or(address.to_string());
    let node = HeaderValue::try_from(node)?;
    let app = Router::new()
        .route("/", get("Open this page's console."))
        .route("/sse", get(sse))
        .route("/ws", any(ws))
        .route("/publish", post(publish))
        .with_state(hub.channel("hello")?)
        .nest("/health", dualcast::health(&hub))
        .layer(map_response(move |mut response: Response| {
            response.headers_mut().insert("node", node.clone());
            async { response }
        }));

    eprintln!("listening on http://{address}");
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
