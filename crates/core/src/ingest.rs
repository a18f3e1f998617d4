//! The ingest point: where a fan-out hands over what it carried.

use std::sync::Arc;
use std::time::Instant;

use crate::config::Limits;
use crate::error::PublishError;
use crate::gap::GapReason;
use crate::logs::Logs;
use crate::message::Message;
use crate::meters::hub_meters;
use crate::name::ChannelName;
use crate::position::{Check, Epoch, Position};
use crate::presence::Held;
use crate::record::Record;

/// The one way into a hub's logs. It appends each record at its place, moves the head, and then wakes whoever follows, in this
/// order.
///
/// A fan-out either lets the hub number its records ([`Ingest::append`]) or brings numbers of its own: it
/// [begins a life](Ingest::begin_life) and then says, in order and from one task, what stands at each number
/// ([`Ingest::take`]). A number at or below the head changes nothing; one that is left out counts as torn.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub(crate) logs: Arc<Logs>,
}

/// What stands at the numbers behind the head.
#[derive(Debug)]
pub enum Step {
    /// A record.
    Record(Arrival),
    /// Something that is of no channel.
    Other {
        /// Its number.
        sequence: u64,
        /// What tells it apart from something else of its number.
        check: Check,
    },
    /// What will not come: whoever follows is told.
    Tear {
        /// Up to which number.
        through: u64,
        /// Why.
        reason: GapReason,
    },
}

/// A life of the log, whose numbers a fan-out brings.
#[derive(Debug)]
pub struct NewLife {
    /// What its positions begin with.
    pub epoch: Epoch,
    /// Epochs of lives before it, the latest last. Those that this hub has lived in itself it knows, and so many as 16 are kept. Of a cursor
    /// with an epoch that is not among them the [history](crate::FanOut::history) is asked.
    pub before: Vec<Epoch>,
    /// Up to here nothing is in memory.
    pub head: u64,
    /// What stands after this was never part of a life before. Where it lies beyond the head, the life begins here.
    pub fresh_after: u64,
    /// What comes then, before anybody reads in it. The check of the record at the head, as [`Step::Other`], makes the positions good
    /// that clients are given before the next record comes.
    pub tail: Vec<Step>,
}

impl NewLife {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn of(epoch: Epoch) -> Self {
        Self {
            epoch,
            before: Vec::new(),
            head: 0,
            fresh_after: 0,
            tail: Vec::new(),
        }
    }
}

/// A record that was given its place elsewhere.
#[derive(Debug)]
pub struct Arrival {
    /// Its number: above the head.
    pub sequence: u64,
    /// What tells it apart from another record of its number.
    pub check: Check,
    /// Its channel.
    pub channel: ChannelName,
    /// The message. None: the channel's end.
    pub message: Option<Message>,
    /// When it was logged, on the hub's clock.
    pub logged_at: Instant,
}

impl Ingest {
    /// Logs a message at the next place in the order.
    ///
    /// # Errors
    ///
    /// [`PublishError::Finished`] after the channel's end, [`PublishError::TooLarge`] where its log could not hold the message,
    /// [`PublishError::Limit`] when there are too many channels.
    pub fn append(&self, channel: &ChannelName, message: Message) -> Result<Position, PublishError> {
        let appended = self.logs.append(channel, Some(message))?;
        Ok(self.logs.announce(appended))
    }

    /// Logs the end of a channel.
    ///
    /// # Errors
    ///
    /// As for [`Ingest::append`].
    pub fn append_finish(&self, channel: &ChannelName) -> Result<Position, PublishError> {
        let appended = self.logs.append(channel, None)?;
        Ok(self.logs.announce(appended))
    }

    /// Begins another life of the log: whoever follows is told a gap, [`GapReason::Epoch`], and reads on in the new one. Where the
    /// epoch is the one that there is, only memory begins anew, and whoever follows goes on from its cursor: by the
    /// [history](crate::FanOut::history) where that is needed.
    pub fn begin_life(&self, new: NewLife) {
        self.logs.begin_life(new);
    }

    /// Takes what stands behind the head.
    pub fn step(&self, step: Step) {
        match step {
            Step::Record(arrival) => {
                self.take(arrival);
            }
            Step::Other { sequence, check } => self.pass(sequence, check),
            Step::Tear { through, reason } => self.tear(through, reason),
        }
    }

    /// Logs what stands at the number behind the head. What exceeds a limit of this hub counts as trimmed.
    pub fn take(&self, arrival: Arrival) -> Position {
        let appended = self.logs.take(arrival);
        self.logs.announce(appended)
    }

    /// What stands at the number behind the head is of no channel. At the head itself, where a life begins or a tear ends: this is
    /// the check of what stands there.
    pub fn pass(&self, sequence: u64, check: Check) {
        self.logs.pass(sequence, check);
    }

    /// What stands between the head and up to a number will not come: whoever follows is told.
    pub fn tear(&self, through: u64, reason: GapReason) {
        self.logs.tear(through, reason);
    }

    /// Whether the end of a channel is the last that is in memory of it, and nothing was torn behind it.
    #[must_use]
    pub fn is_finished(&self, channel: &ChannelName) -> bool {
        let (life, cell) = (self.logs.life(), self.logs.find(channel));
        cell.is_some_and(|cell| cell.lock().is_finished(&life))
    }

    /// Whether a message may be published to a channel now, as far as this node can say.
    ///
    /// # Errors
    ///
    /// [`PublishError::Finished`] after the channel's end, [`PublishError::TooLarge`] where its log could not hold the message.
    pub fn check(&self, channel: &ChannelName, message: Option<&Message>) -> Result<(), PublishError> {
        self.logs.check(channel, message)
    }

    /// A record of this life that is too old for the hub's memory: for [`FanOut::history`](crate::FanOut::history).
    #[must_use]
    pub fn record(&self, arrival: Arrival) -> Arc<Record> {
        let epoch = self.logs.life().epoch();
        let position = Position::new(epoch, arrival.sequence, Some(arrival.check));
        let record = Record::new(position, arrival.channel, arrival.message, arrival.logged_at);
        Arc::new(record)
    }

    /// Where the log ends now.
    #[must_use]
    pub fn position(&self) -> Position {
        self.logs.position()
    }

    /// The position of a number up to the head.
    #[must_use]
    pub fn position_of(&self, sequence: u64) -> Position {
        self.logs.life().position(sequence)
    }

    /// Whether anybody follows a channel on this node.
    #[must_use]
    pub fn has_followers(&self, channel: &ChannelName) -> bool {
        let cell = self.logs.find(channel);
        cell.is_some_and(|cell| cell.lock().followers > 0)
    }

    /// Hands a message to whoever follows its channel now, on this node.
    pub fn send_volatile(&self, channel: &ChannelName, message: Message) {
        self.logs.send_volatile(channel, message);
    }

    /// What has changed of those whom this node has sessions of, since this was asked for last; at first, all of them.
    #[must_use]
    pub fn take_presence(&self) -> Vec<Held> {
        self.logs.rosters.take_changed()
    }

    /// Takes up what another node, of this name, says of somebody.
    pub fn set_presence(&self, node: &Arc<str>, held: Held) {
        self.logs.rosters.set_elsewhere(&self.logs.limits, node, held);
    }

    /// Counts a message that this node's application had logged elsewhere.
    pub fn count_published(&self) {
        hub_meters().published.increment(1);
    }

    /// Counts a volatile message that could not be carried.
    pub fn count_volatile_dropped(&self) {
        self.logs.count_volatile_dropped(1);
    }

    /// The hub's limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.logs.limits
    }

    /// The time on the hub's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.logs.now()
    }
}
