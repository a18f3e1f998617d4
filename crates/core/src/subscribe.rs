//! Opening a subscription: from where it reads, and what it is told before it begins.

use std::sync::Arc;

use crate::channel::Channel;
use crate::error::{LimitReached, SubscribeError};
use crate::followed::{Followed, Reborn};
use crate::gap::{Gap, GapReason};
use crate::hub::Hub;
use crate::lag::LagRule;
use crate::life::{Judged, Life};
use crate::logs::Logs;
use crate::message::Identity;
use crate::name::ChannelName;
use crate::position::Position;
use crate::presence::Member;
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
    presence: Option<Attending>,
}

/// What a subscription has to do with who is present on its channels.
#[derive(Debug, Clone)]
enum Attending {
    Watching,
    Present(Member),
}

/// From where a subscription reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// From the head on. A channel that is finished has no "from now on": it is read from the start of what is kept.
    Now,
    After(Position),
    Last(usize),
    Kept,
    /// A cursor that made no sense.
    Unreadable,
    /// A cursor of this epoch, but of a history that is lost.
    Lost(Position),
    /// A cursor of an epoch that nobody knows, and that is none to come.
    Stranger(Position),
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
            presence: None,
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

    /// Is told who is [present](crate::Presence) on its channels, and is one of them as long as it lasts.
    pub fn present(mut self, member: Member) -> Self {
        self.presence = Some(Attending::Present(member));
        self
    }

    /// Is told who is [present](crate::Presence) on its channels, and is not one of them itself.
    pub fn watch_presence(mut self) -> Self {
        self.presence = Some(Attending::Watching);
        self
    }

    /// Has nothing to do with who is present: where its client could not be told.
    pub fn without_presence(mut self) -> Self {
        self.presence = None;
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
            return Err(LimitReached::new("max_channels_per_subscription", max).into());
        }
        if let Some(Attending::Present(member)) = &self.presence {
            member.check(&logs.limits)?;
        }
        let (channels, is_multi) = (self.channels.len(), self.is_multi());
        let mut subscription = Subscription::new(logs, channels, is_multi, self.lag_rule, self.without)?;
        for channel in &self.channels {
            subscription.follow(channel)?;
        }
        let origin = place(&subscription.logs, &mut subscription.followed, self.start);
        subscription.begin(origin);
        // Last: who couldn't open it was never there.
        match &self.presence {
            Some(Attending::Present(member)) => subscription.attend(Some(member)),
            Some(Attending::Watching) => subscription.attend(None),
            None => {}
        }
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
pub(crate) fn place(logs: &Arc<Logs>, followed: &mut [Followed], start: Start) -> Origin {
    loop {
        let placing = Placing {
            logs,
            life: logs.life(),
        };
        // A life that ended meanwhile is none to begin in.
        if let Ok(origin) = placing.place(followed, start) {
            return origin;
        }
    }
}

struct Placing<'a> {
    logs: &'a Arc<Logs>,
    life: Arc<Life>,
}

