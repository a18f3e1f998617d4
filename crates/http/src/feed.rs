//! Feeds: what a session says to its client, in order, whichever way it leaves.
//!
//! First the opening, then what the source has, a heartbeat after a silence, and a closing. The feed stages bytes when it is
//! asked to, and it is asked only once the last ones have left: so a client that doesn't read costs what is staged, and
//! its cursor.

mod catching_up;
mod lending;
mod turns;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dualcast_core::{
    ChannelName, CloseReason, Position, Reconnect, Session, Subscribe, Subscription, count_refused,
};
use tokio::time::{self, Sleep};

use crate::dialect::{Closing, Dialect, Opening};
use crate::error::Error;
use crate::expiry::Expiry;
use crate::heartbeats::Heartbeats;
use crate::joined::Joined;
use crate::observed::Observed;
use crate::options::{self, MAX_WAIT, MIN_RETRY, SessionOptions, or_never};
use crate::rare::Rare;
use crate::source::{Piece, Source};

/// Everything that a session has to say.
pub struct Feed {
    dialect: &'static dyn Dialect,
    /// Goes before the session: as long as that is there, nothing is sent that it was told to end before.
    source: Source,
    joined: Joined,
    /// None where the client is refused because there are too many.
    session: Option<Session>,
    is_joinable: bool,
    options: Arc<SessionOptions>,
    opening: Rare<Said>,
    expiry: Expiry,
    observed: Observed,
    is_open: bool,
    /// The application's own last word, once all before it has left.
    goodbye: Option<Box<Bytes>>,
    /// What it has to tell of channels that came and went.
    untold: Rare<VecDeque<Untold>>,
    /// Whether it has told a gap that it has to end at.
    is_torn: bool,
    /// Whether what it staged last is all there is, and its task is woken by whatever comes next.
    is_asleep: bool,
    /// Whether its task was to be woken by the heartbeats' timer when that was last looked at.
    is_timed: bool,
    ended: Option<CloseReason>,
    heartbeats: Heartbeats,
    /// Since the server shuts down: until when the session may finish.
    grace: Option<Pin<Box<Sleep>>>,
}

/// What an opening says that no later heartbeat does.
#[derive(Default)]
struct Said {
    padding_bytes: usize,
    max_inbound_bytes: Option<usize>,
}

/// What became of a channel, though no record says so.
enum Untold {
    Unsubscribed(ChannelName),
    /// It had ended before its client joined it there.
    Finished(ChannelName, Position),
}

impl Feed {
    /// A feed that has said nothing yet.
    #[must_use]
    pub fn new(
        dialect: &'static dyn Dialect,
        session: Option<Session>,
        source: Source,
        mut options: SessionOptions,
    ) -> Self {
        options.heartbeat = or_never(options.heartbeat);
        options.retry = options.retry.clamp(MIN_RETRY, MAX_WAIT);
        options.restart_window = options.restart_window.min(MAX_WAIT);
        options.shutdown_grace = options.shutdown_grace.min(MAX_WAIT);
        let observed = Observed::new(session.as_ref());
        let heartbeats = Heartbeats::new(options.heartbeat);
        let options = options::shared(options);
        Self {
            dialect,
            session,
            source,
            joined: Joined::default(),
            is_joinable: false,
            options,
            opening: Rare::default(),
            expiry: Expiry::default(),
            observed,
            is_open: false,
            goodbye: None,
            untold: Rare::default(),
            is_torn: false,
            is_asleep: false,
            is_timed: false,
            ended: None,
            heartbeats,
            grace: None,
        }
    }

    /// Goes on when its own channels are finished: the client may still join others.
    #[must_use]
    pub fn joinable(mut self, is_joinable: bool) -> Self {
        self.is_joinable = is_joinable;
        if let (true, Source::Subscription(subscription)) = (is_joinable, &self.source) {
            let ended = ended(subscription);
            self.tell(ended);
        }
        self
    }

