//! Whatever replicas, leaders, networks and publishers do, a read is whole or says what it lacks.

use std::sync::Arc;

use async_nats::jetstream;
use bytes::Bytes;
use dualcast_core::Message;
use dualcast_nats_server::{Cluster, Link as Network};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::connect::{Connection, Purpose};
use crate::envelope::{Incoming, Outgoing};
use crate::fixture::{Fixture, PATIENCE, name};
use crate::options::NatsOptions;
use crate::subjects::Subjects;

const ALL: Portion = Portion {
    max_records: usize::MAX,
    max_bytes: usize::MAX,
};

async fn reads(options: &NatsOptions) -> Reads {
    let connection = Connection::open(options, Purpose::Reads).await.unwrap();
    let api = Api::new(Arc::new(connection), None, options.request_deadline);
    Reads::new(api, &options.stream_name())
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// For what is to fail: its time is over after it was tried some times.
fn at_once() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

fn sequences(records: &[Stored]) -> Vec<u64> {
    records.iter().map(|record| record.sequence).collect()
}

fn text(record: &Stored) -> String {
    String::from_utf8(record.payload.to_vec()).unwrap()
}

/// The last sequence that is accounted for.
fn through(stretch: &Stretch) -> u64 {
    let read = stretch.records.last().map_or(0, |record| record.sequence);
    let gone = stretch.absent.last().map_or(0, |gone| *gone.end());
    read.max(gone)
}

fn is_whole_after(channel: &ChannelRecords, sequence: u64) -> bool {
    channel.whole_after() <= sequence
}

#[tokio::test]
async fn a_stretch_has_every_record_in_order() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    let count = 2 * MAX_PAGE_RECORDS as u64 + 7;
    fixture.publish_numbers("a", 1..=count).await;
    let stretch = reads.stretch(2..=count, ALL, soon()).await.unwrap();
    assert_eq!(through(&stretch), count);
    assert_eq!(sequences(&stretch.records), (2..=count).collect::<Vec<_>>());
    assert!(stretch.absent.is_empty());
    for record in &stretch.records {
        assert_eq!(
            (text(record), &*record.subject),
            (record.sequence.to_string(), "shop.log.a")
        );
    }
    let first = reads.stretch(1..=1, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&first.records), [1]);
    let time = reads.time_of(1, soon()).await.unwrap();
    assert_eq!(time, Some(first.records[0].timestamp_ns));
    #[expect(clippy::reversed_empty_ranges, reason = "nothing is to be read")]
    let nothing = reads.stretch(5..=4, ALL, at_once()).await.unwrap();
    assert!(nothing.records.is_empty() && nothing.absent.is_empty());
}

#[tokio::test]
async fn a_portion_ends_where_it_is_full() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    let large = Bytes::from(vec![7; 100_000]);
    for _ in 0..10 {
        let message = Message::binary("image", large.clone());
        fixture
            .publish(Outgoing::message(&fixture.subjects, &name("a"), &message))
            .await;
    }
    let portion = |max_records, max_bytes| Portion {
        max_records,
        max_bytes,
    };
    for (portion, records) in [
        (portion(3, usize::MAX), 3),
        (portion(99, 250_000), 3),
        (portion(99, 1), 2),
        (portion(1, usize::MAX), 1),
    ] {
        let stretch = reads.stretch(2..=10, portion, soon()).await.unwrap();
        assert_eq!(sequences(&stretch.records), (2..2 + records).collect::<Vec<_>>());
        assert_eq!(through(&stretch), 1 + records);
        let channel = reads.channel("shop.log.a", 1, 10, portion, soon()).await.unwrap();
        assert_eq!(sequences(&channel.records), sequences(&stretch.records));
        assert_eq!(channel.through, 1 + records);
    }
}

