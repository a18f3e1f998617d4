//! Hooks and sessions.

use std::sync::Arc;
use std::task::{Context, Poll};

use dualcast_core::{ChannelName, CloseReason, Hooks, Hub, SessionInfo, Transport};
use futures::task::noop_waker;
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::explore;

/// Writes down what it is told.
#[derive(Default, Clone)]
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Diary {
    fn note(&self, event: &'static str) {
        self.0.lock().unwrap().push(event);
    }
}

impl Hooks for Diary {
    fn first_follower(&self, _: &ChannelName) {
        self.note("first");
    }

    fn last_follower_gone(&self, _: &ChannelName) {
        self.note("last");
    }

    fn session_opened(&self, _: &SessionInfo) {
        self.note("opened");
    }

    fn session_closed(&self, _: &SessionInfo, _: CloseReason) {
        self.note("closed");
    }
}

#[test]
fn first_and_last_follower_are_told_in_turn() {
    explore(|| {
        let diary = Diary::default();
        let hub = Hub::builder().hooks(diary.clone()).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let followers = [(); 3].map(|()| {
            let channel = channel.clone();
            thread::spawn(move || drop(channel.subscribe().open().unwrap()))
        });
        for follower in followers {
            follower.join().unwrap();
        }
        let told = diary.0.lock().unwrap().clone();
        assert!(!told.is_empty() && told.len() % 2 == 0, "{told:?}");
        assert!(told.chunks(2).all(|pair| pair == ["first", "last"]), "{told:?}");
        assert_eq!((hub.channel_count(), channel.followers()), (0, 0));
    });
}

#[test]
fn a_session_that_meets_the_shutdown_is_told_of_it() {
    explore(|| {
        let diary = Diary::default();
        let hub = Hub::builder().hooks(diary.clone()).build().unwrap();
        let comer = thread::spawn({
            let hub = hub.clone();
            move || hub.open_session(Transport::Sse, None).unwrap()
        });
        hub.shutdown();
        let session = comer.join().unwrap();
        let closed = session.poll_close(&mut Context::from_waker(&noop_waker()));
        assert_eq!(closed, Poll::Ready(CloseReason::Shutdown));
        drop(session);
        assert_eq!(hub.session_count(), 0);
        assert_eq!(*diary.0.lock().unwrap(), ["opened", "closed"]);
    });
}

#[test]
fn no_more_sessions_are_open_than_there_may_be() {
    explore(|| {
        let hub = Hub::builder()
            .limits(|limits| limits.max_sessions = 1)
            .build()
            .unwrap();
        let comers = [(); 2].map(|()| {
            let hub = hub.clone();
            thread::spawn(move || hub.open_session(Transport::WebSocket, None))
        });
        let sessions = comers.map(|comer| comer.join().unwrap());
        let open = sessions.iter().filter(|session| session.is_ok()).count();
        assert_eq!((open, hub.session_count()), (1, 1));
        drop(sessions);
        assert_eq!(hub.session_count(), 0);
    });
}
