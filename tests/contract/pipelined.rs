//! Requests of HTTP/1.1 that come before the last one is answered (RFC 9112, section 9.3.2): answers in their order, all of them, and none
//! later than it has to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, header};
use axum::routing::get;
use dualcast_tests::{Http, Server, Setup, Under, contract};
use futures::stream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::sync::Semaphore;
use tokio::task::consume_budget;
use tokio::time::{sleep, timeout};

contract!(
    http1 servers: answers_come_in_the_order_of_their_requests,
    an_answer_does_not_wait_for_a_slow_one_behind_it,
    the_last_answers_of_a_connection_come_before_its_end,
    what_cannot_be_understood_is_answered_behind_what_can,
    an_answer_does_not_wait_for_work_behind_it,
    an_answer_that_breaks_off_takes_none_before_it_along,
    a_handler_that_panics_takes_no_answer_before_it_along,
    a_client_that_asks_and_does_not_read_loses_nothing,
    an_upgrade_follows_the_answers_before_it,
);

const LARGE_BYTES: usize = 20_000;

/// More routes: `/small/{number}` and `/large/{number}`, `/held/{number}` and `/busy/{number}`, which wait at the gate, `/panics/{number}`, `/broken/{number}`, and `/own`, which is the application's. Also answers
/// how many small ones were asked for.
async fn server(under: Under) -> (Server, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).small_buffers().app({
        let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
        move |app: Router, _| {
            let small = async move |Path(number): Path<String>| {
                asked.fetch_add(1, Ordering::SeqCst);
                number
            };
            // Yields, and is ready at once: it uses up the time that its task has.
            let busy = {
                let gate = Arc::clone(&gate);
                async move |Path(number): Path<String>| {
                    while gate.available_permits() == 0 {
                        consume_budget().await;
                    }
                    number
                }
            };
            let panics = async || -> StatusCode { panic!("as it is meant to") };
            let held = async move |Path(number): Path<String>| {
                gate.acquire().await.unwrap().forget();
                number
            };
            let large = async |Path(number): Path<String>| format!("{number:>LARGE_BYTES$}");
            let broken = async || Body::from_stream(stream::iter([Err::<&str, _>("it broke off")]));
            app.route("/small/{number}", get(small))
                .route("/held/{number}", get(held))
                .route("/large/{number}", get(large))
                .route("/broken/{number}", get(broken))
                .route("/panics/{number}", get(panics))
                .route("/busy/{number}", get(busy))
                .route("/own", get(own))
        }
    });
    (setup.start().await, asked, gate)
}

