//! Tears: what a node will never get of the log is told to whoever follows, and to nobody twice.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::{
    Arrival, Channel, ChannelName, Check, Entry, Epoch, FanOut, Form, GapReason, Hub, Ingest, Item, LagRule,
    MaxLag, Message, NewLife, Position, Publishing, Subscribe, Subscription, Wire,
};
use futures::FutureExt;
use futures::future::{self, Either};
use futures::task::noop_waker;

use crate::{Broker, finish, id, line, node_that_keeps, publish, transcript};

fn node(broker: &Broker) -> (Hub, [Channel; 2]) {
    let hub = node_that_keeps(9, broker);
    let channels = ["a", "b"].map(|name| hub.channel(name).unwrap());
    (hub, channels)
}

fn both(hub: &Hub) -> Subscribe {
    hub.subscribe(["a", "b"].map(|name| hub.channel(name).unwrap().name().clone()))
}

/// Stores messages that the node doesn't hear of, and has it give them up.
fn tear(broker: &Broker, hub: &Hub, channel: &Channel, texts: &[&str]) {
    for text in texts {
        broker.store(channel.name(), Some(Message::text("e", *text)));
    }
    broker.tear(hub.ingest(), texts.len() as u64);
}

/// Reads one item or a little more at a time, to the end.
fn items(subscription: &mut Subscription) -> Vec<Item> {
    let mut items = Vec::new();
    while let Some(Ok(some)) = subscription.next(1).now_or_never() {
        items.extend(some);
    }
    items
}

#[test]
fn whoever_follows_is_told_in_order_and_goes_on() {
    let broker = Broker::new(9);
    let (hub, [a, _]) = node(&broker);
    let mut one = a.subscribe().open().unwrap();
    let mut two = both(&hub).open().unwrap();
    publish(&a, "1");
    tear(&broker, &hub, &a, &["2", "3"]);
    publish(&a, "4");
    assert_eq!(transcript(&mut one), ["1", "gap a 1-3 unavailable", "4"]);
    assert_eq!(
        transcript(&mut two),
        ["1", "gap a 1-3 unavailable", "gap b 1-3 unavailable", "4"]
    );
    tear(&broker, &hub, &a, &["5"]);
    assert_eq!(transcript(&mut one), ["gap a 4-5 unavailable"]);
    assert_eq!(one.cursor().sequence(), 5);
}

#[test]
fn whoever_is_cut_at_any_id_around_a_tear_is_told_the_rest() {
    let broker = Broker::new(9);
    let (hub, [a, b]) = node(&broker);
    let mut subscription = both(&hub).open().unwrap();
    publish(&a, "1");
    tear(&broker, &hub, &b, &["2", "3"]);
    publish(&b, "4");
    // What was torn can be had from the broker later.
    let mut heard = Vec::new();
    for item in items(&mut subscription) {
        heard.push(line(&item));
        let mut resumed = both(&hub).after(id(&item)).open().unwrap();
        let rest = transcript(&mut resumed);
        let of_b = |line: &&String| ["gap b 1-3 unavailable", "2", "3"].contains(&line.as_str());
        let is_told = heard.iter().any(|line| of_b(&line)) || rest.iter().filter(of_b).count() == 2;
        assert!(is_told, "{heard:?} then {rest:?}");
        let is_four = |line: &&String| *line == "4";
        assert_eq!(heard.iter().chain(&rest).filter(is_four).count(), 1);
    }
}

#[test]
fn a_cursor_inside_a_tear_is_told_of_the_rest_of_it_alone() {
    // Another node had what this one gave up, and nobody can read it any more.
    let broker = Broker::new(9);
    let (hub, [a, _]) = node(&broker);
    publish(&a, "1");
    tear(&broker, &hub, &a, &["2", "3", "4"]);
    publish(&a, "5");
    let inside = broker.stream().position(3);
    broker.stream().stored[3].is_lost = true;
    let mut subscription = a.subscribe().after(inside).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["gap a 3-4 unavailable", "5"]);
}

