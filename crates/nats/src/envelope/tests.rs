//! Messages go through NATS and come back the same; garbage is told.

use async_nats::HeaderMap;
use bytes::Bytes;
use dualcast_core::{Identity, MAX_EVENT_BYTES, MAX_KEY_BYTES, Message, MessageError, Payload};
use futures::StreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::time;

use super::*;
use crate::fixture::{Fixture, PATIENCE, name};
use crate::stamp::Stamp;

fn subjects() -> Subjects {
    Subjects::new("shop")
}

/// A text that core allows in an event name or a key, by its bytes, with what is awkward in headers.
fn text(max_bytes: usize) -> impl Strategy<Value = String> {
    let text = "([ :%;,\"=\u{a0}\u{2003}]|\\PC|[a-zA-Z]){1,40}";
    text.prop_filter("short enough", move |text| text.len() <= max_bytes)
}

fn key() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        text(MAX_KEY_BYTES),
        "[\r\n\t\0 %]{0,5}",
        Just(String::new())
    ])
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        "(\\PC|[\r\n\0]){0,60}".prop_map(|text| Payload::Text(text.into())),
        ("\\PC{0,20}", any::<i64>())
            .prop_map(|(text, number)| serde_json::json!({ "t": text, "n": [number, null] }))
            .prop_map(|json| Payload::Json(json.to_string().into())),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| Payload::Binary(bytes.into())),
    ]
}

/// Any message that core would let be published.
fn messages() -> impl Strategy<Value = Message> {
    let event = prop_oneof![text(MAX_EVENT_BYTES), Just("message".to_owned())];
    let message = (event, payload(), key(), key(), key(), any::<bool>());
    let message = message.prop_map(|(event, payload, conflation, idempotency, sender, is_volatile)| {
        let mut message = Message::new(event, payload);
        if let Some(key) = conflation {
            message = message.conflation_key(key);
        }
        if let Some(sender) = sender {
            message = message.sender(Identity::new(sender));
        }
        match idempotency {
            Some(key) => message.idempotency_key(key),
            None if is_volatile => message.volatile(),
            None => message,
        }
    });
    message.prop_filter("what core allows", |message| message.check().is_ok())
}

fn assert_same(read: Incoming, channel: &ChannelName, message: &Message) {
    let Incoming::Message(read_channel, read) = read else {
        panic!("a message, not {read:?}")
    };
    assert_eq!(&read_channel, channel);
    assert_eq!(read.event(), message.event());
    assert_eq!(read.payload(), message.payload());
    assert_eq!(read.get_conflation_key(), message.get_conflation_key());
    assert_eq!(read.get_sender(), message.get_sender());
    assert_eq!(read.is_volatile(), message.is_volatile());
}

proptest! {
    #[test]
    fn every_message_comes_back_the_same(message in messages()) {
        let (subjects, channel) = (subjects(), name("room.42"));
        let Outgoing { subject, headers, payload } = Outgoing::message(&subjects, &channel, &message);
        let read = if message.is_volatile() {
            Incoming::volatile(&subjects, &subject, &headers, payload)
        } else {
            Incoming::record(&subjects, &subject, &headers, payload)
        };
        assert_same(read.unwrap(), &channel, &message);
    }

    #[test]
    fn nothing_that_comes_makes_reading_panic(
        subject in prop_oneof![Just("shop.log.room".to_owned()), Just("shop.log.$control".to_owned()), "\\PC{0,20}"],
        lines in prop::collection::vec((0..OURS.len(), prop_oneof![
            "\\PC{0,20}", "[%0-9a-f]{0,8}", "text|json|binary|1|disconnect|unsubscribe|canary",
        ]), 0..6),
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40), "[{}\\[\\]\",:0-9a-z ]{0,20}".prop_map(String::into_bytes),
        ],
    ) {
        let mut headers = HeaderMap::new();
        for (header, value) in lines {
            headers.append(OURS[header], value);
        }
        let payload = Bytes::from(payload);
        let record = Incoming::record(&subjects(), &subject, &headers, payload.clone());
        if let Ok(Incoming::Message(_, message)) = record {
            prop_assert_eq!(message.check(), Ok(()));
        }
        let _ = Incoming::volatile(&subjects(), &subject, &headers, payload);
    }
}

