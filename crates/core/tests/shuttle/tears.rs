//! Tears, and numbers from elsewhere, against readers, sleepers and openers.

use std::collections::VecDeque;
use std::future::poll_fn;

use dualcast_core::{
    Arrival, Channel, ChannelName, Check, Entry, Epoch, FanOut, Form, GapReason, History, Hub, HubBuilder,
    Ingest, Message, NewLife, Page, Publishing, Subscription, Wanted, WeakHub, Wire,
};
use futures::FutureExt;
use futures::future::{self, Either};
use shuttle::future::block_on;
use shuttle::thread;

use crate::{Told, explore};

/// A fan-out whose records bear the numbers that a test gives them. It has nothing else to say, or all that the test wrote down.
#[derive(Clone, Default)]
pub(crate) struct Elsewhere {
    /// The channel of each number from 1 on.
    pub(crate) history: Option<Vec<&'static str>>,
}

impl FanOut for Elsewhere {
    fn start(&self, hub: WeakHub) {
        let hub = hub.upgrade().unwrap();
        hub.ingest().begin_life(NewLife::of(Epoch::random()));
    }

    fn publish<'a>(&'a self, ingest: &'a Ingest, _: &'a ChannelName, _: Message) -> Publishing<'a> {
        Either::Left(future::ready(Ok(ingest.position())))
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, _: &'a ChannelName) -> Publishing<'a> {
        Either::Left(future::ready(Ok(ingest.position())))
    }

    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        ingest.send_volatile(channel, message);
    }

    fn history(&self, ingest: &Ingest, wanted: Wanted) -> Option<History> {
        let history = self.history.as_ref()?;
        let head = ingest.position().sequence();
        let numbers = wanted.after.sequence() + 1..=head;
        let of = numbers.filter(|number| history[*number as usize - 1] == wanted.channel.as_str());
        let records = of.map(|number| ingest.record(arrival(&wanted.channel, number)));
        let page = Page {
            records: records.collect(),
            ..Page::of_nothing(head.max(wanted.after.sequence()))
        };
        Some(future::ready(Ok(page.into())).boxed())
    }
}

pub(crate) fn arrival(channel: &ChannelName, sequence: u64) -> Arrival {
    Arrival {
        sequence,
        check: Check::of(sequence),
        channel: channel.clone(),
        message: Some(Message::text("e", "m")),
        logged_at: std::time::Instant::now(),
    }
}

pub(crate) fn take(hub: &Hub, channel: &Channel, sequence: u64) {
    hub.ingest().take(arrival(channel.name(), sequence));
}

fn node() -> HubBuilder {
    Hub::builder().fan_out(Elsewhere::default())
}

fn channels(hub: &Hub) -> [Channel; 2] {
    ["a", "b"].map(|name| hub.channel(name).unwrap())
}

/// Writes the numbers of each record and gap.
struct Numbers;

