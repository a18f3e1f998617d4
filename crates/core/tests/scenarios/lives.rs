//! Lives of the log: what followers and cursors of one are told in the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;

use dualcast_core::{Arrival, Channel, Check, Epoch, Hub, Message, RECORD_OVERHEAD_BYTES};
use futures::task::{noop_waker, waker};

use crate::tears::Strict;
use crate::{ALL, Bell, Broker, finish, hub_that_keeps, lines, node_that_keeps, publish, transcript};

fn node(broker: &Broker) -> (Hub, Channel) {
    let hub = node_that_keeps(9, broker);
    let channel = hub.channel("a").unwrap();
    (hub, channel)
}

/// The stream is another one from here on, and the node notices: after so many more were stored in it.
fn begin_anew(broker: &Broker, hub: &Hub, last: u64, more: &[&str]) {
    let a = hub.channel("a").unwrap();
    {
        let mut stream = broker.stream();
        stream.put_back(last);
        stream.epoch = Epoch::random();
        stream.fresh_after = last;
    }
    for text in more {
        broker.store(a.name(), Some(Message::text("e", *text)));
    }
    let head = broker.stream().last();
    broker.begin_life(hub.ingest(), head);
}

#[test]
fn a_follower_is_told_that_another_life_began_and_reads_on_in_it() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let mut subscription = a.subscribe().open().unwrap();
    publish(&a, "1");
    publish(&a, "2");
    assert_eq!(transcript(&mut subscription), ["1", "2"]);
    let before = subscription.cursor();
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    assert!(
        subscription
            .poll_read(&mut Context::from_waker(&waker), ALL)
            .is_pending()
    );
    begin_anew(&broker, &hub, 0, &[]);
    assert_eq!(bell.rung(), 1);
    assert_eq!(subscription.cursor(), before);
    publish(&a, "one");
    assert_eq!(transcript(&mut subscription), ["gap a 2-0 epoch", "one"]);
    assert_eq!(subscription.cursor(), hub.position());
    // And so is a cursor of then.
    let mut resumed = a.subscribe().after(before).open().unwrap();
    assert_eq!(transcript(&mut resumed), ["gap a 2-0 epoch", "one"]);
}

#[test]
fn of_a_stream_that_was_put_back_only_what_is_fresh_follows() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let mut subscription = a.subscribe().open().unwrap();
    let positions = ["1", "2", "3"].map(|text| publish(&a, text));
    begin_anew(&broker, &hub, 1, &["two"]);
    publish(&a, "three");
    for mut each in [
        a.subscribe().after(positions[2]).open().unwrap(),
        a.subscribe().after(positions[0]).open().unwrap(),
    ] {
        assert!(transcript(&mut each).ends_with(&["three".to_owned()]));
    }
    assert_eq!(transcript(&mut subscription), ["gap a 0-2 epoch", "three"]);
}

#[test]
fn what_is_not_fresh_is_not_kept_for_those_who_may_have_seen_it() {
    // The node begins before what is fresh.
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let mut subscription = a.subscribe().open().unwrap();
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    assert_eq!(transcript(&mut subscription), ["1", "2", "3"]);
    broker.stream().epoch = Epoch::random();
    broker.stream().fresh_after = 3;
    broker.begin_life(hub.ingest(), 1);
    assert_eq!(transcript(&mut subscription), ["gap a 3-3 epoch"]);
    let cursor = subscription.cursor();
    broker.mirror(hub.ingest());
    publish(&a, "4");
    assert_eq!(transcript(&mut subscription), ["4"]);
    let mut resumed = a.subscribe().after(cursor).open().unwrap();
    assert_eq!(transcript(&mut resumed), ["4"]);
}

#[test]
fn a_life_that_is_begun_again_loses_nothing_and_tells_nothing() {
    for head in [0, 2, 3] {
        let broker = Broker::new(2);
        let (hub, a) = node(&broker);
        let start = hub.position();
        let mut subscription = a.subscribe().open().unwrap();
        publish(&a, "1");
        assert_eq!(lines(&mut subscription), ["1"]);
        publish(&a, "2");
        publish(&a, "3");
        // The task that mirrors the stream broke down and begins again.
        broker.begin_life(hub.ingest(), head);
        broker.mirror(hub.ingest());
        publish(&a, "4");
        assert_eq!(transcript(&mut subscription), ["2", "3", "4"]);
        let mut resumed = a.subscribe().after(start).open().unwrap();
        assert_eq!(transcript(&mut resumed), ["1", "2", "3", "4"]);
    }
}

