//! From a client to the server: a POST over a connection of HTTP/1.1 that is kept alive, a POST over one of HTTP/2, a message on a WebSocket.
//! Each is answered, and the time is that until the answer.
//!
//! With several under way HTTP/1.1 has six connections, as a browser has; what is asked beyond those waits for one of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::{Asked, Follower, Way};
use super::endpoint::Endpoint;
use super::http::{Http1, Http2, Post};
use super::manners::Manners;
use super::row;
use super::setting::{Setting, runtime};
use super::socket::{Count, Traffic};
use crate::load::{PATIENCE, durations, record};
use crate::scenarios::milliseconds;
use crate::target::Transport;

const PAYLOAD: usize = 128;
const IN_FLIGHT: [usize; 2] = [1, 8];
/// As many connections as a browser opens to a site over HTTP/1.1.
const CONNECTIONS: usize = 6;
/// So many messages come first on each connection, until all is said that is said once.
const WARM_UP: usize = 5;

#[derive(Clone, Copy, Serialize)]
struct Case {
    /// `sse` stands for a POST over HTTP/1.1, `sse-http2` for one over HTTP/2.
    #[serde(flatten)]
    way: Way,
    in_flight: usize,
    headers: Manners,
    round: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} in flight, {:?} headers",
            self.way, self.in_flight, self.headers
        )
    }
}

/// Milliseconds, and bytes a message.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    p50: f64,
    p99: f64,
    messages_a_second: f64,
    sent: f64,
    received: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for round in 0..setting.sizes.upstream_rounds {
        for tls in [false, true] {
            let up = setting.start(tls)?;
            runtime.block_on(up.fill())?;
            for case in cases(tls, round) {
                let measured = runtime.block_on(measure(&up.endpoint, case, setting.sizes.upstream));
                rows.push(row(case, measured)?);
            }
        }
    }
    Ok(rows)
}

fn cases(tls: bool, round: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for way in Way::all().filter(|way| way.tls == tls) {
        for in_flight in IN_FLIGHT {
            for headers in [Manners::Bare, Manners::Browser] {
                // A message on a WebSocket has none.
                if way.transport != Transport::Ws || headers == Manners::Bare {
                    cases.push(Case {
                        way,
                        in_flight,
                        headers,
                        round,
                    });
                }
            }
        }
    }
    cases
}

async fn measure(endpoint: &Endpoint, case: Case, count: usize) -> Result<Figures> {
    let run = match case.way.transport {
        Transport::Sse => over_http1(endpoint, case, count).await?,
        Transport::SseHttp2 => over_http2(endpoint, case, count).await?,
        Transport::Ws => over_websocket(endpoint, case, count).await?,
    };
    ensure!(
        run.times.len() == count as u64,
        "{} of {count} were answered",
        run.times.len()
    );
    let (received, sent) = run.traffic.each(count as u64);
    Ok(Figures {
        p50: milliseconds(&run.times, 0.5),
        p99: milliseconds(&run.times, 0.99),
        messages_a_second: count as f64 / run.seconds,
        sent,
        received,
    })
}

struct Run {
    times: Histogram<u64>,
    seconds: f64,
    traffic: Count,
}

fn message(reference: Option<usize>) -> String {
    let mut message = json!({ "event": "note", "data": "x".repeat(PAYLOAD) });
    if let Some(reference) = reference {
        message["ref"] = reference.into();
    }
    message.to_string()
}

fn post(body: &str, manners: Manners) -> Post<'_> {
    Post {
        path: "/say",
        content_type: "application/json",
        body: body.as_bytes(),
        manners,
    }
}

async fn over_http1(endpoint: &Endpoint, case: Case, count: usize) -> Result<Run> {
    let body = message(None);
    let mut connections = Vec::new();
    for _ in 0..case.in_flight.min(CONNECTIONS) {
        let mut connection = Http1::connect(endpoint).await?;
        for _ in 0..WARM_UP {
            connection.post(&post(&body, case.headers)).await?;
        }
        connections.push(connection);
    }
    let traffic: Vec<_> = connections.iter().map(Http1::traffic).collect();
    let (free, idle) = (Semaphore::new(connections.len()), RefCell::new(connections));
    work(case.in_flight, count, &traffic, async || {
        let _one = free.acquire().await?;
        let connection = idle.borrow_mut().pop();
        let mut connection = connection.context("no connection is free")?;
        connection.post(&post(&body, case.headers)).await?;
        idle.borrow_mut().push(connection);
        Ok(())
    })
    .await
}

