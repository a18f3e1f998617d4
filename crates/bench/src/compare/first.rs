//! How soon a newcomer has what it missed: it connects, asks with a cursor, and reads the message behind that. One at a time.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::bytes::pass;
use super::client::{Asked, Follower, Way};
use super::http::Post;
use super::row;
use super::setting::{Setting, Up, runtime};
use super::socket::Socket;
use crate::load::{durations, payload, record};
use crate::scenarios::milliseconds;
use crate::target::Transport;

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    p50: f64,
    p95: f64,
}

/// Of the first so many nothing counts.
const WARM_UP: usize = 5;
const PAYLOAD: usize = 128;

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for tls in [false, true] {
        let up = setting.start(tls)?;
        let cursor = runtime.block_on(missed(&up))?;
        for way in Way::all().filter(|way| way.tls == tls) {
            let measured = runtime.block_on(measure(&up, way, &cursor, setting.sizes.openings));
            let figures = measured.map(|times| Figures {
                p50: milliseconds(&times, 0.5),
                p95: milliseconds(&times, 0.95),
            });
            rows.push(row(way, figures)?);
        }
    }
    Ok(rows)
}

/// The cursor of somebody who has seen all messages but the last, which is message 2.
async fn missed(up: &Up) -> Result<String> {
    let mut publisher = up.fill().await?;
    let mut follower = Follower::open(&up.endpoint, Asked::bare(Transport::Ws)).await?;
    let text = payload(1, PAYLOAD);
    publisher.post(&Post::text("/publish", &text)).await?;
    let said = follower.message().await?;
    ensure!(said.text == text, "instead of message 1 came {:?}", said.text);
    pass(&mut follower, &mut publisher, 2..=2, PAYLOAD).await?;
    said.id.context("a message without an id")
}

async fn measure(up: &Up, way: Way, cursor: &str, count: usize) -> Result<Histogram<u64>> {
    let expected = payload(2, PAYLOAD);
    let mut times = durations();
    for number in 0..WARM_UP + count {
        let connector = up.endpoint.connector(way.transport == Transport::SseHttp2);
        let began = Instant::now();
        let socket = Socket::connect(up.endpoint.address).await?;
        let asked = Asked {
            cursor: Some(cursor),
            ..Asked::bare(way.transport)
        };
        let mut follower = Follower::open_over(&up.endpoint, socket, connector.as_ref(), asked).await?;
        let said = follower.message().await?;
        let took = began.elapsed();
        ensure!(
            said.text == expected,
            "instead of what was missed came {:?}",
            said.text
        );
        if number >= WARM_UP {
            record(&mut times, took);
        }
    }
    Ok(times)
}
