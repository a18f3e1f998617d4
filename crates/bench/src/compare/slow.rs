//! One client on a slow link beside others on fast ones: what it costs them and the server, and what it gets itself.
//!
//! The others are compared with themselves in a run in which that client's link is fast. Then the link recovers, and it reads what is left.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dualcast::LogLimits;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::client::{Asked, Follower};
use super::endpoint::Endpoint;
use super::row;
use super::seen::Seen;
use super::setting::{Setting, runtime};
use super::socket::Socket;
use crate::load::{Crowd, Fleet, Load, PATIENCE, number_of};
use crate::scenarios::{kibibytes_each, milliseconds};
use crate::target::Transport;

/// What the slow link takes a second, in KiB.
const LINK: usize = 16;
const PAYLOAD: usize = 1_024;
/// How many messages are published a second. At the first rate the log still has what the slow client has yet to read, at the second no more.
const RATES: [u32; 2] = [100, 400];

#[derive(Serialize)]
struct Case {
    transport: Transport,
    rate: u32,
    others: usize,
    link_kib_a_second: usize,
    payload: usize,
    seconds: f64,
    round: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} a second", self.transport.name(), self.rate)
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    /// The others' p99, in milliseconds.
    all_fast_p99: f64,
    beside_p99: f64,
    /// By how much the server's memory grew, in KiB. It goes up and down by hundreds, whoever reads slowly.
    all_fast_grown: f64,
    beside_grown: f64,
    published: u64,
    /// How many messages the slow client lagged behind when the last was published.
    behind: u64,
    #[serde(flatten)]
    seen: Seen,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for round in 0..setting.sizes.slow_rounds {
        for rate in RATES {
            for transport in Transport::ALL {
                let case = Case {
                    transport,
                    rate,
                    others: setting.sizes.connections - 1,
                    link_kib_a_second: LINK,
                    payload: PAYLOAD,
                    seconds: setting.sizes.slow.as_secs_f64(),
                    round,
                };
                rows.push(row(case, measure(setting, transport, rate))?);
            }
        }
    }
    Ok(rows)
}

fn measure(setting: &Setting, transport: Transport, rate: u32) -> Result<Figures> {
    let fast = drive(setting, transport, rate, None).context("beside a fast client")?;
    let slow = drive(setting, transport, rate, Some(LINK << 10))?;
    ensure!(
        fast.seen.lost_and_told == 0,
        "the client on a fast link was told of a gap"
    );
    Ok(Figures {
        all_fast_p99: fast.p99,
        beside_p99: slow.p99,
        all_fast_grown: kibibytes_each(fast.grown, 1),
        beside_grown: kibibytes_each(slow.grown, 1),
        published: slow.published,
        behind: slow.behind,
        seen: slow.seen,
    })
}

struct Driven {
    p99: f64,
    grown: i64,
    published: u64,
    behind: u64,
    seen: Seen,
}

fn drive(setting: &Setting, transport: Transport, rate: u32, link: Option<usize>) -> Result<Driven> {
    let running = setting.hello.start()?;
    let endpoint = Endpoint::new(running.target.address(), None)?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    fleet.connect(Crowd::of(setting.sizes.connections - 1))?;
    let load = Load::of(PAYLOAD);
    // The log is full before it is watched how the server's memory grows.
    fleet.burst(load, LogLimits::default().max_records)?;
    let before_all = fleet.last_published();
    let one = One::begin(endpoint, transport, link)?;
    // The first message is everybody's.
    fleet.publish_once(PAYLOAD)?;
    fleet.open_loop(load, 20.0, Duration::from_millis(500))?;
    let before = running.process.resident()?;
    let run = fleet.open_loop(load, rate.into(), setting.sizes.slow)?;
    let grown = running.process.resident()? as i64 - before as i64;
    let last = fleet.last_published();
    let behind = last.saturating_sub(one.last.load(Ordering::Relaxed));
    one.recover(last + 1);
    // By which it knows that it is over.
    fleet.publish_once(PAYLOAD)?;
    let seen = one.end()?;
    ensure!(
        seen.lost_in_silence == 0 && seen.doubled == 0,
        "the one client lost {} messages without a word, and {} came again",
        seen.lost_in_silence,
        seen.doubled
    );
    Ok(Driven {
        p99: milliseconds(&run.tally.latency, 0.99),
        grown,
        published: last + 1 - before_all,
        behind,
        seen,
    })
}

/// The one client, in a thread of its own.
struct One {
    reading: JoinHandle<Result<Seen>>,
    recovery: Arc<AtomicBool>,
    /// The message that it got last.
    last: Arc<AtomicU64>,
    /// The message with which it may end.
    end: Arc<AtomicU64>,
}

impl One {
    /// It follows when this returns.
    fn begin(endpoint: Endpoint, transport: Transport, link: Option<usize>) -> Result<Self> {
        let (last, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
        let runtime = runtime()?;
        let (mut follower, recovery) = runtime.block_on(async {
            let socket = match link {
                Some(link) => Socket::connect_slowly(endpoint.address, link).await?,
                None => Socket::connect(endpoint.address).await?,
            };
            let recovery = socket.recovery();
            let asked = Asked::bare(transport);
            let follower = Follower::open_over(&endpoint, socket, None, asked).await?;
            Ok::<_, anyhow::Error>((follower, recovery))
        })?;
        let (told_last, told_end) = (Arc::clone(&last), Arc::clone(&end));
        let reading = thread::spawn(move || {
            runtime.block_on(async {
                let mut seen = Seen::default();
                while seen
                    .last()
                    .is_none_or(|last| last < told_end.load(Ordering::Relaxed))
                {
                    let said = timeout(PATIENCE, follower.next());
                    let said = said
                        .await
                        .context("nothing happens any more: no message comes")??;
                    if said.is_notice && said.name == "gap" {
                        seen.gap();
                    } else if !said.is_notice {
                        seen.message(number_of(&said.text).context("a message without a mark")?);
                        told_last.store(seen.last().unwrap_or_default(), Ordering::Relaxed);
                    }
                }
                Ok(seen)
            })
        });
        Ok(Self {
            reading,
            recovery,
            last,
            end,
        })
    }

    /// The link is as fast as any from now on, and this message will be the last.
    fn recover(&self, last: u64) {
        self.end.store(last, Ordering::Relaxed);
        self.recovery.store(true, Ordering::Relaxed);
    }

    /// Answers what was seen, up to the last message.
    fn end(self) -> Result<Seen> {
        let reading = self.reading.join();
        reading.ok().context("the one client failed")?
    }
}
