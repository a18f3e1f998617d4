//! What clients send with a request: how long it may take, and what becomes of the answer and of the connection meanwhile.

use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;
use dualcast::{Cors, OriginPolicy};
use dualcast_tests::{Answer, Head, Http2, HttpVersion, Server, Setup, Under, WINDOW_BYTES, contract};

contract!(own_server: an_answer_to_a_body_that_stops_coming_keeps_what_layers_said_of_it);

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
