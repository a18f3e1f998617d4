//! What clients lose whose connection is cut again and again while messages are published, by how they come back.
//!
//! Each has a relay of its own, which sends resets both ways; what was on its way then is gone. A client comes back after the delay that it
//! has, and is cut again once it has had some messages.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dualcast_nats_server::Link;
use futures::future::join_all;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::client::{Asked, Follower};
use super::endpoint::Endpoint;
use super::http::{Http1, Post};
use super::manners::Manners;
use super::row;
use super::seen::Seen;
use super::setting::{Setting, runtime};
use crate::load::{PATIENCE, number_of, payload};
use crate::target::Transport;

/// How clients come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Client {
    /// The browser's own, at a server that goes by `Last-Event-ID`.
    EventSource,
    /// The same, at a server that doesn't: axum's own event streams over a `broadcast`.
    EventSourceWithoutMemory,
    /// A bare WebSocket, that opens a new one.
    WebSocket,
    /// The same, at the server that is written by hand.
    WebSocketWithoutMemory,
    /// A WebSocket that says the last id it saw, as the client of Dualcast does.
    WebSocketWithCursor,
    /// The same, that comes back over the other transport each time.
    OverBothWithCursor,
}

const CLIENTS: [Client; 6] = [
    Client::EventSource,
    Client::EventSourceWithoutMemory,
    Client::WebSocket,
    Client::WebSocketWithoutMemory,
    Client::WebSocketWithCursor,
    Client::OverBothWithCursor,
];

impl Client {
    fn is_at_hand_made(self) -> bool {
        matches!(
            self,
            Self::EventSourceWithoutMemory | Self::WebSocketWithoutMemory
        )
    }

    /// Over what it comes for the nth time.
    fn transport(self, nth: usize) -> Transport {
        match self {
            Self::EventSource | Self::EventSourceWithoutMemory => Transport::Sse,
            Self::OverBothWithCursor if nth % 2 == 1 => Transport::Sse,
            _ => Transport::Ws,
        }
    }

    /// Whether it knows what the server says: where it stands, and when to come back.
    fn has_cursor(self) -> bool {
        !matches!(self, Self::WebSocket | Self::WebSocketWithoutMemory)
    }

    /// Whether nothing may be lost without a word.
    fn is_promised(self) -> bool {
        self.has_cursor() && !self.is_at_hand_made()
    }

    /// How long it waits before it comes back, where nobody has told it. Three seconds is what Chromium has; a second is what one writes.
    fn delay(self) -> Duration {
        match self {
            Self::EventSource | Self::EventSourceWithoutMemory => Duration::from_secs(3),
            _ => Duration::from_secs(1),
        }
    }
}

const RATE: u64 = 100;
const PAYLOAD: usize = 128;
/// How many messages it gets before it is cut again.
const BETWEEN_CUTS: u64 = 30;

#[derive(Serialize)]
struct Case {
    client: Client,
    cuts: usize,
    rate: u64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.client)
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    /// From the first message that it got to the last that was published.
    published: u64,
    #[serde(flatten)]
    seen: Seen,
    /// How long it was away in all.
    away_seconds: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let up = setting.start(false)?;
    let by_hand = setting.by_hand.start()?;
    let by_hand = Endpoint::new(by_hand.target.address(), None).map(|endpoint| (endpoint, by_hand))?;
    let cuts = setting.sizes.cuts;
    let answers = runtime()?.block_on(async {
        let news = News::default();
        let published = async {
            let mut here = Http1::connect(&up.endpoint).await?;
            let mut there = Http1::connect(&by_hand.0).await?;
            let mut ticks = interval(Duration::from_secs(1) / RATE as u32);
            // Late ones are made up for.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for number in 1.. {
                ticks.tick().await;
                if news.are_all_whole.load(Ordering::Relaxed) {
                    break;
                }
                let text = payload(number, PAYLOAD);
                there.post(&Post::text("/0/publish", &text)).await?;
                here.post(&Post::text("/publish", &text)).await?;
                news.last.store(number, Ordering::Relaxed);
            }
            Ok::<_, anyhow::Error>(())
        };
        let clients = async {
            let clients = CLIENTS.map(async |client| {
                let endpoint = if client.is_at_hand_made() {
                    &by_hand.0
                } else {
                    &up.endpoint
                };
                follow(endpoint, client, cuts, &news).await
            });
            let answers = join_all(clients).await;
            news.are_all_whole.store(true, Ordering::Relaxed);
            answers
        };
        let (published, answers) = tokio::join!(published, clients);
        published?;
        Ok::<_, anyhow::Error>(answers)
    })?;
    CLIENTS
        .into_iter()
        .zip(answers)
        .map(|(client, figures)| {
            let case = Case {
                client,
                cuts,
                rate: RATE,
            };
            row(case, figures)
        })
        .collect()
}

