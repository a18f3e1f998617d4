//! A session that lends its way out, takes it back and goes, against those who publish and those who send by it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use dualcast_core::{Arrival, Channel, Check, CloseReason, Epoch, GapReason, NewLife};
use futures::FutureExt;
use futures::task::noop_waker;
use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};

use crate::client::Session;
use crate::tears::{Elsewhere, arrival};
use crate::waking::{Tenders, tend_and_go};
use crate::{explore, publish, small_hub};

/// How many publish, and how much each of them.
const PUBLISHERS: usize = 2;
const EACH: usize = 2;
const ALL: &str = "<1><2><3><4>";

fn publishers(channel: &Channel) -> Vec<JoinHandle<()>> {
    let publishers = (0..PUBLISHERS).map(|_| {
        let channel = channel.clone();
        thread::spawn(move || {
            for _ in 0..EACH {
                publish(&channel, "m");
            }
        })
    });
    publishers.collect()
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Runs a session until so much has arrived. A client that takes nothing takes everything the next time.
async fn run(session: &mut Session, wanted: &str) {
    let lane = session.lane();
    poll_fn(|cx| {
        if lane.outlet().poll_arrived(wanted.len(), cx).is_ready() {
            return Poll::Ready(());
        }
        let _ = session.poll(cx);
        if lane.outlet().is_full() {
            lane.outlet().has_room_for(usize::MAX);
            cx.waker().wake_by_ref();
        }
        lane.outlet().poll_arrived(wanted.len(), cx)
    })
    .await;
    assert_eq!(lane.outlet().arrived(), wanted);
}

/// Follows a channel on a thread of its own until all has arrived, and lets its client take so many bytes at first.
fn follow(channel: &Channel, room: usize) -> JoinHandle<()> {
    let mut session = Session::follow(channel);
    session.client().has_room_for(room);
    thread::spawn(move || block_on(run(&mut session, ALL)))
}

#[test]
fn each_client_gets_each_message_once_and_in_order() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let sessions = [usize::MAX, 4].map(|room| follow(&channel, room));
        join(publishers(&channel).into_iter().chain(sessions));
        tenders.end();
    });
}

#[test]
fn several_who_send_do_not_get_in_each_others_way() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 2);
        let session = follow(&channel, 7);
        join(publishers(&channel).into_iter().chain([session]));
        tenders.end();
    });
}

/// As when its client says something: the session does something of its own meanwhile.
#[test]
fn a_session_may_take_its_way_back_at_any_time() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || {
            block_on(async {
                for _ in 0..2 {
                    let noop_waker = noop_waker();
                    let _ = session.poll(&mut Context::from_waker(&noop_waker));
                    shuttle::future::yield_now().await;
                }
                run(&mut session, ALL).await;
            })
        });
        join(publishers(&channel).into_iter().chain([session]));
        tenders.end();
    });
}

#[test]
fn who_goes_is_sent_a_beginning_of_all_and_forgotten() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let lane = session.lane();
        let session = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                let _ = session.poll(cx);
                Poll::Ready(())
            }));
            drop(session);
        });
        join(publishers(&channel).into_iter().chain([session]));
        tenders.end();
        assert!(ALL.starts_with(&lane.outlet().arrived()));
        assert_eq!(Arc::strong_count(&lane), 1);
    });
}

#[test]
fn where_those_who_tend_the_bell_go_the_sessions_go_on_alone() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        assert!(hub.claim_maintenance());
        let session = follow(&channel, usize::MAX);
        let tender = tend_and_go(&hub);
        join(publishers(&channel).into_iter().chain([session, tender]));
    });
}

/// As when one runtime ends and another goes on.
#[test]
fn where_others_tend_the_bell_from_now_on_nothing_is_left_behind() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        assert!(hub.claim_maintenance());
        let session = follow(&channel, 4);
        let publishers = publishers(&channel);
        let noop_waker = noop_waker();
        for _ in 0..4 {
            let _ = hub.poll_wakes(&mut Context::from_waker(&noop_waker));
        }
        hub.release_maintenance();
        let tenders = Tenders::of(&hub, 1);
        join(publishers.into_iter().chain([session]));
        tenders.end();
    });
}

