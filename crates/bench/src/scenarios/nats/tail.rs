//! How fast a node that starts has the stream's tail in memory: from the first connection to a hub that answers from it.
//!
//! The limit is async-nats' ordered consumer, which hands the same records over one by one and keeps none.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::consumer::push::OrderedConfig;
use dualcast::{Item, LogLimits};
use futures::{StreamExt, TryStreamExt, stream};

use super::{NATS, ORDERED, Sides};
use crate::broker::{Broker, log_subject};
use crate::figure::{self, Figure};
use crate::load::payload;
use crate::process::Process;
use crate::scenarios::{Sizes, microseconds_each};

/// Over how many channels the records are spread: each as many as a channel's log keeps.
pub(in crate::scenarios) const CHANNELS: u64 = 100;
const PREFIX: &str = "tail";
/// How often each side reads, in turns. The median counts.
const TURNS: usize = 3;
/// How many records are under way while the stream is filled.
const FILLING: usize = 512;

pub(in crate::scenarios) fn run(round: usize, sizes: &Sizes) -> Result<Sides> {
    ensure!(
        sizes.tail <= CHANNELS * LogLimits::default().max_records as u64,
        "{} records don't fit into the logs of {CHANNELS} channels",
        sizes.tail
    );
    let broker = Broker::start()?;
    broker.runtime.block_on(read(&broker, round, sizes))
}

async fn read(broker: &Broker, round: usize, sizes: &Sizes) -> Result<Sides> {
    fill(broker, sizes).await?;
    // What the server has to read from its disk, it has read for both.
    ordered(broker, sizes.tail).await?;
    let mut reads = [(ORDERED, Vec::new()), (NATS, Vec::new())];
    for turn in 0..TURNS {
        for side in 0..reads.len() {
            let at = (side + turn + round) % reads.len();
            let (name, taken) = &mut reads[at];
            let (began, before) = (Instant::now(), Process::own().cpu()?);
            if *name == NATS {
                node(broker, sizes.tail).await.context(NATS)?;
            } else {
                ordered(broker, sizes.tail).await.context(ORDERED)?;
            }
            taken.push((began.elapsed(), Process::own().cpu_since(before)?));
        }
    }
    Ok(reads
        .map(|(name, taken)| (name, figures(&taken, sizes.tail)))
        .into())
}

fn figures(taken: &[(Duration, Duration)], count: u64) -> Vec<Figure> {
    let median = |time: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<_> = taken.iter().map(time).collect();
        times.sort();
        times[times.len() / 2]
    };
    let rate = count as f64 / median(|(took, _)| *took).as_secs_f64() / 1e3;
    let each = microseconds_each(median(|(_, cpu)| *cpu), count);
    vec![
        Figure::new("", figure::RECORDS, rate),
        Figure::new("", figure::CPU_PER_RECORD, each),
    ]
}

async fn fill(broker: &Broker, sizes: &Sizes) -> Result<()> {
    let jetstream = &broker.jetstream(PREFIX).await?;
    let publishing = stream::iter(0..sizes.tail).map(|number| async move {
        let subject = log_subject(PREFIX, &channel(number));
        let payload = payload(number, sizes.message_bytes).into();
        jetstream.publish(subject, payload).await?.await?;
        Ok::<_, anyhow::Error>(())
    });
    publishing.buffer_unordered(FILLING).try_collect().await
}

fn channel(number: u64) -> String {
    format!("room.{}", number % CHANNELS)
}

/// Reads the records in order.
async fn ordered(broker: &Broker, count: u64) -> Result<()> {
    let client = broker.client().await?;
    let jetstream = async_nats::jetstream::new(client.clone());
    let consumer = jetstream.get_stream(PREFIX).await?;
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        ..OrderedConfig::default()
    };
    let mut records = consumer.create_consumer(config).await?.messages().await?;
    for number in 1..=count {
        let record = records.next().await.context("the consumer ended")??;
        let sequence = record.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
        ensure!(sequence == number, "record {sequence} came in place of {number}");
    }
    Ok(())
}

/// Starts a node, and looks whether it has them.
async fn node(broker: &Broker, count: u64) -> Result<()> {
    let hub = broker.hub(PREFIX).await?;
    let head = hub.position().sequence();
    ensure!(head >= count, "the log ends at {head}");
    // The last of the channels: the first may have lost their oldest to what other nodes said since.
    let last = hub.channel(channel(CHANNELS - 1))?;
    let kept = last.subscribe().from_start().open()?.read(usize::MAX);
    let kept = kept.map_err(|reason| anyhow::anyhow!("nothing can be read: {reason:?}"))?;
    let records = kept.iter().filter(|item| matches!(item, Item::Record(_))).count();
    let expected = count / CHANNELS;
    ensure!(
        records as u64 == expected,
        "{records} of {expected} records are in memory"
    );
    Ok(())
}
