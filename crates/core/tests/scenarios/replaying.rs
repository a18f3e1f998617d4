//! Lag rules, ends, volatile and own messages, for a subscription that reads pages of the past.

use std::sync::Arc;
use std::task::Context;

use dualcast_core::{Identity, LagRule, MaxLag, Message};
use futures::task::{noop_waker, waker};

use crate::history::{both, node};
use crate::{ALL, Bell, Broker, finish, lines, node_that_keeps, publish, send, transcript};

#[test]
fn who_replays_is_not_disconnected_for_a_lag_that_it_came_with() {
    let broker = Broker::new(3);
    let (hub, channels, start) = node(&broker);
    let texts = ["1", "2", "3", "4", "5", "6", "7", "8"];
    for text in texts {
        publish(&channels[0], text);
    }
    broker.stream().is_held = true;
    let rule = LagRule::Disconnect(MaxLag::records(1));
    let mut subscription = both(&hub, &channels).lag(rule).after(start).open().unwrap();
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    assert!(subscription.poll_overdue(cx).is_pending());
    broker.release_all();
    assert_eq!(transcript(&mut subscription), texts);
    // Now it has kept up, and is held to the rule.
    publish(&channels[0], "9");
    publish(&channels[1], "10");
    assert!(subscription.poll_overdue(cx).is_ready());
    assert_eq!(transcript(&mut subscription), ["closed: slow"]);
}

#[test]
fn skipping_skips_the_pages_too() {
    let broker = Broker::new(9);
    let (hub, channels, start) = node(&broker);
    for text in ["1", "2", "3", "4"] {
        publish(&channels[0], text);
    }
    let rule = LagRule::Skip(MaxLag::records(2));
    let mut subscription = both(&hub, &channels).lag(rule).after(start).open().unwrap();
    let told = transcript(&mut subscription);
    assert_eq!(told[0], "gap a 0-4 slow");
    publish(&channels[0], "5");
    assert_eq!(transcript(&mut subscription), ["5"]);
}

#[test]
fn what_stands_in_a_page_and_in_memory_counts_once_for_a_lag() {
    let broker = Broker::new(9);
    let (_, [a, _], start) = node(&broker);
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    let rule = LagRule::Skip(MaxLag::records(3));
    let mut subscription = a.subscribe().lag(rule).after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["1", "2", "3"]);
}

#[test]
fn pages_are_not_conflated() {
    let broker = Broker::new(9);
    let (_, [a, _], start) = node(&broker);
    for text in ["1", "2", "3"] {
        send(&a, Message::text("e", text).conflation_key("k"));
    }
    let rule = LagRule::Conflate(MaxLag::records(1));
    let mut subscription = a.subscribe().lag(rule).after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["1", "2", "3"]);
}

#[test]
fn ones_own_messages_are_left_out_of_pages() {
    let broker = Broker::new(1);
    let (hub, channels, start) = node(&broker);
    let me = Identity::new("me");
    for (index, is_own) in [true, false, true, true, false, true].into_iter().enumerate() {
        let message = Message::text("e", (index + 1).to_string());
        let sender = if is_own { me.clone() } else { Identity::new("you") };
        send(&channels[index % 2], message.sender(sender));
    }
    let subscribe = both(&hub, &channels).without_own(me);
    let mut subscription = subscribe.after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["2", "5"]);
    assert_eq!(subscription.cursor(), hub.position());
}

#[test]
fn a_channel_that_ended_in_a_page_ends_there() {
    for page_size in [1, 2, 9] {
        let broker = Broker::new(page_size);
        let (hub, channels, start) = node(&broker);
        let [a, b] = &channels;
        publish(a, "1");
        finish(a);
        publish(b, "3");
        publish(b, "4");
        // Memory forgets that it ended: the name is free again, and used.
        for reuse in [&[][..], &["5"], &["5", "6"]] {
            let hub = node_that_keeps(1, &broker);
            broker.stream().tail_after = 4;
            for text in reuse {
                broker.store(a.name(), Some(Message::text("e", *text)));
            }
            broker.mirror(hub.ingest());
            let alone = hub.channel("a").unwrap().subscribe().after(start);
            let mut subscription = alone.open().unwrap();
            assert!(!subscription.is_exhausted());
            assert_eq!(
                transcript(&mut subscription),
                ["1", "a: the end", "closed: finished"]
            );
            let mut subscription = both(&hub, &channels).after(start).open().unwrap();
            assert_eq!(transcript(&mut subscription), ["1", "a: the end", "3", "4"]);
            assert_eq!(hub.channel("a").unwrap().followers(), 0);
            broker.stream().put_back(4);
        }
        drop(hub);
    }
}

#[test]
fn a_subscription_that_waits_for_pages_says_nothing_of_what_it_will_find() {
    let broker = Broker::new(9);
    let (_, [a, _], start) = node(&broker);
    publish(&a, "1");
    finish(&a);
    broker.stream().is_held = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    assert_eq!(subscription.cursor(), start);
    assert!(!subscription.is_exhausted() && !subscription.begins_with_a_gap());
    assert_eq!(subscription.ended_channels().count(), 0);
    assert_eq!(lines(&mut subscription), [""; 0]);
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    assert!(
        subscription
            .poll_read(&mut Context::from_waker(&waker), ALL)
            .is_pending()
    );
    broker.release_all();
    assert_eq!(bell.rung(), 1);
    assert_eq!(
        transcript(&mut subscription),
        ["1", "a: the end", "closed: finished"]
    );
}

#[test]
fn volatile_messages_come_behind_the_pages_during_which_they_were_sent() {
    let broker = Broker::new(1);
    let (_, [a, _], start) = node(&broker);
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    broker.stream().is_held = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    send(&a, Message::text("e", "v").volatile());
    let mut told = Vec::new();
    while !broker.stream().waiting.is_empty() {
        broker.release(0);
        told.extend(transcript(&mut subscription));
    }
    assert_eq!(told, ["1", "~v", "2", "3"]);
}
