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
        Start::Now => {
            for followed in &mut *followed {
                followed.place_after(head);
            }
            Origin {
                cursor: head,
                gaps: Vec::new(),
            }
        }
        Start::Kept => place_at_start(logs, followed, None),
        Start::Last(count) => place_at_last(followed, head, count),
        Start::After(position) if position.epoch() != logs.epoch() => {
            // Nothing that is kept can have been seen: all of it is of this life.
            place_at_start(logs, followed, Some(position))
        }
        Start::After(position) if position.sequence() > head => {
            jump(logs, followed, head, Some(position), GapReason::Epoch)
        }
        Start::After(position) => {
            let cursor = position.sequence();
            let mut gaps = Vec::new();
            for followed in &mut *followed {
                if let Some(trimmed_through) = followed.place_after(cursor) {
                    gaps.push(Gap {
                        channel: followed.name().clone(),
                        from: Some(position),
                        to: Some(logs.position(trimmed_through)),
                        reason: GapReason::Trimmed,
                    });
                }
            }
            Origin { cursor, gaps }
        }
        Start::Unreadable => jump(logs, followed, head, None, GapReason::Unreadable),
    }
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
        }
    }
    Origin { cursor, gaps }
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
        followed.place_after(head);
        gaps.push(Gap {
            channel: followed.name().clone(),
            from,
            to: Some(logs.position(head)),
            reason,
        });
    }
    Origin { cursor: head, gaps }
}

/// Before the last records of all channels together.
fn place_at_last(followed: &mut [Followed], head: u64, count: usize) -> Origin {
    let mut sequences: Vec<u64> = followed
        .iter()
        .flat_map(|followed| followed.last_sequences(head, count))
        .collect();
    sequences.sort_unstable_by(|a, b| b.cmp(a));
    sequences.truncate(count);
    let cursor = sequences.last().map_or(head, |oldest| oldest - 1);
    for followed in followed {
        followed.place_after(cursor);
    }
    Origin {
        cursor,
        gaps: Vec::new(),
    }
}
