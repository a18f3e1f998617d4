//! Why a session ends: one table, from which the WebSocket close code and the ending of an event stream follow.

use std::fmt;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Every channel that it followed is finished.
    Finished,
    /// The client went away or said goodbye.
    Left,
    /// The server shuts down.
    Shutdown,
    /// The subscription lagged behind its [`LagRule::Disconnect`](crate::LagRule::Disconnect).
    Slow,
    /// The client took nothing for as long as the write deadline.
    Stalled,
    /// The client neither sent anything nor answered a ping.
    Unresponsive,
    /// A limit of the server was reached.
    Busy,
    /// What the client missed could not be read from the broker in time.
    Unavailable,
    /// The client sent a message above the inbound limit.
    TooLarge,
    /// The client broke the protocol.
    Protocol,
    /// Text that is not UTF-8.
    NotUtf8,
    /// The client sent too many messages in a row that made no sense.
    BadMessages,
    /// The session's time is over, and nothing renewed it.
    Expired,
    /// The application ended the user's sessions.
    Disconnected,
    /// The application took back the right to follow a channel.
    Revoked,
    /// Something failed on the server.
    Internal,
}

/// What a client should do once its session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconnect {
    /// Come back with the last cursor, after the usual wait.
    Yes,
    /// Stay away: coming back would end the same way.
    No,
}

/// One row of the table.
struct Row {
    code: u16,
    name: &'static str,
    text: &'static str,
    reconnect: Reconnect,
}

impl CloseReason {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Finished,
        Self::Left,
        Self::Shutdown,
        Self::Slow,
        Self::Stalled,
        Self::Unresponsive,
        Self::Busy,
        Self::Unavailable,
        Self::TooLarge,
        Self::Protocol,
        Self::NotUtf8,
        Self::BadMessages,
        Self::Expired,
        Self::Disconnected,
        Self::Revoked,
        Self::Internal,
    ];

    /// The WebSocket close code (RFC 6455 section 7.4; from 4000 on ours).
    #[must_use]
    pub fn code(self) -> u16 {
        self.row().code
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// A sentence for a person who reads a log.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.row().text
    }

    /// What the client should do.
    #[must_use]
    pub fn reconnect(self) -> Reconnect {
        self.row().reconnect
    }

    /// Whether the client has no right any more to what it would still do.
    #[must_use]
    pub fn ends_access(self) -> bool {
        matches!(self, Self::Expired | Self::Disconnected | Self::Revoked)
    }

    fn row(self) -> Row {
        use Reconnect::{No, Yes};
        let (code, name, text, reconnect) = match self {
            Self::Finished => (1000, "finished", "the channel is finished", No),
            Self::Left => (1000, "left", "the client left", No),
            Self::Shutdown => (1012, "shutdown", "the server restarts, come back", Yes),
            Self::Slow => (4001, "slow", "too far behind, resume with the last id", Yes),
            Self::Stalled => (
                4002,
                "stalled",
                "nothing was taken within the write deadline",
                Yes,
            ),
            Self::Unresponsive => (4003, "unresponsive", "no sign of life within the deadline", Yes),
            Self::Busy => (
                1013,
                "busy",
                "a limit of the server is reached, try again later",
                Yes,
            ),
            Self::Unavailable => (
                1013,
                "unavailable",
                "what was missed could not be read in time, come back",
                Yes,
            ),
            Self::TooLarge => (
                1009,
                "too-large",
                "the message is larger than the inbound limit",
                No,
            ),
            Self::Protocol => (1002, "protocol", "the client broke the protocol", No),
            Self::NotUtf8 => (1007, "not-utf8", "a text message is not UTF-8", No),
            Self::BadMessages => (
                1008,
                "bad-messages",
                "too many messages in a row made no sense",
                No,
            ),
            Self::Expired => (
                4004,
                "expired",
                "the session expired, come back with a new token",
                Yes,
            ),
            Self::Disconnected => (4005, "disconnected", "the application ended the session", No),
            Self::Revoked => (
                4006,
                "revoked",
                "a channel may no longer be followed, ask again",
                Yes,
            ),
            Self::Internal => (1011, "internal", "something failed on the server", Yes),
        };
        Row {
            code,
            name,
            text,
            reconnect,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_close_frame() {
        let names: HashSet<_> = CloseReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), CloseReason::ALL.len());
        // RFC 6455 section 5.5: a control frame has at most 125 bytes, two of them the code.
        assert!(CloseReason::ALL.iter().all(|reason| reason.text().len() <= 123));
    }
}
