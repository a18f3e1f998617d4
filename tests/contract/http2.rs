//! HTTP/2: many streams on one connection, none of which minds the others, and a connection that ends when it should.

use std::time::Duration;

use axum::routing::any;
use dualcast::Transport;
use dualcast_tests::{
    Client, End, Http, Http2, Ledger, Server, Setup, Socket, Told, Under, WINDOW_BYTES, connect, contract,
    eventually, get,
};
use tokio::net::TcpStream;

use crate::shutdown::patient;

contract!(
    http2: a_hundred_streams_of_one_connection_miss_nothing,
    large_messages_may_be_taken_slowly,
    a_stalled_stream_holds_up_none_of_the_others,
    a_stream_that_is_given_up_leaves_the_others_alone,
    a_connection_that_vanishes_frees_all_of_its_streams,
    a_flood_of_streams_that_are_opened_and_reset_leaves_nothing_behind,
    a_shutdown_tells_every_stream_and_lets_no_more_begin,
);
contract!(
    http2 own_server: a_stalled_stream_is_reset_and_its_connection_lasts,
    a_connection_that_takes_nothing_is_cut,
);
contract!(
    http2 ws: a_websocket_is_opened_in_any_letter_case,
    what_is_no_websocket_is_told_so,
);
contract!(
    own_server: a_connection_that_never_asks_is_closed,
    a_connection_that_asks_nothing_more_is_closed,
    a_head_that_is_too_large_is_refused,
);

/// Both transports, over one connection.
async fn open(server: &Server, http2: &Http2, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let transport = if number % 2 == 0 {
            Transport::Sse
        } else {
            Transport::WebSocket
        };
        clients.push(server.dial_by(transport, "room").over(http2).open().await);
    }
    clients
}

async fn http2(server: &Server) -> Http2 {
    Http2::connect(server.address, WINDOW_BYTES).await.unwrap()
}

async fn a_hundred_streams_of_one_connection_miss_nothing(under: Under) {
    let server = Setup::new(under).start().await;
    let http2 = http2(&server).await;
    let mut clients = open(&server, &http2, 100).await;
    let start = clients[0].position();
    let mut ledger = Ledger::default();
    // More than the window of a stream, so that each has to be given room again and again.
    for number in 0..24 {
        let text = format!("{number}:{}", "x".repeat(4 << 10));
        ledger.note("room", server.publish("room", &*text).await, &text);
    }
    ledger.note("room", server.publish("room", "last").await, "last");
    for client in &mut clients {
        let told = client.until_text("last").await;
        assert_eq!(ledger.check(start, &["room"], &told), 0);
    }
    drop((clients, http2));
    server.is_free_of(&["room"]).await;
}

/// Each of them takes longer than the deadline, each portion of it doesn't.
async fn large_messages_may_be_taken_slowly(under: Under) {
    let setup = Setup::new(under).session(|options| options.write_timeout = Duration::from_secs(4));
    let server = setup.start().await;
    let request = match under.transport {
        Transport::Sse => get(server.address, "/sse?channels=room"),
        Transport::WebSocket => connect(server.address, "/ws?channels=room", "websocket"),
    };
    let http2 = Http2::connect(server.address, 128 << 10).await.unwrap();
    let (_, mut stream) = http2.request(request).await.unwrap();
    stream.piece().await.unwrap().unwrap();
    // More than is taken ahead.
    for _ in 0..8 {
        server.publish("room", "x".repeat(512 << 10)).await;
    }
    stream.set_bite(16 << 10);
    let mut taken = 0;
    // All of one and some of the next: 32 bites a message, in nearly five seconds.
    while taken < 640 << 10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        taken += stream.piece().await.unwrap().expect("the stream goes on").len();
    }
    assert_eq!(server.hub.session_count(), 1);
}

async fn a_stalled_stream_holds_up_none_of_the_others(under: Under) {
    let server = Setup::new(under).start().await;
    let http2 = http2(&server).await;
    let mut stalled = server.dial("room").over(&http2).open().await;
    let start = stalled.position();
    let mut others = open(&server, &http2, 4).await;
    let mut ledger = Ledger::default();
    for number in 0..60 {
        let text = format!("{number}:{}", "x".repeat(12 << 10));
        ledger.note("room", server.publish("room", &*text).await, &text);
        for other in &mut others {
            assert_eq!(other.next().await.text(), text);
        }
    }
    // And when it goes on, it has missed nothing either.
    ledger.note("room", server.publish("room", "last").await, "last");
    let told = stalled.until_text("last").await;
    assert_eq!(ledger.check(start, &["room"], &told), 0);
}

