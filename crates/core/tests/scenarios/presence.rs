//! Who is present, and what others are told of it.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use dualcast_core::{Channel, Hub, Limits, Member, MemberError, SubscribeError, Subscription, WeakHub};
use futures::task::waker;

use crate::support::ManualClock;
use crate::{ALL, Bell, finish, hub_that_keeps, lines, publish, transcript};

const GRACE: Duration = Duration::from_secs(15);

fn room() -> (Hub, ManualClock, Channel) {
    room_with(|_| {})
}

fn room_with(change: impl FnOnce(&mut Limits)) -> (Hub, ManualClock, Channel) {
    let (builder, clock) = hub_that_keeps(100);
    let hub = builder.limits(change).build().unwrap();
    let room = hub.channel("room").unwrap();
    (hub, clock, room)
}

fn watch(room: &Channel) -> Subscription {
    room.presence().watch().open().unwrap()
}

fn present(room: &Channel, id: &str) -> Subscription {
    room.subscribe().present(Member::new(id)).open().unwrap()
}

fn present_as(room: &Channel, id: &str, name: &str) -> Subscription {
    let member = Member::new(id).data(name).unwrap();
    room.subscribe().present(member).open().unwrap()
}

fn pass(hub: &Hub, clock: &ManualClock, time: Duration) {
    clock.pass(time);
    hub.maintain();
}

#[test]
fn who_comes_is_told_who_is_there_and_the_others_that_it_came() {
    let (_hub, _, room) = room();
    let mut ada = present(&room, "ada");
    assert_eq!(lines(&mut ada), ["room has 1: ada"]);
    let mut bob = present(&room, "bob");
    assert_eq!(lines(&mut bob), ["room has 2: ada bob"]);
    assert_eq!(lines(&mut ada), ["room has 2: +bob"]);
    assert_eq!(lines(&mut ada), [""; 0]);
}

#[test]
fn who_only_looks_on_is_told_and_not_counted() {
    let (_hub, _, room) = room();
    let mut viewer = watch(&room);
    assert_eq!(lines(&mut viewer), ["room has 0: "]);
    let _ada = present(&room, "ada");
    let mut plain = room.subscribe().open().unwrap();
    assert_eq!(lines(&mut viewer), ["room has 1: +ada"]);
    assert_eq!(lines(&mut plain), [""; 0]);
    assert_eq!(room.presence().now().count(), 1);
}

#[test]
fn who_leaves_is_shown_for_the_grace_and_then_gone() {
    let (hub, clock, room) = room();
    let mut viewer = watch(&room);
    drop(present(&room, "ada"));
    assert_eq!(lines(&mut viewer), ["room has 1: ada"]);
    pass(&hub, &clock, GRACE - Duration::from_nanos(1));
    assert_eq!(lines(&mut viewer), [""; 0]);
    pass(&hub, &clock, Duration::from_nanos(1));
    assert_eq!(lines(&mut viewer), ["room has 0: -ada"]);
}

#[test]
fn who_comes_back_within_the_grace_was_never_away() {
    let (hub, clock, room) = room();
    let mut viewer = watch(&room);
    let mut ada = present(&room, "ada");
    lines(&mut viewer);
    for _ in 0..5 {
        drop(ada);
        pass(&hub, &clock, GRACE / 2);
        ada = present(&room, "ada");
        pass(&hub, &clock, GRACE);
    }
    assert_eq!(lines(&mut viewer), [""; 0]);
}

#[test]
fn several_sessions_of_one_member_count_once() {
    let (hub, clock, room) = room();
    let mut viewer = watch(&room);
    let (first, second) = (present(&room, "ada"), present(&room, "ada"));
    assert_eq!(lines(&mut viewer), ["room has 1: ada"]);
    drop(first);
    pass(&hub, &clock, 2 * GRACE);
    assert_eq!(lines(&mut viewer), [""; 0]);
    drop(second);
    pass(&hub, &clock, 2 * GRACE);
    assert_eq!(lines(&mut viewer), ["room has 0: -ada"]);
}