    /// Says in logs what it follows; and to a client that came back, when it has all that it missed.
    #[must_use]
    pub(crate) fn described(mut self, channels: usize, is_resumed: bool) -> Self {
        self.observed.describe(channels, is_resumed);
        if let (true, Source::Subscription(subscription)) = (is_resumed, &self.source)
            && self.dialect.has_positions()
        {
            self.heartbeats.owe(subscription.end());
        }
        self
    }

    /// Ends it at a time, unless that is [moved](Feed::renew).
    #[must_use]
    pub fn expiring(mut self, at: Option<SystemTime>) -> Self {
        if let Some(at) = at {
            self.expiry.set(at);
        }
        self
    }

    /// Changes how it writes, before it has.
    #[must_use]
    pub fn speaking(mut self, dialect: &'static dyn Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Pads its opening with so many bytes, before it has said anything.
    #[must_use]
    pub fn padded(mut self, bytes: usize) -> Self {
        self.opening.make().padding_bytes = bytes;
        self
    }

    /// Tells its client, before anything else, of how many bytes a message of its own may be: a larger one ends the session.
    #[must_use]
    pub fn hearing_up_to(mut self, max_bytes: usize) -> Self {
        self.opening.make().max_inbound_bytes = Some(max_bytes);
        self
    }

    /// The bounds of its session.
    #[must_use]
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// What is measured of it, and the span in which it runs.
    pub fn observed(&mut self) -> &mut Observed {
        &mut self.observed
    }

    /// Its session, unless the client was refused.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Stages the opening, unless that was done before. Nothing else may go out first.
    pub fn open(&mut self, out: &mut VecDeque<Bytes>) {
        if self.is_open {
            return;
        }
        self.is_open = true;
        let said = self.opening.take();
        let channels = self.named_channels();
        let opening = Opening {
            heartbeat: self.heartbeat(),
            channels: channels.as_deref(),
            retry: self.usual_retry(),
            padding_bytes: said.padding_bytes,
            max_inbound_bytes: said.max_inbound_bytes,
        };
        self.stage(out, |dialect, out| dialect.write_opening(&opening, out));
    }

    /// Stages what comes next. `Ready` with a reason: nothing will follow what is staged now.
    pub fn poll_stage(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        self.is_asleep = false;
        if let Some(reason) = self.ended {
            return Poll::Ready(Err(reason));
        }
        if !self.is_open {
            self.open(out);
            return Poll::Ready(Ok(()));
        }
        let staged = match self.poll_told(cx, out) {
            Poll::Ready(told) => Poll::Ready(told),
            Poll::Pending if self.is_torn => Poll::Ready(Err(CloseReason::Slow)),
            Poll::Pending => self.poll_sources(cx, out),
        };
        match staged {
            Poll::Ready(Err(reason)) => Poll::Ready(Err(self.close(reason, out))),
            Poll::Ready(Ok(())) => {
                self.stage_what_is_owed(out);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => self.poll_heartbeat(cx, out).map(Ok),
        }
    }

    /// Whether it has nothing to stage behind what it staged last, and the task that asked for that is woken when it has.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    /// Whether its task is woken when the next heartbeat is due.
    fn is_timed(&self) -> bool {
        self.is_timed && !self.heartbeats.has_rung()
    }

    /// Whether its client came back and still waits to be told that it has all that it missed.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.heartbeats.owed_at().is_some()
    }

    /// Ready when the session has to end although its client takes nothing: it was told to, it expired, or it is overdue
    /// by its lag rule. Asked while something is staged, when [`Feed::poll_stage`] isn't.
    pub fn poll_interrupt(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.poll_ordered(cx) {
            return Poll::Ready(reason);
        }
        if let Source::Subscription(subscription) = &mut self.source
            && subscription.poll_overdue(cx).is_ready()
        {
            return Poll::Ready(CloseReason::Slow);
        }
        self.joined.poll_overdue(cx).map(|()| CloseReason::Slow)
    }

    /// Takes what it was ordered from elsewhere. Ready where that, or its time, ends the session; wakes the task when there is
    /// more later.
    pub fn poll_ordered(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        // First, since it registers the waker for the other orders, too.
        let close = self.poll_ordered_to_close(cx);
        while let Some(channel) = self.session.as_ref().and_then(Session::next_to_leave) {
            if self.joined.leave(&channel) {
                self.tell([Untold::Unsubscribed(channel)]);
            } else if self.follows(&channel) {
                self.subscriptions_mut()
                    .for_each(|subscription| subscription.forgo_grace_on(&channel));
                return Poll::Ready(CloseReason::Revoked);
            }
        }
        close
    }

    /// Whether it has something to tell of channels that came and went, before any answer.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        self.untold.get().is_some_and(|untold| !untold.is_empty())
    }

