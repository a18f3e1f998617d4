//! What stands around a stream: requests before it on its connection, layers of the application, and the head that they made.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dualcast::Transport;
use dualcast_tests::{
    End, EventStream, Frame, Frames, Http, Http2, HttpServer, HttpVersion, Server, Setup, Socket, Told,
    Under, WINDOW_BYTES, connect, contract, eventually,
};
use futures::StreamExt;
use http_body_util::BodyExt;
use tokio::time::sleep;

contract!(
    http1: a_session_may_follow_ordinary_requests_on_one_connection,
    a_session_waits_for_the_end_of_a_large_answer_before_it,
    a_session_waits_for_small_answers_that_have_not_left_yet,
    what_a_layer_adds_to_the_head_is_there,
    a_layer_that_refuses_on_the_way_out_is_heeded,
    nothing_follows_a_refusal_on_the_way_out,
    a_layer_that_panics_leaves_nothing_behind,
);
contract!(
    http1 sse: a_layer_that_encodes_the_body_goes_on_doing_so,
    a_layer_that_gives_the_answer_a_body_of_its_own_is_heeded,
);
contract!(http2 ws: a_stream_that_a_layer_refuses_on_the_way_out_is_no_session);
contract!(
    ws: a_layer_that_encodes_leaves_a_handshake_alone,
    a_layer_that_hides_what_became_of_a_handshake_ends_it_where_nobody_else_knows,
);

/// A session on a connection that was used before.
async fn expect_session(server: &Server, mut http: Http, transport: Transport) {
    let (head, mut after) = match transport {
        Transport::Sse => {
            let head = http.head().await.unwrap();
            let mut framing = head.body();
            http.body(&mut framing).await.unwrap().unwrap();
            (head, After::Sse(http, framing))
        }
        Transport::WebSocket => {
            let head = http.head().await.unwrap();
            let mut frames = Frames::new(http);
            frames.until(Frame::TEXT).await;
            (head, After::Ws(frames))
        }
    };
    let expected = if transport == Transport::Sse { 200 } else { 101 };
    assert_eq!(head.status, expected);
    for text in ["first", "second"] {
        server.publish("room", text).await;
        match &mut after {
            After::Sse(http, framing) => {
                // It comes in as many pieces as the network likes.
                let mut heard = Vec::new();
                while !String::from_utf8_lossy(&heard).contains(text) {
                    heard.extend(http.body(framing).await.unwrap().expect("the stream goes on"));
                }
            }
            After::Ws(frames) => {
                let said = frames.until(Frame::TEXT).await.payload;
                assert!(String::from_utf8(said).unwrap().contains(text));
            }
        }
    }
}

enum After {
    Sse(Http, dualcast_tests::Body),
    Ws(Frames),
}

fn request(server: &Server, under: Under) -> String {
    match under.transport {
        Transport::Sse => "GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n".into(),
        Transport::WebSocket => server.ws_request("/ws?channels=room"),
    }
}

const ORDINARY: &str = "GET /large?0 HTTP/1.1\r\nhost: a\r\n\r\n";

const LARGE_BYTES: usize = 3 << 20;

/// One more route, `/large`, of as many bytes as its query says, or some megabytes in pieces.
fn with_large(under: Under) -> Setup {
    Setup::new(under).app(|app: Router, _| {
        let large = |uri: axum::http::Uri| async move {
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            let pieces = if uri.query() == Some("0") {
                0
            } else {
                LARGE_BYTES / piece.len()
            };
            let pieces =
                futures::stream::iter(0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
            Response::new(Body::from_stream(pieces))
        };
        app.route("/large", get(large))
    })
}

async fn a_session_may_follow_ordinary_requests_on_one_connection(under: Under) {
    let server = with_large(under).start().await;
    // One after the other.
    let mut http = server.http().await;
    for _ in 0..3 {
        http.send(ORDINARY).await.unwrap();
        assert_eq!(http.answer().await.unwrap().status(), 200);
    }
    http.send(request(&server, under)).await.unwrap();
    expect_session(&server, http, under.transport).await;

    // All at once, before the first is answered.
    let mut http = server.http().await;
    http.send([ORDINARY, ORDINARY, ORDINARY, &request(&server, under)].concat())
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(http.answer().await.unwrap().status(), 200);
    }
    expect_session(&server, http, under.transport).await;
    server.is_free_of(&["room"]).await;
}

