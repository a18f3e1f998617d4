//! Lives that begin while others read, sleep, open and leave.

use std::collections::BTreeMap;

use dualcast_core::{Channel, Epoch, Hub, HubBuilder, Item, NewLife, Subscription};
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::tears::{Elsewhere, take};

/// What each life told: up to where all is accounted for, a channel.
#[derive(Debug, Default)]
struct Heard {
    known: BTreeMap<(String, String), u64>,
    lives: Vec<String>,
}

impl Heard {
    /// Each life is entered by a gap, and told from there on without a hole.
    fn hear(&mut self, items: &[Item], is_alone: bool) {
        for item in items {
            let (channel, epoch, from, to) = match item {
                Item::Record(record) => {
                    let (position, to) = (record.position(), record.position().sequence());
                    (record.channel(), position.epoch(), None, to)
                }
                Item::Gap { gap, .. } => {
                    let (from, to) = (gap.from.unwrap(), gap.to.unwrap());
                    let is_within = from.epoch() == to.epoch();
                    (
                        &gap.channel,
                        to.epoch(),
                        is_within.then(|| from.sequence()),
                        to.sequence(),
                    )
                }
                other => panic!("{other:?}"),
            };
            let key = (epoch.to_string(), channel.to_string());
            let known = self.known.entry(key).or_default();
            if is_alone && matches!(item, Item::Record(_)) {
                assert_eq!(to, *known + 1, "{item:?} after {known}");
            }
            assert!(from.is_none_or(|from| from <= *known), "{item:?} after {known}");
            assert!(to >= *known, "{item:?} after {known}");
            *known = to;
            if self.lives.last() != Some(&epoch.to_string()) {
                self.lives.push(epoch.to_string());
            }
        }
    }

    fn read_until(&mut self, subscription: &mut Subscription, epoch: Epoch, sequence: u64, is_alone: bool) {
        while subscription.cursor().epoch() != epoch || subscription.cursor().sequence() < sequence {
            let items = block_on(subscription.next(1 << 20)).unwrap();
            self.hear(&items, is_alone);
        }
        let mut lives = self.lives.clone();
        lives.dedup();
        assert!(lives.len() <= 2, "back in a life that was over: {lives:?}");
    }
}

fn node(fan_out: Elsewhere) -> HubBuilder {
    Hub::builder().fan_out(fan_out)
}

/// One life with two records, then another with three.
fn two_lives(hub: &Hub, channel: &Channel, epoch: Epoch) -> thread::JoinHandle<()> {
    let (hub, channel) = (hub.clone(), channel.clone());
    thread::spawn(move || {
        take(&hub, &channel, 1);
        take(&hub, &channel, 2);
        hub.ingest().begin_life(NewLife::of(epoch));
        for sequence in 1..=3 {
            take(&hub, &channel, sequence);
        }
    })
}

#[test]
fn a_reader_comes_into_the_life_that_begins_and_reads_all_of_it() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let epoch = Epoch::random();
        let mut subscription = channel.subscribe().open().unwrap();
        let mirror = two_lives(&hub, &channel, epoch);
        let mut heard = Heard::default();
        heard.read_until(&mut subscription, epoch, 3, true);
        mirror.join().unwrap();
        assert_eq!(heard.known[&(epoch.to_string(), "a".to_owned())], 3);
    });
}

#[test]
fn a_reader_of_several_channels_comes_into_it_too() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channels = ["a", "b"].map(|name| hub.channel(name).unwrap());
        let epoch = Epoch::random();
        let names = channels.each_ref().map(|channel| channel.name().clone());
        let mut subscription = hub.subscribe(names).open().unwrap();
        let mirror = two_lives(&hub, &channels[1], epoch);
        let mut heard = Heard::default();
        heard.read_until(&mut subscription, epoch, 3, false);
        mirror.join().unwrap();
        assert_eq!(heard.known[&(epoch.to_string(), "b".to_owned())], 3);
    });
}

#[test]
fn whoever_opens_while_a_life_begins_reads_one_of_them() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let start = hub.position();
        let epoch = Epoch::random();
        let mirror = two_lives(&hub, &channel, epoch);
        for subscribe in [channel.subscribe().after(start), channel.subscribe().from_start()] {
            let mut subscription = subscribe.open().unwrap();
            let mut heard = Heard::default();
            heard.read_until(&mut subscription, epoch, 3, false);
        }
        mirror.join().unwrap();
    });
}

#[test]
fn a_life_that_is_begun_again_is_read_on_without_a_word() {
    explore(|| {
        let history = Some(vec!["a", "a", "a", "a"]);
        let hub = node(Elsewhere { history }).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let epoch = hub.position().epoch();
        let mut subscription = channel.subscribe().open().unwrap();
        let mirror = thread::spawn({
            let (hub, channel) = (hub.clone(), channel.clone());
            move || {
                take(&hub, &channel, 1);
                take(&hub, &channel, 2);
                hub.ingest().begin_life(NewLife {
                    head: 2,
                    ..NewLife::of(epoch)
                });
                take(&hub, &channel, 3);
                take(&hub, &channel, 4);
            }
        });
        let mut heard = Heard::default();
        heard.read_until(&mut subscription, epoch, 4, true);
        mirror.join().unwrap();
    });
}

#[test]
fn a_stretch_of_one_life_is_not_read_in_the_next() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let epoch = Epoch::random();
        // As long as somebody follows, stretches are kept.
        let _follower = channel.subscribe().open().unwrap();
        let readers = [(); 2].map(|()| {
            let mut subscription = channel.subscribe().open().unwrap();
            thread::spawn(move || crate::reading::read_batch(&mut subscription))
        });
        take(&hub, &channel, 1);
        take(&hub, &channel, 2);
        hub.ingest().begin_life(NewLife {
            head: 10,
            ..NewLife::of(epoch)
        });
        take(&hub, &channel, 11);
        take(&hub, &channel, 12);
        for reader in readers {
            reader.join().unwrap();
        }
        // Whatever was kept of the first life: at the same place stands the second one's.
        let mut subscription = channel.subscribe().from_start().open().unwrap();
        assert_eq!(crate::reading::read_batch(&mut subscription), [11, 12]);
    });
}

#[test]
fn a_reader_that_sleeps_is_woken_by_a_life_that_begins() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let epoch = Epoch::random();
        let mut subscription = channel.subscribe().open().unwrap();
        let mirror = thread::spawn({
            let hub = hub.clone();
            move || hub.ingest().begin_life(NewLife::of(epoch))
        });
        Heard::default().read_until(&mut subscription, epoch, 0, true);
        mirror.join().unwrap();
    });
}

#[test]
fn what_a_hub_counts_is_right_when_channels_come_and_go_while_a_life_begins() {
    explore(|| {
        let hub = node(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let mirror = two_lives(&hub, &channel, Epoch::random());
        let comer = thread::spawn({
            let channel = channel.clone();
            move || {
                drop(channel.subscribe().open().unwrap());
                drop(channel.subscribe().from_start().open().unwrap());
            }
        });
        hub.maintain();
        comer.join().unwrap();
        mirror.join().unwrap();
        let cost = 2 + dualcast_core::RECORD_OVERHEAD_BYTES;
        assert_eq!((hub.channel_count(), hub.log_bytes()), (1, 3 * cost));
        hub.ingest().begin_life(NewLife::of(Epoch::random()));
        assert_eq!((hub.channel_count(), hub.log_bytes()), (0, 0));
    });
}
