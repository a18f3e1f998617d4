//! How fast a tail is loaded. Measured and printed, not asserted:
//! `cargo test --release -p dualcast-nats how_fast -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use async_nats::jetstream::{self, consumer::DeliverPolicy, consumer::pull::OrderedConfig};
use futures::StreamExt;

use super::*;
use crate::connect::{Connection, Purpose};
use crate::fixture::{Fixture, PATIENCE, name};

const RECORDS: u64 = 100_000;
const PAYLOAD_BYTES: usize = 128;

#[tokio::test]
#[ignore = "it measures"]
async fn how_fast_a_tail_is_loaded() {
    let fixture = Fixture::start().await;
    let jetstream = jetstream::new(fixture.client.clone());
    let payload = bytes::Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let mut acks = futures::stream::FuturesUnordered::new();
    for number in 0..RECORDS {
        let subject = fixture.subjects.log(&name(&format!("room.{}", number % 100)));
        acks.push(
            jetstream
                .publish(subject, payload.clone())
                .await
                .unwrap()
                .into_future(),
        );
        if acks.len() > 1_000 {
            acks.next().await.unwrap().unwrap();
        }
    }
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
    let connection = Connection::open(&fixture.options, Purpose::Reads).await.unwrap();
    let api = Api::new(Arc::new(connection), None, fixture.options.request_deadline);
    let reads = Reads::new(api, "shop");
    for round in 1..=3 {
        for page_records in [256, 1_000, 4_000, 10_000] {
            let begun = Instant::now();
            let mut next = 1;
            while next <= RECORDS {
                let query = Query {
                    from: next,
                    subject: ">",
                    max_records: page_records,
                    max_bytes: usize::MAX >> 2,
                };
                let page = page::read(&reads.api, &reads.stream, query).await.unwrap();
                next += page.records.len() as u64;
            }
            said(round, &format!("pages of {page_records}"), begun);
        }
        let begun = Instant::now();
        let all = Portion {
            max_records: usize::MAX,
            max_bytes: usize::MAX,
        };
        let stretch = reads
            .stretch(1..=RECORDS, all, time::Instant::now() + PATIENCE)
            .await
            .unwrap();
        assert_eq!(stretch.records.len() as u64, RECORDS);
        said(round, "a stretch", begun);
        let begun = Instant::now();
        let quarters: Vec<_> = (0..4)
            .map(|quarter| {
                let from = quarter * RECORDS / 4 + 1;
                reads.stretch(
                    from..=from + RECORDS / 4 - 1,
                    all,
                    time::Instant::now() + PATIENCE,
                )
            })
            .collect();
        let quarters = futures::future::join_all(quarters).await;
        assert!(
            quarters
                .into_iter()
                .all(|quarter| quarter.unwrap().records.len() as u64 == RECORDS / 4)
        );
        said(round, "four stretches at once", begun);
        let begun = Instant::now();
        let stream = jetstream.get_stream("shop").await.unwrap();
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap().take(RECORDS as usize);
        while let Some(message) = messages.next().await {
            message.unwrap();
        }
        said(round, "an ordered consumer", begun);
    }
}

#[tokio::test]
#[ignore = "it measures"]
async fn how_long_a_channel_takes() {
    let fixture = Fixture::start().await;
    for channel in 0..50 {
        fixture.publish_numbers(&format!("room.{channel}"), 1..=200).await;
    }
    let connection = Connection::open(&fixture.options, Purpose::Reads).await.unwrap();
    let api = Api::new(Arc::new(connection), None, fixture.options.request_deadline);
    let reads = Reads::new(api, "shop");
    let portion = Portion {
        max_records: 1_000,
        max_bytes: 1 << 20,
    };
    let mut took = Vec::new();
    for round in 0..500_u64 {
        let begun = Instant::now();
        let subject = format!("shop.log.room.{}", round % 50);
        let after = 200 * (round % 50) + 180;
        let read = reads
            .channel(&subject, after, 10_000, portion, time::Instant::now() + PATIENCE)
            .await
            .unwrap();
        assert_eq!(read.records.len(), 20);
        took.push(begun.elapsed());
    }
    took.sort();
    eprintln!(
        "20 records of a channel: p50 {:?}, p99 {:?}",
        took[250], took[495]
    );
}

fn said(round: u32, what: &str, begun: Instant) {
    let took = begun.elapsed();
    eprintln!(
        "round {round}: {what}: {took:?}, {:.0} records a second",
        RECORDS as f64 / took.as_secs_f64()
    );
}
