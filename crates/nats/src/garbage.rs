//! What is wrong with a message that is none of ours.
//!
//! Anybody with the right may publish into a hub's log, so each of these is expected: it is counted and left out, and harms nobody.

use dualcast_core::{MessageError, count_garbage};

/// Why a message is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbage {
    #[error("its subject names no channel")]
    Subject,
    #[error("it does not bear what the server says of a record of this stream")]
    Stamp,
    #[error("its headers are not readable")]
    Headers,
    #[error("the header {0} stands there more than once")]
    Doubled(&'static str),
    #[error("the header {0} is not percent-encoded text")]
    Encoding(&'static str),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("its type is neither text nor json nor binary")]
    Type,
    #[error("its text is not UTF-8")]
    Text,
    #[error("its JSON is none")]
    Json,
    #[error("it is larger than `max_message_bytes`")]
    Size,
    #[error("an end that is more than an end, or none")]
    Finish,
    #[error("an order that there is not, or that lacks something")]
    Order,
}

/// Counts a message that is left out.
pub(crate) fn leave_out(garbage: &Garbage) {
    count_garbage(garbage.kind());
    tracing::debug!(%garbage, "a message is left out");
}

impl Garbage {
    /// Its kind, to be counted by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Stamp => "stamp",
            Self::Headers | Self::Doubled(_) | Self::Encoding(_) => "headers",
            Self::Message(_) => "message",
            Self::Type => "type",
            Self::Text => "text",
            Self::Json => "json",
            Self::Size => "size",
            Self::Finish => "finish",
            Self::Order => "order",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_by_few_kinds() {
        for headers in [Garbage::Headers, Garbage::Doubled("A"), Garbage::Encoding("B")] {
            assert_eq!(headers.kind(), "headers");
        }
        assert_eq!(Garbage::Message(MessageError::EventEmpty).kind(), "message");
    }
}
