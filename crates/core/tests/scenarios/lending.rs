//! A session that waits lends its way out, and the hub sends by it what its client would have got anyway.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dualcast_core::{Channel, Clock, CloseReason, Epoch, Hub, Identity, LagRule, Lane, MaxLag, Message};
use futures::task::{noop_waker, waker};

use crate::client::Session;
use crate::{Bell, Broker, age_out, finish, hub_that_keeps, node_that_keeps, publish, send};

/// Somebody who tends the hub's bell, a session that follows a channel and has said that it waits, and how often it was woken.
struct Scene {
    hub: Hub,
    channel: Channel,
    session: Session,
    woken: Arc<Bell>,
}

impl Scene {
    fn of(hub: Hub) -> Self {
        let channel = hub.channel("a").unwrap();
        let session = Session::follow(&channel);
        Self::with(hub, channel, session)
    }

    fn new() -> Self {
        Self::of(hub_that_keeps(9).0.build().unwrap())
    }

    fn with(hub: Hub, channel: Channel, session: Session) -> Self {
        assert!(hub.claim_maintenance());
        let mut scene = Self {
            hub,
            channel,
            session,
            woken: Arc::default(),
        };
        assert!(scene.poll().is_pending());
        scene
    }

    fn poll(&mut self) -> Poll<CloseReason> {
        let waker = waker(Arc::clone(&self.woken));
        self.session.poll(&mut Context::from_waker(&waker))
    }

    /// Tends the bell.
    fn tend(&self) {
        let waker = noop_waker();
        for _ in 0..9 {
            let _ = self.hub.poll_wakes(&mut Context::from_waker(&waker));
        }
    }

    /// Publishes, and tends the bell.
    fn publish(&self, count: usize) {
        for _ in 0..count {
            publish(&self.channel, "m");
        }
        self.tend();
    }

    fn arrived(&self) -> String {
        self.session.client().arrived()
    }

    fn wakes(&self) -> usize {
        self.woken.rung()
    }
}

#[test]
fn what_comes_is_sent_without_the_session_and_counts_as_read() {
    let mut scene = Scene::new();
    scene.publish(2);
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1><2><3>", 0));
    assert!(scene.poll().is_pending());
    assert_eq!(scene.session.subscription.cursor(), scene.hub.position());
    assert_eq!(scene.arrived(), "<1><2><3>");
    // And on from there.
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1><2><3><4>", 0));
}

#[test]
fn who_takes_nothing_is_left_to_the_session() {
    let mut scene = Scene::new();
    scene.session.client().has_room_for(0);
    scene.publish(2);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    // Until it has come, nothing more is tried.
    scene.session.client().has_room_for(99);
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1><2><3>");
}

#[test]
fn who_takes_a_part_gets_the_rest_from_the_session_before_anything_else() {
    let mut scene = Scene::new();
    scene.session.client().has_room_for(4);
    scene.publish(2);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1><", 1));
    scene.session.client().has_room_for(1);
    scene.publish(1);
    assert_eq!(scene.arrived(), "<1><");
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1><2");
    scene.session.client().has_room_for(99);
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1><2><3>");
    assert_eq!(scene.session.subscription.cursor(), scene.hub.position());
}

#[test]
fn a_session_that_took_its_way_back_is_not_written_into() {
    let mut scene = Scene::new();
    publish(&scene.channel, "m");
    // Before anybody came to send it.
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1>");
    scene.tend();
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1>", 0));
}

#[test]
fn what_comes_before_it_is_lent_wakes_the_session() {
    let mut scene = Scene::new();
    // Blocked, it lends nothing.
    scene.session.client().has_room_for(0);
    scene.publish(1);
    assert!(scene.poll().is_pending());
    scene.session.client().has_room_for(99);
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1><2>");
}

#[test]
fn batches_are_as_large_as_the_session_wants_them() {
    let hub = hub_that_keeps(9).0.build().unwrap();
    let channel = hub.channel("a").unwrap();
    let mut session = Session::follow(&channel);
    session.terms.max_bytes = 4;
    let scene = Scene::with(hub, channel, session);
    scene.session.client().has_room_for(7);
    scene.publish(5);
    // Of the second piece.
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1><2><", 1));
}