#[test]
fn a_cursor_of_a_life_that_this_node_has_yet_to_begin_waits_for_it() {
    let broker = Broker::new(9);
    let ((ahead, a), (behind, _)) = (node(&broker), node(&broker));
    for text in ["1", "2"] {
        publish(&a, text);
    }
    broker.mirror(behind.ingest());
    let mut follower = behind.channel("a").unwrap().subscribe().open().unwrap();
    begin_anew(&broker, &ahead, 0, &[]);
    let cursor = publish(&a, "one");
    publish(&a, "two");
    // The client changes to the other node, which holds what it has seen in the life before.
    broker.stream().is_held = true;
    let mut moved = behind
        .channel("a")
        .unwrap()
        .subscribe()
        .after(cursor)
        .open()
        .unwrap();
    assert!(!moved.begins_with_a_gap());
    assert!(transcript(&mut moved).is_empty());
    assert_eq!(moved.cursor(), cursor, "it stands where it stood");
    broker.release(0);
    assert!(transcript(&mut moved).is_empty(), "nobody can tell yet");
    broker.begin_life(behind.ingest(), 0);
    broker.mirror(behind.ingest());
    broker.release_all();
    assert_eq!(transcript(&mut moved), ["two"]);
    assert_eq!(transcript(&mut follower), ["gap a 2-0 epoch", "one", "two"]);
}

#[test]
fn a_cursor_of_a_life_that_nobody_knows_is_told_that_once_it_is_sure() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    publish(&a, "1");
    broker.stream().is_held = true;
    let cursor = format!("{}-7", Epoch::random()).parse().unwrap();
    let mut stranger = a.subscribe().after(cursor).open().unwrap();
    publish(&a, "2");
    assert!(transcript(&mut stranger).is_empty());
    assert_eq!(stranger.cursor(), cursor);
    broker.release_all();
    assert_eq!(transcript(&mut stranger), ["gap a 7-0 epoch", "1", "2"]);
    assert_eq!(stranger.cursor(), hub.position());
    // Where nobody can be asked, nothing is to come.
    let hub = Hub::new();
    let a = hub.channel("a").unwrap();
    let mut stranger = a.subscribe().after(cursor).open().unwrap();
    assert_eq!(transcript(&mut stranger), ["gap a 7-0 epoch"]);
}

#[test]
fn a_cursor_of_a_life_before_begins_behind_the_record_that_it_names_where_that_is_here() {
    let broker = Broker::new(9);
    let ((first, a), (second, _)) = (node(&broker), node(&broker));
    publish(&a, "1");
    broker.mirror(second.ingest());
    let mut follower = second.channel("a").unwrap().subscribe().open().unwrap();
    // The first node begins a life; the second goes on in the old one for a while.
    {
        let mut stream = broker.stream();
        stream.epoch = Epoch::random();
        stream.fresh_after = 1;
    }
    broker.begin_life(first.ingest(), 1);
    publish(&a, "2");
    broker.mirror(second.ingest());
    assert_eq!(transcript(&mut follower), ["2"]);
    let seen = follower.cursor();
    broker.begin_life(second.ingest(), 1);
    broker.mirror(second.ingest());
    publish(&a, "3");
    broker.mirror(second.ingest());
    assert_eq!(transcript(&mut follower), ["gap a 2-2 epoch", "3"]);
    let mut resumed = a.subscribe().after(seen).open().unwrap();
    assert_eq!(transcript(&mut resumed), ["gap a 2-2 epoch", "3"]);
}

