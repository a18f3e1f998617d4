//! What an application is told, and what it can count.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dualcast_core::{ChannelName, CloseReason, Hooks, Hub, Identity, SessionInfo, Transport};
use futures::task::{noop_waker, waker};

use crate::{Bell, finish, lines, publish};

/// Writes down what it is told, and may do something about it.
#[derive(Default, Clone)]
struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
    hub: Arc<Mutex<Option<Hub>>>,
}

impl Diary {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Hooks for Diary {
    fn first_follower(&self, channel: &ChannelName) {
        self.note(format!("{channel}: first"));
        if let Some(hub) = &*self.hub.lock().unwrap() {
            publish(&hub.channel(channel).unwrap(), "welcome");
        }
    }

    fn last_follower_gone(&self, channel: &ChannelName) {
        self.note(format!("{channel}: last"));
    }

    fn session_opened(&self, session: &SessionInfo) {
        let identity = session.identity.as_ref().map(Identity::as_str);
        self.note(format!("{} opened {identity:?}", session.transport.name()));
    }

    fn session_closed(&self, session: &SessionInfo, reason: CloseReason) {
        self.note(format!("{} closed {}", session.transport.name(), reason.name()));
    }
}

fn hub() -> (Hub, Diary) {
    let diary = Diary::default();
    (Hub::builder().hooks(diary.clone()).build().unwrap(), diary)
}

#[test]
fn the_first_and_the_last_follower_of_a_channel_are_told() {
    let (hub, diary) = hub();
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let names = [&a, &b].map(|channel| channel.name().clone());
    let one = a.subscribe().open().unwrap();
    let both = hub.subscribe(names).open().unwrap();
    assert_eq!((a.followers(), b.followers()), (2, 1));
    assert_eq!(diary.take(), ["a: first", "b: first"]);
    drop(both);
    assert_eq!((a.followers(), b.followers()), (1, 0));
    assert_eq!(diary.take(), ["b: last"]);
    drop(one);
    assert_eq!(diary.take(), ["a: last"]);
    assert_eq!(hub.channel_count(), 0);
}

#[test]
fn the_end_of_a_channel_takes_its_followers_away() {
    let (hub, diary) = hub();
    let channel = hub.channel("a").unwrap();
    let mut subscription = channel.subscribe().open().unwrap();
    finish(&channel);
    assert_eq!(lines(&mut subscription), ["a: the end"]);
    assert_eq!(diary.take(), ["a: first", "a: last"]);
    drop(subscription);
    assert_eq!(diary.take(), [""; 0]);
}

#[test]
fn a_hook_may_publish_and_subscribe() {
    let (hub, diary) = hub();
    *diary.hub.lock().unwrap() = Some(hub.clone());
    let channel = hub.channel("a").unwrap();
    let start = hub.position();
    let mut subscription = channel.subscribe().after(start).open().unwrap();
    assert_eq!(lines(&mut subscription), ["welcome"]);
    *diary.hub.lock().unwrap() = None;
}

#[test]
fn a_session_is_told_of_with_the_reason_for_which_it_ended() {
    let (hub, diary) = hub();
    let mut ended = hub
        .open_session(Transport::Sse, Some(Identity::new("ann")))
        .unwrap();
    let left = hub.open_session(Transport::WebSocket, None).unwrap();
    assert_eq!(hub.session_count(), 2);
    ended.ended(CloseReason::Slow);
    drop((ended, left));
    assert_eq!(hub.session_count(), 0);
    assert_eq!(
        diary.take(),
        [
            "sse opened Some(\"ann\")",
            "ws opened None",
            "sse closed slow",
            "ws closed left"
        ]
    );
}

#[test]
fn a_session_can_be_closed_from_elsewhere_and_the_first_reason_stands() {
    let (hub, _) = hub();
    let session = hub.open_session(Transport::Sse, None).unwrap();
    let bell = Arc::new(Bell::default());
    let waker = waker(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    assert_eq!(session.poll_close(cx), Poll::Pending);
    let handle = session.handle();
    handle.close(CloseReason::Stalled);
    handle.close(CloseReason::Shutdown);
    assert!(bell.rung() > 0);
    assert_eq!(session.poll_close(cx), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn a_shutdown_closes_the_sessions_that_are_open_and_those_that_still_come() {
    let (hub, _) = hub();
    let open = hub.open_session(Transport::Sse, None).unwrap();
    hub.shutdown();
    let late = hub.open_session(Transport::Sse, None).unwrap();
    let noop_waker = noop_waker();
    let cx = &mut Context::from_waker(&noop_waker);
    for session in [open, late] {
        assert_eq!(session.poll_close(cx), Poll::Ready(CloseReason::Shutdown));
    }
}

#[test]
fn one_task_alone_is_asked_to_maintain_the_hub() {
    let (hub, _) = hub();
    assert!(hub.claim_maintenance());
    assert!(!hub.clone().claim_maintenance());
    assert!(hub.downgrade().upgrade().is_some());
}
