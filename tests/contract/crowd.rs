//! A crowd on one channel, of whom each does something else while it is sent to: whoever it is, what comes is whole, in order and once.

use std::sync::Arc;
use std::time::Duration;

use dualcast::{Inbound, Position, Transport};
use dualcast_tests::{Ledger, Server, Setup, Told, Under, contract, eventually};
use futures::future::join_all;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

contract!(own_server: whatever_clients_do_each_is_told_all_in_order_and_once);

const CLIENTS: usize = 60;

const MESSAGES: usize = 1_500;

/// After how many things that it is told a client does something.
const PAUSE: usize = 20;

const LAST: &str = "last";

async fn whatever_clients_do_each_is_told_all_in_order_and_once(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .hub(|hub| hub.log(|log| log.max_records = 10 * MESSAGES))
        // So often that each session takes its way back again and again.
        .session(|options| options.heartbeat = Duration::from_millis(3))
        .on_message(|_, _: Inbound| async {})
        .joinable();
    let server = Arc::new(setup.start().await);
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(tokio::spawn(follow(Arc::clone(&server), under.transport, number)));
    }
    eventually("all follow", || server.channel("room").followers() == CLIENTS).await;
    let mut ledger = Ledger::default();
    for number in 0..MESSAGES {
        // Of all sizes: some don't fit into what a client takes at once.
        let text = format!("{number}:{}", "x".repeat(number * 37 % 3_000));
        ledger.note("room", server.publish("room", &*text).await, &text);
        server.publish("elsewhere", "x").await;
        // Now one by one, and now many together.
        if number % 50 < 25 {
            tokio::task::yield_now().await;
        }
    }
    ledger.note("room", server.publish("room", LAST).await, LAST);
    for told in join_all(clients).await {
        let (start, told) = told.unwrap();
        assert_eq!(ledger.check(start, &["room"], &told), 0);
    }
    server.is_free_of(&["room", "elsewhere"]).await;
}

/// Follows to the end, and does what its number says meanwhile.
async fn follow(server: Arc<Server>, transport: Transport, number: usize) -> (Position, Vec<Told>) {
    let dial = |transport| match number % 3 {
        0 => server.dial_by(transport, "room").slow(),
        1 => server.dial_by(transport, "room").slow().bites(100),
        _ => server.dial_by(transport, "room"),
    };
    let mut client = dial(transport).open().await;
    let (start, mut told) = (client.position(), Vec::new());
    loop {
        for _ in 0..PAUSE {
            let next = client.next_but_heartbeats().await;
            let is_last = matches!(&next, Told::Message { .. } if next.text() == LAST);
            told.push(next);
            if is_last {
                client.leave().await;
                return (start, told);
            }
        }
        match (number / 3 % 5, client.transport()) {
            (0, _) => {
                let cursor = client.last_id().to_owned();
                client.cut();
                client = dial(transport).cursor(&cursor).open().await;
            }
            (1, Transport::WebSocket) => client.send_message(Message::Ping(b"p"[..].into())).await,
            (2, Transport::WebSocket) => client.send(&json!({ "event": "say", "data": 1, "ref": 1 })).await,
            (3, Transport::WebSocket) => {
                client
                    .send(&json!({ "control": "subscribe", "channel": "elsewhere", "ref": 1 }))
                    .await;
                client
                    .send(&json!({ "control": "unsubscribe", "channel": "elsewhere", "ref": 2 }))
                    .await;
            }
            _ => {}
        }
    }
}
