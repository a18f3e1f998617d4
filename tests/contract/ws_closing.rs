//! How a WebSocket ends: which code, said how, to clients that break the rules and to those that keep them.

use std::time::Duration;

use dualcast::Inbound;
use dualcast_tests::{Frame, Frames, Http, Server, Setup, Socket, Told, Under, contract};
use serde_json::{Value, json};

contract!(ws: a_client_whose_message_is_handled_for_long_is_not_given_up);
contract!(
    ws: a_goodbye_is_answered_with_its_own_code,
    nothing_is_sent_after_the_answer_to_a_goodbye,
    a_client_that_breaks_the_protocol_is_told_so,
    text_that_is_not_utf8_is_told_so,
    a_client_knows_the_limit_and_a_message_above_it_is_told_so,
    a_client_that_is_still_sending_is_not_reset,
    a_closing_waits_for_no_client,
    a_closing_waits_for_no_client_that_goes_on_sending,
    a_silent_client_is_pinged_and_given_up,
    a_client_that_answers_pings_stays,
    a_client_that_shows_life_and_reads_nothing_is_cut,
    a_client_that_takes_long_over_a_large_message_is_not_given_up,
);

async fn frames(server: &Server) -> Frames {
    welcomed(server).await.0
}

async fn welcomed(server: &Server) -> (Frames, Value) {
    let mut frames = server.frames("room").await;
    let welcome: Value = serde_json::from_slice(&frames.next().await.unwrap().payload).unwrap();
    assert_eq!(welcome["control"], "welcome");
    (frames, welcome)
}

/// Reads up to the end: the closing in words, the close frame with the same code, and nothing after it.
async fn expect_closed(frames: &mut Frames, what: &str, name: &str, code: u16) {
    let mut said = None;
    let close = loop {
        let frame = frames
            .next()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error} instead of {name}; {said:?}"));
        match frame.opcode {
            Frame::TEXT => said = Some(serde_json::from_slice::<Value>(&frame.payload).unwrap()),
            Frame::CLOSE => break frame,
            _ => {}
        }
    };
    let said = said.unwrap_or_else(|| panic!("{what}: {name} is said before {close:?}"));
    assert_eq!(
        (&said["control"], &said["reason"], &said["code"]),
        (&json!("closing"), &json!(name), &json!(code))
    );
    assert_eq!(close.close_code(), code);
    assert_eq!(std::str::from_utf8(&close.payload[2..]).unwrap(), said["message"]);
    frames.send(&close).await.err();
    assert_eq!(
        frames.http().drain().await.unwrap(),
        0,
        "nothing follows, and the end is in good order"
    );
}

async fn a_goodbye_is_answered_with_its_own_code(under: Under) {
    let server = Setup::new(under).start().await;
    for payload in [&b""[..], b"\x03\xe8", b"\x03\xe9gone", b"\x0f\xa0"] {
        let mut frames = frames(&server).await;
        frames.send(&Frame::new(Frame::CLOSE, payload)).await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Frame::new(Frame::CLOSE, payload));
        assert_eq!(frames.http().drain().await.unwrap(), 0, "the server closes first");
        server.is_free_of(&["room"]).await;
    }
    for payload in [&b"\x03"[..], b"\x03\xed", b"\x00\x00"] {
        let mut frames = frames(&server).await;
        frames.send(&Frame::new(Frame::CLOSE, payload)).await.unwrap();
        assert_eq!(
            frames.until(Frame::CLOSE).await.close_code(),
            1002,
            "{payload:?} is no goodbye"
        );
    }
}

async fn nothing_is_sent_after_the_answer_to_a_goodbye(under: Under) {
    let server = Setup::new(under).small_buffers().start().await;
    for _ in 0..5 {
        let http = Socket::connect(server.address, true).await.unwrap();
        let mut frames = server.frames_over(Http::over(http), "room").await;
        for number in 0..60 {
            server
                .publish("room", format!("{number}:{}", "x".repeat(12 << 10)))
                .await;
        }
        frames.send(&Frame::new(Frame::CLOSE, b"\x03\xe8")).await.unwrap();
        assert_eq!(frames.last().await.close_code(), 1000);
    }
}

