//! Publishing with acknowledgements: so many tasks of one process, each of which publishes the next message once the last is acknowledged.
//!
//! The limit is async-nats alone, into a stream that is set as the hub's. It does less: a node also hears what it published, and its
//! publishers are answered once it stands in the node's log. So there is a third side, async-nats beside a connection that hears the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dualcast::Message;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::{JETSTREAM, JETSTREAM_HEARD, NATS, Sides};
use crate::broker::{Broker, live_subjects, log_subject};
use crate::figure::{self, Figure};
use crate::load::payload;
use crate::process::Process;
use crate::scenarios::{Sizes, microseconds_each};

const IN_FLIGHT: [u64; 3] = [1, 64, 1_024];
const CHANNEL: &str = "room.0";
/// One at a time it takes longer, so one in so many messages is published.
const FEWER: u64 = 10;

pub(in crate::scenarios) fn run(round: usize, sizes: &Sizes) -> Result<Sides> {
    let broker = Broker::start()?;
    let text: Arc<str> = payload(1, sizes.message_bytes).into();
    let mut sides = [JETSTREAM, JETSTREAM_HEARD, NATS].map(|name| (name, Vec::new()));
    for in_flight in IN_FLIGHT {
        let count = if in_flight == 1 {
            sizes.acked / FEWER
        } else {
            sizes.acked
        };
        for turn in 0..sides.len() {
            let at = (turn + round) % sides.len();
            let (name, figures) = &mut sides[at];
            let drive = Drive {
                broker: &broker,
                text: Arc::clone(&text),
                in_flight,
                count,
                // A stream of its own for each.
                prefix: format!("acked-{in_flight}-{at}"),
            };
            let driven = match *name {
                NATS => broker.runtime.block_on(drive.hub()),
                name => broker.runtime.block_on(drive.bare(name == JETSTREAM_HEARD)),
            };
            figures.extend(driven.context(*name)?);
        }
    }
    Ok(sides.into())
}

/// One run of one side.
struct Drive<'a> {
    broker: &'a Broker,
    text: Arc<str>,
    in_flight: u64,
    count: u64,
    prefix: String,
}

impl Drive<'_> {
    async fn hub(&self) -> Result<Vec<Figure>> {
        let hub = self.broker.hub(&self.prefix).await?;
        let (channel, text) = (hub.channel(CHANNEL)?, Arc::clone(&self.text));
        let figures = self
            .measure(move || {
                let message = Message::text("message", &*text);
                let channel = channel.clone();
                async move {
                    channel.publish(message).await?;
                    Ok(())
                }
            })
            .await?;
        let head = hub.position().sequence();
        ensure!(head >= self.count, "the log ends at {head}");
        Ok(figures)
    }

    async fn bare(&self, is_heard: bool) -> Result<Vec<Figure>> {
        let jetstream = self.broker.jetstream(&self.prefix).await?;
        // Ends with this run.
        let mut hearing = JoinSet::new();
        if is_heard {
            let client = self.broker.client().await?;
            let mut heard = client.subscribe(live_subjects(&self.prefix)).await?;
            client.flush().await?;
            hearing.spawn(async move { while heard.next().await.is_some() {} });
        }
        let (subject, text) = (log_subject(&self.prefix, CHANNEL), Arc::clone(&self.text));
        self.measure(move || {
            let payload = text.as_bytes().to_vec().into();
            let (jetstream, subject) = (jetstream.clone(), subject.clone());
            async move {
                jetstream.publish(subject, payload).await?.await?;
                Ok(())
            }
        })
        .await
    }

    async fn measure<F>(&self, publish: impl Fn() -> F + Send + Sync + 'static) -> Result<Vec<Figure>>
    where
        F: Future<Output = Result<()>> + Send,
    {
        let (publish, left) = (Arc::new(publish), Arc::new(AtomicU64::new(self.count)));
        let (own, broker) = (Process::own(), self.broker.process());
        let (own_before, broker_before) = (own.cpu()?, broker.cpu()?);
        let began = Instant::now();
        let mut publishers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (publish, left) = (Arc::clone(&publish), Arc::clone(&left));
            publishers.spawn(async move {
                let take = |left: u64| left.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                    .is_ok()
                {
                    publish().await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(published) = publishers.join_next().await {
            published??;
        }
        let took = began.elapsed();
        let (own, broker) = (own.cpu_since(own_before)?, broker.cpu_since(broker_before)?);
        let case = format!("{} in flight", self.in_flight);
        let rate = self.count as f64 / took.as_secs_f64() / 1e3;
        let each = |cpu| microseconds_each(cpu, self.count);
        Ok(vec![
            Figure::new(&case, figure::ACKED, rate),
            Figure::new(&case, figure::CPU_PER_MESSAGE, each(own)),
            Figure::new(&case, figure::BROKER_CPU_PER_MESSAGE, each(broker)),
        ])
    }
}
