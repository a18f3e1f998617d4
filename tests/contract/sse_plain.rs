//! Plain event streams: nothing on them but messages, comments, error objects and `[DONE]`.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dualcast::{Hub, Message, Position, Sse};
use dualcast_tests::{Event, EventStream, Http, Server, Setup, Under, contract};
use serde_json::{Value, json};

contract!(
    over nats sse: a_plain_stream_has_messages_and_done_and_no_other_event,
    a_plain_stream_that_is_closed_says_so_by_an_error_object_and_not_done,
    a_plain_stream_above_a_limit_says_so_by_an_error_object,
    a_client_that_has_all_of_a_plain_stream_is_answered_204,
    plain_streams_and_others_of_one_channel_each_end_in_their_own_way,
);
contract!(
    sse: a_plain_stream_ends_at_a_gap_with_an_error_object_and_not_done,
    no_block_of_a_plain_stream_is_without_data,
);

fn plain(under: Under) -> Setup {
    Setup::new(under)
        .session(|options| options.heartbeat = Duration::from_millis(20))
        .sse(|options| options.is_plain = true)
        .subscribe(dualcast::Subscribe::from_start)
}

/// A client, with the status of its answer.
struct Reader {
    http: Http,
    framing: dualcast_tests::Body,
    status: u16,
    stream: EventStream,
    raw: String,
}

impl Reader {
    async fn open(server: &Server, channel: &str, cursor: Option<Position>) -> Self {
        Self::open_at(server, &format!("/sse?channels={channel}"), cursor).await
    }

    async fn open_at(server: &Server, target: &str, cursor: Option<Position>) -> Self {
        let mut http = server.http().await;
        let cursor = cursor.map_or_else(String::new, |cursor| format!("last-event-id: {cursor}\r\n"));
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n{cursor}\r\n");
        http.send(request).await.unwrap();
        let head = http.head().await.unwrap();
        Self {
            http,
            framing: head.body(),
            status: head.status,
            stream: EventStream::default(),
            raw: String::new(),
        }
    }

    /// More of the stream; no more at its end.
    async fn read(&mut self) -> bool {
        let Some(piece) = self.http.body(&mut self.framing).await.unwrap() else {
            return false;
        };
        self.stream.feed(&piece);
        self.raw.push_str(std::str::from_utf8(&piece).unwrap());
        true
    }

    async fn until_end(mut self) -> (Vec<Event>, String) {
        while self.read().await {}
        let events = std::iter::from_fn(|| self.stream.event()).collect();
        (events, self.raw)
    }
}

fn message(position: Position, data: &str) -> Event {
    Event {
        event: "message".into(),
        data: data.into(),
        id: Some(position.to_string()),
        unknown: Vec::new(),
    }
}

fn error(event: &Event) -> Value {
    assert_eq!(event.event, "message");
    let object: Value = serde_json::from_str(&event.data).unwrap();
    assert!(object["error"]["message"].is_string(), "{object}");
    object["error"].clone()
}

