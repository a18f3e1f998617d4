//! Who is present: nobody who waits sleeps through a change, and no roster is lost between two who come and go.

use dualcast_core::{Channel, Hub, Item, Member, Subscription};
use shuttle::future::block_on;
use shuttle::thread;
use std::collections::BTreeSet;

use crate::explore;

/// A hub that waits for nobody who leaves.
fn hub() -> Hub {
    let hub = Hub::builder().limits(|limits| limits.presence_grace = std::time::Duration::ZERO);
    hub.build().unwrap()
}

fn come(channel: &Channel, id: &'static str) -> dualcast_core::Present {
    channel.presence().join(Member::new(id)).unwrap()
}

/// What somebody believes who is told.
#[derive(Debug, Default)]
struct Believed {
    version: Option<u64>,
    members: BTreeSet<String>,
}

impl Believed {
    /// Waits to be told, until it believes that so many are there.
    fn until(&mut self, watcher: &mut Subscription, count: usize) {
        loop {
            for item in block_on(watcher.next(1 << 20)).unwrap() {
                let Item::Presence(update) = item else {
                    panic!("{item:?}")
                };
                match update.since() {
                    Some(since) => assert_eq!(self.version, Some(since)),
                    None => self.members.clear(),
                }
                self.version = Some(update.version());
                let came = update.members().iter().chain(update.joined());
                self.members.extend(came.map(|member| member.id().to_string()));
                for id in update.left() {
                    assert!(self.members.remove(&**id));
                }
                assert_eq!(self.members.len(), update.count());
            }
            if self.members.len() == count {
                return;
            }
        }
    }
}

#[test]
fn who_waits_is_told_of_everybody_who_comes() {
    explore(|| {
        let hub = hub();
        let room = hub.channel("a").unwrap();
        let mut watcher = room.presence().watch().open().unwrap();
        let others = ["b", "c"].map(|id| {
            let room = room.clone();
            thread::spawn(move || {
                drop(come(&room, "a"));
                come(&room, id)
            })
        });
        Believed::default().until(&mut watcher, 2);
        for other in others {
            drop(other.join().unwrap());
        }
        assert_eq!(room.presence().now().count(), 0);
    });
}

#[test]
fn a_roster_that_goes_takes_nobody_with_it() {
    explore(|| {
        let hub = hub();
        let room = hub.channel("a").unwrap();
        let comes_and_goes = {
            let room = room.clone();
            thread::spawn(move || drop(come(&room, "b")))
        };
        let looks_on = {
            let room = room.clone();
            thread::spawn(move || drop(room.presence().watch().open().unwrap()))
        };
        let stays = come(&room, "a");
        comes_and_goes.join().unwrap();
        looks_on.join().unwrap();
        assert_eq!(room.presence().now().count(), 1);
        let mut watcher = room.presence().watch().open().unwrap();
        Believed::default().until(&mut watcher, 1);
        drop(stays);
        assert_eq!((room.presence().now().count(), hub.channel_count()), (0, 1));
    });
}

#[test]
fn a_message_and_somebody_who_comes_are_both_told_whoever_is_first() {
    explore(|| {
        let hub = hub();
        let room = hub.channel("a").unwrap();
        let mut watcher = room.presence().watch().open().unwrap();
        let publisher = {
            let room = room.clone();
            thread::spawn(move || crate::publish(&room, "m"))
        };
        let visitor = {
            let room = room.clone();
            thread::spawn(move || come(&room, "b"))
        };
        let (mut messages, mut count) = (0, 0);
        while messages < 1 || count < 1 {
            for item in block_on(watcher.next(1 << 20)).unwrap() {
                match item {
                    Item::Record(_) => messages += 1,
                    Item::Presence(update) => count = update.count(),
                    other => panic!("{other:?}"),
                }
            }
        }
        publisher.join().unwrap();
        drop(visitor.join().unwrap());
    });
}
