//! What a subscriber is told of messages it does not get.

use std::fmt;

use serde::Serialize;

use crate::name::ChannelName;
use crate::position::Position;

/// Messages of a channel that a subscriber won't see: those after `from`, up to and including `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// The last place before the missing stretch, where it is known.
    pub from: Option<Position>,
    /// The last place of the missing stretch, where it is known. What comes after it is seen again.
    pub to: Option<Position>,
    /// Why.
    pub reason: GapReason,
}

/// Why messages are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GapReason {
    /// The log no longer keeps what stood after the cursor, or can't prove that it does.
    Trimmed,
    /// The subscriber was too slow, and its [lag rule](crate::LagRule) says to skip.
    Slow,
    /// The cursor belongs to another life of the log, or lies beyond this one's end.
    Epoch,
    /// The cursor is not one of ours.
    Unreadable,
    /// The broker could not be read in time.
    Unavailable,
}

impl GapReason {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Slow => "slow",
            Self::Epoch => "epoch",
            Self::Unreadable => "unreadable",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Messages that were left out because newer ones with the same conflation key follow: told before those that follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The channel.
    pub channel: ChannelName,
    /// How many were left out of this batch.
    pub count: u64,
}