    /// Will tell this, before any answer.
    fn tell(&mut self, untold: impl IntoIterator<Item = Untold>) {
        let mut untold = untold.into_iter().peekable();
        if untold.peek().is_some() {
            self.untold.make().extend(untold);
        }
    }

    /// Stages what the application wrote before it was done, and takes no more: its client has said goodbye and is to get that
    /// still.
    pub fn stage_last_pieces(&mut self, out: &mut VecDeque<Bytes>) {
        if let Source::Pieces(pieces) = &mut self.source {
            pieces.close();
            while let Ok(Piece::Message(bytes)) = pieces.try_recv() {
                self.observed.sent(1, bytes.len());
                out.push_back(bytes);
            }
        }
    }

    /// The client asks to follow one more channel, and waits for an answer.
    ///
    /// # Errors
    ///
    /// Where it follows that channel already, or so many others that it may not follow another.
    pub fn begin_join(&mut self, channel: &ChannelName, max_subscriptions: usize) -> Result<(), Error> {
        if self.follows(channel) {
            return Err(Error::already_subscribed(channel));
        }
        if self.joined.len() >= max_subscriptions {
            count_refused("max_subscriptions");
            return Err(Error::too_many_channels(max_subscriptions));
        }
        self.joined.begin(channel.clone());
        Ok(())
    }

    /// The client may follow it, from here on, or from where it was before. Answers the position from which it does.
    ///
    /// # Errors
    ///
    /// Where the right to it was taken back since [`Feed::begin_join`], or at a limit of the hub.
    pub fn join(
        &mut self,
        channel: &ChannelName,
        subscribe: Subscribe,
        is_resumed: bool,
    ) -> Result<Position, Error> {
        let subscription = self.joined.join(channel, subscribe)?;
        if is_resumed {
            self.heartbeats.owe(subscription.end());
        }
        let (cursor, ended) = (subscription.cursor(), ended(subscription));
        self.tell(ended);
        Ok(cursor)
    }

    /// The client follows a channel no longer that it joined.
    ///
    /// # Errors
    ///
    /// Where it had not joined it.
    pub fn leave(&mut self, channel: &ChannelName) -> Result<(), Error> {
        if self.joined.leave(channel) {
            Ok(())
        } else {
            Err(Error::not_subscribed(channel))
        }
    }

    /// Moves the time at which it ends. Answers after how long that is.
    pub fn renew(&mut self, at: SystemTime) -> Duration {
        self.expiry.set(at)
    }

    /// Stages the closing, and will say nothing after it. Answers the reason that stands: the first.
    pub fn close(&mut self, reason: CloseReason, out: &mut VecDeque<Bytes>) -> CloseReason {
        if let Some(first) = self.ended {
            return first;
        }
        let retry = (reason.reconnect() == Reconnect::Yes).then(|| self.retry(reason));
        let closing = Closing { reason, retry };
        self.stage(out, |dialect, out| dialect.write_closing(&closing, out));
        self.end(reason);
        reason
    }

    /// After how long this client should come back, at a moment of its own. After a shutdown all clients of the server do.
    fn retry(&self, reason: CloseReason) -> Duration {
        let usual = self.usual_retry();
        match reason {
            CloseReason::Shutdown => usual.max(self.options.restart_window.mul_f64(fastrand::f64())),
            _ => usual,
        }
    }

    fn usual_retry(&self) -> Duration {
        self.options.retry.mul_f64(0.5 + fastrand::f64())
    }

