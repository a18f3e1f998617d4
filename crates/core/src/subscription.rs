//! Subscriptions: one cursor over one or more channels.
//!
//! A subscription owns no queue. It reads what stands after its cursor, up to the hub's head, in the hub's order, and
//! cut at a sequence where that is more than the caller has room for. Live and replay are the same read.
//!
//! What memory lacks when it is opened it reads from the fan-out's history, in pages, until it has caught up with memory. Then
//! never again: a live reader that is overtaken is told so.
//!
//! Invariants: the cursor never goes back, within one life of the log. Nothing at or below the cursor is unread, but what a gap named. The waker is
//! registered before the last look, so no record is slept through. No lock is held while a record is encoded.

mod caught_up;
mod gather;
mod lending;
mod pages;
mod presence;

use std::collections::VecDeque;
use std::future;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use gather::Telling;
pub use lending::Returned;

use crate::close::CloseReason;
use crate::error::{LimitReached, SubscribeError};
use crate::followed::Followed;
use crate::gap::Gap;
use crate::item::{Batch, Item};
use crate::joining::join;
use crate::lag::{Lag, LagRule};
use crate::life::Life;
use crate::logs::Logs;
use crate::message::Identity;
use crate::name::ChannelName;
use crate::position::Position;
use crate::wire::Wire;

/// A cursor over the channels that were named when it was opened.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) logs: Arc<Logs>,
    /// The life of the log in which its cursor is a number.
    life: Arc<Life>,
    pub(crate) followed: Vec<Followed>,
    is_multi: bool,
    lag_rule: LagRule,
    without: Option<Identity>,
    cursor: u64,
    /// What it has to be told before anything else.
    opening_gaps: Vec<Gap>,
    /// Where its client stands until then. Later the last position that is known better than by its number.
    anchor: Position,
    /// Whether the anchor is of a life that nobody here knows. The fan-out is asked whether it is one to come.
    is_stranger: bool,
    /// How many records stood after the cursor when it last read.
    lag: u64,
    /// Whether it has read everything at any time. Until then it replays.
    is_live: bool,
    /// Whether it was within its lag rule at any time. Before that it catches up, and can't have fallen behind.
    has_kept_up: bool,
}

/// Where a subscription begins.
pub(crate) struct Origin {
    pub(crate) life: Arc<Life>,
    pub(crate) cursor: u64,
    /// The position that its client came with, or one that stands for a cursor which made no sense.
    pub(crate) before: Position,
    /// Whether that is of a life that nobody here knows.
    pub(crate) is_stranger: bool,
    pub(crate) gaps: Vec<Gap>,
}

impl Subscription {
    /// One that follows nothing yet, with room for so many channels.
    pub(crate) fn new(
        logs: Arc<Logs>,
        channels: usize,
        is_multi: bool,
        lag_rule: LagRule,
        without: Option<Identity>,
    ) -> Result<Self, LimitReached> {
        logs.count_subscription()?;
        Ok(Self {
            life: logs.life(),
            logs,
            // No more than that: left to itself a vector begins with room for four.
            followed: Vec::with_capacity(channels),
            is_multi,
            lag_rule,
            without,
            cursor: 0,
            opening_gaps: Vec::new(),
            anchor: Position::NOWHERE,
            is_stranger: false,
            lag: 0,
            is_live: false,
            has_kept_up: false,
        })
    }

    pub(crate) fn follow(&mut self, channel: &ChannelName) -> Result<(), SubscribeError> {
        self.followed.push(Followed::new(self.logs.follow(channel)?));
        Ok(())
    }

    pub(crate) fn begin(&mut self, origin: Origin) {
        self.life = origin.life;
        self.cursor = origin.cursor;
        // One channel: what the gap names is all that lies before its end.
        if let ([gap], false) = (&*origin.gaps, self.is_multi)
            && let Some(to) = gap.to
        {
            self.cursor = self.cursor.max(to.sequence());
        }
        self.opening_gaps = origin.gaps;
        self.anchor = origin.before;
        self.is_stranger = origin.is_stranger;
        self.has_kept_up = false;
        self.is_lagging();
        self.is_live = self.lag_of_all().records == 0 && !self.is_asking();
    }

    /// Where it stands: the id with which a client would miss nothing and get nothing twice.
    ///
    /// As long as a gap is unread that it opened with, or the fan-out is still asked, this is the position that the client came
    /// with, or one that stands for a cursor that made no sense: whoever comes back with it is told of the gap again.
    #[must_use]
    pub fn cursor(&self) -> Position {
        if self.opening_gaps.is_empty() && !self.is_stranger {
            self.position()
        } else {
            self.anchor
        }
    }

