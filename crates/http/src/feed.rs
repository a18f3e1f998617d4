//! Feeds: what a session says to its client, in order, whichever way it leaves.
//!
//! First the opening, then what the source has, a heartbeat after a silence, and a closing. The feed stages bytes when it is
//! asked to, and it is asked only once the last ones have left: so a client that doesn't read costs what is staged, and
//! its cursor.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dualcast_core::{CloseReason, Message, Position, Session, Subscription, Wire};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::time::{self, Instant, Sleep};

use crate::options::{MAX_WAIT, SessionOptions};

/// A wire that can also open a stream, keep it alive and close it.
pub trait Dialect: Wire {
    /// How a stream begins.
    fn write_opening(&self, opening: &Opening, out: &mut Vec<u8>);

    /// A sign of life.
    fn write_heartbeat(&self, heartbeat: &Heartbeat, out: &mut Vec<u8>);

    /// How a stream ends.
    fn write_closing(&self, reason: CloseReason, out: &mut Vec<u8>);

    /// A message of a stream that has no channel.
    fn write_message(&self, message: &Message, out: &mut Vec<u8>);

    /// Whether nothing follows a gap: where its clients know no notices, what came after one would pass for whole.
    fn ends_at_gap(&self) -> bool {
        false
    }
}

/// What a client is told at the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// The first sign of life: its id is the position from which the stream follows.
    pub heartbeat: Heartbeat,
    /// After how long to come back when the connection is lost.
    pub retry: Duration,
    /// How many bytes that mean nothing go with it, where the wire has such.
    pub padding_bytes: usize,
}

/// A sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// The position up to which there is nothing to tell. None on a stream without positions.
    pub id: Option<Position>,
    /// After how long the next one comes at the latest.
    pub interval: Duration,
}

/// Where a session's messages come from.
pub enum Source {
    /// Channels.
    Subscription(Box<Subscription>),
    /// A stream of the application's own, for one client. It may fail, with a reason.
    Stream(BoxStream<'static, Result<Message, CloseReason>>),
    /// Nowhere: the client is sent away.
    Refused(CloseReason),
}

/// Everything that a session has to say.
pub struct Feed {
    dialect: &'static dyn Dialect,
    /// None where the client is refused because there are too many.
    session: Option<Session>,
    source: Source,
    options: SessionOptions,
    padding_bytes: usize,
    is_open: bool,
    /// Whether it has told a gap that it has to end at.
    is_torn: bool,
    ended: Option<CloseReason>,
    heartbeat_at: Instant,
    timer: Pin<Box<Sleep>>,
    /// Tells of a shutdown where there is no session to be told.
    shutdown: Option<BoxFuture<'static, ()>>,
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
        options.heartbeat = options.heartbeat.min(MAX_WAIT);
        options.retry = options.retry.min(MAX_WAIT);
        let heartbeat_at = Instant::now() + options.heartbeat;
        let timer = Box::pin(time::sleep_until(heartbeat_at));
        Self {
            dialect,
            session,
            source,
            options,
            padding_bytes: 0,
            is_open: false,
            is_torn: false,
            ended: None,
            heartbeat_at,
            timer,
            shutdown: None,
        }
    }

    /// Ends it with the server, where it has no session that will be told to.
    #[must_use]
    pub fn until(mut self, shutdown: Option<BoxFuture<'static, ()>>) -> Self {
        self.shutdown = shutdown;
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
        self.padding_bytes = bytes;
        self
    }

    /// The bounds of its session.
    #[must_use]
    pub fn options(&self) -> &SessionOptions {
        &self.options
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
        let opening = Opening {
            heartbeat: self.heartbeat(),
            retry: self.options.retry.mul_f64(0.5 + fastrand::f64()),
            padding_bytes: self.padding_bytes,
        };
        self.stage(out, |dialect, out| dialect.write_opening(&opening, out));
    }

