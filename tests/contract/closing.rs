//! The table of close reasons, row by row: what a client is told, and what the hooks hear.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dualcast::{
    ChannelName, CloseReason, FanOut, History, Hooks, Hub, Identity, Ingest, LagRule, Local, MaxLag, Message,
    Publishing, Reconnect, SessionInfo, Sse, Transport, Wanted,
};
use dualcast_tests::{Client, End, Frame, Setup, Told, Under, contract, eventually};
use futures::{FutureExt, future, stream};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as WsMessage;

contract!(over nats: every_row_of_the_table_is_told_and_noted_as_it_says);

/// What the hooks hear.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<CloseReason>>>);

impl Hooks for Heard {
    fn session_closed(&self, _: &SessionInfo, reason: CloseReason) {
        self.0.lock().unwrap().push(reason);
    }
}

impl Heard {
    async fn is(&self, reason: CloseReason) {
        eventually(reason.text(), || !self.0.lock().unwrap().is_empty()).await;
        assert_eq!(std::mem::take(&mut *self.0.lock().unwrap()), [reason]);
    }
}

/// Reads up to the closing, which has to be this row, and the end behind it.
async fn expect_told(client: &mut Client, reason: CloseReason) {
    let told = loop {
        match client.next().await {
            Told::Closing {
                reason,
                code,
                reconnect,
                retry,
                message,
            } => {
                break (reason, code, reconnect, retry.is_some(), message);
            }
            Told::End(end) => panic!("{end:?} in place of {reason:?}"),
            _ => {}
        }
    };
    let reconnect = reason.reconnect() == Reconnect::Yes;
    let row = (
        reason.name().to_owned(),
        reason.code(),
        reconnect,
        reconnect,
        reason.text().to_owned(),
    );
    assert_eq!(told, row);
    let code = (client.transport() == Transport::WebSocket).then_some(reason.code());
    assert_eq!(client.next().await, Told::End(End::Complete(code)));
}

async fn every_row_of_the_table_is_told_and_noted_as_it_says(under: Under) {
    let mut seen = BTreeSet::new();
    for reason in CloseReason::ALL {
        if came_to_pass(under, reason).await {
            seen.insert(reason.name());
        }
    }
    let only_ws = [
        "unresponsive",
        "too-large",
        "protocol",
        "not-utf8",
        "bad-messages",
    ];
    let possible = CloseReason::ALL.map(CloseReason::name).into_iter();
    let possible = possible.filter(|name| under.transport == Transport::WebSocket || !only_ws.contains(name));
    assert_eq!(seen, possible.collect());
}

