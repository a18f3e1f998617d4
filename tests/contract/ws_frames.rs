//! What a WebSocket is on the wire: the handshake, fragments, pings, and frames that stay whole whatever happens around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dualcast::{Inbound, Message, Reply};
use dualcast_tests::{Frame, Frames, Http, HttpVersion, Server, Setup, Under, contract};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

contract!(
    http1 ws: what_is_no_handshake_is_told_what_is_missing,
    the_subprotocol_is_chosen_where_it_is_offered,
    frames_that_come_with_the_handshake_are_read,
);
contract!(
    ws: a_message_in_fragments_with_pings_between_them_is_one_message,
    frames_are_read_however_they_are_cut,
    a_ping_is_answered_with_its_own_payload,
    a_ping_is_answered_while_a_handler_is_busy,
    pongs_and_replies_never_land_inside_a_frame,
    compression_that_a_client_offers_is_not_agreed_on,
);

async fn what_is_no_handshake_is_told_what_is_missing(under: Under) {
    let server = Setup::new(under).start().await;
    let good = server.ws_request("/ws?channels=room");
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        (good.replace("connection: Upgrade", "connection: keep-alive"), 426),
        (good.replace("upgrade: websocket", "upgrade: h2c"), 426),
        (good.replace("version: 13", "version: 8"), 426),
        (good.replace("sec-websocket-version: 13\r\n", ""), 426),
        (good.replace(key, ""), 400),
        (good.replace(key, "sec-websocket-key: short\r\n"), 400),
        (good.replace("GET ", "POST "), 405),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 426),
    ];
    for (request, status) in cases {
        let answer = server.request(&request).await;
        assert_eq!(answer.status(), status, "{request}");
        assert_eq!(answer.json()["code"], "bad-handshake");
        if status == 426 {
            assert_eq!(answer.head.get("upgrade"), Some("websocket"));
            assert_eq!(answer.head.get("sec-websocket-version"), Some("13"));
        }
        assert_eq!(server.hub.session_count(), 0);
    }
    let several = good.replace("connection: Upgrade", "connection: keep-alive, upgrade");
    let mut http = server.http().await;
    // A request that was refused leaves the connection to the next.
    http.send(server.ws_request("/ws?channels=b..d")).await.unwrap();
    assert_eq!(http.answer().await.unwrap().status(), 400);
    http.send(several).await.unwrap();
    assert_eq!(http.head().await.unwrap().status, 101);
}

async fn the_subprotocol_is_chosen_where_it_is_offered(under: Under) {
    let server = Setup::new(under).start().await;
    for (offered, chosen) in [
        ("", None),
        ("sec-websocket-protocol: other\r\n", None),
        (
            "sec-websocket-protocol: other, dualcast.v1\r\n",
            Some("dualcast.v1"),
        ),
        (
            "sec-websocket-protocol: other\r\nsec-websocket-protocol: dualcast.v1\r\n",
            Some("dualcast.v1"),
        ),
    ] {
        let mut http = server.http().await;
        let request = server.ws_request("/ws?channels=room");
        http.send(request.replace("\r\n\r\n", &format!("\r\n{offered}\r\n")))
            .await
            .unwrap();
        let head = http.head().await.unwrap();
        assert_eq!((head.status, head.get("sec-websocket-protocol")), (101, chosen));
    }
}

fn echoing(under: Under) -> Setup {
    Setup::new(under).on_message(|_, message: Inbound| async move { message.text().map(Reply::json::<str>) })
}

fn message(text: &str) -> String {
    json!({ "event": "echo", "data": text, "ref": 1 }).to_string()
}

async fn expect_echo(frames: &mut Frames, text: &str) {
    let reply: Value = serde_json::from_slice(&frames.until(Frame::TEXT).await.payload).unwrap();
    assert_eq!(reply, json!({ "control": "reply", "ref": 1, "data": text }));
}

