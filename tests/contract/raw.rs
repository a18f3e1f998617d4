//! Raw sockets: an application's own protocol, in the bounds of every session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::any;
use dualcast::{Hub, Identity, RawMessage, RawSocket, Ws, WsOptions};
use dualcast_tests::{Frame, Frames, Http, Server, Setup, Socket, Under, contract, eventually};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};

contract!(
    ws: what_is_sent_comes_back_in_order_and_nothing_beside_it,
    a_handler_that_returns_says_goodbye_behind_its_last_message,
    an_application_closes_with_its_own_code,
    a_client_that_says_goodbye_gets_what_was_written_before,
    what_came_before_a_broken_frame_is_answered_before_the_end,
    a_handler_that_reads_nothing_pushes_back_on_its_client,
    a_client_that_reads_nothing_holds_up_its_handler_and_is_cut,
    a_raw_session_is_told_of_the_shutdown,
    a_raw_session_is_counted_and_sent_away_where_there_are_too_many,
    a_raw_handler_that_panics_ends_its_session_alone,
    a_raw_client_is_held_to_the_origin_and_the_size,
    a_silent_raw_client_is_pinged,
    the_subprotocol_is_the_first_of_the_servers_that_the_client_offers,
    a_raw_handler_finishes_though_its_client_vanished,
    several_tasks_speak_on_one_raw_socket,
    after_its_clients_goodbye_nobody_keeps_a_raw_session_alive,
    a_raw_handler_whose_client_a_layer_refuses_never_runs,
    a_raw_handlers_last_messages_have_the_write_deadline,
    a_raw_handler_hears_nothing_more_of_a_client_that_was_sent_away,
);

#[derive(Deserialize)]
struct Asked {
    who: Option<String>,
}

/// A route `/raw` with this handler.
fn with_raw<F, Fut>(under: Under, options: fn(&mut WsOptions), handler: F) -> Setup
where
    F: Fn(RawSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Setup::new(under).small_buffers().app(move |app, hub| {
        let hub: Hub = hub.clone();
        let route = move |Query(asked): Query<Asked>, mut ws: Ws| async move {
            if let Some(who) = asked.who {
                ws = ws.identity(Identity::new(who));
            }
            ws.options(|o| o.session.max_batch_bytes = 16 << 10)
                .options(options)
                .protocols(["second", "first"])
                .raw(&hub, handler)
        };
        app.route("/raw", any(route))
    })
}

