//! Channels: the handle by which an application publishes and subscribes.

use std::fmt;

use crate::error::PublishError;
use crate::hub::Hub;
use crate::message::Message;
use crate::name::ChannelName;
use crate::position::Position;
use crate::presence::Presence;
use crate::record;
use crate::subscribe::Subscribe;

/// A named, ordered stream of messages. Cheap to make and to clone; it takes no memory in the hub before somebody
/// publishes to it or follows it.
#[derive(Clone)]
pub struct Channel {
    hub: Hub,
    name: ChannelName,
}

impl Channel {
    pub(crate) fn new(hub: Hub, name: ChannelName) -> Self {
        Self { hub, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Its hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Publishes a logged message and answers its position: once this returns, every follower reads it, and a client that
    /// resumes finds it. It never waits for a subscriber.
    ///
    /// A [volatile](Message::volatile) message has no position of its own: the answer is the place it was sent at.
    ///
    /// # Errors
    ///
    /// [`PublishError`] says which rule or limit the message broke, or that the channel is finished. Then it is not in the log, unless the
    /// error [says otherwise](PublishError::is_unconfirmed).
    pub async fn publish(&self, message: Message) -> Result<Position, PublishError> {
        message.check()?;
        let ingest = self.hub.ingest();
        let limits = ingest.limits();
        check_size(
            message.payload().len(),
            "max_message_bytes",
            limits.max_message_bytes,
        )?;
        if message.is_volatile() {
            check_size(
                record::cost(&message),
                "max_volatile_bytes",
                limits.max_volatile_bytes,
            )?;
            self.hub.fan_out().send_volatile(ingest, &self.name, message);
            return Ok(self.hub.position());
        }
        self.hub.fan_out().publish(ingest, &self.name, message).await
    }

    /// Ends the channel: a logged record after which nothing follows. Followers get what stands before it, then the end.
    /// The end is remembered as long as the channel is in memory; after that its name is free again.
    ///
    /// # Errors
    ///
    /// [`PublishError::Finished`] if it has ended already.
    pub async fn finish(&self) -> Result<Position, PublishError> {
        self.hub.fan_out().finish(self.hub.ingest(), &self.name).await
    }

    /// A subscription to this channel, from now on unless told otherwise.
    pub fn subscribe(&self) -> Subscribe {
        Subscribe::new(self.hub.clone(), vec![self.name.clone()])
    }

    /// Who is there.
    #[must_use]
    pub fn presence(&self) -> Presence {
        Presence::of(self.clone())
    }

    /// How many subscriptions follow it on this node.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.hub
            .ingest()
            .logs
            .find(&self.name)
            .map_or(0, |cell| cell.lock().followers)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.name).finish()
    }
}

fn check_size(bytes: usize, limit: &'static str, max: usize) -> Result<(), PublishError> {
    if bytes > max {
        return Err(PublishError::TooLarge { bytes, limit, max });
    }
    Ok(())
}