async fn a_client_that_breaks_the_protocol_is_told_so(under: Under) {
    let server = Setup::new(under).start().await;
    let unmasked = b"\x81\x02{}".to_vec();
    let masked = |frame: Frame| frame.masked();
    let reserved_bit = {
        let mut bytes = Frame::text("{}").masked();
        bytes[0] |= 0x40;
        bytes
    };
    let text = Frame::text("{").unfinished().masked();
    let cases = [
        ("an unmasked frame", unmasked),
        ("a reserved bit", reserved_bit),
        ("a reserved opcode", masked(Frame::new(0x3, b""))),
        ("a reserved control opcode", masked(Frame::new(0xb, b""))),
        (
            "a control frame in fragments",
            masked(Frame::new(Frame::PING, b"").unfinished()),
        ),
        (
            "a control frame that is too large",
            masked(Frame::new(Frame::PING, &[0; 126])),
        ),
        (
            "a continuation of nothing",
            masked(Frame::new(Frame::CONTINUATION, b"")),
        ),
        (
            "a message inside another",
            [text, Frame::text("}").masked()].concat(),
        ),
        ("no frames at all", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in cases {
        let mut frames = frames(&server).await;
        frames.send_bytes(&bytes).await.unwrap();
        expect_closed(&mut frames, what, "protocol", 1002).await;
    }
    server.is_free_of(&["room"]).await;
}

async fn text_that_is_not_utf8_is_told_so(under: Under) {
    let server = Setup::new(under).start().await;
    let cases = [
        vec![Frame::new(Frame::TEXT, b"{\"event\":\"\xff\"}")],
        vec![Frame::new(Frame::TEXT, b"\xed\xa0\x80")],
        vec![
            Frame::new(Frame::TEXT, b"\xf0\x9f").unfinished(),
            Frame::new(Frame::CONTINUATION, b"x"),
        ],
        vec![Frame::new(Frame::TEXT, b"\xf0\x9f")],
        vec![Frame::new(Frame::CLOSE, b"\x03\xe8\xff")],
    ];
    for case in cases {
        let mut frames = frames(&server).await;
        for frame in &case {
            frames.send(frame).await.unwrap();
        }
        expect_closed(&mut frames, "bad text", "not-utf8", 1007).await;
    }
}

async fn a_client_knows_the_limit_and_a_message_above_it_is_told_so(under: Under) {
    let setup = Setup::new(under)
        .ws(|options| options.max_inbound_bytes = 1_000)
        .on_message(|_, _| async {});
    let server = setup.start().await;
    let (mut accepted, welcome) = welcomed(&server).await;
    assert_eq!(welcome["max_bytes"], 1_000);
    // Bytes, and not characters: of all that stands in the message.
    let data = format!("{}x", "é".repeat((1_000 - 32) / 2));
    let within = json!({ "event": "e", "ref": 1, "data": data }).to_string();
    assert_eq!(within.len(), 1_000);
    accepted.send(&Frame::text(&within)).await.unwrap();
    assert_eq!(
        accepted.next().await.unwrap().payload,
        br#"{"control":"reply","ref":1}"#
    );

    drop(accepted);

    let over = Frame::text(&format!("{within} "));
    let huge = b"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
    let in_fragments = [
        Frame::new(Frame::TEXT, &[b'x'; 600]).unfinished().masked(),
        Frame::new(Frame::CONTINUATION, &[b'x'; 600])
            .unfinished()
            .masked(),
    ];
    for bytes in [over.masked(), huge, in_fragments.concat()] {
        let mut frames = frames(&server).await;
        frames.send_bytes(&bytes).await.unwrap();
        expect_closed(&mut frames, "too much", "too-large", 1009).await;
    }
    server.is_free_of(&["room"]).await;
}

/// A reset would take the reason from it.
async fn a_client_that_is_still_sending_is_not_reset(under: Under) {
    let setup = Setup::new(under).session(|options| options.close_timeout = Duration::from_secs(20));
    let server = setup.start().await;
    let message = Frame::text(&"x".repeat(2 << 20)).masked();
    let mut frames = frames(&server).await;
    for (number, piece) in message.chunks(64 << 10).enumerate() {
        frames.send_bytes(piece).await.unwrap();
        if number == 3 {
            assert_eq!(frames.until(Frame::CLOSE).await.close_code(), 1009);
        }
    }
    assert_eq!(frames.http().drain().await.unwrap(), 0);
    drop(frames);
    server.is_free_of(&["room"]).await;
}

async fn a_closing_waits_for_no_client(under: Under) {
    let server = Setup::new(under).start().await;
    let mut silent = frames(&server).await;
    let mut chatty = frames(&server).await;
    server.hub.shutdown();
    for frames in [&mut silent, &mut chatty] {
        assert_eq!(frames.until(Frame::CLOSE).await.close_code(), 1012);
    }
    // It says no goodbye, and talks on.
    while server.hub.session_count() > 0 {
        let said = chatty.send(&Frame::text(r#"{"event":"e","ref":1}"#)).await;
        if said.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.is_free_of(&["room"]).await;
    assert_eq!(silent.http().drain().await.unwrap(), 0);
}

fn with_pulse(under: Under, ping: u64, pong: u64) -> Setup {
    Setup::new(under).ws(move |options| {
        options.ping_interval = Duration::from_millis(ping);
        options.pong_timeout = Duration::from_millis(pong);
    })
}

async fn a_silent_client_is_pinged_and_given_up(under: Under) {
    let server = with_pulse(under, 30, 60).start().await;
    let mut frames = frames(&server).await;
    assert_eq!(frames.next().await.unwrap().opcode, Frame::PING);
    expect_closed(&mut frames, "silence", "unresponsive", 4003).await;
    server.is_free_of(&["room"]).await;
}

async fn a_client_that_answers_pings_stays(under: Under) {
    // The deadline is for the machine that runs this beside much else; each ping is answered at once.
    let server = with_pulse(under, 10, 20_000).start().await;
    let mut frames = frames(&server).await;
    for _ in 0..10 {
        let ping = frames.next().await.unwrap();
        assert_eq!(ping.opcode, Frame::PING);
        frames
            .send(&Frame::new(Frame::PONG, &ping.payload))
            .await
            .unwrap();
    }
    assert_eq!(server.hub.session_count(), 1);
}

/// It is alive, by all that it says; but what waits for it waits for ever.
async fn a_client_that_shows_life_and_reads_nothing_is_cut(under: Under) {
    let setup = with_pulse(under, 20, 20_000)
        .small_buffers()
        .session(|options| options.write_timeout = Duration::from_millis(300));
    let server = setup.start().await;
    let http = Http::over(Socket::connect(server.address, true).await.unwrap());
    let mut frames = server.frames_over(http, "room").await;
    for _ in 0..120 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    while server.hub.session_count() > 0 {
        // As if it answered pings that it never read.
        let pong = frames.send(&Frame::new(Frame::PONG, b"")).await;
        if pong.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.is_free_of(&["room"]).await;
}

async fn a_client_whose_message_is_handled_for_long_is_not_given_up(under: Under) {
    let setup = with_pulse(under, 20, 400).on_message(|_, message: Inbound| async move {
        if message.event == "slow" {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    // Two messages, so that nothing is read while the first is handled: not even the answers to pings.
    client.send(&json!({ "event": "slow", "ref": 1 })).await;
    client.send(&json!({ "event": "quick", "ref": 2 })).await;
    for reference in [1, 2] {
        let told = client.next().await;
        assert!(
            matches!(&told, Told::Reply { reference: Some(r), .. } if *r == reference),
            "{told:?}"
        );
    }
}

/// The ping waits behind the message: it can't be answered before.
async fn a_client_that_takes_long_over_a_large_message_is_not_given_up(under: Under) {
    let server = with_pulse(under, 50, 400).small_buffers().start().await;
    let http = Http::over(Socket::connect(server.address, true).await.unwrap());
    let mut frames = server.frames_over(http, "room").await;
    frames.until(Frame::TEXT).await;
    server.publish("room", "x".repeat(1 << 20)).await;
    for _ in 0..(1 << 20) / (8 << 10) {
        frames.http().exactly(8 << 10).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.hub.session_count(), 1);
}

async fn a_closing_waits_for_no_client_that_goes_on_sending(under: Under) {
    let mut server = Setup::new(under).start().await;
    let mut frames = frames(&server).await;
    let flood = Frame::text("").masked().repeat(10_000);
    server.hub.shutdown();
    // Until the connection is closed under it.
    while frames.send_bytes(&flood).await.is_ok() {}
    server.is_free_of(&["room"]).await;
    server.stop();
    server.is_over().await;
}