async fn a_plain_stream_has_messages_and_done_and_no_other_event(under: Under) {
    let server = plain(under).start().await;
    let first = server.publish("run", r#"{"n":1}"#).await;
    let mut reader = Reader::open(&server, "run", None).await;
    while reader.stream.comments().len() < 3 {
        assert!(reader.read().await);
    }
    let volatile = Message::text("message", r#"{"n":0}"#).volatile();
    server.channel("run").publish(volatile).await.unwrap();
    while !reader.raw.contains(r#"{"n":0}"#) {
        assert!(reader.read().await);
    }
    let second = server.publish("run", r#"{"n":2}"#).await;
    let end = server.channel("run").finish().await.unwrap();
    let (events, raw) = reader.until_end().await;
    let volatile = Event {
        event: "message".into(),
        data: r#"{"n":0}"#.into(),
        id: None,
        unknown: Vec::new(),
    };
    let expected = [
        message(first, r#"{"n":1}"#),
        volatile,
        message(second, r#"{"n":2}"#),
        message(end, "[DONE]"),
    ];
    assert_eq!(events, expected);
    assert!(!raw.contains("event:") && !raw.contains("dualcast"), "{raw}");
}

async fn a_plain_stream_ends_at_a_gap_with_an_error_object_and_not_done(under: Under) {
    let server = plain(under)
        .hub(|hub| hub.log(|log| log.max_records = 2))
        .start()
        .await;
    let all = server.publish_numbers("run", 1..=4).await;
    server.channel("run").finish().await.unwrap();
    let (events, raw) = Reader::open(&server, "run", Some(all[0])).await.until_end().await;
    let [gap, closing] = &events[..] else {
        panic!("nothing stands between a gap and the end: {events:?}");
    };
    let last = gap.id.clone().unwrap();
    let gap = error(gap);
    assert_eq!(
        (&gap["type"], &gap["code"]),
        (&json!("dualcast_gap"), &json!("trimmed"))
    );
    assert_eq!(gap["gap"]["from"], json!(all[0].to_string()));
    assert_eq!(error(closing)["type"], json!("dualcast_closing"));
    assert!(
        !raw.contains("[DONE]"),
        "what lacks a part never passes for whole: {raw}"
    );

    // What is kept can still be had, from where the gap said.
    let rest = Reader::open(&server, "run", Some(last.parse().unwrap())).await;
    let (events, _) = rest.until_end().await;
    let data: Vec<_> = events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(data, ["4", "[DONE]"], "what is left of it");
}

async fn a_plain_stream_that_is_closed_says_so_by_an_error_object_and_not_done(under: Under) {
    let server = plain(under).start().await;
    server.publish("run", "{}").await;
    let mut reader = Reader::open(&server, "run", None).await;
    while !reader.raw.contains("data: {}") {
        assert!(reader.read().await);
    }
    server.hub.shutdown();
    let (events, _) = reader.until_end().await;
    let [_, closing] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(error(closing)["code"], json!("shutdown"));
    assert_eq!(closing.id, None, "the cursor is still that of the last message");
}

async fn a_plain_stream_above_a_limit_says_so_by_an_error_object(under: Under) {
    let setup = plain(under).hub(|hub| hub.limits(|limits| limits.max_subscriptions = 0));
    let server = setup.start().await;
    let reader = Reader::open(&server, "run", None).await;
    assert_eq!(reader.status, 200);
    let (events, raw) = reader.until_end().await;
    let [closing] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(error(closing)["code"], json!("busy"));
    assert!(raw.starts_with("retry: "), "{raw}");
}

/// The `openai` client for Python takes the end of a block that had a `retry`, an `id` or a comment for an event with empty
/// data, which is no JSON.
async fn no_block_of_a_plain_stream_is_without_data(under: Under) {
    let server = plain(under).start().await;
    let mut reader = Reader::open(&server, "run", None).await;
    while reader.stream.comments().len() < 3 {
        assert!(reader.read().await);
    }
    server.publish("run", "{}").await;
    while reader.stream.comments().len() < 6 {
        assert!(reader.read().await);
    }
    server.channel("run").finish().await.unwrap();
    let (_, raw) = reader.until_end().await;
    let blocks = raw.strip_suffix("\n\n").unwrap().split("\n\n");
    for block in blocks {
        assert!(block.contains("data: "), "{block:?} in {raw}");
    }
}

async fn a_client_that_has_all_of_a_plain_stream_is_answered_204(under: Under) {
    let server = plain(under).start().await;
    let last = server.publish("run", "{}").await;
    let end = server.channel("run").finish().await.unwrap();
    for seen in [last, end] {
        assert_eq!(Reader::open(&server, "run", Some(seen)).await.status, 204);
    }
}

/// They share what a record looks like, but for the last one.
async fn plain_streams_and_others_of_one_channel_each_end_in_their_own_way(under: Under) {
    let setup = plain(under).app(|app: Router, hub: &Hub| {
        let run = hub.channel("run").unwrap();
        app.route("/events", get(|sse: Sse| async move { sse.subscribe(run) }))
    });
    let server = setup.start().await;
    let events = ["/events", "/sse?channels=run", "/events", "/sse?channels=run"];
    let mut readers = Vec::new();
    for target in events {
        let mut reader = Reader::open_at(&server, target, None).await;
        reader.read().await;
        readers.push(reader);
    }
    while server.channel("run").followers() < events.len() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server.publish("run", "{}").await;
    server.channel("run").finish().await.unwrap();
    for (target, reader) in events.into_iter().zip(readers) {
        let (events, _) = reader.until_end().await;
        let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
        let data = events.iter().map(|event| event.data.as_str());
        if target == "/events" {
            let expected = [
                "dualcast:heartbeat",
                "message",
                "dualcast:finished",
                "dualcast:closing",
            ];
            assert_eq!(names, expected);
        } else {
            assert_eq!(data.collect::<Vec<_>>(), ["{}", "[DONE]"]);
        }
    }
}