async fn a_session_waits_for_the_end_of_a_large_answer_before_it(under: Under) {
    let server = with_large(under).small_buffers().start().await;
    let mut http = Http::over(Socket::connect(server.address, true).await.unwrap());
    let large = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    http.send([large, large, &request(&server, under)].concat())
        .await
        .unwrap();
    for _ in 0..2 {
        let answer = http.answer().await.unwrap();
        assert_eq!((answer.status(), answer.body.len()), (200, LARGE_BYTES));
        assert!(answer.body.iter().all(|byte| *byte == b'x'));
    }
    expect_session(&server, http, under.transport).await;
    server.is_free_of(&["room"]).await;
}

async fn a_session_waits_for_small_answers_that_have_not_left_yet(under: Under) {
    let server = with_large(under).small_buffers().start().await;
    // With some of these counts the last answers are written when the client takes no more.
    for count in (20..260).step_by(20) {
        let mut http = Http::over(Socket::connect(server.address, true).await.unwrap());
        http.send([&ORDINARY.repeat(count), &*request(&server, under)].concat())
            .await
            .unwrap();
        sleep(Duration::from_millis(20)).await;
        for _ in 0..count {
            assert_eq!(http.answer().await.unwrap().status(), 200);
        }
        expect_session(&server, http, under.transport).await;
    }
    server.is_free_of(&["room"]).await;
}

async fn what_a_layer_adds_to_the_head_is_there(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(|mut response: Response| async {
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
            headers.append(header::SET_COOKIE, HeaderValue::from_static("b=2"));
            headers.insert("x-request-id", HeaderValue::from_static("77"));
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("https://a.example"),
            );
            response
        }))
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send(request(&server, under)).await.unwrap();
    let head = http.head().await.unwrap();
    let cookies = head.headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<_> = cookies.map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(head.get("x-request-id"), Some("77"));
    assert_eq!(head.get("access-control-allow-origin"), Some("https://a.example"));
}

async fn a_layer_that_refuses_on_the_way_out_is_heeded(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(|response: Response| async {
            let (mut parts, _) = response.into_parts();
            parts.status = StatusCode::PAYMENT_REQUIRED;
            Response::from_parts(parts, Body::from("first pay"))
        }))
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send(request(&server, under)).await.unwrap();
    let answer = http.answer().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (402, "first pay"));
    server.is_free_of(&["room"]).await;
}

/// hyper has an upgrade ready from the request on, and grants it when the connection ends, whatever was answered.
async fn nothing_follows_a_refusal_on_the_way_out(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(|response: Response| async {
            match response.status() {
                StatusCode::NOT_FOUND => response,
                _ => (StatusCode::PAYMENT_REQUIRED, "first pay").into_response(),
            }
        }))
    });
    let server = setup.start().await;
    let last = "GET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let only = request(&server, under).replace("connection: Upgrade", "connection: upgrade, close");
    for (first, then) in [(only, None), (request(&server, under), Some(last))] {
        let mut http = server.http().await;
        http.send(first).await.unwrap();
        assert_eq!(http.answer().await.unwrap().text(), "first pay");
        if let Some(then) = then {
            http.send(then).await.unwrap();
            assert_eq!(http.answer().await.unwrap().status(), 404);
        }
        if under.transport == Transport::WebSocket {
            // Both connections end here.
            let more = http.exactly(1).await;
            assert!(more.is_err(), "{more:?}");
        }
        server.is_free_of(&["room"]).await;
    }
}

async fn a_stream_that_a_layer_refuses_on_the_way_out_is_no_session(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(async |_: Response| {
            (StatusCode::PAYMENT_REQUIRED, "first pay")
        }))
    });
    let server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let request = connect(server.address, "/ws?channels=room", "websocket");
    let answer = http2.answer(request).await.unwrap();
    assert_eq!((answer.status(), answer.text()), (402, "first pay"));
    server.is_free_of(&["room"]).await;
}

async fn a_layer_that_panics_leaves_nothing_behind(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(|_: Response| async {
            if true {
                panic!("on purpose");
            }
        }))
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send(request(&server, under)).await.unwrap();
    assert!(http.head().await.is_err());
    server.is_free_of(&["room"]).await;
}

