//! Catching up: the heartbeats of a feed, the first of which says to a client that came back that it has all that it missed.
//!
//! Invariant: a heartbeat with an id says that nothing is missing up to there, of any channel. While the fan-out is asked for the past, which may
//! take a moment, there is none with an id.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::{ChannelName, Subscription};

use super::Feed;
use crate::dialect::Heartbeat;
use crate::joined::least;
use crate::source::Source;

impl Feed {
    /// Asked only when no source had anything: so each cursor is where the head was when that one was asked.
    pub(super) fn poll_heartbeat(&mut self, cx: &mut Context<'_>, out: &mut VecDeque<Bytes>) -> Poll<()> {
        if self.is_catching_up() && self.has_nothing_to_come() && self.pay(out) {
            return Poll::Ready(());
        }
        let due = self.heartbeats.poll_due(cx, self.options.heartbeat);
        self.is_timed = due.is_pending();
        ready!(due);
        let mut heartbeat = self.heartbeat();
        if self.is_asking() {
            heartbeat.id = None;
        }
        self.stage(out, |dialect, out| dialect.write_heartbeat(&heartbeat, out));
        Poll::Ready(())
    }

    /// Tells a client that it has all that it missed, together with the last of that: one system call for both.
    pub(super) fn stage_what_is_owed(&mut self, out: &mut VecDeque<Bytes>) {
        let Some(end) = self.heartbeats.owed_at().filter(|_| !self.has_untold()) else {
            return;
        };
        // Numbers of another life say nothing here. That life is over, and so is its end no mark.
        let mut ends = self.subscriptions_mut().map(|subscription| subscription.end());
        if let Some(new) = ends.find(|new| new.epoch() != end.epoch()) {
            drop(ends);
            return self.heartbeats.owe(new);
        }
        drop(ends);
        let mut subscriptions = self.subscriptions_mut();
        let has_all =
            subscriptions.all(|subscription| subscription.step_to_end() || subscription.has_read(end));
        drop(subscriptions);
        if has_all && !self.is_exhausted() {
            self.pay(out);
        }
    }

    /// Stages what its client waits for. Not where it has no id: then its channels are in two lives, and it will be woken for the second.
    fn pay(&mut self, out: &mut VecDeque<Bytes>) -> bool {
        let heartbeat = self.heartbeat();
        if heartbeat.id.is_none() {
            return false;
        }
        self.heartbeats.pay();
        self.heartbeats.put_off();
        self.stage(out, |dialect, out| dialect.write_heartbeat(&heartbeat, out));
        true
    }

    /// Now that no source has anything: whether there is none that is still asked for it. All of them may also be gone.
    fn has_nothing_to_come(&mut self) -> bool {
        if self.subscriptions().next().is_none() {
            self.heartbeats.pay();
        }
        !self.is_asking()
    }

    fn is_asking(&self) -> bool {
        self.subscriptions().any(Subscription::is_asking)
    }

    fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        let own = match &self.source {
            Source::Subscription(subscription) => Some(&**subscription),
            _ => None,
        };
        own.into_iter().chain(self.joined.iter())
    }

    pub(super) fn subscriptions_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        let own = match &mut self.source {
            Source::Subscription(subscription) => Some(&mut **subscription),
            _ => None,
        };
        own.into_iter().chain(self.joined.iter_mut())
    }

    /// Whether nothing is left to say but that it ends.
    fn is_exhausted(&self) -> bool {
        match &self.source {
            Source::Subscription(subscription) => !self.is_joinable && subscription.is_exhausted(),
            _ => false,
        }
    }

    /// Up to the least of the cursors nothing is left to tell, of no channel.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            id: least(self.subscriptions().map(Subscription::cursor)),
            interval: self.options.heartbeat,
            expires: self.expiry.remaining(),
            presence: self.presence_versions(),
        }
    }

    fn presence_versions(&self) -> Vec<(ChannelName, u64)> {
        let versions = self.subscriptions().flat_map(Subscription::presence_versions);
        versions
            .map(|(channel, version)| (channel.clone(), version))
            .collect()
    }
}
