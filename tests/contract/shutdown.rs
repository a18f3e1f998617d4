//! Shutdown: every client is told, the server returns, and nothing is left.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use dualcast::{CloseReason, Hub, Message, Sse, Transport};
use dualcast_tests::{Client, End, Frame, Server, Setup, Told, Under, contract, eventually};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

contract!(
    over nats: a_shutdown_waits_for_no_stalled_client,
    who_comes_to_a_hub_that_is_shut_is_told_at_once,
    what_was_published_before_a_shutdown_arrives_before_the_closing,
);
contract!(http1: a_shutdown_ends_with_every_client_told, a_client_that_never_pauses_is_told);
contract!(own_server: a_request_under_way_that_becomes_a_session_is_told_of_the_shutdown);
contract!(
    http1 own_server: a_request_under_way_is_answered_before_the_server_is_over,
    a_request_that_never_ends_is_dropped_at_the_drain_deadline,
    a_session_that_goes_by_a_body_is_told_too,
);
contract!(own_server: no_task_is_left_after_a_shutdown);
contract!(sse: a_stream_of_no_channel_holds_up_no_shutdown);

/// No more than it takes: the server closes all, though its clients are there.
async fn expect_over(server: &mut Server) {
    server.is_over().await;
    server.is_free_of(&["room"]).await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens"
    );
}

/// One after another its clients answer the goodbye. On a busy machine the last of them may take longer than a server waits by default,
/// and over HTTP/2 the reset would take the goodbye from it.
pub(crate) fn patient(under: Under) -> Setup {
    Setup::new(under).session(|options| options.close_timeout = Duration::from_secs(20))
}

async fn expect_told(client: &mut Client) {
    assert_eq!(client.closing().await, ("shutdown".into(), true));
}

pub(crate) async fn a_shutdown_ends_with_every_client_told(under: Under) {
    let mut server = patient(under).start().await;
    let mut clients = Vec::new();
    for transport in [under.transport, under.other_transport()] {
        for _ in 0..5 {
            clients.push(server.dial_by(transport, "room").open().await);
        }
    }
    let idle = server.http().await;
    assert!(server.is_running());
    server.begin_shutdown();
    for client in &mut clients {
        expect_told(client).await;
    }
    drop((clients, idle));
    expect_over(&mut server).await;
}

pub(crate) async fn a_shutdown_waits_for_no_stalled_client(under: Under) {
    let mut server = Setup::new(under).small_buffers().start().await;
    let stalled = server.dial("room").slow().open().await;
    let mut silent = server.dial("room").slow().open().await;
    let mut healthy = server.dial("room").open().await;
    for number in 0..120 {
        server
            .publish("room", format!("{number}:{}", "x".repeat(12 << 10)))
            .await;
        healthy.next().await;
    }
    server.begin_shutdown();
    expect_told(&mut healthy).await;
    server.is_free_of(&["room"]).await;
    if !under.cuts_the_stalled() {
        // There hyper asks nothing of a stream whose client doesn't read, and `axum::serve` waits for its connection.
        drop(stalled);
        silent.until_end().await;
        return expect_over(&mut server).await;
    }
    expect_over(&mut server).await;
    let (told, _) = silent.until_end().await;
    assert!(told.len() < 120);
    drop(stalled);
}

async fn who_comes_to_a_hub_that_is_shut_is_told_at_once(under: Under) {
    let server = Setup::new(under).start().await;
    server.publish("room", "never seen").await;
    server.hub.shutdown();
    let mut client = server.dial("room").open().await;
    expect_told(&mut client).await;
    server.is_free_of(&["room"]).await;
}

async fn what_was_published_before_a_shutdown_arrives_before_the_closing(under: Under) {
    let mut server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    server.publish("room", "seen").await;
    assert_eq!(client.next().await.text(), "seen");
    server.begin_shutdown();
    expect_told(&mut client).await;
    expect_over(&mut server).await;
}

/// One more route, `/slow`, that answers when it may.
fn with_slow(under: Under, gate: &Arc<Semaphore>, handling: &Arc<Semaphore>) -> Setup {
    let (gate, handling) = (Arc::clone(gate), Arc::clone(handling));
    Setup::new(under).app(move |app: Router, hub| {
        let room = hub.channel("room").unwrap();
        let wait = move || {
            let (gate, handling) = (Arc::clone(&gate), Arc::clone(&handling));
            async move {
                handling.add_permits(1);
                gate.acquire().await.unwrap().forget();
            }
        };
        let slow = {
            let wait = wait.clone();
            || async move {
                wait().await;
                "done"
            }
        };
        let slow_sse = {
            let (wait, room) = (wait.clone(), room.clone());
            |sse: Sse| async move {
                wait().await;
                sse.subscribe(room)
            }
        };
        let slow_ws = |ws: dualcast::Ws| async move {
            wait().await;
            ws.subscribe(room)
        };
        app.route("/slow", get(slow))
            .route("/slow-sse", get(slow_sse))
            .route("/slow-ws", any(slow_ws))
    })
}

