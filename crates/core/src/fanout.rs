//! Fan-outs: what carries messages between nodes, and the one that needs none.

use futures::future::{BoxFuture, Either, Ready};

use crate::error::PublishError;
use crate::health::Health;
use crate::history::{History, Wanted};
use crate::hub::WeakHub;
use crate::idempotency::SeenKeys;
use crate::ingest::Ingest;
use crate::message::{Identity, Message};
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
    /// Is called once, when the hub is built: from here on it may bring what other nodes published. One that brings numbers of its
    /// own begins the first life here, before anybody can open a subscription with a cursor of it. A handle that kept the
    /// hub alive would keep it for ever, since the hub keeps the fan-out.
    fn start(&self, hub: WeakHub) {
        let _ = hub;
    }

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

    /// What it knows of a channel that the hub's memory doesn't. None where memory is all there is: then what it lacks is a gap.
    fn history(&self, ingest: &Ingest, wanted: Wanted) -> Option<History> {
        let _ = (ingest, wanted);
        None
    }

    /// Whether it wants to be told of followers.
    fn minds_followers(&self) -> bool {
        false
    }

    /// Somebody follows a channel here that nobody followed: volatile messages of it are of use from here on.
    fn followed(&self, channel: &ChannelName) {
        let _ = channel;
    }

    /// Nobody follows a channel any more.
    fn unfollowed(&self, channel: &ChannelName) {
        let _ = channel;
    }

    /// Carries an order to all other nodes.
    fn send_order(&self, order: Order) {
        let _ = order;
    }

    /// Whether it tells other nodes who is present here.
    fn shares_presence(&self) -> bool {
        false
    }

    /// Somebody watches who is present on some channel, or [what is known here](Ingest::take_presence) of that has changed. May be told more often than
    /// that, and often.
    fn presence_changed(&self) {}

    /// How it is.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Is called about once a second.
    fn maintain(&self, ingest: &Ingest) {
        let _ = ingest;
    }
}

/// What all nodes are to do with the sessions that they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// End those of a user: [`Hub::disconnect`](crate::Hub::disconnect).
    Disconnect(Identity),
    /// Let those of a user follow a channel no longer: [`Hub::unsubscribe`](crate::Hub::unsubscribe).
    Unsubscribe(Identity, ChannelName),
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
