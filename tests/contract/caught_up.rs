//! A client that came back is told, by a heartbeat, when it has all that it missed; and nobody else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dualcast::{HeartbeatAs, Message, Position, Subscribe};
use dualcast_tests::{Client, Server, Setup, Told, Under, contract};
use serde_json::json;

contract!(
    over nodes: a_heartbeat_stands_right_behind_what_a_client_missed,
    a_client_that_missed_nothing_is_told_so_at_once,
);
contract!(
    over nats: it_stands_behind_the_gap_and_what_is_left,
    it_comes_while_messages_never_pause,
);
contract!(
    who_comes_new_is_told_nothing_of_the_kind,
    a_stream_that_ends_needs_none,
    it_comes_once_though_heartbeats_are_frequent,
);
contract!(sse: where_a_heartbeat_is_a_comment_there_is_none);
contract!(
    over nats ws: a_channel_that_is_joined_with_an_id_is_told_of_and_one_without_is_not,
    a_channel_that_is_joined_behind_its_end_is_told_of_that_first,
    channels_that_are_joined_together_are_all_caught_up_with,
    a_channel_that_is_left_again_leaves_nobody_waiting,
);

/// Whoever hears it has all up to its id. Answers that.
async fn caught_up(client: &mut Client) -> Position {
    match client.next().await {
        Told::Heartbeat { id: Some(id), .. } => id.parse().unwrap(),
        told => panic!("expected the heartbeat, not {told:?}"),
    }
}

/// The next that comes was published behind all that it was told: no heartbeat came a second time.
async fn nothing_else(server: &Server, client: &mut Client) {
    server.publish("room", "live").await;
    assert_eq!(client.next().await.text(), "live");
}

async fn a_heartbeat_stands_right_behind_what_a_client_missed(under: Under) {
    let server = Setup::new(under).start().await;
    let positions = server.publish_numbers("room", 1..=5).await;
    server.publish("elsewhere", "to others").await;
    for channels in ["room", "other,room"] {
        for (seen, position) in positions.iter().enumerate() {
            let dial = server.dial(channels).cursor(&position.to_string());
            let mut client = dial.told_all().open().await;
            let texts = client.texts(4 - seen).await;
            let expected: Vec<_> = (seen + 2..=5).map(|number| number.to_string()).collect();
            assert_eq!(texts, expected);
            assert_eq!(caught_up(&mut client).await, server.hub.position());
            client.cut();
        }
    }
    let dial = server.dial("room").cursor(&positions[0].to_string());
    let mut client = dial.told_all().open().await;
    client.texts(4).await;
    caught_up(&mut client).await;
    nothing_else(&server, &mut client).await;
}

async fn a_client_that_missed_nothing_is_told_so_at_once(under: Under) {
    let server = Setup::new(under).start().await;
    let last = server.publish("room", "seen").await;
    for channels in ["room", "room,other"] {
        let client = server.dial(channels).cursor(&last.to_string());
        let mut client = client.told_all().open().await;
        assert_eq!(client.position(), last);
        assert_eq!(caught_up(&mut client).await, last);
    }
    // What was published elsewhere is nothing that it missed.
    let head = server.publish("elsewhere", "to others").await;
    let dial = server.dial("room").cursor(&last.to_string());
    let mut client = dial.told_all().open().await;
    assert_eq!(client.position(), last);
    assert_eq!(caught_up(&mut client).await, head);
    nothing_else(&server, &mut client).await;
}

async fn it_stands_behind_the_gap_and_what_is_left(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 3));
    let server = setup.start().await;
    server.publish_numbers("room", 1..=9).await;
    for cursor in ["garbage", "0123456789-5"] {
        let dial = server.dial("room").cursor(cursor);
        let mut client = dial.told_all().open().await;
        assert!(matches!(client.next().await, Told::Gap { .. }));
        let mut told = client.next().await;
        while let Told::Message { .. } = told {
            told = client.next().await;
        }
        let head = server.hub.position().to_string();
        assert!(matches!(&told, Told::Heartbeat { id: Some(id), .. } if *id == head));
        nothing_else(&server, &mut client).await;
    }
}

