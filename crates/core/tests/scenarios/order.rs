//! One order over all channels, and the cursor in it.

use std::sync::Arc;
use std::task::Context;

use dualcast_core::{Hub, Identity, Message};
use futures::task::{ArcWake, noop_waker, waker};

use crate::{ALL, Bell, hub_that_keeps, id, lines, number, publish, send};

#[test]
fn several_channels_are_read_in_the_order_in_which_they_were_published() {
    let hub = Hub::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| hub.channel(name).unwrap());
    let names = [&c, &a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).open().unwrap();
    for (channel, text) in [(&b, "1"), (&a, "2"), (&c, "3"), (&b, "4"), (&b, "5"), (&a, "6")] {
        publish(channel, text);
    }
    assert_eq!(lines(&mut subscription), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(subscription.cursor(), hub.position());
}

#[test]
fn a_full_batch_is_cut_at_a_sequence_and_never_within_one() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let names = || [&a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names()).open().unwrap();
    // Read to its end, the first channel would carry the cursor past what the second one holds.
    for (channel, text) in [(&a, "1"), (&a, "2"), (&b, "3"), (&a, "4"), (&b, "5")] {
        publish(channel, text);
    }
    for last in 1..=5 {
        let items = subscription.read(1).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(subscription.cursor(), id(&items[0]));
        let mut resumed = hub
            .subscribe(names())
            .after(subscription.cursor())
            .open()
            .unwrap();
        let rest: Vec<_> = (last + 1..=5).map(|text| text.to_string()).collect();
        assert_eq!(lines(&mut resumed), rest);
    }
}

#[test]
fn a_batch_has_at_most_the_bytes_asked_for_before_its_last_message() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    for _ in 0..10 {
        // 9 bytes and the event's name.
        publish(&channel, "ten bytes");
    }
    assert_eq!(subscription.read(25).unwrap().len(), 3);
    assert_eq!(subscription.read(30).unwrap().len(), 3);
    assert_eq!(subscription.read(0).unwrap().len(), 1);
    assert_eq!(subscription.read(ALL).unwrap().len(), 3);
}

#[test]
fn the_cursor_of_a_quiet_channel_follows_the_head() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let [quiet, busy] = ["quiet", "busy"].map(|name| hub.channel(name).unwrap());
    let mut subscription = quiet.subscribe().open().unwrap();
    let start = subscription.cursor();
    for _ in 0..100 {
        publish(&busy, "m");
    }
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    assert!(subscription.poll_read(cx, ALL).is_pending());
    assert!(subscription.cursor() > start);
    assert_eq!(subscription.cursor(), hub.position());
}

#[test]
fn the_cursor_never_goes_back() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let mut subscription = a.subscribe().open().unwrap();
    let mut cursor = subscription.cursor();
    for channel in [&a, &b, &b, &a, &a, &b] {
        publish(channel, "m");
        subscription.read(1).unwrap();
        assert!(subscription.cursor() >= cursor);
        cursor = subscription.cursor();
    }
    let resumed = a.subscribe().after(cursor).open().unwrap();
    assert_eq!(resumed.cursor(), cursor);
}

#[test]
fn a_channel_joined_later_has_a_cursor_of_its_own() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    publish(&b, "missed");
    let mut first = a.subscribe().open().unwrap();
    publish(&a, "1");
    let mut second = b.subscribe().from_start().open().unwrap();
    publish(&b, "2");
    assert_eq!(lines(&mut second), ["missed", "2"]);
    assert_eq!(lines(&mut first), ["1"]);
    // Both at once, elsewhere: from the smaller cursor, and what comes twice has been seen.
    let smaller = if first.cursor() < second.cursor() {
        first
    } else {
        second
    };
    let names = [&a, &b].map(|channel| channel.name().clone());
    let mut both = hub.subscribe(names).after(smaller.cursor()).open().unwrap();
    publish(&a, "3");
    assert_eq!(lines(&mut both), ["3"]);
}

#[test]
fn a_sleeper_is_woken_by_its_own_channels_alone() {
    let hub = Hub::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| hub.channel(name).unwrap());
    let names = [&a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).open().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    assert!(subscription.poll_read(cx, ALL).is_pending());
    publish(&c, "m");
    assert_eq!(bell.rung(), 0);
    publish(&b, "m");
    assert_eq!(bell.rung(), 1);
}

#[test]
fn a_subscriber_may_leave_out_what_it_sent_itself() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let me = Identity::new("me");
    let names = [&a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).without_own(me.clone()).open().unwrap();
    send(&a, Message::text("e", "mine").sender(me.clone()));
    send(&b, Message::text("e", "yours").sender(Identity::new("you")));
    let last = send(&a, Message::text("e", "mine again").sender(me));
    assert_eq!(lines(&mut subscription), ["yours"]);
    assert_eq!(subscription.cursor(), last);
}

/// A task that publishes as soon as it is woken, on the thread that wakes it.
struct Echo(dualcast_core::Channel);

impl ArcWake for Echo {
    fn wake_by_ref(echo: &Arc<Self>) {
        send(&echo.0, Message::text("e", "echo").idempotency_key("echo"));
    }
}

#[test]
fn nobody_is_woken_while_a_lock_is_held() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let mut subscription = channel.subscribe().open().unwrap();
        let waker = waker(Arc::new(Echo(channel.clone())));
        assert!(
            subscription
                .poll_read(&mut Context::from_waker(&waker), ALL)
                .is_pending()
        );
        send(&channel, Message::text("e", "call").idempotency_key("call"));
        done.send(lines(&mut subscription)).unwrap();
    });
    // A lock that is held is held for ever.
    let read = is_done.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(read, ["call", "echo"]);
}

/// A task that nobody but its own waker holds, with a subscription in it.
struct Orphan(#[allow(dead_code)] std::sync::Mutex<dualcast_core::Subscription>);

impl ArcWake for Orphan {
    fn wake_by_ref(_: &Arc<Self>) {}
}

#[test]
fn no_waker_is_dropped_while_a_lock_is_held() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let mut subscription = channel.subscribe().open().unwrap();
        let mut sleep_as_orphan = || {
            let orphan = Orphan(std::sync::Mutex::new(channel.subscribe().open().unwrap()));
            let waker = waker(Arc::new(orphan));
            assert!(
                subscription
                    .poll_read(&mut Context::from_waker(&waker), ALL)
                    .is_pending()
            );
        };
        sleep_as_orphan();
        // The second takes the place of the first, which takes its subscription along; then it goes with the sleeper itself.
        sleep_as_orphan();
        drop(subscription);
        done.send(channel.followers()).unwrap();
    });
    let followers = is_done.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(followers, 0);
}

#[test]
fn positions_are_one_string_for_one_place() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let position = publish(&channel, "m");
    assert_eq!(position.to_string().parse(), Ok(position));
    assert_eq!(number(position), "1");
    assert_eq!(hub.position(), position);
}
