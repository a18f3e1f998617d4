//! What a subscription reads of a broker's history, before it has caught up with memory.

use dualcast_core::{Channel, ChannelName, Hub, Message, Position, Subscribe};
use futures::FutureExt;

use crate::{ALL, Broker, id, node_that_keeps, number, publish, transcript};

/// A node whose logs keep one record, two of its channels, and where its log begins.
pub(crate) fn node(broker: &Broker) -> (Hub, [Channel; 2], Position) {
    let hub = node_that_keeps(1, broker);
    let channels = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let start = hub.position();
    (hub, channels, start)
}

pub(crate) fn both(hub: &Hub, [a, b]: &[Channel; 2]) -> Subscribe {
    hub.subscribe([a, b].map(|channel| channel.name().clone()))
}

#[test]
fn what_memory_lacks_is_read_in_pages_and_what_follows_is_live() {
    for page_size in [1, 2, 99] {
        let broker = Broker::new(page_size);
        let (_, [a, _], start) = node(&broker);
        let texts = ["1", "2", "3", "4", "5"];
        for text in texts {
            publish(&a, text);
        }
        let mut subscription = a.subscribe().after(start).open().unwrap();
        assert_eq!(transcript(&mut subscription), texts);
        publish(&a, "6");
        assert_eq!(transcript(&mut subscription), ["6"]);
        // A live reader that is overtaken doesn't ask.
        let asked = broker.stream().asked;
        publish(&a, "7");
        publish(&a, "8");
        assert_eq!(transcript(&mut subscription), ["gap a 6-7 trimmed", "8"]);
        assert_eq!(broker.stream().asked, asked);
    }
}

#[test]
fn channels_are_merged_in_order_however_their_pages_are_cut() {
    for (page_size, is_terse) in [(1, false), (2, false), (3, true), (99, false)] {
        let broker = Broker::new(page_size);
        broker.stream().is_terse = is_terse;
        let (hub, channels, start) = node(&broker);
        let order = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1];
        let mut published = Vec::new();
        for (number, channel) in order.into_iter().enumerate() {
            published.push((number + 1).to_string());
            publish(&channels[channel], &published[number]);
        }
        // Also where it is cut after each.
        for limit in [1, ALL] {
            let mut subscription = both(&hub, &channels).after(start).open().unwrap();
            let mut told = Vec::new();
            while let Some(Ok(items)) = subscription.next(limit).now_or_never().filter(Result::is_ok) {
                told.extend(items.iter().map(crate::line));
            }
            assert_eq!(told, published);
            assert_eq!(subscription.cursor(), hub.position());
        }
    }
}

#[test]
fn pages_without_a_record_that_end_at_different_places_are_turned() {
    let broker = Broker::new(9);
    broker.stream().tail_after = 2;
    let start = broker.stream().position(0);
    let other = ChannelName::parse("other").unwrap();
    for _ in 0..2 {
        broker.store(&other, Some(Message::text("e", "m")));
    }
    let (hub, channels, _) = node(&broker);
    broker.stream().is_held = true;
    let mut subscription = both(&hub, &channels).after(start).open().unwrap();
    broker.release(0);
    broker.store(&other, Some(Message::text("e", "m")));
    broker.mirror(hub.ingest());
    broker.release(0);
    publish(&channels[0], "4");
    assert_eq!(transcript(&mut subscription), ["4"]);
}

#[test]
fn a_page_that_leads_nowhere_is_not_asked_for_again_and_again() {
    let broker = Broker::new(9);
    let (_, [a, _], start) = node(&broker);
    publish(&a, "1");
    publish(&a, "2");
    broker.stream().is_hasty = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["closed: unavailable"]);
    assert_eq!(subscription.cursor(), start);
}

