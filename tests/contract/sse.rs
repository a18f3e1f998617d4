//! What an event stream is on the wire: its head, its first bytes, its methods, and streams of no channel.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dualcast::{Message, Sse};
use dualcast_tests::{Data, End, Head, HttpServer, HttpVersion, Setup, Told, Under, contract, eventually};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

contract!(
    sse: the_head_is_an_event_streams_and_keeps_caches_and_proxies_away,
    a_stream_of_no_channel_is_sent_and_ends,
    a_stream_of_no_channel_is_asked_only_as_its_client_reads,
    a_stream_of_no_channel_ends_with_its_client,
);
contract!(
    http1 sse: the_first_bytes_say_when_to_come_back_and_where_it_began,
    a_head_request_gets_the_head_and_opens_nothing,
    post_streams_as_get_does,
    a_client_of_http_1_0_is_served_until_the_connection_closes,
    what_a_client_sends_on_the_stream_means_nothing,
    a_stream_of_no_channel_shows_life_by_comments,
);

async fn the_head_is_an_event_streams_and_keeps_caches_and_proxies_away(under: Under) {
    let server = Setup::new(under).start().await;
    let client = server.dial("room").open().await;
    let head = client.head();
    let (version, framing) = match under.version {
        HttpVersion::Http1 => ("HTTP/1.1", Some("chunked")),
        HttpVersion::Http2 => ("HTTP/2.0", None),
    };
    assert_eq!((&*head.version, head.status), (version, 200));
    for (name, value) in [
        ("content-type", Some("text/event-stream")),
        ("cache-control", Some("no-cache, no-transform")),
        ("x-accel-buffering", Some("no")),
        ("transfer-encoding", framing),
        (
            "connection",
            if under.owns_sockets() { Some("close") } else { None },
        ),
        ("content-length", None),
        ("content-encoding", None),
    ] {
        assert_eq!(head.get(name), value, "{name}");
    }
    assert!(head.get("date").is_some());
}