    /// Stages what comes next. `Ready` with a reason: nothing will follow what is staged now.
    pub fn poll_stage(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        if let Some(reason) = self.ended {
            return Poll::Ready(Err(reason));
        }
        if !self.is_open {
            self.open(out);
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(reason) = self.poll_told(cx) {
            return Poll::Ready(Err(self.close(reason, out)));
        }
        if self.is_torn {
            return Poll::Ready(Err(self.close(CloseReason::Slow, out)));
        }
        match self.poll_source(cx, out) {
            Poll::Ready(Err(reason)) => Poll::Ready(Err(self.close(reason, out))),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => self.poll_heartbeat(cx, out).map(Ok),
        }
    }

    /// Ready when the session has to end although its client takes nothing: it was told to, or it is overdue by its lag
    /// rule. Asked while something is staged, when [`Feed::poll_stage`] isn't.
    pub fn poll_interrupt(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.poll_told(cx) {
            return Poll::Ready(reason);
        }
        match &mut self.source {
            Source::Subscription(subscription) => subscription.poll_overdue(cx).map(|()| CloseReason::Slow),
            _ => Poll::Pending,
        }
    }

    /// Stages the closing, and will say nothing after it. Answers the reason that stands: the first.
    pub fn close(&mut self, reason: CloseReason, out: &mut VecDeque<Bytes>) -> CloseReason {
        if let Some(first) = self.ended {
            return first;
        }
        self.stage(out, |dialect, out| dialect.write_closing(reason, out));
        self.end(reason);
        reason
    }

    /// Notes why the session ended, without a word. The first reason stands.
    pub fn end(&mut self, reason: CloseReason) {
        if self.ended.is_none() {
            self.ended = Some(reason);
            if let Some(session) = &mut self.session {
                session.ended(reason);
            }
        }
    }

    /// Ready once somebody told it to end.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Some(session) = &self.session
            && let Poll::Ready(reason) = session.poll_close(cx)
        {
            return Poll::Ready(reason);
        }
        match &mut self.shutdown {
            Some(shutdown) => shutdown.as_mut().poll(cx).map(|()| CloseReason::Shutdown),
            None => Poll::Pending,
        }
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        match &mut self.source {
            Source::Subscription(subscription) => {
                let limit = self.options.max_batch_bytes;
                subscription
                    .poll_batch(cx, self.dialect, limit, out)
                    .map_ok(|batch| {
                        if batch.has_id {
                            self.heartbeat_at = Instant::now() + self.options.heartbeat;
                        }
                        self.is_torn = batch.has_gap && self.dialect.ends_at_gap();
                    })
            }
            Source::Stream(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Err(reason))) => Poll::Ready(Err(reason)),
                Poll::Ready(Some(Ok(message))) => {
                    self.heartbeat_at = Instant::now() + self.options.heartbeat;
                    self.stage(out, |dialect, out| dialect.write_message(&message, out));
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(None) => Poll::Ready(Err(CloseReason::Finished)),
                Poll::Pending => Poll::Pending,
            },
            Source::Refused(reason) => Poll::Ready(Err(*reason)),
        }
    }

    /// Asked only when the source had nothing: so its cursor is at the head.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>, out: &mut VecDeque<Bytes>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let is_due = self.heartbeat_at <= Instant::now();
            if is_due {
                self.heartbeat_at = Instant::now() + self.options.heartbeat;
            }
            self.timer.as_mut().reset(self.heartbeat_at);
            if is_due {
                let heartbeat = self.heartbeat();
                self.stage(out, |dialect, out| dialect.write_heartbeat(&heartbeat, out));
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn heartbeat(&self) -> Heartbeat {
        let id = match &self.source {
            Source::Subscription(subscription) => Some(subscription.cursor()),
            _ => None,
        };
        Heartbeat {
            id,
            interval: self.options.heartbeat,
        }
    }

    fn stage(&self, out: &mut VecDeque<Bytes>, write: impl FnOnce(&'static dyn Dialect, &mut Vec<u8>)) {
        let mut bytes = vec![0; self.dialect.headroom()];
        write(self.dialect, &mut bytes);
        out.push_back(self.dialect.seal(bytes));
    }
}