async fn echo(mut socket: RawSocket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn text(text: impl Into<String>) -> RawMessage {
    RawMessage::Text(text.into())
}

async fn raw(server: &Server) -> Frames {
    raw_with(server, server.http().await, "/raw").await
}

async fn raw_with(server: &Server, mut http: Http, target: &str) -> Frames {
    http.send(server.ws_request(target)).await.unwrap();
    let head = http.head().await.unwrap();
    assert_eq!(head.status, 101, "{head:?}");
    assert_eq!(head.get("sec-websocket-protocol"), None);
    Frames::new(http)
}

async fn slow_raw(server: &Server) -> Frames {
    let socket = Socket::connect(server.address, true).await.unwrap();
    raw_with(server, Http::over(socket), "/raw").await
}

async fn expect_close(frames: &mut Frames, code: u16) {
    let close = frames.until(Frame::CLOSE).await;
    assert_eq!(close.close_code(), code);
    frames.send(&close).await.err();
    assert_eq!(frames.http().drain().await.unwrap(), 0, "nothing follows");
}

async fn what_is_sent_comes_back_in_order_and_nothing_beside_it(under: Under) {
    let server = with_raw(
        under,
        |options| options.session.heartbeat = Duration::from_millis(5),
        echo,
    );
    let server = server.start().await;
    let mut frames = raw(&server).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for number in 0..300 {
        let text = Frame::text(&number.to_string());
        frames.send(&text).await.unwrap();
        if number % 3 == 0 {
            let bytes = Frame::new(Frame::BINARY, &vec![7; number * 10]);
            frames.send(&bytes).await.unwrap();
            assert_eq!(frames.next().await.unwrap(), text);
            assert_eq!(frames.next().await.unwrap(), bytes);
        } else {
            assert_eq!(frames.next().await.unwrap(), text);
        }
    }
    let goodbye = Frame::new(Frame::CLOSE, b"\x0f\xa0gone");
    frames.send(&goodbye).await.unwrap();
    assert_eq!(
        frames.next().await.unwrap(),
        goodbye,
        "it is answered with its own code"
    );
    server.is_free_of(&[]).await;
}

async fn a_handler_that_returns_says_goodbye_behind_its_last_message(under: Under) {
    let server = with_raw(
        under,
        |_| {},
        |socket: RawSocket| async move {
            for number in 0..100 {
                socket.send(text(number.to_string())).await.unwrap();
            }
        },
    );
    let server = server.start().await;
    let mut frames = raw(&server).await;
    for number in 0..100 {
        assert_eq!(frames.next().await.unwrap(), Frame::text(&number.to_string()));
    }
    expect_close(&mut frames, 1000).await;
    server.is_free_of(&[]).await;
}

async fn an_application_closes_with_its_own_code(under: Under) {
    let server = with_raw(
        under,
        |_| {},
        |mut socket: RawSocket| async move {
            let Some(RawMessage::Text(asked)) = socket.recv().await else {
                return;
            };
            let code = asked.parse().unwrap();
            let sender = socket.sender();
            sender.send(text("before")).await.unwrap();
            socket.close(code, &"é".repeat(100)).await.unwrap();
            let _ = sender.send(text("behind")).await;
        },
    );
    let server = server.start().await;
    // 1005 and 1006 never stand in a frame (RFC 6455 section 7.4.1).
    for (asked, sent) in [(4400, 4400), (1000, 1000), (3000, 3000), (1005, 1000), (0, 1000)] {
        let mut frames = raw(&server).await;
        frames.send(&Frame::text(&asked.to_string())).await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Frame::text("before"));
        let close = frames.next().await.unwrap();
        assert_eq!((close.opcode, close.close_code()), (Frame::CLOSE, sent));
        assert_eq!(std::str::from_utf8(&close.payload[2..]).unwrap(), "é".repeat(61));
        frames.send(&close).await.err();
        assert_eq!(frames.http().drain().await.unwrap(), 0, "nothing follows");
    }
    server.is_free_of(&[]).await;
}

async fn a_client_that_says_goodbye_gets_what_was_written_before(under: Under) {
    let server = with_raw(under, |_| {}, echo).start().await;
    for _ in 0..20 {
        let mut frames = raw(&server).await;
        let texts: Vec<_> = (0..20).map(|number| Frame::text(&number.to_string())).collect();
        let mut bytes: Vec<u8> = texts.iter().flat_map(|text| text.masked()).collect();
        bytes.extend(Frame::new(Frame::CLOSE, b"\x03\xe8").masked());
        frames.send_bytes(&bytes).await.unwrap();
        for text in &texts {
            assert_eq!(&frames.next().await.unwrap(), text);
        }
        assert_eq!(frames.next().await.unwrap().close_code(), 1000);
    }
    server.is_free_of(&[]).await;
}

async fn what_came_before_a_broken_frame_is_answered_before_the_end(under: Under) {
    let server = with_raw(under, |_| {}, echo).start().await;
    let mut frames = raw(&server).await;
    let mut broken = Frame::text("broken").masked();
    broken[0] |= 0x40;
    let bytes = [Frame::text("whole").masked(), broken].concat();
    frames.send_bytes(&bytes).await.unwrap();
    assert_eq!(frames.next().await.unwrap(), Frame::text("whole"));
    expect_close(&mut frames, 1002).await;
}

