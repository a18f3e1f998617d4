//! Lag rules: what a subscription does when it falls behind.

/// What a slow subscription does. The rule acts when the subscription lies more than its [`MaxLag`] behind the end of its
/// channels: choose it below what the [log keeps](crate::LogLimits), or the trim comes first.
///
/// Whatever the rule, a subscription that the trim overtakes is told so by a gap, and goes on from the log's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LagRule {
    /// Keep reading from the log.
    #[default]
    CatchUp,
    /// Jump to the end of the log, with a gap that says what was skipped.
    Skip(MaxLag),
    /// Of the messages with one [conflation key](crate::Message::conflation_key), read only the newest, and be told how many
    /// were left out. Messages without a key are all read, and so is everything once it has caught up.
    Conflate(MaxLag),
    /// End, with a reason that says: come back with your cursor.
    Disconnect(MaxLag),
}

/// How far a subscription may fall behind: records or bytes, whichever is crossed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLag {
    /// The most records between its cursor and the end, over all of its channels.
    pub records: u64,
    /// The most bytes between them, counted as in [`LogLimits::max_bytes`](crate::LogLimits::max_bytes).
    pub bytes: u64,
}

impl MaxLag {
    /// So many records behind.
    #[must_use]
    pub fn records(records: u64) -> Self {
        Self {
            records,
            bytes: u64::MAX,
        }
    }

    /// So many bytes behind.
    #[must_use]
    pub fn bytes(bytes: u64) -> Self {
        Self {
            records: u64::MAX,
            bytes,
        }
    }
}

/// How far a subscription is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lag {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl LagRule {
    /// Whether a lag is more than the rule lets pass.
    pub(crate) fn is_crossed(self, lag: Lag) -> bool {
        match self {
            Self::CatchUp => false,
            Self::Skip(max) | Self::Conflate(max) | Self::Disconnect(max) => {
                lag.records > max.records || lag.bytes > max.bytes
            }
        }
    }
}