#[test]
fn of_several_sessions_the_last_says_what_is_told_of_the_member() {
    let (hub, clock, room) = room();
    let mut viewer = watch(&room);
    let _first = present_as(&room, "a", "Ada");
    assert_eq!(lines(&mut viewer), [r#"room has 1: a="Ada""#]);
    let second = present_as(&room, "a", "Countess");
    assert_eq!(lines(&mut viewer), [r#"room has 1: +a="Countess""#]);
    drop(second);
    pass(&hub, &clock, 2 * GRACE);
    assert_eq!(lines(&mut viewer), [r#"room has 1: +a="Ada""#]);
}

#[test]
fn what_a_second_session_says_stays_while_that_is_away_for_a_moment() {
    let (hub, clock, room) = room();
    let mut viewer = watch(&room);
    let _first = present_as(&room, "a", "Ada");
    let second = present_as(&room, "a", "Countess");
    lines(&mut viewer);
    drop(second);
    pass(&hub, &clock, GRACE / 2);
    let second = present_as(&room, "a", "Countess");
    pass(&hub, &clock, GRACE);
    assert_eq!(lines(&mut viewer), [""; 0]);
    drop(second);
    pass(&hub, &clock, GRACE);
    assert_eq!(lines(&mut viewer), [r#"room has 1: +a="Ada""#]);
}

#[test]
fn who_is_sent_away_is_not_shown_for_a_session_that_ended_before() {
    let (_hub, _, room) = room();
    let mut viewer = watch(&room);
    drop(present(&room, "ada"));
    let mut again = present(&room, "ada");
    drop(present(&room, "ada"));
    lines(&mut viewer);
    again.forgo_grace();
    drop(again);
    assert_eq!(lines(&mut viewer), ["room has 0: -ada"]);
}

#[test]
fn a_batch_has_no_more_of_it_than_there_is_room_for() {
    let (hub, _, _) = room();
    let names: Vec<_> = (10..60)
        .map(|number| hub.channel(("room", number)).unwrap().name().clone())
        .collect();
    let member = Member::new("a").data(&"x".repeat(1_000)).unwrap();
    let _present = hub.subscribe(names.clone()).present(member).open().unwrap();
    let mut viewer = hub.subscribe(names).watch_presence().open().unwrap();
    let mut told = 0;
    while told < 50 {
        let items = viewer.read(5_000).unwrap();
        assert!((1..=6).contains(&items.len()), "{}", items.len());
        told += items.len();
    }
    assert_eq!(lines(&mut viewer), [""; 0]);
}

#[test]
fn changes_that_are_more_than_the_whole_are_told_as_the_whole() {
    let (_hub, _, room) = room();
    let mut viewer = watch(&room);
    lines(&mut viewer);
    for round in 0..8 {
        let _one = room
            .presence()
            .join(Member::new("a").data(&round).unwrap())
            .unwrap();
    }
    assert_eq!(lines(&mut viewer), ["room has 1: a=7"]);
}

#[test]
fn who_is_sent_away_is_not_shown_any_longer() {
    let (_hub, _, room) = room();
    let mut viewer = watch(&room);
    let mut ada = present(&room, "ada");
    lines(&mut viewer);
    ada.forgo_grace();
    drop(ada);
    assert_eq!(lines(&mut viewer), ["room has 0: -ada"]);
    let program = room.presence().join(Member::new("bot")).unwrap();
    assert_eq!(lines(&mut viewer), ["room has 1: +bot"]);
    program.leave();
    assert_eq!(lines(&mut viewer), ["room has 0: -bot"]);
}

#[test]
fn without_a_grace_who_leaves_is_gone() {
    let (_hub, _, room) = room_with(|limits| limits.presence_grace = Duration::ZERO);
    let mut viewer = watch(&room);
    drop(present(&room, "ada"));
    assert_eq!(lines(&mut viewer), ["room has 0: "]);
}

#[test]
fn who_waits_is_woken_when_somebody_comes_and_only_then() {
    let (_hub, _, room) = room();
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    let mut viewer = watch(&room);
    lines(&mut viewer);
    let poll = |viewer: &mut Subscription| {
        let read = viewer.poll_read(&mut Context::from_waker(&waker), ALL);
        read.is_ready()
    };
    assert!(!poll(&mut viewer));
    let _ada = present(&room, "ada");
    assert_eq!(bell.rung(), 1);
    assert!(poll(&mut viewer) && !poll(&mut viewer));
    let _again = present(&room, "ada");
    assert_eq!(bell.rung(), 1, "nothing has changed");
}

#[test]
fn whoever_falls_behind_is_told_the_whole_again() {
    let (_hub, _, room) = room();
    let mut viewer = watch(&room);
    lines(&mut viewer);
    let mut all = vec![present(&room, "p00")];
    assert_eq!(lines(&mut viewer), ["room has 1: +p00"]);
    all.extend((1..40).map(|number| present(&room, &format!("p{number:02}"))));
    let told = lines(&mut viewer);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("room has 40: p00 p01"), "{told:?}");
    drop(all.pop());
}

#[test]
fn a_crowded_room_tells_a_count_and_a_sample_once_a_second() {
    let (hub, clock, room) = room_with(|limits| {
        limits.max_presence_sample = 3;
        limits.presence_grace = Duration::ZERO;
    });
    let mut viewer = watch(&room);
    let mut all: Vec<_> = ["a", "b", "c"].map(|id| present(&room, id)).into();
    assert_eq!(lines(&mut viewer), ["room has 3: a b c"]);
    all.extend(["d", "e"].map(|id| present(&room, id)));
    assert_eq!(lines(&mut viewer), [""; 0]);
    pass(&hub, &clock, Duration::from_secs(1));
    assert_eq!(lines(&mut viewer), ["room has 5: "]);
    assert_eq!(lines(&mut watch(&room)), ["room has 5: a b c"]);
    // Whoever of the sample leaves makes room for another.
    drop(all.remove(1));
    pass(&hub, &clock, Duration::from_secs(1));
    assert_eq!(lines(&mut viewer), ["room has 4: +d -b"]);
    all.clear();
    pass(&hub, &clock, Duration::from_secs(1));
    assert_eq!(lines(&mut viewer), ["room has 0: -a -c -d"]);
    let _one = present(&room, "a");
    assert_eq!(lines(&mut viewer), ["room has 1: +a"], "small again, and at once");
}

#[test]
fn it_is_told_for_each_channel_of_a_subscription() {
    let (hub, _, room) = room();
    let hall = hub.channel("hall").unwrap();
    let names = [room.name().clone(), hall.name().clone()];
    let mut ada = hub.subscribe(names).present(Member::new("ada")).open().unwrap();
    assert_eq!(lines(&mut ada), ["hall has 1: ada", "room has 1: ada"]);
    let _bob = present(&hall, "bob");
    assert_eq!(lines(&mut ada), ["hall has 2: +bob"]);
    let versions = ada
        .presence_versions()
        .map(|(name, version)| format!("{name} {version}"));
    assert_eq!(versions.collect::<Vec<_>>(), ["hall 2", "room 1"]);
}

#[test]
fn it_stands_before_messages_and_moves_no_cursor() {
    let (_hub, _, room) = room();
    let start = publish(&room, "1");
    publish(&room, "2");
    let mut ada = room
        .subscribe()
        .after(start)
        .present(Member::new("ada"))
        .open()
        .unwrap();
    assert_eq!(lines(&mut ada), ["room has 1: ada", "2"]);
    let before = ada.cursor();
    let _bob = present(&room, "bob");
    assert_eq!(lines(&mut ada), ["room has 2: +bob"]);
    assert_eq!(ada.cursor(), before);
}

#[test]
fn whose_channel_has_ended_leaves_it() {
    let (hub, clock, room) = room();
    let mut ada = present(&room, "ada");
    finish(&room);
    assert_eq!(
        transcript(&mut ada),
        ["room has 1: ada", "room: the end", "closed: finished"]
    );
    pass(&hub, &clock, GRACE);
    assert_eq!(room.presence().now().count(), 0);
}

#[test]
fn a_member_that_breaks_a_rule_is_refused_and_changes_nothing() {
    let (hub, _, room) = room_with(|limits| limits.max_member_bytes = 10);
    let refusal = |member: Member| match room.subscribe().present(member).open() {
        Err(SubscribeError::Member(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(Member::new("")), MemberError::IdEmpty);
    assert_eq!(
        refusal(Member::new("x".repeat(201))),
        MemberError::IdTooLong { bytes: 201 }
    );
    let large = Member::new("a").data("123456789").unwrap();
    assert_eq!(refusal(large), MemberError::DataTooLarge { bytes: 11, max: 10 });
    assert_eq!((room.presence().now().count(), hub.channel_count()), (0, 0));
}

#[test]
fn who_could_not_subscribe_was_never_there() {
    let (hub, _, room) = room_with(|limits| limits.max_subscriptions = 1);
    let _one = room.subscribe().open().unwrap();
    let mut viewer = room.presence();
    assert!(room.subscribe().present(Member::new("ada")).open().is_err());
    assert_eq!(viewer.now().count(), 0);
    viewer = hub.channel("nobody").unwrap().presence();
    assert_eq!((viewer.now().count(), viewer.now().version()), (0, 0));
}

#[test]
fn a_hub_without_handles_is_gone_however_many_were_present() {
    let weak: WeakHub;
    {
        let (hub, _, room) = room();
        weak = hub.downgrade();
        let _ada = present(&room, "ada");
        drop(room.presence().join(Member::new("bot")).unwrap());
    }
    assert!(weak.upgrade().is_none());
}
