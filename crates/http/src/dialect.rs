//! Dialects: how a transport says what every session says. A wire writes records; a dialect also opens a stream, keeps it alive
//! and closes it.

use std::time::Duration;

use dualcast_core::{ChannelName, CloseReason, Message, Position, Wire};

/// A wire that can also open a stream, keep it alive and close it.
pub trait Dialect: Wire {
    /// How a stream begins.
    fn write_opening(&self, opening: &Opening<'_>, out: &mut Vec<u8>);

    /// A sign of life.
    fn write_heartbeat(&self, heartbeat: &Heartbeat, out: &mut Vec<u8>);

    /// Whether a heartbeat says where its client stands. Else it is a sign of life, and no more.
    fn has_positions(&self) -> bool {
        true
    }

    /// How a stream ends.
    fn write_closing(&self, closing: &Closing, out: &mut Vec<u8>);

    /// A message of a stream that has no channel.
    fn write_message(&self, message: &Message, out: &mut Vec<u8>);

    /// That the client follows a channel no longer, though it did not ask for that. Only where it can subscribe.
    fn write_unsubscribed(&self, channel: &ChannelName, out: &mut Vec<u8>) {
        let _ = (channel, out);
    }

    /// That a channel has ended, to a client that joined it behind its end. Only where it can subscribe.
    fn write_finished(&self, channel: &ChannelName, id: Position, out: &mut Vec<u8>) {
        let _ = (channel, id, out);
    }

    /// The same wire for channels that are told apart: each message names its own.
    fn naming_channels(&self) -> &'static dyn Dialect;
}

/// What a client is told at the beginning.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// The first sign of life: its id is the position from which the stream follows.
    pub heartbeat: Heartbeat,
    /// The names of its channels, where messages name theirs. None on a stream of one alone, or of none.
    pub channels: Option<&'a [&'a ChannelName]>,
    /// After how long to come back when the connection is lost.
    pub retry: Duration,
    /// How many bytes that mean nothing go with it, where the wire has such.
    pub padding_bytes: usize,
    /// The largest message that is read of the client, in bytes, where one that is larger costs it the session.
    pub max_inbound_bytes: Option<usize>,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// Why.
    pub reason: CloseReason,
    /// After how long the client should come back, if it should.
    pub retry: Option<Duration>,
}

/// A sign of life.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The position up to which there is nothing to tell. None on a stream without positions.
    pub id: Option<Position>,
    /// After how long the next one comes at the latest.
    pub interval: Duration,
    /// After how long the session ends unless it is renewed. None where it doesn't expire.
    pub expires: Option<Duration>,
    /// Up to which version it was told who is present, for each channel of which it is.
    pub presence: Vec<(ChannelName, u64)>,
}