const OURS: [&str; 8] = [EVENT, TYPE, KEY, SENDER, FINISH, ORDER, IDENTITY, CHANNEL];

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, *value);
    }
    headers
}

fn read(lines: &[(&'static str, &str)], payload: &'static [u8]) -> Result<Incoming, Garbage> {
    Incoming::record(
        &subjects(),
        "shop.log.room",
        &headers(lines),
        Bytes::from_static(payload),
    )
}

#[test]
fn what_has_no_header_is_a_message_with_text() {
    let Ok(Incoming::Message(channel, message)) = read(&[], b"hello") else {
        panic!("a message")
    };
    assert_eq!((channel.as_str(), message.event()), ("room", "message"));
    assert_eq!(message.payload(), &Payload::Text("hello".into()));
    let Ok(Incoming::Message(_, message)) = read(&[], b"\xff") else {
        panic!("a message")
    };
    assert_eq!(message.payload(), &Payload::Binary(Bytes::from_static(b"\xff")));
}

#[test]
fn what_only_claims_to_be_json_is_text() {
    for claim in ["{", "", "yes", "1 2"] {
        let message = Message::new("note", Payload::Json(claim.into()));
        let Outgoing { headers, payload, .. } = Outgoing::message(&subjects(), &name("room"), &message);
        let read = Incoming::record(&subjects(), "shop.log.room", &headers, payload).unwrap();
        let Incoming::Message(_, read) = read else {
            panic!("a message, not {read:?}")
        };
        assert_eq!(read.payload(), &Payload::Text(claim.into()));
    }
}

#[test]
fn garbage_says_what_is_wrong_with_it() {
    let wrong = |lines: &[(&'static str, &str)], payload| read(lines, payload).unwrap_err();
    let at =
        |subject: &str| Incoming::record(&subjects(), subject, &HeaderMap::new(), Bytes::new()).unwrap_err();
    assert_eq!(at("shop.log.a..b"), Garbage::Subject);
    assert_eq!(at("other.log.room"), Garbage::Subject);
    assert_eq!(wrong(&[(EVENT, "a"), (EVENT, "b")], b""), Garbage::Doubled(EVENT));
    assert_eq!(wrong(&[(EVENT, "100% sure")], b""), Garbage::Encoding(EVENT));
    assert_eq!(wrong(&[(KEY, "%ff")], b""), Garbage::Encoding(KEY));
    assert_eq!(
        wrong(&[(EVENT, "")], b""),
        Garbage::Message(MessageError::EventEmpty)
    );
    assert_eq!(
        wrong(&[(EVENT, "a%0Ab")], b""),
        Garbage::Message(MessageError::EventCharacter { found: '\n' })
    );
    assert!(matches!(
        wrong(&[(EVENT, "dualcast:gap")], b""),
        Garbage::Message(MessageError::EventReserved { .. })
    ));
    assert_eq!(wrong(&[(TYPE, "xml")], b""), Garbage::Type);
    assert_eq!(wrong(&[(TYPE, "text")], b"\xff"), Garbage::Text);
    for json in [&b""[..], b"{", b"nul", b"1 2", b"\"\xff\"", b"{\"a\":}"] {
        assert_eq!(
            wrong(&[(TYPE, "json")], json),
            Garbage::Json,
            "{}",
            json.escape_ascii()
        );
    }
    assert_eq!(wrong(&[(FINISH, "1")], b"and more"), Garbage::Finish);
    assert_eq!(wrong(&[(FINISH, "yes")], b""), Garbage::Finish);
    // Nested deeper than one wants to follow.
    assert_eq!(wrong(&[(TYPE, "json")], DEEP.as_bytes()), Garbage::Json);
}

static DEEP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "[".repeat(1 << 20));

#[test]
fn orders_come_back_the_same() {
    let anna = Identity::new(" anna\r\n%");
    let told = |order| {
        Order::Nodes(Told {
            order,
            by: "4712".to_owned(),
            age: Duration::from_millis(17),
        })
    };
    for order in [
        told(NodesOrder::Disconnect(anna.clone())),
        told(NodesOrder::Unsubscribe(anna, name("room.42"))),
        Order::Canary("4711".to_owned()),
        Order::Life,
    ] {
        let Outgoing {
            subject,
            headers,
            payload,
        } = Outgoing::order(&subjects(), &order);
        assert_eq!(subject, "shop.log.$control");
        let read = Incoming::record(&subjects(), &subject, &headers, payload);
        assert!(matches!(read, Ok(Incoming::Order(read)) if read == order));
    }
}

#[test]
fn an_order_that_lacks_something_is_none() {
    let at = |lines: &[(&'static str, &str)], payload: &[u8]| {
        let payload = Bytes::copy_from_slice(payload);
        Incoming::record(&subjects(), "shop.log.$control", &headers(lines), payload).unwrap_err()
    };
    assert_eq!(at(&[], b""), Garbage::Order);
    assert_eq!(at(&[(ORDER, "dance")], b""), Garbage::Order);
    assert_eq!(at(&[(ORDER, "disconnect")], b""), Garbage::Order);
    assert_eq!(
        at(&[(ORDER, "unsubscribe"), (IDENTITY, "a")], b""),
        Garbage::Order
    );
    assert_eq!(
        at(&[(ORDER, "unsubscribe"), (IDENTITY, "a"), (CHANNEL, "a..b")], b""),
        Garbage::Order
    );
    assert_eq!(at(&[(ORDER, "canary")], &[b'x'; 65]), Garbage::Order);
    assert_eq!(at(&[(ORDER, "canary")], b"\xff"), Garbage::Order);
    // Elsewhere it is no order, but a header that nobody asks for.
    assert!(matches!(
        read(&[(ORDER, "disconnect"), (IDENTITY, "a")], b"x"),
        Ok(Incoming::Message(..))
    ));
}

#[test]
fn only_an_end_is_an_end() {
    let Outgoing {
        subject,
        headers,
        payload,
    } = Outgoing::finish(&subjects(), &name("room"));
    let read = Incoming::record(&subjects(), &subject, &headers, payload);
    assert!(matches!(read, Ok(Incoming::Finish(channel)) if channel.as_str() == "room"));
}

#[tokio::test]
async fn every_message_comes_back_the_same_from_a_server() {
    let fixture = Fixture::start().await;
    let channel = name("room.42");
    let live = fixture
        .client
        .subscribe(fixture.subjects.every_live())
        .await
        .unwrap();
    let volatile = fixture
        .client
        .subscribe(fixture.subjects.volatile(&channel))
        .await
        .unwrap();
    let (mut live, mut volatile) = (live, volatile);
    fixture.client.flush().await.unwrap();
    let mut runner = TestRunner::deterministic();
    let mut logged = 0;
    for _ in 0..500 {
        let message = messages().new_tree(&mut runner).unwrap().current();
        let outgoing = Outgoing::message(&fixture.subjects, &channel, &message);
        let is_volatile = message.is_volatile();
        let heard = if is_volatile {
            let Outgoing {
                subject,
                headers,
                payload,
            } = outgoing;
            fixture
                .client
                .publish_with_headers(subject, headers, payload)
                .await
                .unwrap();
            time::timeout(PATIENCE, volatile.next()).await.unwrap().unwrap()
        } else {
            let ack = fixture.publish(outgoing).await;
            if ack.duplicate {
                continue;
            }
            logged += 1;
            assert_eq!(ack.sequence, logged);
            time::timeout(PATIENCE, live.next()).await.unwrap().unwrap()
        };
        let none = HeaderMap::new();
        let headers = heard.headers.as_ref().unwrap_or(&none);
        let payload = Bytes::copy_from_slice(&heard.payload);
        let read = if is_volatile {
            Incoming::volatile(&fixture.subjects, &heard.subject, headers, payload)
        } else {
            let stamp = Stamp::of_live(
                &heard.subject,
                Some(headers),
                &fixture.subjects,
                fixture.stream.name(),
            );
            let stamp = stamp.unwrap();
            assert_eq!(stamp.sequence, logged);
            Incoming::record(&fixture.subjects, &stamp.subject, headers, payload)
        };
        assert_same(read.unwrap(), &channel, &message);
    }
    assert!(logged > 100, "{logged}");
}

#[tokio::test]
async fn a_forged_stamp_is_not_believed() {
    let fixture = Fixture::start().await;
    let stream = fixture.stream.name();
    let mut live = fixture
        .client
        .subscribe(fixture.subjects.every_live())
        .await
        .unwrap();
    fixture.client.flush().await.unwrap();
    let forged = headers(&[
        ("Nats-Stream", "shop"),
        ("Nats-Subject", "shop.log.other"),
        ("Nats-Sequence", "999999"),
        ("Nats-Time-Stamp", "2000-01-01T00:00:00Z"),
    ]);
    let subject = fixture.subjects.log(&name("room"));
    let ack = crate::fixture::publish(&fixture.client, &subject, forged.clone(), "x".into()).await;
    assert_eq!(ack.sequence, 1);
    let heard = time::timeout(PATIENCE, live.next()).await.unwrap().unwrap();
    let stamp = Stamp::of_live(&heard.subject, heard.headers.as_ref(), &fixture.subjects, stream).unwrap();
    assert_eq!((stamp.sequence, &*stamp.subject), (1, "shop.log.room"));
    assert!(stamp.timestamp_ns > 1_700_000_000_000_000_000);

    // Published past the stream, without a stamp or with that of another channel.
    for headers in [HeaderMap::new(), forged] {
        let sent = fixture
            .client
            .publish_with_headers("shop.live.room", headers, "x".into());
        sent.await.unwrap();
        let heard = time::timeout(PATIENCE, live.next()).await.unwrap().unwrap();
        let stamp = Stamp::of_live(&heard.subject, heard.headers.as_ref(), &fixture.subjects, stream);
        assert_eq!(stamp, Err(Garbage::Stamp));
    }
}

#[tokio::test]
async fn a_repeat_is_known_on_its_channel_and_of_its_sender_alone() {
    let fixture = Fixture::start().await;
    let publish = async |channel: &str, sender: &'static str| {
        let message = Message::text("e", "x")
            .idempotency_key("1")
            .sender(Identity::new(sender));
        let ack = fixture
            .publish(Outgoing::message(&fixture.subjects, &name(channel), &message))
            .await;
        (ack.sequence, ack.duplicate)
    };
    assert_eq!(publish("a", "anna").await, (1, false));
    assert_eq!(publish("a", "anna").await, (1, true));
    assert_eq!(publish("b", "anna").await, (2, false));
    assert_eq!(publish("a", "ben").await, (3, false));
}

#[tokio::test]
async fn a_size_is_what_the_server_counts() {
    let server = dualcast_nats_server::NatsServer::builder()
        .config("max_payload: 2048")
        .start()
        .await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut events = client.subscribe("shop.>").await.unwrap();
    let message = |bytes: usize| {
        let message = Message::binary("image", vec![7; bytes])
            .conflation_key("k")
            .sender(Identity::new("a b%"));
        Outgoing::message(&subjects(), &name("room"), &message)
    };
    let overhead = message(0).size();
    for size in [2048, 2049] {
        let Outgoing {
            subject,
            headers,
            payload,
        } = message(size - overhead);
        let sent = client.publish_with_headers(subject, headers, payload).await;
        assert_eq!(sent.is_ok(), size <= 2048, "{size}");
    }
    client.flush().await.unwrap();
    assert_eq!(
        time::timeout(PATIENCE, events.next())
            .await
            .unwrap()
            .unwrap()
            .payload
            .len(),
        2048 - overhead
    );
}
