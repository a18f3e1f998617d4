//! cargo run -p raw-echo
//!
//! A protocol of its own over the raw socket: every text and binary message is sent back. It is what RFC 6455's test suite,
//! Autobahn, is run against, so it takes messages as large and as many as that sends; keep the defaults where strangers connect.

use axum::routing::any;
use axum::{Router, extract::State, response::Response};
use dualcast::{Hub, Rate, RawSocket, Ws};

const MAX_MESSAGE_BYTES: usize = 64 << 20;

async fn echo(State(hub): State<Hub>, ws: Ws) -> Response {
    let ws = ws.options(|options| {
        options.max_inbound_bytes = MAX_MESSAGE_BYTES;
        options.message_rate = Rate::per_second(u32::MAX);
        options.byte_rate = Rate::per_second(u32::MAX);
    });
    ws.raw(&hub, |mut socket: RawSocket| async move {
        while let Some(message) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/", any(echo)).with_state(Hub::new());
    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on ws://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .with_graceful_shutdown(ctrl_c)
        .await
}
