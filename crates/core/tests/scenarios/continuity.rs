//! What a cursor proves, and what is said when it proves nothing any more.

use dualcast_core::{Channel, Hub, Item, Message};

use crate::{ALL, age_out, hub_that_keeps, id, line, lines, publish, send};

fn three(hub: &Hub) -> [Channel; 3] {
    ["a", "b", "c"].map(|name| hub.channel(name).unwrap())
}

#[test]
fn a_cursor_at_the_last_trimmed_record_is_whole_and_one_before_it_is_not() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let positions = ["1", "2", "3", "4"].map(|text| publish(&channel, text));
    // 1 and 2 are trimmed.
    let mut whole = channel.subscribe().after(positions[1]).open().unwrap();
    assert_eq!(lines(&mut whole), ["3", "4"]);
    let mut torn = channel.subscribe().after(positions[0]).open().unwrap();
    assert_eq!(lines(&mut torn), ["gap a 1-2 trimmed", "3", "4"]);
}

#[test]
fn a_live_reader_that_the_trim_overtakes_is_told_and_goes_on() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    for text in ["1", "2", "3", "4", "5"] {
        publish(&channel, text);
    }
    assert_eq!(lines(&mut subscription), ["gap a 0-3 trimmed", "4", "5"]);
    publish(&channel, "6");
    assert_eq!(lines(&mut subscription), ["6"]);
}

#[test]
fn a_gap_is_told_before_the_cursor_has_passed_it() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let start = hub.position();
    for text in ["1", "2", "3"] {
        publish(&channel, text);
    }
    let other = Hub::new().position().to_string();
    for cursor in [&start.to_string(), "garbage", &other] {
        let mut subscription = channel.subscribe().cursor(cursor).open().unwrap();
        // What a client is given as its first id. Cut here, it comes back and is told what this one is told.
        let first_id = subscription.cursor();
        let mut resumed = channel.subscribe().after(first_id).open().unwrap();
        assert_eq!(lines(&mut resumed), lines(&mut subscription), "{cursor}");
    }
}

#[test]
fn an_evicted_channel_is_remembered_by_its_tombstone() {
    let (builder, clock) = hub_that_keeps(10);
    let hub = builder.build().unwrap();
    let [a, ..] = three(&hub);
    let start = hub.position();
    let last = publish(&a, "1");
    age_out(&hub, &clock);
    assert_eq!(hub.channel_count(), 0);
    let mut torn = a.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut torn), ["gap a 0-1 trimmed"]);
    let mut whole = a.subscribe().after(last).open().unwrap();
    publish(&a, "2");
    assert_eq!(lines(&mut whole), ["2"]);
}

#[test]
fn what_falls_out_of_the_tombstones_casts_doubt_on_channels_that_are_not_remembered() {
    let (builder, clock) = hub_that_keeps(10);
    let hub = builder
        .limits(|limits| limits.max_tombstones = 1)
        .build()
        .unwrap();
    let [a, b, c] = three(&hub);
    let start = hub.position();
    let last_of_a = publish(&a, "1");
    let last_of_b = publish(&b, "2");
    age_out(&hub, &clock);
    // a's tombstone, the lower one, is forgotten: a is not believed any more below it, nor is c, that never had any.
    for (channel, after, told) in [
        (&a, start, vec!["gap a 0-1 trimmed"]),
        (&b, start, vec!["gap b 0-2 trimmed"]),
        (&b, last_of_a, vec!["gap b 1-2 trimmed"]),
        (&c, start, vec!["gap c 0-1 trimmed"]),
        (&a, last_of_a, vec![]),
        (&b, last_of_b, vec![]),
        (&c, last_of_b, vec![]),
    ] {
        let mut subscription = channel.subscribe().after(after).open().unwrap();
        assert_eq!(lines(&mut subscription), told);
    }
}

#[test]
fn a_quiet_channel_with_followers_is_not_aged_out_by_a_busy_neighbour() {
    let (builder, clock) = hub_that_keeps(1);
    let hub = builder
        .limits(|limits| limits.max_tombstones = 0)
        .build()
        .unwrap();
    let [quiet, busy, unfollowed] = three(&hub);
    let _follower = quiet.subscribe().open().unwrap();
    let start = hub.position();
    for _ in 0..10 {
        publish(&busy, "m");
        age_out(&hub, &clock);
    }
    assert_eq!(hub.channel_count(), 1);
    let mut whole = quiet.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut whole), [""; 0]);
    let mut doubted = unfollowed.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut doubted), ["gap c 0-10 trimmed"]);
}

