//! Opening a subscription: from where it reads, and what it is told before it begins.

use std::sync::Arc;

use crate::channel::Channel;
use crate::error::{LimitReached, SubscribeError};
use crate::followed::Followed;
use crate::gap::{Gap, GapReason};
use crate::hub::Hub;
use crate::lag::LagRule;
use crate::logs::Logs;
use crate::message::Identity;
use crate::name::ChannelName;
use crate::position::Position;
use crate::subscription::{Origin, Subscription};

/// A subscription to be opened. It reads from now on, unless told otherwise.
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscribe {
    hub: Hub,
    channels: Vec<ChannelName>,
    start: Start,
    lag_rule: LagRule,
    without: Option<Identity>,
}

/// From where a subscription reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// From the head on. A channel that is finished has no "from now on": it is read from the start of what is kept.
    Now,
    After(Position),
    Last(usize),
    Kept,
    /// A cursor that made no sense.
    Unreadable,
}

impl Subscribe {
    pub(crate) fn new(hub: Hub, mut channels: Vec<ChannelName>) -> Self {
        channels.sort_unstable();
        channels.dedup();
        Self {
            hub,
            channels,
            start: Start::Now,
            lag_rule: LagRule::default(),
            without: None,
        }
    }

    /// Everything after a position.
    pub fn after(mut self, position: Position) -> Self {
        self.start = Start::After(position);
        self
    }

    /// Everything after a cursor that a client sent. One that can't be read becomes a gap: the client learns of it where it
    /// listens.
    pub fn cursor(mut self, cursor: &str) -> Self {
        self.start = cursor.parse().map_or(Start::Unreadable, Start::After);
        self
    }

    /// The last `count` logged messages of its channels together, as far as they are kept, and what follows.
    pub fn last(mut self, count: usize) -> Self {
        self.start = Start::Last(count);
        self
    }

    /// All that is kept, and what follows.
    pub fn from_start(mut self) -> Self {
        self.start = Start::Kept;
        self
    }

    /// What it does when it falls behind.
    pub fn lag(mut self, rule: LagRule) -> Self {
        self.lag_rule = rule;
        self
    }

    /// Leaves out what this identity [sent](crate::Message::sender).
    pub fn without_own(mut self, identity: Identity) -> Self {
        self.without = Some(identity);
        self
    }

    /// Its hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Its channels, each once, in the order of their names.
    #[must_use]
    pub fn channels(&self) -> &[ChannelName] {
        &self.channels
    }

    /// Whether it is to several channels, so that each message says which one it is of.
    #[must_use]
    pub fn is_multi(&self) -> bool {
        self.channels.len() > 1
    }

    /// Opens it: from here on its channels count it among their followers.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] where there is no channel, or too many of something.
    pub fn open(self) -> Result<Subscription, SubscribeError> {
        let logs = Arc::clone(&self.hub.ingest().logs);
        if self.channels.is_empty() {
            return Err(SubscribeError::NoChannel);
        }
        let max = logs.limits.max_channels_per_subscription;
        if self.channels.len() > max {
            return Err(LimitReached {
                limit: "max_channels_per_subscription",
                max,
            }
            .into());
        }
        let mut subscription = Subscription::new(logs, self.is_multi(), self.lag_rule, self.without)?;
        for channel in &self.channels {
            subscription.follow(channel)?;
        }
        let origin = place(&subscription.logs, &mut subscription.followed, self.start);
        subscription.begin(origin);
        Ok(subscription)
    }
}

impl From<Channel> for Subscribe {
    fn from(channel: Channel) -> Self {
        channel.subscribe()
    }
}

impl From<&Channel> for Subscribe {
    fn from(channel: &Channel) -> Self {
        channel.subscribe()
    }
}

