//! Append, read and sleep.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::{Channel, Entry, Form, Hub, Item, LagRule, MaxLag, Message, Subscription, Wire};
use futures::FutureExt;
use futures::task::noop_waker;
use shuttle::future::block_on;
use shuttle::thread;

use crate::{Told, explore, publish, sequence, small_hub};

const EACH: usize = 3;

/// Publishes on two threads, while a third sleeps and reads until it has everything.
fn two_publishers(channels: [&str; 2], read: impl FnOnce(&mut Subscription, usize) -> Vec<u64>) {
    let hub = small_hub(100).build().unwrap();
    let channels = channels.map(|name| hub.channel(name).unwrap());
    let names = channels.iter().map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).open().unwrap();
    let publishers = channels.map(|channel| thread::spawn(move || publish_some(&channel)));
    let read = read(&mut subscription, 2 * EACH);
    let mut published: Vec<u64> = publishers.into_iter().flat_map(|p| p.join().unwrap()).collect();
    published.sort_unstable();
    assert_eq!(read, published);
}

fn publish_some(channel: &Channel) -> Vec<u64> {
    (0..EACH).map(|_| sequence(publish(channel, "m"))).collect()
}

fn read_items(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut read = Vec::new();
    while read.len() < count {
        let told = sleep_and_read(subscription, |subscription| {
            let mut told = Told::default();
            told.hear(&block_on(subscription.next(1 << 20)).unwrap());
            assert!(told.gaps.is_empty());
            told.records
        });
        read.extend(told);
    }
    read
}

/// Whatever is read comes after the cursor as it stood before, while its task slept, too: a client may come back with it.
fn sleep_and_read(
    subscription: &mut Subscription,
    read: impl FnOnce(&mut Subscription) -> Vec<u64>,
) -> Vec<u64> {
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    let mut out = VecDeque::new();
    let poll = subscription.poll_batch(cx, &Sequences, 20, &mut out);
    let cursor = sequence(subscription.cursor());
    let read = if poll.is_pending() {
        let read = read(subscription);
        assert!(
            read.iter().all(|sequence| *sequence > cursor),
            "{read:?} after {cursor}"
        );
        read
    } else {
        sequences(out)
    };
    assert_eq!(
        read.iter().max().copied().max(Some(cursor)),
        Some(sequence(subscription.cursor()))
    );
    read
}

#[test]
fn a_reader_that_is_told_to_be_asleep_is_woken() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut subscription = channel.subscribe().open().unwrap();
                thread::spawn(move || read_without_looking_twice(&mut subscription))
            })
            .collect();
        let publisher = thread::spawn(move || publish_some(&channel));
        let published = publisher.join().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), published);
        }
    });
}

/// Waits behind a batch of which it is told that nothing follows yet, instead of asking once more.
fn read_without_looking_twice(subscription: &mut Subscription) -> Vec<u64> {
    let mut read = Vec::new();
    block_on(poll_fn(|cx| {
        while read.len() < EACH {
            let mut out = VecDeque::new();
            let batch = ready!(subscription.poll_batch(cx, &Sequences, 1 << 20, &mut out)).unwrap();
            read.extend(sequences(out));
            if batch.is_asleep && read.len() < EACH {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }));
    read
}

/// Writes the sequence of each record.
struct Sequences;

impl Wire for Sequences {
    fn form(&self) -> Form {
        Form::new(0, 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let Entry::Record(record) = entry else {
            return;
        };
        out.extend_from_slice(&sequence(record.position()).to_be_bytes());
    }
}

fn read_batches(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut read = Vec::new();
    while read.len() < count {
        let batch = sleep_and_read(subscription, |subscription| {
            let mut out = VecDeque::new();
            block_on(poll_fn(|cx| {
                subscription.poll_batch(cx, &Sequences, 20, &mut out)
            }))
            .unwrap();
            sequences(out)
        });
        read.extend(batch);
    }
    read
}

/// One batch: the sequences in it.
pub(crate) fn read_batch(subscription: &mut Subscription) -> Vec<u64> {
    let mut out = VecDeque::new();
    let mut batch = || {
        block_on(poll_fn(|cx| {
            subscription.poll_batch(cx, &Sequences, 1 << 20, &mut out)
        }))
        .unwrap()
    };
    // Behind a gap, which has none.
    while batch().messages == 0 {}
    sequences(out)
}

fn sequences(batch: VecDeque<Bytes>) -> Vec<u64> {
    let bytes: Vec<u8> = batch.into_iter().flatten().collect();
    let sequences = bytes
        .chunks(8)
        .map(|chunk| u64::from_be_bytes(chunk.try_into().unwrap()));
    sequences.collect()
}

#[test]
fn a_reader_of_items_sleeps_through_nothing() {
    explore(|| two_publishers(["a", "a"], read_items));
}

#[test]
fn a_reader_of_batches_sleeps_through_nothing() {
    explore(|| two_publishers(["a", "a"], read_batches));
}

#[test]
fn the_cursor_over_several_channels_never_passes_an_unread_record() {
    explore(|| two_publishers(["a", "b"], read_items));
    explore(|| two_publishers(["a", "b"], read_batches));
}

#[test]
fn followers_that_share_a_stretch_read_the_same() {
    explore(|| {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut subscription = channel.subscribe().open().unwrap();
                thread::spawn(move || read_batches(&mut subscription, EACH))
            })
            .collect();
        let published = publish_some(&channel);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), published);
        }
    });
}

#[test]
fn a_conflating_reader_accounts_for_every_record() {
    explore(|| {
        let hub = Hub::new();
        let channels = ["a", "b"].map(|name| hub.channel(name).unwrap());
        let names = channels.each_ref().map(|channel| channel.name().clone());
        let rule = LagRule::Conflate(MaxLag::records(1));
        let mut subscription = hub.subscribe(names).lag(rule).open().unwrap();
        let publishers = channels.map(|channel| {
            thread::spawn(move || {
                for _ in 0..EACH {
                    let message = Message::text("e", "m").conflation_key("k");
                    channel.publish(message).now_or_never().unwrap().unwrap();
                }
            })
        });
        let mut told = Told::default();
        let mut merged = 0;
        while told.records.len() + merged < 2 * EACH {
            let items = block_on(subscription.next(1)).unwrap();
            told.hear(&items);
            merged += items.iter().map(merged_of).sum::<usize>();
        }
        // The newest of each channel is read whatever was left out.
        assert_eq!(told.records.last(), Some(&(2 * EACH as u64)));
        for publisher in publishers {
            publisher.join().unwrap();
        }
        assert!(subscription.read(1).unwrap().is_empty());
        assert_eq!(told.records.len() + merged, 2 * EACH);
    });
}

fn merged_of(item: &Item) -> usize {
    match item {
        Item::Merged { merged, .. } => merged.count as usize,
        _ => 0,
    }
}
