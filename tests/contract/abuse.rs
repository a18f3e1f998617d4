//! Clients that send too much, or nothing that makes sense, and handlers that fail: each costs its own session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Channel, Error, Inbound, Rate, RateLimit, Reply};
use dualcast_tests::{Frame, Setup, Told, Under, contract};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as WsMessage;

contract!(
    ws: what_makes_no_sense_is_answered_with_its_ref_and_not_with_a_close,
    too_much_that_makes_no_sense_ends_the_session,
    sense_in_between_is_forgiven,
    who_sends_too_many_messages_is_slowed_down_and_loses_nothing,
    who_sends_too_many_bytes_is_slowed_down_and_loses_nothing,
    who_is_slowed_down_still_hears,
    a_handler_that_panics_ends_its_own_session_and_says_so,
);
contract!(servers: one_rate_holds_for_messages_and_posts_together);

async fn what_makes_no_sense_is_answered_with_its_ref_and_not_with_a_close(under: Under) {
    let setup = Setup::new(under).on_message(|_, message: Inbound| async move {
        match message.event.as_str() {
            "known" => Ok(Reply::empty()),
            event => Err(Error::unknown_event(event)),
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    for (text, code, reference) in [
        ("hello", "bad-message", None),
        ("", "bad-message", None),
        ("[]", "bad-message", None),
        ("3", "bad-message", None),
        (r#"{"event":"known","ref":1"#, "bad-message", None),
        (r#"{"data":1,"ref":"r"}"#, "bad-message", Some(json!("r"))),
        (r#"{"event":7,"ref":[1]}"#, "bad-message", Some(json!([1]))),
        (r#"{"event":"other","ref":2}"#, "unknown-event", Some(json!(2))),
        (
            r#"{"control":"dance","ref":3}"#,
            "unknown-control",
            Some(json!(3)),
        ),
        (r#"{"control":"welcome"}"#, "unknown-control", None),
        (r#"{"control":null,"ref":4}"#, "bad-message", Some(json!(4))),
    ] {
        client.send_message(WsMessage::text(text)).await;
        let answer = client.answer().await;
        assert!(
            matches!(&answer, Told::Error { code: said, reference: to, .. } if said == code && *to == reference),
            "{text}: {answer:?}"
        );
    }
    assert!(matches!(
        client.ask(&json!({ "event": "known", "ref": 1 })).await,
        Told::Reply { .. }
    ));
}

async fn too_much_that_makes_no_sense_ends_the_session(under: Under) {
    let server = Setup::new(under)
        .ws(|options| options.max_bad_messages = 5)
        .on_message(|_, _| async {})
        .start()
        .await;
    for nonsense in [
        WsMessage::text("hello"),
        WsMessage::binary(b"hello".to_vec()),
        WsMessage::text(r#"{"control":"dance"}"#),
        WsMessage::text(r#"{"control":"subscribe","channel":"a"}"#),
    ] {
        let mut client = server.dial("room").open().await;
        for _ in 0..6 {
            client.send_message(nonsense.clone()).await;
        }
        for _ in 0..6 {
            assert!(matches!(client.next().await, Told::Error { .. }));
        }
        assert_eq!(client.closing().await, ("bad-messages".into(), false));
    }
    server.is_free_of(&["room"]).await;
}

async fn sense_in_between_is_forgiven(under: Under) {
    let server = Setup::new(under)
        .ws(|options| options.max_bad_messages = 2)
        .on_message(|_, message: Inbound| async move {
            // What the application refuses is no nonsense.
            match message.event.as_str() {
                "refused" => Err(Error::new(StatusCode::FORBIDDEN, "no", "no")),
                _ => Ok(Reply::empty()),
            }
        })
        .start()
        .await;
    let mut client = server.dial("room").open().await;
    for event in ["fine", "refused"].repeat(5) {
        for _ in 0..2 {
            client.send_message(WsMessage::text("hello")).await;
            assert!(matches!(client.answer().await, Told::Error { .. }));
        }
        client.ask(&json!({ "event": event, "ref": 1 })).await;
    }
    assert_eq!(server.hub.session_count(), 1);
}

async fn numbered(setup: Setup) -> dualcast_tests::Server {
    let publish =
        |channel: Channel, message: Inbound| async move { channel.publish(message.into_message()).await };
    setup.on_message(publish).start().await
}

async fn who_sends_too_many_messages_is_slowed_down_and_loses_nothing(under: Under) {
    let setup = Setup::new(under).ws(|options| options.message_rate = Rate::per_second(200).burst(10));
    let server = numbered(setup).await;
    let mut follower = server.dial_by(dualcast::Transport::Sse, "room").open().await;
    let mut client = server.dial("elsewhere").open().await;
    drop(client.ask(&json!({ "event": "e", "data": "0", "ref": 1 })).await);
    client.cut();
    let mut client = server.dial("room").open().await;
    let begun = std::time::Instant::now();
    for number in 0..50 {
        client
            .send(&json!({ "event": "e", "data": number.to_string() }))
            .await;
    }
    let texts = follower.texts(50).await;
    assert_eq!(
        texts,
        (0..50).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    // A bound that no slow machine can break: forty of them had to wait for five milliseconds each.
    assert!(
        begun.elapsed() >= Duration::from_millis(190),
        "{:?}",
        begun.elapsed()
    );
}

async fn who_sends_too_many_bytes_is_slowed_down_and_loses_nothing(under: Under) {
    let setup = Setup::new(under).ws(|options| options.byte_rate = Rate::per_second(100_000).burst(20_000));
    let server = numbered(setup).await;
    let mut follower = server.dial_by(dualcast::Transport::Sse, "room").open().await;
    let mut frames = server.frames("room").await;
    let begun = std::time::Instant::now();
    for number in 0..4 {
        let text = json!({ "event": "e", "data": format!("{number}:{}", "x".repeat(10_000)) }).to_string();
        frames.send(&Frame::text(&text)).await.unwrap();
    }
    // Pings count, too: they are read and answered.
    for _ in 0..1_000 {
        frames.send(&Frame::new(Frame::PING, b"1234")).await.unwrap();
    }
    let last = json!({ "event": "e", "data": "last" }).to_string();
    frames.send(&Frame::text(&last)).await.unwrap();
    for number in 0..4 {
        assert!(follower.next().await.text().starts_with(&format!("{number}:")));
    }
    assert_eq!(follower.next().await.text(), "last");
    assert!(
        begun.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
}

async fn who_is_slowed_down_still_hears(under: Under) {
    let setup = Setup::new(under).ws(|options| options.message_rate = Rate::per_second(1).burst(1));
    let server = numbered(setup).await;
    let mut client = server.dial("room").open().await;
    // It will not be read from for a quarter of an hour. Over HTTP/2 no more than this finds room on the way.
    for _ in 0..900 {
        client.send(&json!({ "event": "e", "data": "mine" })).await;
    }
    assert_eq!(client.next().await.text(), "mine");
    server.publish("room", "of others").await;
    client.until_text("of others").await;
    server.hub.shutdown();
    let (told, _) = client.until_end().await;
    assert!(
        matches!(told.last(), Some(Told::Closing { reason, .. }) if reason == "shutdown"),
        "{told:?}"
    );
    server.is_free_of(&["room"]).await;
}

async fn a_handler_that_panics_ends_its_own_session_and_says_so(under: Under) {
    let calls = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under).on_message({
        let calls = Arc::clone(&calls);
        move |channel: Channel, message: Inbound| {
            assert!(message.event != "at once", "a test's panic");
            let calls = Arc::clone(&calls);
            async move {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                assert!(message.event != "later", "a test's panic");
                channel.publish(message.into_message()).await
            }
        }
    });
    let server = setup.start().await;
    let mut other = server.dial("room").open().await;
    for event in ["at once", "later"] {
        let mut client = server.dial("room").open().await;
        client.send(&json!({ "event": event, "ref": 1 })).await;
        client.send(&json!({ "event": "after it", "ref": 2 })).await;
        assert_eq!(client.closing().await, ("internal".into(), true));
    }
    assert!(matches!(
        other
            .ask(&json!({ "event": "e", "data": "fine", "ref": 1 }))
            .await,
        Told::Reply { .. }
    ));
    other.cut();
    server.is_free_of(&["room"]).await;
}

/// The handler counts by whom it serves, whichever way the message came.
async fn one_rate_holds_for_messages_and_posts_together(under: Under) {
    let limit = RateLimit::new(Rate::per_second(1).burst(4));
    let setup = Setup::new(under).on_message(move |channel: Channel, _| {
        let limit = limit.clone();
        async move {
            limit.check(channel.name())?;
            Ok::<_, Error>(Reply::empty())
        }
    });
    let server = setup.start().await;
    let mut client = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    let message = json!({ "event": "e", "ref": 1 });
    for _ in 0..2 {
        assert!(matches!(client.ask(&message).await, Told::Reply { .. }));
        assert_eq!(server.say("room", &message).await.status(), 200);
    }
    let refused = server.say("room", &message).await;
    assert_eq!(
        (refused.status(), refused.json()["code"].as_str()),
        (429, Some("too-fast"))
    );
    assert_eq!(refused.head.get("retry-after"), Some("1"));
    let told = client.ask(&message).await;
    assert!(
        matches!(&told, Told::Error { code, retry: Some(1..=1_000), .. } if code == "too-fast"),
        "{told:?}"
    );
    assert_eq!(
        server.say("other", &message).await.status(),
        200,
        "another's rate is untouched"
    );
}