#[test]
fn what_is_no_plain_message_wakes_the_session_and_nothing_overtakes_it() {
    let mut scene = Scene::new();
    send(&scene.channel, Message::text("e", "typing").volatile());
    scene.tend();
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1>~");

    finish(&scene.channel);
    scene.tend();
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1>~", 2));
    assert_eq!(scene.poll(), Poll::Ready(CloseReason::Finished));
    assert_eq!(scene.arrived(), "<1>~.");
}

/// A clock that does something the next time that it is read: the hub reads it when it has seen what there is to send, and has not sent it.
#[derive(Clone, Default)]
struct Interrupting(Arc<Mutex<Option<Interruption>>>);

type Interruption = Box<dyn FnOnce() + Send>;

impl Clock for Interrupting {
    fn now(&self) -> Instant {
        let interruption = self.0.lock().unwrap().take();
        if let Some(interruption) = interruption {
            interruption();
        }
        Instant::now()
    }
}

#[test]
fn a_channel_that_ends_while_its_messages_are_sent_ends_the_session() {
    let clock = Interrupting::default();
    let mut scene = Scene::of(Hub::builder().clock(clock.clone()).build().unwrap());
    publish(&scene.channel, "m");
    let channel = scene.channel.clone();
    *clock.0.lock().unwrap() = Some(Box::new(move || {
        finish(&channel);
    }));
    scene.tend();
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1>", 1));
    assert_eq!(scene.poll(), Poll::Ready(CloseReason::Finished));
    assert_eq!(scene.arrived(), "<1>.");
}

#[test]
fn who_is_overtaken_by_the_trim_is_told_so() {
    let (builder, clock) = hub_that_keeps(2);
    let mut scene = Scene::of(builder.build().unwrap());
    for _ in 0..4 {
        publish(&scene.channel, "m");
    }
    scene.tend();
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "!<3><4>");
    publish(&scene.channel, "m");
    age_out(&scene.hub, &clock);
    scene.tend();
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "!<3><4>!");
}

#[test]
fn a_tear_is_told_before_what_comes_behind_it() {
    let broker = Broker::new(9);
    let mut scene = Scene::of(node_that_keeps(9, &broker));
    scene.publish(1);
    broker.store(scene.channel.name(), Some(Message::text("e", "unheard")));
    broker.tear(scene.hub.ingest(), 1);
    assert_eq!(scene.wakes(), 1);
    scene.publish(1);
    assert_eq!(scene.arrived(), "<1>");
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1>!<3>");
    // It is told, and lends its way out again.
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1>!<3><4>", 1));
}

#[test]
fn another_life_is_told_before_what_comes_in_it() {
    let broker = Broker::new(9);
    let mut scene = Scene::of(node_that_keeps(9, &broker));
    scene.publish(2);
    {
        let mut stream = broker.stream();
        stream.put_back(0);
        stream.epoch = Epoch::random();
        stream.fresh_after = 0;
    }
    broker.begin_life(scene.hub.ingest(), 0);
    assert_eq!(scene.wakes(), 1);
    scene.publish(1);
    assert_eq!(scene.arrived(), "<1><2>");
    assert!(scene.poll().is_pending());
    assert_eq!(scene.arrived(), "<1><2>?<1>");
    scene.publish(1);
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1><2>?<1><2>", 1));
}

#[test]
fn who_is_gone_is_sent_nothing() {
    let scene = Scene::new();
    let lane = scene.session.lane();
    publish(&scene.channel, "m");
    drop(scene.session);
    for _ in 0..9 {
        let _ = scene.hub.poll_wakes(&mut Context::from_waker(&noop_waker()));
    }
    assert_eq!(lane.outlet().arrived(), "");
    assert_eq!(Arc::strong_count(&lane), 1, "it is forgotten");
    assert_eq!(Arc::strong_count(&scene.woken), 1, "and so is its task");
}

#[test]
fn where_nobody_tends_the_bell_any_more_sessions_are_woken() {
    let scene = Scene::new();
    publish(&scene.channel, "m");
    scene.hub.release_maintenance();
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));

    let mut scene = Scene::new();
    scene.hub.release_maintenance();
    publish(&scene.channel, "m");
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("", 1));
    // Nor is anything lent then.
    assert!(scene.poll().is_pending());
    publish(&scene.channel, "m");
    assert_eq!((scene.arrived().as_str(), scene.wakes()), ("<1>", 2));
}

