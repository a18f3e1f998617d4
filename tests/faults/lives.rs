//! The stream turns out to be another one: made anew, or put back to what it was before.
//!
//! Whoever followed is told a gap, `epoch`, on whichever node and however it comes back, and goes on in the new life; and nothing that is there
//! under a number that was used before is taken for what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use dualcast::{Hub, Message, Nats, NatsOptions, Position, Transport};
use dualcast_nats_server::{Link, NatsServer};
use dualcast_tests::{Client, Dial, Told};
use serde_json::Value;
use tokio::time;

use crate::nodes::{Addresses, Node, PATIENCE, Start, eventually};
use crate::traffic::{Size, Traffic};
use crate::truth::Witness;

pub(crate) const PREFIX: &str = "lives";

/// Two nodes, whose connections to the broker go by a link.
pub(crate) struct Scene {
    pub(crate) server: NatsServer,
    link: Link,
    pub(crate) start: Start,
    pub(crate) nodes: Vec<Node>,
}

/// A copy of a broker's disk.
struct Snapshot {
    directory: PathBuf,
    taken_at: Instant,
}

impl Scene {
    async fn begin() -> Self {
        Self::on(NatsServer::start().await).await
    }

    pub(crate) async fn on(server: NatsServer) -> Self {
        let link = Link::to(server.address()).await;
        let mut scene = Self {
            start: Start::new(link.url(), PREFIX),
            server,
            link,
            nodes: Vec::new(),
        };
        scene.start_nodes().await;
        scene
    }

    /// Publishers and clients that go on whatever happens, well under way.
    pub(crate) async fn traffic(&self) -> Traffic {
        let addresses = Addresses::default();
        addresses.set(&self.nodes);
        let mut options = NatsOptions::new([self.server.url()]);
        options.prefix = PREFIX.into();
        let traffic = Traffic::begin(options, &addresses, Size::default()).await;
        traffic.goes_on(200).await;
        traffic
    }

    async fn start_nodes(&mut self) {
        self.nodes = vec![self.start.start(), self.start.start()];
        for node in &self.nodes {
            node.is_well().await;
        }
        self.agree().await;
    }

    /// Waits until both nodes say that they are at the same place.
    pub(crate) async fn agree(&self) {
        eventually("the nodes agree", async || {
            let (first, second) = (self.nodes[0].health().await, self.nodes[1].health().await);
            let is_well = first["degraded"].is_null() && second["degraded"].is_null();
            is_well && first["position"] == second["position"]
        })
        .await;
    }

    /// A client of each node, by each transport.
    async fn clients(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for node in &self.nodes {
            for transport in [Transport::Sse, Transport::WebSocket] {
                clients.push(Dial::to(node.address, transport).channels("room").open().await);
            }
        }
        clients
    }

    /// A hub of an application that publishes, by another connection than the nodes'.
    pub(crate) async fn worker(&self) -> Hub {
        let mut options = NatsOptions::new([self.server.url()]);
        options.prefix = PREFIX.into();
        options.stream.max_bytes = 64 << 20;
        let nats = Nats::connect(options).await.expect("NATS is there");
        Hub::builder().fan_out(nats).build().unwrap()
    }

    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.server.url()).await.unwrap())
    }

    /// Publishes as a client of NATS does that knows nothing of us.
    async fn publish_from_outside(&self, texts: impl IntoIterator<Item = String>) {
        let jetstream = self.jetstream().await;
        for text in texts {
            let sent = jetstream
                .publish(format!("{PREFIX}.log.room"), text.into())
                .await
                .unwrap();
            sent.await.unwrap();
        }
    }

    /// Deletes the stream. Where the broker's clock can be set, the next one is made a day before.
    async fn delete_stream(&self) {
        if self.server.has_clock() {
            self.server.set_clock_ahead(-DAY);
        }
        self.jetstream().await.delete_stream(PREFIX).await.unwrap();
    }

    async fn take_snapshot(&mut self) -> Snapshot {
        let snapshot = Snapshot {
            directory: self.server.directory().join("snapshot"),
            taken_at: Instant::now(),
        };
        self.server.stop().await;
        copy(&self.store(), &snapshot.directory);
        self.server.restart().await;
        snapshot
    }

    /// Puts the disk back. Where the broker's clock can be set, it is put back with it.
    async fn put_back(&mut self, snapshot: &Snapshot) {
        self.server.stop().await;
        fs::remove_dir_all(self.store()).unwrap();
        copy(&snapshot.directory, &self.store());
        if self.server.has_clock() {
            let since = snapshot.taken_at.elapsed().as_secs();
            self.server.set_clock_ahead(-since.cast_signed());
        }
        self.server.restart().await;
    }

    fn store(&self) -> PathBuf {
        self.server.directory().join("store")
    }
}