#[test]
fn a_cursor_beyond_the_head_waits_for_the_mirror() {
    let broker = Broker::new(9);
    let (hub, [a, _], _) = node(&broker);
    publish(&a, "1");
    for text in ["2", "3", "4"] {
        broker.store(a.name(), Some(Message::text("e", text)));
    }
    let beyond = broker.stream().position(3);
    let mut subscription = a.subscribe().after(beyond).open().unwrap();
    assert_eq!(transcript(&mut subscription), [""; 0]);
    assert_eq!(
        subscription.cursor(),
        beyond,
        "what a client would come back with"
    );
    broker.mirror_some(hub.ingest(), 1);
    assert_eq!(transcript(&mut subscription), [""; 0]);
    broker.mirror(hub.ingest());
    broker.release_all();
    assert_eq!(transcript(&mut subscription), ["4"]);
}

#[test]
fn an_answer_before_the_head_has_come_to_the_cursor_doubles_nothing() {
    let broker = Broker::new(9);
    let (hub, [a, _], _) = node(&broker);
    for text in ["1", "2", "3"] {
        broker.store(a.name(), Some(Message::text("e", text)));
    }
    let beyond = broker.stream().position(2);
    broker.stream().is_hasty = true;
    let mut subscription = a.subscribe().after(beyond).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["closed: unavailable"]);
    broker.mirror(hub.ingest());
    assert_eq!(subscription.cursor(), beyond);
}

#[test]
fn a_history_that_can_not_be_read_closes_and_leaves_the_cursor() {
    let broker = Broker::new(1);
    let (_, [a, _], start) = node(&broker);
    let positions = ["1", "2", "3"].map(|text| publish(&a, text));
    broker.stream().is_held = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    broker.release(0);
    assert_eq!(transcript(&mut subscription), ["1"]);
    broker.fail(0);
    for _ in 0..2 {
        assert_eq!(transcript(&mut subscription), ["closed: unavailable"]);
        assert_eq!(subscription.cursor(), positions[0]);
    }
    broker.release_all();
    let mut resumed = a.subscribe().after(subscription.cursor()).open().unwrap();
    assert_eq!(transcript(&mut resumed), ["2", "3"]);
}

#[test]
fn what_is_gone_of_a_history_is_told_before_what_follows() {
    let broker = Broker::new(2);
    let (_, [a, _], start) = node(&broker);
    for text in ["1", "2", "3", "4", "5"] {
        publish(&a, text);
    }
    broker.stream().trimmed_through = 2;
    broker.stream().stored[3].is_lost = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    assert_eq!(
        transcript(&mut subscription),
        ["gap a 0-2 trimmed", "3", "gap a 3-4 unavailable", "5"]
    );
}

#[test]
fn a_page_that_was_read_for_somebody_who_stood_before_tells_nothing_twice() {
    let broker = Broker::new(9);
    let (_, [a, _], _) = node(&broker);
    let [_, second, ..] = ["1", "2", "3", "4"].map(|text| publish(&a, text));
    broker.stream().trimmed_through = 1;
    broker.stream().is_shared = true;
    let mut subscription = a.subscribe().after(second).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["3", "4"]);
}

