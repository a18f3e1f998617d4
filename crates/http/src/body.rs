//! A session as an HTTP body: the way out where hyper keeps the connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use dualcast_core::CloseReason;
use http_body::{Body, Frame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cut;
use crate::feed::Feed;
use crate::handout::{Handout, portion};
use crate::line::MAX_IDLE_PIECES;
use crate::options::MAX_WAIT;
use crate::takeover::Slot;
use crate::watch::{self, Watched, Watchee};

/// A feed that hyper polls. Weaker than a session on a socket of its own: hyper takes bytes ahead of the kernel, and doesn't ask
/// while the client takes none. So somebody else looks after it then: a body that handed something out and isn't asked for
/// more within its write deadline has stalled.
pub struct FeedBody {
    waiting: Slot<Feed>,
    outgoing: Option<Watched<Outgoing>>,
}

impl FeedBody {
    /// The body of a response whose feed will be taken over, unless a layer keeps it with hyper.
    #[must_use]
    pub fn new(waiting: Slot<Feed>) -> Self {
        Self {
            waiting,
            outgoing: None,
        }
    }

    /// The body of a response that nobody will take over: looked after from now on, since it may never be asked at all.
    #[must_use]
    pub fn unclaimed(waiting: Slot<Feed>) -> Self {
        let mut body = Self::new(waiting);
        body.start();
        body
    }

    /// None where the feed was taken over.
    fn start(&mut self) -> Option<&Outgoing> {
        if self.outgoing.is_none() {
            let outgoing = Outgoing::new(self.waiting.take()?);
            self.outgoing = Some(watch::watch(Arc::new(outgoing)));
        }
        self.outgoing.as_deref()
    }
}

/// Whoever throws the body away wants nothing of it: nobody may start the session after that.
impl Drop for FeedBody {
    fn drop(&mut self) {
        drop(self.waiting.take());
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.leave();
        }
    }
}

