//! Inbound: what clients send, by WebSocket or by the companion POST, to the very same handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Channel, Error, Identity, Inbound, Payload, Reply};
use dualcast_tests::{Frame, Server, Setup, Told, Under, contract, eventually};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_tungstenite::tungstenite::Message;

contract!(
    over nats servers: the_handler_answers_the_same_on_both_transports,
    what_a_client_sends_reaches_the_followers_of_both_transports,
    a_repeat_with_the_same_key_is_answered_with_the_first_position,
    a_message_to_a_route_that_takes_none_is_refused,
);
contract!(servers: what_is_no_message_is_refused_with_a_code_and_the_connection_lasts);
contract!(
    ws: a_reply_bears_the_reference_whatever_json_it_is,
    a_message_without_a_reference_is_answered_only_when_it_is_refused,
    a_binary_message_reaches_the_handler,
    messages_of_one_client_are_handled_in_order_and_one_at_a_time,
    a_handler_goes_on_though_its_client_does_not_read,
    a_reply_is_not_starved_by_a_busy_channel,
    a_message_that_came_before_the_goodbye_is_handled,
    a_handler_finishes_though_its_client_vanished,
);
contract!(ws: a_slow_handler_pushes_back_and_loses_nothing);

/// A handler of every kind of answer.
async fn answer(channel: Channel, message: Inbound) -> Result<Reply, Error> {
    match message.event.as_str() {
        "echo" => {
            let data: Value = match &message.payload {
                Payload::Text(text) => json!({ "text": text }),
                Payload::Json(json) => json!({ "json": serde_json::from_str::<Value>(json)? }),
                Payload::Binary(bytes) => json!({ "bytes": bytes.to_vec() }),
            };
            Ok(Reply::json(&data))
        }
        "nothing" => Ok(Reply::empty()),
        "number" => Ok(Reply::json(&message.json::<u8>()?)),
        "text" => Ok(Reply::json(message.text()?)),
        "publish" => Ok(channel
            .publish(message.into_message().sender(Identity::new("ann")))
            .await?
            .into()),
        "refuse" => Err(Error::new(
            StatusCode::FORBIDDEN,
            "read-only",
            "you can only look",
        )),
        _ => Err(Error::new(
            StatusCode::NOT_FOUND,
            "no-event",
            format!("no such event: {:?}", message.event),
        )),
    }
}

async fn answering(under: Under) -> Server {
    Setup::new(under).on_message(answer).start().await
}