#[test]
fn a_gap_on_several_channels_leaves_the_cursor_where_the_others_need_it() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let [a, b, _] = three(&hub);
    let names = || [&a, &b].map(|channel| channel.name().clone());
    let mut live = hub.subscribe(names()).open().unwrap();
    let start = live.cursor();
    publish(&b, "1");
    for text in ["2", "3", "4", "5"] {
        publish(&a, text);
    }
    let told = ["gap a 0-3 trimmed", "1", "4", "5"];
    let items = live.read(ALL).unwrap();
    assert_eq!(items.iter().map(line).collect::<Vec<_>>(), told);
    // Cut behind the gap, a client must not have passed what b holds: the gap's id is the cursor, and not its end.
    assert_eq!(id(&items[0]), start);
    let mut resumed = hub.subscribe(names()).after(id(&items[0])).open().unwrap();
    assert_eq!(lines(&mut resumed), told);
    // Cut behind b's record, it is told of a again, which has not been read up to there.
    let mut resumed = hub.subscribe(names()).after(id(&items[1])).open().unwrap();
    assert_eq!(lines(&mut resumed), ["gap a 1-3 trimmed", "4", "5"]);
}

#[test]
fn a_client_cut_between_two_gaps_is_told_the_second_one_again() {
    let hub = Hub::new();
    let [a, b, _] = three(&hub);
    let names = || [&a, &b].map(|channel| channel.name().clone());
    publish(&a, "1");
    for (cursor, gaps) in [
        ("garbage", ["gap a ?-1 unreadable", "gap b ?-1 unreadable"]),
        ("0123456789-7", ["gap a 7-0 epoch", "gap b 7-0 epoch"]),
    ] {
        let mut subscription = hub.subscribe(names()).cursor(cursor).open().unwrap();
        let items = subscription.read(ALL).unwrap();
        assert_eq!(items[..2].iter().map(line).collect::<Vec<_>>(), gaps);
        let mut resumed = hub.subscribe(names()).after(id(&items[0])).open().unwrap();
        let again: Vec<_> = lines(&mut resumed);
        assert_eq!(again[..2], gaps);
        let mut resumed = hub.subscribe(names()).after(id(&items[1])).open().unwrap();
        assert!(!lines(&mut resumed).iter().any(|line| line.starts_with("gap")));
    }
}

#[test]
fn a_cursor_of_another_life_is_answered_with_a_gap_and_all_that_is_kept() {
    let (builder, _) = hub_that_keeps(2);
    let hub = builder.build().unwrap();
    let channel = hub.channel("a").unwrap();
    for text in ["1", "2", "3"] {
        publish(&channel, text);
    }
    let mut foreign = channel.subscribe().cursor("0123456789-7").open().unwrap();
    assert_eq!(lines(&mut foreign), ["gap a 7-1 epoch", "2", "3"]);
}

#[test]
fn a_cursor_beyond_the_head_is_of_another_life_too() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let last = publish(&channel, "1");
    let beyond = last.to_string().replace("-1", "-4");
    let mut subscription = channel.subscribe().cursor(&beyond).open().unwrap();
    let first_id = subscription.cursor();
    assert_eq!(lines(&mut subscription), ["gap a 4-1 epoch"]);
    // Were it shown its own cursor, it would be believed as soon as the head has passed it.
    for text in ["2", "3", "4", "5"] {
        publish(&channel, text);
    }
    let mut resumed = channel.subscribe().after(first_id).open().unwrap();
    assert_eq!(lines(&mut resumed), ["gap a ?-5 unreadable"]);
}

#[test]
fn a_garbage_cursor_is_answered_with_a_gap_up_to_the_head() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    publish(&channel, "1");
    for garbage in [
        "",
        "-",
        "1",
        "zzzzzzzzzz-18446744073709551616",
        "\0\n",
        "0000000000-0",
    ] {
        let mut subscription = channel.subscribe().cursor(garbage).open().unwrap();
        assert_eq!(lines(&mut subscription), ["gap a ?-1 unreadable"]);
        assert_eq!(subscription.cursor(), hub.position());
    }
}

#[test]
fn who_opens_from_the_state_that_it_read_misses_nothing() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut state = Vec::new();
    let mut change = |text: &'static str| {
        state.push(text);
        publish(&channel, text);
        state.clone()
    };
    change("1");
    // The position first, then the state: what changes in between is in both.
    let position = hub.position();
    let snapshot = change("2");
    change("3");
    let mut subscription = channel.subscribe().after(position).open().unwrap();
    change("4");
    let followed = lines(&mut subscription);
    assert_eq!(
        (&*snapshot, &*followed),
        (&["1", "2"][..], &["2", "3", "4"].map(String::from)[..])
    );
}

#[test]
fn records_are_shared_and_bear_what_was_published() {
    let hub = Hub::new();
    let channel = hub.channel("a").unwrap();
    let mut subscriptions = [(); 2].map(|()| channel.subscribe().open().unwrap());
    let position = send(&channel, Message::binary("image", vec![1, 2, 3]));
    let items = subscriptions
        .each_mut()
        .map(|subscription| subscription.read(ALL).unwrap().remove(0));
    let [Item::Record(first), Item::Record(second)] = &items else {
        panic!("{items:?}")
    };
    assert!(std::sync::Arc::ptr_eq(first, second));
    assert_eq!((first.position(), first.channel().as_str()), (position, "a"));
    assert_eq!(first.message().unwrap().event(), "image");
}