#[test]
fn what_was_published_before_the_hub_went_is_not_left_unsaid() {
    let Scene {
        hub,
        channel,
        mut session,
        woken,
    } = Scene::new();
    publish(&channel, "m");
    drop((hub, channel));
    assert_eq!(woken.rung(), 1, "nobody else would come to send it");
    let waker = waker(woken);
    assert!(session.poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(session.client().arrived(), "<1>");
}

#[test]
fn who_needs_more_than_plain_messages_lends_nothing() {
    let hub = hub_that_keeps(9).0.build().unwrap();
    assert!(hub.claim_maintenance());
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let several = hub.subscribe([a.name().clone(), b.name().clone()]);
    let ruled = a.subscribe().lag(LagRule::Skip(MaxLag::records(1)));
    for subscribe in [several, ruled, a.subscribe().without_own(Identity::new("ada"))] {
        let mut session = Session::new(&hub, subscribe.open().unwrap());
        let woken = Arc::new(Bell::default());
        let waker = waker(Arc::clone(&woken));
        assert!(session.poll(&mut Context::from_waker(&waker)).is_pending());
        publish(&a, "m");
        for _ in 0..9 {
            let _ = hub.poll_wakes(&mut Context::from_waker(&noop_waker()));
        }
        assert_eq!((session.client().arrived().as_str(), woken.rung()), ("", 1));
    }
}

#[test]
fn it_is_known_how_long_ago_something_was_sent() {
    let (builder, clock) = hub_that_keeps(9);
    let mut scene = Scene::of(builder.build().unwrap());
    let lane = scene.session.lane() as Arc<Lane>;
    clock.pass(Duration::from_secs(3));
    let returned = scene.session.subscription.take_back(&lane);
    assert!(returned.sent_before.is_none() && returned.unsent.is_none());
    assert!(scene.poll().is_pending());
    scene.publish(1);
    clock.pass(Duration::from_secs(2));
    let returned = scene.session.subscription.take_back(&lane);
    assert_eq!(returned.sent_before, Some(Duration::from_secs(2)));
}

#[test]
fn a_crowd_is_sent_to_in_turns_and_each_gets_all() {
    let hub = hub_that_keeps(9).0.build().unwrap();
    assert!(hub.claim_maintenance());
    let channel = hub.channel("a").unwrap();
    let waker = noop_waker();
    let mut crowd: Vec<_> = (0..300).map(|_| Session::follow(&channel)).collect();
    for session in &mut crowd {
        assert!(session.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    publish(&channel, "m");
    let all = |text: &str| {
        crowd
            .iter()
            .filter(|session| session.client().arrived() == text)
            .count()
    };
    // At first whoever publishes is let go on.
    let is_told = (0..9).any(|_| {
        let _ = hub.poll_wakes(&mut Context::from_waker(&waker));
        all("<1>") > 0
    });
    assert!(is_told);
    assert!((1..300).contains(&all("<1>")), "others get their time, too");
    // What comes meanwhile goes with the rest of the round, and to the first in another.
    publish(&channel, "m");
    for _ in 0..9 {
        let _ = hub.poll_wakes(&mut Context::from_waker(&waker));
    }
    assert_eq!(all("<1><2>"), 300);
}

#[test]
fn who_follows_a_small_channel_does_not_wait_until_a_large_one_is_told() {
    let hub = hub_that_keeps(9).0.build().unwrap();
    assert!(hub.claim_maintenance());
    let [large, small] = ["large", "small"].map(|name| hub.channel(name).unwrap());
    let waker = noop_waker();
    let mut cx = Context::from_waker(&waker);
    let mut crowd: Vec<_> = (0..2_000).map(|_| Session::follow(&large)).collect();
    let mut lonely = Session::follow(&small);
    for session in crowd.iter_mut().chain([&mut lonely]) {
        assert!(session.poll(&mut cx).is_pending());
    }
    publish(&large, "m");
    let _ = hub.poll_wakes(&mut cx);
    publish(&large, "m");
    publish(&small, "m");
    while lonely.client().arrived().is_empty() {
        let _ = hub.poll_wakes(&mut cx);
    }
    let is_told = |session: &Session| !session.client().arrived().is_empty();
    assert!(crowd.iter().filter(|session| is_told(session)).count() < 1_000);
    for _ in 0..50 {
        let _ = hub.poll_wakes(&mut cx);
    }
    assert!(crowd.iter().all(|session| session.client().arrived() == "<1><2>"));
}
