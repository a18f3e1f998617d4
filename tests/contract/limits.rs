//! Limits: what a client sees when one is crossed.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use dualcast::{HubBuilder, Message, PublishError, Transport};
use dualcast_tests::{End, Http, HttpVersion, Server, Setup, Socket, Told, Under, contract, eventually};
use futures::stream;
use serde_json::json;

contract!(
    over nats: a_client_above_max_sessions_is_told_to_come_back_later,
    a_client_above_max_subscriptions_is_told_to_come_back_later,
    a_client_above_max_channels_is_told_to_come_back_later,
    a_client_above_max_channels_per_subscription_is_told_to_come_back_later,
    a_client_that_does_not_read_is_cut_at_the_write_deadline,
);
contract!(
    a_channel_name_that_breaks_a_rule_is_a_bad_request,
    a_client_that_reads_slowly_is_not_cut,
);
contract!(over nats servers: what_is_too_large_is_refused_with_the_limit);
contract!(own_server: a_head_has_room_for_a_browsers_cookies_and_not_for_any_number);
contract!(
    http1 own_server: a_client_that_sends_its_head_byte_by_byte_is_cut,
    a_client_that_connects_and_says_nothing_is_cut,
    a_client_that_takes_nothing_of_an_ordinary_answer_is_cut,
);

/// With room for one: a second one is sent away and told so, the first goes on, and when it has left the next one may come.
async fn has_room_for_one(
    under: Under,
    change: impl Fn(HubBuilder) -> HubBuilder + Send + Sync + 'static,
    channels: [&str; 2],
) {
    let server = Setup::new(under).hub(change).start().await;
    let mut first = server.dial(channels[0]).open().await;
    expect_busy(&server, channels[1]).await;
    let channel = channels[0].split(',').next().unwrap();
    server.publish(channel, "goes on").await;
    assert_eq!(first.next().await.text(), "goes on");
    assert_eq!(server.hub.session_count(), 1);
    if channels[0] == channels[1] {
        first.leave().await;
        server.is_free_of(&[channels[0]]).await;
        server.dial(channels[1]).open().await;
    }
}

async fn expect_busy(server: &Server, channels: &str) {
    let mut client = server.dial(channels).connect().await;
    let (mut told, end) = client.until_end().await;
    let Some(Told::Closing {
        reason,
        code,
        reconnect,
        ..
    }) = told.pop()
    else {
        panic!("{told:?}")
    };
    assert_eq!((&*reason, code, reconnect), ("busy", 1013, true));
    // When to come back is said, and no id, which would take the place of the client's own.
    match client.transport() {
        Transport::Sse => {
            assert!(told.is_empty(), "{told:?}");
            assert!(client.events().retry().is_some());
            assert_eq!((client.events().last_event_id(), end), ("", End::Complete(None)));
        }
        Transport::WebSocket => {
            assert!(matches!(told[..], [Told::Opening { id: None, .. }]), "{told:?}");
            assert_eq!(end, End::Complete(Some(1013)));
        }
    }
}

async fn a_client_above_max_sessions_is_told_to_come_back_later(under: Under) {
    has_room_for_one(
        under,
        |hub| hub.limits(|limits| limits.max_sessions = 1),
        ["room", "room"],
    )
    .await;
}

async fn a_client_above_max_subscriptions_is_told_to_come_back_later(under: Under) {
    has_room_for_one(
        under,
        |hub| hub.limits(|limits| limits.max_subscriptions = 1),
        ["room", "room"],
    )
    .await;
}

async fn a_client_above_max_channels_is_told_to_come_back_later(under: Under) {
    has_room_for_one(
        under,
        |hub| hub.limits(|limits| limits.max_channels = 1),
        ["room", "other"],
    )
    .await;
}

