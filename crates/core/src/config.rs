//! Every limit of a hub, with its unit, its default and why.

use std::time::Duration;

use crate::record::RECORD_OVERHEAD_BYTES;

/// How much of a channel its log keeps. Whichever bound is crossed first trims the oldest records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLimits {
    /// The most records. Default 1,000. At least 1: live followers, too, read from the log.
    pub max_records: usize,
    /// The most bytes: of messages as they were published, and [`RECORD_OVERHEAD_BYTES`] for each record. Default 4 MiB,
    /// three messages of the largest size. Encodings come on top: one copy for each transport that has followers.
    pub max_bytes: usize,
    /// The greatest age. Default 5 minutes: longer than a phone takes from one network to the next, short enough
    /// that a quiet channel leaves memory. Never exact: records past it go at the next
    /// [`maintain`](crate::Hub::maintain).
    pub max_age: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_records: 1_000,
            max_bytes: 4 << 20,
            max_age: Duration::from_secs(5 * 60),
        }
    }
}

/// The limits of a hub as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest payload, in bytes. Default 1 MiB.
    pub max_message_bytes: usize,
    /// The most bytes of all logs together, counted as in [`LogLimits::max_bytes`]. Default 256 MiB. Past it, the records
    /// nearest to their age limit go first, whichever channel they are in.
    pub max_log_bytes: usize,
    /// The most channels in memory: those with followers or records. Default 1,000,000.
    pub max_channels: usize,
    /// The most channels in one subscription. Default 100.
    pub max_channels_per_subscription: usize,
    /// The most subscriptions at a time. Default 200,000.
    pub max_subscriptions: usize,
    /// The most client connections at a time, of both transports. Default 100,000.
    pub max_sessions: usize,
    /// For how long an idempotency key is remembered. Default 2 minutes.
    pub idempotency_window: Duration,
    /// The most idempotency keys that are remembered at a time, some 64 bytes each. Default 262,144, which is 2,184 a
    /// second over the default window. Past it a publish with a new key is refused rather than an older key forgotten.
    pub max_idempotency_keys: usize,
    /// The most channels of which it is remembered how far they were trimmed, after they left memory. Default 100,000,
    /// some 150 bytes each. Past it, those longest out of use may answer a resume with a gap that was none.
    pub max_tombstones: usize,
    /// The most records of which it is remembered when a broker stored them, after they left memory, 4 bytes each. Default
    /// 1,000,000. It tells a cursor of a lost history from one of this log without asking the broker.
    pub max_checks: usize,
    /// The most volatile messages that wait for a channel's followers. Default 64. Of those with one conflation key only the newest waits: for
    /// a hundred cursors on a canvas it takes a hundred places, however often they move.
    pub max_volatile_messages: usize,
    /// The most bytes of them, counted as in [`LogLimits::max_bytes`]. Default 64 KiB. A volatile message that is
    /// larger alone is refused.
    pub max_volatile_bytes: usize,
    /// For how long a volatile message waits for a follower that lags. Default 2 seconds.
    pub max_volatile_age: Duration,
    /// For how long somebody whose last session has ended is still shown as present, and up to a second more. Default 15 seconds: a client
    /// that comes back does so within about five, after a restart within ten, and nobody sees that it was away.
    pub presence_grace: Duration,
    /// The most members of a channel that are told by name. Default 100. Of a larger room watchers hear how many are there and
    /// so many of them, once a second.
    pub max_presence_sample: usize,
    /// The most bytes that a [member](crate::Member)'s data have, as JSON. Default 1 KiB: a name, a colour, the address of a picture.
    pub max_member_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 1 << 20,
            max_log_bytes: 256 << 20,
            max_channels: 1_000_000,
            max_channels_per_subscription: 100,
            max_subscriptions: 200_000,
            max_sessions: 100_000,
            idempotency_window: Duration::from_secs(2 * 60),
            max_idempotency_keys: 1 << 18,
            max_tombstones: 100_000,
            max_checks: 1_000_000,
            max_volatile_messages: 64,
            max_volatile_bytes: 64 << 10,
            max_volatile_age: Duration::from_secs(2),
            presence_grace: Duration::from_secs(15),
            max_presence_sample: 100,
            max_member_bytes: 1 << 10,
        }
    }
}

impl Limits {
    /// Limits that contradict each other are found when the hub is built, not when the first large message is lost.
    pub(crate) fn check(&self, log: &LogLimits) -> Result<(), ConfigError> {
        log.check()?;
        let largest = self
            .max_message_bytes
            .saturating_add(RECORD_OVERHEAD_BYTES + 1_024);
        if log.max_bytes < largest {
            return Err(ConfigError::LogBelowMessage {
                log_bytes: log.max_bytes,
                message_bytes: largest,
            });
        }
        if self.max_log_bytes < log.max_bytes {
            return Err(ConfigError::HubBelowLog {
                hub_bytes: self.max_log_bytes,
                log_bytes: log.max_bytes,
            });
        }
        Ok(())
    }
}

impl LogLimits {
    fn check(&self) -> Result<(), ConfigError> {
        if self.max_records == 0 || self.max_age.is_zero() {
            return Err(ConfigError::EmptyLog);
        }
        Ok(())
    }
}

/// Limits that can't hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`LogLimits::max_records`] or [`LogLimits::max_age`] is zero.
    #[error("`max_records` and `max_age` of a log must be above zero: live followers read from the log, too")]
    EmptyLog,
    /// A message of the largest size would trim itself.
    #[error(
        "a log's `max_bytes` ({log_bytes}) must hold a message of `max_message_bytes` \
         with its overhead ({message_bytes})"
    )]
    LogBelowMessage {
        /// [`LogLimits::max_bytes`].
        log_bytes: usize,
        /// The largest message with its overhead.
        message_bytes: usize,
    },
    /// One full log would not fit into the hub.
    #[error("the hub's `max_log_bytes` ({hub_bytes}) must hold one full log's `max_bytes` ({log_bytes})")]
    HubBelowLog {
        /// [`Limits::max_log_bytes`].
        hub_bytes: usize,
        /// [`LogLimits::max_bytes`].
        log_bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_together() {
        assert_eq!(Limits::default().check(&LogLimits::default()), Ok(()));
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let limits = Limits::default();
        let log = LogLimits {
            max_records: 0,
            ..LogLimits::default()
        };
        assert_eq!(limits.check(&log), Err(ConfigError::EmptyLog));
        let log = LogLimits {
            max_bytes: 1 << 20,
            ..LogLimits::default()
        };
        assert!(matches!(
            limits.check(&log),
            Err(ConfigError::LogBelowMessage { .. })
        ));
        let log = LogLimits {
            max_bytes: 1 << 30,
            ..LogLimits::default()
        };
        assert!(matches!(limits.check(&log), Err(ConfigError::HubBelowLog { .. })));
    }
}