async fn frames_that_come_with_the_handshake_are_read(under: Under) {
    let server = echoing(under).start().await;
    let mut bytes = server.ws_request("/ws?channels=room").into_bytes();
    bytes.extend(Frame::new(Frame::PING, b"at once").masked());
    for number in 0..3 {
        bytes.extend(Frame::text(&message(&number.to_string())).masked());
    }
    bytes.extend(Frame::new(Frame::CLOSE, b"\x03\xe8").masked());
    for _ in 0..10 {
        let mut http = server.http().await;
        http.send(&bytes).await.unwrap();
        assert_eq!(http.head().await.unwrap().status, 101);
        let mut frames = Frames::new(http);
        let mut texts = Vec::new();
        loop {
            let frame = frames.next().await.unwrap();
            match frame.opcode {
                Frame::PONG => assert_eq!(frame.payload, b"at once"),
                Frame::TEXT => texts.push(String::from_utf8(frame.payload).unwrap()),
                opcode => {
                    assert_eq!(opcode, Frame::CLOSE);
                    break;
                }
            }
        }
        assert!(texts[0].contains("welcome"), "the welcome comes first: {texts:?}");
    }
}

async fn a_message_in_fragments_with_pings_between_them_is_one_message(under: Under) {
    let server = echoing(under).start().await;
    let mut frames = server.frames("room").await;
    frames.until(Frame::TEXT).await;
    let text = message("fragments cut 😀 anywhere");
    for size in [1, 3, 10] {
        let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let opcode = if index == 0 {
                Frame::TEXT
            } else {
                Frame::CONTINUATION
            };
            let mut frame = Frame::new(opcode, piece);
            frame.is_final = index + 1 == pieces.len();
            frames.send(&frame).await.unwrap();
            if !frame.is_final && index % 5 == 0 {
                frames
                    .send(&Frame::new(Frame::CONTINUATION, b"").unfinished())
                    .await
                    .unwrap();
                let payload = index.to_string();
                frames
                    .send(&Frame::new(Frame::PING, payload.as_bytes()))
                    .await
                    .unwrap();
                assert_eq!(
                    frames.next().await.unwrap(),
                    Frame::new(Frame::PONG, payload.as_bytes())
                );
            }
        }
        expect_echo(&mut frames, "fragments cut 😀 anywhere").await;
    }
}

async fn frames_are_read_however_they_are_cut(under: Under) {
    let server = echoing(under).start().await;
    let mut frames = server.frames("room").await;
    frames.until(Frame::TEXT).await;
    let long = "x".repeat(3_000);
    for text in ["short", &long] {
        let bytes = Frame::text(&message(text)).masked();
        for size in [1, 2, 7, 1_024, bytes.len()] {
            // A flood of tiny frames that come faster than they are read `h2` takes for an attack, which it is right to.
            if under.version == HttpVersion::Http2 && bytes.len() / size > 1_000 {
                continue;
            }
            for piece in bytes.chunks(size) {
                frames.send_bytes(piece).await.unwrap();
            }
            expect_echo(&mut frames, text).await;
        }
        frames.send_bytes(&bytes.repeat(20)).await.unwrap();
        for _ in 0..20 {
            expect_echo(&mut frames, text).await;
        }
    }
}

async fn a_ping_is_answered_with_its_own_payload(under: Under) {
    let server = Setup::new(under).start().await;
    let mut frames = server.frames("room").await;
    frames.until(Frame::TEXT).await;
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        frames.send(&Frame::new(Frame::PING, payload)).await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Frame::new(Frame::PONG, payload));
    }
    frames.send(&Frame::new(Frame::PONG, b"unasked")).await.unwrap();
    frames
        .send(&Frame::new(Frame::PING, b"still here"))
        .await
        .unwrap();
    assert_eq!(frames.next().await.unwrap().payload, b"still here");
}

