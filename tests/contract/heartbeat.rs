//! Heartbeats: a quiet hour ages no cursor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dualcast::{Message, Position, Transport};
use dualcast_tests::{Setup, Told, Under, contract};
use tokio::time;

contract!(
    over nats: the_opening_says_where_it_follows_when_life_is_shown_and_when_to_come_back,
    the_opening_of_several_channels_names_them_and_no_later_heartbeat_does,
    a_heartbeat_moves_the_cursor_of_a_quiet_channel_beside_a_busy_one,
    a_client_resumes_from_a_heartbeat_and_misses_nothing,
    no_heartbeat_passes_over_a_record_that_is_still_to_come,
    heartbeats_come_again_and_again_and_never_go_back,
    an_interval_of_zero_means_never,
);

fn setup(under: Under, heartbeat: Duration) -> Setup {
    Setup::new(under).session(move |options| options.heartbeat = heartbeat)
}

async fn the_opening_says_where_it_follows_when_life_is_shown_and_when_to_come_back(under: Under) {
    let setup = Setup::new(under).session(|options| {
        options.heartbeat = Duration::from_secs(77);
        options.retry = Duration::from_secs(2);
    });
    let server = setup.start().await;
    let last = server.publish("room", "before").await;
    let mut retries = Vec::new();
    for _ in 0..40 {
        let client = server.dial("room").open().await;
        let Told::Opening {
            id,
            interval,
            retry,
            expires,
            channels,
            max_bytes,
        } = client.opening().clone()
        else {
            unreachable!()
        };
        assert_eq!((id.unwrap(), interval, expires), (last.to_string(), 77_000, None));
        assert_eq!(channels, None, "of one channel: nothing has to be told apart");
        let is_ws = client.transport() == Transport::WebSocket;
        assert_eq!(
            max_bytes,
            is_ws.then_some(64 << 10),
            "on a stream of events nothing is sent"
        );
        assert!((1_000..=3_000).contains(&retry), "{retry}");
        retries.push(retry);
    }
    // A crowd does not come back at once: of forty in a row, none on one side would be a chance of one in a million million.
    let early = retries.iter().filter(|retry| **retry < 2_000).count();
    assert!((1..40).contains(&early), "{retries:?}");
}

async fn the_opening_of_several_channels_names_them_and_no_later_heartbeat_does(under: Under) {
    let server = setup(under, Duration::from_millis(5)).start().await;
    // One of them finished, and whichever way it begins.
    server.publish("room.1", "kept").await;
    let start = server.hub.position().to_string();
    server.channel("room.1").finish().await.unwrap();
    for dial in [
        server.dial("room.1,news,room.1"),
        server.dial("room.1,news").cursor(&start),
        server.dial("news,room.1").cursor("garbage"),
    ] {
        let mut client = dial.open().await;
        let Told::Opening { channels, .. } = client.opening() else {
            unreachable!()
        };
        assert_eq!(
            channels.as_deref(),
            Some(&["news".to_owned(), "room.1".into()][..])
        );
        // One that named them again would not be read.
        let mut beats = 0;
        while beats < 2 {
            beats += usize::from(matches!(client.next().await, Told::Heartbeat { .. }));
        }
    }
}

async fn a_heartbeat_moves_the_cursor_of_a_quiet_channel_beside_a_busy_one(under: Under) {
    let server = setup(under, Duration::from_millis(20)).start().await;
    let mut client = server.dial("quiet").open().await;
    for _ in 0..3 {
        let busy = server.publish("busy", "to others").await;
        loop {
            let told = client.next().await;
            assert!(matches!(told, Told::Heartbeat { interval: 20, .. }), "{told:?}");
            if client.position() >= busy {
                break;
            }
        }
    }
}

async fn a_client_resumes_from_a_heartbeat_and_misses_nothing(under: Under) {
    let setup = setup(under, Duration::from_millis(20)).hub(|hub| hub.log(|log| log.max_records = 1));
    let server = setup.start().await;
    let mut client = server.dial("quiet").open().await;
    let opening = client.position();
    let busy = server.publish("busy", "to others").await;
    while client.position() < busy {
        assert!(matches!(client.next().await, Told::Heartbeat { .. }));
    }
    let cursor = client.last_id().to_owned();
    client.cut();
    server.publish("quiet", "while it was away").await;
    for transport in [under.transport, under.other_transport()] {
        let mut client = server.dial_by(transport, "quiet").cursor(&cursor).open().await;
        assert!(client.position() > opening);
        assert_eq!(client.next_but_heartbeats().await.text(), "while it was away");
    }
}

async fn no_heartbeat_passes_over_a_record_that_is_still_to_come(under: Under) {
    let setup = setup(under, Duration::from_millis(1));
    let setup = setup.hub(|hub| hub.log(|log| log.max_records = 1_000_000));
    let server = setup.start().await;
    for channels in ["a", "a,b"] {
        let is_enough = Arc::new(AtomicBool::new(false));
        let publisher = tokio::spawn({
            let (a, b) = (server.channel("a"), server.channel("b"));
            let is_enough = Arc::clone(&is_enough);
            async move {
                for number in 0_u64.. {
                    let channel = if number % 3 == 0 { &b } else { &a };
                    channel
                        .publish(Message::text("message", number.to_string()))
                        .await
                        .unwrap();
                    if is_enough.load(Ordering::SeqCst) {
                        break;
                    }
                    // Between one beat and the next, or in the middle of one.
                    time::sleep(Duration::from_micros(number * 37 % 2_500)).await;
                }
                a.publish(Message::text("message", "last")).await.unwrap();
            }
        });
        let mut client = server.dial(channels).open().await;
        let (mut beats, mut records) = (0, 0);
        let mut cursor = client.position();
        loop {
            let told = client.next().await;
            let position: Position = told.id().unwrap().parse().unwrap();
            match told {
                Told::Heartbeat { .. } => {
                    beats += 1;
                    assert!(
                        position >= cursor,
                        "the cursor went back from {cursor} to {position}"
                    );
                }
                told => {
                    records += 1;
                    assert!(
                        position > cursor,
                        "{cursor} stood before what came then, {position}"
                    );
                    if told.text() == "last" {
                        break;
                    }
                }
            }
            cursor = position;
            if beats >= 60 && records >= 60 {
                is_enough.store(true, Ordering::SeqCst);
            }
        }
        publisher.await.unwrap();
    }
}

async fn heartbeats_come_again_and_again_and_never_go_back(under: Under) {
    let server = setup(under, Duration::from_millis(5)).start().await;
    let mut client = server.dial("a,b").open().await;
    let mut last = client.position();
    for _ in 0..10 {
        server.publish("elsewhere", "to others").await;
        assert!(matches!(client.next().await, Told::Heartbeat { .. }));
        assert!(client.position() >= last);
        last = client.position();
    }
    server.publish("a", "then").await;
    assert_eq!(client.next_but_heartbeats().await.text(), "then");
    assert!(client.position() > last);
}

async fn an_interval_of_zero_means_never(under: Under) {
    let setup = setup(under, Duration::ZERO).ws(|options| options.ping_interval = Duration::ZERO);
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    time::sleep(Duration::from_millis(100)).await;
    server.publish("room", "after a while").await;
    let told = client.next().await;
    assert_eq!(told.text(), "after a while", "and nothing before it");
}
