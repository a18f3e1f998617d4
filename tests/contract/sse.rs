//! What an event stream is on the wire: its head, its first bytes, its methods.

use std::time::Duration;

use dualcast::{CHANNEL_HEADER, HeartbeatAs};
use dualcast_tests::{Head, HttpServer, HttpVersion, Setup, Told, Under, contract};

contract!(
    sse: the_head_is_an_event_streams_and_keeps_caches_and_proxies_away,
    an_opening_that_is_a_comment_names_several_channels_in_one_before_it,
);
contract!(
    http1 sse: the_first_bytes_say_when_to_come_back_and_where_it_began,
    a_head_request_gets_the_head_and_opens_nothing,
    an_options_request_gets_the_methods_and_opens_nothing,
    post_streams_as_get_does,
    a_client_of_http_1_0_is_served_until_the_connection_closes,
    what_a_client_sends_on_the_stream_means_nothing,
    padding_goes_first_and_at_once,
    a_heartbeat_may_be_a_comment,
    the_head_names_the_channels_where_the_route_wants_it,
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
        ("content-length", None),
        ("content-encoding", None),
    ] {
        assert_eq!(head.get(name), value, "{name}");
    }
    assert!(head.get("date").is_some());
    // With it Node's `fetch` would take a stream that is cut for one that has ended.
    assert_ne!(head.get("connection"), Some("close"));
}

async fn the_head_names_the_channels_where_the_route_wants_it(under: Under) {
    let server = Setup::new(under)
        .sse(|options| options.names_channels = true)
        .start()
        .await;
    for (channels, named) in [("room", "room"), ("b,a.c,b", "a.c,b")] {
        let client = server.dial(channels).open().await;
        assert_eq!(client.head().get(CHANNEL_HEADER), Some(named));
    }
    let end = server.channel("run").finish().await.unwrap();
    let Err(answer) = server.dial("run").cursor(&end.to_string()).attempt().await else {
        panic!("nothing is left of it")
    };
    assert_eq!(
        (answer.status(), answer.head.get(CHANNEL_HEADER)),
        (204, Some("run"))
    );
    let mut http = server.http().await;
    http.send("HEAD /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let head = http.head().await.unwrap();
    assert_eq!((head.status, head.get(CHANNEL_HEADER)), (200, Some("room")));
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

async fn an_options_request_gets_the_methods_and_opens_nothing(under: Under) {
    let server = Setup::new(under).start().await;
    for (method, status) in [("OPTIONS", 204), ("DELETE", 405), ("PUT", 405)] {
        let request = format!("{method} /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = server.request(request).await;
        assert_eq!(answer.status(), status, "{method}");
        assert_eq!(answer.head.get("allow"), Some("GET, HEAD, POST, OPTIONS"));
        assert!(answer.body.is_empty());
    }
    assert_eq!(server.channel("room").followers(), 0);
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

async fn padding_goes_first_and_at_once(under: Under) {
    padded(under, 2_048, 2_048).await;
    padded(under, usize::MAX, 64 << 10).await;
}

async fn padded(under: Under, asked: usize, bytes: usize) {
    let server = Setup::new(under)
        .sse(move |options| options.padding_bytes = asked)
        .start()
        .await;
    let mut http = server.http().await;
    http.send("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut body = http.head().await.unwrap().body();
    let mut first = Vec::new();
    while first.len() <= bytes {
        first.extend(http.body(&mut body).await.unwrap().unwrap());
    }
    let first = String::from_utf8(first).unwrap();
    let (padding, rest) = first.split_at(bytes);
    assert_eq!(padding, format!(":{}\n", " ".repeat(bytes - 2)), "a comment");
    assert!(rest.starts_with("retry: "), "{rest}");
}

async fn a_heartbeat_may_be_a_comment(under: Under) {
    let server = Setup::new(under)
        .session(|options| options.heartbeat = Duration::from_millis(20))
        .sse(|options| options.heartbeat_as = HeartbeatAs::Comment)
        .start()
        .await;
    let mut client = server.dial("room").connect().await;
    let position = server.publish_when_followed("room", "first").await;
    let told = client.next().await;
    assert_eq!((told.text(), told.id()), ("first", Some(&*position.to_string())));
    let before = client.events().comments().len();
    assert!(before > 0, "the opening is one, too");
    // Long enough for several; what else comes is no event.
    while client.events().comments().len() < before + 3 {
        server.publish("other", "to others").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.publish("room", "next").await;
        assert_eq!(client.next().await.text(), "next");
    }
    assert!(
        client
            .events()
            .comments()
            .iter()
            .all(|comment| comment == "heartbeat")
    );
}

/// A client has to know that event names bear their channel before the first of them comes.
async fn an_opening_that_is_a_comment_names_several_channels_in_one_before_it(under: Under) {
    for is_plain in [false, true] {
        let setup = Setup::new(under).session(|options| options.heartbeat = Duration::from_millis(20));
        let setup = setup.sse(move |options| {
            options.heartbeat_as = HeartbeatAs::Comment;
            options.is_plain = is_plain;
        });
        let server = setup.start().await;
        for (channels, opening) in [
            ("room", &["heartbeat"][..]),
            ("room,a.c,room", &["channels a.c,room", "heartbeat"]),
        ] {
            let mut client = server.dial(channels).connect().await;
            server.publish_when_followed("room", "first").await;
            let Told::Message { channel, .. } = client.next().await else {
                panic!("{opening:?}")
            };
            assert_eq!(channel.is_some(), opening.len() > 1);
            // What is said once is not said again.
            while client.events().comments().len() < opening.len() + 2 {
                server.publish("room", "next").await;
                assert_eq!(client.next().await.text(), "next");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let (first, later) = client.events().comments().split_at(opening.len());
            assert_eq!(first, opening, "of {channels}, plain: {is_plain}");
            assert!(later.iter().all(|comment| comment == "heartbeat"), "{later:?}");
            client.leave().await;
            server.is_free_of(&["room"]).await;
        }
    }
}
