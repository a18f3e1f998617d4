//! Whatever happens to the entry and to the stream, nodes end in one life.

use std::sync::Arc;

use async_nats::jetstream;
use dualcast_nats_server::{Cluster, NatsServer};
use futures::future::join_all;

use super::*;
use crate::fixture::{api, options};
use crate::options::NatsOptions;

async fn epochs(options: &NatsOptions) -> Epochs {
    let stream = options.stream_name();
    Epochs::new(api(options).await, &stream, options.stream.replicas, "4711")
}

impl Epochs {
    /// That of a stream which never changes, for a node that has seen this generation.
    async fn settled(&self, seen_generation: u64) -> Result<Life, ApiError> {
        let now = self.entry().await?;
        let before = Life {
            epoch: now.map_or_else(Epoch::random, |life| life.epoch),
            generation: seen_generation,
            created_ns: 0,
            fresh_after: 0,
            before: Vec::new(),
            by: String::new(),
        };
        self.settle(Some(&before), &State::default()).await
    }
}

/// The bucket, as others see it.
async fn bucket(server: &NatsServer) -> jetstream::kv::Store {
    let client = async_nats::connect(server.url()).await.unwrap();
    jetstream::new(client).get_key_value("shop_epoch").await.unwrap()
}

#[tokio::test]
async fn the_first_makes_it_and_the_others_take_it() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let first = epochs(&options).await;
    assert_eq!(first.life().await.unwrap(), None);
    let entry = first.settled(0).await.unwrap();
    assert_eq!(entry.generation, 1);
    let second = epochs(&options).await;
    assert_eq!(second.settled(0).await.unwrap(), entry);
    assert_eq!(second.life().await.unwrap(), Some(entry.clone()));
    let text = bucket(&server).await.get("epoch").await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Life>(&text).unwrap(), entry);
}

#[tokio::test]
async fn nodes_that_find_another_log_at_once_end_on_one_epoch() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let nodes = Arc::new(join_all((0..8).map(|_| epochs(&options))).await);
    for seen in 0..10 {
        let entries = join_all(nodes.iter().map(|node| node.settled(seen))).await;
        let entries: Vec<_> = entries.into_iter().map(Result::unwrap).collect();
        assert_eq!(entries[0].generation, seen + 1);
        assert!(entries.iter().all(|entry| *entry == entries[0]), "{entries:?}");
    }
}

/// A stream with so many records, made now.
async fn made(server: &NatsServer, node: &Epochs, records: u64) -> State {
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = jetstream::new(client);
    // There may be none yet.
    let _ = jetstream.delete_stream(&node.log).await;
    let config = jetstream::stream::Config {
        name: node.log.clone(),
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    stored(&jetstream, node, records).await
}

async fn stored(jetstream: &jetstream::Context, node: &Epochs, records: u64) -> State {
    for _ in 0..records {
        let stored = jetstream.publish(node.log.clone(), "".into()).await.unwrap();
        stored.await.unwrap();
    }
    stream::state(&node.api, &node.log).await.unwrap()
}

#[tokio::test]
async fn a_stream_that_was_made_anew_has_another_life_whose_records_are_all_fresh() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let state = made(&server, &node, 0).await;
    let first = node.settle(None, &state).await.unwrap();
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let state = stored(&jetstream, &node, 9).await;
    assert_eq!(node.settle(None, &state).await.unwrap(), first);
    // No node ran while it was made anew.
    let state = made(&server, &node, 5).await;
    let second = node.settle(None, &state).await.unwrap();
    assert_eq!((second.generation, second.fresh_after), (first.generation + 1, 5));
    assert_ne!(second.epoch, first.epoch);
    assert_eq!(second.before, [first.epoch]);
    let state = made(&server, &node, 0).await;
    let third = node.settle(Some(&second), &state).await.unwrap();
    assert_eq!(third.before, [first.epoch, second.epoch]);
}

#[tokio::test]
async fn who_looked_at_the_stream_too_early_takes_the_life_that_began_since() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let early = made(&server, &node, 1).await;
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let late = stored(&jetstream, &node, 3).await;
    let life = node.settle(None, &late).await.unwrap();
    assert_eq!(life.fresh_after, 4);
    assert_eq!(node.settle(None, &early).await.unwrap(), life);
    // Of a stream that is none any more.
    let now = made(&server, &node, 0).await;
    let second = node.settle(Some(&life), &now).await.unwrap();
    assert_eq!(node.settle(Some(&life), &late).await.unwrap(), second);
}

