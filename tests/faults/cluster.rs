//! A cluster of brokers loses leaders.

use std::collections::BTreeSet;
use std::time::Duration;

use dualcast::NatsOptions;
use dualcast_nats_server::{Cluster, clocks_can_be_set};
use tokio::time::{self, Instant};

use crate::nodes::{Addresses, Node, Start};
use crate::traffic::{Size, Traffic};

const PREFIX: &str = "cluster";

async fn begin(cluster: &Cluster, size: Size) -> (Vec<Node>, Traffic) {
    let start = Start::new(cluster.urls().join(","), PREFIX).env("REPLICAS", 3);
    let nodes = vec![start.start(), start.start()];
    for node in &nodes {
        node.is_well().await;
    }
    let addresses = Addresses::default();
    addresses.set(&nodes);
    let mut options = NatsOptions::new(cluster.urls());
    options.prefix = PREFIX.into();
    options.stream.replicas = 3;
    let traffic = Traffic::begin(options, &addresses, size).await;
    (nodes, traffic)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_the_streams_leader_once_a_second() {
    let mut cluster = Cluster::start(3).await;
    let (nodes, traffic) = begin(&cluster, Size::default()).await;
    let until = Instant::now() + Duration::from_secs(60);
    let mut losses = 0;
    while Instant::now() < until {
        let leader = cluster.leader_of(PREFIX).await;
        if losses % 2 == 0 {
            cluster.step_down(PREFIX).await;
        } else {
            cluster.member_mut(leader).kill();
            time::sleep(Duration::from_millis(500)).await;
            cluster.member_mut(leader).restart().await;
            cluster.is_whole().await;
        }
        losses += 1;
        time::sleep(Duration::from_secs(1)).await;
    }
    traffic.goes_on(100).await;
    for node in &nodes {
        node.is_well().await;
    }
    let summary = traffic.end(&cluster.urls().join(","), PREFIX).await;
    println!("{losses} leaders lost: {summary}");
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_step_down_right_after_a_message_and_nothing_follows() {
    let cluster = Cluster::start(3).await;
    let size = Size {
        publishers: 0,
        ..Size::default()
    };
    let (_nodes, traffic) = begin(&cluster, size).await;
    for number in 0..10 {
        let room = traffic.hub().channel("a").unwrap();
        let message = dualcast::Message::text("message", format!("before {number}"));
        let publishing = room.publish(message);
        let (published, _) = tokio::join!(publishing, cluster.step_down(PREFIX));
        // Nothing else is published: clients are there once they have what stands in the stream.
        let _ = published;
    }
    let summary = traffic.end(&cluster.urls().join(","), PREFIX).await;
    println!("{summary}");
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_whose_clocks_are_far_apart_follow_each_other() {
    if !clocks_can_be_set() {
        return;
    }
    let cluster = Cluster::start_with_clocks(3).await;
    // By less than what records may age. Else one server trims what another has just stored.
    cluster.member(1).set_clock_ahead(20 * 60);
    cluster.member(2).set_clock_ahead(-20 * 60);
    let (nodes, traffic) = begin(&cluster, Size::default()).await;
    let mut leaders = BTreeSet::new();
    while leaders.len() < cluster.size() {
        traffic.goes_on(100).await;
        leaders.insert(cluster.step_down(PREFIX).await);
    }
    traffic.goes_on(100).await;
    for node in &nodes {
        node.is_well().await;
    }
    let summary = traffic.end(&cluster.urls().join(","), PREFIX).await;
    println!("{summary}");
    assert!(summary.gaps.is_empty(), "all of it is in the stream: {summary:?}");
}
