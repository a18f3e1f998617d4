//! Payloads: whatever is published arrives as it was, and breaks out of nothing.

use dualcast::{Message, Payload, Transport};
use dualcast_tests::{Client, Data, EventStream, Setup, Told, Under, contract};

contract!(
    over nodes: every_awkward_text_arrives,
    every_awkward_text_arrives_in_the_smallest_bites,
    a_mebibyte_arrives,
    json_arrives_as_it_was_written,
    text_that_claims_to_be_json_and_is_not_arrives_as_text,
    bytes_arrive,
    awkward_event_names_arrive,
);

fn awkward() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "  two leading spaces",
        "\r",
        "\n",
        "\r\n",
        "\n\r",
        "\r\r\n\n",
        "one\r\ntwo\rthree\nfour",
        "ends in a line\n",
        "\n\nbegins with two",
        "a\0b",
        "\0",
        "data: x",
        "id: 1\nevent: dualcast:closing\ndata: {}\n\n",
        ": a comment\nretry: 1",
        "\u{feff}a BOM in front",
        "a BOM \u{feff} inside",
        "\u{2028}\u{2029}\u{85}\u{b}\u{c}",
        "\"quotes\" \\ and \\u0041",
        "</script><!--",
        "😀👩‍👩‍👧‍👦ü\u{301}",
        "\u{10ffff}\u{1}\u{7f}",
    ]
    .map(str::to_owned)
    .into();
    for length in [3, 125, 126, 127, 1_000, 8_190, 65_535, 65_536] {
        texts.push(format!("{}{}", "a".repeat(length % 4), "😀".repeat(length / 4)));
    }
    texts
}

/// The standard of event streams can't tell line endings apart: each arrives as LF.
fn as_it_arrives(text: &str, transport: Transport) -> String {
    match transport {
        Transport::Sse => text.replace("\r\n", "\n").replace('\r', "\n"),
        Transport::WebSocket => text.to_owned(),
    }
}

async fn expect(client: &mut Client, text: &str) {
    let told = client.next().await;
    assert!(
        matches!(
            told,
            Told::Message {
                data: Data::Text(_),
                ..
            }
        ),
        "{told:?}"
    );
    assert_eq!(told.text(), as_it_arrives(text, client.transport()));
}

async fn every_awkward_text_arrives(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let start = client.last_id().to_owned();
    for text in awkward() {
        server.publish("room", &*text).await;
        expect(&mut client, &text).await;
    }
    let mut back = server.dial("room").cursor(&start).open().await;
    for text in awkward() {
        expect(&mut back, &text).await;
    }
}

async fn every_awkward_text_arrives_in_the_smallest_bites(under: Under) {
    let server = Setup::new(under).start().await;
    for bite in [1, 2, 3, 7] {
        let mut client = server.dial("room").bites(bite).open().await;
        for text in awkward().iter().filter(|text| text.len() <= 8_190) {
            server.publish("room", &**text).await;
            expect(&mut client, text).await;
        }
    }
}

async fn a_mebibyte_arrives(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    for line in ["x", "\n", "ab\r\n", "😀", "\0"] {
        let text = line.repeat((1 << 20) / line.len());
        server.publish("room", &*text).await;
        let told = client.next().await;
        assert!(
            told.text() == as_it_arrives(&text, under.transport),
            "a mebibyte of {line:?}"
        );
    }
}

async fn json_arrives_as_it_was_written(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    for value in [
        "null",
        "true",
        "-0.5e-7",
        "\"text\"",
        "[1,[2,{\"a\":null}]]",
        "{\"a\":\"\\n\\u2028\"}",
    ] {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        let message = Message::json("message", &value).unwrap();
        server.channel("room").publish(message).await.unwrap();
        let Told::Message { data, .. } = client.next().await else {
            panic!("a message")
        };
        // A string is a string, whichever way it was published.
        let expected = match value.as_str() {
            Some(text) => Data::Text(text.into()),
            None => Data::Json(value.to_string()),
        };
        assert_eq!(data, expected);
    }
}

