//! Messages that are not logged.

use std::time::Duration;

use dualcast_core::{Channel, CloseReason, Hub, Identity, Message};

use crate::{ALL, finish, hub_that_keeps, line, lines, publish, send};

fn send_volatile(channel: &Channel, text: &str) {
    send(channel, Message::text("e", text).volatile());
}

#[test]
fn a_volatile_message_reaches_who_follows_and_has_no_position() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let before = subscription.cursor();
    let sent_at = send(&channel, Message::text("e", "typing").volatile());
    assert_eq!(sent_at, before);
    assert_eq!(lines(&mut subscription), ["~typing"]);
    assert_eq!(subscription.cursor(), before);
    assert_eq!((hub.log_bytes(), hub.volatile_dropped()), (0, 0));
}

#[test]
fn a_volatile_message_is_never_replayed() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let start = hub.position();
    let mut follower = channel.subscribe().open().unwrap();
    send_volatile(&channel, "old");
    for subscribe in [
        channel.subscribe(),
        channel.subscribe().after(start),
        channel.subscribe().last(10),
        channel.subscribe().from_start(),
        channel.subscribe().cursor("0123456789-1"),
    ] {
        let mut late = subscribe.open().unwrap();
        assert!(!lines(&mut late).contains(&"~old".to_owned()));
    }
    assert_eq!(lines(&mut follower), ["~old"]);
    assert_eq!(lines(&mut follower), [""; 0]);
}

#[test]
fn a_volatile_message_that_nobody_follows_is_dropped_and_counted() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    send_volatile(&channel, "nobody there");
    assert_eq!((hub.volatile_dropped(), hub.channel_count()), (1, 0));
    publish(&channel, "in memory now");
    send_volatile(&channel, "nobody there");
    assert_eq!(hub.volatile_dropped(), 2);
}

#[test]
fn who_lags_loses_the_oldest_volatile_messages_and_each_is_counted() {
    let hub = Hub::builder()
        .limits(|limits| limits.max_volatile_messages = 2)
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let mut slow = [(); 2].map(|()| channel.subscribe().open().unwrap());
    let mut quick = channel.subscribe().open().unwrap();
    for text in ["1", "2", "3", "4", "5"] {
        send_volatile(&channel, text);
        assert_eq!(lines(&mut quick), [format!("~{text}")]);
    }
    for slow in &mut slow {
        assert_eq!(lines(slow), ["~4", "~5"]);
    }
    assert_eq!(hub.volatile_dropped(), 6);
}

#[test]
fn a_volatile_message_waits_for_a_while_and_not_for_ever() {
    let (builder, clock) = hub_that_keeps(10);
    let age = Duration::from_secs(2);
    let hub = builder
        .limits(|limits| limits.max_volatile_age = age)
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let mut subscriptions = [(); 2].map(|()| channel.subscribe().open().unwrap());
    send_volatile(&channel, "1");
    clock.pass(age - Duration::from_nanos(1));
    hub.maintain();
    assert_eq!(lines(&mut subscriptions[0]), ["~1"]);
    clock.pass(Duration::from_nanos(1));
    hub.maintain();
    assert_eq!(lines(&mut subscriptions[1]), [""; 0]);
    assert_eq!(hub.volatile_dropped(), 1);
}

#[test]
fn volatile_messages_wait_for_room_and_not_behind_a_cut() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    publish(&channel, "1");
    publish(&channel, "2");
    send_volatile(&channel, "v1");
    send_volatile(&channel, "v2");
    let mut read = |max_bytes| {
        let items = subscription.read(max_bytes).unwrap();
        items.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(read(1), ["1"]);
    assert_eq!(read(3), ["2", "~v1"]);
    assert_eq!(read(0), ["~v2"]);
    assert_eq!(read(0), [""; 0]);
}

#[test]
fn what_was_sent_before_the_end_is_read_before_it_is_told() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    send_volatile(&channel, "v1");
    send_volatile(&channel, "v2");
    finish(&channel);
    let mut read = Vec::new();
    let reason = loop {
        match subscription.read(1) {
            Ok(items) => read.extend(items.iter().map(line)),
            Err(reason) => break reason,
        }
    };
    assert_eq!(reason, CloseReason::Finished);
    assert_eq!(read, ["a: the end", "~v1", "~v2"]);
}

#[test]
fn volatile_messages_of_ones_own_are_left_out_too() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let me = Identity::new("me");
    let mut subscription = channel.subscribe().without_own(me.clone()).open().unwrap();
    send(&channel, Message::text("e", "mine").sender(me).volatile());
    send_volatile(&channel, "theirs");
    assert_eq!(lines(&mut subscription), ["~theirs"]);
    assert_eq!(hub.volatile_dropped(), 0);
    assert_eq!(subscription.read(ALL).unwrap().len(), 0);
}