#[tokio::test]
async fn a_life_that_began_beyond_the_streams_end_is_over() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let stored = made(&server, &node, 0).await;
    let ahead = State {
        last_sequence: 50,
        ..stored.clone()
    };
    let first = node.settle(None, &ahead).await.unwrap();
    assert_eq!(first.fresh_after, 50);
    // Its disk was put back to before that: what is stored at those numbers was never seen.
    let second = node.settle(None, &stored).await.unwrap();
    assert_eq!((second.generation, second.fresh_after), (2, 0));
}

#[tokio::test]
async fn an_entry_that_was_lost_is_put_back_by_whoever_runs() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let running = node.settled(1).await.unwrap();
    node.keep(&running).await.unwrap();
    assert_eq!(node.life().await.unwrap(), Some(running.clone()));
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    jetstream.delete_key_value("shop_epoch").await.unwrap();
    node.keep(&running).await.unwrap();
    assert_eq!(node.life().await.unwrap(), Some(running.clone()));
    assert_eq!(node.settle(None, &State::default()).await.unwrap(), running);
    // One that started before that took it for lost. Who runs comes over to that.
    jetstream.delete_key_value("shop_epoch").await.unwrap();
    let other = node.settle(None, &State::default()).await.unwrap();
    assert_eq!(other.generation, 1);
    assert!(!other.replaces(&running) && running.replaces(&other));
    node.keep(&running).await.unwrap();
    assert_eq!(node.life().await.unwrap(), Some(running));
}

#[tokio::test]
async fn a_later_one_is_taken_and_an_earlier_one_replaced() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let first = node.settled(0).await.unwrap();
    let second = node.settled(1).await.unwrap();
    assert_eq!(second.generation, 2);
    assert_ne!(first.epoch, second.epoch);
    assert_eq!(node.settled(1).await.unwrap(), second);
    // It was restored to an older one, or made anew by a node that knew nothing.
    let entry =
        json!({ "epoch": "0k3f9x2abz", "generation": 1, "created_ns": 0, "fresh_after": 0 }).to_string();
    bucket(&server).await.put("epoch", entry.into()).await.unwrap();
    assert_eq!(node.settled(5).await.unwrap().generation, 6);
}

#[tokio::test]
async fn what_was_deleted_is_made_anew_above_what_was_known() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    node.settled(6).await.unwrap();
    bucket(&server).await.delete("epoch").await.unwrap();
    assert_eq!(node.life().await.unwrap(), None);
    assert_eq!(node.settled(7).await.unwrap().generation, 8);
    bucket(&server).await.purge("epoch").await.unwrap();
    assert_eq!(node.settled(8).await.unwrap().generation, 9);
    let client = async_nats::connect(server.url()).await.unwrap();
    jetstream::new(client)
        .delete_key_value("shop_epoch")
        .await
        .unwrap();
    assert_eq!(node.life().await.unwrap(), None);
    let nodes = [node, epochs(&options).await];
    let entries = join_all(nodes.iter().map(|node| node.settled(9))).await;
    let [one, other] = entries.try_into().unwrap();
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.generation, &one), (10, &other));
}

#[tokio::test]
async fn an_entry_that_makes_no_sense_is_replaced() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let node = epochs(&options).await;
    let mut seen = node.settled(0).await.unwrap().generation;
    for garbage in [
        "",
        "{}",
        "[]",
        r#"{"epoch":"0k3f9x2abz","generation":-1}"#,
        r#"{"epoch":"0k3f9x2ab","generation":99}"#,
        r#"{"epoch":"0K3F9X2ABZ","generation":99}"#,
        r#"{"epoch":"0000000000","generation":99}"#,
    ] {
        bucket(&server).await.put("epoch", garbage.into()).await.unwrap();
        assert_eq!(node.life().await.unwrap(), None, "{garbage}");
        let entry = node.settled(seen).await.unwrap();
        assert_eq!(entry.generation, seen + 1);
        seen = entry.generation;
    }
}

#[tokio::test]
async fn leaders_may_change_meanwhile() {
    let cluster = Cluster::start(3).await;
    let mut options = NatsOptions::new(cluster.urls());
    options.stream.replicas = 3;
    let nodes = join_all((0..4).map(|_| epochs(&options))).await;
    join_all(nodes.iter().map(|node| node.settled(0))).await;
    for seen in 1..6 {
        let advancing = join_all(nodes.iter().map(|node| node.settled(seen)));
        let (entries, _) = tokio::join!(advancing, cluster.step_down("KV_dualcast_epoch"));
        let entries: Vec<_> = entries.into_iter().map(Result::unwrap).collect();
        assert_eq!(entries[0].generation, seen + 1);
        assert!(entries.iter().all(|entry| *entry == entries[0]), "{entries:?}");
    }
}