async fn over_http2(endpoint: &Endpoint, case: Case, count: usize) -> Result<Run> {
    let body = message(None);
    let (connection, traffic) = Http2::connect(endpoint).await?;
    for _ in 0..WARM_UP {
        connection.post(endpoint, &post(&body, case.headers)).await?;
    }
    work(case.in_flight, count, &[traffic], async || {
        let post = post(&body, case.headers);
        timeout(PATIENCE, connection.post(endpoint, &post))
            .await
            .context("nothing happens any more: no answer comes")?
            .map(drop)
    })
    .await
}

/// So many at a time do this, until it was done so often.
async fn work(
    workers: usize,
    count: usize,
    traffic: &[Arc<Traffic>],
    once: impl AsyncFn() -> Result<()>,
) -> Result<Run> {
    let (left, times) = (Cell::new(count), RefCell::new(durations()));
    let before = total(traffic);
    let began = Instant::now();
    try_join_all((0..workers).map(async |_| {
        while left.get() > 0 {
            left.set(left.get() - 1);
            let asked = Instant::now();
            once().await?;
            record(&mut times.borrow_mut(), asked.elapsed());
        }
        Ok::<_, anyhow::Error>(())
    }))
    .await?;
    Ok(Run {
        seconds: began.elapsed().as_secs_f64(),
        traffic: total(traffic).since(before),
        times: times.into_inner(),
    })
}

fn total(traffic: &[Arc<Traffic>]) -> Count {
    let counts = traffic.iter().map(|traffic| traffic.count());
    counts.fold(Count { received: 0, sent: 0 }, |all, count| Count {
        received: all.received + count.received,
        sent: all.sent + count.sent,
    })
}

async fn over_websocket(endpoint: &Endpoint, case: Case, count: usize) -> Result<Run> {
    let asked = Asked::bare(Transport::Ws);
    let mut follower = Follower::open(endpoint, asked).await?;
    // Numbers that have four digits, so that all messages are as long.
    let mut numbers = FIRST_REFERENCE..;
    talk(&mut follower, &mut numbers, 1, WARM_UP).await?;
    let before = follower.traffic().count();
    let began = Instant::now();
    let times = talk(&mut follower, &mut numbers, case.in_flight, count).await?;
    Ok(Run {
        times,
        seconds: began.elapsed().as_secs_f64(),
        traffic: follower.traffic().count().since(before),
    })
}

const FIRST_REFERENCE: usize = 1_000;

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "ref")]
    reference: usize,
}

async fn talk(
    follower: &mut Follower,
    numbers: &mut impl Iterator<Item = usize>,
    in_flight: usize,
    count: usize,
) -> Result<Histogram<u64>> {
    let (mut times, mut waiting, mut said) = (durations(), VecDeque::new(), 0);
    while times.len() < count as u64 {
        while said < count && waiting.len() < in_flight {
            let number = numbers.next().context("no number")?;
            waiting.push_back((number, Instant::now()));
            follower.say(&message(Some(number))).await?;
            said += 1;
        }
        let heard = timeout(PATIENCE, follower.next());
        let heard = heard
            .await
            .context("nothing happens any more: no reply comes")??;
        match (&*heard.name, heard.is_notice) {
            ("reply", true) => {
                let (number, asked) = waiting.pop_front().context("a reply to nothing")?;
                let reply: Reply = serde_json::from_str(&heard.text)?;
                ensure!(
                    reply.reference == number,
                    "a reply to message {} came before that to {number}",
                    reply.reference
                );
                record(&mut times, asked.elapsed());
            }
            ("error", true) => bail!("a message was refused: {}", heard.text),
            _ => {}
        }
    }
    Ok(times)
}
