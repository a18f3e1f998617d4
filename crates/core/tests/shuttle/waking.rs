//! The bell: who sleeps is woken by a task of its own, or on the spot where none tends it any more.

use std::future::poll_fn;
use std::task::Context;

use dualcast_core::{Hub, Subscription};
use futures::channel::oneshot;
use futures::future::select;
use futures::task::noop_waker;
use shuttle::future::block_on;
use shuttle::thread;

use crate::{Told, explore, publish, small_hub};

const COUNT: usize = 3;

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
        assert!(hub.claim_maintenance());
        let (over, is_over) = oneshot::channel::<()>();
        let tended = hub.clone();
        let tender = thread::spawn(move || {
            drop(block_on(select(poll_fn(|cx| tended.poll_wakes(cx)), is_over)));
        });
        read_all(&hub);
        drop(over);
        tender.join().unwrap();
    });
}

#[test]
fn who_sleeps_is_woken_although_whoever_tends_the_bell_goes() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        assert!(hub.claim_maintenance());
        let tended = hub.clone();
        let tender = thread::spawn(move || {
            let noop_waker = noop_waker();
            for _ in 0..2 {
                let _ = tended.poll_wakes(&mut Context::from_waker(&noop_waker));
            }
            tended.release_maintenance();
        });
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