async fn a_stalled_stream_is_reset_and_its_connection_lasts(under: Under) {
    let setup = Setup::new(under).session(|options| options.write_timeout = Duration::from_millis(100));
    let server = setup.start().await;
    let http2 = http2(&server).await;
    let mut stalled = server.dial("room").over(&http2).open().await;
    let mut others = open(&server, &http2, 2).await;
    for number in 0..60 {
        let text = format!("{number}:{}", "x".repeat(12 << 10));
        server.publish("room", &*text).await;
        for other in &mut others {
            assert_eq!(other.next().await.text(), text);
        }
    }
    eventually("the stalled one is freed", || server.hub.session_count() == 2).await;
    let (told, end) = stalled.until_end().await;
    assert_eq!(end, End::Cut);
    let mut back = server
        .dial("room")
        .over(&http2)
        .cursor(stalled.last_id())
        .open()
        .await;
    let next = format!("{}:", told.len());
    assert!(back.next().await.text().starts_with(&next));
    server.publish("room", "goes on").await;
    for other in &mut others {
        assert_eq!(other.next().await.text(), "goes on");
    }
}

async fn a_stream_that_is_given_up_leaves_the_others_alone(under: Under) {
    let server = Setup::new(under).start().await;
    let http2 = http2(&server).await;
    let mut other = server.dial("room").over(&http2).open().await;
    for _ in 0..5 {
        let request = match under.transport {
            Transport::Sse => get(server.address, "/sse?channels=room"),
            Transport::WebSocket => connect(server.address, "/ws?channels=room", "websocket"),
        };
        let (_, mut stream) = http2.request(request).await.unwrap();
        stream.piece().await.unwrap().unwrap();
        assert_eq!(server.hub.session_count(), 2);
        stream.cancel();
        eventually("it is freed", || server.hub.session_count() == 1).await;
    }
    server.publish("room", "still there").await;
    assert_eq!(other.next().await.text(), "still there");
}

async fn a_connection_that_vanishes_frees_all_of_its_streams(under: Under) {
    let server = Setup::new(under).start().await;
    for is_reset in [true, false] {
        let http2 = http2(&server).await;
        let clients = open(&server, &http2, 10).await;
        assert_eq!(server.hub.session_count(), 10);
        if is_reset {
            http2.reset();
        } else {
            http2.hang_up();
        }
        server.is_free_of(&["room"]).await;
        drop(clients);
    }
}

/// CVE-2023-44487. `h2` closes the connection at some point, or not: in any case nothing is left, and others don't notice.
async fn a_flood_of_streams_that_are_opened_and_reset_leaves_nothing_behind(under: Under) {
    let server = Setup::new(under).start().await;
    let mut other = server.dial("other").open().await;
    let http2 = http2(&server).await;
    let mut most = 0;
    for _ in 0..5_000 {
        let request = match under.transport {
            Transport::Sse => get(server.address, "/sse?channels=room"),
            Transport::WebSocket => connect(server.address, "/ws?channels=room", "websocket"),
        };
        match http2.begin(request).await {
            Ok(request) => request.cancel(),
            Err(_) => break,
        }
        most = most.max(server.hub.session_count());
    }
    assert!(most <= 300, "{most} sessions were there at once");
    eventually("nothing is left", || server.hub.session_count() == 1).await;
    assert_eq!(server.channel("room").followers(), 0);
    server.publish("other", "unharmed").await;
    assert_eq!(other.next().await.text(), "unharmed");
}

