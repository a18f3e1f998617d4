//! A node of an application, as a process of its own: `node NATS_URL PREFIX`. It says its address on its first line, and ends when its
//! input does.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Json, Router};
use dualcast::{Error, Existing, Hub, Nats, NatsOptions, Sse, Subscribe, Ws};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Deserialize)]
struct Asked {
    channels: String,
}

impl Asked {
    fn subscribe(&self, hub: &Hub) -> Result<Subscribe, Error> {
        let names = self.channels.split(',');
        let names = names.map(|name| Ok(hub.channel(name)?.name().clone()));
        Ok(hub.subscribe(names.collect::<Result<Vec<_>, Error>>()?))
    }
}

/// Often enough that a client that waits hears that it is not forgotten.
const HEARTBEAT: Duration = Duration::from_millis(500);

async fn sse(State(hub): State<Hub>, Query(asked): Query<Asked>, sse: Sse) -> Result<Response, Error> {
    let sse = sse.options(|options| options.session.heartbeat = HEARTBEAT);
    Ok(sse.subscribe(asked.subscribe(&hub)?))
}

async fn ws(State(hub): State<Hub>, Query(asked): Query<Asked>, ws: Ws) -> Result<Response, Error> {
    let ws = ws.options(|options| options.session.heartbeat = HEARTBEAT);
    Ok(ws.subscribe(asked.subscribe(&hub)?))
}

async fn health(State(hub): State<Hub>) -> Json<Value> {
    let health = hub.health();
    Json(json!({
        "is_ready": health.is_ready,
        "degraded": health.degraded,
        "position": hub.position(),
        "sessions": hub.session_count(),
    }))
}

/// What the fan-out does goes into a file for each node in `NODE_LOGS`, a directory, where that is set.
fn keep_a_log() {
    let Ok(directory) = std::env::var("NODE_LOGS") else {
        return;
    };
    let path = format!("{directory}/node-{}.log", std::process::id());
    let file = File::create(path).expect("a file can be made there");
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Arc::new(file));
    let of_the_fan_out = Targets::new().with_target("dualcast_nats", LevelFilter::DEBUG);
    tracing_subscriber::registry()
        .with(layer)
        .with(of_the_fan_out)
        .init();
}

#[tokio::main]
async fn main() {
    keep_a_log();
    let recorder = PrometheusBuilder::new()
        .install_recorder()
        .expect("no other recorder");
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("NATS_URL PREFIX");
    let mut options = NatsOptions::new(next().split(','));
    options.prefix = next();
    // Small enough for the bounds to be met.
    options.max_live_messages = from_env("MAX_LIVE_MESSAGES", options.max_live_messages);
    options.stream.max_bytes = from_env("MAX_BYTES", 64 << 20);
    options.stream.replicas = from_env("REPLICAS", 1);
    if from_env("ADOPT", false) {
        options.stream.existing = Existing::Adopt;
    }
    options.request_deadline = Duration::from_secs(2);
    // More than a client falls behind that gets no time on a busy machine: it is not overtaken by the trim.
    let max_records = from_env("MAX_RECORDS", 1_000_000);
    options.tail.max_records = from_env("TAIL_RECORDS", options.tail.max_records);
    let nats = Nats::connect(options).await.expect("NATS is there");
    let hub = Hub::builder()
        .fan_out(nats)
        .log(|log| log.max_records = max_records)
        .build()
        .expect("the limits hold together");
    let app = Router::new()
        .route("/sse", any(sse))
        .route("/ws", any(ws))
        .route("/health", get(health))
        .with_state(hub)
        .route(
            "/metrics",
            get(|State(recorder): State<PrometheusHandle>| async move { recorder.render() }),
        )
        .with_state(recorder);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address: SocketAddr = listener.local_addr().expect("it is bound");
    std::thread::spawn(|| {
        // Whoever started it is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    say(address);
    dualcast::serve(listener, app).await.expect("it serves");
}

#[allow(clippy::print_stdout, reason = "whoever started it reads this")]
fn say(address: SocketAddr) {
    println!("{address}");
}

fn from_env<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().ok().expect("a number"))
}
