//! Fan-outs: what carries messages between nodes, and the one that needs none.

use futures::future::{BoxFuture, Either, Ready};

use crate::error::PublishError;
use crate::idempotency::SeenKeys;
use crate::ingest::Ingest;
use crate::message::Message;
use crate::name::ChannelName;
use crate::position::Position;
use crate::sync::Mutex;

/// A publish under way: done already, or waiting for a broker.
pub type Publishing<'a> =
    Either<Ready<Result<Position, PublishError>>, BoxFuture<'a, Result<Position, PublishError>>>;

/// What carries messages between the nodes of an application, and gives them their place in the hub's order.
///
/// The messages that it is handed have passed the hub's checks.
pub trait FanOut: Send + Sync + 'static {
    /// Carries a message to be logged, and answers its position. A repeat, by its idempotency key, answers the first one's.
    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a>;

    /// Ends a channel.
    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a>;

    /// Carries a message that is not logged, as far as that is possible now.
    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message);

    /// Is called about once a second.
    fn maintain(&self, ingest: &Ingest) {
        let _ = ingest;
    }
}

/// The embedded fan-out: one node, the order is a counter, the log is this process's memory.
#[derive(Debug, Default)]
pub struct Local {
    seen_keys: Mutex<SeenKeys>,
}

impl FanOut for Local {
    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a> {
        ready(self.publish_now(ingest, channel, message))
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a> {
        ready(ingest.append_finish(channel))
    }

    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        ingest.send_volatile(channel, message);
    }

    fn maintain(&self, ingest: &Ingest) {
        self.seen_keys.lock().forget_aged(ingest.now(), ingest.limits());
    }
}

impl Local {
    fn publish_now(
        &self,
        ingest: &Ingest,
        channel: &ChannelName,
        message: Message,
    ) -> Result<Position, PublishError> {
        let Some(key) = message.get_idempotency_key() else {
            return ingest.append(channel, message);
        };
        // Held until the message is logged: of two repeats at the same time one appends and the other finds it.
        let mut seen_keys = self.seen_keys.lock();
        let key = seen_keys.fingerprint(channel, message.get_sender(), key);
        let now = ingest.now();
        if let Some(first) = seen_keys.find(key, now, ingest.limits()) {
            return Ok(first);
        }
        seen_keys.check_room(ingest.limits())?;
        let appended = ingest.logs.append(channel, Some(message))?;
        seen_keys.remember(key, appended.position, now);
        drop(seen_keys);
        Ok(ingest.logs.announce(appended))
    }
}

fn ready<'a>(result: Result<Position, PublishError>) -> Publishing<'a> {
    Either::Left(futures::future::ready(result))
}
