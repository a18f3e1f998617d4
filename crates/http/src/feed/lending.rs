//! Lending: a session that has nothing to do but wait lends its way out to the hub.

use std::sync::Arc;
use std::task::Context;

use dualcast_core::{Lane, Terms};

use super::Feed;
use crate::line::Line;
use crate::source::Source;

impl Feed {
    /// Lends the way out, where all that was staged has left and nothing is waited for but the next message, or what wakes the task.
    pub(crate) fn lend(&mut self, cx: &mut Context<'_>, lane: &Arc<Lane>) {
        let is_idle = self.is_timed()
            && self.joined.is_empty()
            && !self.has_untold()
            && !self.is_torn
            && !self.is_catching_up();
        if let (true, Source::Subscription(subscription), Some(session)) =
            (is_idle, &mut self.source, &self.session)
        {
            let terms = Terms {
                wire: self.dialect,
                max_bytes: u32::try_from(self.options.max_batch_bytes).unwrap_or(u32::MAX),
                transport: session.info().transport,
                session: session.handle(),
            };
            subscription.lend(cx, lane, terms);
        }
    }

    /// Takes the way out back, if it is lent.
    pub(crate) fn take_back<IO>(&mut self, lane: &Lane, line: &mut Line<IO>) {
        let Source::Subscription(subscription) = &mut self.source else {
            return;
        };
        let returned = subscription.take_back(lane);
        if let Some(ago) = returned.sent_before {
            self.heartbeats.put_off_before(ago);
        }
        if let Some(unsent) = returned.unsent {
            line.begin_with(unsent.bytes);
            self.observed.goes_on_with(unsent.logged_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use bytes::Bytes;
    use dualcast_core::{CloseReason, Hooks, Hub, Message, Outlet, SessionInfo, Transport};
    use futures::FutureExt;
    use futures::task::noop_waker;
    use tokio::time;

    use super::*;
    use crate::letters::Letters;
    use crate::options::SessionOptions;

    const HEARTBEAT: Duration = Duration::from_secs(10);

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much a client was sent that takes so many bytes.
    #[derive(Clone)]
    struct Client(Arc<AtomicUsize>, usize);

    impl Outlet for Client {
        fn send(&self, bytes: &Bytes) -> usize {
            let sent = bytes.len().min(self.1 - self.0.load(Ordering::Relaxed));
            self.0.fetch_add(sent, Ordering::Relaxed);
            sent
        }
    }

    struct Scene {
        hub: Hub,
        feed: Feed,
        line: Line<()>,
        client: Client,
        lane: Arc<Lane>,
    }

    impl Scene {
        /// A session that has said all, and has lent the way out to a client that takes so many bytes.
        fn lent(room: usize) -> Self {
            Self::on(Hub::new(), room)
        }

        fn on(hub: Hub, room: usize) -> Self {
            assert!(hub.claim_maintenance());
            let subscription = hub.channel("a").unwrap().subscribe().open().unwrap();
            let session = hub.open_session(Transport::Sse, None).unwrap();
            let options = SessionOptions {
                heartbeat: HEARTBEAT,
                ..SessionOptions::default()
            };
            let source = Source::Subscription(Box::new(subscription));
            let client = Client(Arc::default(), room);
            let mut scene = Self {
                hub,
                feed: Feed::new(&Letters, Some(session), source, options),
                line: Line::new(()),
                lane: Arc::new(Lane::new(client.clone())),
                client,
            };
            assert_eq!(scene.stage(), "o");
            assert_eq!(scene.stage(), "");
            scene.lend();
            scene
        }

        fn lend(&mut self) {
            self.feed
                .lend(&mut Context::from_waker(&noop_waker()), &self.lane);
        }

        /// How many bytes the hub has sent.
        fn arrived(&self) -> usize {
            self.client.0.load(Ordering::Relaxed)
        }

        /// What it says next.
        fn stage(&mut self) -> String {
            let mut out = VecDeque::new();
            let waker = noop_waker();
            let _ = self.feed.poll_stage(&mut Context::from_waker(&waker), &mut out);
            out.iter().map(|piece| String::from_utf8_lossy(piece)).collect()
        }

        /// Publishes so many messages, which the hub sends, and takes the way out back.
        fn take_back_after(&mut self, messages: usize) {
            publish(&self.hub, messages);
            self.feed.take_back(&self.lane, &mut self.line);
        }
    }

    /// Publishes so many messages, and sends them to all that have lent their ways out.
    fn publish(hub: &Hub, messages: usize) {
        let channel = hub.channel("a").unwrap();
        for _ in 0..messages {
            let published = channel.publish(Message::text("e", "m")).now_or_never();
            published.unwrap().unwrap();
        }
        let waker = noop_waker();
        for _ in 0..4 {
            let _ = hub.poll_wakes(&mut Context::from_waker(&waker));
        }
    }

    /// An application that publishes when a session is over.
    struct Obituary(Arc<OnceLock<Hub>>);

    impl Hooks for Obituary {
        fn session_closed(&self, _: &SessionInfo, _: CloseReason) {
            publish(self.0.get().unwrap(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_hub_sends_puts_the_heartbeat_off() {
        let mut scene = Scene::lent(99);
        time::advance(HEARTBEAT * 4 / 5).await;
        scene.take_back_after(1);
        time::advance(HEARTBEAT * 2 / 5).await;
        assert_eq!(scene.stage(), "", "it was sent");
        time::advance(HEARTBEAT).await;
        assert_eq!(scene.stage(), "h");
    }

    /// The timer rings, and before the session has come to look at it there is something to say, behind which it may sleep.
    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_follows_also_where_its_timer_rang_as_something_came() {
        let mut scene = Scene::lent(99);
        scene.take_back_after(0);
        assert_eq!(scene.stage(), "");
        let mut crowd = scene.hub.channel("a").unwrap().subscribe().open().unwrap();
        time::sleep(HEARTBEAT).await;
        let channel = scene.hub.channel("a").unwrap();
        channel.publish(Message::text("e", "m")).await.unwrap();
        let limit = scene.feed.options().max_batch_bytes;
        let _ = crowd.poll_batch(
            &mut Context::from_waker(&noop_waker()),
            &Letters,
            limit,
            &mut VecDeque::new(),
        );
        let wakes = Arc::new(Wakes::default());
        let waker = wakes.clone().into();
        let (mut cx, mut out) = (Context::from_waker(&waker), VecDeque::new());
        while !scene.feed.is_asleep() && scene.feed.poll_stage(&mut cx, &mut out).is_ready() {}
        assert_eq!(out, ["e"].map(Bytes::from));
        time::sleep(HEARTBEAT).await;
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "it is woken for the next");
    }

    #[tokio::test]
    async fn who_was_sent_away_is_sent_nothing_that_comes_after_that() {
        let mut scene = Scene::lent(99);
        let session = scene.feed.session().unwrap().handle();
        session.close(CloseReason::Disconnected);
        scene.take_back_after(1);
        assert_eq!(scene.stage(), "c");
        assert_eq!(scene.arrived(), 0);
    }

    #[tokio::test]
    async fn who_was_told_to_end_and_is_gone_before_it_has_come_is_sent_nothing_either() {
        let kept = Arc::new(OnceLock::new());
        let hub = Hub::builder().hooks(Obituary(Arc::clone(&kept))).build().unwrap();
        kept.set(hub.clone()).unwrap();
        let scene = Scene::on(hub, 99);
        scene
            .feed
            .session()
            .unwrap()
            .handle()
            .close(CloseReason::Disconnected);
        let (client, position) = (scene.client.clone(), scene.hub.position());
        drop(scene.feed);
        assert!(position < scene.hub.position(), "it was published");
        assert_eq!(client.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_another_session_is_told_is_nothing_to_this_one() {
        let mut scene = Scene::lent(99);
        let other = scene.hub.open_session(Transport::Sse, None).unwrap();
        other.handle().close(CloseReason::Disconnected);
        scene.take_back_after(1);
        assert_eq!((scene.arrived(), scene.stage().as_str()), (1, ""));
    }

    #[tokio::test]
    async fn who_was_told_something_and_has_done_it_lends_its_way_out_again() {
        let mut scene = Scene::lent(99);
        let elsewhere = scene.hub.channel("b").unwrap();
        scene.feed.session().unwrap().handle().leave(elsewhere.name());
        scene.take_back_after(1);
        assert_eq!((scene.arrived(), scene.stage().as_str()), (0, "e"));
        assert_eq!(scene.stage(), "");
        scene.lend();
        scene.take_back_after(1);
        assert_eq!((scene.arrived(), scene.stage().as_str()), (1, ""));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_hub_could_not_send_is_staged_before_anything_else() {
        let mut scene = Scene::lent(1);
        scene.take_back_after(2);
        assert_eq!(scene.line.staged, ["e"].map(Bytes::from));
        assert_eq!(scene.stage(), "");
    }
}
