//! cargo run -p prometheus
//!
//! What to watch in production: metrics at `/metrics` in Prometheus' text format, and a span for each connection in the
//! log. What they mean, and when to be alarmed, stands in docs/operating.md.

use std::error::Error as StdError;
use std::time::Duration;

use axum::routing::{any, get, post};
use axum::{Router, extract::State, response::Response};
use dualcast::{Channel, Error, Hub, Inbound, Message, Sse, Ws};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// In seconds: from what loopback takes to what somebody will complain about.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// A connection lasts longer than a delivery takes.
const LASTING: &[f64] = &[1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

const MESSAGES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

async fn sse(State(news): State<Channel>, sse: Sse) -> Response {
    sse.subscribe(news)
}

async fn ws(State(news): State<Channel>, ws: Ws) -> Response {
    let published = news.clone();
    let publish = move |message: Inbound| {
        let news = published.clone();
        async move { news.publish(message.into_message()).await }
    };
    ws.on_message(publish).subscribe(news)
}

async fn publish(State(news): State<Channel>, text: String) -> Result<String, Error> {
    let position = news.publish(Message::text("message", text)).await?;
    Ok(format!("{position}\n"))
}

/// The recorder, before the hub: metrics are looked up when the first of them is used.
fn install_recorder() -> Result<PrometheusHandle, Box<dyn StdError>> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("dualcast_session_seconds".into()), LASTING)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_messages".into()), MESSAGES)?;
    Ok(recorder.install_recorder()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // `DEBUG` also tells when each connection begins and ends.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(std::io::stderr)
        .init();
    let metrics = install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Histograms are added up when somebody scrapes; without that they would grow.
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    let news = Hub::new().channel("news")?;
    let app = Router::new()
        .route("/metrics", get(move || async move { metrics.render() }))
        .route("/sse", get(sse))
        .route("/ws", any(ws))
        .route("/publish", post(publish))
        .with_state(news);

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
