//! What a subscription does that falls behind.

use std::sync::Arc;
use std::task::Context;

use dualcast_core::{Channel, CloseReason, Hub, LagRule, MaxLag, Message, RECORD_OVERHEAD_BYTES};
use futures::task::{noop_waker, waker};

use crate::{ALL, Bell, hub_that_keeps, id, line, lines, publish, send};

fn keyed(channel: &Channel, key: &str, text: &str) {
    send(channel, Message::text("e", text).conflation_key(key));
}

fn two(hub: &Hub) -> [Channel; 2] {
    ["a", "b"].map(|name| hub.channel(name).unwrap())
}

#[test]
fn catching_up_reads_everything_that_is_kept() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let mut subscription = a.subscribe().lag(LagRule::CatchUp).open().unwrap();
    for _ in 0..500 {
        publish(&a, "m");
    }
    assert_eq!(subscription.read(ALL).unwrap().len(), 500);
}

#[test]
fn skipping_jumps_to_the_head_with_a_gap_once_the_lag_is_crossed() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let rule = LagRule::Skip(MaxLag::records(2));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    publish(&a, "1");
    publish(&a, "2");
    assert_eq!(lines(&mut subscription), ["1", "2"]);
    for text in ["3", "4", "5"] {
        publish(&a, text);
    }
    assert_eq!(lines(&mut subscription), ["gap a 2-5 slow"]);
    assert_eq!(subscription.cursor(), hub.position());
    publish(&a, "6");
    assert_eq!(lines(&mut subscription), ["6"]);
}

#[test]
fn a_lag_is_measured_in_bytes_too_and_over_all_channels_together() {
    let hub = Hub::new();
    let [a, b] = two(&hub);
    let two_records = 2 * (RECORD_OVERHEAD_BYTES as u64 + 2);
    for max in [MaxLag::bytes(two_records), MaxLag::records(2)] {
        let names = [&a, &b].map(|channel| channel.name().clone());
        let mut subscription = hub.subscribe(names).lag(LagRule::Skip(max)).open().unwrap();
        publish(&a, "1");
        publish(&b, "2");
        assert_eq!(lines(&mut subscription), ["1", "2"]);
        for channel in [&a, &b, &a] {
            publish(channel, "3");
        }
        let gaps = subscription.read(ALL).unwrap();
        assert!(gaps.iter().all(|gap| line(gap).ends_with("slow")));
        assert_eq!(gaps.len(), 2);
    }
}

#[test]
fn a_client_cut_between_two_skips_is_told_the_second_one_again() {
    let hub = Hub::new();
    let [a, b] = two(&hub);
    let names = || [&a, &b].map(|channel| channel.name().clone());
    let rule = LagRule::Skip(MaxLag::records(1));
    let mut subscription = hub.subscribe(names()).lag(rule).open().unwrap();
    publish(&a, "1");
    publish(&b, "2");
    let items = subscription.read(ALL).unwrap();
    let gaps = ["gap a 0-2 slow", "gap b 0-2 slow"];
    assert_eq!(items.iter().map(line).collect::<Vec<_>>(), gaps);
    let mut resumed = hub
        .subscribe(names())
        .lag(rule)
        .after(id(&items[0]))
        .open()
        .unwrap();
    assert_eq!(lines(&mut resumed), gaps);
    let mut resumed = hub
        .subscribe(names())
        .lag(rule)
        .after(id(&items[1]))
        .open()
        .unwrap();
    assert_eq!(lines(&mut resumed), [""; 0]);
}

#[test]
fn conflating_reads_the_newest_of_each_key_and_says_how_many_it_left_out() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let rule = LagRule::Conflate(MaxLag::records(3));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    for (key, text) in [("x", "x1"), ("y", "y1"), ("x", "x2")] {
        keyed(&a, key, text);
    }
    // It keeps up: it sees all.
    assert_eq!(lines(&mut subscription), ["x1", "y1", "x2"]);
    for (key, text) in [("x", "x3"), ("y", "y2"), ("x", "x4"), ("x", "x5")] {
        keyed(&a, key, text);
    }
    publish(&a, "no key");
    assert_eq!(lines(&mut subscription), ["merged a 2", "y2", "x5", "no key"]);
}

