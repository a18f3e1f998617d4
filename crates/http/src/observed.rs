//! What is observed of a session: how long its bytes take, and the span that tells of it in logs.

use dualcast_core::{Batch, CloseReason, Session, TransportMeters};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

/// The measure of one session.
///
/// What waits unsent is looked at when the client takes nothing, and not with each byte: a client that reads costs nothing
/// of it.
pub struct Observed {
    meters: Option<&'static TransportMeters>,
    /// None where nobody is told of it.
    span: Option<Box<Span>>,
    begun_at: Instant,
    has_opened: bool,
    has_ended: bool,
    /// When the oldest message was logged of what is staged, if that is live.
    logged_at: Option<std::time::Instant>,
    /// What waits for a client that takes nothing now.
    unsent: usize,
}

impl Observed {
    /// Of this session. A client that is sent away at the door has none, and is counted there.
    pub(crate) fn new(session: Option<&Session>) -> Self {
        let span = match session.map(Session::info) {
            Some(info) => tracing::info_span!(
                "session",
                id = %info.id,
                transport = info.transport.name(),
                identity = info.identity.as_ref().map(|identity| identity.as_str()),
                channels = Empty,
                resumed = Empty,
                reason = Empty,
                seconds = Empty,
            ),
            None => Span::none(),
        };
        Self {
            meters: session.map(|session| TransportMeters::of(session.info().transport)),
            span: (!span.is_disabled()).then(|| Box::new(span)),
            begun_at: Instant::now(),
            has_opened: false,
            has_ended: false,
            logged_at: None,
            unsent: 0,
        }
    }

    pub(crate) fn describe(&mut self, channels: usize, is_resumed: bool) {
        let span = self.span();
        span.record("channels", channels);
        span.record("resumed", is_resumed);
        span.in_scope(|| tracing::debug!("a session begins"));
    }

    /// The span, to be entered while the session is worked on.
    pub fn span(&self) -> Span {
        self.span.as_deref().map_or_else(Span::none, Span::clone)
    }

    pub(crate) fn staged(&mut self, batch: &Batch) {
        if let Some(meters) = self.meters {
            meters.sent(batch, 1);
            self.logged_at = batch.logged_at.filter(|_| !batch.is_replay);
        }
    }

    /// What was sent of a batch is not all of it.
    pub(crate) fn goes_on_with(&mut self, logged_at: std::time::Instant) {
        self.logged_at = Some(logged_at);
    }

    /// Messages that are in no log were staged.
    pub(crate) fn sent(&self, messages: u64, bytes: usize) {
        if let Some(meters) = self.meters {
            meters.sent_unlogged(messages, bytes as u64);
        }
    }

    /// The client takes nothing now of so many bytes.
    pub fn blocked(&mut self, unsent: usize) {
        if let Some(meters) = self.meters
            && unsent != self.unsent
        {
            meters.unsent(self.unsent, unsent);
            self.unsent = unsent;
        }
    }

    /// All that was staged has left.
    pub fn written(&mut self) {
        self.blocked(0);
        let Some(meters) = self.meters else { return };
        if !self.has_opened {
            self.has_opened = true;
            meters.opening(self.begun_at.elapsed());
        }
        if let Some(logged_at) = self.logged_at.take() {
            meters.delivered(logged_at.elapsed(), 1);
        }
    }

    /// The client sent a message, with all that is around it.
    pub fn received(&self, messages: u64, bytes: u64) {
        if let Some(meters) = self.meters
            && (messages > 0 || bytes > 0)
        {
            meters.received(messages, bytes);
        }
    }

    pub(crate) fn ended(&mut self, reason: CloseReason) {
        self.has_ended = true;
        let span = self.span();
        span.record("reason", reason.name());
        span.record("seconds", self.begun_at.elapsed().as_secs_f64());
        span.in_scope(|| tracing::debug!(reason = reason.name(), "a session ends"));
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.blocked(0);
        // Whoever was dropped without a reason has left, as it is counted.
        if self.meters.is_some() && !self.has_ended {
            self.ended(CloseReason::Left);
        }
    }
}