/// Says everything again.
async fn own(request: Request) -> (StatusCode, [(header::HeaderName, &'static str); 2]) {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let (mut reader, mut writer) = split(TokioIo::new(upgraded));
        writer.write_all(b"welcome").await.unwrap();
        drop(copy(&mut reader, &mut writer).await);
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "own")];
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

fn request(path: &str, number: usize) -> String {
    format!("GET /{path}/{number:06} HTTP/1.1\r\nhost: a\r\n\r\n")
}

async fn expect(http: &mut Http, number: usize) {
    let answer = http.answer().await.unwrap();
    assert_eq!(
        (answer.status(), answer.text().trim_start()),
        (200, &*format!("{number:06}"))
    );
}

pub(crate) async fn answers_come_in_the_order_of_their_requests(under: Under) {
    let (server, ..) = server(under).await;
    let mut http = server.small_http().await;
    // As many as leave together, and more; with some between them that don't fit.
    let path = |number| if number % 7 == 3 { "large" } else { "small" };
    let all: String = (0..200).map(|number| request(path(number), number)).collect();
    http.send(all).await.unwrap();
    for number in 0..200 {
        expect(&mut http, number).await;
    }
}

pub(crate) async fn an_answer_does_not_wait_for_a_slow_one_behind_it(under: Under) {
    let (server, _, gate) = server(under).await;
    let mut http = server.small_http().await;
    http.send(
        [
            request("small", 0),
            request("small", 1),
            request("held", 2),
            request("small", 3),
        ]
        .concat(),
    )
    .await
    .unwrap();
    expect(&mut http, 0).await;
    expect(&mut http, 1).await;
    gate.add_permits(1);
    expect(&mut http, 2).await;
    expect(&mut http, 3).await;
}

pub(crate) async fn the_last_answers_of_a_connection_come_before_its_end(under: Under) {
    let (server, ..) = server(under).await;
    let mut http = server.small_http().await;
    let last = "GET /small/000002 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    http.send([&request("small", 0), &request("small", 1), last].concat())
        .await
        .unwrap();
    for number in 0..3 {
        expect(&mut http, number).await;
    }
    assert_eq!(http.drain().await.unwrap(), 0);
}

async fn what_cannot_be_understood_is_answered_behind_what_can(under: Under) {
    let (server, ..) = server(under).await;
    let mut http = server.small_http().await;
    http.send([&request("small", 0), &request("small", 1), "what? \r\n\r\n"].concat())
        .await
        .unwrap();
    expect(&mut http, 0).await;
    expect(&mut http, 1).await;
    assert_eq!(http.answer().await.unwrap().status(), 400);
    assert_eq!(http.drain().await.unwrap(), 0);
}

pub(crate) async fn an_answer_that_breaks_off_takes_none_before_it_along(under: Under) {
    none_before_it_is_lost(under, "broken").await;
}

pub(crate) async fn a_handler_that_panics_takes_no_answer_before_it_along(under: Under) {
    none_before_it_is_lost(under, "panics").await;
}

async fn none_before_it_is_lost(under: Under, last: &str) {
    let (server, ..) = server(under).await;
    // With some of these counts the answers are there when the client takes no more.
    for count in (20..420).step_by(40).chain([0, 2]) {
        let mut http = server.small_http().await;
        let all: String = (0..count).map(|number| request("small", number)).collect();
        http.send([all, request(last, count)].concat()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        for number in 0..count {
            expect(&mut http, number).await;
        }
        assert!(http.answer().await.is_err());
    }
}

async fn an_answer_does_not_wait_for_work_behind_it(under: Under) {
    let (server, _, gate) = server(under).await;
    let mut http = server.small_http().await;
    http.send([request("small", 0), request("busy", 1)].concat())
        .await
        .unwrap();
    expect(&mut http, 0).await;
    gate.add_permits(1);
    expect(&mut http, 1).await;
}

async fn a_client_that_asks_and_does_not_read_loses_nothing(under: Under) {
    let (server, asked, _) = server(under).await;
    let mut http = server.small_http().await;
    let all: String = (0..200_000).map(|number| request("small", number)).collect();
    let mut sent = 0;
    // Until the server reads no more.
    while let Ok(written) = timeout(PAUSE, http.io().write(&all.as_bytes()[sent..])).await {
        sent += written.unwrap();
    }
    let whole = sent / request("small", 0).len();
    assert!(whole < 200_000);
    loop {
        let before = asked.load(Ordering::SeqCst);
        sleep(PAUSE).await;
        if asked.load(Ordering::SeqCst) == before {
            break;
        }
    }
    for number in 0..whole {
        expect(&mut http, number).await;
    }
}

async fn an_upgrade_follows_the_answers_before_it(under: Under) {
    let (server, ..) = server(under).await;
    for _ in 0..20 {
        let mut http = server.small_http().await;
        let upgrade = "GET /own HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: own\r\n\r\nhello";
        http.send(
            [
                &request("small", 0),
                &request("large", 1),
                &request("small", 2),
                upgrade,
            ]
            .concat(),
        )
        .await
        .unwrap();
        for number in 0..3 {
            expect(&mut http, number).await;
        }
        assert_eq!(http.head().await.unwrap().status, 101);
        assert_eq!(http.exactly(12).await.unwrap(), b"welcomehello");
    }
}

/// How long a server that reads on may take for it.
const PAUSE: Duration = Duration::from_millis(300);
