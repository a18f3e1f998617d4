//! The broker is killed, frozen, cut off.

use std::time::Duration;

use dualcast::{Hub, Message, Nats, NatsOptions, Position, PublishError};
use dualcast_nats_server::{Direction, Link, NatsServer};
use tokio::time;

use crate::nodes::{Addresses, Node, Start, eventually};
use crate::traffic::{Size, Traffic};
use crate::truth::Summary;

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
        Self::publishing_by(|_, link| link.url()).await
    }

    /// With publishers that come to the broker this way.
    async fn publishing_by(way: impl FnOnce(&NatsServer, &Link) -> String) -> Self {
        let server = NatsServer::start().await;
        let link = Link::to(server.address()).await;
        let start = Start::new(link.url(), PREFIX);
        let nodes = vec![start.start(), start.start()];
        for node in &nodes {
            node.is_well().await;
        }
        let addresses = Addresses::default();
        addresses.set(&nodes);
        let options = options(way(&server, &link));
        let traffic = Traffic::begin(options, &addresses, Size::default()).await;
        traffic.goes_on(100).await;
        Self {
            server,
            link,
            nodes,
            traffic,
        }
    }

    /// Waits until every node says that it is degraded, in words that contain these.
    async fn is_degraded(&self, why: &str) {
        for node in &self.nodes {
            eventually(why, async || {
                let health = node.health().await;
                assert_eq!(health["is_ready"], true, "{health}");
                health["degraded"].as_str().is_some_and(|said| said.contains(why))
            })
            .await;
        }
    }

    /// Waits until so many messages without a key have become unconfirmed.
    async fn is_unconfirmed(&self, messages: u64) {
        eventually("messages are unconfirmed", async || {
            self.traffic.unconfirmed() >= messages
        })
        .await;
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
    let (_, ()) = tokio::join!(time::sleep(Duration::from_secs(20)), async {
        scene.is_degraded("how the stream stands can't be had").await;
        scene.is_unconfirmed(1).await;
    });
    scene.server.thaw();
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

/// The connections on which it did are dead from then on, and nobody says so: their pings have to. With the pings that NATS' client has by itself
/// that would take longer than our patience.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swallows_all_without_a_word() {
    let scene = Scene::begin().await;
    let patient = patient_worker(scene.link.url()).await;
    scene.link.swallow();
    let publishing = [true, false].map(|has_key| tokio::spawn(publish(patient.clone(), has_key)));
    scene.is_degraded("how the stream stands can't be had").await;
    scene.is_unconfirmed(1).await;
    // New ones are not to be had yet, so that it can be seen that these are given up.
    scene.link.refuse();
    scene.is_degraded("no connection to NATS").await;
    scene.link.pass();
    let [with_key, without] = publishing;
    let with_key = with_key.await.unwrap();
    assert!(
        with_key.is_ok(),
        "it goes on by the next connection: {with_key:?}"
    );
    let without = without.await.unwrap();
    assert!(
        without.as_ref().is_err_and(PublishError::is_unconfirmed),
        "{without:?}"
    );
    scene.traffic.goes_on(100).await;
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

/// One whose messages have longer than it takes to give a connection up.
async fn patient_worker(url: String) -> Hub {
    let mut options = options(url);
    options.stream.max_bytes = 64 << 20;
    options.publish_deadline = Duration::from_secs(60);
    let nats = Nats::connect(options).await.expect("NATS is there");
    Hub::builder().fan_out(nats).build().unwrap()
}

async fn publish(hub: Hub, has_key: bool) -> Result<Position, PublishError> {
    let mut message = Message::text("message", "patience");
    if has_key {
        message = message.idempotency_key("patience");
    }
    hub.channel("patience").unwrap().publish(message).await
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

/// As long as messages come, NATS' client asks for no sign of life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swallows_what_goes_one_way_while_messages_come_the_other() {
    let scene = Scene::publishing_by(|server, _| server.url()).await;
    scene.link.swallow_one_way(Direction::ToServer);
    scene.is_degraded("how the stream stands can't be had").await;
    // The connections that have lost something stay as they are, and new ones are whole.
    scene.link.pass();
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_breaks_in_the_middle_of_messages() {
    let scene = Scene::begin().await;
    let mut round = 0;
    while round < 20 || scene.traffic.unconfirmed() == 0 {
        if round % 2 == 0 {
            scene.link.reset_after(1_000 + 77 * round);
        } else {
            scene.link.reset();
        }
        scene.traffic.goes_on(20).await;
        round += 1;
    }
    // Nodes are back too soon for anybody to see that they were away, unless nobody lets them in.
    scene.link.refuse();
    scene.link.reset();
    scene.is_degraded("no connection to NATS").await;
    scene.link.pass();
    let summary = scene.end().await;
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
    let with_key = summary.unconfirmed_with_key;
    assert_eq!(with_key, 0, "what has a key is sent again: {summary:?}");
}
