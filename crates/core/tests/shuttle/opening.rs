//! Opening, and skipping, against publishing and trimming.

use dualcast_core::{Channel, Hub, LagRule, MaxLag, Subscribe};
use shuttle::thread;

use crate::{Told, explore, publish, sequence, small_hub};

fn channels(hub: &Hub) -> [Channel; 2] {
    ["a", "b"].map(|name| hub.channel(name).unwrap())
}

/// What a subscription that opens while messages are published and trimmed reads or is told of.
#[derive(Clone, Copy)]
enum Owed {
    /// Whatever comes after its cursor.
    AfterCursor,
    /// What each channel kept when it was looked at, and from there on everything. Several are not looked at in one instant.
    Kept,
}

fn open_while_publishing(
    followed: usize,
    owed: Owed,
    start: impl Fn(Subscribe) -> Subscribe + Copy + Send + Sync + 'static,
) {
    explore(move || {
        let hub = small_hub(1).build().unwrap();
        let channels = channels(&hub);
        publish(&channels[0], "before");
        let publisher = thread::spawn({
            let channels = channels.clone();
            move || {
                (0..4)
                    .map(|index| (index % 2, sequence(publish(&channels[index % 2], "m"))))
                    .collect::<Vec<_>>()
            }
        });
        let names = channels[..followed].iter().map(|channel| channel.name().clone());
        let mut subscription = start(hub.subscribe(names)).open().unwrap();
        let cursor = sequence(subscription.cursor());
        let mut told = Told::default();
        told.drain(&mut subscription);
        let published = publisher.join().unwrap();
        told.drain(&mut subscription);
        for (index, channel) in channels[..followed].iter().enumerate() {
            let of = published.iter().filter(|(of, _)| *of == index).map(|of| of.1);
            let known: Vec<_> = of
                .map(|sequence| (sequence, told.knows(channel, sequence)))
                .collect();
            let is_lost = |&(sequence, is_known): &(u64, bool)| !is_known && sequence > cursor;
            match owed {
                Owed::AfterCursor => assert!(!known.iter().any(is_lost), "{known:?} {cursor} {told:?}"),
                Owed::Kept => assert!(known.is_sorted_by_key(|known| known.1), "{known:?} {told:?}"),
            }
        }
    });
}

#[test]
fn what_comes_and_goes_while_one_opens_from_now_is_told() {
    open_while_publishing(1, Owed::AfterCursor, |subscribe| subscribe);
    open_while_publishing(2, Owed::AfterCursor, |subscribe| subscribe);
}

#[test]
fn what_comes_and_goes_while_one_opens_from_a_position_is_told() {
    open_while_publishing(2, Owed::AfterCursor, |subscribe| {
        let position = subscribe.hub().position();
        subscribe.after(position)
    });
}

#[test]
fn what_comes_and_goes_while_one_opens_from_the_last_ones_is_told() {
    open_while_publishing(1, Owed::AfterCursor, |subscribe| subscribe.last(1));
    open_while_publishing(2, Owed::Kept, |subscribe| subscribe.last(1));
}

#[test]
fn what_comes_and_goes_while_one_opens_from_the_start_is_told() {
    open_while_publishing(1, Owed::AfterCursor, Subscribe::from_start);
    open_while_publishing(2, Owed::Kept, Subscribe::from_start);
}

#[test]
fn a_gap_for_a_garbage_cursor_reaches_up_to_what_is_read() {
    explore(|| {
        let hub = small_hub(1).build().unwrap();
        let [channel, _] = channels(&hub);
        let publisher = thread::spawn({
            let channel = channel.clone();
            move || [(); 3].map(|()| sequence(publish(&channel, "m")))
        });
        let mut subscription = channel.subscribe().cursor("garbage").open().unwrap();
        let mut told = Told::default();
        told.drain(&mut subscription);
        let published = publisher.join().unwrap();
        told.drain(&mut subscription);
        assert!(
            published.iter().all(|sequence| told.knows(&channel, *sequence)),
            "{told:?}"
        );
    });
}

#[test]
fn what_comes_and_goes_while_one_skips_is_told() {
    for followed in [1, 2] {
        explore(move || {
            let hub = small_hub(1).build().unwrap();
            let channels = channels(&hub);
            let names = channels[..followed].iter().map(|channel| channel.name().clone());
            let rule = LagRule::Skip(MaxLag::records(1));
            let mut subscription = hub.subscribe(names).lag(rule).open().unwrap();
            let mut published = [(); 2].map(|()| sequence(publish(&channels[0], "m"))).to_vec();
            let publisher = thread::spawn({
                let channel = channels[0].clone();
                move || [(); 2].map(|()| sequence(publish(&channel, "m")))
            });
            let mut told = Told::default();
            told.drain(&mut subscription);
            published.extend(publisher.join().unwrap());
            told.drain(&mut subscription);
            let untold = published
                .iter()
                .find(|sequence| !told.knows(&channels[0], **sequence));
            assert_eq!(untold, None, "{told:?}");
        });
    }
}