async fn a_ping_is_answered_while_a_handler_is_busy(under: Under) {
    let gate = Arc::new(Semaphore::new(0));
    let setup = Setup::new(under).on_message({
        let gate = Arc::clone(&gate);
        move |_, _| {
            let gate = Arc::clone(&gate);
            async move { gate.acquire().await.unwrap().forget() }
        }
    });
    let server = setup.start().await;
    let mut frames = server.frames("room").await;
    frames.until(Frame::TEXT).await;
    frames.send(&Frame::text(&message("slow"))).await.unwrap();
    for payload in [b"1", b"2"] {
        frames.send(&Frame::new(Frame::PING, payload)).await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Frame::new(Frame::PONG, payload));
    }
    server.publish("room", "goes on").await;
    let told = frames.next().await.unwrap();
    assert!(
        told.payload.ends_with(br#""data":"goes on"}"#),
        "so does what is published"
    );
    gate.add_permits(1);
    let reply: Value = serde_json::from_slice(&frames.next().await.unwrap().payload).unwrap();
    assert_eq!(reply, json!({ "control": "reply", "ref": 1 }));
}

/// A reader with small buffers that sends pings and messages without a pause, on a channel that is busy all the time.
async fn pongs_and_replies_never_land_inside_a_frame(under: Under) {
    let setup = echoing(under)
        .small_buffers()
        .hub(|hub| hub.log(|log| log.max_records = 100));
    let server = setup.start().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn(publish_all_the_time(&server, &is_over));

    let http = Http::over(
        dualcast_tests::Socket::connect(server.address, true)
            .await
            .unwrap(),
    );
    let mut frames = server.frames_over(http, "room").await;
    let (mut last, mut pongs, mut replies, mut records) = (0, 0, 0, 0);
    let (mut pings, mut messages) = (0_u64, 0_u64);
    while pongs < 300 || replies < 100 || records < 1_000 {
        // In flight at a time: few enough that their answers never wait for a reader that waits to write.
        while pings < pongs + 8 {
            frames
                .send(&Frame::new(Frame::PING, &pings.to_be_bytes()))
                .await
                .unwrap();
            pings += 1;
        }
        while messages < replies + 2 {
            frames.send(&Frame::text(&message("again"))).await.unwrap();
            messages += 1;
        }
        let frame = frames.next().await.unwrap();
        match frame.opcode {
            Frame::PONG => {
                // An answer to the newest ping answers the older ones (RFC 6455 section 5.5.3).
                let answered = u64::from_be_bytes(frame.payload.try_into().unwrap());
                assert!(answered >= pongs && answered < pings);
                pongs = answered + 1;
            }
            Frame::TEXT => {
                let told: Value = serde_json::from_slice(&frame.payload).unwrap();
                match told["control"].as_str() {
                    Some("reply") => replies += 1,
                    Some(_) => {}
                    None => {
                        let (number, rest) = told["data"].as_str().unwrap().split_once(':').unwrap();
                        let number: u64 = number.parse().unwrap();
                        assert!(number > last, "{number} after {last}");
                        assert_eq!(rest.len() as u64, length(number));
                        last = number;
                        records += 1;
                    }
                }
            }
            other => panic!("opcode {other}"),
        }
    }
    is_over.store(true, Ordering::SeqCst);
    publisher.await.unwrap();
}

fn publish_all_the_time(server: &Server, is_over: &Arc<AtomicBool>) -> impl Future<Output = ()> + use<> {
    let (room, is_over) = (server.channel("room"), Arc::clone(is_over));
    let numbers = AtomicU64::new(1);
    async move {
        while !is_over.load(Ordering::SeqCst) {
            for _ in 0..10 {
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                let text = format!("{number}:{}", "d".repeat(length(number) as usize));
                room.publish(Message::text("message", text)).await.unwrap();
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
}

/// All sizes around those at which frames and pieces change their form.
fn length(number: u64) -> u64 {
    [0, 1, 60, 120, 126, 700, 5_000, 17_000][number as usize % 8]
}

async fn compression_that_a_client_offers_is_not_agreed_on(under: Under) {
    let server = Setup::new(under).start().await;
    for offered in ["permessage-deflate", "permessage-deflate; client_max_window_bits"] {
        let dial = server.dial("room").header("sec-websocket-extensions", offered);
        let mut client = dial.open().await;
        assert_eq!(client.head().get("sec-websocket-extensions"), None);
        server.publish("room", "as it is").await;
        assert_eq!(client.next().await.text(), "as it is");
    }
}
