//! Connections that the application upgrades by itself: they count among the others, and none outlives the server.

use std::future::pending;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use dualcast_tests::{
    Http, Http2, Server, Setup, Socket, Under, WINDOW_BYTES, connect, contract, eventually,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::sync::Semaphore;
use tokio::time::timeout;

contract!(
    http1 own_server: an_upgrade_of_the_applications_own_has_a_place,
    no_upgrade_of_the_applications_own_outlives_the_server,
    an_upgrade_of_the_applications_own_goes_on_while_the_server_drains,
);
contract!(
    http2 own_server: an_upgrade_of_a_stream_is_waited_for_and_then_cut,
    what_an_application_said_last_on_a_stream_arrives,
    a_quiet_upgrade_of_a_stream_does_not_outlive_the_server,
    an_upgrade_that_the_application_dropped_does_not_wait_for_who_takes_nothing,
);

/// What the application does with a connection of its own.
#[derive(Clone, Copy)]
enum Way {
    /// Says everything again.
    Echo,
    /// Never reads, and never stops to write.
    Flood,
    /// Says something, and goes.
    Farewell,
    /// The same, but does not wait until all of it is taken.
    Abrupt,
    /// Neither reads nor writes, nor ends.
    Quiet,
    /// The same, but for its last word.
    HalfClosed,
}

/// More routes: `/echo` and `/flood`, and `/held`, which waits at the gate. Also answers how many of their handlers run.
fn with_upgrades(under: Under) -> (Setup, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (running, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).app({
        let (running, gate) = (Arc::clone(&running), Arc::clone(&gate));
        move |app: Router, _| {
            let held = {
                let running = Arc::clone(&running);
                async move || {
                    running.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    "done"
                }
            };
            let route = |way| {
                let running = Arc::clone(&running);
                any(async move |request: Request| upgrade(request, way, running))
            };
            app.route("/echo", route(Way::Echo))
                .route("/flood", route(Way::Flood))
                .route("/farewell", route(Way::Farewell))
                .route("/abrupt", route(Way::Abrupt))
                .route("/quiet", route(Way::Quiet))
                .route("/half-closed", route(Way::HalfClosed))
                .route("/held", get(held))
        }
    });
    (setup, running, gate)
}

/// More than anybody takes ahead.
const FAREWELL_BYTES: usize = 1 << 20;

/// As axum's `WebSocketUpgrade` does.
fn upgrade(request: Request, way: Way, running: Arc<AtomicUsize>) -> Response {
    let is_stream = request.version() == Version::HTTP_2;
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let (mut reader, mut writer) = split(TokioIo::new(upgraded));
        running.fetch_add(1, Ordering::SeqCst);
        match way {
            Way::Echo => drop(copy(&mut reader, &mut writer).await),
            Way::Farewell => writer.write_all(&[b'x'; FAREWELL_BYTES]).await.unwrap(),
            Way::Abrupt => {
                let farewell = writer.write_all(&[b'x'; FAREWELL_BYTES]);
                timeout(Duration::from_millis(100), farewell).await.unwrap_err();
            }
            Way::Quiet => pending().await,
            Way::HalfClosed => {
                writer.shutdown().await.unwrap();
                pending().await
            }
            Way::Flood => while writer.write_all(&[b'x'; 1_024]).await.is_ok() {},
        }
        running.fetch_sub(1, Ordering::SeqCst);
    });
    if is_stream {
        return StatusCode::OK.into_response();
    }
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "own")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A client on a connection that the application has.
async fn open(server: &Server, path: &str) -> Http {
    let mut http = server.small_http().await;
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n");
    http.send(head).await.unwrap();
    assert_eq!(http.head().await.unwrap().status, 101);
    http
}

async fn expect_echo(http: &mut Http) {
    http.send("hello").await.unwrap();
    assert_eq!(http.exactly(5).await.unwrap(), b"hello");
}

async fn an_upgrade_of_the_applications_own_has_a_place(under: Under) {
    let (setup, running, _) = with_upgrades(under);
    let setup = setup.options(|options| options.max_connections = 1);
    let server = setup.start().await;
    let mut own = open(&server, "/echo").await;
    expect_echo(&mut own).await;
    let mut another = Http::over(Socket::connect(server.address, false).await.unwrap());
    let _ = another.send("GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(
        another.drain().await.unwrap_or(0),
        0,
        "there is no place for another"
    );
    expect_echo(&mut own).await;
    drop(own);
    eventually("it is over", || running.load(Ordering::SeqCst) == 0).await;
    // Its place is given again: to a session, which takes it along.
    let mut client = server.dial("room").open().await;
    server.publish("room", "lives").await;
    assert_eq!(client.next().await.text(), "lives");
}

