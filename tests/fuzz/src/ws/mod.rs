//! A WebSocket session, as a sequence of what a client does to it and what happens on the server meanwhile.
//!
//! What holds, whatever comes: nothing panics; no frame lands inside another; no message is lost, doubled or out of order without
//! a gap that says so; each `ref` is answered once at most; one message is handled at a time; and the session ends, and
//! leaves nothing behind.

mod client;
mod server;
mod transcript;

use std::time::Duration;

use tokio::time;

use crate::input::Input;
use crate::runtime::block_on;

use client::Client;
use server::{CHANNELS, Server};
use transcript::Transcript;

/// Plays the operations that the bytes say.
///
/// # Panics
///
/// Where something doesn't hold.
pub fn ws_session(bytes: &[u8]) {
    block_on(play(Input::new(bytes)));
}

async fn play(mut input: Input<'_>) {
    let server = Server::new(input.byte());
    let mut client = Client::connect(&server, input.byte()).await;
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0 => client.send(input.piece()).await,
            1 => {
                let head = input.byte();
                client.send_frame(head, input.piece()).await;
            }
            2 | 3 => {
                let event = EVENTS[usize::from(input.byte()) % EVENTS.len()];
                client.say(event, &input.text()).await;
            }
            4 => {
                let how = input.byte();
                let channel = CHANNELS[usize::from(how) % CHANNELS.len()];
                let id = match how >> 6 {
                    0 | 1 => None,
                    2 => server.old_id(),
                    _ => Some(input.text()),
                };
                client.ask(how & 0x20 == 0, channel, id).await;
            }
            5 => {
                client
                    .send_frame(
                        FINAL | BINARY,
                        &[b"{\"event\":\"say\"}\n", input.piece()].concat(),
                    )
                    .await
            }
            6 => client.send_frame(FINAL | PING, input.piece()).await,
            7 => {
                client
                    .send_frame(FINAL | CLOSE, &[&1_000_u16.to_be_bytes(), input.piece()].concat())
                    .await
            }
            8 => client.read(input.byte().into()).await,
            9 => client.read(usize::from(input.byte()) << 8).await,
            10 => time::sleep(Duration::from_millis(u64::from(input.byte()) << 4)).await,
            11 | 12 => {
                let kind = input.byte();
                server.publish(kind, input.piece()).await;
            }
            13 => {
                for _ in 0..input.byte() {
                    server.publish(0, b"one of many").await;
                }
            }
            14 => client.leave().await,
            _ => server.end(input.byte()).await,
        }
    }
    let (heard, sent) = client.finish(input.byte()).await;
    server.is_free().await;
    Transcript::read(&heard).hold_to(&server.published(), &sent);
    assert_eq!(server.faults(), Vec::<String>::new());
}

/// What the handler knows what to do with.
const EVENTS: [&str; 5] = ["say", "slow", "no", "fine", "dualcast:no"];

/// More of them is more of the same.
const MAX_OPERATIONS: usize = 100;

/// The first byte of a frame (RFC 6455 section 5.2).
const FINAL: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