/// Puts each followed channel's reader in its place, and says where that is.
fn place(logs: &Logs, followed: &mut [Followed], start: Start) -> Origin {
    let head = logs.head();
    match start {
        Start::Now if followed.iter().all(Followed::is_finished) => place_at_start(logs, followed, None),
        Start::Now => place_after(logs, followed, head),
        Start::Kept => place_at_start(logs, followed, None),
        Start::Last(count) => place_at_last(logs, followed, head, count),
        Start::Unreadable | Start::After(Position::NOWHERE) => {
            jump(logs, followed, head, None, GapReason::Unreadable)
        }
        Start::After(position) if position.epoch() != logs.epoch() => {
            // Nothing that is kept can have been seen: all of it is of this life.
            place_at_start(logs, followed, Some(position))
        }
        Start::After(position) if position.sequence() > head => {
            jump(logs, followed, head, Some(position), GapReason::Epoch)
        }
        Start::After(position) => place_after(logs, followed, position.sequence()),
    }
}

/// After a sequence, with a gap for each channel that was trimmed beyond it. Also where it is the head: more may have been
/// published and trimmed since that was read.
fn place_after(logs: &Logs, followed: &mut [Followed], cursor: u64) -> Origin {
    let before = logs.position(cursor);
    let mut gaps = Vec::new();
    for followed in followed {
        if let Some(trimmed_through) = followed.place_after(cursor) {
            gaps.push(trimmed(logs, followed, before, trimmed_through));
        }
    }
    Origin { cursor, before, gaps }
}

/// At the start of what is kept. A cursor of another life is answered with a gap up to there.
fn place_at_start(logs: &Logs, followed: &mut [Followed], foreign: Option<Position>) -> Origin {
    let head = logs.head();
    let mut cursor = head;
    let mut gaps = Vec::new();
    for followed in followed {
        let (trimmed_through, first) = followed.place_at_start();
        cursor = cursor.min(first.map_or(head, |sequence| sequence - 1));
        if foreign.is_some() {
            gaps.push(Gap {
                channel: followed.name().clone(),
                from: foreign,
                to: Some(logs.position(trimmed_through)),
                reason: GapReason::Epoch,
            });
        } else if trimmed_through > head {
            gaps.push(trimmed(logs, followed, logs.position(head), trimmed_through));
        }
    }
    Origin {
        cursor,
        before: foreign.unwrap_or(logs.position(cursor)),
        gaps,
    }
}

/// At the end, with a gap: the cursor says nothing of what was seen, so that anything older might come twice.
fn jump(
    logs: &Logs,
    followed: &mut [Followed],
    head: u64,
    from: Option<Position>,
    reason: GapReason,
) -> Origin {
    let mut gaps = Vec::new();
    for followed in followed {
        let trimmed_through = followed.place_after(head);
        gaps.push(Gap {
            channel: followed.name().clone(),
            from,
            to: Some(logs.position(trimmed_through.unwrap_or(head))),
            reason,
        });
    }
    Origin {
        cursor: head,
        before: Position::NOWHERE,
        gaps,
    }
}

/// Before the last records of all channels together.
fn place_at_last(logs: &Logs, followed: &mut [Followed], head: u64, count: usize) -> Origin {
    let mut last = Vec::new();
    let mut kept_after = Vec::new();
    for followed in &*followed {
        let (trimmed_through, sequences) = followed.last_sequences(head, count);
        kept_after.push(trimmed_through.min(head));
        last.extend(sequences);
    }
    last.sort_unstable_by(|a, b| b.cmp(a));
    last.truncate(count);
    let cursor = last.last().map_or(head, |oldest| oldest - 1);
    let mut gaps = Vec::new();
    for (followed, kept_after) in followed.iter_mut().zip(kept_after) {
        // What was no longer kept is not asked for. What was trimmed since that look is owed.
        let owed_after = kept_after.max(cursor);
        if let Some(trimmed_through) = followed.place_after(cursor)
            && trimmed_through > owed_after
        {
            gaps.push(trimmed(
                logs,
                followed,
                logs.position(owed_after),
                trimmed_through,
            ));
        }
    }
    Origin {
        cursor,
        before: logs.position(cursor),
        gaps,
    }
}

fn trimmed(logs: &Logs, followed: &Followed, from: Position, trimmed_through: u64) -> Gap {
    Gap {
        channel: followed.name().clone(),
        from: Some(from),
        to: Some(logs.position(trimmed_through)),
        reason: GapReason::Trimmed,
    }
}