    /// Notes why the session ended, without a word. The first reason stands.
    pub fn end(&mut self, reason: CloseReason) {
        if self.ended.is_none() {
            self.ended = Some(reason);
            // Whoever is sent away is not waited for.
            if reason == CloseReason::Disconnected {
                self.subscriptions_mut().for_each(Subscription::forgo_grace);
            }
            self.observed.ended(reason);
            if let Some(session) = &mut self.session {
                session.ended(reason);
            }
        }
    }

    /// Does what it was ordered. Ready when that is to be said, or ends the session.
    fn poll_told(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        if let Poll::Ready(reason) = self.poll_ordered(cx) {
            return Poll::Ready(Err(reason));
        }
        // That something is missing comes before that nothing follows.
        if let Some(Untold::Finished(channel, _)) = self.untold.get().and_then(VecDeque::front)
            && self.owes_a_gap(channel)
        {
            return Poll::Pending;
        }
        let Some(untold) = self.untold.get_mut().and_then(VecDeque::pop_front) else {
            return Poll::Pending;
        };
        if let Untold::Finished(channel, _) = &untold {
            // Whoever hears it may join the channel again at once.
            self.joined.leave(channel);
        }
        self.stage(out, |dialect, out| match untold {
            Untold::Unsubscribed(channel) => dialect.write_unsubscribed(&channel, out),
            Untold::Finished(channel, id) => dialect.write_finished(&channel, id, out),
        });
        Poll::Ready(Ok(()))
    }

    fn poll_ordered_to_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Some(session) = &self.session
            && let Poll::Ready(reason) = session.poll_close(cx)
            && (reason != CloseReason::Shutdown || self.poll_grace(cx).is_ready())
        {
            return Poll::Ready(reason);
        }
        self.expiry.poll(cx).map(|()| CloseReason::Expired)
    }

    /// The server shuts down: ready once the session has no leave any more to finish.
    fn poll_grace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let grace = self.options.shutdown_grace;
        if grace.is_zero() {
            return Poll::Ready(());
        }
        let timer = self.grace.get_or_insert_with(|| Box::pin(time::sleep(grace)));
        timer.as_mut().poll(cx)
    }

    fn follows(&self, channel: &ChannelName) -> bool {
        self.subscription_to(channel).is_some()
    }

    fn owes_a_gap(&self, channel: &ChannelName) -> bool {
        self.subscription_to(channel)
            .is_some_and(Subscription::begins_with_a_gap)
    }

    fn subscription_to(&self, channel: &ChannelName) -> Option<&Subscription> {
        match &self.source {
            Source::Subscription(subscription) if subscription.follows(channel) => Some(subscription),
            _ => self.joined.subscription_to(channel),
        }
    }

    /// The route's own channels, where its client may be told of several.
    fn named_channels(&self) -> Option<Vec<&ChannelName>> {
        match &self.source {
            Source::Subscription(subscription) if subscription.is_multi() || self.is_joinable => {
                Some(subscription.channels().collect())
            }
            Source::Nothing => Some(Vec::new()),
            _ => None,
        }
    }

    /// Stages what is written. Answers how many bytes that is.
    fn stage(
        &self,
        out: &mut VecDeque<Bytes>,
        write: impl FnOnce(&'static dyn Dialect, &mut Vec<u8>),
    ) -> usize {
        let headroom = self.dialect.headroom();
        let mut bytes = vec![0; headroom];
        write(self.dialect, &mut bytes);
        // A protocol of the application's own has no opening and no sign of life.
        if bytes.len() == headroom {
            return 0;
        }
        let sealed = self.dialect.seal(bytes);
        let count = sealed.len();
        out.push_back(sealed);
        count
    }
}

/// What is to be told of those channels that had ended where a subscription begins.
fn ended(subscription: &Subscription) -> Vec<Untold> {
    let position = subscription.position();
    let ended = subscription.ended_channels();
    ended
        .map(|channel| Untold::Finished(channel.clone(), position))
        .collect()
}
