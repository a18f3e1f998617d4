//! What can go wrong when one publishes or subscribes.

use std::error::Error;

use crate::message::MessageError;
use crate::meters::count_refused;

/// A limit of the hub was reached. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{limit}` is reached: {max}")]
pub struct LimitReached {
    /// Which one: a field of [`Limits`](crate::Limits).
    pub limit: &'static str,
    /// Its value.
    pub max: usize,
}

impl LimitReached {
    /// Counts the refusal.
    pub(crate) fn new(limit: &'static str, max: usize) -> Self {
        count_refused(limit);
        Self { limit, max }
    }
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message broke a rule.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The payload, or a volatile message as a whole, is too large.
    #[error("the message has {bytes} bytes, the limit `{limit}` is {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// Which limit: a field of [`Limits`](crate::Limits) or [`LogLimits`](crate::LogLimits).
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// The channel is finished: nothing can follow.
    #[error("the channel is finished")]
    Finished,
    /// A limit of the hub was reached.
    #[error(transparent)]
    Limit(#[from] LimitReached),
    /// The fan-out could not carry it.
    #[error("the fan-out failed: {0}")]
    FanOut(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a subscription could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It names no channel.
    #[error("a subscription needs at least one channel")]
    NoChannel,
    /// A limit of the hub was reached.
    #[error(transparent)]
    Limit(#[from] LimitReached),
}