async fn a_request_under_way_is_answered_before_the_server_is_over(under: Under) {
    let (gate, handling) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = with_slow(under, &gate, &handling).start().await;
    let mut client = server.dial("room").open().await;
    let mut http = server.http().await;
    http.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    handling.acquire().await.unwrap().forget();
    server.begin_shutdown();
    expect_told(&mut client).await;
    assert!(server.is_running());
    gate.add_permits(1);
    assert_eq!(http.answer().await.unwrap().text(), "done");
    expect_over(&mut server).await;
}

async fn a_request_that_never_ends_is_dropped_at_the_drain_deadline(under: Under) {
    let (gate, handling) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let setup = with_slow(under, &gate, &handling);
    let mut server = setup
        .options(|options| options.drain_timeout = Duration::from_millis(100))
        .start()
        .await;
    let mut http = server.http().await;
    http.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    handling.acquire().await.unwrap().forget();
    server.begin_shutdown();
    expect_over(&mut server).await;
    assert!(http.answer().await.is_err());
}

async fn a_request_under_way_that_becomes_a_session_is_told_of_the_shutdown(under: Under) {
    let (gate, handling) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = with_slow(under, &gate, &handling).start().await;
    let path = match under.transport {
        Transport::Sse => "/slow-sse",
        Transport::WebSocket => "/slow-ws",
    };
    let dial = server.dial_path(path);
    let client = tokio::spawn(async move { dial.open().await });
    handling.acquire().await.unwrap().forget();
    server.begin_shutdown();
    gate.add_permits(1);
    expect_told(&mut client.await.unwrap()).await;
    expect_over(&mut server).await;
}

async fn a_session_that_goes_by_a_body_is_told_too(under: Under) {
    let mut server = Setup::new(under).start().await;
    // HTTP/1.0 knows no chunks, so that hyper keeps the connection.
    let mut http = server.http().await;
    http.send("GET /sse?channels=room HTTP/1.0\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut framing = http.head().await.unwrap().body();
    server.begin_shutdown();
    let mut body = Vec::new();
    while let Some(piece) = http.body(&mut framing).await.unwrap() {
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains("dualcast:closing") && body.contains(CloseReason::Shutdown.name()),
        "{body}"
    );
    expect_over(&mut server).await;
}

async fn a_stream_of_no_channel_holds_up_no_shutdown(under: Under) {
    let setup = Setup::new(under).app(move |app: Router, hub: &Hub| {
        let hub = hub.clone();
        let endless = |sse: Sse| async move {
            let first = stream::iter([Message::text("message", "first")]);
            sse.stream(&hub, first.chain(stream::pending()))
        };
        app.route("/stream", get(endless))
    });
    let mut server = setup.start().await;
    let mut client = server.dial_path("/stream").connect().await;
    assert_eq!(client.next().await.text(), "first");
    server.begin_shutdown();
    let (told, end) = client.until_end().await;
    assert!(
        matches!(&told[..], [Told::Closing { reason, .. }] if reason == "shutdown"),
        "{told:?}"
    );
    assert_eq!(end, End::Complete(None));
    server.is_over().await;
    eventually("it is over", || !server.is_running()).await;
}

/// What it sends must not use up the time in which it could be told.
async fn a_client_that_never_pauses_is_told(under: Under) {
    let mut server = Setup::new(under).start().await;
    let mut http = server.http().await;
    let request = match under.transport {
        Transport::Sse => "GET /sse?channels=room HTTP/1.1\r\nhost: a\r\n\r\n".into(),
        Transport::WebSocket => server.ws_request("/ws?channels=room"),
    };
    http.send(request).await.unwrap();
    http.head().await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(http.into_socket());
    let chatter = Frame::new(Frame::PING, b"and so on").masked().repeat(200);
    let chatter = tokio::spawn(async move { while writer.write_all(&chatter).await.is_ok() {} });
    let reader = tokio::spawn(async move {
        let mut heard = Vec::new();
        drop(reader.read_to_end(&mut heard).await);
        heard
    });
    // For as long as it takes to be in the thick of it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.begin_shutdown();
    let heard = reader.await.unwrap();
    let closing = br#""reason":"shutdown","code":1012"#;
    assert!(heard.windows(closing.len()).any(|window| window == closing));
    chatter.await.unwrap();
    expect_over(&mut server).await;
}

async fn no_task_is_left_after_a_shutdown(under: Under) {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut server = Setup::new(under).small_buffers().start().await;
    let mut clients = Vec::new();
    for transport in [under.transport, under.other_transport()] {
        for _ in 0..5 {
            clients.push(server.dial_by(transport, "room").open().await);
        }
    }
    let stalled = server.dial("room").slow().open().await;
    let idle = server.http().await;
    for _ in 0..60 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    assert!(tasks() > before + clients.len());
    server.begin_shutdown();
    server.is_over().await;
    assert_eq!(server.hub.session_count(), 0);
    drop((clients, stalled, idle));
    // What is left is the hub's clockwork, with a task for each worker, and for moments what drives the clients, and the watch over bodies.
    let clockwork = Handle::current().metrics().num_workers();
    eventually("every task is over", || tasks() <= before + clockwork).await;
}
