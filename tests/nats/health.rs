//! What an orchestrator is told of a node: before it is ready, while its broker is away, and when that is back.

use std::time::Duration;

use axum::Router;
use dualcast::{Access, Hub, Nats, NatsOptions, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Http, HttpServer, HttpVersion, Outsider, Server, Setup, Told, Under, run};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time;

use crate::works::delete;

fn under() -> Under {
    Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1).over_nats(1)
}

fn probed(app: Router, hub: &Hub) -> Router {
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

#[test]
fn a_node_whose_messages_do_not_come_back_is_not_ready() {
    run(not_ready, under());
}

async fn not_ready(_: Under) {
    let broker = NatsServer::builder()
        .config("authorization { users: [ { user: a, password: b, permissions: { publish: { deny: \"dualcast.log.$control\" } } } ] }")
        .start()
        .await;
    let mut options = NatsOptions::new([broker.url()]);
    options.access = Access::UserPassword {
        user: "a".into(),
        password: "b".into(),
    };
    let nats = Nats::connect(options).await.unwrap();
    let hub = Hub::builder().fan_out(nats).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(dualcast::serve(listener, probed(Router::new(), &hub)).into_future());
    for (path, expected) in [("live", 200), ("ready", 503)] {
        let mut http = Http::connect(address).await.unwrap();
        let request = format!("GET /health/{path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        http.send(request).await.unwrap();
        let answer = http.answer().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.json()["ready"]),
            (expected, &json!(false))
        );
        assert!(answer.json()["degraded"].is_string(), "it says why");
    }
    serving.abort();
}

#[test]
fn a_node_whose_stream_is_gone_says_so_and_makes_it_anew() {
    run(without_its_stream, under());
}

async fn without_its_stream(under: Under) {
    let broker = NatsServer::start().await;
    let url = broker.url();
    let setup = Setup::new(under).app(probed);
    let server = setup
        .nats(move |options| options.servers = vec![url.clone()])
        .start()
        .await;
    let mut client = server.dial("room").open().await;
    server.publish("room", "1").await;
    assert_eq!(client.next().await.text(), "1");
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    let names = outsider.ask("$JS.API.STREAM.NAMES", b"", b"").await;
    let (_, name) = names.split_once("\"test-").unwrap();
    let name = format!("test-{}", name.split('"').next().unwrap());
    delete(&broker, &name).await;
    let why = until_degraded(&server, true).await;
    assert!(why.contains("stream not found"), "{why}");
    until_degraded(&server, false).await;
    server.publish("room", "2").await;
    assert!(matches!(client.next().await, Told::Gap { reason, .. } if reason == "epoch"));
    assert_eq!(client.next().await.text(), "2");
}