async fn the_first_bytes_say_when_to_come_back_and_where_it_began(under: Under) {
    let server = Setup::new(under).start().await;
    let position = server.publish("room", "before").await;
    let mut http = server.http().await;
    http.send("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut body = http.head().await.unwrap().body();
    let first = http.body(&mut body).await.unwrap().unwrap();
    let first = String::from_utf8(first).unwrap();
    let (retry, rest) = first.strip_prefix("retry: ").unwrap().split_once('\n').unwrap();
    assert!(retry.parse::<u64>().is_ok());
    assert_eq!(
        rest,
        format!("id: {position}\nevent: dualcast:heartbeat\ndata: {{\"interval\":3600000}}\n\n")
    );
}

async fn a_head_request_gets_the_head_and_opens_nothing(under: Under) {
    let server = Setup::new(under).start().await;
    let mut http = server.http().await;
    for _ in 0..2 {
        http.send("HEAD /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let head = http.head().await.unwrap();
        assert_eq!(
            (head.status, head.get("content-type")),
            (200, Some("text/event-stream"))
        );
        assert_eq!(
            (server.hub.session_count(), server.channel("room").followers()),
            (0, 0)
        );
    }
    http.send("GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(
        http.answer().await.unwrap().status(),
        404,
        "the connection is good for more"
    );
}

async fn post_streams_as_get_does(under: Under) {
    let server = Setup::new(under).start().await;
    for body in ["", "a=b&c=d"] {
        let mut http = server.http().await;
        let head = format!(
            "POST /sse?channels=room HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        http.send(head).await.unwrap();
        let head = http.head().await.unwrap();
        assert_eq!(
            (head.status, head.get("content-type")),
            (200, Some("text/event-stream"))
        );
        let mut framing = head.body();
        http.body(&mut framing).await.unwrap().unwrap();
        server.publish("room", "hello").await;
        let piece = http.body(&mut framing).await.unwrap().unwrap();
        assert!(String::from_utf8(piece).unwrap().ends_with("data: hello\n\n"));
    }
}

async fn a_client_of_http_1_0_is_served_until_the_connection_closes(under: Under) {
    let server = Setup::new(under).start().await;
    let mut http = server.http().await;
    http.send("GET /sse?channels=room HTTP/1.0\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let head = http.head().await.unwrap();
    assert_eq!(
        (head.status, head.get("transfer-encoding")),
        (200, None),
        "1.0 knows no chunks"
    );
    server.publish("room", "hello").await;
    server.channel("room").finish().await.unwrap();
    let mut framing = head.body();
    let mut body = Vec::new();
    while let Some(piece) = http.body(&mut framing).await.unwrap() {
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains("data: hello\n\n") && body.contains("event: dualcast:closing\n"),
        "{body}"
    );
    server.is_free_of(&["room"]).await;
}

async fn what_a_client_sends_on_the_stream_means_nothing(under: Under) {
    let server = Setup::new(under).start().await;
    let mut http = server.http().await;
    let request = "GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n";
    // Another request behind it, and half of one.
    http.send([request, request, "GET /sse"].concat()).await.unwrap();
    let head: Head = http.head().await.unwrap();
    let mut framing = head.body();
    http.body(&mut framing).await.unwrap().unwrap();
    http.send("and so on").await.unwrap();
    server.publish("room", "hello").await;
    let piece = http.body(&mut framing).await.unwrap().unwrap();
    assert!(String::from_utf8(piece).unwrap().ends_with("data: hello\n\n"));
    assert_eq!(server.hub.session_count(), 1);
    http.into_socket().reset();
    if under.server == HttpServer::Axum {
        // With a request waiting hyper reads no further: it learns that the client is gone when it writes.
        server.publish("room", "hello?").await;
    }
    server.is_free_of(&["room"]).await;
}

/// One more route, `/stream`, of messages that the test makes.
fn streaming(
    under: Under,
    messages: impl Fn() -> stream::BoxStream<'static, Message> + Clone + Send + Sync + 'static,
) -> Setup {
    let route = |sse: Sse| async move {
        sse.options(|options| options.heartbeat = Duration::from_millis(20))
            .stream(messages())
    };
    Setup::new(under).app(move |app: Router, _| app.route("/stream", get(route)))
}

async fn a_stream_of_no_channel_is_sent_and_ends(under: Under) {
    let setup = streaming(under, || {
        let messages = (1..=3).map(|number| Message::text("token", number.to_string()));
        stream::iter(messages.chain([Message::binary("image", vec![7])])).boxed()
    });
    let server = setup.start().await;
    let mut client = server.dial_path("/stream").connect().await;
    let (told, end) = client.until_end().await;
    for (number, told) in told[..3].iter().enumerate() {
        let expected = Told::Message {
            id: None,
            channel: None,
            event: "token".into(),
            data: Data::Text((number + 1).to_string()),
        };
        assert_eq!(*told, expected, "without an id: there is nothing to resume");
    }
    assert!(matches!(&told[3], Told::Message { data: Data::Binary(bytes), .. } if bytes == &[7]));
    assert!(matches!(&told[4], Told::Closing { reason, .. } if reason == "finished"));
    assert_eq!((told.len(), end), (5, End::Complete(None)));
    assert!(client.events().retry().is_some());
    assert_eq!(client.events().last_event_id(), "");
}

async fn a_stream_of_no_channel_is_asked_only_as_its_client_reads(under: Under) {
    let (asked, mut ask) = mpsc::unbounded_channel();
    let setup = streaming(under, move || {
        let asked = asked.clone();
        let messages = (0..400).map(move |number: u32| {
            asked.send(number).unwrap();
            Message::text("message", format!("{number}:{}", "x".repeat(12 << 10)))
        });
        stream::iter(messages).boxed()
    });
    let server = setup.small_buffers().start().await;
    let mut client = server.dial_path("/stream").slow().connect().await;
    assert!(client.next().await.text().starts_with("0:"));
    // A reader that stops; then nothing more is asked for, however long one waits.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = ask.len();
        if now == before {
            break;
        }
        before = now;
    }
    // A batch and a message, and what the two kernels take. Where hyper keeps the connection it takes 16 more.
    let bound = if under.owns_sockets() { 6 } else { 40 };
    assert!(
        before <= bound,
        "{before} messages of 12 KiB were asked for ahead"
    );
    for number in 1..400 {
        assert!(client.next().await.text().starts_with(&format!("{number}:")));
    }
    assert_eq!(ask.recv().await, Some(0));
}

async fn a_stream_of_no_channel_shows_life_by_comments(under: Under) {
    let server = streaming(under, || stream::pending().boxed()).start().await;
    let mut http = server.http().await;
    http.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut framing = http.head().await.unwrap().body();
    let first = String::from_utf8(http.body(&mut framing).await.unwrap().unwrap()).unwrap();
    assert!(first.starts_with("retry: "), "{first}");
    for _ in 0..3 {
        let piece = http.body(&mut framing).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(piece).unwrap(), ": heartbeat\n\n");
    }
}

async fn a_stream_of_no_channel_ends_with_its_client(under: Under) {
    let (alive, watched) = tokio::sync::watch::channel(());
    let watched = std::sync::Arc::new(watched);
    let setup = streaming(under, {
        let watched = std::sync::Arc::clone(&watched);
        move || {
            let watched = (*watched).clone();
            stream::pending()
                .chain(stream::once(async move {
                    drop(watched);
                    Message::text("message", "never")
                }))
                .boxed()
        }
    });
    let server = setup.start().await;
    let client = server.dial_path("/stream").connect().await;
    let idle = alive.receiver_count() - 1;
    assert!(idle > 0, "the stream is there");
    client.cut();
    eventually("the stream is dropped", || alive.receiver_count() == 1).await;
}