/// Brings a session to this end. Answers whether its transport knows it.
async fn came_to_pass(under: Under, reason: CloseReason) -> bool {
    let is_ws = under.transport == Transport::WebSocket;
    let heard = Heard::default();
    let setup = Setup::new(under).hub({
        let heard = heard.clone();
        move |hub| hub.hooks(heard.clone())
    });
    match reason {
        CloseReason::Finished => {
            let server = setup.start().await;
            let mut client = server.dial("room").open().await;
            server.channel("room").finish().await.unwrap();
            expect_told(&mut client, reason).await;
        }
        CloseReason::Left => {
            let server = setup.start().await;
            // It is not told what it does itself.
            server.dial("room").open().await.leave().await;
            heard.is(reason).await;
            return true;
        }
        CloseReason::Shutdown => {
            let server = setup.start().await;
            let mut client = server.dial("room").open().await;
            server.hub.shutdown();
            expect_told(&mut client, reason).await;
        }
        CloseReason::Slow | CloseReason::Stalled => {
            let setup = setup.small_buffers();
            let setup = match reason {
                CloseReason::Slow => {
                    setup.subscribe(|subscribe| subscribe.lag(LagRule::Disconnect(MaxLag::records(20))))
                }
                _ => setup.session(|options| options.write_timeout = Duration::from_millis(100)),
            };
            let server = setup.start().await;
            let client = server.dial("room").slow().open().await;
            for _ in 0..150 {
                server.publish("room", "x".repeat(12 << 10)).await;
            }
            // It takes nothing, and so it can't be told.
            heard.is(reason).await;
            drop(client);
            return true;
        }
        CloseReason::Busy => {
            let server = setup
                .hub(|hub| hub.limits(|limits| limits.max_sessions = 0))
                .start()
                .await;
            let mut client = server.dial("room").connect().await;
            expect_told(&mut client, reason).await;
            // It never was a session.
            assert_eq!(server.hub.session_count(), 0);
            assert!(heard.0.lock().unwrap().is_empty());
            return true;
        }
        CloseReason::Unavailable => {
            let setup = setup.hub(|hub| hub.fan_out(Unreadable::default()).log(|log| log.max_records = 1));
            let server = setup.start().await;
            let first = server.publish("room", "first").await;
            server.publish("room", "second").await;
            server.publish("room", "third").await;
            let dial = server.dial("room").cursor(&first.to_string());
            let mut client = dial.open().await;
            assert_eq!(client.last_id(), first.to_string(), "it keeps its cursor");
            expect_told(&mut client, reason).await;
        }
        CloseReason::Expired => {
            let refuse = |_| Err(dualcast::Error::internal());
            let server = setup.expiring(Duration::from_millis(20), refuse).start().await;
            expect_told(&mut server.dial("room").open().await, reason).await;
        }
        CloseReason::Disconnected | CloseReason::Revoked => {
            let server = setup.start().await;
            let mut client = server.dial("room").query("who=anna").open().await;
            let anna = Identity::new("anna");
            let told = match reason {
                CloseReason::Revoked => server.hub.unsubscribe(&anna, server.channel("room").name()),
                _ => server.hub.disconnect(&anna),
            };
            assert_eq!(told, 1);
            expect_told(&mut client, reason).await;
        }
        CloseReason::Internal => {
            let setup = setup
                .on_message(|_, _| async { break_down::<dualcast::Reply>() })
                .app(|app: Router, hub: &Hub| {
                    let hub = hub.clone();
                    let broken = |sse: Sse| async move {
                        sse.stream(&hub, stream::once(async { break_down::<Message>() }))
                    };
                    app.route("/broken", get(broken))
                });
            let server = setup.start().await;
            let mut client = if is_ws {
                let mut client = server.dial("room").open().await;
                client.send(&json!({ "event": "e" })).await;
                client
            } else {
                server.dial_path("/broken").connect().await
            };
            expect_told(&mut client, reason).await;
        }
        _ if !is_ws => return false,
        CloseReason::Unresponsive => {
            let server = setup
                .ws(|options| {
                    options.ping_interval = Duration::from_millis(20);
                    options.pong_timeout = Duration::from_millis(50);
                })
                .start()
                .await;
            let client = server.dial("room").open().await;
            heard.is(reason).await;
            drop(client);
            return true;
        }
        CloseReason::TooLarge | CloseReason::BadMessages => {
            let server = setup
                .ws(|options| {
                    options.max_inbound_bytes = 100;
                    options.max_bad_messages = 0;
                })
                .start()
                .await;
            let mut client = server.dial("room").open().await;
            let length = if reason == CloseReason::TooLarge { 101 } else { 1 };
            client.send_message(WsMessage::text("x".repeat(length))).await;
            expect_told(&mut client, reason).await;
        }
        CloseReason::Protocol | CloseReason::NotUtf8 => {
            let server = setup.start().await;
            let mut frames = server.frames("room").await;
            // A reserved bit; and a text that is none. Masked with zeros.
            let frame: &[u8] = match reason {
                CloseReason::Protocol => &[0xc1, 0x80, 0, 0, 0, 0],
                _ => &[0x81, 0x81, 0, 0, 0, 0, 0xff],
            };
            frames.send_bytes(frame).await.unwrap();
            assert_eq!(frames.until(Frame::CLOSE).await.close_code(), reason.code());
            drop(frames);
            heard.is(reason).await;
            return true;
        }
        _ => panic!("no test brings {reason:?} about"),
    }
    heard.is(reason).await;
    true
}

fn break_down<T>() -> T {
    panic!("a test's panic")
}

/// A fan-out that remembers more than the hub, and can't be read.
#[derive(Default)]
struct Unreadable(Local);

impl FanOut for Unreadable {
    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a> {
        self.0.publish(ingest, channel, message)
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a> {
        self.0.finish(ingest, channel)
    }

    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        self.0.send_volatile(ingest, channel, message);
    }

    fn history(&self, _: &Ingest, _: Wanted) -> Option<History> {
        Some(future::ready(Err(Arc::from(Box::from("no answer")))).boxed())
    }
}