/// How far publishing is.
#[derive(Debug, Default)]
struct News {
    last: AtomicU64,
    are_all_whole: AtomicBool,
}

async fn follow(endpoint: &Endpoint, client: Client, cuts: usize, news: &News) -> Result<Figures> {
    let link = Link::to(endpoint.address.to_string()).await;
    let relayed = link.address();
    let endpoint = endpoint.by(relayed);
    let (mut seen, mut cursor, mut first) = (Seen::default(), None::<String>, None);
    let (mut delay, mut away) = (client.delay(), Duration::ZERO);
    for nth in 0..=cuts {
        let transport = client.transport(nth);
        let path = match (client.is_at_hand_made(), transport) {
            (false, Transport::Ws) => "/ws",
            (false, _) => "/sse",
            (true, Transport::Ws) => "/0/ws",
            (true, _) => "/0/sse",
        };
        let asked = Asked {
            transport,
            path,
            cursor: cursor.as_deref().filter(|_| client.has_cursor()),
            manners: Manners::Bare,
        };
        let mut follower = Follower::open(&endpoint, asked).await?;
        let (mut got, is_last) = (0, nth == cuts);
        // Until it is cut: its own end is the last to know.
        let mut is_cut = false;
        loop {
            let said = match timeout(PATIENCE, follower.next()).await {
                Ok(Ok(said)) => said,
                Ok(Err(_)) if is_cut => break,
                Ok(Err(error)) => return Err(error).context("it ended though nobody cut it"),
                Err(_) => anyhow::bail!("nothing happens any more: no message comes"),
            };
            if let Some(retry) = said.retry.filter(|_| client.has_cursor()) {
                delay = Duration::from_millis(retry);
            }
            if said.id.is_some() {
                cursor.clone_from(&said.id);
            }
            if said.is_notice {
                if said.name == "gap" {
                    seen.gap();
                }
                continue;
            }
            let number = number_of(&said.text).context("a message without a mark")?;
            first.get_or_insert(number);
            seen.message(number);
            got += 1;
            // Behind what it had missed, not within: so much of it may come at once that no cut is in time.
            let is_up_to_date = number + 1 >= news.last.load(Ordering::Relaxed);
            if is_last && is_up_to_date && got >= BETWEEN_CUTS {
                break;
            }
            if !is_last && !is_cut && got >= BETWEEN_CUTS {
                link.reset();
                is_cut = true;
            }
        }
        if !is_last {
            sleep(delay).await;
            away += delay;
        }
    }
    ensure!(
        !client.is_promised() || (seen.lost_in_silence == 0 && seen.doubled == 0),
        "{} messages were lost without a word, and {} came again",
        seen.lost_in_silence,
        seen.doubled
    );
    let published = seen.last().zip(first).map_or(0, |(last, first)| last - first + 1);
    Ok(Figures {
        published,
        seen,
        away_seconds: away.as_secs_f64(),
    })
}