async fn a_handler_that_reads_nothing_pushes_back_on_its_client(under: Under) {
    let gate = Arc::new(Semaphore::new(0));
    let server = with_raw(under, |_| {}, {
        let gate = Arc::clone(&gate);
        move |mut socket: RawSocket| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                let mut count = 0;
                while let Some(RawMessage::Binary(bytes)) = socket.recv().await {
                    assert_eq!(bytes.len(), 60_000);
                    count += 1;
                    if count == 200 {
                        break;
                    }
                }
                socket.send(text(count.to_string())).await.unwrap();
            }
        }
    });
    let server = server.start().await;
    let mut frames = slow_raw(&server).await;
    let bytes = Frame::new(Frame::BINARY, &[1; 60_000]).masked().repeat(200);
    let mut sending = Box::pin(frames.send_bytes(&bytes));
    let sent = tokio::time::timeout(Duration::from_millis(300), &mut sending).await;
    assert!(
        sent.is_err(),
        "12 MB are not taken for a handler that reads nothing"
    );
    gate.add_permits(1);
    sending.await.unwrap();
    assert_eq!(frames.until(Frame::TEXT).await, Frame::text("200"));
}

async fn a_client_that_reads_nothing_holds_up_its_handler_and_is_cut(under: Under) {
    let written = Arc::new(AtomicUsize::new(0));
    let server = with_raw(
        under,
        |options| options.session.write_timeout = Duration::from_millis(300),
        {
            let written = Arc::clone(&written);
            move |socket: RawSocket| {
                let written = Arc::clone(&written);
                async move {
                    while socket.send(text("x".repeat(12 << 10))).await.is_ok() {
                        written.fetch_add(1, Ordering::SeqCst);
                    }
                    written.fetch_add(1_000_000, Ordering::SeqCst);
                }
            }
        },
    );
    let server = server.start().await;
    let frames = slow_raw(&server).await;
    eventually("it is given up, and its handler knows", || {
        written.load(Ordering::SeqCst) >= 1_000_000
    })
    .await;
    let written = written.load(Ordering::SeqCst) - 1_000_000;
    assert!(
        (10..60).contains(&written),
        "{written}: the queue, a batch, and what the kernel takes"
    );
    server.is_free_of(&[]).await;
    drop(frames);
}

async fn a_raw_session_is_told_of_the_shutdown(under: Under) {
    let ended = Arc::new(Semaphore::new(0));
    let server = with_raw(under, |_| {}, {
        let ended = Arc::clone(&ended);
        move |socket: RawSocket| {
            let ended = Arc::clone(&ended);
            async move {
                echo(socket).await;
                ended.add_permits(1);
            }
        }
    });
    let mut server = server.start().await;
    let mut told = raw(&server).await;
    let mut disconnected = raw_with(&server, server.http().await, "/raw?who=anna").await;
    for frames in [&mut told, &mut disconnected] {
        frames.send(&Frame::text("hello")).await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Frame::text("hello"));
    }
    assert_eq!(server.hub.disconnect(&Identity::new("anna")), 1);
    expect_close(&mut disconnected, 4005).await;
    server.begin_shutdown();
    expect_close(&mut told, 1012).await;
    server.is_over().await;
    ended.acquire_many(2).await.unwrap().forget();
    server.is_free_of(&[]).await;
}

async fn a_raw_session_is_counted_and_sent_away_where_there_are_too_many(under: Under) {
    let begun = Arc::new(AtomicUsize::new(0));
    let setup = with_raw(under, |_| {}, {
        let begun = Arc::clone(&begun);
        move |socket: RawSocket| {
            begun.fetch_add(1, Ordering::SeqCst);
            echo(socket)
        }
    });
    let setup = setup.hub(|hub| hub.limits(|limits| limits.max_sessions = 1));
    let server = setup.start().await;
    let mut first = raw(&server).await;
    first.send(&Frame::text("hello")).await.unwrap();
    first.next().await.unwrap();
    let mut second = raw(&server).await;
    expect_close(&mut second, 1013).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1, "its handler never ran");
    assert_eq!(server.hub.session_count(), 1);
}