#[tokio::test]
async fn what_is_gone_is_named() {
    let fixture = Fixture::unprotected().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=20).await;
    let stream = jetstream::new(fixture.client.clone())
        .get_stream("shop")
        .await
        .unwrap();
    stream.purge().sequence(5).await.unwrap();
    for sequence in [8, 9, 20] {
        stream.delete_message(sequence).await.unwrap();
    }
    let stretch = reads.stretch(1..=20, ALL, soon()).await.unwrap();
    assert_eq!(
        sequences(&stretch.records),
        [5, 6, 7].into_iter().chain(10..=19).collect::<Vec<_>>()
    );
    assert_eq!(stretch.absent, [1..=4, 8..=9, 20..=20]);
    assert_eq!(through(&stretch), 20);
    assert_eq!(reads.stretch(2..=3, ALL, soon()).await.unwrap().absent, [2..=3]);
    assert_eq!(reads.time_of(9, soon()).await.unwrap(), None);
    assert!(reads.time_of(10, soon()).await.unwrap().is_some());

    let channel = reads.channel("shop.log.a", 9, 20, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&channel.records), (10..=19).collect::<Vec<_>>());
    assert!(!is_whole_after(&channel, 9), "records are missing in the middle");
    stream.purge().sequence(15).await.unwrap();
    let channel = reads.channel("shop.log.a", 9, 20, ALL, soon()).await.unwrap();
    assert!(!is_whole_after(&channel, 9) && !is_whole_after(&channel, 13));
}

#[tokio::test]
async fn after_what_was_trimmed_a_channel_is_whole() {
    let fixture = Fixture::unprotected().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=9).await;
    let stream = jetstream::new(fixture.client.clone())
        .get_stream("shop")
        .await
        .unwrap();
    stream.purge().sequence(5).await.unwrap();
    for (after, is_whole) in [(3, false), (4, true), (9, true)] {
        let channel = reads.channel("shop.log.a", after, 9, ALL, soon()).await.unwrap();
        assert_eq!(is_whole_after(&channel, after), is_whole, "{after}");
        assert_eq!(
            sequences(&channel.records),
            (5.max(after + 1)..=9).collect::<Vec<_>>()
        );
    }
    // Nothing is left, and nothing is missing behind the last.
    stream.purge().await.unwrap();
    let channel = reads.channel("shop.log.a", 8, 9, ALL, soon()).await.unwrap();
    assert!(channel.records.is_empty() && !is_whole_after(&channel, 8) && is_whole_after(&channel, 9));
    let stretch = reads.stretch(1..=9, ALL, soon()).await.unwrap();
    assert_eq!((through(&stretch), stretch.absent), (9, vec![1..=9]));
}

#[tokio::test]
async fn what_is_not_there_yet_is_beyond_and_never_absent() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=3).await;
    let beyond = reads.stretch(4..=5, ALL, at_once()).await.unwrap_err();
    assert!(
        matches!(
            beyond,
            ReadError::Beyond {
                sequence: 4,
                last_sequence: 3
            }
        ),
        "{beyond}"
    );
    let stretch = reads.stretch(3..=5, ALL, at_once()).await.unwrap();
    assert_eq!((sequences(&stretch.records), through(&stretch)), (vec![3], 3));
    let beyond = reads
        .channel("shop.log.a", 1, 4, ALL, at_once())
        .await
        .unwrap_err();
    assert!(
        matches!(beyond, ReadError::Beyond { last_sequence: 3, .. }),
        "{beyond}"
    );
    // It comes while it is waited for.
    let (stretch, ()) = tokio::join!(reads.stretch(4..=5, ALL, soon()), async {
        time::sleep(Duration::from_millis(50)).await;
        fixture.publish_numbers("a", 4..=5).await;
    });
    assert_eq!(stretch.unwrap().records[0].sequence, 4);
}

#[tokio::test]
async fn without_a_stream_it_says_so() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=3).await;
    jetstream::new(fixture.client.clone())
        .delete_stream("shop")
        .await
        .unwrap();
    let gone = reads.stretch(1..=3, ALL, soon()).await.unwrap_err();
    assert!(matches!(gone, ReadError::NoStream), "{gone}");
    let gone = reads.channel("shop.log.a", 0, 3, ALL, soon()).await.unwrap_err();
    assert!(matches!(gone, ReadError::NoStream), "{gone}");
}

