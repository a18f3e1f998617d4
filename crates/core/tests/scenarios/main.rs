//! What an application and its clients may rely on, one scenario a test.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)]

mod batches;
mod continuity;
mod endings;
mod history;
mod hooks;
mod lag;
mod lending;
mod limits;
mod lives;
mod order;
mod presence;
mod repeats;
mod replaying;
mod starts;
mod tears;
mod volatile;

#[path = "../support/client.rs"]
mod client;

#[path = "../support/broker.rs"]
mod broker;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dualcast_core::{
    Channel, Gap, Hub, HubBuilder, Item, Member, Message, Payload, Position, PresenceUpdate, PublishError,
    Subscription,
};
use futures::FutureExt;
use futures::task::ArcWake;

use broker::Broker;
use support::ManualClock;

/// More than any test publishes.
const ALL: usize = 1 << 20;

/// A hub whose logs keep so many records for a minute, and its clock.
fn hub_that_keeps(max_records: usize) -> (HubBuilder, ManualClock) {
    let clock = ManualClock::new();
    let builder = Hub::builder().clock(clock.clone()).log(|log| {
        log.max_records = max_records;
        log.max_age = Duration::from_secs(60);
    });
    (builder, clock)
}

/// A node of a broker whose logs keep so many records.
fn node_that_keeps(max_records: usize, broker: &Broker) -> Hub {
    let (builder, _) = hub_that_keeps(max_records);
    builder.fan_out(broker.clone()).build().unwrap()
}

/// Lets everything that is logged by now age out.
fn age_out(hub: &Hub, clock: &ManualClock) {
    clock.pass(Duration::from_secs(60));
    hub.maintain();
}

fn try_send(channel: &Channel, message: Message) -> Result<Position, PublishError> {
    channel
        .publish(message)
        .now_or_never()
        .expect("publishing waited for somebody")
}

fn send(channel: &Channel, message: Message) -> Position {
    try_send(channel, message).unwrap()
}

fn publish(channel: &Channel, text: &str) -> Position {
    send(channel, Message::text("e", text))
}

fn finish(channel: &Channel) -> Position {
    channel.finish().now_or_never().unwrap().unwrap()
}

/// An item, so that a list of them reads like a transcript: `hello`, `~typing` for what is volatile, `room: the end`,
/// `gap room 1-4 trimmed`, `merged room 3`.
fn line(item: &Item) -> String {
    let text = |message: &Message| match message.payload() {
        Payload::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    };
    match item {
        Item::Record(record) => record
            .message()
            .map_or_else(|| format!("{}: the end", record.channel()), text),
        Item::Volatile(volatile) => format!("~{}", text(volatile.message())),
        Item::Gap { gap, .. } => {
            let Gap {
                channel,
                from,
                to,
                reason,
            } = gap;
            let [from, to] = [from, to].map(|place| place.map_or("?".to_owned(), number));
            format!("gap {channel} {from}-{to} {reason}")
        }
        Item::Merged { merged, .. } => format!("merged {} {}", merged.channel, merged.count),
        Item::Presence(update) => presence_line(update),
        other => format!("{other:?}"),
    }
}

/// `room has 2: ada bob` for the whole, `room has 2: +bob -cy` for a change.
fn presence_line(update: &PresenceUpdate) -> String {
    let name = |member: &Member| {
        let data = member.get_data().map(|data| format!("={data}"));
        format!("{}{}", member.id(), data.unwrap_or_default())
    };
    let mut words: Vec<_> = update.members().iter().map(name).collect();
    words.extend(update.joined().iter().map(|member| format!("+{}", name(member))));
    words.extend(update.left().iter().map(|id| format!("-{id}")));
    format!("{} has {}: {}", update.channel(), update.count(), words.join(" "))
}

/// Everything there is to read, as lines.
fn lines(subscription: &mut Subscription) -> Vec<String> {
    let items = subscription.read(ALL).unwrap();
    items.iter().map(line).collect()
}

/// Everything there is to read without waiting any longer, as lines, and how it ended if it did.
fn transcript(subscription: &mut Subscription) -> Vec<String> {
    let mut transcript = Vec::new();
    loop {
        match subscription.next(ALL).now_or_never() {
            None => return transcript,
            Some(Ok(items)) => transcript.extend(items.iter().map(line)),
            Some(Err(reason)) => {
                transcript.push(format!("closed: {}", reason.name()));
                return transcript;
            }
        }
    }
}

/// The id that a client remembers from an item.
fn id(item: &Item) -> Position {
    match item {
        Item::Record(record) => record.position(),
        Item::Gap { id, .. } | Item::Merged { id, .. } => *id,
        other => panic!("{other:?} has no id"),
    }
}

/// The number in a position. Only tests may look.
fn number(position: Position) -> String {
    position.sequence().to_string()
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
