//! The bell: who sleeps is woken by a task of its own, or on the spot where none tends it any more.

use std::future::poll_fn;
use std::task::Context;

use dualcast_core::{Hub, Subscription};
use futures::channel::oneshot;
use futures::future::select;
use futures::task::noop_waker;
use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};

use crate::{Told, explore, publish, small_hub};

const COUNT: usize = 3;

/// Those who tend a hub's bell, until they are ended.
pub(crate) struct Tenders {
    over: Vec<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Tenders {
    pub(crate) fn of(hub: &Hub, count: usize) -> Self {
        assert!(hub.claim_maintenance());
        let (mut over, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (hub, (sender, is_over)) = (hub.clone(), oneshot::channel());
            over.push(sender);
            threads.push(thread::spawn(move || {
                drop(block_on(select(poll_fn(|cx| hub.poll_wakes(cx)), is_over)));
            }));
        }
        Self { over, threads }
    }

    pub(crate) fn end(self) {
        drop(self.over);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Somebody who tends it, once, and goes.
pub(crate) fn tend_and_go(hub: &Hub) -> JoinHandle<()> {
    let hub = hub.clone();
    thread::spawn(move || {
        let noop_waker = noop_waker();
        for _ in 0..4 {
            let _ = hub.poll_wakes(&mut Context::from_waker(&noop_waker));
        }
        hub.release_maintenance();
    })
}

/// Reads until it has everything that another thread publishes meanwhile.
fn read_all(hub: &Hub) {
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let publisher = thread::spawn(move || (0..COUNT).for_each(|_| drop(publish(&channel, "m"))));
    let mut told = Told::default();
    while told.records.len() < COUNT {
        told.hear(&next(&mut subscription));
    }
    publisher.join().unwrap();
}

fn next(subscription: &mut Subscription) -> Vec<dualcast_core::Item> {
    block_on(subscription.next(1 << 20)).unwrap()
}

#[test]
fn who_sleeps_is_woken_by_whoever_tends_the_bell() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let tenders = Tenders::of(&hub, 1);
        read_all(&hub);
        tenders.end();
    });
}

#[test]
fn who_sleeps_is_woken_although_whoever_tends_the_bell_goes() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        assert!(hub.claim_maintenance());
        let tender = tend_and_go(&hub);
        read_all(&hub);
        tender.join().unwrap();
    });
}

#[test]
fn who_begins_to_tend_the_bell_takes_nobody_their_wake() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let tended = hub.clone();
        let tender = thread::spawn(move || {
            assert!(tended.claim_maintenance());
            tended.release_maintenance();
            assert!(tended.claim_maintenance());
            tended.release_maintenance();
        });
        read_all(&hub);
        tender.join().unwrap();
    });
}