#[test]
fn how_many_were_merged_is_told_before_the_cursor_has_passed_them() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let rule = LagRule::Conflate(MaxLag::records(1));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    let start = subscription.cursor();
    keyed(&a, "x", "x1");
    keyed(&a, "x", "x2");
    let items = subscription.read(ALL).unwrap();
    assert_eq!(items.iter().map(line).collect::<Vec<_>>(), ["merged a 1", "x2"]);
    assert_eq!(id(&items[0]), start);
}

#[test]
fn what_was_merged_before_a_cut_does_not_come_after_it() {
    let hub = Hub::new();
    let [a, b] = two(&hub);
    let names = [&a, &b].map(|channel| channel.name().clone());
    let rule = LagRule::Conflate(MaxLag::records(3));
    let mut subscription = hub.subscribe(names).lag(rule).open().unwrap();
    keyed(&a, "x", "1");
    publish(&b, "2");
    publish(&b, "3");
    keyed(&a, "x", "4");
    // Four behind: 1 is left out for 4, and the batch is cut after 2. Then two behind, and nothing is left out any more:
    // but 1 must not come now.
    let first = subscription.read(1).unwrap();
    assert_eq!(first.iter().map(line).collect::<Vec<_>>(), ["merged a 1", "2"]);
    assert_eq!(lines(&mut subscription), ["3", "4"]);
}

#[test]
fn a_conflating_reader_that_the_trim_overtakes_is_told() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let [a, _] = two(&hub);
    let rule = LagRule::Conflate(MaxLag::records(1));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    for text in ["1", "2", "3", "4"] {
        keyed(&a, "x", text);
    }
    assert_eq!(lines(&mut subscription), ["gap a 0-2 trimmed", "merged a 1", "4"]);
}

#[test]
fn who_is_disconnected_for_its_lag_comes_back_and_gets_the_rest() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let rule = LagRule::Disconnect(MaxLag::records(2));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    let texts = ["1", "2", "3", "4"];
    for text in texts {
        publish(&a, text);
    }
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Slow));
    // As far behind as before, but it has only just come: it may catch up.
    let mut resumed = a
        .subscribe()
        .lag(rule)
        .after(subscription.cursor())
        .open()
        .unwrap();
    assert!(
        resumed
            .poll_overdue(&mut Context::from_waker(&noop_waker()))
            .is_pending()
    );
    assert_eq!(resumed.read(1).unwrap().len(), 1);
    assert_eq!(lines(&mut resumed), texts[1..]);
    // Then it is held to the rule again.
    for text in texts {
        publish(&a, text);
    }
    assert_eq!(resumed.read(ALL).err(), Some(CloseReason::Slow));
}

#[test]
fn a_client_that_takes_nothing_is_overdue_as_soon_as_its_lag_is_crossed() {
    let hub = Hub::new();
    let [a, _] = two(&hub);
    let rule = LagRule::Disconnect(MaxLag::records(2));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    for publishes in 1..=3 {
        assert!(subscription.poll_overdue(cx).is_pending());
        publish(&a, "m");
        assert_eq!(bell.rung(), publishes);
    }
    assert!(subscription.poll_overdue(cx).is_ready());
    let mut other = a.subscribe().open().unwrap();
    publish(&a, "m");
    assert!(other.poll_overdue(cx).is_pending());
}

#[test]
fn a_gap_is_not_lost_when_its_reader_is_disconnected_before_it_read_it() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let [a, _] = two(&hub);
    let start = hub.position();
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    let rule = LagRule::Disconnect(MaxLag::records(2));
    let mut subscription = a.subscribe().lag(rule).after(start).open().unwrap();
    publish(&a, "4");
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Slow));
    assert_eq!(subscription.cursor(), start);
}
