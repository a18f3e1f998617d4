//! The channel, with a number of our own on every message, so that a page can tell by itself whether one is missing.
//!
//! Dualcast's ids say where a message stands and not how many there are, and a page should not have to believe them anyway.
//! So each message bears `n`: 1, 2, 3, in the order of the log, without a hole; and `at`, when it was published.

use std::time::{SystemTime, UNIX_EPOCH};

use dualcast::{Channel, Error, Message, Position};
use serde::Serialize;
use tokio::sync::Mutex;

/// Publishes, and numbers what it publishes.
pub(crate) struct Journal {
    channel: Channel,
    /// How many messages there are. Held while one is published, so that numbers and log have one order.
    count: Mutex<u64>,
}

#[derive(Serialize)]
struct Numbered<T> {
    n: u64,
    at: f64,
    #[serde(flatten)]
    what: T,
}

/// A message of which there are many at once, from number `first` to number `last`.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Burst {
    first: u64,
    last: u64,
}

impl Journal {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            count: Mutex::default(),
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) async fn publish(&self, event: &'static str, what: impl Serialize) -> Result<Position, Error> {
        self.publish_once(event, what, None).await
    }

    /// The same, where a repeat under an idempotency key is no message of its own: it has no number, and the first one's position.
    pub(crate) async fn publish_once(
        &self,
        event: &'static str,
        what: impl Serialize,
        key: Option<&str>,
    ) -> Result<Position, Error> {
        self.write(&mut *self.count.lock().await, event, what, key).await
    }

    /// Publishes so many messages, as fast as it goes.
    pub(crate) async fn publish_burst(&self, length: u64) -> Result<Burst, Error> {
        let mut count = self.count.lock().await;
        let burst = Burst {
            first: *count + 1,
            last: *count + length,
        };
        for _ in 0..length {
            self.write(&mut count, "burst", burst, None).await?;
        }
        Ok(burst)
    }

    /// Nothing is published while this is held.
    pub(crate) async fn hold(&self) -> impl Sized + use<'_> {
        self.count.lock().await
    }

    async fn write(
        &self,
        count: &mut u64,
        event: &'static str,
        what: impl Serialize,
        key: Option<&str>,
    ) -> Result<Position, Error> {
        let numbered = Numbered {
            n: *count + 1,
            at: now(),
            what,
        };
        let mut message = Message::json(event, &numbered)?;
        if let Some(key) = key {
            message = message.idempotency_key(key);
        }
        let before = self.channel.hub().position();
        let position = self.channel.publish(message).await?;
        // What could not be published has no number, and a repeat has one already.
        if position > before {
            *count += 1;
        }
        Ok(position)
    }
}

/// Milliseconds since 1970, to the microsecond: what `performance.timeOrigin + performance.now()` is in a page.
pub(crate) fn now() -> f64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use dualcast::{Hub, Item, Payload};
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn numbers_are_those_of_the_log_without_a_hole() {
        let journal = Journal::new(Hub::new().channel("journal").unwrap());
        let mut subscription = journal.channel().subscribe().open().unwrap();
        journal.publish("note", json!({ "text": "one" })).await.unwrap();
        let refused = journal.publish("dualcast:gap", json!({})).await;
        assert!(refused.is_err(), "what is not published");
        let burst = journal.publish_burst(3).await.unwrap();
        assert_eq!((burst.first, burst.last), (2, 4));

        let items = subscription.read(1 << 16).unwrap();
        let numbers: Vec<u64> = items.iter().map(number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_repeat_takes_no_number() {
        let journal = Journal::new(Hub::new().channel("journal").unwrap());
        let mut subscription = journal.channel().subscribe().open().unwrap();
        let once = || journal.publish_once("note", json!({ "text": "one" }), Some("a key"));
        let first = once().await.unwrap();
        journal.publish("note", json!({ "text": "two" })).await.unwrap();
        assert_eq!(once().await.unwrap(), first);
        journal.publish("note", json!({ "text": "three" })).await.unwrap();

        let items = subscription.read(1 << 16).unwrap();
        let numbers: Vec<u64> = items.iter().map(number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    fn number(item: &Item) -> u64 {
        let Item::Record(record) = item else {
            panic!("{item:?} is no record");
        };
        match record.message().map(Message::payload) {
            Some(Payload::Json(json)) => serde_json::from_str::<Value>(json).unwrap()["n"]
                .as_u64()
                .unwrap(),
            other => panic!("{other:?} is no JSON"),
        }
    }
}
