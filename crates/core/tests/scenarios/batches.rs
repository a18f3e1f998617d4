//! Batches as they go out on a wire.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::{Batch, Channel, Entry, Form, Hub, Message, Subscription, Wire};
use futures::task::noop_waker;

use crate::{ALL, finish, number, publish, send};

/// Writes `<number>` or `~`, puts `headroom` bytes in front, and counts what it writes.
#[derive(Default)]
struct Numbers {
    slot: u8,
    headroom: usize,
    written: AtomicUsize,
}

impl Wire for Numbers {
    fn form(&self) -> Form {
        Form::new(self.slot, self.headroom as u8)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        self.written.fetch_add(1, Ordering::SeqCst);
        match entry {
            Entry::Record(record) => {
                out.extend_from_slice(format!("<{}>", number(record.position())).as_bytes())
            }
            Entry::Volatile(_) => out.push(b'~'),
            other => panic!("{other:?}"),
        }
    }

    fn headroom(&self) -> usize {
        self.headroom
    }

    fn seal(&self, mut out: Vec<u8>) -> Bytes {
        out[..self.headroom].fill(b'#');
        out.into()
    }
}

fn poll(subscription: &mut Subscription, wire: &Numbers, max_bytes: usize) -> Option<(Batch, Bytes)> {
    let mut out = VecDeque::new();
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    match subscription.poll_batch(cx, wire, max_bytes, &mut out) {
        Poll::Ready(Ok(batch)) => Some((batch, out.pop_front().unwrap())),
        _ => None,
    }
}

fn followers<const COUNT: usize>(channel: &Channel) -> [Subscription; COUNT] {
    [(); COUNT].map(|()| channel.subscribe().open().unwrap())
}

#[test]
fn a_record_is_written_once_for_each_form_however_many_read_it() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut followers = followers::<8>(&channel);
    let [plain, other] = [0, 1].map(|slot| Numbers {
        slot,
        ..Numbers::default()
    });
    for text in ["1", "2", "3"] {
        publish(&channel, text);
    }
    for (index, follower) in followers.iter_mut().enumerate() {
        let wire = if index % 2 == 0 { &plain } else { &other };
        let (batch, bytes) = poll(follower, wire, ALL).unwrap();
        assert_eq!(bytes, "<1><2><3>");
        assert_eq!((batch.has_id, batch.bytes), (true, 9));
    }
    assert_eq!([plain, other].map(|wire| wire.written.into_inner()), [3, 3]);
}

#[test]
fn followers_at_one_place_get_the_same_bytes_and_not_a_copy() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut followers = followers::<3>(&channel);
    let wire = Numbers {
        headroom: 2,
        ..Numbers::default()
    };
    for texts in [&["1"][..], &["2", "3"]] {
        for text in texts {
            publish(&channel, text);
        }
        let batches = followers
            .each_mut()
            .map(|follower| poll(follower, &wire, ALL).unwrap().1);
        assert!(batches[0].starts_with(b"##<"));
        for batch in &batches {
            assert_eq!((batch.as_ptr(), batch), (batches[0].as_ptr(), &batches[0]));
        }
    }
}

#[test]
fn a_stretch_that_was_joined_before_more_came_is_not_taken_for_all_there_is() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let [mut early, mut late] = followers::<2>(&channel);
    let wire = Numbers::default();
    publish(&channel, "1");
    publish(&channel, "2");
    assert_eq!(poll(&mut early, &wire, ALL).unwrap().1, "<1><2>");
    publish(&channel, "3");
    assert_eq!(poll(&mut late, &wire, ALL).unwrap().1, "<1><2><3>");
    assert_eq!(poll(&mut early, &wire, ALL).unwrap().1, "<3>");
    assert!(poll(&mut late, &wire, ALL).is_none());
}

#[test]
fn each_reader_cuts_where_its_own_limit_says() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let [mut small, mut large] = followers::<2>(&channel);
    let wire = Numbers::default();
    for text in ["1", "2", "3"] {
        publish(&channel, text);
    }
    assert_eq!(poll(&mut small, &wire, 4).unwrap().1, "<1><2>");
    assert_eq!(poll(&mut large, &wire, ALL).unwrap().1, "<1><2><3>");
    assert_eq!(poll(&mut small, &wire, 0).unwrap().1, "<3>");
}

#[test]
fn a_batch_of_volatile_messages_alone_moves_no_cursor() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let [mut follower] = followers::<1>(&channel);
    let wire = Numbers::default();
    send(&channel, Message::text("e", "v").volatile());
    let (batch, bytes) = poll(&mut follower, &wire, ALL).unwrap();
    assert_eq!((batch.has_id, &bytes[..]), (false, &b"~"[..]));
    publish(&channel, "1");
    send(&channel, Message::text("e", "v").volatile());
    let (batch, _) = poll(&mut follower, &wire, ALL).unwrap();
    assert!(batch.has_id);
}

#[test]
fn a_batch_that_ends_a_channel_is_followed_by_the_reason() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let [mut follower] = followers::<1>(&channel);
    let wire = Numbers::default();
    publish(&channel, "1");
    finish(&channel);
    assert_eq!(poll(&mut follower, &wire, ALL).unwrap().1, "<1><2>");
    assert!(follower.is_exhausted());
    assert!(follower.read(ALL).is_err());
}
