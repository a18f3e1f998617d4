//! Layers of tower-http, one by one: on sessions and on ordinary answers they do what they do under `axum::serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, post};
use dualcast::Transport;
use dualcast_tests::{
    Http, Http2, HttpVersion, Server, Setup, Under, WINDOW_BYTES, contract, eventually, get,
};
use http_body_util::BodyExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

contract!(
    a_cors_layer_names_the_origin,
    a_set_header_layer_sets_it,
    a_request_id_layer_answers_with_one,
    a_timeout_layer_ends_no_session_and_what_takes_too_long,
    a_compression_layer_leaves_sessions_alone_and_encodes_other_answers,
    a_catch_panic_layer_answers_for_a_handler_that_panics,
    a_trace_layer_hears_of_every_answer,
);
contract!(sse: a_layers_guard_in_the_body_lives_as_long_as_the_session);
contract!(sse: a_compression_layer_that_is_told_to_encodes_an_event_stream);
contract!(http1 servers: a_body_limit_layer_refuses_what_is_too_large);

async fn ordinary() -> String {
    "ordinary ".repeat(100)
}

async fn panics() -> String {
    panic!("on purpose")
}

async fn never() -> String {
    std::future::pending().await
}

/// An application with ordinary routes beside the sessions'.
fn setup(under: Under, layer: impl FnOnce(Router) -> Router + Send + 'static) -> Setup {
    Setup::new(under).app(|app, _| {
        let app = app
            .route("/ordinary", any(ordinary))
            .route("/panics", any(panics))
            .route("/never", any(never))
            .route("/echo", post(async |body: Bytes| body));
        layer(app)
    })
}

/// An ordinary answer, over the test's version of HTTP.
async fn answer(
    server: &Server,
    under: Under,
    target: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap, Vec<u8>) {
    let answer = match under.version {
        HttpVersion::Http1 => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            server
                .request(format!("GET {target} HTTP/1.1\r\nhost: a\r\n{headers}\r\n"))
                .await
        }
        HttpVersion::Http2 => {
            let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
            let mut request = get(server.address, target);
            for (name, value) in headers {
                let name: HeaderName = name.parse().unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            http2.answer(request).await.unwrap()
        }
    };
    let mut map = HeaderMap::new();
    for (name, value) in &answer.head.headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    (answer.head.status, map, answer.body)
}

/// A session lives, and its head and an ordinary answer's have a header.
async fn expect_header(
    server: &Server,
    under: Under,
    headers: &[(&str, &str)],
    name: &str,
    value: Option<&str>,
) {
    let mut dial = server.dial("room");
    for (name, value) in headers {
        dial = dial.header(name, value);
    }
    let mut client = dial.open().await;
    let on_session = client.head().get(name).map(ToOwned::to_owned);
    let (status, head, _) = answer(server, under, "/ordinary", headers).await;
    assert_eq!(status, 200);
    let on_answer = head.get(name).map(|value| value.to_str().unwrap().to_owned());
    match value {
        Some(value) => {
            assert_eq!(on_session.as_deref(), Some(value));
            assert_eq!(on_answer.as_deref(), Some(value));
        }
        None => assert!(on_session.is_some() && on_answer.is_some(), "{name} is there"),
    }
    server.publish("room", "lives").await;
    assert_eq!(client.next().await.text(), "lives");
}

async fn a_cors_layer_names_the_origin(under: Under) {
    let origin = "https://app.example";
    let setup = setup(under, move |app| {
        let policy = dualcast::OriginPolicy::allow([origin]).unwrap();
        let cors = CorsLayer::new().allow_origin(origin.parse::<HeaderValue>().unwrap());
        app.layer(axum::Extension(policy)).layer(cors)
    });
    let server = setup.start().await;
    expect_header(
        &server,
        under,
        &[("origin", origin)],
        "access-control-allow-origin",
        Some(origin),
    )
    .await;
}

async fn a_set_header_layer_sets_it(under: Under) {
    let name = HeaderName::from_static("x-frame-options");
    let setup = setup(under, |app| {
        app.layer(SetResponseHeaderLayer::overriding(
            name,
            HeaderValue::from_static("DENY"),
        ))
    });
    let server = setup.start().await;
    expect_header(&server, under, &[], "x-frame-options", Some("DENY")).await;
}

async fn a_request_id_layer_answers_with_one(under: Under) {
    let name = HeaderName::from_static("x-request-id");
    let setup = setup(under, |app| {
        app.layer(PropagateRequestIdLayer::new(name.clone()))
            .layer(SetRequestIdLayer::new(name, MakeRequestUuid))
    });
    let server = setup.start().await;
    expect_header(&server, under, &[], "x-request-id", None).await;
    expect_header(
        &server,
        under,
        &[("x-request-id", "77")],
        "x-request-id",
        Some("77"),
    )
    .await;
}

async fn a_timeout_layer_ends_no_session_and_what_takes_too_long(under: Under) {
    let setup = setup(under, |app| {
        let timeout = Duration::from_millis(100);
        app.layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            timeout,
        ))
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    let (status, ..) = answer(&server, under, "/never", &[]).await;
    assert_eq!(status, 504);
    server.publish("room", "lives").await;
    assert_eq!(client.next().await.text(), "lives");
}

