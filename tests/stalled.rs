//! Two thousand clients that stop reading at different moments: what they cost is bounded by a formula, and the others don't
//! notice. A program of its own, since it reads the process's metrics.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::time::Duration;

use dualcast::{LagRule, MaxLag, Message, Transport};
use dualcast_tests::{Client, HttpServer, HttpVersion, Server, Setup, Told, Under, eventually, run};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;

const STALLED: usize = 2_000;
const HEALTHY: usize = 20;

/// What `small_buffers` makes of `SessionOptions::max_batch_bytes`.
const MAX_BATCH_BYTES: usize = 16 << 10;

/// What no kernel takes for a client with buffers as small as these.
const MAX_TAKEN_BYTES: usize = 8 << 20;

/// What stands around a payload, on either transport, with a number in front and all that it needs to be one of several.
const ENVELOPE_BYTES: usize = 200;

#[test]
fn what_clients_hold_that_stop_reading_is_bounded_and_the_others_lose_nothing() {
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    for transport in [Transport::Sse, Transport::WebSocket] {
        for payload_bytes in [100, 64 << 10] {
            let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
            run(|under| catching_up(under, payload_bytes, handle.clone()), under);
        }
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(disconnecting, under);
    }
}

/// Clients that have read until different moments, and stop.
async fn stalled(server: &Server, count: usize) -> Vec<Client> {
    let mut opening = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..count {
        let dial = server.dial("room").slow();
        opening.spawn(async move { dial.open().await });
        // No more at a time than the machine can shake hands with.
        if opening.len() == 50 {
            clients.push(opening.join_next().await.unwrap().unwrap());
        }
    }
    while let Some(client) = opening.join_next().await {
        clients.push(client.unwrap());
    }
    clients
}

fn numbered(number: usize, bytes: usize) -> Message {
    Message::text("message", format!("{number}:{}", "x".repeat(bytes)))
}

fn number(told: &Told) -> usize {
    told.text().split(':').next().unwrap().parse().unwrap()
}

fn unsent(handle: &PrometheusHandle, transport: Transport) -> f64 {
    let series = format!("dualcast_unsent_bytes{{transport=\"{}\"}} ", transport.name());
    let text = handle.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap().parse().unwrap()
}

async fn catching_up(under: Under, payload_bytes: usize, handle: PrometheusHandle) {
    // Nobody is cut in the time that this takes.
    let setup = Setup::new(under)
        .small_buffers()
        .session(|options| options.write_timeout = Duration::from_secs(3_600))
        .ws(|options| options.pong_timeout = Duration::from_secs(3_600));
    let server = setup.start().await;
    let room = server.channel("room");
    let mut stalled = stalled(&server, STALLED).await;
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        healthy.push(server.dial("room").open().await);
    }
    // In bursts of one batch, until each has stalled: it holds one that was cut at its limit, or a message above it. Client n has
    // read some of the first messages before, and then no more.
    let burst = (MAX_BATCH_BYTES / payload_bytes).max(1);
    let least = STALLED * MAX_BATCH_BYTES.max(payload_bytes) / 2;
    let (mut messages, mut highest) = (0, 0.0_f64);
    while highest < least as f64 {
        assert!(
            messages * payload_bytes < MAX_TAKEN_BYTES,
            "the kernel takes so much: {highest}"
        );
        for at in messages..messages + burst {
            room.publish(numbered(at, payload_bytes)).await.unwrap();
        }
        for client in &mut healthy {
            for at in messages..messages + burst {
                assert_eq!(number(&client.next().await), at, "none lost, none twice");
            }
        }
        if messages < burst * 4 {
            let (quarter, rest) = (messages / burst, STALLED / 4);
            for client in stalled.iter_mut().skip(rest * quarter) {
                for at in messages..messages + burst.min(5) {
                    assert_eq!(number(&client.next().await), at);
                }
                for _ in burst.min(5)..burst {
                    client.next().await;
                }
            }
        }
        messages += burst;
        highest = highest.max(unsent(&handle, under.transport));
    }
    let bound = STALLED * (MAX_BATCH_BYTES + payload_bytes + ENVELOPE_BYTES);
    eprintln!(
        "{:?}, {messages} messages of {payload_bytes} bytes: {:.0} bytes wait for each of {STALLED} stalled clients, at most {}",
        under.transport,
        highest / STALLED as f64,
        bound / STALLED,
    );
    assert!(highest <= bound as f64, "{highest} is above {bound}");
    assert!(server.hub.log_bytes() <= server.hub.limits().max_log_bytes);

    room.publish(numbered(messages, payload_bytes)).await.unwrap();
    // Whoever reads on again gets all that is kept, in order, and is told what isn't.
    for client in stalled.iter_mut().step_by(97) {
        let mut seen = VecDeque::new();
        let mut is_told = false;
        while seen.back() != Some(&messages) {
            match client.next().await {
                Told::Gap { reason, .. } => {
                    assert_eq!(reason, "trimmed");
                    is_told = true;
                    seen.clear();
                }
                told => seen.push_back(number(&told)),
            }
        }
        let whole = seen.iter().zip(seen.iter().skip(1)).all(|(a, b)| a + 1 == *b);
        assert!(whole, "{is_told}: {seen:?}");
    }
    drop((stalled, healthy));
    server.is_free_of(&["room"]).await;
    eventually("nothing waits any more", || {
        unsent(&handle, under.transport) == 0.0
    })
    .await;
}

async fn disconnecting(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .session(|options| options.write_timeout = Duration::from_secs(3_600))
        .subscribe(|subscribe| subscribe.lag(LagRule::Disconnect(MaxLag::records(100))));
    let server = setup.start().await;
    let room = server.channel("room");
    let stalled = stalled(&server, STALLED).await;
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        healthy.push(server.dial("room").open().await);
    }
    for at in 0..400 {
        room.publish(numbered(at, 1_000)).await.unwrap();
        for client in &mut healthy {
            assert_eq!(number(&client.next().await), at);
        }
    }
    eventually("the stalled are sent away by their lag rule", || {
        server.hub.session_count() == HEALTHY
    })
    .await;
    room.publish(numbered(400, 1_000)).await.unwrap();
    for client in &mut healthy {
        assert_eq!(number(&client.next().await), 400);
    }
    drop(stalled);
}
