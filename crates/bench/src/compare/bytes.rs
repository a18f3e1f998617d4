//! What goes over the wire for a message, by its size: everything that the client's socket receives and sends between two messages, beneath
//! TLS, above TCP.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::client::{Asked, Follower, Way};
use super::http::{Http1, Post};
use super::row;
use super::setting::{Setting, Up, runtime};
use crate::load::payload;

pub(super) const PAYLOADS: [usize; 4] = [16, 128, 1_024, 8_192];

/// So many messages come first, until all is said that is said once.
const WARM_UP: u64 = 5;

#[derive(Serialize)]
struct Case {
    #[serde(flatten)]
    way: Way,
    payload: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.way, self.payload)
    }
}

/// Bytes a message.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    received: f64,
    sent: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for tls in [false, true] {
        let up = setting.start(tls)?;
        let mut publisher = runtime.block_on(up.fill())?;
        for way in Way::all().filter(|way| way.tls == tls) {
            for payload in PAYLOADS {
                let measured = measure(&up, &mut publisher, way, payload, setting.sizes.messages);
                rows.push(row(Case { way, payload }, runtime.block_on(measured))?);
            }
        }
    }
    Ok(rows)
}

async fn measure(up: &Up, publisher: &mut Http1, way: Way, bytes: usize, count: u64) -> Result<Figures> {
    let asked = Asked::bare(way.transport);
    let mut follower = Follower::open(&up.endpoint, asked).await?;
    pass(&mut follower, publisher, 1..=WARM_UP, bytes).await?;
    let before = follower.traffic().count();
    pass(&mut follower, publisher, WARM_UP + 1..=WARM_UP + count, bytes).await?;
    let (received, sent) = follower.traffic().count().since(before).each(count);
    Ok(Figures { received, sent })
}

/// Publishes messages with these numbers, one at a time: the next when the last has come.
pub(super) async fn pass(
    follower: &mut Follower,
    publisher: &mut Http1,
    numbers: impl Iterator<Item = u64>,
    bytes: usize,
) -> Result<()> {
    for number in numbers {
        let text = payload(number, bytes);
        publisher.post(&Post::text("/publish", &text)).await?;
        let said = follower.message().await?;
        ensure!(
            said.text == text,
            "instead of message {number} came {:?}",
            said.text
        );
    }
    Ok(())
}
