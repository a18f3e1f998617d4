//! What goes over the wire until a stream is open: the request and the head of the answer, all that the server says before the first message,
//! and TLS' handshake, apart.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use super::bytes::pass;
use super::client::{Asked, Follower, Way};
use super::endpoint::{Endpoint, NAME};
use super::http::Http1;
use super::manners::Manners;
use super::row;
use super::setting::{Setting, Up, runtime};
use super::socket::{Count, Socket};
use crate::load::PATIENCE;
use crate::target::Transport;

#[derive(Serialize)]
struct Case {
    #[serde(flatten)]
    way: Way,
    headers: Manners,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:?} headers", self.way, self.headers)
    }
}

/// Bytes.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    received: u64,
    sent: u64,
    handshake_received: u64,
    handshake_sent: u64,
    certificate: usize,
}

/// Signatures differ by a byte or two: hence a median.
const OPENINGS: usize = 9;
const PAYLOAD: usize = 128;

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for tls in [false, true] {
        let up = setting.start(tls)?;
        let mut publisher = runtime.block_on(up.fill())?;
        for way in Way::all().filter(|way| way.tls == tls) {
            for headers in [Manners::Bare, Manners::Browser] {
                let measured = runtime.block_on(measure(&up, &mut publisher, way, headers));
                let figures = measured.map(|(opening, handshake)| Figures {
                    received: opening.received,
                    sent: opening.sent,
                    handshake_received: handshake.received,
                    handshake_sent: handshake.sent,
                    certificate: if tls { setting.certificate_bytes() } else { 0 },
                });
                rows.push(row(Case { way, headers }, figures)?);
            }
        }
    }
    Ok(rows)
}

/// What opening takes, and what the handshake does before it.
async fn measure(up: &Up, publisher: &mut Http1, way: Way, manners: Manners) -> Result<(Count, Count)> {
    let (mut openings, mut handshakes) = (Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let asked = Asked {
            manners,
            ..Asked::bare(way.transport)
        };
        let mut follower = Follower::open(&up.endpoint, asked).await?;
        pass(&mut follower, publisher, 1..=1, PAYLOAD).await?;
        let with_one = follower.traffic().count();
        pass(&mut follower, publisher, 2..=2, PAYLOAD).await?;
        // As much as the second message took, the first did.
        let each = follower.traffic().count().since(with_one);
        openings.push(with_one.since(each));
        if way.tls {
            handshakes.push(handshake(&up.endpoint).await?);
        }
    }
    let handshake = if way.tls {
        agreed(way.transport, median(&mut handshakes))
    } else {
        NOTHING
    };
    Ok((median(&mut openings).since(handshake), handshake))
}

const NOTHING: Count = Count { received: 0, sent: 0 };

fn median(counts: &mut [Count]) -> Count {
    let mut middle = |key: fn(&Count) -> u64| {
        counts.sort_by_key(key);
        key(&counts[counts.len() / 2])
    };
    Count {
        received: middle(|count| count.received),
        sent: middle(|count| count.sent),
    }
}

/// A handshake with everything that belongs to it, also the tickets that the server sends behind it. So nothing is asked, and the client says
/// goodbye.
async fn handshake(endpoint: &Endpoint) -> Result<Count> {
    let socket = Socket::connect(endpoint.address).await?;
    let traffic = socket.traffic();
    let connector = endpoint.connector(false);
    let connector = connector.ok_or_else(|| anyhow::anyhow!("a server without TLS"))?;
    let mut stream = connector.connect(ServerName::try_from(NAME)?, socket).await?;
    stream.flush().await?;
    let sent = traffic.count().sent;
    stream.shutdown().await?;
    let rest = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await?;
    let mut received = traffic.count().received;
    match rest {
        // It said goodbye, too.
        Ok(read) => {
            ensure!(read == 0, "the server spoke first: {read} bytes");
            received -= ALERT_RECORD_BYTES;
        }
        Err(error) => ensure!(
            error.kind() == std::io::ErrorKind::UnexpectedEof,
            "the server ended it otherwise: {error}"
        ),
    }
    Ok(Count { received, sent })
}

/// A record's head, an alert, its type, and the tag (RFC 8446 section 5.2).
const ALERT_RECORD_BYTES: u64 = 5 + 2 + 1 + 16;

/// It was measured with `http/1.1` as what is spoken. `h2` is six letters shorter, and both sides say it.
fn agreed(transport: Transport, with_http1: Count) -> Count {
    let shorter = match transport {
        Transport::SseHttp2 => ("http/1.1".len() - "h2".len()) as u64,
        Transport::Sse | Transport::Ws => 0,
    };
    Count {
        received: with_http1.received - shorter,
        sent: with_http1.sent - shorter,
    }
}