#[test]
fn a_tear_in_one_life_hides_none_in_the_next() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let names = ["a", "b"].map(|name| hub.channel(name).unwrap().name().clone());
    let mut subscription = hub.subscribe(names).open().unwrap();
    broker.store(a.name(), Some(Message::text("e", "1")));
    broker.store(a.name(), Some(Message::text("e", "2")));
    broker.tear(hub.ingest(), 2);
    assert_eq!(transcript(&mut subscription).len(), 2);
    begin_anew(&broker, &hub, 0, &[]);
    assert_eq!(transcript(&mut subscription).len(), 2);
    broker.store(a.name(), Some(Message::text("e", "one")));
    broker.tear(hub.ingest(), 1);
    publish(&a, "two");
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 0-1 unavailable", "gap b 0-1 unavailable", "two"]
    );
}

#[test]
fn what_was_torn_since_a_life_began_is_told_behind_its_beginning() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let names = ["a", "b"].map(|name| hub.channel(name).unwrap().name().clone());
    let mut one = a.subscribe().open().unwrap();
    let mut two = hub.subscribe(names).open().unwrap();
    begin_anew(&broker, &hub, 0, &[]);
    broker.store(a.name(), Some(Message::text("e", "one")));
    broker.tear(hub.ingest(), 1);
    publish(&a, "two");
    assert_eq!(
        transcript(&mut one),
        ["gap a 0-0 epoch", "gap a 0-1 unavailable", "two"]
    );
    let told = ["gap a 0-0 epoch", "gap b 0-0 epoch", "gap a 0-1 unavailable"];
    assert_eq!(transcript(&mut two)[..3], told);
}

#[test]
fn a_life_that_begins_while_pages_are_asked_for_is_told() {
    let broker = Broker::new(1);
    let hub = node_that_keeps(1, &broker);
    let a = hub.channel("a").unwrap();
    let start = hub.position();
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    for pages in 0..2 {
        broker.stream().is_held = true;
        let start = if pages == 0 { start } else { hub.position() };
        if pages == 1 {
            for text in ["one", "two", "three"] {
                publish(&a, text);
            }
        }
        let mut subscription = a.subscribe().after(start).open().unwrap();
        for _ in 0..pages {
            broker.release(0);
        }
        let texts = transcript(&mut subscription);
        assert_eq!(texts.len(), pages);
        begin_anew(&broker, &hub, 0, &[]);
        // The question was of another life: whatever is answered.
        broker.release_all();
        let told = transcript(&mut subscription);
        assert!(told.len() == 1 && told[0].ends_with("epoch"), "{told:?}");
        assert_eq!(subscription.cursor(), hub.position());
    }
}

#[test]
fn what_a_hub_counts_is_right_over_lives() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let b = hub.channel("b").unwrap();
    let _follower = a.subscribe().open().unwrap();
    publish(&a, "1");
    publish(&b, "2");
    assert_eq!(
        (hub.channel_count(), hub.log_bytes()),
        (2, 2 * (2 + RECORD_OVERHEAD_BYTES))
    );
    begin_anew(&broker, &hub, 0, &[]);
    // The one without a follower has left memory.
    assert_eq!((hub.channel_count(), hub.log_bytes()), (1, 0));
    assert_eq!((a.followers(), b.followers()), (1, 0));
    publish(&b, "1");
    assert_eq!(
        (hub.channel_count(), hub.log_bytes()),
        (2, 2 + RECORD_OVERHEAD_BYTES)
    );
    hub.maintain();
    assert_eq!(hub.log_bytes(), 2 + RECORD_OVERHEAD_BYTES);
}

#[test]
fn a_channel_that_ended_has_not_ended_in_the_next_life() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let follower = a.subscribe().open().unwrap();
    let end = finish(&a);
    begin_anew(&broker, &hub, 0, &[]);
    assert!(!hub.ingest().is_finished(a.name()));
    assert!(!follower.is_exhausted() && follower.ended_channels().count() == 0);
    let mut resumed = a.subscribe().after(end).open().unwrap();
    publish(&a, "one");
    assert_eq!(transcript(&mut resumed), ["gap a 1-0 epoch", "one"]);
}

#[test]
fn whoever_read_a_channels_end_is_not_told_of_its_next_run() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let start = hub.position();
    let mut early = a.subscribe().open().unwrap();
    publish(&a, "1");
    let end = finish(&a);
    // Another node published at the same moment.
    publish(&a, "late");
    for subscription in [&mut early, &mut a.subscribe().after(start).open().unwrap()] {
        assert_eq!(transcript(subscription), ["1", "a: the end", "closed: finished"]);
    }
    let mut next_run = a.subscribe().after(end).open().unwrap();
    assert_eq!(transcript(&mut next_run), ["late"]);
}

