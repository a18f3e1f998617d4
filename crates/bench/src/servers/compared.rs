//! What the transports are compared over: one channel, both transports, with TLS where its environment names a certificate; `hello`, but for
//! that, and for messages that clients send.

use std::env;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get, post};
use dualcast::rustls::ServerConfig;
use dualcast::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use dualcast::{Channel, Error, Hub, Inbound, InboundHandler, Message, Rate, Reply, Sse, Ws};
use tokio::net::TcpListener;

/// The files with its certificate and the key of that, in DER.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
/// See [`CERTIFICATE`].
pub(crate) const KEY: &str = "KEY";

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let hub = Hub::new();
        let app = routes(&hub)?;
        let listener = TcpListener::bind(super::address()).await?;
        let tls = tls()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        eprintln!("listening on {scheme}://{}", listener.local_addr()?);
        let serve = dualcast::serve(listener, app);
        match tls {
            Some(tls) => serve.tls(Arc::new(tls)).await?,
            None => serve.await?,
        }
        Ok(())
    })
}

fn tls() -> Result<Option<ServerConfig>> {
    let Ok(certificate) = env::var(CERTIFICATE) else {
        return Ok(None);
    };
    let certificate = CertificateDer::from(fs::read(certificate)?);
    let key = fs::read(env::var(KEY).context(KEY)?)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Some(config))
}

#[derive(Clone)]
struct App {
    /// What everybody follows.
    told: Channel,
    /// Where messages from clients go. Nobody follows it, so that what comes back to a client is its reply alone.
    said: Channel,
}

fn routes(hub: &Hub) -> Result<Router> {
    let app = App {
        told: hub.channel("told")?,
        said: hub.channel("said")?,
    };
    let router = Router::new()
        .route("/sse", get(sse))
        .route("/ws", any(ws))
        .route("/publish", post(publish))
        .route("/publish-bytes", post(publish_bytes))
        .route("/say", post(say));
    Ok(router.with_state(app))
}

async fn sse(State(app): State<App>, sse: Sse) -> Response {
    sse.subscribe(app.told)
}

async fn ws(State(app): State<App>, ws: Ws) -> Response {
    // As much as a POST may: what is compared is the way, not a limit.
    let unlimited = Rate::per_second(1_000_000);
    ws.options(|ws| (ws.message_rate, ws.byte_rate) = (unlimited, Rate::per_second(1 << 30)))
        .on_message(app.inbound())
        .subscribe(app.told)
}

async fn publish(State(app): State<App>, text: String) -> Result<String, Error> {
    let position = app.told.publish(Message::text("message", text)).await?;
    Ok(format!("{position}\n"))
}

async fn publish_bytes(State(app): State<App>, bytes: Bytes) -> Result<String, Error> {
    let position = app.told.publish(Message::binary("message", bytes)).await?;
    Ok(format!("{position}\n"))
}

async fn say(State(app): State<App>, message: Inbound) -> Reply {
    app.inbound().handle(message).await
}

impl App {
    fn inbound(&self) -> impl InboundHandler + use<> {
        let said = self.said.clone();
        move |message: Inbound| {
            let said = said.clone();
            async move { Ok::<_, Error>(said.publish(message.into_message()).await?) }
        }
    }
}