#[tokio::test]
async fn a_channel_is_read_as_a_naive_reader_would() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    let mut runner = TestRunner::deterministic();
    let mut channels = Vec::new();
    for number in 1..=120_u64 {
        let channel = prop::sample::select(vec!["a", "a.b", "c"])
            .new_tree(&mut runner)
            .unwrap()
            .current();
        channels.push((number, channel));
        fixture.publish_numbers(channel, number..=number).await;
    }
    let asked = ("a|a\\.b|c|nobody", 0..=120_u64, 0..=120_u64, 1..=40_usize);
    for _ in 0..200 {
        let (channel, after, through, max_records) = asked.new_tree(&mut runner).unwrap().current();
        let portion = Portion {
            max_records,
            max_bytes: usize::MAX,
        };
        let is_wanted = |(number, of): &&(u64, &str)| *of == channel && *number > after && *number <= through;
        let mut expected: Vec<_> = channels
            .iter()
            .filter(is_wanted)
            .map(|(number, _)| *number)
            .collect();
        let is_cut = expected.len() > max_records;
        expected.truncate(max_records);
        let subject = format!("shop.log.{channel}");
        let read = reads
            .channel(&subject, after, through, portion, soon())
            .await
            .unwrap();
        assert_eq!(
            sequences(&read.records),
            expected,
            "{channel} {after} {through} {max_records}"
        );
        assert!(is_whole_after(&read, after));
        if is_cut {
            assert_eq!(Some(&read.through), expected.last());
        } else {
            assert!(read.through == through || Some(&read.through) == expected.last());
        }
    }
}

/// Records that no page can bring, and one that looks like the end of a page.
#[tokio::test]
async fn headers_that_kill_the_client_are_read_past() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=3).await;
    let blocks: [&[u8]; 6] = [
        b"NATS/1.0\r\nA: \xff\r\n\r\n",
        b"NATS/1.0\r\nA: a\rb\r\n\r\n",
        b"NATS/1.0\r\nA: a\rb\r\n\r\n",
        b"garbage!\r\n\r\n",
        b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n",
        b"NATS/1.0\r\nNats-Sequence: 999\r\nNats-Stream: other\r\nNats-Subject: x\r\n\r\n",
    ];
    for block in blocks {
        fixture.publish_block("shop.log.a", block, b"poison");
    }
    fixture.publish_numbers("a", 10..=12).await;
    let stretch = reads.stretch(1..=12, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&stretch.records), (1..=12).collect::<Vec<_>>());
    let channel = reads.channel("shop.log.a", 0, 12, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&channel.records), (1..=12).collect::<Vec<_>>());
    for records in [stretch.records, channel.records] {
        let unreadable = records.iter().filter(|record| record.headers.is_none());
        assert_eq!(
            unreadable.map(|record| record.sequence).collect::<Vec<_>>(),
            [4, 5, 6, 7]
        );
        for record in records {
            let sequence = record.sequence;
            let read = record.read(&fixture.subjects);
            let is_garbage = (4..=7).contains(&sequence);
            assert_eq!(read.is_err(), is_garbage, "{sequence}: {read:?}");
            assert!(is_garbage || matches!(read, Ok(Incoming::Message(..))));
        }
    }
}

/// A mirror that may answer for the stream does so under its own name, and with what it has.
#[tokio::test]
async fn a_mirror_is_not_taken_for_the_stream() {
    let fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    for number in 1..=60 {
        let channel = ["a", "b", "c"][number as usize % 3];
        fixture.publish_numbers(channel, number..=number).await;
    }
    let mirror = serde_json::json!({
        "name": "mirror",
        "mirror": { "name": "shop", "opt_start_seq": 31, "filter_subject": "shop.log.b" },
        "mirror_direct": true,
        "allow_direct": true,
        "storage": "file",
        "retention": "limits",
        "num_replicas": 1,
    });
    let _: Value = reads.api.ask("STREAM.CREATE.mirror", &mirror).await.unwrap();
    let mut from_mirror = 0;
    for _ in 0..40 {
        let query = Query {
            from: 1,
            subject: ">",
            max_records: 60,
            max_bytes: MAX_PAGE_BYTES,
        };
        from_mirror += u32::from(reads.page(query).await.records.len() < 60);
        let stretch = reads.stretch(1..=60, ALL, soon()).await.unwrap();
        assert_eq!(
            (sequences(&stretch.records), stretch.absent),
            ((1..=60).collect(), vec![])
        );
        for (channel, rest) in [("a", 0), ("b", 1), ("c", 2)] {
            let subject = format!("shop.log.{channel}");
            let read = reads.channel(&subject, 2, 60, ALL, soon()).await.unwrap();
            let expected: Vec<_> = (3..=60).filter(|number| number % 3 == rest).collect();
            assert_eq!(sequences(&read.records), expected, "{channel}");
        }
    }
    assert!(from_mirror > 0, "the mirror answers, too");
}