#[test]
fn a_skip_over_a_tear_is_told_of_each_channel() {
    let broker = Broker::new(9);
    let (hub, [a, b]) = node(&broker);
    let rule = LagRule::Skip(MaxLag::records(1));
    let mut subscription = both(&hub).lag(rule).open().unwrap();
    tear(&broker, &hub, &b, &["1"]);
    publish(&a, "2");
    publish(&a, "3");
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 0-3 slow", "gap b 0-3 slow"]
    );
}

#[test]
fn who_reads_up_to_a_tear_has_not_kept_up_yet() {
    let broker = Broker::new(9);
    let (hub, [a, _]) = node(&broker);
    publish(&a, "1");
    tear(&broker, &hub, &a, &["2"]);
    for text in ["3", "4", "5"] {
        publish(&a, text);
    }
    let rule = LagRule::Disconnect(MaxLag::records(1));
    let mut subscription = a.subscribe().lag(rule).from_start().open().unwrap();
    assert_eq!(
        transcript(&mut subscription),
        ["1", "gap a 1-2 unavailable", "3", "4", "5"]
    );
}

/// A hub whose fan-out has no history, with a message at 1, a tear behind it, and something more behind that.
fn torn(through: u64, last: Option<Message>) -> (Hub, Channel) {
    let hub = Hub::builder().fan_out(Forgetful).build().unwrap();
    let a = hub.channel("a").unwrap();
    let ingest = hub.ingest();
    ingest.begin_life(NewLife::of(Epoch::random()));
    let take = |sequence, message| {
        ingest.take(Arrival {
            sequence,
            check: Check::of(sequence),
            channel: a.name().clone(),
            message,
            logged_at: ingest.now(),
        });
    };
    take(1, Some(Message::text("e", "1")));
    ingest.tear(through, GapReason::Unavailable);
    take(through + 1, last);
    (hub, a)
}

/// A cursor without a check: nobody is there who could say more of one.
fn cursor(hub: &Hub, sequence: u64) -> String {
    format!("{}-{sequence}", hub.position().epoch())
}

#[test]
fn without_a_history_what_is_left_of_a_tear_is_told_from_the_cursor_on() {
    let (hub, a) = torn(4, Some(Message::text("e", "5")));
    for (after, gap) in [(1, "gap a 1-4 unavailable"), (3, "gap a 3-4 unavailable")] {
        let mut subscription = a.subscribe().cursor(&cursor(&hub, after)).open().unwrap();
        assert_eq!(transcript(&mut subscription), [gap, "5"]);
    }
}

#[test]
fn a_channel_whose_end_stands_behind_a_tear_is_not_exhausted() {
    let (hub, a) = torn(3, None);
    let mut subscription = a.subscribe().cursor(&cursor(&hub, 1)).open().unwrap();
    assert!(!subscription.is_exhausted());
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 1-3 unavailable", "a: the end", "closed: finished"]
    );
}

#[test]
fn a_skip_over_an_end_ends_also_where_a_tear_follows() {
    let broker = Broker::new(9);
    let (hub, [a, _]) = node(&broker);
    let rule = LagRule::Skip(MaxLag::records(1));
    let mut subscription = a.subscribe().lag(rule).open().unwrap();
    publish(&a, "1");
    finish(&a);
    tear(&broker, &hub, &a, &["3"]);
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 0-3 slow", "closed: finished"]
    );
}

#[test]
fn a_skip_is_not_told_of_a_channel_whose_end_was_read() {
    let broker = Broker::new(9);
    let (hub, [a, b]) = node(&broker);
    let rule = LagRule::Skip(MaxLag::records(2));
    let mut subscription = both(&hub).lag(rule).open().unwrap();
    finish(&a);
    publish(&b, "2");
    assert_eq!(subscription.read(1).unwrap().len(), 1);
    publish(&a, "the next run");
    publish(&b, "4");
    publish(&b, "5");
    assert_eq!(transcript(&mut subscription), ["gap b 1-5 slow"]);
    publish(&a, "the next run");
    assert_eq!(transcript(&mut subscription), [""; 0]);
}