async fn the_handler_answers_the_same_on_both_transports(under: Under) {
    let server = answering(under).await;
    let mut client = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    let cases = [
        (
            json!({ "event": "echo", "data": "a\r\n\0😀" }),
            200,
            json!({ "data": { "text": "a\r\n\0😀" } }),
        ),
        (
            json!({ "event": "echo", "data": { "a": [1, null] } }),
            200,
            json!({ "data": { "json": { "a": [1, null] } } }),
        ),
        (
            json!({ "event": "echo", "data": null }),
            200,
            json!({ "data": { "json": null } }),
        ),
        (
            json!({ "event": "echo" }),
            200,
            json!({ "data": { "json": null } }),
        ),
        (json!({ "event": "nothing", "data": 1 }), 200, json!({})),
        (json!({ "event": "number", "data": 7 }), 200, json!({ "data": 7 })),
        (
            json!({ "event": "number", "data": 700 }),
            400,
            json!({ "code": "bad-data" }),
        ),
        (
            json!({ "event": "text", "data": 7 }),
            400,
            json!({ "code": "bad-data" }),
        ),
        (
            json!({ "event": "refuse" }),
            403,
            json!({ "code": "read-only", "message": "you can only look" }),
        ),
        (json!({ "event": "" }), 404, json!({ "code": "no-event" })),
        (
            json!({ "event": "publish", "key": "k".repeat(201) }),
            400,
            json!({ "code": "bad-message" }),
        ),
    ];
    for (message, status, expected) in cases {
        let answer = server.say("room", &message).await;
        assert_eq!(answer.status(), status, "{message}: {}", answer.text());
        assert_eq!(answer.head.get("content-type"), Some("application/json"));
        let posted = answer.json();
        let mut with_reference = message.clone();
        with_reference["ref"] = json!(1);
        client.send(&with_reference).await;
        let sent = client.answer().await;
        let expected_control = if status == 200 { "reply" } else { "error" };
        assert_eq!(posted["control"], expected_control);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&posted[field], value, "{message}: {posted}");
        }
        match (Told::from_answer(&posted), sent) {
            (Told::Reply { data: posted, .. }, Told::Reply { reference, data }) => {
                assert_eq!((reference, data), (Some(json!(1)), posted), "{message}");
            }
            (
                Told::Error { code, message, .. },
                Told::Error {
                    reference,
                    code: sent,
                    message: text,
                    ..
                },
            ) => {
                assert_eq!((reference, sent, text), (Some(json!(1)), code, message));
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

async fn what_a_client_sends_reaches_the_followers_of_both_transports(under: Under) {
    let server = answering(under).await;
    let mut ws = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    let mut sse = server.dial_by(dualcast::Transport::Sse, "room").open().await;
    ws.send(&json!({ "event": "publish", "data": "by WebSocket", "ref": "r" }))
        .await;
    let Told::Reply { data: Some(data), .. } = ws.answer().await else {
        panic!("a reply")
    };
    for client in [&mut ws, &mut sse] {
        let told = client.next().await;
        assert_eq!((told.text(), told.id()), ("by WebSocket", data["id"].as_str()));
    }
    let answer = server
        .say("room", &json!({ "event": "publish", "data": { "by": "POST" } }))
        .await;
    for client in [&mut ws, &mut sse] {
        let told = client.next().await;
        assert_eq!(
            (told.text(), told.id()),
            (r#"{"by":"POST"}"#, answer.json()["data"]["id"].as_str())
        );
    }
}

async fn a_repeat_with_the_same_key_is_answered_with_the_first_position(under: Under) {
    let server = answering(under).await;
    let mut client = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    let message = json!({ "event": "publish", "data": "once", "key": "k", "ref": 1 });
    client.send(&message).await;
    let first = client.answer().await;
    client.send(&message).await;
    assert_eq!(client.answer().await, first);
    let Told::Reply { data, .. } = first else {
        panic!("a reply")
    };
    assert_eq!(server.say("room", &message).await.json()["data"], data.unwrap());
    server.publish("room", "then").await;
    assert_eq!(client.texts(2).await, ["once", "then"]);
}

async fn what_is_no_message_is_refused_with_a_code_and_the_connection_lasts(under: Under) {
    let server = answering(under).await;
    let mut client = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    for text in [
        "",
        "null",
        "[]",
        "{",
        "{}",
        r#"{"event":1}"#,
        r#"{"event":"e","data":"\ud800"}"#,
        "\"e\"",
        "{\"event\":\"e\"} x",
    ] {
        let answer = server.say_text("room", text, "").await;
        assert_eq!(
            (answer.status(), &answer.json()["code"]),
            (400, &json!("bad-message")),
            "{text}"
        );
        client.send_message(Message::text(text)).await;
        let told = client.next().await;
        assert!(
            matches!(&told, Told::Error { code, .. } if code == "bad-message"),
            "{text}: {told:?}"
        );
    }
    let answer = server.request(format!(
        "POST /say?channels=room HTTP/1.1\r\nhost: {}\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\n{{\"event\":\"e\"}}",
        server.address
    ));
    let answer = answer.await;
    assert_eq!(
        (answer.status(), &answer.json()["code"]),
        (415, &json!("bad-type")),
        "no form can post it"
    );
    client.send(&json!({ "event": "nothing", "ref": 1 })).await;
    assert!(matches!(client.next().await, Told::Reply { .. }));
}

async fn a_message_to_a_route_that_takes_none_is_refused(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server
        .dial_by(dualcast::Transport::WebSocket, "room")
        .open()
        .await;
    client.send(&json!({ "event": "e", "ref": "r" })).await;
    let told = client.next().await;
    let is_refused =
        matches!(&told, Told::Error { reference: Some(r), code, .. } if r == "r" && code == "no-inbound");
    assert!(is_refused, "{told:?}");
    server.publish("room", "goes on").await;
    assert_eq!(client.next().await.text(), "goes on");
}

async fn a_reply_bears_the_reference_whatever_json_it_is(under: Under) {
    let server = answering(under).await;
    let mut client = server.dial("room").open().await;
    for reference in [
        json!(0),
        json!("r"),
        json!([1, { "a": "b" }]),
        json!(true),
        json!({}),
        json!(""),
    ] {
        client
            .send(&json!({ "event": "echo", "data": 1, "ref": reference }))
            .await;
        let expected = Told::Reply {
            reference: Some(reference),
            data: Some(json!({ "json": 1 })),
        };
        assert_eq!(client.next().await, expected);
    }
}

async fn a_message_without_a_reference_is_answered_only_when_it_is_refused(under: Under) {
    let server = answering(under).await;
    let mut client = server.dial("room").open().await;
    client.send(&json!({ "event": "nothing" })).await;
    client.send(&json!({ "event": "refuse" })).await;
    let told = client.next().await;
    assert!(
        matches!(&told, Told::Error { reference: None, code, .. } if code == "read-only"),
        "{told:?}"
    );
}

async fn a_binary_message_reaches_the_handler(under: Under) {
    let server = answering(under).await;
    let mut client = server.dial("room").open().await;
    let frame = [&b"{\"event\":\"echo\",\"ref\":7}\n"[..], &[0, b'\n', 255]].concat();
    client.send_message(Message::binary(frame)).await;
    let expected = Told::Reply {
        reference: Some(json!(7)),
        data: Some(json!({ "bytes": [0, 10, 255] })),
    };
    assert_eq!(client.next().await, expected);
    for frame in [&b""[..], b"{}", b"\n", b"\xff\n"] {
        client.send_message(Message::binary(frame.to_vec())).await;
        assert!(matches!(client.next().await, Told::Error { code, .. } if code == "bad-message"));
    }
}

async fn messages_of_one_client_are_handled_in_order_and_one_at_a_time(under: Under) {
    let busy = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under).on_message({
        let busy = Arc::clone(&busy);
        move |_, message: Inbound| {
            let busy = Arc::clone(&busy);
            async move {
                assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                let number: u64 = message.json()?;
                // The first ones take the longest.
                time::sleep(Duration::from_micros(500 * (10 - number % 10))).await;
                busy.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Error>(Reply::json(&number))
            }
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    for number in 0..60 {
        client
            .send(&json!({ "event": "e", "data": number, "ref": number }))
            .await;
    }
    for number in 0..60 {
        let expected = Told::Reply {
            reference: Some(json!(number)),
            data: Some(json!(number)),
        };
        assert_eq!(client.next().await, expected);
    }
}

async fn a_slow_handler_pushes_back_and_loses_nothing(under: Under) {
    let (gate, handled) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let setup = Setup::new(under).on_message({
        let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
        move |_, message: Inbound| {
            let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
            async move {
                handled.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                Reply::json(&message.payload.len())
            }
        }
    });
    let server = setup.start().await;
    let mut frames = server.frames("room").await;
    let text = json!({ "event": "e", "data": "x".repeat(50 << 10), "ref": 1 }).to_string();
    let bytes = Frame::text(&text).masked();
    // As much as the kernel takes. What it doesn't take, a client of its own would wait with.
    let mut sent = 0;
    while time::timeout(Duration::from_millis(300), frames.send_bytes(&bytes))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 2_000, "nothing pushes back");
    }
    eventually("the first is handled", || handled.load(Ordering::SeqCst) > 0).await;
    assert_eq!(handled.load(Ordering::SeqCst), 1, "the others wait");
    gate.add_permits(Semaphore::MAX_PERMITS);
    frames.until(Frame::TEXT).await;
    for _ in 0..sent {
        let reply = frames.until(Frame::TEXT).await;
        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert_eq!(reply, json!({ "control": "reply", "ref": 1, "data": 50 << 10 }));
    }
}

/// The handler may hold what others wait for.
async fn a_handler_goes_on_though_its_client_does_not_read(under: Under) {
    let (gate, is_done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).small_buffers().on_message({
        let (gate, is_done) = (Arc::clone(&gate), Arc::clone(&is_done));
        move |_, _| {
            let (gate, is_done) = (Arc::clone(&gate), Arc::clone(&is_done));
            async move {
                gate.acquire().await.unwrap().forget();
                is_done.add_permits(1);
            }
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").slow().open().await;
    client.send(&json!({ "event": "e", "ref": 1 })).await;
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    gate.add_permits(1);
    let done = time::timeout(Duration::from_secs(20), is_done.acquire());
    done.await
        .expect("the handler is not held up by its client")
        .unwrap()
        .forget();
    assert!(matches!(client.answer().await, Told::Reply { .. }));
}

async fn a_reply_is_not_starved_by_a_busy_channel(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .hub(|hub| hub.log(|log| log.max_records = 50))
        .on_message(answer);
    let server = setup.start().await;
    let room = server.channel("room");
    let publisher = tokio::spawn(async move {
        loop {
            let message = dualcast::Message::text("message", "x".repeat(4 << 10));
            room.publish(message).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let mut client = server.dial("room").slow().open().await;
    for reference in 0..5 {
        client
            .send(&json!({ "event": "nothing", "ref": reference }))
            .await;
        let mut before = 0;
        loop {
            match client.next().await {
                Told::Reply { .. } => break,
                _ => before += 1,
            }
            assert!(before < 5_000, "no reply among so many messages");
        }
    }
    publisher.abort();
}

async fn a_message_that_came_before_the_goodbye_is_handled(under: Under) {
    let setup = Setup::new(under).on_message(|channel: Channel, message: Inbound| async move {
        // As long as a database takes.
        time::sleep(Duration::from_millis(20)).await;
        channel.publish(message.into_message()).await
    });
    let server = setup.start().await;
    let mut follower = server.dial_by(dualcast::Transport::Sse, "room").open().await;
    let mut client = server.dial("room").open().await;
    client.send(&json!({ "event": "e", "data": "first" })).await;
    client.send(&json!({ "event": "e", "data": "last words" })).await;
    client.say_goodbye().await;
    assert_eq!(follower.texts(2).await, ["first", "last words"]);
    let (_, end) = client.until_end().await;
    assert_eq!(
        end,
        dualcast_tests::End::Complete(Some(1005)),
        "and the goodbye is answered"
    );
}

/// Half of "store it, then publish it" would leave others with something that they are never told of.
async fn a_handler_finishes_though_its_client_vanished(under: Under) {
    let (gate, handling) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).on_message({
        let (gate, handling) = (Arc::clone(&gate), Arc::clone(&handling));
        move |channel: Channel, message: Inbound| {
            let (gate, handling) = (Arc::clone(&gate), Arc::clone(&handling));
            async move {
                handling.add_permits(1);
                gate.acquire().await.unwrap().forget();
                channel.publish(message.into_message()).await
            }
        }
    });
    let server = setup.start().await;
    for is_told in [false, true] {
        let before = server.hub.position();
        let mut client = server.dial("room").open().await;
        client.send(&json!({ "event": "e", "data": "stored" })).await;
        handling.acquire().await.unwrap().forget();
        if is_told {
            server.hub.shutdown();
            client.until_end().await;
        }
        client.cut();
        server.is_free_of(&["room"]).await;
        assert_eq!(server.hub.position(), before);
        gate.add_permits(1);
        eventually("it is published", || server.hub.position() > before).await;
    }
}
