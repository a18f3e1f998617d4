//! What is too much for somebody: a node that hears too slowly, a memory that is too small, a disk that is full, a stream that is purged.

use std::process::Command;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Republish, StorageType};
use dualcast::{Existing, Hub, Message, Nats, NatsOptions, Position, PublishError, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Client, Dial, Told};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time;

use crate::nodes::{Addresses, Node, Start};
use crate::traffic::{Size, Traffic};

const PREFIX: &str = "limits";

fn options(server: &NatsServer) -> NatsOptions {
    let mut options = NatsOptions::new([server.url()]);
    options.prefix = PREFIX.into();
    options.stream.max_bytes = 64 << 20;
    options
}

async fn worker(options: NatsOptions) -> Hub {
    let nats = Nats::connect(options).await.expect("NATS is there");
    Hub::builder().fan_out(nats).build().unwrap()
}

async fn publish(hub: &Hub, text: String) -> Result<Position, PublishError> {
    hub.channel("room")
        .unwrap()
        .publish(Message::text("message", text))
        .await
}

async fn publish_numbers(hub: &Hub, numbers: std::ops::Range<u32>) -> Vec<Position> {
    let published: FuturesUnordered<_> = numbers.map(|number| publish(hub, number.to_string())).collect();
    let mut positions: Vec<_> = published.map(Result::unwrap).collect().await;
    positions.sort_by_key(|position| position.sequence());
    positions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_too_slowly_reads_back_what_it_missed() {
    let server = NatsServer::start().await;
    let start = Start::new(server.url(), PREFIX).env("MAX_LIVE_MESSAGES", 2);
    let nodes = [start.start(), start.start()];
    let addresses = Addresses::default();
    addresses.set(&nodes);
    let size = Size {
        publishers: 64,
        pause: Duration::from_millis(1),
        ..Size::default()
    };
    let traffic = Traffic::begin(options(&server), &addresses, size).await;
    traffic.goes_on(5_000).await;
    let read_back = nodes[0].counter("dualcast_broker_reads_total").await;
    let summary = traffic.end(&server.url(), PREFIX).await;
    println!("{read_back} reads: {summary}");
    assert!(read_back > 0.0, "it was too slow");
    assert!(summary.gaps.is_empty(), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_killed_and_its_clients_go_on_at_the_others() {
    let server = NatsServer::start().await;
    let start = Start::new(server.url(), PREFIX);
    let mut nodes = vec![start.start(), start.start()];
    let addresses = Addresses::default();
    addresses.set(&nodes);
    let traffic = Traffic::begin(options(&server), &addresses, Size::default()).await;
    for _ in 0..4 {
        traffic.goes_on(200).await;
        let mut killed = nodes.remove(0);
        addresses.set(&nodes);
        killed.kill();
        traffic.goes_on(200).await;
        nodes.push(start.start());
        addresses.set(&nodes);
    }
    let summary = traffic.end(&server.url(), PREFIX).await;
    println!("{summary}");
    assert!(summary.gaps.is_empty(), "{summary:?}");
}

/// Starts a node that remembers little.
fn forgetful(server: &NatsServer) -> Node {
    let start = Start::new(server.url(), PREFIX);
    start.env("MAX_RECORDS", 5).env("TAIL_RECORDS", 5).start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_comes_back_for_more_than_memory_has_is_served_by_a_handful_of_reads() {
    const CROWD: usize = 500;
    let server = NatsServer::start().await;
    let hub = worker(options(&server)).await;
    let positions = publish_numbers(&hub, 0..200).await;
    let node = forgetful(&server);
    node.is_well().await;
    let before = node.counter("dualcast_broker_reads_total").await;
    let clients: FuturesUnordered<_> = (0..CROWD)
        .map(|number| {
            let transport = [Transport::Sse, Transport::WebSocket][number % 2];
            let missed = 20 + number % 60;
            let cursor = positions[positions.len() - 1 - missed].to_string();
            let dial = Dial::to(node.address, transport).channels("room").cursor(&cursor);
            async move {
                let mut client = dial.open().await;
                let mut texts = Vec::new();
                while texts.len() < missed {
                    let told = client.next_but_heartbeats().await;
                    texts.push((told.text().to_owned(), told.id().unwrap().to_owned()));
                }
                (missed, texts)
            }
        })
        .collect();
    let served: Vec<_> = clients.collect().await;
    for (missed, texts) in served {
        let ids: Vec<_> = texts.iter().map(|(_, id)| id.clone()).collect();
        let expected: Vec<_> = positions[positions.len() - missed..]
            .iter()
            .map(Position::to_string)
            .collect();
        assert_eq!(ids, expected);
    }
    let reads = node.counter("dualcast_broker_reads_total").await - before;
    println!("{reads} reads for {CROWD} clients");
    assert!((1.0..=10.0).contains(&reads), "{reads} reads");
}

/// A client of each node, by each transport.
async fn followers(nodes: &[Node]) -> Vec<Client> {
    let mut clients = Vec::new();
    for node in nodes {
        for transport in [Transport::Sse, Transport::WebSocket] {
            clients.push(Dial::to(node.address, transport).channels("room").open().await);
        }
    }
    clients
}

/// Comes back to a node with a cursor, by each transport.
async fn come_back(node: &Node, cursor: Position) -> Vec<Client> {
    let mut clients = Vec::new();
    for transport in [Transport::Sse, Transport::WebSocket] {
        let dial = Dial::to(node.address, transport).channels("room");
        clients.push(dial.cursor(&cursor.to_string()).open().await);
    }
    clients
}

/// The texts of the next messages, with nothing else but signs of life.
async fn texts(client: &mut Client, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(client.next_but_heartbeats().await.text().to_owned());
    }
    texts
}

async fn expect_trimmed(client: &mut Client, cursor: Position) {
    let (told, cursor) = (client.next_but_heartbeats().await, cursor.to_string());
    let is_gap = matches!(&told, Told::Gap { reason, from, .. } if reason == "trimmed" && from.as_ref() == Some(&cursor));
    assert!(is_gap, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_refused_and_the_ban_of_it_can_not_be_lifted() {
    let server = NatsServer::start().await;
    let hub = worker(options(&server)).await;
    let start = Start::new(server.url(), PREFIX);
    let nodes = [start.start(), start.start()];
    let mut clients = followers(&nodes).await;
    let positions = publish_numbers(&hub, 0..10).await;
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = jetstream.get_stream(PREFIX).await.unwrap();
    assert!(stream.purge().await.is_err());
    assert!(stream.delete_message(5).await.is_err());
    let mut config = stream.cached_info().config.clone();
    assert!(config.deny_purge && config.deny_delete);
    (config.deny_purge, config.deny_delete) = (false, false);
    assert!(jetstream.update_stream(config).await.is_err());
    publish(&hub, "after".into()).await.unwrap();
    for client in &mut clients {
        let all = texts(client, 11).await;
        assert_eq!(all.last().unwrap(), "after");
    }
    for node in nodes.iter().chain([&forgetful(&server)]) {
        node.is_well().await;
        for mut client in come_back(node, positions[0]).await {
            assert_eq!(texts(&mut client, 10).await[9], "after");
        }
    }
}

/// A stream of somebody else's, as ours is but that it can be purged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_purge_that_nobody_forbade_who_comes_back_is_told_and_who_is_there_misses_nothing() {
    let server = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let config = Config {
        name: PREFIX.into(),
        subjects: vec![format!("{PREFIX}.log.>")],
        republish: Some(Republish {
            source: format!("{PREFIX}.log.>"),
            destination: format!("{PREFIX}.live.>"),
            headers_only: false,
        }),
        storage: StorageType::File,
        allow_direct: true,
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await.unwrap();
    let mut adopting = options(&server);
    adopting.stream.existing = Existing::Adopt;
    let hub = worker(adopting).await;
    let positions = publish_numbers(&hub, 0..30).await;
    let start = Start::new(server.url(), PREFIX).env("ADOPT", true);
    // What memory has no more these have to read.
    let forgetful = start.clone().env("MAX_RECORDS", 5).env("TAIL_RECORDS", 5);
    let nodes = [start.start(), forgetful.start()];
    let mut clients = followers(&nodes).await;
    // One is deleted from the middle: a read can't say which channel's it was.
    stream.delete_message(positions[20].sequence()).await.unwrap();
    for mut client in come_back(&nodes[0], positions[10]).await {
        assert_eq!(texts(&mut client, 19).await.len(), 19, "memory answers");
    }
    for cursor in [positions[10], positions[22]] {
        for mut client in come_back(&nodes[1], cursor).await {
            expect_trimmed(&mut client, cursor).await;
        }
    }
    stream.purge().await.unwrap();
    publish(&hub, "after".into()).await.unwrap();
    for client in &mut clients {
        assert_eq!(texts(client, 1).await, ["after"]);
    }
    // The first node saw them all, the third never did.
    for mut client in come_back(&nodes[0], positions[10]).await {
        assert_eq!(texts(&mut client, 20).await[19], "after");
    }
    let cold = start.start();
    for mut client in come_back(&cold, positions[10]).await {
        expect_trimmed(&mut client, positions[10]).await;
        assert_eq!(texts(&mut client, 1).await, ["after"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_and_no_more() {
    let mut server = NatsServer::start().await;
    server.stop().await;
    let Some(disk) = SmallDisk::mount(&server) else {
        println!("skipped: no disk can be mounted here");
        return;
    };
    server.restart().await;
    let mut options = options(&server);
    options.stream.max_bytes = 1 << 20;
    let hub = worker(options).await;
    let node = Start::new(server.url(), PREFIX).env("MAX_BYTES", 1 << 20).start();
    let mut clients = followers(std::slice::from_ref(&node)).await;
    let large = |number: u32| format!("{number}:{}", "x".repeat(100 << 10));
    let mut stored = vec![publish(&hub, large(0)).await.unwrap()];
    disk.fill();
    let error = loop {
        match publish(&hub, large(stored.len() as u32)).await {
            Ok(position) => stored.push(position),
            Err(error) => break error,
        }
    };
    println!("{} are stored, and then: {error}", stored.len());
    // Either it was refused, in the server's words, or nobody said anything.
    let is_refused =
        matches!(&error, PublishError::NotLogged(_)) && error.to_string().contains("the stream refused it");
    assert!(is_refused || error.is_unconfirmed(), "{error}");
    disk.free();
    server.restart().await;
    let last = loop {
        match publish(&hub, "last".into()).await {
            Ok(position) => break position,
            Err(_) => time::sleep(Duration::from_millis(100)).await,
        }
    };
    node.is_well().await;
    for client in &mut clients {
        let mut told = Vec::new();
        while client.position().sequence() < last.sequence() {
            let next = client.next_but_heartbeats().await;
            // No gap, and no end.
            told.push((next.text().to_owned(), client.position().sequence()));
        }
        let first = stored
            .iter()
            .enumerate()
            .map(|(number, at)| (large(number as u32), at.sequence()));
        assert_eq!(told[..stored.len()], first.collect::<Vec<_>>());
        // What was unconfirmed may be there, and a "last" that was.
        assert_eq!(told.last().unwrap(), &("last".to_owned(), last.sequence()));
    }
}

/// A disk of a few MiB under a server's store.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(server: &NatsServer) -> Option<Self> {
        let path = server.directory().join("store");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&path)
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn fill(&self) {
        // As much as there is room for.
        let _ = std::fs::write(self.0.join("ballast"), vec![0; 8 << 20]);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
