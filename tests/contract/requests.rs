//! Ordinary requests of HTTP/1.1: what stands around sessions is untouched by them, and the same under both servers.

use axum::body::Bytes;
use axum::http::Method;
use axum::routing::any;
use dualcast_tests::{Answer, Http, Server, Setup, Under, contract};

contract!(
    http1 servers: a_body_is_asked_for_where_the_client_expects_it,
    a_body_may_come_in_chunks_and_with_trailers,
    a_target_may_be_a_whole_address,
    a_connection_is_closed_where_the_client_says_so,
    a_connection_is_good_for_many_methods,
    a_request_of_http_1_0_is_answered_and_the_connection_closed,
);

async fn server(under: Under) -> Server {
    let echo = async |method: Method, body: Bytes| format!("{method}:{}", String::from_utf8_lossy(&body));
    Setup::new(under)
        .app(move |app, _| app.route("/echo", any(echo)))
        .start()
        .await
}

async fn ask(http: &mut Http, request: &str) -> Answer {
    http.send(request).await.unwrap();
    http.answer().await.unwrap()
}

async fn a_body_is_asked_for_where_the_client_expects_it(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    for _ in 0..2 {
        http.send("POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(http.head().await.unwrap().status, 100);
        assert_eq!(ask(&mut http, "hello").await.text(), "POST:hello");
    }
}

async fn a_body_may_come_in_chunks_and_with_trailers(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for end in ["0\r\n\r\n", "0\r\nx-trailer: a\r\n\r\n"] {
        let request = [head, "3\r\nhel\r\n2;extension=1\r\nlo\r\n", end].concat();
        assert_eq!(ask(&mut http, &request).await.text(), "POST:hello");
    }
}

async fn a_target_may_be_a_whole_address(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    let answer = ask(
        &mut http,
        "GET http://a.example/echo HTTP/1.1\r\nhost: a.example\r\n\r\n",
    )
    .await;
    assert_eq!(answer.text(), "GET:");
    http.send("GET http://a.example/sse?channels=room HTTP/1.1\r\nhost: a.example\r\n\r\n")
        .await
        .unwrap();
    let mut framing = http.head().await.unwrap().body();
    assert!(
        http.body(&mut framing)
            .await
            .unwrap()
            .unwrap()
            .starts_with(b"retry: ")
    );
}

async fn a_connection_is_closed_where_the_client_says_so(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    let answer = ask(
        &mut http,
        "GET /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(
        (answer.text(), answer.head.get("connection")),
        ("GET:", Some("close"))
    );
    assert_eq!(http.drain().await.unwrap(), 0);
}

async fn a_connection_is_good_for_many_methods(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    for method in ["GET", "OPTIONS", "DELETE", "PROPFIND"] {
        let answer = ask(&mut http, &format!("{method} /echo HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(answer.text(), format!("{method}:"));
        http.send("HEAD /echo HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let head = http.head().await.unwrap();
        assert_eq!((head.status, head.get("content-length")), (200, Some("5")));
    }
}

async fn a_request_of_http_1_0_is_answered_and_the_connection_closed(under: Under) {
    let server = server(under).await;
    let mut http = server.http().await;
    let answer = ask(&mut http, "GET /echo HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.text(), "GET:");
    assert_eq!(http.drain().await.unwrap(), 0);
}
