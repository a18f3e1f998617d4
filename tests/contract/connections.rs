//! Connections: how many there may be, how they come, and how long they may take over what they send.

use std::net::TcpStream;
use std::time::Duration;

use axum::routing::post;
use dualcast::Transport;
use dualcast_tests::{
    Http, Http2, HttpServer, HttpVersion, Setup, Socket, Under, WINDOW_BYTES, contract, get,
};
use tokio::task::yield_now;

contract!(
    own_server: a_connection_above_max_connections_is_closed_without_a_word,
    a_connection_above_max_connections_per_address_is_closed_without_a_word,
);
contract!(
    http1 own_server: a_body_that_stops_coming_is_answered_408,
    a_connection_that_is_used_again_and_again_outlives_the_deadline_of_a_head,
    a_client_that_talks_on_a_stream_is_read_no_faster_than_it_may,
);

/// Nothing comes but the end, or a reset: what was sent is never read.
async fn expect_closed(server: &dualcast_tests::Server) {
    let mut http = Http::over(Socket::connect(server.address, false).await.unwrap());
    let _ = http
        .send("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert_eq!(http.drain().await.unwrap_or(0), 0);
}

/// As a proxy uses those that it keeps.
async fn a_connection_that_is_used_again_and_again_outlives_the_deadline_of_a_head(under: Under) {
    let setup = Setup::new(under)
        .options(|options| {
            options.head_timeout = Duration::from_millis(500);
            options.idle_timeout = Duration::from_secs(3_600);
        })
        .app(|app, _| app.route("/ordinary", axum::routing::get(async || "ordinary")));
    let server = setup.start().await;
    let mut http = server.http().await;
    for _ in 0..10 {
        http.send("GET /ordinary HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(http.answer().await.unwrap().text(), "ordinary");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// It means nothing there, and must cost next to nothing.
async fn a_client_that_talks_on_a_stream_is_read_no_faster_than_it_may(under: Under) {
    let server = Setup::new(under).start().await;
    let mut http = Http::over(Socket::connect(server.address, true).await.unwrap());
    http.send("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    http.head().await.unwrap();
    // A minute's worth of it is not taken at once.
    let sent = tokio::time::timeout(Duration::from_millis(500), http.send(vec![b'x'; 60 << 20])).await;
    assert!(sent.is_err(), "60 MB were taken");
    assert_eq!(server.hub.session_count(), 1);
    drop(http);
    server.is_free_of(&["room"]).await;
}

async fn is_full_with_two(setup: Setup) {
    let server = setup.start().await;
    // One that is asked something now and then, and one that became a session.
    let first = server.dial("room").open().await;
    let mut second = server.dial("room").open().await;
    for _ in 0..3 {
        expect_closed(&server).await;
    }
    server.publish("room", "unharmed").await;
    assert_eq!(second.next().await.text(), "unharmed");
    // A place that is left is given again.
    first.cut();
    dualcast_tests::eventually("it is gone", || server.hub.session_count() == 1).await;
    for attempt in 0.. {
        let mut http = Http::over(Socket::connect(server.address, false).await.unwrap());
        let _ = http.send("GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if let Ok(answer) = http.answer().await {
            assert_eq!(answer.status(), 404);
            break;
        }
        assert!(attempt < 1_000, "its place is never given again");
        yield_now().await;
    }
}

async fn a_connection_above_max_connections_is_closed_without_a_word(under: Under) {
    is_full_with_two(Setup::new(under).options(|options| options.max_connections = 2)).await;
}

async fn a_connection_above_max_connections_per_address_is_closed_without_a_word(under: Under) {
    is_full_with_two(Setup::new(under).options(|options| options.max_connections_per_address = Some(2)))
        .await;
}

async fn a_body_that_stops_coming_is_answered_408(under: Under) {
    let setup = Setup::new(under)
        .options(|options| options.body_timeout = Duration::from_millis(50))
        .on_message(|_, message| async move { dualcast::Reply::json(&message.event) })
        .app(|app, _| app.route("/echo", post(async |body: String| body)));
    let server = setup.start().await;
    for head in [
        "POST /echo HTTP/1.1\r\nhost: a\r\n",
        "POST /say?channels=room HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n",
    ] {
        let mut http = server.http().await;
        http.send(format!("{head}content-length: 100\r\n\r\n{{"))
            .await
            .unwrap();
        let answer = http.answer().await.unwrap();
        assert_eq!(
            (answer.status(), answer.head.get("connection")),
            (408, Some("close"))
        );
        assert_eq!(http.drain().await.unwrap(), 0);
    }
    // A session's request has a body that nobody waits for.
    let mut http = server.http().await;
    http.send("POST /sse?channels=room HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        .await
        .unwrap();
    let mut framing = http.head().await.unwrap().body();
    http.body(&mut framing).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.publish("room", "lives").await;
    let piece = http.body(&mut framing).await.unwrap().unwrap();
    assert!(String::from_utf8(piece).unwrap().contains("lives"));
}

/// On one thread, so that the server accepts none of them before all have come. One whose turn in the queue is lost is tried
/// again by TCP after a second: such a one isn't waited for.
#[tokio::test]
async fn two_thousand_connections_may_come_at_once() {
    const COUNT: usize = 2_000;
    let most =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").map(|most| most.trim().parse::<usize>());
    if !matches!(most, Ok(Ok(most)) if most >= COUNT) {
        return eprintln!("SKIPPED: this system lets no {COUNT} connections wait");
    }
    let under = Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1);
    let server = Setup::new(under).start().await;
    for _ in 0..10 {
        yield_now().await;
    }
    let mut waiting = Vec::new();
    for number in 0..COUNT {
        let connected = TcpStream::connect_timeout(&server.address, Duration::from_millis(900));
        waiting.push(connected.unwrap_or_else(|error| panic!("number {number}: {error}")));
    }
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let answer = http2.answer(get(server.address, "/nowhere")).await.unwrap();
    assert_eq!(answer.status(), 404, "and all of them are served");
}