async fn a_raw_handler_that_panics_ends_its_session_alone(under: Under) {
    let server = with_raw(
        under,
        |_| {},
        |mut socket: RawSocket| async move {
            while let Some(message) = socket.recv().await {
                assert_ne!(message, text("panic"), "a test's panic");
                socket.send(message).await.unwrap();
            }
        },
    );
    let server = server.start().await;
    let (mut one, mut other) = (raw(&server).await, raw(&server).await);
    one.send(&Frame::text("panic")).await.unwrap();
    expect_close(&mut one, 1011).await;
    other.send(&Frame::text("fine")).await.unwrap();
    assert_eq!(other.next().await.unwrap(), Frame::text("fine"));
}

async fn a_raw_client_is_held_to_the_origin_and_the_size(under: Under) {
    let server = with_raw(under, |options| options.max_inbound_bytes = 100, echo)
        .start()
        .await;
    let foreign = server.ws_request("/raw").replace(
        "upgrade: websocket\r\n",
        "upgrade: websocket\r\norigin: https://evil.example\r\n",
    );
    assert_eq!(server.request(foreign).await.status(), 403);
    let mut frames = raw(&server).await;
    frames.send(&Frame::text(&"x".repeat(101))).await.unwrap();
    expect_close(&mut frames, 1009).await;
}

async fn a_silent_raw_client_is_pinged(under: Under) {
    let server = with_raw(
        under,
        |options| {
            options.ping_interval = Duration::from_millis(20);
            options.pong_timeout = Duration::from_millis(60);
        },
        echo,
    );
    let server = server.start().await;
    let mut frames = raw(&server).await;
    assert_eq!(frames.next().await.unwrap().opcode, Frame::PING);
    expect_close(&mut frames, 4003).await;
    server.is_free_of(&[]).await;
}

async fn the_subprotocol_is_the_first_of_the_servers_that_the_client_offers(under: Under) {
    let server = with_raw(under, |_| {}, echo).start().await;
    for (offered, chosen) in [
        ("first, second", Some("second")),
        ("first", Some("first")),
        ("dualcast.v1", None),
        ("third", None),
        ("First", None),
    ] {
        let request = server.ws_request("/raw").replace(
            "upgrade: websocket\r\n",
            &format!("upgrade: websocket\r\nsec-websocket-protocol: {offered}\r\n"),
        );
        let mut http = server.http().await;
        http.send(request).await.unwrap();
        let head = http.head().await.unwrap();
        assert_eq!(
            (head.status, head.get("sec-websocket-protocol")),
            (101, chosen),
            "{offered}"
        );
    }
}

async fn a_raw_handler_finishes_though_its_client_vanished(under: Under) {
    let (begun, gate, done) = (Semaphore::new(0), Semaphore::new(0), Semaphore::new(0));
    let gates = Arc::new((begun, gate, done));
    let server = with_raw(under, |_| {}, {
        let gates = Arc::clone(&gates);
        move |mut socket: RawSocket| {
            let gates = Arc::clone(&gates);
            async move {
                socket.recv().await;
                gates.0.add_permits(1);
                gates.1.acquire().await.unwrap().forget();
                assert_eq!(socket.recv().await, None);
                assert!(socket.send(text("to nobody")).await.is_err());
                gates.2.add_permits(1);
            }
        }
    });
    let server = server.start().await;
    let mut frames = raw(&server).await;
    frames.send(&Frame::text("begin")).await.unwrap();
    gates.0.acquire().await.unwrap().forget();
    drop(frames);
    server.is_free_of(&[]).await;
    gates.1.add_permits(1);
    gates.2.acquire().await.unwrap().forget();
}

async fn several_tasks_speak_on_one_raw_socket(under: Under) {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let server = with_raw(under, |_| {}, {
        let tasks = Arc::clone(&tasks);
        move |mut socket: RawSocket| {
            let tasks = Arc::clone(&tasks);
            async move {
                for task in 0..4 {
                    let sender = socket.sender();
                    let task = tokio::spawn(async move {
                        for number in 0..50 {
                            sender.send(text(format!("{task}:{number}"))).await.unwrap();
                        }
                    });
                    tasks.lock().await.push(task);
                }
                socket.recv().await;
            }
        }
    });
    let server = server.start().await;
    let mut frames = raw(&server).await;
    let mut next = [0; 4];
    for _ in 0..200 {
        let frame = frames.next().await.unwrap();
        let said = String::from_utf8(frame.payload.to_vec()).unwrap();
        let (task, number) = said.split_once(':').unwrap();
        let task: usize = task.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[task]));
        next[task] += 1;
    }
    frames.send(&Frame::text("enough")).await.unwrap();
    expect_close(&mut frames, 1000).await;
}

