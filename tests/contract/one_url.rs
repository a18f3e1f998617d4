//! One address for both transports: `Option<Ws>` beside `Sse`, and a POST for messages.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use dualcast::{Error, Hub, Inbound, InboundHandler, OriginPolicy, Reply, Sse, Transport, Ws};
use dualcast_tests::{Client, Http2, Server, Setup, Told, Under, WINDOW_BYTES, connect, contract};
use serde_json::json;

contract!(
    one_address_serves_both_transports_and_a_session_moves_between_them,
    an_origin_that_may_not_connect_is_refused_on_either_transport,
);
contract!(http1: a_route_of_get_alone_is_enough_over_http_1);
contract!(
    http1 servers: a_bad_handshake_is_refused_and_is_no_event_stream,
    what_is_no_handshake_is_left_to_the_other_transport,
);
contract!(http2 own_server: over_http_2_a_connect_is_a_handshake_whatever_it_is_for);

async fn room(State(hub): State<Hub>, ws: Option<Ws>, sse: Sse) -> Result<Response, Error> {
    let room = hub.channel("room")?;
    Ok(match ws {
        Some(ws) => ws.on_message(publish(&hub)?).subscribe(room),
        None => sse.subscribe(room),
    })
}

async fn say(State(hub): State<Hub>, message: Inbound) -> Result<Reply, Error> {
    let handler = publish(&hub)?;
    Ok(handler.handle(message).await)
}

fn publish(hub: &Hub) -> Result<impl InboundHandler + use<>, Error> {
    let room = hub.channel("room")?;
    Ok(move |message: Inbound| {
        let room = room.clone();
        async move { room.publish(message.into_message()).await }
    })
}

/// With the route as the guide has it, and one of GET alone.
async fn start(under: Under) -> Server {
    let routes = |app: Router, hub: &Hub| {
        let routes = Router::new()
            .route("/live", any(room).post(say))
            .route("/get", get(room));
        app.merge(routes.with_state(hub.clone()))
    };
    Setup::new(under).app(routes).start().await
}

async fn open(server: &Server, transport: Transport, path: &str, cursor: Option<&str>) -> Client {
    let dial = server.dial_by(transport, "room").path(path);
    match cursor {
        Some(cursor) => dial.cursor(cursor),
        None => dial,
    }
    .open()
    .await
}

async fn one_address_serves_both_transports_and_a_session_moves_between_them(under: Under) {
    let server = start(under).await;
    let mut client = open(&server, under.transport, "/live", None).await;
    assert_eq!(client.transport(), under.transport);
    server.publish("room", "first").await;
    assert_eq!(client.next().await.text(), "first");
    let cursor = client.last_id().to_owned();
    client.cut();
    server.publish("room", "while it was away").await;
    for transport in [under.other_transport(), under.transport] {
        let mut client = open(&server, transport, "/live", Some(&cursor)).await;
        assert_eq!(client.transport(), transport);
        assert_eq!(client.opening().id(), Some(&*cursor));
        assert_eq!(client.next_but_heartbeats().await.text(), "while it was away");
    }
    let mut client = open(&server, under.transport, "/live", None).await;
    let mut socket = open(&server, Transport::WebSocket, "/live", None).await;
    socket
        .send(&json!({ "event": "note", "data": "by WebSocket" }))
        .await;
    assert_eq!(client.next().await.text(), "by WebSocket");
    drop(socket);
    let body = json!({ "event": "note", "data": "by POST" }).to_string();
    let (host, length) = (server.address, body.len());
    let head = format!(
        "POST /live HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    assert_eq!(server.request(head + &body).await.status(), 200);
    assert_eq!(client.next().await.text(), "by POST");
}

async fn a_route_of_get_alone_is_enough_over_http_1(under: Under) {
    let server = start(under).await;
    let mut client = open(&server, under.transport, "/get", None).await;
    server.publish("room", "heard").await;
    assert_eq!(client.next().await.text(), "heard");
    client.cut();
    server.is_free_of(&["room"]).await;
}

async fn an_origin_that_may_not_connect_is_refused_on_either_transport(under: Under) {
    let server = start(under).await;
    let dial = server.dial("room").path("/live");
    let refused = dial.header("origin", "https://evil.example").attempt().await;
    let answer = refused.expect_err("it is refused");
    assert_eq!(answer.status(), 403);
    assert!(
        matches!(Told::from_answer(&answer.json()), Told::Error { code, .. } if code == "foreign-origin")
    );
    assert_eq!(server.hub.session_count(), 0);

    let policy = OriginPolicy::allow(["https://app.example"]).unwrap();
    let layered = Setup::new(under).app(|app, hub| {
        let route = Router::new().route("/live", any(room)).with_state(hub.clone());
        app.merge(route.layer(Extension(policy)))
    });
    let server = layered.start().await;
    let dial = server.dial("room").path("/live");
    let mut client = dial.header("origin", "https://app.example").open().await;
    server.publish("room", "heard").await;
    assert_eq!(client.next().await.text(), "heard");
}

async fn status(server: &Server, method: &str, headers: &str) -> u16 {
    let host = server.address;
    server
        .request(format!(
            "{method} /live HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n"
        ))
        .await
        .status()
}

const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn a_bad_handshake_is_refused_and_is_no_event_stream(under: Under) {
    let server = start(under).await;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    let version = "sec-websocket-version: 13\r\n";
    for (method, headers, expected) in [
        ("GET", format!("{upgrade}{version}"), 400),
        (
            "GET",
            format!("{upgrade}{version}sec-websocket-key: short\r\n"),
            400,
        ),
        ("GET", format!("{upgrade}sec-websocket-version: 8\r\n{KEY}"), 426),
        ("GET", format!("upgrade: websocket\r\n{version}{KEY}"), 426),
        ("PUT", format!("{upgrade}{version}{KEY}"), 405),
        // As it comes through a proxy that knows nothing of upgrades: no stream may begin that nobody reads.
        ("GET", format!("connection: close\r\n{version}{KEY}"), 426),
    ] {
        assert_eq!(status(&server, method, &headers).await, expected, "{headers}");
    }
    assert_eq!(server.hub.session_count(), 0);
}

async fn what_is_no_handshake_is_left_to_the_other_transport(under: Under) {
    let server = start(under).await;
    assert_eq!(status(&server, "HEAD", "").await, 200);
    assert_eq!(status(&server, "OPTIONS", "").await, 204);
    assert_eq!(status(&server, "DELETE", "").await, 405);
    let dial = server.dial_by(Transport::Sse, "room").path("/live");
    // A client that would rather speak HTTP/2 in the clear, and one that asks for nothing by name.
    let dial = dial.header("connection", "upgrade").header("upgrade", "h2c");
    let mut client = dial.open().await;
    server.publish("room", "heard").await;
    assert_eq!(client.next().await.text(), "heard");
}

async fn over_http_2_a_connect_is_a_handshake_whatever_it_is_for(under: Under) {
    let server = start(under).await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let request = connect(server.address, "/live", "connect-udp");
    let (response, _) = http2.request(request).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(server.hub.session_count(), 0);
}