#[test]
fn whoever_stands_behind_an_end_reads_the_next_run_that_began_before_it_had_caught_up() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let b = hub.channel("b").unwrap();
    let end = finish(&a);
    publish(&b, "2");
    publish(&b, "3");
    let names = [&a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).after(end).open().unwrap();
    assert_eq!(subscription.read(1).unwrap().len(), 1);
    publish(&a, "4");
    assert_eq!(transcript(&mut subscription), ["3", "4"]);
}

#[test]
fn whoever_read_a_channels_end_in_a_batch_leaves_it_there() {
    let broker = Broker::new(9);
    let (_, a) = node(&broker);
    let mut subscription = a.subscribe().open().unwrap();
    publish(&a, "1");
    finish(&a);
    let mut out = VecDeque::new();
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    let polled = subscription.poll_batch(cx, &Strict, ALL, &mut out);
    assert!(polled.is_ready());
    publish(&a, "late");
    assert!(subscription.is_exhausted());
    assert_eq!(transcript(&mut subscription), ["closed: finished"]);
}

fn arrival(hub: &Hub, channel: &Channel, sequence: u64) -> Arrival {
    Arrival {
        sequence,
        check: Check::of(sequence),
        channel: channel.name().clone(),
        message: Some(Message::text("e", sequence.to_string())),
        logged_at: hub.ingest().now(),
    }
}

#[test]
fn a_number_that_is_told_twice_changes_nothing_and_one_that_is_left_out_is_torn() {
    let broker = Broker::new(9);
    let (hub, a) = node(&broker);
    let mut subscription = a.subscribe().open().unwrap();
    for sequence in [1, 2, 1, 2] {
        hub.ingest().take(arrival(&hub, &a, sequence));
    }
    hub.ingest().pass(1, Check::of(1));
    // Also where the channel is not in memory.
    hub.ingest().take(arrival(&hub, &hub.channel("b").unwrap(), 1));
    assert_eq!(hub.channel_count(), 1);
    assert_eq!(lines(&mut subscription), ["1", "2"]);
    assert_eq!(hub.position().check(), Some(Check::of(2)));
    hub.ingest().take(arrival(&hub, &a, 4));
    hub.ingest().pass(6, Check::of(6));
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 2-3 unavailable", "4", "gap a 4-5 unavailable"]
    );
    assert_eq!(subscription.cursor(), hub.position());
}

#[test]
fn what_a_hub_has_no_room_for_counts_as_trimmed() {
    let broker = Broker::new(9);
    let (builder, _) = hub_that_keeps(9);
    let hub = builder
        .fan_out(broker.clone())
        .limits(|limits| limits.max_channels = 1)
        .build()
        .unwrap();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let start = hub.position();
    let follower = a.subscribe().open().unwrap();
    publish(&b, "1");
    drop(follower);
    let asked = broker.stream().asked;
    let mut subscription = b.subscribe().after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["1"]);
    assert_eq!(broker.stream().asked, asked + 1, "memory knew that it lacks it");
}

#[test]
fn the_place_where_a_life_begins_is_told_apart_by_its_check() {
    let broker = Broker::new(9);
    let (first, a) = node(&broker);
    publish(&a, "1");
    publish(&a, "2");
    broker.stream().tail_after = 2;
    // Nothing comes, and a client is given the head of a node that started.
    let hub = node_that_keeps(9, &broker);
    let cursor = hub.channel("a").unwrap().subscribe().open().unwrap().cursor();
    assert_eq!(cursor, first.position());
    // Then the stream is put back while no node runs.
    broker.stream().put_back(1);
    broker.store(a.name(), Some(Message::text("e", "two")));
    let hub = node_that_keeps(9, &broker);
    let mut resumed = hub
        .channel("a")
        .unwrap()
        .subscribe()
        .after(cursor)
        .open()
        .unwrap();
    assert_eq!(transcript(&mut resumed), ["gap a 2-2 epoch"]);
}