impl Placing<'_> {
    fn place(self, followed: &mut [Followed], start: Start) -> Result<Origin, Reborn> {
        match start {
            Start::Now if followed.iter().all(|each| each.is_finished(&self.life)) => {
                self.at_start(followed, None)
            }
            Start::Now => self.at_head(followed),
            Start::Kept => self.at_start(followed, None),
            Start::Last(count) => self.at_last(followed, count),
            Start::Unreadable | Start::After(Position::NOWHERE) => {
                self.jump(followed, None, GapReason::Unreadable)
            }
            Start::Lost(position) => self.jump(followed, Some(position), GapReason::Epoch),
            Start::After(position) if self.life.is_behind(position.epoch()) => {
                self.at_start(followed, Some(position))
            }
            Start::After(position) if position.epoch() != self.life.epoch() => {
                self.in_another_life(followed, position)
            }
            Start::Stranger(position) if position.epoch() != self.life.epoch() => {
                self.at_start(followed, Some(position))
            }
            Start::After(position) | Start::Stranger(position) => match self.life.judge(position) {
                Judged::Known => self.after(followed, position),
                Judged::Foreign => self.jump(followed, Some(position), GapReason::Epoch),
                Judged::Beyond | Judged::Unknown => self.beyond_knowledge(followed, position),
            },
        }
    }

    /// From now on.
    fn at_head(self, followed: &mut [Followed]) -> Result<Origin, Reborn> {
        let head = self.life.head();
        let before = self.life.position(head);
        let mut gaps = Vec::new();
        for followed in followed {
            // More may have been published and trimmed since the head was read.
            if let Some(trimmed_through) = followed.place_after(&self.life, head)? {
                gaps.push(self.trimmed(followed, before, trimmed_through));
            }
        }
        Ok(self.origin(head, before, gaps))
    }

    /// After a position. What memory lacks of it is read from the fan-out's history, or is a gap.
    fn after(self, followed: &mut [Followed], position: Position) -> Result<Origin, Reborn> {
        let cursor = position.sequence();
        let mut gaps = Vec::new();
        for followed in followed {
            let trimmed_through = followed.place_after(&self.life, cursor)?;
            let is_whole = trimmed_through.is_none() && self.life.torn_through() <= cursor;
            if is_whole || followed.ask(self.logs, &self.life, position) {
                continue;
            }
            // A tear is told when it is come to.
            if let Some(trimmed_through) = trimmed_through {
                gaps.push(self.trimmed(followed, position, trimmed_through));
            }
        }
        Ok(self.origin(cursor, position, gaps))
    }

    /// After a position of which only the fan-out can say whether it is one of this life.
    fn beyond_knowledge(self, followed: &mut [Followed], position: Position) -> Result<Origin, Reborn> {
        for each in &mut *followed {
            each.place_after(&self.life, position.sequence())?;
            if !each.ask(self.logs, &self.life, position) {
                return self.jump(followed, Some(position), GapReason::Epoch);
            }
        }
        Ok(self.origin(position.sequence(), position, Vec::new()))
    }

    /// After a position of a life that nobody here has heard of: another node may have begun it, and this one not yet. Else all that it
    /// says is that it is of none.
    fn in_another_life(self, followed: &mut [Followed], position: Position) -> Result<Origin, Reborn> {
        for each in &mut *followed {
            each.place_after(&self.life, self.life.head())?;
            if !each.ask(self.logs, &self.life, position) {
                return self.at_start(followed, Some(position));
            }
        }
        let origin = self.origin(position.sequence(), position, Vec::new());
        Ok(Origin {
            is_stranger: true,
            ..origin
        })
    }

    /// At the start of what is kept. A cursor of a life before is answered with a gap up to there: nothing behind what was fresh when
    /// this life began can have been seen in that one, unless the very record at the cursor is here, too.
    fn at_start(self, followed: &mut [Followed], foreign: Option<Position>) -> Result<Origin, Reborn> {
        let head = self.life.head();
        let after = foreign.map_or(0, |position| {
            let sequence = position.sequence();
            let is_here =
                position.check().is_some() && self.life.position(sequence).check() == position.check();
            self.life.fresh_after().max(if is_here { sequence } else { 0 })
        });
        let mut cursor = head;
        let mut gaps = Vec::new();
        for followed in followed {
            let (trimmed_through, first) = followed.place_at_start(&self.life, after)?;
            cursor = cursor.min(first.map_or(head, |sequence| sequence - 1));
            if foreign.is_some() {
                let to = trimmed_through.max(after);
                // What was torn behind that is told, too, when it is come to.
                let tear = self.life.tear_behind(to);
                cursor = tear.map_or(cursor, |tear| cursor.min(tear.after.max(to)));
                gaps.push(Gap {
                    channel: followed.name().clone(),
                    from: foreign,
                    to: Some(self.life.position(to)),
                    reason: GapReason::Epoch,
                });
            } else if trimmed_through > head {
                gaps.push(self.trimmed(followed, self.life.position(head), trimmed_through));
            }
        }
        let before = foreign.unwrap_or_else(|| self.life.position(cursor));
        Ok(self.origin(cursor, before, gaps))
    }

    /// At the end, with a gap: the cursor says nothing of what was seen, so that anything older might come twice.
    fn jump(
        self,
        followed: &mut [Followed],
        from: Option<Position>,
        reason: GapReason,
    ) -> Result<Origin, Reborn> {
        let head = self.life.head();
        let mut gaps = Vec::new();
        for followed in followed {
            let trimmed_through = followed.place_after(&self.life, head)?;
            gaps.push(Gap {
                channel: followed.name().clone(),
                from,
                to: Some(self.life.position(trimmed_through.unwrap_or(head))),
                reason,
            });
        }
        Ok(self.origin(head, Position::NOWHERE, gaps))
    }

    /// Before the last records of all channels together.
    fn at_last(self, followed: &mut [Followed], count: usize) -> Result<Origin, Reborn> {
        let head = self.life.head();
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
            if let Some(trimmed_through) = followed.place_after(&self.life, cursor)?
                && trimmed_through > owed_after
            {
                gaps.push(self.trimmed(followed, self.life.position(owed_after), trimmed_through));
            }
        }
        let before = self.life.position(cursor);
        Ok(self.origin(cursor, before, gaps))
    }

    fn trimmed(&self, followed: &Followed, from: Position, trimmed_through: u64) -> Gap {
        Gap {
            channel: followed.name().clone(),
            from: Some(from),
            to: Some(self.life.position(trimmed_through)),
            reason: GapReason::Trimmed,
        }
    }

    fn origin(self, cursor: u64, before: Position, gaps: Vec<Gap>) -> Origin {
        Origin {
            life: self.life,
            cursor,
            before,
            is_stranger: false,
            gaps,
        }
    }
}