async fn it_comes_while_messages_never_pause(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 1_000_000));
    let server = setup.start().await;
    let start = server.hub.position();
    for channels in ["room", "room,other"] {
        let is_enough = Arc::new(AtomicBool::new(false));
        let publisher = tokio::spawn({
            let channels = [server.channel("room"), server.channel("other")];
            let is_enough = Arc::clone(&is_enough);
            async move {
                for number in 0_u64.. {
                    let channel = &channels[(number % 2) as usize];
                    let message = Message::text("message", "x".repeat(1_000));
                    channel.publish(message).await.unwrap();
                    if is_enough.load(Ordering::SeqCst) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
        server.publish("room", "first").await;
        let head = server.hub.position();
        let dial = server.dial(channels).cursor(&start.to_string());
        let mut client = dial.told_all().open().await;
        let mut last = client.position();
        loop {
            let told = client.next().await;
            let id: Position = told.id().unwrap().parse().unwrap();
            assert!(id >= last, "no cursor goes back");
            last = id;
            if matches!(told, Told::Heartbeat { .. }) {
                break;
            }
        }
        assert!(last >= head, "it has all that was there when it came");
        is_enough.store(true, Ordering::SeqCst);
        publisher.await.unwrap();
    }
}

async fn who_comes_new_is_told_nothing_of_the_kind(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    nothing_else(&server, &mut client).await;
    let setup = Setup::new(under).subscribe(Subscribe::from_start);
    let server = setup.start().await;
    server.publish("room", "kept").await;
    let mut client = server.dial("room").open().await;
    assert_eq!(client.next().await.text(), "kept");
    nothing_else(&server, &mut client).await;
}

async fn a_stream_that_ends_needs_none(under: Under) {
    let server = Setup::new(under).start().await;
    let first = server.publish("room", "1").await.to_string();
    server.publish("room", "2").await;
    server.channel("room").finish().await.unwrap();
    let mut client = server.dial("room").cursor(&first).told_all().open().await;
    assert_eq!(client.next().await.text(), "2");
    assert!(matches!(client.next().await, Told::Finished { .. }));
    assert!(matches!(client.next().await, Told::Closing { .. }));
}

async fn it_comes_once_though_heartbeats_are_frequent(under: Under) {
    let setup = Setup::new(under).session(|options| options.heartbeat = Duration::from_millis(1));
    let server = setup.start().await;
    let positions = server.publish_numbers("room", 1..=50).await;
    for _ in 0..20 {
        let dial = server.dial("room").cursor(&positions[0].to_string());
        let mut client = dial.told_all().open().await;
        // None in front of what was missed, however often they come.
        client.texts(49).await;
        assert_eq!(caught_up(&mut client).await, positions[49]);
    }
}

async fn where_a_heartbeat_is_a_comment_there_is_none(under: Under) {
    for is_plain in [false, true] {
        let setup = Setup::new(under).sse(move |options| {
            options.is_plain = is_plain;
            options.heartbeat_as = HeartbeatAs::Comment;
        });
        let server = setup.start().await;
        let positions = server.publish_numbers("room", 1..=3).await;
        let dial = server.dial("room").cursor(&positions[0].to_string());
        let mut client = dial.told_all().connect().await;
        assert_eq!(client.texts(2).await, ["2", "3"]);
        nothing_else(&server, &mut client).await;
        assert_eq!(client.events().comments(), ["heartbeat"], "the opening's alone");
    }
}

async fn subscribe(client: &mut Client, channel: &str, id: Option<&Position>) {
    let mut asked = json!({ "control": "subscribe", "channel": channel, "ref": channel });
    if let Some(id) = id {
        asked["id"] = json!(id.to_string());
    }
    client.send(&asked).await;
}

async fn a_channel_that_is_joined_with_an_id_is_told_of_and_one_without_is_not(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let positions = server.publish_numbers("other", 1..=4).await;
    let mut client = server.dial("room").open().await;
    for seen in [1, 4] {
        subscribe(&mut client, "other", Some(&positions[seen - 1])).await;
        assert!(matches!(client.next().await, Told::Reply { .. }));
        client.texts(4 - seen).await;
        assert_eq!(caught_up(&mut client).await, server.hub.position());
        let leave = json!({ "control": "unsubscribe", "channel": "other", "ref": 0 });
        assert!(matches!(client.ask(&leave).await, Told::Reply { .. }));
    }
    subscribe(&mut client, "other", None).await;
    assert!(matches!(client.next().await, Told::Reply { .. }));
    nothing_else(&server, &mut client).await;
}

async fn a_channel_that_is_joined_behind_its_end_is_told_of_that_first(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    server.publish("run", "last").await;
    let end = server.channel("run").finish().await.unwrap();
    let mut client = server.dial("room").open().await;
    subscribe(&mut client, "run", Some(&end)).await;
    assert!(matches!(client.next().await, Told::Reply { .. }));
    assert!(matches!(client.next().await, Told::Finished { .. }));
    assert_eq!(caught_up(&mut client).await, end);
    nothing_else(&server, &mut client).await;
}

async fn channels_that_are_joined_together_are_all_caught_up_with(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let start = server.hub.position();
    for channel in ["a", "b", "c"] {
        server.publish_numbers(channel, 1..=20).await;
    }
    let mut client = server.dial("room").open().await;
    for channel in ["a", "b", "c"] {
        subscribe(&mut client, channel, Some(&start)).await;
    }
    // Each heartbeat is behind all of those channels whose answers stand before it.
    let (mut joined, mut heard, mut is_caught_up) = (0, 0, false);
    while joined < 3 || !is_caught_up {
        match client.next().await {
            Told::Reply { .. } => (joined, is_caught_up) = (joined + 1, false),
            Told::Message { .. } => heard += 1,
            Told::Heartbeat { id, .. } => {
                assert_eq!((heard, id.is_some()), (20 * joined, true));
                is_caught_up = true;
            }
            told => panic!("{told:?}"),
        }
    }
    nothing_else(&server, &mut client).await;
}

async fn a_channel_that_is_left_again_leaves_nobody_waiting(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let start = server.hub.position();
    let mut client = server.dial("").connect().await;
    client.next().await;
    // Left before it can be caught up with: nothing is followed, so nothing is said.
    subscribe(&mut client, "other", Some(&start)).await;
    let leave = json!({ "control": "unsubscribe", "channel": "other", "ref": 0 });
    client.send(&leave).await;
    let mut replies = 0;
    while replies < 2 {
        match client.next().await {
            Told::Reply { .. } => replies += 1,
            Told::Heartbeat { id: Some(_), .. } if replies == 1 => {}
            told => panic!("{told:?}"),
        }
    }
    subscribe(&mut client, "room", None).await;
    assert!(matches!(client.next().await, Told::Reply { .. }));
    nothing_else(&server, &mut client).await;
}