impl Body for FeedBody {
    type Data = Bytes;
    type Error = Stalled;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Stalled>>> {
        match self.start() {
            Some(outgoing) => outgoing.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

/// The client took nothing within the write deadline.
#[derive(Debug, thiserror::Error)]
#[error("the client took nothing within the write deadline")]
pub struct Stalled;

/// A feed on its way out by hyper.
pub(crate) struct Outgoing(Mutex<State>);

struct State {
    /// None once it has said all.
    feed: Option<Feed>,
    staged: VecDeque<Bytes>,
    phase: Phase,
    write_timeout: Duration,
    close_timeout: Duration,
    handout: Handout,
    /// What ends the one who asks. None where the server isn't ours.
    cut: Option<CancellationToken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// What is staged ends with the closing. Whoever takes it has the write deadline for what was handed out before.
    Closing,
    /// The same, for a client that took nothing when its session was told to end.
    ClosingUnasked,
    /// It was given up.
    Stalled,
}

impl Outgoing {
    fn new(feed: Feed) -> Self {
        let write_timeout = feed.options().write_timeout.min(MAX_WAIT);
        let close_timeout = feed.options().close_timeout.min(MAX_WAIT);
        Self(Mutex::new(State {
            feed: Some(feed),
            staged: VecDeque::new(),
            phase: Phase::Running,
            write_timeout,
            close_timeout,
            handout: Handout::default(),
            cut: None,
        }))
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Polled {
        let mut state = self.lock();
        if state.cut.is_none() {
            state.cut = cut::current();
        }
        let (frame, over) = state.poll_frame(cx);
        state.handout.asked(matches!(frame, Poll::Ready(Some(_))));
        drop(state);
        drop(over);
        frame
    }

    /// The client is gone.
    fn leave(&self) {
        let over = self.lock().feed.take();
        drop(over);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchee for Outgoing {
    fn patience(&self) -> Duration {
        self.lock().write_timeout
    }

    /// Whether its client has stalled, and whether it was told to end meanwhile.
    fn look(&self, now: Instant) {
        let mut state = self.lock();
        let over = state.look(now);
        drop(state);
        drop(over);
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Stalled>>>;

/// A feed that has said all, to be dropped where no lock is held: its hooks run then.
type Over = Option<Feed>;

impl State {
    /// What is handed out next.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> (Polled, Over) {
        if self.phase == Phase::Stalled {
            return (Poll::Ready(Some(Err(Stalled))), None);
        }
        loop {
            if let Some(frame) = self.next_frame() {
                return (Poll::Ready(Some(Ok(frame))), None);
            }
            let Some(feed) = &mut self.feed else {
                return (Poll::Ready(None), None);
            };
            let span = feed.observed().span();
            let _inside = span.enter();
            // As far as can be seen from here: it was taken.
            feed.observed().written();
            match feed.poll_stage(cx, &mut self.staged) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.phase = Phase::Closing;
                    let frame = self.next_frame().map(Ok);
                    return (Poll::Ready(frame), self.feed.take());
                }
                Poll::Pending => return (Poll::Pending, None),
            }
        }
    }

    /// A large piece goes out in portions, so that a client that takes it slowly is seen to take it.
    fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        let first = self.staged.front_mut()?;
        let portion = portion(first);
        if first.is_empty() {
            self.staged.pop_front();
            if self.staged.is_empty() {
                self.staged.shrink_to(MAX_IDLE_PIECES);
            }
        }
        Some(Frame::data(portion))
    }

    fn look(&mut self, now: Instant) -> Over {
        if self.phase == Phase::Stalled {
            return None;
        }
        let waited = self.handout.unasked(now)?;
        let unsent = self.staged.iter().map(Bytes::len).sum();
        if let Some(feed) = &mut self.feed {
            feed.observed().blocked(unsent);
        }
        if let Some(feed) = &mut self.feed {
            // Whoever would be woken isn't asking, and asks anew before it sleeps.
            if let Poll::Ready(reason) = feed.poll_interrupt(&mut Context::from_waker(Waker::noop())) {
                feed.close(reason, &mut self.staged);
                self.phase = Phase::ClosingUnasked;
                self.handout.begin_anew(now);
                return self.feed.take();
            }
        }
        let patience = match self.phase {
            Phase::ClosingUnasked => self.close_timeout,
            Phase::Running | Phase::Closing | Phase::Stalled => self.write_timeout,
        };
        if waited < patience {
            return None;
        }
        self.phase = Phase::Stalled;
        self.staged = VecDeque::new();
        if let Some(cut) = &self.cut {
            cut.cancel();
        }
        let mut over = self.feed.take();
        if let Some(feed) = &mut over {
            feed.end(CloseReason::Stalled);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use dualcast_core::{
        Channel, Hooks, Hub, LagRule, MaxLag, Message, SessionHandle, SessionInfo, Transport,
    };
    use tokio::time;

    use super::*;
    use crate::letters::Letters;
    use crate::options::SessionOptions;
    use crate::source::Source;

    struct Ends(Sender<CloseReason>);

    impl Hooks for Ends {
        fn session_closed(&self, _: &SessionInfo, reason: CloseReason) {
            self.0.send(reason).unwrap();
        }
    }

    struct Scene {
        hub: Hub,
        channel: Channel,
        session: SessionHandle,
        body: FeedBody,
        ends: Receiver<CloseReason>,
    }

    const WRITE: Duration = Duration::from_secs(30);

    fn scene(rule: LagRule) -> Scene {
        let (told, ends) = channel();
        let hub = Hub::builder().hooks(Ends(told)).build().unwrap();
        let channel = hub.channel("room").unwrap();
        let session = hub.open_session(Transport::Sse, None).unwrap();
        let handle = session.handle();
        let subscription = hub.subscribe([channel.name().clone()]).lag(rule).open().unwrap();
        let options = SessionOptions {
            heartbeat: MAX_WAIT,
            ..SessionOptions::default()
        };
        let source = Source::Subscription(Box::new(subscription));
        let feed = Feed::new(&Letters, Some(session), source, options);
        Scene {
            hub,
            channel,
            session: handle,
            body: FeedBody::unclaimed(Slot::new(feed)),
            ends,
        }
    }

    impl Scene {
        /// All that it hands out until it pauses, by its letters. A stall is `!`.
        async fn ask(&mut self) -> String {
            let mut all = String::new();
            poll_fn(|cx| {
                loop {
                    match Pin::new(&mut self.body).poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => {
                            all.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                        }
                        Poll::Ready(Some(Err(Stalled))) => {
                            all.push('!');
                            return Poll::Ready(());
                        }
                        Poll::Ready(None) => {
                            all.push('.');
                            return Poll::Ready(());
                        }
                        Poll::Pending => return Poll::Ready(()),
                    }
                }
            })
            .await;
            all
        }

        /// One thing that it hands out.
        async fn ask_once(&mut self) {
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            assert!(frame.unwrap().is_ok());
        }

        async fn publish(&self) {
            self.channel.publish(Message::text("e", "x")).await.unwrap();
        }

        fn end(&self) -> Option<CloseReason> {
            assert_eq!(self.hub.session_count(), self.channel.followers());
            self.ends.try_recv().ok()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_has_nothing_to_say_may_wait_for_ever() {
        let mut scene = scene(LagRule::CatchUp);
        assert_eq!(scene.ask().await, "o");
        time::sleep(WRITE * 100).await;
        assert_eq!(scene.end(), None);
        scene.publish().await;
        assert_eq!(scene.ask().await, "e");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_asked_for_more_has_stalled() {
        let mut scene = scene(LagRule::CatchUp);
        scene.ask_once().await;
        time::sleep(WRITE - Duration::from_secs(1)).await;
        // Each time that it is asked begins the wait anew.
        assert_eq!(scene.end(), None);
        scene.publish().await;
        scene.ask_once().await;
        time::sleep(WRITE - Duration::from_secs(1)).await;
        assert_eq!(scene.end(), None);
        time::sleep(Duration::from_secs(4)).await;
        assert_eq!(scene.end(), Some(CloseReason::Stalled));
        assert_eq!(scene.ask().await, "!");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_never_asked_has_stalled_too() {
        let mut scene = scene(LagRule::CatchUp);
        time::sleep(WRITE + Duration::from_secs(3)).await;
        assert_eq!(scene.end(), Some(CloseReason::Stalled));
        assert_eq!(scene.ask().await, "!");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_told_to_end_while_it_is_not_asked_ends_at_once() {
        let mut scene = scene(LagRule::CatchUp);
        scene.ask_once().await;
        scene.session.close(CloseReason::Shutdown);
        for _ in 0..200 {
            if scene.hub.session_count() > 0 {
                time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(scene.end(), Some(CloseReason::Shutdown));
        assert_eq!(scene.ask().await, "c.", "in time it still hears why");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_that_is_not_asked_for_is_dropped() {
        let mut scene = scene(LagRule::CatchUp);
        scene.ask_once().await;
        scene.session.close(CloseReason::Shutdown);
        time::sleep(Duration::from_secs(3)).await;
        assert_eq!(scene.end(), Some(CloseReason::Shutdown));
        assert_eq!(scene.ask().await, "!");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lag_rule_that_disconnects_does_so_though_nobody_asks() {
        let mut scene = scene(LagRule::Disconnect(MaxLag::records(2)));
        assert_eq!(scene.ask().await, "o");
        scene.publish().await;
        scene.ask_once().await;
        for _ in 0..5 {
            scene.publish().await;
        }
        time::sleep(Duration::from_secs(2)).await;
        assert_eq!(scene.end(), Some(CloseReason::Slow));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_a_body_under_our_server_is_cut_with_it() {
        let cut = CancellationToken::new();
        let mut scene = scene(LagRule::CatchUp);
        cut::within(cut.clone(), scene.ask_once()).await;
        time::timeout(WRITE * 2, cut.cancelled()).await.unwrap();
    }
}
