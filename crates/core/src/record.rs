//! Records: messages with their place in the log, immutable and shared.

use std::time::Instant;

use bytes::Bytes;

use crate::message::{Identity, Message};
use crate::name::ChannelName;
use crate::position::Position;
use crate::wire::{Encodings, Entry, Wire};

/// What a record costs beyond its message's own bytes, in bytes: itself, its place in the log, its conflation key's place.
/// Part of every byte limit of a log, so that a flood of empty messages is bounded too. Measured: 426, and 515 with a
/// conflation key of its own (`tests/memory.rs`).
pub const RECORD_OVERHEAD_BYTES: usize = 528;

/// A logged message, or the logged end of its channel, at its position.
#[derive(Debug)]
pub struct Record {
    position: Position,
    channel: ChannelName,
    /// None: the channel's end.
    message: Option<Message>,
    logged_at: Instant,
    encodings: Encodings,
}

impl Record {
    pub(crate) fn new(
        position: Position,
        channel: ChannelName,
        message: Option<Message>,
        logged_at: Instant,
    ) -> Self {
        Self {
            position,
            channel,
            message,
            logged_at,
            encodings: Encodings::default(),
        }
    }

    /// Its place; as text, its id.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Its channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The message. None where this record is the channel's end: nothing follows it.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    pub(crate) fn is_finish(&self) -> bool {
        self.message.is_none()
    }

    /// Gives it its place, before anybody else has seen it.
    pub(crate) fn place(&mut self, position: Position) {
        self.position = position;
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.position.sequence()
    }

    pub(crate) fn logged_at(&self) -> Instant {
        self.logged_at
    }

    pub(crate) fn is_from(&self, sender: Option<&Identity>) -> bool {
        sender.is_some() && self.message.as_ref().and_then(Message::get_sender) == sender
    }

    /// What it counts for in byte limits: its own bytes and [`RECORD_OVERHEAD_BYTES`].
    #[must_use]
    pub fn cost(&self) -> usize {
        self.message.as_ref().map_or(RECORD_OVERHEAD_BYTES, cost)
    }

    /// What it takes at the least on any wire: never 0.
    pub(crate) fn size(&self) -> usize {
        self.message.as_ref().map_or(1, size)
    }

    pub(crate) fn bytes(&self, wire: &dyn Wire) -> &Bytes {
        self.encodings
            .get_or_write(wire, Entry::Record(self), self.size())
    }
}

/// A message without a position, on its way to whoever follows now.
#[derive(Debug)]
pub struct Volatile {
    channel: ChannelName,
    message: Message,
    sent_at: Instant,
    encodings: Encodings,
}

impl Volatile {
    pub(crate) fn new(channel: ChannelName, message: Message, sent_at: Instant) -> Self {
        Self {
            channel,
            message,
            sent_at,
            encodings: Encodings::default(),
        }
    }

    /// Its channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    pub(crate) fn is_from(&self, sender: Option<&Identity>) -> bool {
        sender.is_some() && self.message.get_sender() == sender
    }

    pub(crate) fn cost(&self) -> usize {
        cost(&self.message)
    }

    pub(crate) fn size(&self) -> usize {
        size(&self.message)
    }

    pub(crate) fn bytes(&self, wire: &dyn Wire) -> &Bytes {
        self.encodings
            .get_or_write(wire, Entry::Volatile(self), self.size())
    }
}

/// What a message counts for in byte limits: its own bytes and [`RECORD_OVERHEAD_BYTES`].
pub(crate) fn cost(message: &Message) -> usize {
    let keys = [message.get_conflation_key(), message.get_idempotency_key()];
    let keys: usize = keys.into_iter().flatten().map(|key| key.len()).sum();
    let sender = message.get_sender().map_or(0, |sender| sender.as_str().len());
    size(message) + keys + sender + RECORD_OVERHEAD_BYTES
}

/// A message's payload and event name, in bytes: the name is never empty.
fn size(message: &Message) -> usize {
    message.payload().len() + message.event().len()
}