    /// Where it will stand once it has read the gaps that it begins with.
    #[must_use]
    pub fn position(&self) -> Position {
        let is_here = self.anchor.epoch() == self.life.epoch() && self.anchor.sequence() == self.cursor;
        if is_here {
            self.anchor
        } else {
            self.life.position(self.cursor)
        }
    }

    /// Whether it is to several channels.
    #[must_use]
    pub fn is_multi(&self) -> bool {
        self.is_multi
    }

    /// Its channels, but for those that have ended and of which it has all: at its beginning, each of those that it was opened with, in
    /// the order of their names.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.followed.iter().map(Followed::name)
    }

    /// Whether this channel is one of its own.
    #[must_use]
    pub fn follows(&self, channel: &ChannelName) -> bool {
        self.followed.iter().any(|followed| followed.name() == channel)
    }

    /// Those of its channels that have ended at or before its cursor: it will not read that they did.
    pub fn ended_channels(&self) -> impl Iterator<Item = &ChannelName> {
        let ended = self.followed.iter();
        let ended = ended.filter(|followed| followed.has_ended(&self.life));
        ended.map(Followed::name)
    }

    /// Whether it begins by telling that something is missing.
    #[must_use]
    pub fn begins_with_a_gap(&self) -> bool {
        !self.opening_gaps.is_empty()
    }

    /// Whether there is nothing left to read and nothing can follow.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let mut followed = self.followed.iter();
        self.opening_gaps.is_empty() && followed.all(|each| each.is_exhausted(&self.life, self.cursor))
    }

    /// What stands after the cursor, in at most so many bytes of payload but for the last item; empty when nothing does, or when
    /// the fan-out is asked for it: only who [waits](Subscription::poll_read) gets its answer.
    ///
    /// # Errors
    ///
    /// The reason why nothing will follow: [`CloseReason::Finished`], or [`CloseReason::Slow`] by its lag rule.
    pub fn read(&mut self, max_bytes: usize) -> Result<Vec<Item>, CloseReason> {
        self.gather(max_bytes, Telling::Items)
    }

    /// Waits until something stands after the cursor.
    ///
    /// # Errors
    ///
    /// As for [`Subscription::read`].
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max_bytes: usize,
    ) -> Poll<Result<Vec<Item>, CloseReason>> {
        self.poll_gather(cx, |subscription| subscription.read(max_bytes))
    }

    /// [`Subscription::poll_read`] for `await`.
    ///
    /// # Errors
    ///
    /// As for [`Subscription::read`].
    pub async fn next(&mut self, max_bytes: usize) -> Result<Vec<Item>, CloseReason> {
        future::poll_fn(|cx| self.poll_read(cx, max_bytes)).await
    }

    /// Waits until something stands after the cursor, and appends it as it goes out on a wire: in pieces, each with
    /// whole entries, fewer than `max_bytes` together before the last entry.
    ///
    /// # Errors
    ///
    /// As for [`Subscription::read`].
    pub fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        wire: &dyn Wire,
        max_bytes: usize,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<Batch, CloseReason>> {
        match self.poll_stretch(cx, wire, max_bytes) {
            Shortcut::Bytes(bytes, batch) => {
                out.push_back(bytes);
                return Poll::Ready(Ok(batch));
            }
            Shortcut::Asleep => return Poll::Pending,
            Shortcut::None => {}
        }
        let items = ready!(self.poll_gather(cx, |subscription| {
            subscription.gather(max_bytes, Telling::Bytes(wire))
        }))?;
        let bytes = join(&items, wire);
        let batch = Batch {
            lag: self.lag,
            is_replay: !self.is_live,
            ..Batch::of(&items, bytes.len())
        };
        out.push_back(bytes);
        Poll::Ready(Ok(batch))
    }

    /// Ready when it lies further behind than [`LagRule::Disconnect`] lets pass. For a connection that can't
    /// read on because its client doesn't take what was read: nobody else would notice in time.
    pub fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.lag_rule, LagRule::Disconnect(_)) {
            return Poll::Pending;
        }
        self.sleep(cx);
        if self.is_lagging() && self.has_kept_up {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        mut gather: impl FnMut(&mut Self) -> Result<Vec<Item>, CloseReason>,
    ) -> Poll<Result<Vec<Item>, CloseReason>> {
        loop {
            // Whatever was asked for is of no use any more.
            if self.logs.is_past(&self.life) {
                self.enter_new_life();
            }
            ready!(self.poll_pages(cx))?;
            let items = gather(self)?;
            if !items.is_empty() {
                return Poll::Ready(Ok(items));
            }
            if self.is_asking() {
                continue;
            }
            self.is_live = true;
            self.sleep(cx);
            let items = gather(self)?;
            if !items.is_empty() {
                return Poll::Ready(Ok(items));
            }
            if !self.is_asking() {
                return Poll::Pending;
            }
        }
    }

    fn sleep(&mut self, cx: &mut Context<'_>) {
        for followed in &mut self.followed {
            followed.sleep(cx.waker());
        }
    }

    /// Whether it lies further behind than its rule lets pass.
    fn is_lagging(&mut self) -> bool {
        if self.lag_rule == LagRule::CatchUp {
            return false;
        }
        let is_lagging = self.lag_rule.is_crossed(self.lag_of_all());
        // Who reads pages of the past can't tell how many there are.
        self.has_kept_up |= !is_lagging && !self.is_in_the_past();
        is_lagging
    }

    fn lag_of_all(&self) -> Lag {
        let mut sum = Lag::default();
        for followed in &self.followed {
            let lag = followed.lag(&followed.cell.lock());
            sum.records += lag.records;
            sum.bytes += lag.bytes;
        }
        sum
    }

    /// The cursor never goes back.
    fn advance(&mut self, sequence: u64) {
        self.cursor = self.cursor.max(sequence);
    }

    /// The way that nearly all batches go: one channel, nothing to leave out, nothing to tell. A crowd that stands at one
    /// place and reads to one end shares one stretch of bytes; whoever comes first joins it.
    fn poll_stretch(&mut self, cx: &mut Context<'_>, wire: &dyn Wire, limit: usize) -> Shortcut {
        let is_plain = !self.is_multi && self.without.is_none() && self.opening_gaps.is_empty();
        let (true, [followed]) = (is_plain, &mut *self.followed) else {
            return Shortcut::None;
        };
        if followed.has_presence_news(cx.waker()) {
            return Shortcut::None;
        }
        let mut state = followed.cell.lock();
        // Under the channel's lock, so that the head is at or past all that the channel holds and no more. And before the tears
        // are looked at: one that comes later lies behind this head.
        let head = self.life.head();
        let (from, end) = (followed.next, state.log.end());
        let is_elsewhere =
            state.check(&self.life).is_err() || followed.past().is_some() || followed.is_over();
        if is_elsewhere
            || state.log.first() > from
            || state.log.is_reused_after(from)
            || followed.next_tear(&self.life, self.cursor).is_some()
            || self.lag_rule.is_crossed(followed.lag(&state))
        {
            return Shortcut::None;
        }
        self.has_kept_up = true;
        if from == end {
            if state.is_finished(&self.life) || state.ring.end() > followed.next_volatile {
                return Shortcut::None;
            }
            let given_up = state.sleepers.enter(&mut followed.place, cx.waker());
            drop(state);
            drop(given_up);
            self.advance(head);
            self.is_live = true;
            return Shortcut::Asleep;
        }
        let is_last = state.log.is_finished();
        let kept = state.stretches.find(wire.form(), limit, from, end).cloned();
        // Where what it gets is all there is, it need not look once more before it sleeps.
        let has_more = is_last || state.ring.end() > followed.next_volatile;
        let is_asleep = kept.as_ref().is_some_and(|stretch| stretch.to == end) && !has_more;
        // Dropped at the end, with no lock held.
        let _given_up = is_asleep
            .then(|| state.sleepers.enter(&mut followed.place, cx.waker()))
            .flatten();
        let stretch = kept.unwrap_or_else(|| {
            let start = (from, followed.next_bytes);
            self.logs.join(&followed.cell, state, (start, end), wire, limit)
        });
        (followed.next, followed.next_bytes) = (stretch.to, stretch.end_bytes);
        // The end of a channel is no message, and stands last.
        let has_ended = is_last && stretch.to == end;
        if has_ended {
            followed.end();
        }
        self.advance(stretch.sequence);
        let batch = Batch {
            has_id: true,
            has_gap: false,
            bytes: stretch.bytes.len(),
            messages: (stretch.to - from) as usize - usize::from(has_ended),
            lag: end - from,
            is_replay: !self.is_live,
            logged_at: Some(stretch.logged_at),
            is_asleep,
        };
        self.is_live |= is_asleep;
        Shortcut::Bytes(stretch.bytes, batch)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for followed in self.followed.drain(..) {
            followed.leave(&self.logs);
        }
        self.logs.uncount_subscription();
    }
}

/// What [`Subscription::poll_stretch`] came to.
enum Shortcut {
    Bytes(Bytes, Batch),
    Asleep,
    /// The long way has to be taken.
    None,
}
