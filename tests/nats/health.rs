//! What an orchestrator is told of a node: before it is ready, while its broker is away, and when that is back.

use axum::Router;
use dualcast::Transport;
use dualcast_nats_server::NatsServer;
use dualcast_tests::{HttpServer, HttpVersion, Server, Setup, Under, run};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time;

fn under() -> Under {
    Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1).over_nats(1)
}

fn probed(app: Router, hub: &dualcast::Hub) -> Router {
    app.nest("/health", dualcast::health(hub))
}

async fn probe(server: &Server, path: &str) -> (u16, Value) {
    let request = format!("GET /health/{path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    let answer = server.request(request).await;
    (answer.status(), answer.json())
}

/// Waits until the node says so of itself. What its liveness and its readiness say meanwhile is what they always say.
async fn until_degraded(server: &Server, is_degraded: bool) -> String {
    loop {
        let (status, said) = probe(server, "live").await;
        assert_eq!(status, 200);
        let (status, also_said) = probe(server, "ready").await;
        assert_eq!(status, 200, "its clients stay: {also_said}");
        if said["degraded"].is_string() == is_degraded {
            return said["degraded"].as_str().unwrap_or_default().to_owned();
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_node_without_its_broker_is_degraded_and_stays_ready() {
    run(without_its_broker, under());
}

async fn without_its_broker(under: Under) {
    let mut broker = NatsServer::start().await;
    let url = broker.url();
    let setup = Setup::new(under).app(probed);
    let server = setup
        .nats(move |options| options.servers = vec![url.clone()])
        .start()
        .await;
    let fine = json!({ "ready": true, "degraded": null });
    assert_eq!(probe(&server, "live").await, (200, fine.clone()));
    assert_eq!(probe(&server, "ready").await, (200, fine));
    broker.kill();
    let why = until_degraded(&server, true).await;
    assert!(why.contains("no connection to NATS"), "{why}");
    broker.restart().await;
    until_degraded(&server, false).await;
}
