//! Finishing a channel.

use dualcast_core::{CloseReason, Hub, Message, PublishError};
use futures::FutureExt;

use crate::{ALL, age_out, finish, hub_that_keeps, line, lines, publish, try_send};

#[test]
fn followers_get_what_stands_before_the_end_and_then_the_end() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    publish(&channel, "1");
    publish(&channel, "2");
    let end = finish(&channel);
    // Also where the batch is cut right before it.
    let first = subscription.read(1).unwrap();
    assert_eq!(first.iter().map(line).collect::<Vec<_>>(), ["1"]);
    assert!(!subscription.is_exhausted());
    assert_eq!(lines(&mut subscription), ["2", "a: the end"]);
    assert_eq!(subscription.cursor(), end);
    assert!(subscription.is_exhausted());
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Finished));
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Finished));
    assert_eq!(channel.followers(), 0);
}

#[test]
fn nothing_follows_the_end() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    finish(&channel);
    let late = try_send(&channel, Message::text("e", "late"));
    assert!(matches!(late, Err(PublishError::Finished)));
    let again = channel.finish().now_or_never().unwrap();
    assert!(matches!(again, Err(PublishError::Finished)));
}

#[test]
fn a_resume_that_has_nothing_but_the_end_left_is_known_before_it_reads() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let first = publish(&channel, "1");
    let last = publish(&channel, "2");
    let end = finish(&channel);
    for (cursor, is_exhausted) in [(first, false), (last, true), (end, true)] {
        let subscription = channel.subscribe().after(cursor).open().unwrap();
        assert_eq!(subscription.is_exhausted(), is_exhausted, "{cursor}");
    }
    // A cursor that made no sense is told so first.
    let subscription = channel.subscribe().cursor("garbage").open().unwrap();
    assert!(!subscription.is_exhausted());
}

#[test]
fn who_opens_a_finished_channel_for_the_first_time_gets_what_is_kept_and_then_the_end() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    publish(&channel, "1");
    finish(&channel);
    let mut subscription = channel.subscribe().open().unwrap();
    assert!(!subscription.is_exhausted());
    assert_eq!(lines(&mut subscription), ["1", "a: the end"]);
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Finished));
}

#[test]
fn of_several_channels_one_may_end_before_the_others() {
    let hub = Hub::new();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let names = [&a, &b].map(|channel| channel.name().clone());
    let mut subscription = hub.subscribe(names).open().unwrap();
    finish(&a);
    publish(&b, "1");
    assert_eq!(lines(&mut subscription), ["a: the end", "1"]);
    assert_eq!((a.followers(), b.followers()), (0, 1));
    assert!(!subscription.is_exhausted());
    finish(&b);
    assert_eq!(lines(&mut subscription), ["b: the end"]);
    assert_eq!(subscription.read(ALL).err(), Some(CloseReason::Finished));
}

#[test]
fn the_name_of_a_finished_channel_is_free_once_it_left_memory() {
    let (builder, clock) = hub_that_keeps(10);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let start = hub.position();
    finish(&channel);
    let follower = channel.subscribe().open().unwrap();
    age_out(&hub, &clock);
    assert!(try_send(&channel, Message::text("e", "too early")).is_err());
    drop(follower);
    publish(&channel, "again");
    // Who was there before is told that something is missing, and not the end of an earlier life.
    let mut subscription = channel.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut subscription), ["gap a 0-1 trimmed", "again"]);
}
