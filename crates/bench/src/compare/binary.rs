//! Bytes that are no text: in base64 on an event stream, in a frame on a WebSocket. What goes over the wire, and what the server and the client
//! have to do for it.

use std::fmt;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

use super::client::{Asked, Follower};
use super::http::{Http1, Post};
use super::manners::Manners;
use super::row;
use super::setting::{Setting, Up, runtime};
use crate::process::Process;
use crate::scenarios::microseconds_each;
use crate::target::Transport;

const PAYLOADS: [usize; 2] = [1 << 10, 64 << 10];
const FOLLOWERS: usize = 20;
const WARM_UP: usize = 5;

#[derive(Serialize)]
struct Case {
    transport: Transport,
    payload: usize,
    followers: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.transport.name(), self.payload)
    }
}

/// Bytes, and microseconds of CPU a delivery.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    received: f64,
    /// With the POST that brings the message to the server.
    server_cpu: f64,
    /// Reading, taking the envelope off, and comparing with what was sent; the sending, too.
    client_cpu: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for payload in PAYLOADS {
        for transport in Transport::ALL {
            let case = Case {
                transport,
                payload,
                followers: FOLLOWERS,
            };
            let up = setting.start(false)?;
            let measured = runtime.block_on(measure(&up, transport, payload, setting.sizes.binary));
            rows.push(row(case, measured)?);
        }
    }
    Ok(rows)
}

async fn measure(up: &Up, transport: Transport, bytes: usize, count: usize) -> Result<Figures> {
    let mut publisher = up.fill().await?;
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        let asked = Asked::bare(transport);
        followers.push(Reading {
            follower: Follower::open(&up.endpoint, asked).await?,
            transport,
            rest: Vec::new(),
        });
    }
    let mut random = Random(0x5eed);
    for _ in 0..WARM_UP {
        pass(&mut publisher, &mut followers, &random.bytes(bytes)).await?;
    }
    let before = followers[0].follower.traffic().count();
    let (cpu, own_cpu) = (up.process.cpu()?, Process::own().cpu()?);
    for _ in 0..count {
        pass(&mut publisher, &mut followers, &random.bytes(bytes)).await?;
    }
    let (cpu, own_cpu) = (up.process.cpu_since(cpu)?, Process::own().cpu_since(own_cpu)?);
    let (received, _) = followers[0]
        .follower
        .traffic()
        .count()
        .since(before)
        .each(count as u64);
    let deliveries = (count * FOLLOWERS) as u64;
    Ok(Figures {
        received,
        server_cpu: microseconds_each(cpu, deliveries),
        client_cpu: microseconds_each(own_cpu, deliveries),
    })
}

/// Publishes these bytes, and has everybody compare what came with them.
async fn pass(publisher: &mut Http1, followers: &mut [Reading], bytes: &[u8]) -> Result<()> {
    let post = Post {
        path: "/publish-bytes",
        content_type: "application/octet-stream",
        body: bytes,
        manners: Manners::Bare,
    };
    publisher.post(&post).await?;
    try_join_all(followers.iter_mut().map(async |follower| {
        let came = follower.next(bytes.len()).await?;
        ensure!(came == bytes, "other bytes came than were published");
        Ok(())
    }))
    .await?;
    Ok(())
}

struct Reading {
    follower: Follower,
    transport: Transport,
    /// What of a WebSocket was read and not used yet.
    rest: Vec<u8>,
}

impl Reading {
    /// The next message, which has so many bytes.
    async fn next(&mut self, bytes: usize) -> Result<Vec<u8>> {
        if self.transport != Transport::Ws {
            let said = self.follower.message().await?;
            ensure!(said.name == "message;base64", "no bytes came, but {}", said.name);
            return STANDARD.decode(said.text).context("what came is no base64");
        }
        // A line of JSON, and the bytes. What is said before it has no line's end.
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest)
                && let Some(came) = self.rest.get(end + 1..end + 1 + bytes)
            {
                let came = came.to_vec();
                self.rest.drain(..=end + bytes);
                return Ok(came);
            }
            self.rest.extend(self.follower.piece().await?);
        }
    }
}

/// Bytes that nothing makes smaller, the same in every run: xorshift64.
struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend(self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