impl Wire for Numbers {
    fn form(&self) -> Form {
        Form::new(0, 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let (from, to) = match entry {
            Entry::Record(record) => (0, record.position().sequence()),
            Entry::Gap { gap, .. } => (1 + gap.from.unwrap().sequence(), gap.to.unwrap().sequence()),
            other => panic!("{other:?}"),
        };
        out.extend_from_slice(&from.to_be_bytes());
        out.extend_from_slice(&to.to_be_bytes());
    }
}

/// Waits for batches until one tells of a number, and checks that all before it are told, once.
fn read_batches_through(subscription: &mut Subscription, last: u64) {
    let mut known = 0;
    while known < last {
        let mut out = VecDeque::new();
        block_on(poll_fn(|cx| {
            subscription.poll_batch(cx, &Numbers, 1 << 20, &mut out)
        }))
        .unwrap();
        let bytes: Vec<u8> = out.into_iter().flatten().collect();
        for entry in bytes.chunks(16) {
            let [from, to] =
                [&entry[..8], &entry[8..]].map(|half| u64::from_be_bytes(half.try_into().unwrap()));
            let from = if from == 0 { to } else { from };
            assert_eq!(from, known + 1, "{from}-{to} after {known}");
            known = to;
        }
    }
}

#[test]
fn a_tear_is_told_to_a_reader_that_falls_asleep_meanwhile() {
    explore(|| {
        let hub = node().build().unwrap();
        let [a, _] = channels(&hub);
        let mut subscription = a.subscribe().open().unwrap();
        let mirror = thread::spawn({
            let (hub, a) = (hub.clone(), a.clone());
            move || {
                take(&hub, &a, 1);
                hub.ingest().tear(3, GapReason::Unavailable);
                take(&hub, &a, 4);
                hub.ingest().tear(5, GapReason::Unavailable);
            }
        });
        read_batches_through(&mut subscription, 5);
        mirror.join().unwrap();
    });
}

#[test]
fn a_tear_is_told_to_whoever_opens_meanwhile_on_each_channel() {
    explore(|| {
        let hub = node().build().unwrap();
        let channels = channels(&hub);
        let start = hub.position();
        let mirror = thread::spawn({
            let (hub, channels) = (hub.clone(), channels.clone());
            move || {
                take(&hub, &channels[0], 1);
                hub.ingest().tear(2, GapReason::Unavailable);
                take(&hub, &channels[1], 3);
            }
        });
        for subscribe in [
            hub.subscribe(channels.each_ref().map(|channel| channel.name().clone())),
            hub.subscribe(channels.each_ref().map(|channel| channel.name().clone()))
                .after(start),
        ] {
            let mut subscription = subscribe.open().unwrap();
            let cursor = subscription.cursor().sequence();
            let mut told = Told::default();
            told.drain(&mut subscription);
            while subscription.cursor().sequence() < 3 {
                told.hear(&block_on(subscription.next(1 << 20)).unwrap());
            }
            for (channel, number) in [(0, 1), (0, 2), (1, 2), (1, 3)] {
                let is_told = number <= cursor || told.knows(&channels[channel], number);
                assert!(is_told, "{number} of {channel} after {cursor}: {told:?}");
            }
        }
        mirror.join().unwrap();
    });
}

#[test]
fn a_skip_that_meets_a_tear_leaves_nothing_untold() {
    explore(|| {
        let hub = node().build().unwrap();
        let channels = channels(&hub);
        let names = channels.each_ref().map(|channel| channel.name().clone());
        let rule = dualcast_core::LagRule::Skip(dualcast_core::MaxLag::records(1));
        let mut subscription = hub.subscribe(names).lag(rule).open().unwrap();
        let mirror = thread::spawn({
            let (hub, channels) = (hub.clone(), channels.clone());
            move || {
                take(&hub, &channels[0], 1);
                hub.ingest().tear(2, GapReason::Unavailable);
                take(&hub, &channels[0], 3);
                take(&hub, &channels[0], 4);
            }
        });
        let mut told = Told::default();
        while subscription.cursor().sequence() < 4 {
            told.hear(&block_on(subscription.next(1 << 20)).unwrap());
        }
        mirror.join().unwrap();
        for (channel, number) in [(0, 1), (0, 2), (1, 2), (0, 3), (0, 4)] {
            assert!(
                told.knows(&channels[channel], number),
                "{number} of {channel}: {told:?}"
            );
        }
    });
}

#[test]
fn a_record_without_room_is_not_lost_to_who_opens_its_channel_meanwhile() {
    explore(|| {
        let hub = node().limits(|limits| limits.max_channels = 1).build().unwrap();
        let [a, b] = channels(&hub);
        let start = hub.position();
        let room = a.subscribe().open().unwrap();
        let mirror = thread::spawn({
            let (hub, b) = (hub.clone(), b.clone());
            move || take(&hub, &b, 1)
        });
        drop(room);
        let opened = b.subscribe().after(start).open();
        let mut told = Told::default();
        let mut subscription = opened.ok();
        if let Some(subscription) = &mut subscription {
            told.drain(subscription);
        }
        mirror.join().unwrap();
        if let Some(mut subscription) = subscription {
            told.drain(&mut subscription);
            assert!(told.knows(&b, 1), "{told:?}");
        }
    });
}
