//! Every limit, crossed.

use std::time::Duration;

use dualcast_core::{
    CloseReason, ConfigError, Hub, LimitReached, Limits, Message, PublishError, RECORD_OVERHEAD_BYTES,
    SubscribeError, Transport,
};

use crate::{age_out, finish, hub_that_keeps, lines, publish, send, try_send};

fn hub_with(change: impl FnOnce(&mut Limits)) -> Hub {
    Hub::builder().limits(change).build().unwrap()
}

fn reached(limit: &'static str, max: usize) -> LimitReached {
    LimitReached { limit, max }
}

#[track_caller]
fn assert_too_large(error: PublishError, limit: &str) {
    match error {
        PublishError::TooLarge {
            limit: crossed,
            bytes,
            max,
        } => {
            assert_eq!(crossed, limit);
            assert!(bytes > max);
            assert!(error.to_string().contains(limit), "{error}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_payload_has_at_most_max_message_bytes() {
    let hub = hub_with(|limits| limits.max_message_bytes = 10);
    let channel = hub.channel("a").unwrap();
    send(&channel, Message::binary("e", vec![0; 10]));
    let error = try_send(&channel, Message::binary("e", vec![0; 11])).unwrap_err();
    assert_too_large(error, "max_message_bytes");
    assert_eq!(hub.log_bytes(), 11 + RECORD_OVERHEAD_BYTES);
}

#[test]
fn a_log_of_its_own_bounds_refuses_what_it_cannot_hold() {
    let hub = Hub::builder()
        .log_for(|_, log| log.max_bytes = RECORD_OVERHEAD_BYTES + 10)
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    send(&channel, Message::binary("e", vec![0; 9]));
    let error = try_send(&channel, Message::binary("e", vec![0; 10])).unwrap_err();
    assert_too_large(error, "LogLimits::max_bytes");
    // A channel that was only just made for it is gone again.
    let error = try_send(&hub.channel("b").unwrap(), Message::binary("e", vec![0; 10])).unwrap_err();
    assert_too_large(error, "LogLimits::max_bytes");
    assert_eq!(hub.channel_count(), 1);
}

#[test]
fn a_log_keeps_at_most_max_records_and_max_bytes_for_max_age() {
    let bytes = |log: &mut dualcast_core::LogLimits| {
        log.max_bytes = 3 * RECORD_OVERHEAD_BYTES;
    };
    for (what, kept) in [("records", 2), ("bytes", 2), ("age", 1)] {
        let (builder, clock) = hub_that_keeps(if what == "records" { 2 } else { 100 });
        let hub = builder
            .log_for(move |_, log| {
                if what == "bytes" {
                    bytes(log)
                }
            })
            .build()
            .unwrap();
        let channel = hub.channel("a").unwrap();
        for text in ["1", "2", "3"] {
            if (what, text) == ("age", "3") {
                clock.pass(Duration::from_secs(60));
            }
            publish(&channel, text);
        }
        let mut subscription = channel.subscribe().from_start().open().unwrap();
        assert_eq!(lines(&mut subscription).len(), kept, "{what}");
    }
}

#[test]
fn all_logs_together_keep_at_most_max_log_bytes_and_the_oldest_go_first() {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder
        .log(|log| log.max_bytes = 3 * 1_000)
        .limits(|limits| {
            limits.max_message_bytes = 1_000;
            limits.max_log_bytes = 3 * 1_000;
        })
        .build()
        .unwrap();
    let start = hub.position();
    for name in ["a", "b", "c", "a"] {
        clock.pass(Duration::from_secs(1));
        send(&hub.channel(name).unwrap(), Message::binary("e", vec![0; 600]));
    }
    assert!(hub.log_bytes() <= 3_000);
    // b is gone, and so is the older one of a.
    assert_eq!(hub.channel_count(), 2);
    for (name, kept) in [("a", 1), ("b", 0), ("c", 1)] {
        let mut subscription = hub
            .channel(name)
            .unwrap()
            .subscribe()
            .after(start)
            .open()
            .unwrap();
        let read = lines(&mut subscription);
        let gaps = read.iter().filter(|line| line.contains("trimmed")).count();
        assert_eq!(read.len() - gaps, kept, "{read:?}");
        assert_eq!(gaps, usize::from(name != "c"));
    }
}

#[test]
fn there_are_at_most_max_channels_in_memory() {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder.limits(|limits| limits.max_channels = 2).build().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| hub.channel(name).unwrap());
    publish(&a, "1");
    let follower = b.subscribe().open().unwrap();
    let expected = reached("max_channels", 2);
    assert_eq!(
        c.subscribe().open().err(),
        Some(SubscribeError::Limit(expected.clone()))
    );
    match try_send(&c, Message::text("e", "m")) {
        Err(PublishError::Limit(error)) => assert_eq!(error, expected),
        other => panic!("{other:?}"),
    }
    // Those that are there go on, and one that goes makes room.
    publish(&a, "2");
    publish(&b, "3");
    drop(follower);
    age_out(&hub, &clock);
    publish(&c, "4");
}

#[test]
fn a_subscription_that_fails_half_way_leaves_nothing_behind() {
    let hub = hub_with(|limits| limits.max_channels = 2);
    let names = ["a", "b", "c"].map(|name| hub.channel(name).unwrap().name().clone());
    assert!(hub.subscribe(names).open().is_err());
    assert_eq!(hub.channel_count(), 0);
    let names = ["a", "b"].map(|name| hub.channel(name).unwrap().name().clone());
    assert!(hub.subscribe(names).open().is_ok());
}

#[test]
fn a_subscription_has_at_most_max_channels_per_subscription() {
    let hub = hub_with(|limits| limits.max_channels_per_subscription = 2);
    let names = ["a", "b", "c"].map(|name| hub.channel(name).unwrap().name().clone());
    let expected = reached("max_channels_per_subscription", 2);
    let opened = hub.subscribe(names.clone()).open();
    assert_eq!(opened.err(), Some(SubscribeError::Limit(expected)));
    assert!(hub.subscribe(names[..2].iter().cloned()).open().is_ok());
}

#[test]
fn there_are_at_most_max_subscriptions() {
    let hub = hub_with(|limits| limits.max_subscriptions = 1);
    let channel = hub.channel("a").unwrap();
    let first = channel.subscribe().open().unwrap();
    let expected = reached("max_subscriptions", 1);
    assert_eq!(
        channel.subscribe().open().err(),
        Some(SubscribeError::Limit(expected))
    );
    assert_eq!(channel.followers(), 1);
    drop(first);
    assert!(channel.subscribe().open().is_ok());
}

#[test]
fn there_are_at_most_max_sessions() {
    let hub = hub_with(|limits| limits.max_sessions = 1);
    let first = hub.open_session(Transport::Sse, None).unwrap();
    let refused = hub.open_session(Transport::WebSocket, None);
    assert_eq!(refused.err(), Some(CloseReason::Busy));
    drop(first);
    assert!(hub.open_session(Transport::WebSocket, None).is_ok());
}

#[test]
fn a_new_key_is_refused_past_max_idempotency_keys_and_a_repeat_is_not() {
    let (builder, clock) = hub_that_keeps(100);
    let window = Duration::from_secs(10);
    let hub = builder
        .limits(|limits| {
            limits.max_idempotency_keys = 2;
            limits.idempotency_window = window;
        })
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let with_key = |key: &str| try_send(&channel, Message::text("e", "m").idempotency_key(key));
    let first = with_key("1").unwrap();
    with_key("2").unwrap();
    match with_key("3") {
        Err(PublishError::Limit(error)) => assert_eq!(error, reached("max_idempotency_keys", 2)),
        other => panic!("{other:?}"),
    }
    assert_eq!(with_key("1").unwrap(), first);
    clock.pass(window);
    with_key("3").unwrap();
}

#[test]
fn tombstones_are_at_most_max_tombstones() {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder
        .limits(|limits| limits.max_tombstones = 2)
        .build()
        .unwrap();
    let start = hub.position();
    let channels = ["a", "b", "c"].map(|name| hub.channel(name).unwrap());
    for channel in &channels {
        publish(channel, "m");
    }
    age_out(&hub, &clock);
    // What was never published to is in doubt up to the one that was forgotten, and no further.
    let unknown = hub.channel("unknown").unwrap();
    let mut subscription = unknown.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut subscription), ["gap unknown 0-1 trimmed"]);
}

