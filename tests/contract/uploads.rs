//! What clients send with a request: how long it may take, and what becomes of the answer and of the connection meanwhile.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;
use dualcast::{Cors, OriginPolicy};
use dualcast_tests::{Answer, Head, Http2, HttpVersion, Server, Setup, Under, WINDOW_BYTES, contract, get};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

contract!(
    own_server: an_answer_to_a_body_that_stops_coming_keeps_what_layers_said_of_it,
    an_upload_may_go_on_after_it_was_answered,
);

const PAGE: &str = "https://app.example";

/// A page of another origin sends the beginning of a body, and no more.
async fn begin_and_stop(server: &Server, under: Under) -> Answer {
    match under.version {
        HttpVersion::Http1 => {
            let head =
                format!("POST /echo HTTP/1.1\r\nhost: a\r\norigin: {PAGE}\r\ncontent-length: 100\r\n\r\n{{");
            server.request(head).await
        }
        HttpVersion::Http2 => {
            let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
            let request = Request::post(format!("http://{}/echo", server.address));
            let request = request.header("origin", PAGE).body(()).unwrap();
            let mut request = http2.upload(request).await.unwrap();
            request.say(b"{").unwrap();
            let (response, mut stream) = request.answer().await.unwrap();
            let mut body = Vec::new();
            while let Ok(Some(piece)) = stream.piece().await {
                body.extend_from_slice(&piece);
            }
            let head = Head::from_response(&response);
            Answer { head, body }
        }
    }
}

async fn an_answer_to_a_body_that_stops_coming_keeps_what_layers_said_of_it(under: Under) {
    let setup = Setup::new(under)
        .options(|options| options.body_timeout = Duration::from_millis(50))
        .app(|app, _| {
            let describe = |mut response: Response| async {
                for (name, value) in [
                    (header::SET_COOKIE, "a=1"),
                    (header::CONTENT_SECURITY_POLICY, "sandbox"),
                    (header::CONTENT_LANGUAGE, "tlh"),
                    (header::ETAG, "\"its\""),
                ] {
                    response
                        .headers_mut()
                        .insert(name, HeaderValue::from_static(value));
                }
                response
            };
            app.route("/echo", post(async |body: String| body))
                .layer(middleware::map_response(describe))
                .layer(Cors::new(OriginPolicy::allow([PAGE]).unwrap()))
        });
    let server = setup.start().await;
    let answer = begin_and_stop(&server, under).await;
    assert_eq!(
        (answer.status(), answer.text()),
        (408, "the request's body did not come in time")
    );
    let closes = (under.version == HttpVersion::Http1).then_some("close");
    for (name, value) in [
        ("access-control-allow-origin", Some(PAGE)),
        ("set-cookie", Some("a=1")),
        ("content-security-policy", Some("sandbox")),
        ("connection", closes),
        ("content-type", Some("text/plain; charset=utf-8")),
        ("content-length", Some("39")),
        ("content-language", None),
        ("etag", None),
    ] {
        assert_eq!(answer.head.get(name), value, "{name}");
    }
}

/// A handler that answers first, and reads on in a task of its own.
async fn an_upload_may_go_on_after_it_was_answered(under: Under) {
    const PIECES: usize = 10;
    let (told, mut received) = mpsc::unbounded_channel();
    let take = move |body: Body| {
        let told = told.clone();
        async move {
            tokio::spawn(async move {
                let whole = body.collect().await;
                told.send(whole.ok().map(|body| body.to_bytes().len())).unwrap();
            });
            "go on"
        }
    };
    let setup = Setup::new(under)
        .options(|options| {
            options.idle_timeout = Duration::from_millis(100);
            options.head_timeout = Duration::from_millis(100);
        })
        .app(|app, _| app.route("/upload", post(take)));
    let server = setup.start().await;
    let pause = Duration::from_millis(50);
    match under.version {
        HttpVersion::Http1 => {
            let length = format!("content-length: {PIECES}");
            for (framing, piece, end) in [
                (&*length, "x", ""),
                ("transfer-encoding: chunked", "1\r\nx\r\n", "0\r\n\r\n"),
            ] {
                let mut http = server.http().await;
                let head = format!("POST /upload HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
                http.send(head).await.unwrap();
                assert_eq!(http.answer().await.unwrap().text(), "go on");
                for _ in 0..PIECES {
                    tokio::time::sleep(pause).await;
                    http.send(piece).await.unwrap();
                }
                http.send(end).await.unwrap();
                assert_eq!(received.recv().await.unwrap(), Some(PIECES));
                // And then it is idle as any other.
                assert_eq!(http.drain().await.unwrap(), 0);
            }
        }
        HttpVersion::Http2 => {
            let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
            let request = Request::post(format!("http://{}/upload", server.address));
            let request = http2.upload(request.body(()).unwrap()).await.unwrap();
            let (_, mut stream) = request.answer().await.unwrap();
            assert_eq!(stream.piece().await.unwrap().unwrap(), "go on");
            for _ in 0..PIECES {
                tokio::time::sleep(pause).await;
                stream.write_all(b"x").await.unwrap();
            }
            let another = http2.answer(get(server.address, "/nowhere")).await;
            assert_eq!(another.unwrap().status(), 404, "nobody said goodbye");
            stream.shutdown().await.unwrap();
            assert_eq!(received.recv().await.unwrap(), Some(PIECES));
            http2.is_over().await;
        }
    }
}