async fn a_shutdown_tells_every_stream_and_lets_no_more_begin(under: Under) {
    let mut server = patient(under).start().await;
    let http2 = http2(&server).await;
    let mut clients = open(&server, &http2, 10).await;
    server.begin_shutdown();
    for client in &mut clients {
        assert_eq!(client.closing().await, ("shutdown".into(), true));
    }
    http2.is_over().await;
    let another = http2.request(get(server.address, "/sse?channels=room")).await;
    assert!(another.is_err());
    server.is_over().await;
    server.is_free_of(&["room"]).await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

async fn a_connection_that_takes_nothing_is_cut(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .options(|options| options.write_timeout = Duration::from_millis(100));
    let server = setup.start().await;
    let socket = Socket::connect(server.address, true).await.unwrap();
    let deafen = socket.deafen_handle();
    let http2 = Http2::over(socket, 1 << 20).await.unwrap();
    let clients = open(&server, &http2, 4).await;
    deafen.now();
    for _ in 0..60 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    server.is_free_of(&["room"]).await;
    drop(clients);
}

async fn a_websocket_is_opened_in_any_letter_case(under: Under) {
    let server = Setup::new(under).start().await;
    let http2 = http2(&server).await;
    for protocol in ["websocket", "WebSocket", "WEBSOCKET"] {
        let mut request = connect(server.address, "/ws?channels=room", protocol);
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "other, dualcast.v1".parse().unwrap());
        let (response, mut stream) = http2.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["sec-websocket-protocol"], "dualcast.v1");
        for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        let welcome = stream.piece().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&welcome).contains("welcome"));
        stream.cancel();
    }
    server.is_free_of(&["room"]).await;
}

async fn what_is_no_websocket_is_told_so(under: Under) {
    let server = Setup::new(under).start().await;
    let http2 = http2(&server).await;
    let mut old = connect(server.address, "/ws?channels=room", "websocket");
    old.headers_mut()
        .insert("sec-websocket-version", "8".parse().unwrap());
    for (request, status) in [
        (get(server.address, "/ws?channels=room"), 400),
        (connect(server.address, "/ws?channels=room", "connect-udp"), 400),
        (old, 426),
        (connect(server.address, "/ws?channels=a..b", "websocket"), 400),
    ] {
        let answer = http2.answer(request).await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(matches!(
            Told::from_answer(&answer.json()),
            Told::Error { code, .. } if code == "bad-handshake" || code == "bad-channel"
        ));
    }
    assert_eq!(server.hub.session_count(), 0);
}

/// Not a byte, half of a preface, a preface and silence, a preface and pings.
async fn a_connection_that_never_asks_is_closed(under: Under) {
    let setup = Setup::new(under).options(|options| options.head_timeout = Duration::from_millis(50));
    let server = setup.start().await;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for sent in [
        b"",
        &b"G"[..],
        b"PRI * HTTP",
        PREFACE,
        &[PREFACE, SETTINGS].concat(),
    ] {
        let mut http = Http::over(Socket::connect(server.address, false).await.unwrap());
        http.send(sent).await.unwrap();
        // Its end is what is waited for; whether it is a reset is nobody's concern.
        let _ = http.drain().await;
    }
    let mut client = server.dial("room").open().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.publish("room", "a session may be silent").await;
    assert_eq!(client.next().await.text(), "a session may be silent");
}

async fn a_connection_that_asks_nothing_more_is_closed(under: Under) {
    let setup = Setup::new(under)
        .options(|options| {
            options.idle_timeout = Duration::from_millis(50);
            // Not by this one.
            options.head_timeout = Duration::from_secs(3_600);
        })
        .app(|app, _| app.route("/ordinary", any(async || "ordinary")));
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send("GET /ordinary HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(http.answer().await.unwrap().text(), "ordinary");
    assert_eq!(http.drain().await.unwrap(), 0);

    let http2 = http2(&server).await;
    let answer = http2.answer(get(server.address, "/ordinary")).await.unwrap();
    assert_eq!(answer.text(), "ordinary");
    http2.is_over().await;
}

async fn a_head_that_is_too_large_is_refused(under: Under) {
    let setup = Setup::new(under).options(|options| options.max_head_bytes = 16 << 10);
    let server = setup.start().await;
    for (length, status) in [(10 << 10, 200), (20 << 10, 431)] {
        let value = "x".repeat(length);
        let mut http = server.http().await;
        let head = format!("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\nx: {value}\r\n\r\n");
        http.send(head).await.unwrap();
        assert_eq!(http.head().await.unwrap().status, status);

        let http2 = http2(&server).await;
        let mut request = get(server.address, "/sse?channels=room");
        request.headers_mut().insert("x", value.parse().unwrap());
        let (response, _) = http2.request(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
}
