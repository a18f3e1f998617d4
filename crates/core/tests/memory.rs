//! What quiet channels and small records cost, by the memory that is resident.
//!
//! `cargo test -p dualcast-core --test memory -- --nocapture` prints the figures.

#![cfg(all(target_os = "linux", not(shuttle)))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::task::Context;

use dualcast_core::{Hub, Message, RECORD_OVERHEAD_BYTES, Subscription};
use futures::FutureExt;
use futures::task::noop_waker;

const CHANNELS: usize = 100_000;
const PAYLOAD_BYTES: usize = 128;
/// Whose logs hold 500 records each.
const FEW_CHANNELS: usize = 200;

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

/// What one of so many takes.
fn cost_of<T>(what: &str, count: usize, make: impl FnOnce() -> T) -> (usize, T) {
    let before = resident_bytes();
    let made = make();
    let bytes = resident_bytes().saturating_sub(before) / count;
    println!("{what}: {bytes} bytes");
    (bytes, made)
}

fn hub() -> Hub {
    Hub::builder()
        .limits(|limits| {
            limits.max_log_bytes = 1 << 30;
            limits.max_channels = CHANNELS;
        })
        .build()
        .unwrap()
}

fn publish(hub: &Hub, channel: usize, key: Option<&str>) {
    let mut message = Message::binary("message", vec![0; PAYLOAD_BYTES]);
    if let Some(key) = key {
        message = message.conflation_key(key);
    }
    let channel = hub.channel(("room", channel)).unwrap();
    channel.publish(message).now_or_never().unwrap().unwrap();
}

/// Followed by one who waits.
fn follow(hub: &Hub, channel: usize) -> Subscription {
    let channel = hub.channel(("room", channel)).unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    let noop_waker = noop_waker();
    let poll = subscription.poll_read(&mut Context::from_waker(&noop_waker), 1);
    assert!(poll.is_pending());
    subscription
}

#[test]
fn a_quiet_channel_and_a_small_record_cost_little() {
    let (followed, still_kept) = cost_of(
        "a channel with one follower asleep and no record",
        CHANNELS,
        || {
            let hub = hub();
            let followers: Vec<_> = (0..CHANNELS).map(|channel| follow(&hub, channel)).collect();
            (hub, followers)
        },
    );
    let (logged, kept) = cost_of("a channel with one record and no follower", CHANNELS, || {
        let hub = hub();
        (0..CHANNELS).for_each(|channel| publish(&hub, channel, None));
        hub
    });
    assert_eq!(
        (kept.channel_count(), still_kept.0.channel_count()),
        (CHANNELS, CHANNELS)
    );
    assert!(followed < 2_048 && logged < 2_048);

    // The byte limits count no less than what is held.
    let mut still_kept = Vec::new();
    for is_keyed in [false, true] {
        let what = format!("a further record, with a conflation key of its own: {is_keyed}");
        let (further, kept) = cost_of(&what, CHANNELS, || {
            let hub = hub();
            for record in 0..CHANNELS {
                let key = is_keyed.then(|| format!("key-{record:06}"));
                publish(&hub, record % FEW_CHANNELS, key.as_deref());
            }
            hub
        });
        let counted = kept.log_bytes() / CHANNELS;
        println!("it counts for: {counted} bytes, {RECORD_OVERHEAD_BYTES} of them overhead");
        assert!(further <= counted);
        // What is let go would be taken again, and not show.
        still_kept.push(kept);
    }
}