#[test]
fn whoever_is_cut_at_any_id_of_a_history_with_losses_gets_the_rest() {
    let broker = Broker::new(2);
    let (hub, channels, start) = node(&broker);
    let [a, b] = &channels;
    for (channel, text) in [
        (a, "1"),
        (b, "2"),
        (a, "3"),
        (b, "4"),
        (a, "5"),
        (b, "6"),
        (b, "7"),
        (a, "8"),
    ] {
        publish(channel, text);
    }
    broker.stream().trimmed_through = 2;
    broker.stream().stored[4].is_lost = true;
    let told = [
        "gap a 0-2 trimmed",
        "gap b 0-2 trimmed",
        "3",
        "4",
        "gap a 4-5 unavailable",
        "gap b 4-5 unavailable",
        "6",
        "7",
        "8",
    ];
    let mut subscription = both(&hub, &channels).after(start).open().unwrap();
    let mut items = Vec::new();
    while let Some(Ok(some)) = subscription.next(1).now_or_never() {
        items.extend(some);
    }
    let mut heard = Vec::new();
    for item in &items {
        heard.push(crate::line(item));
        let mut resumed = both(&hub, &channels).after(id(item)).open().unwrap();
        let rest = transcript(&mut resumed);
        // What follows is all that was not heard; of gaps some may be told again.
        let (records, gaps): (Vec<_>, Vec<_>) = rest.iter().partition(|line| !line.starts_with("gap"));
        let heard_records = heard.iter().filter(|line| !line.starts_with("gap")).count();
        assert_eq!(records.len() + heard_records, 5, "{heard:?} then {rest:?}");
        for of in ["gap a", "gap b"] {
            let is_of = |line: &&String| line.starts_with(of);
            let count = gaps.iter().copied().filter(is_of).count() + heard.iter().filter(is_of).count();
            assert!(count >= 2, "{heard:?} then {rest:?}");
        }
    }
    let (mut heard, mut told) = (heard, told.map(str::to_owned).to_vec());
    heard.sort();
    told.sort();
    assert_eq!(heard, told);
}

#[test]
fn a_cursor_whose_check_is_not_remembered_is_asked_about() {
    let broker = Broker::new(9);
    let (builder, _) = crate::hub_that_keeps(9);
    let hub = builder
        .limits(|limits| limits.max_checks = 1)
        .fan_out(broker.clone())
        .build()
        .unwrap();
    let a = hub.channel("a").unwrap();
    let [_, second, _, _] = ["1", "2", "3", "4"].map(|text| publish(&a, text));
    let mut subscription = a.subscribe().after(second).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["3", "4"]);
    assert_eq!(broker.stream().asked, 1);
    // The same number in a history that was lost.
    let foreign = second.to_string();
    let foreign = format!("{}-000000", foreign.rsplit_once('-').unwrap().0);
    let mut subscription = a.subscribe().cursor(&foreign).open().unwrap();
    assert_eq!(subscription.cursor().to_string(), foreign);
    assert_eq!(transcript(&mut subscription), ["gap a 2-4 epoch"]);
    assert_eq!(subscription.cursor(), hub.position());
}

#[test]
fn what_is_trimmed_while_pages_are_read_is_read_from_pages_too() {
    let broker = Broker::new(1);
    let (_, [a, _], start) = node(&broker);
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    broker.stream().is_held = true;
    let mut subscription = a.subscribe().after(start).open().unwrap();
    broker.release(0);
    assert_eq!(transcript(&mut subscription), ["1"]);
    publish(&a, "4");
    publish(&a, "5");
    broker.release_all();
    assert_eq!(transcript(&mut subscription), ["2", "3", "4", "5"]);
}

#[test]
fn who_asks_for_what_is_kept_gets_what_memory_keeps() {
    let broker = Broker::new(9);
    let (_, [a, _], _) = node(&broker);
    for text in ["1", "2", "3"] {
        publish(&a, text);
    }
    let mut kept = a.subscribe().from_start().open().unwrap();
    let mut last = a.subscribe().last(2).open().unwrap();
    assert_eq!(transcript(&mut kept), ["3"]);
    assert_eq!(transcript(&mut last), ["3"]);
    assert_eq!(broker.stream().asked, 0);
}

#[test]
fn those_who_read_one_page_share_its_records() {
    let broker = Broker::new(9);
    let (_, [a, _], start) = node(&broker);
    let first = publish(&a, "1");
    publish(&a, "2");
    assert_eq!(number(first), "1");
    let mut subscription = a.subscribe().after(start).open().unwrap();
    assert_eq!(transcript(&mut subscription), ["1", "2"]);
    // The record of a page bears the same id as it did when it was live.
    let mut subscription = a.subscribe().after(start).open().unwrap();
    let items = subscription.next(1).now_or_never().unwrap().unwrap();
    assert_eq!(id(&items[0]), first);
}
