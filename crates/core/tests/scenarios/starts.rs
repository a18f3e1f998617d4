//! From where a subscription reads.

use dualcast_core::{Hub, SubscribeError};

use crate::{finish, hub_that_keeps, lines, publish};

#[test]
fn from_now_on_nothing_older_is_read() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    publish(&channel, "old");
    let mut subscription = channel.subscribe().open().unwrap();
    assert_eq!(subscription.cursor(), hub.position());
    publish(&channel, "new");
    assert_eq!(lines(&mut subscription), ["new"]);
}

#[test]
fn from_the_start_all_that_is_kept_is_read_without_a_gap() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    for text in ["1", "2", "3"] {
        publish(&channel, text);
    }
    let mut subscription = channel.subscribe().from_start().open().unwrap();
    publish(&channel, "4");
    publish(&channel, "5");
    // What was kept when it opened is owed.
    assert_eq!(lines(&mut subscription), ["gap a 1-3 trimmed", "4", "5"]);
    let mut subscription = channel.subscribe().from_start().open().unwrap();
    assert_eq!(lines(&mut subscription), ["4", "5"]);
}

#[test]
fn the_last_ones_are_counted_over_all_channels_together() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let names = || [&a, &b].map(|channel| channel.name().clone());
    for (channel, text) in [(&a, "1"), (&b, "2"), (&b, "3"), (&a, "4"), (&b, "5")] {
        publish(channel, text);
    }
    for (count, expected) in [
        (0, &[][..]),
        (1, &["5"]),
        (3, &["3", "4", "5"]),
        (9, &["1", "2", "3", "4", "5"]),
    ] {
        let mut subscription = hub.subscribe(names()).last(count).open().unwrap();
        assert_eq!(lines(&mut subscription), expected);
    }
    let mut subscription = a.subscribe().last(1).open().unwrap();
    publish(&a, "6");
    assert_eq!(lines(&mut subscription), ["4", "6"]);
}

#[test]
fn the_end_of_a_channel_is_not_one_of_its_last_messages() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    publish(&channel, "1");
    publish(&channel, "2");
    finish(&channel);
    let mut subscription = channel.subscribe().last(1).open().unwrap();
    assert_eq!(lines(&mut subscription), ["2", "a: the end"]);
}

#[test]
fn one_channel_named_twice_is_one_channel() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let name = || channel.name().clone();
    let mut subscription = hub.subscribe([name(), name()]).open().unwrap();
    assert!(!subscription.is_multi());
    assert_eq!(channel.followers(), 1);
    publish(&channel, "1");
    assert_eq!(lines(&mut subscription), ["1"]);
}

#[test]
fn a_subscription_needs_a_channel() {
    let opened = Hub::new().subscribe([]).open();
    assert_eq!(opened.err(), Some(SubscribeError::NoChannel));
}
