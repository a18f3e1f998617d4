//! What can go wrong when one publishes or subscribes.

use std::error::Error;

use crate::message::MessageError;
use crate::meters::count_refused;
use crate::presence::MemberError;

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
    /// The fan-out could not carry it. It is certainly not in the log.
    #[error("not published: {0}")]
    NotLogged(#[source] Box<dyn Error + Send + Sync>),
    /// The fan-out took it and gave no answer in time: it may be in the log, or come into it. With an
    /// [idempotency key](crate::Message::idempotency_key) it can be published again without harm.
    #[error("perhaps published: {0}")]
    Unconfirmed(#[source] Box<dyn Error + Send + Sync>),
}

impl PublishError {
    /// Whether the message may be in the log all the same. Else it certainly is not, and never will be.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Unconfirmed(_))
    }
}

/// Why a subscription could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It names no channel.
    #[error("a subscription needs at least one channel")]
    NoChannel,
    /// Whoever was to be present breaks a rule.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A limit of the hub was reached.
    #[error(transparent)]
    Limit(#[from] LimitReached),
}