/// Publishes, however often that has to be tried: a repeat that was not needed is none.
pub(crate) async fn publish(hub: &Hub, text: &str) -> Position {
    let (begun, channel) = (Instant::now(), hub.channel("room").unwrap());
    loop {
        let message = Message::text("message", text).idempotency_key(text);
        match channel.publish(message).await {
            Ok(position) => return position,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads a message, with nothing before it but signs of life.
pub(crate) async fn expect_text(client: &mut Client, text: &str) {
    assert_eq!(client.next_but_heartbeats().await.text(), text);
}

/// Reads the gap that says that this is another life.
async fn expect_other_life(client: &mut Client) {
    let told = client.next_but_heartbeats().await;
    assert!(
        matches!(&told, Told::Gap { reason, .. } if reason == "epoch"),
        "{told:?}"
    );
}

/// Comes back to each node with a cursor, by each transport.
pub(crate) async fn come_back(scene: &Scene, cursor: Position) -> Vec<Client> {
    let mut clients = Vec::new();
    for node in &scene.nodes {
        for transport in [Transport::Sse, Transport::WebSocket] {
            let dial = Dial::to(node.address, transport).channels("room");
            clients.push(dial.cursor(&cursor.to_string()).open().await);
        }
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_deleted_under_running_nodes() {
    delete_under_running_nodes(Scene::begin().await).await;
}

/// Deletes the stream, and waits until a node has made it anew.
pub(crate) async fn delete_under_running_nodes(scene: Scene) {
    let worker = scene.worker().await;
    let mut clients = scene.clients().await;
    let before = publish(&worker, "before").await;
    for client in &mut clients {
        expect_text(client, "before").await;
    }
    scene.delete_stream().await;
    // A node makes it anew.
    let after = publish(&worker, "after").await;
    assert_ne!(after.epoch(), before.epoch());
    scene.agree().await;
    let last = publish(&worker, "last").await;
    assert_eq!(last.epoch(), after.epoch(), "one epoch for all");
    for client in &mut clients {
        expect_other_life(client).await;
        // What was published before its node was there may be in the gap.
        let next = client.next_but_heartbeats().await;
        if next.text() == "after" {
            expect_text(client, "last").await;
        } else {
            assert_eq!(next.text(), "last");
        }
    }
    for client in &mut come_back(&scene, before).await {
        expect_other_life(client).await;
    }
    let mut back = come_back(&scene, last).await;
    publish(&worker, "live").await;
    for client in &mut back {
        expect_text(client, "live").await;
    }
}

/// By an operator, at once and with the same settings, in the middle of everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_deleted_and_made_anew_under_running_nodes() {
    let scene = Scene::begin().await;
    let witness = Witness::begin(&scene.server.url(), PREFIX).await;
    let traffic = scene.traffic().await;
    // Else nobody sees how short a time they are degraded for.
    scene.link.only("(reads)").hold();
    let client = async_nats::connect(scene.server.url()).await.unwrap();
    let ask = async |what: &str, body: String| {
        let asking = client.request(format!("$JS.API.STREAM.{what}.{PREFIX}"), body.into());
        let answer: Value = serde_json::from_slice(&asking.await.unwrap().payload).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer
    };
    let config = ask("INFO", String::new()).await["config"].to_string();
    ask("DELETE", String::new()).await;
    ask("CREATE", config).await;
    for node in &scene.nodes {
        eventually("the node says that it is another stream", async || {
            let health = node.health().await;
            assert_eq!(health["is_ready"], true, "{health}");
            let said = health["degraded"].as_str();
            said.is_some_and(|said| said.contains("the stream is another one"))
        })
        .await;
    }
    scene.link.pass();
    for node in &scene.nodes {
        node.is_well().await;
    }
    traffic.goes_on(100).await;
    let summary = traffic
        .end_in_another_life(&scene.server.url(), PREFIX, &witness)
        .await;
    println!("{summary}");
    let gaps: Vec<_> = summary.gaps.keys().collect();
    assert_eq!(gaps, ["epoch"], "{summary:?}");
    // What the new stream took first has numbers that the publishers' node knows for others.
    assert!(summary.unconfirmed > 0, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_deleted_while_no_node_runs() {
    delete_while_no_node_runs(Scene::begin().await).await;
}

/// Deletes the stream, and starts the nodes anew.
pub(crate) async fn delete_while_no_node_runs(mut scene: Scene) {
    let before = {
        let worker = scene.worker().await;
        publish(&worker, "before").await
    };
    scene.nodes.clear();
    scene.delete_stream().await;
    scene.start_nodes().await;
    let worker = scene.worker().await;
    let first = publish(&worker, "first").await;
    assert_ne!(first.epoch(), before.epoch());
    scene.agree().await;
    for client in &mut come_back(&scene, before).await {
        expect_other_life(client).await;
        expect_text(client, "first").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_put_back_under_running_nodes() {
    put_back_under_running_nodes(Scene::begin().await).await;
}

/// Lets a stream grow, puts the disk back to before that, and has others use the numbers again before the nodes are there.
pub(crate) async fn put_back_under_running_nodes(mut scene: Scene) {
    scene.publish_from_outside(["kept".to_owned()]).await;
    let snapshot = scene.take_snapshot().await;
    for node in &scene.nodes {
        node.is_well().await;
    }
    let mut clients = scene.clients().await;
    scene
        .publish_from_outside((0..20).map(|number| format!("lost {number}")))
        .await;
    for number in 0..20 {
        for client in &mut clients {
            expect_text(client, &format!("lost {number}")).await;
        }
    }
    let lost: Position = clients[0].last_id().parse().unwrap();
    for other in [1, 19, 40] {
        scene.link.refuse();
        scene.put_back(&snapshot).await;
        scene
            .publish_from_outside((0..other).map(|number| format!("other {number}")))
            .await;
        scene.link.pass();
        scene.agree().await;
        let live = format!("live after {other}");
        scene.publish_from_outside([live.clone()]).await;
        for client in &mut clients {
            expect_other_life(client).await;
            expect_text(client, &live).await;
        }
        for client in &mut come_back(&scene, lost).await {
            expect_other_life(client).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_put_back_while_no_node_runs() {
    put_back_while_no_node_runs(Scene::begin().await).await;
}

/// The same, while nobody is there who could see it.
pub(crate) async fn put_back_while_no_node_runs(mut scene: Scene) {
    let worker = scene.worker().await;
    let kept = publish(&worker, "kept").await;
    drop(worker);
    scene.nodes.clear();
    let snapshot = scene.take_snapshot().await;
    let worker = scene.worker().await;
    let lost = [publish(&worker, "lost 0").await, publish(&worker, "lost 1").await];
    drop(worker);
    scene.put_back(&snapshot).await;
    // The first two numbers stand for other messages now, and a third is beyond them.
    scene.publish_from_outside(["other 0".to_owned()]).await;
    scene.start_nodes().await;
    for (lost, is_used_again) in [(lost[0], true), (lost[1], false)] {
        for client in &mut come_back(&scene, lost).await {
            let told = client.next_but_heartbeats().await;
            let is_gap = matches!(&told, Told::Gap { reason, .. } if reason == "epoch");
            assert!(is_gap, "used again: {is_used_again}; {told:?}");
        }
    }
    // What was not lost goes on.
    for client in &mut come_back(&scene, kept).await {
        expect_text(client, "other 0").await;
    }
}

/// In seconds.
pub(crate) const DAY: i64 = 24 * 60 * 60;

/// A copy of a directory, as a snapshot of a disk would be.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
