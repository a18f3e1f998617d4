//! Somebody sets the broker's clock, forward or back, while it runs or while it doesn't.
//!
//! A stream's records bear its times, and a node tells by them whether it is the stream that it was. Nothing of that goes by which time is
//! the later one; and what the broker itself does by its clock, to trim and to forget, is told as ever.

use std::ops::Range;
use std::time::Duration;

use async_nats::jetstream::stream::State;
use dualcast::{Hub, Position, Transport};
use dualcast_nats_server::{NatsServer, clocks_can_be_set};
use dualcast_tests::{Client, Dial, Told};
use tokio::time;

use crate::lives::{self, DAY, PREFIX, Scene, expect_text, publish};
use crate::nodes::Node;

/// Longer than a record stays in the stream, in seconds.
const HOUR_AND_A_HALF: i64 = 5_400;

/// Two nodes on a broker with a clock. None where that can't be set here.
async fn begin() -> Option<Scene> {
    if !clocks_can_be_set() {
        return None;
    }
    Some(Scene::on(NatsServer::builder().clock().start().await).await)
}

/// Publishes the numbers, each with itself as its key.
async fn publish_numbers(hub: &Hub, numbers: Range<u32>) -> Vec<Position> {
    let mut positions = Vec::new();
    for number in numbers {
        positions.push(publish(hub, &number.to_string()).await);
    }
    positions
}

/// Comes back to each of these nodes, by each transport, and reads the numbers that follow.
async fn expect_numbers(nodes: impl IntoIterator<Item = &Node>, cursor: Position, numbers: Range<u32>) {
    for node in nodes {
        for transport in [Transport::Sse, Transport::WebSocket] {
            let mut client = come_back(node, transport, cursor).await;
            for number in numbers.clone() {
                expect_text(&mut client, &number.to_string()).await;
            }
        }
    }
}

async fn come_back(node: &Node, transport: Transport, cursor: Position) -> Client {
    let dial = Dial::to(node.address, transport).channels("room");
    dial.cursor(&cursor.to_string()).open().await
}

/// Starts a node that has to look into the stream for nearly all.
async fn forgetful(scene: &Scene) -> Node {
    let start = scene.start.clone().env("MAX_RECORDS", 5);
    let node = start.env("TAIL_RECORDS", 5).start();
    node.is_well().await;
    node
}

async fn state(scene: &Scene) -> State {
    let stream = scene.jetstream().await.get_stream(PREFIX).await.unwrap();
    stream.cached_info().state.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_is_set_forward_beyond_the_age_at_which_records_are_trimmed() {
    let Some(mut scene) = begin().await else { return };
    let worker = scene.worker().await;
    let mut traffic = scene.traffic().await;
    let positions = publish_numbers(&worker, 0..10).await;
    scene.server.set_clock_ahead(HOUR_AND_A_HALF);
    traffic.goes_on(200).await;
    publish_numbers(&worker, 10..20).await;
    expect_numbers(&scene.nodes, positions[3], 4..20).await;
    // A server that runs looks how old its records are once in a while, and one that starts does so at once.
    traffic.keep(&scene.server.url(), PREFIX).await;
    scene.server.restart().await;
    traffic.goes_on(200).await;
    for node in &scene.nodes {
        node.is_well().await;
    }
    let first = state(&scene).await.first_sequence;
    assert!(first > positions[9].sequence(), "what was before is trimmed");
    // The nodes have it still.
    expect_numbers(&scene.nodes, positions[3], 4..20).await;
    let (never_had_it, cursor) = (forgetful(&scene).await, positions[3].to_string());
    for transport in [Transport::Sse, Transport::WebSocket] {
        let mut client = come_back(&never_had_it, transport, positions[3]).await;
        let told = client.next_but_heartbeats().await;
        let is_gap = matches!(&told, Told::Gap { reason, from, .. } if reason == "trimmed" && from.as_ref() == Some(&cursor));
        assert!(is_gap, "{told:?}");
        for number in 10..20 {
            expect_text(&mut client, &number.to_string()).await;
        }
    }
    let summary = traffic.end(&scene.server.url(), PREFIX).await;
    println!("{summary}");
    assert!(
        summary.gaps.is_empty(),
        "who is there misses nothing: {summary:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_is_set_back_and_forward_again() {
    let Some(scene) = begin().await else { return };
    let worker = scene.worker().await;
    let traffic = scene.traffic().await;
    let mut positions = publish_numbers(&worker, 0..10).await;
    scene.server.set_clock_ahead(-DAY);
    traffic.goes_on(200).await;
    positions.extend(publish_numbers(&worker, 10..20).await);
    assert_eq!(
        publish_numbers(&worker, 0..20).await,
        positions,
        "each key is known"
    );
    expect_numbers(&scene.nodes, positions[3], 4..20).await;
    // Where one page has a day's step back in it.
    expect_numbers([&forgetful(&scene).await], positions[3], 4..20).await;
    scene.server.set_clock_ahead(0);
    traffic.goes_on(200).await;
    positions.extend(publish_numbers(&worker, 20..30).await);
    expect_numbers(&scene.nodes, positions[3], 4..30).await;
    expect_numbers([&forgetful(&scene).await], positions[3], 4..30).await;
    let summary = traffic.end(&scene.server.url(), PREFIX).await;
    println!("{summary}");
    assert!(summary.gaps.is_empty() && summary.refused == 0 && summary.unconfirmed == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_comes_back_a_day_before_it_went() {
    let Some(mut scene) = begin().await else { return };
    let worker = scene.worker().await;
    let traffic = scene.traffic().await;
    let mut positions = publish_numbers(&worker, 0..10).await;
    scene.server.stop().await;
    scene.server.set_clock_ahead(-DAY);
    time::sleep(Duration::from_secs(1)).await;
    scene.server.restart().await;
    traffic.goes_on(200).await;
    positions.extend(publish_numbers(&worker, 10..20).await);
    assert_eq!(
        publish_numbers(&worker, 0..20).await,
        positions,
        "each key is known"
    );
    for node in &scene.nodes {
        node.is_well().await;
    }
    expect_numbers(&scene.nodes, positions[3], 4..20).await;
    expect_numbers([&forgetful(&scene).await], positions[3], 4..20).await;
    let summary = traffic.end(&scene.server.url(), PREFIX).await;
    println!("{summary}");
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_made_anew_at_an_earlier_time_than_it_was_made_before() {
    if let Some(scene) = begin().await {
        lives::delete_under_running_nodes(scene).await;
    }
    if let Some(scene) = begin().await {
        lives::delete_while_no_node_runs(scene).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_put_back_and_the_clock_with_it() {
    if let Some(scene) = begin().await {
        lives::put_back_under_running_nodes(scene).await;
    }
    if let Some(scene) = begin().await {
        lives::put_back_while_no_node_runs(scene).await;
    }
}
