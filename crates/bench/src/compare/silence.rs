//! What goes over the wire while there is nothing to say: signs of life, and the pings of both protocols. Listened to as long as the rest of the
//! comparison takes, with the intervals that are the default.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::join_all;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Asked, Follower, Way};
use super::endpoint::Endpoint;
use super::row;
use super::setting::{Setting, Up, runtime};
use super::socket::Count;

/// Bytes an hour, at the pace of what was heard.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    received_an_hour: f64,
    sent_an_hour: f64,
    heartbeats: usize,
    /// From the first heartbeat to the last.
    seconds: f64,
}

/// Streams that are silent.
pub(super) struct Silence {
    listening: JoinHandle<Result<Vec<Heard>>>,
    is_over: watch::Sender<bool>,
    _servers: [Up; 2],
}

type Heard = (Way, Result<Figures>);

/// How long a silent server may take for a sign of life: twice the interval, and more.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many heartbeats are waited for, however soon the rest is over.
const LEAST: usize = 2;

impl Silence {
    /// Begins to listen.
    pub(super) fn begin(setting: &Setting) -> Result<Self> {
        let servers = [setting.start(false)?, setting.start(true)?];
        let endpoints = servers.each_ref().map(|up| up.endpoint.clone());
        let (is_over, over) = watch::channel(false);
        let listening = thread::spawn(move || {
            let runtime = runtime()?;
            let ways = Way::all().map(async |way| {
                let endpoint = &endpoints[usize::from(way.tls)];
                (way, listen(endpoint, way, over.clone()).await)
            });
            Ok(runtime.block_on(join_all(ways)))
        });
        Ok(Self {
            listening,
            is_over,
            _servers: servers,
        })
    }

    /// Ends it. Answers what was heard.
    pub(super) fn end(self) -> Result<Vec<Value>> {
        self.is_over.send_replace(true);
        let heard = self.listening.join();
        let heard = heard.ok().context("listening failed")??;
        heard
            .into_iter()
            .map(|(way, figures)| row(way, figures))
            .collect()
    }
}

async fn listen(endpoint: &Endpoint, way: Way, over: watch::Receiver<bool>) -> Result<Figures> {
    let asked = Asked::bare(way.transport);
    let mut follower = Follower::open(endpoint, asked).await?;
    // The opening is no sign of life.
    follower.next().await?;
    let mut heard: Vec<(Instant, Count)> = Vec::new();
    while heard.len() < LEAST || !*over.borrow() {
        let said = timeout(PATIENCE, follower.next());
        let said = said.await.context("no sign of life comes")??;
        anyhow::ensure!(
            said.is_notice && said.name == "heartbeat",
            "on a silent stream came {}",
            said.name
        );
        heard.push((Instant::now(), follower.traffic().count()));
    }
    let (first, last) = heard.first().zip(heard.last()).context("nothing was heard")?;
    let seconds = last.0.duration_since(first.0).as_secs_f64();
    let traffic = last.1.since(first.1);
    let an_hour = |bytes: u64| bytes as f64 * 3_600.0 / seconds;
    Ok(Figures {
        received_an_hour: an_hour(traffic.received),
        sent_an_hour: an_hour(traffic.sent),
        heartbeats: heard.len(),
        seconds,
    })
}
