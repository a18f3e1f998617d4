//! What threads may do to each other, walked by a model checker: `--cfg shuttle` puts its locks and atomics in the place of
//! the real ones, and each test runs under thousands of schedules. A lost wake-up shows as a deadlock.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p dualcast-core --test shuttle`

#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

mod lending;
mod lives;
mod memory;
mod opening;
mod presence;
mod publishing;
mod reading;
mod tears;
mod telling;
mod waking;

#[path = "../support/client.rs"]
mod client;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use dualcast_core::{Channel, CloseReason, Hub, HubBuilder, Item, Message, Position, Subscription};
use futures::FutureExt;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use support::ManualClock;

/// Schedules a test under each of two schedulers: one that draws every step, and one that finds what takes few switches
/// at the right places (probabilistic concurrency testing).
const SCHEDULES: usize = 2_000;

fn explore(test: impl Fn() + Send + Sync + 'static) {
    let test = Arc::new(test);
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    for scheduler in [true, false] {
        let test = Arc::clone(&test);
        let run = move || test();
        if scheduler {
            Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(run);
        } else {
            Runner::new(PctScheduler::new(3, SCHEDULES), config.clone()).run(run);
        }
    }
}

/// A hub that keeps so many records a channel, and no tombstones.
fn small_hub(max_records: usize) -> HubBuilder {
    Hub::builder()
        .log(|log| log.max_records = max_records)
        .limits(|limits| limits.max_tombstones = 0)
}

/// A hub of which everything can be aged out at once.
fn aging_hub() -> (Hub, ManualClock) {
    let clock = ManualClock::new();
    let hub = small_hub(10).clock(clock.clone()).build().unwrap();
    (hub, clock)
}

/// Ages everything out that is logged by now.
fn age_out(hub: &Hub, clock: &ManualClock) {
    clock.pass(Duration::from_secs(3_600));
    hub.maintain();
}

fn publish(channel: &Channel, text: &str) -> Position {
    channel
        .publish(Message::text("e", text))
        .now_or_never()
        .unwrap()
        .unwrap()
}

/// The number in a position. Only tests may look.
fn sequence(position: Position) -> u64 {
    position.sequence()
}

/// What a subscription was told: the sequences it read, and the gaps between them.
#[derive(Debug, Default)]
struct Told {
    records: Vec<u64>,
    texts: Vec<String>,
    gaps: Vec<(String, u64, u64)>,
    last_id: Option<Position>,
}

impl Told {
    fn hear(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Record(record) => {
                    self.note_id(record.position());
                    self.records.push(sequence(record.position()));
                    if let Some(message) = record.message() {
                        self.texts.push(format!("{:?}", message.payload()));
                    }
                }
                Item::Gap { gap, id } => {
                    self.note_id(*id);
                    let (from, to) = (gap.from.map_or(0, sequence), sequence(gap.to.unwrap()));
                    self.gaps.push((gap.channel.to_string(), from, to));
                }
                _ => {}
            }
        }
        assert!(self.records.is_sorted_by(|a, b| a < b), "{self:?}");
    }

    /// Reads until there is nothing more.
    fn drain(&mut self, subscription: &mut Subscription) {
        loop {
            let read = subscription.read(1 << 20);
            let is_all = read.as_ref().is_ok_and(Vec::is_empty);
            match read {
                Ok(items) => self.hear(&items),
                Err(reason) => return assert_eq!(reason, CloseReason::Finished),
            }
            self.note_id(subscription.cursor());
            if is_all {
                return;
            }
        }
    }

    /// Ids, and the cursor behind them, never go back. (Of a cursor that made no sense nothing can be said.)
    fn note_id(&mut self, id: Position) {
        let has_gone_back = self.last_id.is_some_and(|last| id < last);
        assert!(!has_gone_back, "{id} after {self:?}");
        self.last_id = Some(id);
    }

    /// Whether it was told of a record: by the record, or by a gap that names it.
    fn knows(&self, channel: &Channel, sequence: u64) -> bool {
        let name = channel.name().as_str();
        let names = |(of, from, to): &(String, u64, u64)| of == name && *from < sequence && sequence <= *to;
        self.records.contains(&sequence) || self.gaps.iter().any(names)
    }
}