async fn a_client_above_max_channels_per_subscription_is_told_to_come_back_later(under: Under) {
    let change = |hub: HubBuilder| hub.limits(|limits| limits.max_channels_per_subscription = 2);
    has_room_for_one(under, change, ["a,b", "a,b,c"]).await;
}

async fn a_channel_name_that_breaks_a_rule_is_a_bad_request(under: Under) {
    let server = Setup::new(under).start().await;
    let longest = "n".repeat(200);
    server.dial(&longest).open().await;
    for name in ["a..b", ".", "a%20b", "a/b", "%C3%A4", &format!("{longest}n")] {
        let answer = server.dial(name).attempt().await.expect_err("refused");
        assert_eq!(answer.status(), 400);
        let Told::Error { code, message, .. } = Told::from_answer(&answer.json()) else {
            panic!()
        };
        assert_eq!(code, "bad-channel");
        assert!(
            name.len() < 200 || message.contains("200"),
            "the error says which limit: {message}"
        );
    }
}

pub(crate) async fn a_client_that_does_not_read_is_cut_at_the_write_deadline(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .session(|options| options.write_timeout = Duration::from_millis(100));
    let server = setup.small_buffers().start().await;
    let mut client = server.dial("room").slow().open().await;
    let mut healthy = server.dial("room").open().await;
    for number in 0..120 {
        server
            .publish("room", format!("{number}:{}", "x".repeat(12 << 10)))
            .await;
        healthy.next().await;
    }
    eventually("the stalled one is cut", || server.hub.session_count() == 1).await;
    assert_eq!(server.channel("room").followers(), 1);
    let (told, end) = client.until_end().await;
    assert_eq!(end, End::Cut);
    let cursor = client.last_id().to_owned();
    let mut back = server.dial("room").cursor(&cursor).open().await;
    let next = format!("{}:", told.len());
    assert!(
        back.next().await.text().starts_with(&next),
        "it comes back to where it was"
    );
    server.publish("room", "goes on").await;
    assert_eq!(healthy.next().await.text(), "goes on");
}

async fn a_client_that_reads_slowly_is_not_cut(under: Under) {
    // Each read is within the deadline; all of them together are far beyond it.
    let setup = Setup::new(under).session(|options| options.write_timeout = Duration::from_secs(1));
    let server = setup.small_buffers().start().await;
    let mut client = server.dial("room").slow().open().await;
    for number in 0..120 {
        server
            .publish("room", format!("{number}:{}", "x".repeat(12 << 10)))
            .await;
    }
    let begun = Instant::now();
    for number in 0..120 {
        tokio::time::sleep(Duration::from_millis(15)).await;
        assert!(client.next().await.text().starts_with(&format!("{number}:")));
    }
    assert!(begun.elapsed() > Duration::from_secs(1));
}

async fn what_is_too_large_is_refused_with_the_limit(under: Under) {
    let setup = Setup::new(under)
        .hub(|hub| hub.limits(|limits| limits.max_message_bytes = 1_000))
        .on_message(|channel, message| async move { channel.publish(message.into_message()).await });
    let server = setup.start().await;
    let mut ws = server.dial_by(Transport::WebSocket, "room").open().await;
    let send = async |length: usize| {
        let message = json!({ "event": "e", "data": "x".repeat(length), "ref": 1 });
        server.say("room", &message).await
    };
    assert_eq!(send(1_000).await.status(), 200);
    let above = send(1_001).await;
    assert_eq!(
        (above.status(), above.json()["code"].as_str()),
        (413, Some("too-large"))
    );
    assert!(
        above.text().contains("`max_message_bytes` is 1000"),
        "{}",
        above.text()
    );
    ws.send(&json!({ "event": "e", "data": "x".repeat(1_001), "ref": 1 }))
        .await;
    assert!(matches!(ws.answer().await, Told::Error { code, .. } if code == "too-large"));

    // More than is read of any inbound message.
    let huge = send(65_537).await;
    assert_eq!(
        (huge.status(), huge.json()["code"].as_str()),
        (413, Some("too-large"))
    );
    assert!(huge.text().contains("65536"), "{}", huge.text());

    let room = server.channel("room");
    let published = room.publish(Message::text("message", "x".repeat(1_001))).await;
    assert!(matches!(
        published,
        Err(PublishError::TooLarge {
            bytes: 1_001,
            limit: "max_message_bytes",
            max: 1_000
        })
    ));
    let long = server.say("room", &json!({ "event": "e".repeat(101) })).await;
    assert_eq!(
        (long.status(), long.json()["code"].as_str()),
        (400, Some("bad-message"))
    );
    assert!(long.text().contains("100 bytes"), "{}", long.text());
}

