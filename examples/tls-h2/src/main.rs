//! cargo run -p tls-h2
//!
//! TLS and HTTP/2: one page opens twelve event streams and a WebSocket, all over one connection. Over HTTP/1.1 a browser opens
//! six connections to a site, and the seventh stream hangs. The certificate is made at the start, and the browser will say that
//! it knows nobody who vouches for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::Version;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use dualcast::rustls::ServerConfig;
use dualcast::rustls::pki_types::PrivateKeyDer;
use dualcast::{Error, Hub, Message, Sse, Ws};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio::time;

/// How many clocks there are, each with a channel and a stream of its own.
const CLOCKS: usize = 12;

async fn clock(State(hub): State<Hub>, Path(number): Path<String>, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(hub.channel(("clock", &number))?))
}

/// Over HTTP/2 a WebSocket is a CONNECT (RFC 8441): hence `any`, and not `get`.
async fn versions(State(hub): State<Hub>, version: Version, ws: Ws) -> Result<Response, Error> {
    let channel = hub.channel("versions")?;
    let position = hub.position();
    channel
        .publish(Message::text("version", format!("{version:?}")))
        .await?;
    Ok(ws.subscribe(hub.subscribe([channel.name().clone()]).after(position)))
}

async fn tick(hub: Hub) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut ticks = time::interval(Duration::from_secs(1));
    for tick in 0_u64.. {
        ticks.tick().await;
        for number in 0..CLOCKS {
            let clock = hub.channel(("clock", &number.to_string()))?;
            clock.publish(Message::text("tick", tick.to_string())).await?;
        }
    }
    Ok(())
}

fn self_signed() -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok(config)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new();
    let app = Router::new()
        .route("/", get(Html(include_str!("../page/index.html"))))
        .route("/clocks/{number}", get(clock))
        .route("/versions", any(versions))
        .with_state(hub.clone());
    let ticking = tokio::spawn(tick(hub));

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3443".into());
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening on https://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .tls(Arc::new(self_signed()?))
        .with_graceful_shutdown(ctrl_c)
        .await?;
    ticking.abort();
    Ok(())
}