/// As a compression layer does: another body around the body, and the header that says so.
async fn encode(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static("x-upside-down"),
    );
    let body = body
        .map_frame(|frame| frame.map_data(|piece: Bytes| piece.iter().map(|byte| !byte).collect::<Bytes>()));
    Response::from_parts(parts, Body::new(body))
}

async fn a_layer_that_encodes_the_body_goes_on_doing_so(under: Under) {
    let server = Setup::new(under)
        .app(|app, _| app.layer(middleware::map_response(encode)))
        .start()
        .await;
    let mut http = server.http().await;
    http.send(request(&server, under)).await.unwrap();
    let head = http.head().await.unwrap();
    assert_eq!(head.get("content-encoding"), Some("x-upside-down"));
    let mut framing = head.body();
    server.publish("room", "hello").await;
    server.channel("room").finish().await.unwrap();
    let mut stream = EventStream::default();
    while let Some(piece) = http.body(&mut framing).await.unwrap() {
        stream.feed(&piece.iter().map(|byte| !byte).collect::<Vec<_>>());
    }
    let events: Vec<_> = std::iter::from_fn(|| stream.event()).collect();
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!((&*events[1].event, &*events[1].data), ("message", "hello"));
    server.is_free_of(&["room"]).await;
}

async fn a_layer_that_gives_the_answer_a_body_of_its_own_is_heeded(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        app.layer(middleware::map_response(|response: Response| async {
            (response.into_parts().0, "instead").into_response()
        }))
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send(request(&server, under)).await.unwrap();
    assert_eq!(http.answer().await.unwrap().text(), "instead");
    server.is_free_of(&["room"]).await;
}

async fn a_layer_that_encodes_leaves_a_handshake_alone(under: Under) {
    let server = Setup::new(under)
        .app(|app, _| app.layer(middleware::map_response(encode)))
        .start()
        .await;
    let mut client = server.dial("room").open().await;
    server.publish("room", "hello").await;
    assert_eq!(client.next().await.text(), "hello");
}

/// A layer whose own body says nothing of the one in it looks as if it had thrown that away. Where hyper can't be asked what it sent, this is
/// taken for a refusal: better a WebSocket that never works than one that was refused and goes on.
async fn a_layer_that_hides_what_became_of_a_handshake_ends_it_where_nobody_else_knows(under: Under) {
    let hide = |response: Response| async {
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, Body::from_stream(body.into_data_stream()))
    };
    let server = Setup::new(under)
        .app(move |app, _| app.layer(middleware::map_response(hide)))
        .start()
        .await;
    let mut client = server.dial("room").connect().await;
    if under.server == HttpServer::Axum && under.version == HttpVersion::Http1 {
        let (told, end) = client.until_end().await;
        assert_eq!((told.len(), end), (0, End::Cut));
        server.is_free_of(&["room"]).await;
    } else {
        server.publish("room", "hello").await;
        assert_eq!(client.until_text("hello").await.len(), 2);
    }
}

contract!(http1: an_extractor_of_the_application_may_refuse_first);

/// Whatever the application extracts before it hands over is an ordinary answer.
async fn an_extractor_of_the_application_may_refuse_first(under: Under) {
    let server = Setup::new(under)
        .app(|app, _| app.layer(Extension(77)))
        .start()
        .await;
    for (target, status) in [
        ("sse", 400),
        ("ws", 400),
        ("sse?channels=a..b", 400),
        ("ws?channels=a%20b", 400),
    ] {
        let request = server.ws_request(&format!("/{target}"));
        let answer = server.request(request).await;
        assert_eq!(answer.status(), status, "{target}");
    }
    let answer = server.request(server.ws_request("/ws?channels=a..b")).await;
    assert!(matches!(Told::from_answer(&answer.json()), Told::Error { code, .. } if code == "bad-channel"));
    eventually("nothing was opened", || server.hub.session_count() == 0).await;
}

contract!(http1 own_server: the_application_learns_its_clients_address);

async fn the_application_learns_its_clients_address(under: Under) {
    let setup = Setup::new(under).app(|app, _| {
        let address = |ConnectInfo(address): ConnectInfo<SocketAddr>| async move { address.to_string() };
        app.route("/address", get(address))
    });
    let server = setup.start().await;
    let answer = server.request("GET /address HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let address: SocketAddr = answer.text().parse().unwrap();
    assert_eq!(address.ip(), server.address.ip());
    assert_ne!(address.port(), server.address.port());
}