async fn no_upgrade_of_the_applications_own_outlives_the_server(under: Under) {
    for under in [under, under.with_tls()] {
        let (setup, running, _) = with_upgrades(under);
        // They are not waited for.
        let setup = setup.options(|options| options.drain_timeout = Duration::from_secs(3_600));
        let mut server = setup.small_buffers().start().await;
        let mut own = open(&server, "/echo").await;
        let full = open(&server, "/flood").await;
        expect_echo(&mut own).await;
        eventually("both run", || running.load(Ordering::SeqCst) == 2).await;
        server.begin_shutdown();
        server.is_over().await;
        // Under TLS it is an error that nobody said goodbye.
        assert_eq!(own.drain().await.unwrap_or(0), 0);
        eventually("their handlers learn of it", || {
            running.load(Ordering::SeqCst) == 0
        })
        .await;
        drop(full);
    }
}

async fn an_upgrade_of_the_applications_own_goes_on_while_the_server_drains(under: Under) {
    let (setup, running, gate) = with_upgrades(under);
    let mut server = setup.start().await;
    let mut own = open(&server, "/echo").await;
    let mut held = server.http().await;
    held.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually("the request is there", || running.load(Ordering::SeqCst) == 2).await;
    server.begin_shutdown();
    eventually("nobody listens", || TcpStream::connect(server.address).is_err()).await;
    expect_echo(&mut own).await;
    gate.add_permits(1);
    assert_eq!(held.answer().await.unwrap().text(), "done");
    server.is_over().await;
    assert_eq!(own.drain().await.unwrap(), 0);
}

async fn an_upgrade_of_a_stream_is_waited_for_and_then_cut(under: Under) {
    for drain_timeout in [Duration::from_secs(3_600), Duration::from_millis(100)] {
        let (setup, running, _) = with_upgrades(under);
        let setup = setup.options(move |options| options.drain_timeout = drain_timeout);
        let mut server = setup.start().await;
        let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
        let request = connect(server.address, "/echo", "own");
        let (response, stream) = http2.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut own = Http::over(stream);
        expect_echo(&mut own).await;
        server.begin_shutdown();
        if drain_timeout > Duration::from_secs(1) {
            eventually("nobody listens", || TcpStream::connect(server.address).is_err()).await;
            expect_echo(&mut own).await;
            assert!(server.is_running());
            drop(own);
        }
        server.is_over().await;
        eventually("its handler learns of it", || running.load(Ordering::SeqCst) == 0).await;
    }
}

async fn what_an_application_said_last_on_a_stream_arrives(under: Under) {
    let (setup, running, _) = with_upgrades(under);
    let setup = setup.options(|options| options.drain_timeout = Duration::from_secs(3_600));
    let mut server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let (_, stream) = http2
        .request(connect(server.address, "/farewell", "own"))
        .await
        .unwrap();
    let mut own = Http::over(stream);
    // The application has gone by the time that it hears this.
    own.send("goodbye").await.unwrap();
    assert_eq!(own.drain().await.unwrap(), FAREWELL_BYTES);
    eventually("its handler is over", || running.load(Ordering::SeqCst) == 0).await;
    // And the server is over with it, though the client says nothing more.
    let (_, silent) = http2
        .request(connect(server.address, "/farewell", "own"))
        .await
        .unwrap();
    let mut silent = Http::over(silent);
    assert_eq!(silent.drain().await.unwrap(), FAREWELL_BYTES);
    server.begin_shutdown();
    server.is_over().await;
    drop((own, silent));
}

async fn a_quiet_upgrade_of_a_stream_does_not_outlive_the_server(under: Under) {
    let (setup, running, _) = with_upgrades(under);
    let setup = setup.options(|options| options.drain_timeout = Duration::from_millis(100));
    let mut server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let mut held = Vec::new();
    for (path, count) in [("/quiet", 1), ("/quiet", 2), ("/half-closed", 3)] {
        let request = connect(server.address, path, "own");
        let (_, stream) = http2.request(request).await.unwrap();
        held.push(Http::over(stream));
        eventually("it runs", || running.load(Ordering::SeqCst) == count).await;
    }
    // More than an application takes that doesn't read.
    for index in [0, 2] {
        held[index].send("x".repeat(40_000)).await.unwrap();
    }
    server.begin_shutdown();
    server.is_over().await;
}

async fn an_upgrade_that_the_application_dropped_does_not_wait_for_who_takes_nothing(under: Under) {
    let (setup, running, _) = with_upgrades(under);
    let setup = setup.options(|options| {
        options.drain_timeout = Duration::from_secs(3_600);
        options.write_timeout = Duration::from_millis(200);
    });
    let mut server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let mut held = Vec::new();
    for says_more in [true, false] {
        let request = connect(server.address, "/abrupt", "own");
        let (_, stream) = http2.request(request).await.unwrap();
        let mut own = Http::over(stream);
        if !says_more {
            own.io().shutdown().await.unwrap();
        }
        held.push(own);
    }
    eventually("the application has dropped both", || {
        running.load(Ordering::SeqCst) == 0
    })
    .await;
    server.begin_shutdown();
    server.is_over().await;
    for mut own in held {
        assert!(own.drain().await.is_err(), "it was not all");
    }
}