#[test]
fn a_volatile_message_has_at_most_max_volatile_bytes() {
    let max = 2 * (RECORD_OVERHEAD_BYTES + 10);
    let hub = hub_with(|limits| limits.max_volatile_bytes = max);
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let send_volatile = |bytes| try_send(&channel, Message::binary("e", vec![0; bytes]).volatile());
    assert_too_large(
        send_volatile(max - RECORD_OVERHEAD_BYTES).unwrap_err(),
        "max_volatile_bytes",
    );
    for _ in 0..3 {
        send_volatile(9).unwrap();
    }
    assert_eq!(lines(&mut subscription).len(), 2);
    assert_eq!(hub.volatile_dropped(), 1);
}

#[test]
fn limits_that_contradict_each_other_are_refused_when_the_hub_is_built() {
    let none = Hub::builder().log(|log| log.max_records = 0).build();
    assert_eq!(none.err(), Some(ConfigError::EmptyLog));
    let brief = Hub::builder().log(|log| log.max_age = Duration::ZERO).build();
    assert_eq!(brief.err(), Some(ConfigError::EmptyLog));
    let narrow = Hub::builder().log(|log| log.max_bytes = 1 << 20).build();
    assert!(matches!(narrow.err(), Some(ConfigError::LogBelowMessage { .. })));
    let small = Hub::builder()
        .limits(|limits| limits.max_log_bytes = 1 << 20)
        .build();
    assert!(matches!(small.err(), Some(ConfigError::HubBelowLog { .. })));
}

#[test]
fn a_log_that_is_to_keep_nothing_keeps_a_record_until_the_next_look() {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder
        .log_for(|_, log| {
            log.max_records = 0;
            log.max_age = Duration::ZERO;
        })
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    publish(&channel, "1");
    assert_eq!(lines(&mut subscription), ["1"]);
    drop(subscription);
    clock.pass(Duration::from_nanos(1));
    hub.maintain();
    assert_eq!((hub.channel_count(), hub.log_bytes()), (0, 0));
}

#[test]
fn a_log_that_has_no_room_for_messages_has_room_for_the_end() {
    let hub = Hub::builder()
        .log_for(|_, log| log.max_bytes = 0)
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let error = try_send(&channel, Message::text("e", "m")).unwrap_err();
    assert_too_large(error, "LogLimits::max_bytes");
    finish(&channel);
}

#[test]
fn a_time_without_end_is_never_over() {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder
        .log(|log| log.max_age = Duration::MAX)
        .limits(|limits| {
            limits.idempotency_window = Duration::MAX;
            limits.max_volatile_age = Duration::MAX;
        })
        .build()
        .unwrap();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let message = || Message::text("e", "1").idempotency_key("1");
    let first = send(&channel, message());
    send(&channel, Message::text("e", "2").volatile());
    clock.pass(Duration::from_secs(365 * 24 * 60 * 60));
    hub.maintain();
    assert_eq!(send(&channel, message()), first);
    assert_eq!(lines(&mut subscription), ["1", "~2"]);
}
