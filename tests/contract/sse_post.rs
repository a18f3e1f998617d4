//! A body in, a stream out: POST requests that are answered with an event stream.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use dualcast::{Error, Hub, Sse};
use dualcast_tests::{Body, EventStream, Http, Server, Setup, Under, contract};

contract!(
    sse: a_body_is_read_before_the_stream_begins,
    a_body_that_comes_in_pieces_is_read_before_the_stream_begins,
    a_client_that_expects_100_is_asked_for_its_body,
    a_client_that_expects_100_of_a_route_that_reads_no_body_gets_the_stream_at_once,
    a_body_that_no_extractor_reads_disturbs_nothing,
    a_body_that_is_too_large_opens_nothing,
    a_client_that_leaves_in_the_middle_of_its_body_opens_nothing,
);

/// `/ask` streams a channel that the length of its body names, from its start; `/sse` reads no body.
fn asking(under: Under) -> Setup {
    Setup::new(under).app(|app: Router, hub: &Hub| {
        let hub = hub.clone();
        let ask = |sse: Sse, body: String| async move {
            let channel = hub.channel(("asked", body.len()))?;
            Ok::<_, Error>(sse.subscribe(channel.subscribe().from_start()))
        };
        app.route("/ask", post(ask).layer(DefaultBodyLimit::max(1 << 20)))
    })
}

fn ask(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n{headers}\r\n")
}

/// Reads the answer's head, then the stream until a message, which is published once it is followed, has come whole.
async fn expect_stream(server: &Server, http: &mut Http, channel: &str) -> Body {
    let head = http.head().await.unwrap();
    let content_type = head.get("content-type").map(str::to_owned);
    assert_eq!(
        (head.status, content_type.as_deref()),
        (200, Some("text/event-stream"))
    );
    let mut framing = head.body();
    server.publish_when_followed(channel, "hello").await;
    let mut stream = EventStream::default();
    loop {
        let piece = http.body(&mut framing).await.unwrap().unwrap();
        stream.feed(&piece);
        while let Some(event) = stream.event() {
            if event.data == "hello" {
                return framing;
            }
        }
    }
}

async fn a_body_is_read_before_the_stream_begins(under: Under) {
    let server = asking(under).start().await;
    for length in [0, 1, 70_000, 1 << 20] {
        let mut http = server.http().await;
        let body = "b".repeat(length);
        http.send(ask("/ask", &format!("content-length: {length}\r\n")) + &body)
            .await
            .unwrap();
        expect_stream(&server, &mut http, &format!("asked.{length}")).await;
    }
}

async fn a_body_that_comes_in_pieces_is_read_before_the_stream_begins(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    http.send(ask("/ask", "transfer-encoding: chunked\r\n"))
        .await
        .unwrap();
    for piece in ["5\r\nhe", "llo\r\n1", "0\r\n0123456789abcdef\r", "\n0\r\n"] {
        http.send(piece).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(server.hub.session_count(), 0, "its body is not whole");
    }
    http.send("\r\n").await.unwrap();
    expect_stream(&server, &mut http, "asked.21").await;
}

async fn a_client_that_expects_100_is_asked_for_its_body(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    let headers = "content-length: 4\r\nexpect: 100-continue\r\n";
    http.send(ask("/ask", headers)).await.unwrap();
    assert_eq!(http.head().await.unwrap().status, 100);
    http.send("body").await.unwrap();
    expect_stream(&server, &mut http, "asked.4").await;
}

async fn a_client_that_expects_100_of_a_route_that_reads_no_body_gets_the_stream_at_once(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    let headers = "content-length: 4\r\nexpect: 100-continue\r\n";
    http.send(ask("/sse?channels=room", headers)).await.unwrap();
    let mut framing = expect_stream(&server, &mut http, "room").await;
    // It may send it all the same.
    http.send("body").await.unwrap();
    server.publish("room", "goes on").await;
    let piece = http.body(&mut framing).await.unwrap().unwrap();
    assert!(String::from_utf8(piece).unwrap().ends_with("data: goes on\n\n"));
}

async fn a_body_that_no_extractor_reads_disturbs_nothing(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    let head = ask("/sse?channels=room", "content-length: 300000\r\n");
    http.send(head + &"b".repeat(100_000)).await.unwrap();
    let mut framing = expect_stream(&server, &mut http, "room").await;
    // The rest of it comes while the stream runs. Where hyper keeps the connection nobody reads it: it waits in the kernels.
    http.send("b".repeat(20_000)).await.unwrap();
    server.publish("room", "last").await;
    server.channel("room").finish().await.unwrap();
    let mut body = Vec::new();
    while let Some(piece) = http.body(&mut framing).await.unwrap() {
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains("data: last\n\n") && body.ends_with("\n\n"),
        "{body}"
    );
    assert!(body.contains("event: dualcast:closing\n"), "{body}");
    server.is_free_of(&["room"]).await;
}

async fn a_body_that_is_too_large_opens_nothing(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    let length = (1 << 20) + 1;
    let request = ask("/ask", &format!("content-length: {length}\r\n")) + &"b".repeat(length);
    http.send(request).await.unwrap();
    assert_eq!(http.head().await.unwrap().status, 413);
    assert_eq!(server.hub.session_count(), 0);
}

async fn a_client_that_leaves_in_the_middle_of_its_body_opens_nothing(under: Under) {
    let server = asking(under).start().await;
    let mut http = server.http().await;
    http.send(ask("/ask", "content-length: 10\r\n") + "half")
        .await
        .unwrap();
    http.into_socket().reset();
    // Another one, from beginning to end: by then the first was seen, too.
    let mut http = server.http().await;
    http.send(ask("/ask", "content-length: 4\r\n") + "body")
        .await
        .unwrap();
    expect_stream(&server, &mut http, "asked.4").await;
    assert_eq!(server.hub.session_count(), 1);
    assert_eq!(server.channel("asked.10").followers(), 0);
}
