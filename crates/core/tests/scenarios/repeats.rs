//! Idempotency keys.

use std::time::Duration;

use dualcast_core::{Channel, Hub, Identity, Message, Position};

use crate::{age_out, finish, hub_that_keeps, lines, number, publish, send, try_send};

fn with_key(channel: &Channel, key: &str, sender: Option<&str>) -> Position {
    let mut message = Message::text("e", key).idempotency_key(key);
    if let Some(sender) = sender {
        message = message.sender(Identity::new(sender));
    }
    send(channel, message)
}

#[test]
fn a_repeat_answers_the_first_position_and_is_not_logged_again() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let first = with_key(&channel, "1", None);
    publish(&channel, "between");
    assert_eq!(with_key(&channel, "1", None), first);
    assert_eq!(lines(&mut subscription), ["1", "between"]);
}

#[test]
fn one_key_on_two_channels_or_of_two_senders_is_two_messages() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let positions = [
        with_key(&a, "1", None),
        with_key(&b, "1", None),
        with_key(&a, "1", Some("ann")),
        with_key(&a, "1", Some("bob")),
        with_key(&a, "2", Some("bob")),
    ];
    assert_eq!(positions.map(number), ["1", "2", "3", "4", "5"]);
    assert_eq!(with_key(&a, "1", Some("ann")), positions[2]);
}

#[test]
fn a_key_is_forgotten_after_its_window() {
    let (builder, clock) = hub_that_keeps(10);
    let window = Duration::from_secs(5);
    let hub = builder
        .limits(|limits| limits.idempotency_window = window)
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let first = with_key(&channel, "1", None);
    clock.pass(window - Duration::from_nanos(1));
    assert_eq!(with_key(&channel, "1", None), first);
    clock.pass(Duration::from_nanos(1));
    assert!(with_key(&channel, "1", None) > first);
}

#[test]
fn a_key_survives_the_eviction_of_its_channel() {
    let (builder, clock) = hub_that_keeps(10);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let first = with_key(&channel, "1", None);
    age_out(&hub, &clock);
    assert_eq!(hub.channel_count(), 0);
    assert_eq!(with_key(&channel, "1", None), first);
    assert_eq!(hub.channel_count(), 0);
}

#[test]
fn the_key_of_a_refused_message_is_not_remembered() {
    let (builder, clock) = hub_that_keeps(10);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let first = with_key(&channel, "1", None);
    finish(&channel);
    assert!(try_send(&channel, Message::text("e", "m").idempotency_key("2")).is_err());
    // A repeat of what was logged is still answered.
    assert_eq!(with_key(&channel, "1", None), first);
    age_out(&hub, &clock);
    assert!(with_key(&channel, "2", None) > first);
}
