//! What Dualcast itself tells a client, in the words that both transports share: each is a JSON object there.

use std::time::Duration;

use dualcast_core::{ChannelName, Reconnect};
use serde::{Serialize, Serializer};

use crate::dialect::{Closing, Heartbeat, Opening};

/// With each sign of life: the next one comes within so many milliseconds, and the session expires after so many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeartbeatNotice<'a> {
    interval: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// Of each channel, up to which version its client was told who is present.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "by_channel")]
    presence: &'a [(ChannelName, u64)],
}

impl<'a> From<&'a Heartbeat> for HeartbeatNotice<'a> {
    fn from(heartbeat: &'a Heartbeat) -> Self {
        Self {
            interval: millis(heartbeat.interval),
            expires: heartbeat.expires.map(millis),
            presence: &heartbeat.presence,
        }
    }
}

/// The first sign of life also names the channels, where messages name theirs. Once: a client keeps it as long as the stream lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpeningNotice<'a> {
    #[serde(flatten)]
    heartbeat: HeartbeatNotice<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<&'a [&'a ChannelName]>,
}

impl<'a> From<&'a Opening<'a>> for OpeningNotice<'a> {
    fn from(opening: &'a Opening<'a>) -> Self {
        Self {
            heartbeat: HeartbeatNotice::from(&opening.heartbeat),
            channels: opening.channels,
        }
    }
}

/// A channel has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FinishedNotice<'a> {
    /// Which one.
    pub channel: &'a ChannelName,
}

/// A channel is followed no longer, though the client did not ask for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnsubscribedNotice<'a> {
    /// Which one.
    pub channel: &'a ChannelName,
}

/// The session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClosingNotice {
    reason: &'static str,
    code: u16,
    reconnect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    message: &'static str,
}

impl From<&Closing> for ClosingNotice {
    fn from(closing: &Closing) -> Self {
        let Closing { reason, retry } = *closing;
        Self {
            reason: reason.name(),
            code: reason.code(),
            reconnect: reason.reconnect() == Reconnect::Yes,
            retry: retry.map(millis),
            message: reason.text(),
        }
    }
}

fn by_channel<S: Serializer>(versions: &[(ChannelName, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(versions.iter().map(|(channel, version)| (channel, version)))
}

/// A duration in whole milliseconds, as the wire has it.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
