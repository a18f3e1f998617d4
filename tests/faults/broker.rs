//! The broker is killed, frozen, cut off.

use std::time::Duration;

use dualcast::NatsOptions;
use dualcast_nats_server::{Link, NatsServer};
use tokio::time;

use crate::nodes::{Addresses, Node, Start};
use crate::traffic::{Size, Summary, Traffic};

/// Two nodes with traffic, whose connections to the broker go by a link.
struct Scene {
    server: NatsServer,
    link: Link,
    nodes: Vec<Node>,
    traffic: Traffic,
}

const PREFIX: &str = "faults";

impl Scene {
    async fn begin() -> Self {
        let server = NatsServer::start().await;
        let link = Link::to(server.address()).await;
        let start = Start::new(link.url(), PREFIX);
        let nodes = vec![start.start(), start.start()];
        for node in &nodes {
            node.is_well().await;
        }
        let addresses = Addresses::default();
        addresses.set(&nodes);
        let traffic = Traffic::begin(options(link.url()), &addresses, Size::default()).await;
        traffic.goes_on(100).await;
        Self {
            server,
            link,
            nodes,
            traffic,
        }
    }

    /// Waits until everything is well again, and goes on for a while.
    async fn end(self) -> Summary {
        for node in &self.nodes {
            node.is_well().await;
        }
        self.traffic.goes_on(100).await;
        let summary = self.traffic.end(&self.server.url(), PREFIX).await;
        println!("{summary}");
        summary
    }
}

fn options(url: String) -> NatsOptions {
    let mut options = NatsOptions::new([url]);
    options.prefix = PREFIX.into();
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_where_nothing_happens() {
    let scene = Scene::begin().await;
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty() && summary.refused == 0 && summary.unconfirmed == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_killed_and_comes_back() {
    let mut scene = Scene::begin().await;
    for _ in 0..2 {
        scene.server.kill();
        time::sleep(Duration::from_secs(2)).await;
        let health = scene.nodes[0].health().await;
        assert_eq!(health["is_ready"], true, "{health}");
        assert!(health["degraded"].is_string(), "{health}");
        scene.server.restart().await;
        scene.traffic.goes_on(100).await;
    }
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_frozen_for_twenty_seconds() {
    let mut scene = Scene::begin().await;
    scene.server.freeze();
    time::sleep(Duration::from_secs(20)).await;
    scene.server.thaw();
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swallows_all_without_a_word() {
    let scene = Scene::begin().await;
    scene.link.swallow();
    time::sleep(Duration::from_secs(6)).await;
    scene.link.pass();
    scene.traffic.goes_on(100).await;
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_holds_all_back_for_a_while() {
    let scene = Scene::begin().await;
    scene.link.hold();
    time::sleep(Duration::from_secs(6)).await;
    scene.link.pass();
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_breaks_in_the_middle_of_messages() {
    let scene = Scene::begin().await;
    for round in 0..20 {
        if round % 2 == 0 {
            scene.link.reset_after(1_000 + 77 * round);
        } else {
            scene.link.reset();
        }
        scene.traffic.goes_on(20).await;
    }
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}