async fn text_is_told_from_the_json_that_it_looks_like(under: Under) {
    let server = Setup::new(under).start().await;
    for channels in ["room", "room,other"] {
        let mut client = server.dial(channels).open().await;
        for is_volatile in [false, true] {
            for text in ["5", "null", "{\"a\":1}", "\"quoted\""] {
                let mut messages = [
                    Message::text("message", text),
                    Message::new("message", Payload::Json(text.into())),
                ];
                if is_volatile {
                    messages = messages.map(Message::volatile);
                }
                for message in messages {
                    let expected = match message.payload() {
                        Payload::Json(json) if !json.starts_with('"') => Data::Json(text.into()),
                        Payload::Json(_) => Data::Text("quoted".into()),
                        _ => Data::Text(text.into()),
                    };
                    server.channel("room").publish(message).await.unwrap();
                    let Told::Message { data, .. } = client.next().await else {
                        panic!("a message")
                    };
                    assert_eq!(data, expected);
                }
            }
        }
    }
}

async fn text_that_claims_to_be_json_and_is_not_arrives_as_text(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    for text in ["{", "", "a", "1 2", "[1,]", "\"a\u{1}\"", "\u{feff}1"] {
        let message = Message::new("message", Payload::Json(text.into()));
        server.channel("room").publish(message).await.unwrap();
        expect(&mut client, text).await;
    }
}

async fn bytes_arrive(under: Under) {
    let server = Setup::new(under).start().await;
    let every: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = every.iter().copied().cycle().take(1 << 20).collect();
    // Two rooms: on another node what is volatile in the first may come to whoever opens the same a moment later.
    for (room, channels) in [("room", "room"), ("hall", "hall,other")] {
        let mut client = server.dial(channels).open().await;
        for bytes in [
            vec![],
            vec![0],
            b"\n".to_vec(),
            b"{\"id\":1}\n".to_vec(),
            every.clone(),
            large.clone(),
        ] {
            let message = Message::binary("image", bytes.clone());
            let position = server.channel(room).publish(message).await.unwrap();
            let expected = Told::Message {
                id: Some(position.to_string()),
                channel: (channels != room).then(|| room.into()),
                event: "image".into(),
                data: Data::Binary(bytes),
            };
            assert!(client.next().await == expected);
        }
        let message = Message::binary("image", vec![1]).volatile();
        server.channel(room).publish(message).await.unwrap();
        assert!(matches!(
            client.next().await,
            Told::Message {
                id: None,
                data: Data::Binary(_),
                ..
            }
        ));
    }
}

async fn awkward_event_names_arrive(under: Under) {
    let server = Setup::new(under).start().await;
    let mut one = server.dial("room").open().await;
    let mut several = server.dial("room,other").open().await;
    let long = "n".repeat(100);
    for name in [
        "message",
        "data",
        "a: b",
        " leading",
        "trailing ",
        "a/b/c",
        "ünï😀",
        ":",
        "id",
        "\u{2028}",
        &long,
    ] {
        server
            .channel("room")
            .publish(Message::text(name.to_owned(), "x"))
            .await
            .unwrap();
        for client in [&mut one, &mut several] {
            let Told::Message { event, .. } = client.next().await else {
                panic!("a message")
            };
            assert_eq!(event, name);
        }
    }
}

contract!(text_is_told_from_the_json_that_it_looks_like);
contract!(http1 sse: an_event_stream_reads_the_same_wherever_it_is_cut);

/// Not only where this machine's sockets happen to cut it: the stream itself, fed to the reader in any pieces.
async fn an_event_stream_reads_the_same_wherever_it_is_cut(under: Under) {
    let server = Setup::new(under).start().await;
    let mut http = server.http().await;
    let start = server.hub.position();
    for text in awkward().iter().filter(|text| text.len() <= 130) {
        server.publish("room", &**text).await;
    }
    server.channel("room").finish().await.unwrap();
    let request = format!("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\nlast-event-id: {start}\r\n\r\n");
    http.send(request).await.unwrap();
    let body = http.answer().await.unwrap().body;
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut stream = EventStream::default();
        pieces.for_each(|piece| stream.feed(piece));
        std::iter::from_fn(|| stream.event()).collect::<Vec<_>>()
    };
    let whole = read(&mut [&*body].into_iter());
    assert_eq!(
        whole.len(),
        awkward().iter().filter(|text| text.len() <= 130).count() + 3
    );
    for size in 1..=64 {
        assert_eq!(read(&mut body.chunks(size)), whole, "in pieces of {size}");
    }
}