/// On three replicas a tenth of the reads of what was just acknowledged find nothing: the replica that answers lags.
#[tokio::test]
async fn replicas_that_lag_are_not_believed() {
    let cluster = Cluster::start(3).await;
    let mut options = NatsOptions::new(cluster.urls());
    options.stream.replicas = 3;
    crate::fixture::open(&options).await.unwrap();
    let subjects = Subjects::new(&options.prefix);
    let reads = reads(&options).await;
    let client = async_nats::connect(cluster.urls()).await.unwrap();
    let mut lagged = 0;
    for number in 1..=300_u64 {
        let message = Message::text("e", number.to_string());
        let Outgoing {
            subject,
            headers,
            payload,
        } = Outgoing::message(&subjects, &name("a"), &message);
        let ack = crate::fixture::publish(&client, &subject, headers, payload).await;
        assert_eq!(ack.sequence, number);
        let query = Query {
            from: number,
            subject: ">",
            max_records: 1,
            max_bytes: 1_000,
        };
        lagged += u64::from(reads.page(query).await.records.is_empty());
        let from = number.saturating_sub(5).max(1);
        let (stretch, channel) = tokio::join!(
            reads.stretch(from..=number, ALL, soon()),
            reads.channel(&subject, from - 1, number, ALL, soon())
        );
        let expected: Vec<_> = (from..=number).collect();
        let stretch = stretch.unwrap();
        assert_eq!(
            (sequences(&stretch.records), stretch.absent),
            (expected.clone(), vec![])
        );
        let channel = channel.unwrap();
        assert_eq!(sequences(&channel.records), expected);
        assert!(is_whole_after(&channel, from - 1));
    }
    eprintln!("{lagged} of 300 pages came from a replica that had less");
    // Leaders come and go meanwhile.
    let reading = async {
        for _ in 0..100 {
            let channel = reads
                .channel("dualcast.log.a", 0, 300, ALL, soon())
                .await
                .unwrap();
            assert_eq!(channel.records.len(), 300);
            let stretch = reads.stretch(1..=300, ALL, soon()).await.unwrap();
            assert_eq!((stretch.records.len(), stretch.absent), (300, vec![]));
        }
    };
    tokio::pin!(reading);
    loop {
        tokio::select! {
            () = &mut reading => break,
            _ = cluster.step_down("dualcast") => {}
        }
    }
}

#[tokio::test]
async fn a_page_that_breaks_off_is_gone_on_with() {
    let fixture = Fixture::start().await;
    let network = Network::to(fixture.server.address()).await;
    let mut options = fixture.options.clone();
    options.servers = vec![network.url()];
    let reads = reads(&options).await;
    fixture.publish_numbers("a", 1..=500).await;
    for bytes in [100, 5_000, 20_000] {
        network.reset_after(bytes);
        let stretch = reads.stretch(1..=500, ALL, soon()).await.unwrap();
        assert_eq!(sequences(&stretch.records), (1..=500).collect::<Vec<_>>());
        network.reset_after(bytes);
        let channel = reads.channel("shop.log.a", 0, 500, ALL, soon()).await.unwrap();
        assert_eq!(sequences(&channel.records), (1..=500).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_time_is_late() {
    let mut fixture = Fixture::start().await;
    let reads = reads(&fixture.options).await;
    fixture.publish_numbers("a", 1..=3).await;
    fixture.server.freeze();
    let late = reads.stretch(1..=3, ALL, at_once()).await.unwrap_err();
    assert!(matches!(late, ReadError::Late { sequence: 1, .. }), "{late}");
    let late = reads
        .channel("shop.log.a", 0, 3, ALL, at_once())
        .await
        .unwrap_err();
    assert!(matches!(late, ReadError::Late { .. }), "{late}");
    fixture.server.thaw();
    let stretch = reads.stretch(1..=3, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&stretch.records), [1, 2, 3]);
    fixture.server.kill();
    assert!(reads.stretch(1..=3, ALL, at_once()).await.is_err());
    fixture.server.restart().await;
    let stretch = reads.stretch(1..=3, ALL, soon()).await.unwrap();
    assert_eq!(sequences(&stretch.records), [1, 2, 3]);
}