async fn a_client_that_sends_its_head_byte_by_byte_is_cut(under: Under) {
    let setup = Setup::new(under).options(|options| options.head_timeout = Duration::from_millis(200));
    let server = setup.start().await;
    let mut http = server.http().await;
    let head = format!("GET /sse HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(100_000));
    let mut is_cut = false;
    for byte in head.bytes() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if http.send([byte]).await.is_err() {
            is_cut = true;
            break;
        }
    }
    assert!(is_cut);
}

async fn a_client_that_connects_and_says_nothing_is_cut(under: Under) {
    let setup = Setup::new(under).options(|options| options.head_timeout = Duration::from_millis(50));
    let server = setup.start().await;
    let mut http = server.http().await;
    http.drain().await.unwrap();
    // A session is no request any more: it may be silent.
    let mut client = server.dial("room").open().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.publish("room", "still there").await;
    assert_eq!(client.next().await.text(), "still there");
}

/// Also with a session behind it, which would wait for it for ever.
async fn a_client_that_takes_nothing_of_an_ordinary_answer_is_cut(under: Under) {
    let alive = Arc::new(());
    let large = {
        let alive = Arc::clone(&alive);
        move || {
            let alive = Arc::clone(&alive);
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            let pieces = (0..64).map(move |_| {
                let _ = &alive;
                Ok::<_, io::Error>(piece.clone())
            });
            async { Response::new(Body::from_stream(stream::iter(pieces))) }
        }
    };
    let setup = Setup::new(under)
        .small_buffers()
        .options(|options| options.write_timeout = Duration::from_millis(100))
        .app(move |app, _| app.route("/large", get(large)));
    let server = setup.start().await;
    let before = Arc::strong_count(&alive);
    let session = match under.transport {
        Transport::Sse => "GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n".into(),
        Transport::WebSocket => server.ws_request("/ws?channels=room"),
    };
    let mut http = Http::over(Socket::connect(server.address, true).await.unwrap());
    let large = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    http.send([large, &session].concat()).await.unwrap();
    let head = http.head().await.unwrap();
    assert_eq!(head.status, 200);
    eventually("the answer is given up", || Arc::strong_count(&alive) == before).await;
    let mut framing = head.body();
    while let Ok(piece) = http.body(&mut framing).await {
        assert!(piece.is_some(), "the answer is not whole");
    }
    server.is_free_of(&["room"]).await;
}

async fn a_head_has_room_for_a_browsers_cookies_and_not_for_any_number(under: Under) {
    let server = Setup::new(under).start().await;
    let cookies = |bytes: usize| format!("a={}", "x".repeat(bytes));
    let dial = server.dial("room").header("cookie", cookies(40 << 10));
    let mut client = dial.open().await;
    server.publish("room", "hello").await;
    assert_eq!(client.next().await.text(), "hello");
    // Over HTTP/1.1 a last read may go beyond the limit. Over HTTP/2 so much would end the connection.
    let too_many = if under.version == HttpVersion::Http1 {
        140 << 10
    } else {
        70 << 10
    };
    let dial = server.dial("room").header("cookie", cookies(too_many));
    assert_eq!(dial.attempt().await.expect_err("refused").status(), 431);
}
