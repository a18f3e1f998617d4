//! Retention: whoever was away for longer than the stream keeps anything is told so.

use std::time::Duration;

use dualcast::{NatsOptions, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Told, Under, run};
use tokio::time;

use crate::works::{nodes, under};

#[test]
fn a_client_that_was_away_for_longer_than_max_age_is_told_and_goes_on() {
    run(away, under());
}

async fn away(_: Under) {
    let broker = NatsServer::start().await;
    let mut options = NatsOptions::new([broker.url()]);
    // Long enough for a busy machine to tell who is there in time.
    options.stream.max_age = Duration::from_secs(5);
    options.stream.duplicate_window = Duration::from_secs(1);
    let server = nodes(options, 1).await;
    let mut there = server.dial("room").open().await;
    let mut positions = Vec::new();
    for text in ["1", "2", "3", "4", "5"] {
        positions.push(server.publish("room", text).await);
        // Who is there has to come before the next: one record is all that the node remembers.
        assert_eq!(there.texts(1).await, [text]);
    }
    let cursor = positions[1].to_string();
    let client = async_nats::connect(broker.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let mut stream = jetstream.get_stream("dualcast").await.unwrap();
    while stream.info().await.unwrap().state.messages > 0 {
        time::sleep(Duration::from_millis(20)).await;
    }
    let after = server.publish("room", "after").await;
    for node in server.nodes() {
        for transport in [Transport::Sse, Transport::WebSocket] {
            let mut back = node.dial_here(transport, "room").cursor(&cursor).open().await;
            let told = back.next().await;
            let is_gap = matches!(&told, Told::Gap { reason, from, .. } if reason == "trimmed" && from.as_ref() == Some(&cursor));
            assert!(is_gap, "{told:?}");
            assert_eq!(back.next().await.text(), "after");
            assert_eq!(back.last_id(), after.to_string());
        }
    }
    assert_eq!(there.texts(1).await, ["after"], "who is there misses nothing");
}
