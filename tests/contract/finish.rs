//! Finishing: a channel's end is told after its last record, and to who comes back.

use std::time::Duration;

use dualcast::{Message, Transport};
use dualcast_tests::{Server, Setup, Told, Under, contract};

contract!(
    over nats: followers_get_what_stands_before_the_end_and_then_the_end,
    who_comes_first_to_a_finished_channel_gets_what_is_kept_and_the_end,
    who_has_seen_the_end_is_told_not_to_come_back,
    who_was_cut_before_the_end_gets_the_rest_and_the_end,
    one_channel_of_several_may_end_while_the_others_go_on,
    nothing_can_be_published_after_the_end,
    a_client_that_takes_its_time_still_gets_all_that_was_sent_before_the_end,
);

/// Reads the end of a channel, and of the session.
async fn expect_end(client: &mut dualcast_tests::Client, channel: &str) {
    let told = client.next().await;
    let is_finished = matches!(&told, Told::Finished { id: Some(_), channel: of } if of == channel);
    assert!(is_finished, "expected the end of {channel}, not {told:?}");
    assert_eq!(client.closing().await, ("finished".into(), false));
}

async fn followers_get_what_stands_before_the_end_and_then_the_end(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    server.publish_numbers("room", 1..=3).await;
    server.channel("room").finish().await.unwrap();
    assert_eq!(client.texts(3).await, ["1", "2", "3"]);
    expect_end(&mut client, "room").await;
    server.is_free_of(&["room"]).await;
}

async fn who_comes_first_to_a_finished_channel_gets_what_is_kept_and_the_end(under: Under) {
    let server = Setup::new(under).start().await;
    server.publish_numbers("room", 1..=3).await;
    server.channel("room").finish().await.unwrap();
    let mut client = server.dial("room").open().await;
    assert_eq!(client.texts(3).await, ["1", "2", "3"]);
    expect_end(&mut client, "room").await;
}

/// Comes back with a cursor after which there is nothing.
async fn expect_nothing_to_come_back_for(server: &Server, under: Under, cursor: &str) {
    let attempt = server.dial("room").cursor(cursor).attempt().await;
    match (under.transport, attempt) {
        (Transport::Sse, Err(answer)) => {
            assert_eq!(
                (answer.status(), answer.body.len()),
                (204, 0),
                "an EventSource stays away then"
            );
        }
        (Transport::WebSocket, Ok(mut client)) => loop {
            match client.next().await {
                Told::Opening { .. } | Told::Finished { .. } => {}
                Told::Closing {
                    reason,
                    code,
                    reconnect,
                    ..
                } => {
                    assert_eq!((&*reason, code, reconnect), ("finished", 1000, false));
                    break;
                }
                other => panic!("{other:?}"),
            }
        },
        other => panic!("{other:?}"),
    }
    server.is_free_of(&["room"]).await;
}

async fn who_has_seen_the_end_is_told_not_to_come_back(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let last = server.publish("room", "last").await.to_string();
    let end = server.channel("room").finish().await.unwrap().to_string();
    client.until_end().await;
    assert_eq!(client.last_id(), end);
    for cursor in [last, end] {
        expect_nothing_to_come_back_for(&server, under, &cursor).await;
    }
}

async fn who_was_cut_before_the_end_gets_the_rest_and_the_end(under: Under) {
    let server = Setup::new(under).start().await;
    let positions = server.publish_numbers("room", 1..=3).await;
    server.channel("room").finish().await.unwrap();
    let mut client = server.dial("room").cursor(&positions[0].to_string()).open().await;
    assert_eq!(client.texts(2).await, ["2", "3"]);
    expect_end(&mut client, "room").await;
}

async fn one_channel_of_several_may_end_while_the_others_go_on(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("a,b").open().await;
    server.channel("a").finish().await.unwrap();
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "a"));
    let after = client.last_id().to_owned();
    server.publish("b", "goes on").await;
    assert_eq!(client.next().await.text(), "goes on");
    let mut back = server.dial("a,b").cursor(&after).open().await;
    assert_eq!(back.next().await.text(), "goes on");
    server.channel("b").finish().await.unwrap();
    for client in [&mut client, &mut back] {
        expect_end(client, "b").await;
    }
}

async fn nothing_can_be_published_after_the_end(under: Under) {
    let setup = Setup::new(under)
        .on_message(|channel, message| async move { channel.publish(message.into_message()).await });
    let server = setup.start().await;
    server.publish("room", "kept").await;
    server.channel("room").finish().await.unwrap();
    let answer = server.say("room", &serde_json::json!({ "event": "e" })).await;
    assert_eq!(
        (answer.status(), answer.json()["code"].as_str()),
        (409, Some("finished"))
    );
    let late = server
        .channel("room")
        .publish(Message::text("message", "late"))
        .await;
    assert!(matches!(late, Err(dualcast::PublishError::Finished)));
}

/// As much as hyper and `h2` take ahead, or the kernel: the session is over long before.
async fn a_client_that_takes_its_time_still_gets_all_that_was_sent_before_the_end(under: Under) {
    const MESSAGES: usize = 8;
    let setup = Setup::new(under).subscribe(dualcast::Subscribe::from_start);
    let server = setup.start().await;
    for number in 0..MESSAGES {
        let text = format!("{number}:{}", "x".repeat(12 << 10));
        server.publish("run", text).await;
    }
    server.channel("run").finish().await.unwrap();
    let mut client = server.dial("run").slow().open().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    for number in 0..MESSAGES {
        let told = client.next().await;
        assert!(told.text().starts_with(&format!("{number}:")));
    }
    assert!(matches!(client.next().await, Told::Finished { .. }));
}