#[test]
fn what_was_torn_behind_the_end_of_a_channel_is_nobodys_loss() {
    let broker = Broker::new(9);
    let (hub, [a, b]) = node(&broker);
    let mut subscription = both(&hub).open().unwrap();
    finish(&a);
    assert_eq!(transcript(&mut subscription), ["a: the end"]);
    tear(&broker, &hub, &b, &["2"]);
    assert_eq!(transcript(&mut subscription), ["gap b 1-2 unavailable"]);
    assert_eq!(subscription.cursor().sequence(), 2);
}

#[test]
fn an_end_before_a_tear_ends_nobody_who_may_stand_in_the_next_run() {
    let broker = Broker::new(9);
    let (hub, [a, _]) = node(&broker);
    finish(&a);
    // Another node has the first message of the next run, and a client of it comes here.
    tear(&broker, &hub, &a, &["2"]);
    let cursor = broker.stream().position(2);
    let mut subscription = a.subscribe().after(cursor).open().unwrap();
    assert!(!subscription.is_exhausted() && subscription.ended_channels().count() == 0);
    assert!(!hub.ingest().is_finished(a.name()));
    assert_eq!(transcript(&mut subscription), [""; 0]);
    publish(&a, "3");
    assert_eq!(transcript(&mut subscription), ["3"]);
}

#[test]
fn a_tear_while_pages_are_read_is_read_from_pages() {
    let broker = Broker::new(1);
    let hub = node_that_keeps(1, &broker);
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let start = hub.position();
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    publish(&b, "4");
    broker.stream().is_held = true;
    let mut subscription = both(&hub).after(start).open().unwrap();
    broker.release(0);
    assert_eq!(transcript(&mut subscription), ["1"]);
    tear(&broker, &hub, &a, &["5"]);
    publish(&b, "6");
    broker.release_all();
    // Also for b, which was in memory until the log forgot it, too.
    assert_eq!(transcript(&mut subscription), ["2", "3", "4", "5", "6"]);
}

#[test]
fn nothing_of_a_channel_follows_a_gap_in_a_batch_that_ends_there() {
    let broker = Broker::new(2);
    let hub = node_that_keeps(1, &broker);
    let a = hub.channel("a").unwrap();
    let start = hub.position();
    for text in ["1", "2", "3", "4"] {
        publish(&a, text);
    }
    broker.stream().trimmed_through = 1;
    let mut live = a.subscribe().open().unwrap();
    tear(&broker, &hub, &a, &["5"]);
    publish(&a, "6");
    assert_eq!(batches(&mut live), ["gap 5", "6"]);
    let mut resumed = a.subscribe().after(start).open().unwrap();
    assert_eq!(batches(&mut resumed), ["gap 1", "2 3", "4 5", "6"]);
}

fn batches(subscription: &mut Subscription) -> Vec<String> {
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    let mut out = VecDeque::new();
    while let Poll::Ready(Ok(_)) = subscription.poll_batch(cx, &Strict, 1 << 20, &mut out) {}
    let text = |batch: Bytes| String::from_utf8(batch.to_vec()).unwrap().trim().to_owned();
    out.into_iter().map(text).collect()
}

/// Writes numbers, and wants nothing behind a gap.
pub(crate) struct Strict;

impl Wire for Strict {
    fn form(&self) -> Form {
        Form::new(0, 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let number = |position: Position| position.sequence();
        let text = match entry {
            Entry::Record(record) => format!("{} ", number(record.position())),
            Entry::Gap { gap, .. } => format!("gap {} ", gap.to.map(number).unwrap()),
            other => panic!("{other:?}"),
        };
        out.extend_from_slice(text.as_bytes());
    }

    fn ends_at_gap(&self) -> bool {
        true
    }
}

/// A fan-out without a history.
struct Forgetful;

impl FanOut for Forgetful {
    fn publish<'a>(&'a self, ingest: &'a Ingest, _: &'a ChannelName, _: Message) -> Publishing<'a> {
        Either::Left(future::ready(Ok(ingest.position())))
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, _: &'a ChannelName) -> Publishing<'a> {
        Either::Left(future::ready(Ok(ingest.position())))
    }

    fn send_volatile(&self, _: &Ingest, _: &ChannelName, _: Message) {}
}