async fn after_its_clients_goodbye_nobody_keeps_a_raw_session_alive(under: Under) {
    let is_over = Arc::new(Semaphore::new(0));
    let server = with_raw(under, |_| {}, {
        let is_over = Arc::clone(&is_over);
        move |mut socket: RawSocket| {
            let (sender, is_over) = (socket.sender(), Arc::clone(&is_over));
            tokio::spawn(async move {
                while sender.send(text("on and on")).await.is_ok() {}
                is_over.add_permits(1);
            });
            async move { while socket.recv().await.is_some() {} }
        }
    });
    let server = server.start().await;
    let mut frames = raw(&server).await;
    frames.next().await.unwrap();
    frames.send(&Frame::new(Frame::CLOSE, b"\x03\xe8")).await.unwrap();
    assert_eq!(frames.until(Frame::CLOSE).await.close_code(), 1000);
    assert_eq!(frames.http().drain().await.unwrap(), 0, "nothing follows");
    server.is_free_of(&[]).await;
    is_over.acquire().await.unwrap().forget();
}

async fn a_raw_handler_whose_client_a_layer_refuses_never_runs(under: Under) {
    let begun = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under).app({
        let begun = Arc::clone(&begun);
        move |app, hub| {
            let hub = hub.clone();
            let route = any(move |ws: Ws| async move {
                ws.raw(&hub, move |socket| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    echo(socket)
                })
            });
            let refuse = map_response(|_: Response| async { StatusCode::FORBIDDEN });
            app.route("/raw", route).layer(refuse)
        }
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send(server.ws_request("/raw")).await.unwrap();
    assert_eq!(http.head().await.unwrap().status, 403);
    server.is_free_of(&[]).await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

async fn a_raw_handlers_last_messages_have_the_write_deadline(under: Under) {
    // As many as wait for their turn, and more than the kernel takes.
    const MESSAGES: usize = 12;
    let server = with_raw(
        under,
        |options| options.session.max_batch_bytes = 1 << 20,
        |socket: RawSocket| async move {
            for number in 0..MESSAGES {
                let message = format!("{number}:{}", "x".repeat(30_000));
                socket.send(text(message)).await.unwrap();
            }
        },
    );
    let server = server.start().await;
    let mut frames = slow_raw(&server).await;
    // Longer than a closing may take.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for number in 0..MESSAGES {
        let frame = frames.next().await.unwrap();
        assert!(frame.payload.starts_with(format!("{number}:").as_bytes()));
    }
    expect_close(&mut frames, 1000).await;
}

async fn a_raw_handler_hears_nothing_more_of_a_client_that_was_sent_away(under: Under) {
    let heard = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under).app({
        let heard = Arc::clone(&heard);
        move |app, hub| {
            let hub = hub.clone();
            let route = any(move |ws: Ws| async move {
                let ann = Identity::new("ann");
                let others = hub.clone();
                ws.identity(ann.clone())
                    .raw(&hub, move |mut socket: RawSocket| async move {
                        while socket.recv().await.is_some() {
                            heard.fetch_add(1, Ordering::SeqCst);
                            others.disconnect(&ann);
                        }
                    })
            });
            app.route("/raw", route)
        }
    });
    let server = setup.start().await;
    let mut frames = raw(&server).await;
    let messages = Frame::text("log me out").masked().repeat(20);
    frames.send_bytes(&messages).await.unwrap();
    expect_close(&mut frames, 4005).await;
    server.is_free_of(&[]).await;
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}
