//! The ingest point: where a fan-out hands over what it carried.

use std::sync::Arc;
use std::time::Instant;

use crate::config::Limits;
use crate::error::PublishError;
use crate::logs::Logs;
use crate::message::Message;
use crate::name::ChannelName;
use crate::position::Position;

/// The one way into a hub's logs. It gives each record its number, appends it, moves the head, and then wakes
/// whoever follows, in this order.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub(crate) logs: Arc<Logs>,
}

impl Ingest {
    /// Logs a message at the next place in the order.
    ///
    /// # Errors
    ///
    /// [`PublishError::Finished`] after the channel's end, [`PublishError::TooLarge`] where its log could not hold the message,
    /// [`PublishError::Limit`] when there are too many channels.
    pub fn append(&self, channel: &ChannelName, message: Message) -> Result<Position, PublishError> {
        let appended = self.logs.append(channel, Some(message))?;
        Ok(self.logs.announce(appended))
    }

    /// Logs the end of a channel.
    ///
    /// # Errors
    ///
    /// As for [`Ingest::append`].
    pub fn append_finish(&self, channel: &ChannelName) -> Result<Position, PublishError> {
        let appended = self.logs.append(channel, None)?;
        Ok(self.logs.announce(appended))
    }

    /// Hands a message to whoever follows its channel now.
    pub fn send_volatile(&self, channel: &ChannelName, message: Message) {
        self.logs.send_volatile(channel, message);
    }

    /// The hub's limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.logs.limits
    }

    /// The time on the hub's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.logs.now()
    }
}