#[test]
fn who_was_told_to_end_is_sent_nothing_that_comes_after_that() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 2);
        let mut session = Session::follow(&channel);
        let _ = session.poll(&mut Context::from_waker(&noop_waker()));
        publish(&channel, "m");
        let (told, publisher) = (session.terms.session.clone(), channel.clone());
        // Who finds it told by somebody else already must not be ahead of that.
        let also_told = told.clone();
        let other = thread::spawn(move || also_told.close(CloseReason::Disconnected));
        let publisher = thread::spawn(move || {
            told.close(CloseReason::Disconnected);
            publish(&publisher, "m");
        });
        join([other, publisher]);
        tenders.end();
        assert!(["", "<1>"].contains(&session.client().arrived().as_str()));
    });
}

#[test]
fn another_life_is_told_before_what_comes_in_it() {
    explore(|| {
        let hub = small_hub(100).fan_out(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || {
            let lane = session.lane();
            block_on(poll_fn(|cx| {
                let _ = session.poll(cx);
                let _ = lane.outlet().poll_arrived("?<1>".len(), cx);
                let has_all = lane.outlet().arrived().ends_with("?<1>");
                if has_all { Poll::Ready(()) } else { Poll::Pending }
            }));
            assert!(["?<1>", "<1>?<1>"].contains(&lane.outlet().arrived().as_str()));
        });
        hub.ingest().take(arrival(channel.name(), 1));
        hub.ingest().begin_life(NewLife::of(Epoch::random()));
        hub.ingest().take(Arrival {
            check: Check::of(9),
            ..arrival(channel.name(), 1)
        });
        session.join().unwrap();
        tenders.end();
    });
}

#[test]
fn a_channel_that_ends_ends_its_sessions() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || {
            let reason = block_on(poll_fn(|cx| session.poll(cx)));
            assert_eq!(reason, CloseReason::Finished);
            assert_eq!(session.client().arrived(), "<1>.");
        });
        publish(&channel, "m");
        channel.finish().now_or_never().unwrap().unwrap();
        session.join().unwrap();
        tenders.end();
    });
}

#[test]
fn a_tear_is_told_before_what_comes_behind_it() {
    explore(|| {
        let hub = small_hub(100).fan_out(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || block_on(run(&mut session, "<1>!<4>")));
        hub.ingest().take(arrival(channel.name(), 1));
        hub.ingest().tear(3, GapReason::Unavailable);
        hub.ingest().take(arrival(channel.name(), 4));
        session.join().unwrap();
        tenders.end();
    });
}

/// As when a message comes whose number says that others were left out, while the one before it is sent.
#[test]
fn numbers_that_are_left_out_are_told_before_what_comes_behind_them() {
    explore(|| {
        let hub = small_hub(100).fan_out(Elsewhere::default()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || block_on(run(&mut session, "<1>!<4>")));
        hub.ingest().take(arrival(channel.name(), 1));
        hub.ingest().take(arrival(channel.name(), 4));
        session.join().unwrap();
        tenders.end();
    });
}

#[test]
fn a_volatile_message_reaches_a_session_that_lent_its_way_out() {
    explore(|| {
        let hub = small_hub(100).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let tenders = Tenders::of(&hub, 1);
        let mut session = Session::follow(&channel);
        let session = thread::spawn(move || {
            let lane = session.lane();
            block_on(poll_fn(|cx| {
                let _ = session.poll(cx);
                lane.outlet().poll_arrived(4, cx)
            }));
            lane.outlet().arrived()
        });
        publish(&channel, "m");
        let typing = dualcast_core::Message::text("e", "typing").volatile();
        channel.publish(typing).now_or_never().unwrap().unwrap();
        assert!(["<1>~", "~<1>"].contains(&session.join().unwrap().as_str()));
        tenders.end();
    });
}