async fn a_compression_layer_leaves_sessions_alone_and_encodes_other_answers(under: Under) {
    let server = setup(under, |app| app.layer(CompressionLayer::new()))
        .start()
        .await;
    let gzip = [("accept-encoding", "gzip")];
    let (status, head, body) = answer(&server, under, "/ordinary", &gzip).await;
    assert_eq!(
        (status, head[header::CONTENT_ENCODING].to_str().unwrap()),
        (200, "gzip")
    );
    assert!(body.starts_with(&[0x1f, 0x8b]) && body.len() < 200);
    let mut client = server.dial("room").header("accept-encoding", "gzip").open().await;
    assert_eq!(client.head().get("content-encoding"), None);
    server.publish("room", "plain").await;
    assert_eq!(client.next().await.text(), "plain");
}

/// It buffers what it encodes, so that this is seldom what one wants; but what it says of the body has to be true.
async fn a_compression_layer_that_is_told_to_encodes_an_event_stream(under: Under) {
    let setup = setup(under, |app| {
        app.layer(CompressionLayer::new().compress_when(SizeAbove::new(0)))
    });
    let server = setup.start().await;
    server.publish("room", "hello").await;
    server.channel("room").finish().await.unwrap();
    let gzip = [("accept-encoding", "gzip")];
    let (status, head, body) = answer(&server, under, "/sse?channels=room", &gzip).await;
    assert_eq!(
        (status, head[header::CONTENT_ENCODING].to_str().unwrap()),
        (200, "gzip")
    );
    assert!(body.starts_with(&[0x1f, 0x8b]));
    server.is_free_of(&["room"]).await;
}

async fn a_catch_panic_layer_answers_for_a_handler_that_panics(under: Under) {
    let server = setup(under, |app| app.layer(CatchPanicLayer::new()))
        .start()
        .await;
    let (status, ..) = answer(&server, under, "/panics", &[]).await;
    assert_eq!(status, 500);
    let mut client = server.dial("room").open().await;
    server.publish("room", "lives").await;
    assert_eq!(client.next().await.text(), "lives");
}

async fn a_trace_layer_hears_of_every_answer(under: Under) {
    let (answers, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let setup = setup(under, {
        let (answers, ends) = (Arc::clone(&answers), Arc::clone(&ends));
        move |app| {
            let trace = TraceLayer::new_for_http()
                .on_response(move |_: &Response<_>, _: Duration, _: &tracing::Span| {
                    answers.fetch_add(1, Ordering::SeqCst);
                })
                .on_eos(move |_: Option<&HeaderMap>, _: Duration, _: &tracing::Span| {
                    ends.fetch_add(1, Ordering::SeqCst);
                });
            app.layer(trace)
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    assert_eq!(answers.load(Ordering::SeqCst), 1);
    answer(&server, under, "/ordinary", &[]).await;
    assert_eq!(answers.load(Ordering::SeqCst), 2);
    if under.transport == Transport::WebSocket {
        return;
    }
    // What ends in good order is told to have ended, and not before.
    let before = ends.load(Ordering::SeqCst);
    server.publish("room", "last").await;
    assert_eq!(client.next().await.text(), "last");
    assert_eq!(ends.load(Ordering::SeqCst), before);
    server.channel("room").finish().await.unwrap();
    client.until_end().await;
    eventually("the end is told", || ends.load(Ordering::SeqCst) == before + 1).await;
}

/// What a layer keeps in a body, to know what is under way.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn a_layers_guard_in_the_body_lives_as_long_as_the_session(under: Under) {
    let open = Arc::new(AtomicUsize::new(0));
    let setup = setup(under, {
        let open = Arc::clone(&open);
        move |app| {
            app.layer(axum::middleware::map_response(move |response: Response| {
                let guard = Guard::new(&open);
                async move {
                    let (parts, body) = response.into_parts();
                    let body = body.map_frame(move |frame| {
                        let _ = &guard;
                        frame
                    });
                    Response::from_parts(parts, Body::new(body))
                }
            }))
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    server.publish("room", "lives").await;
    assert_eq!(client.next().await.text(), "lives");
    assert_eq!(open.load(Ordering::SeqCst), 1);
    client.cut();
    eventually("it is let go", || open.load(Ordering::SeqCst) == 0).await;
    server.is_free_of(&["room"]).await;
}

async fn a_body_limit_layer_refuses_what_is_too_large(under: Under) {
    let setup = setup(under, |app| app.layer(RequestBodyLimitLayer::new(1_000)))
        .on_message(|_, message| async move { dualcast::Reply::json(&message.event) });
    let server = setup.start().await;
    for (length, status) in [(900, 200), (1_100, 413)] {
        let message = serde_json::json!({ "event": "e", "data": "x".repeat(length) });
        let answer = server.say("room", &message).await;
        assert_eq!(answer.status(), status);
        let mut http: Http = server.http().await;
        let body = "x".repeat(length);
        let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        http.send(head).await.unwrap();
        assert_eq!(http.answer().await.unwrap().status(), status);
    }
}
