//! How a message stands in NATS, and back.
//!
//! The channel is in the subject, the payload is the payload, and the rest is in headers, of which each may be missing:
//!
//! | header | says |
//! |---|---|
//! | `Dualcast-Event` | the event name; without it `message` |
//! | `Dualcast-Type` | `text`, `json` or `binary`; without it text where that is UTF-8, else binary |
//! | `Dualcast-Key` | the conflation key |
//! | `Dualcast-Sender` | the sender |
//! | `Dualcast-Finish` | `1`: the channel's end, which has no payload |
//! | `Nats-Msg-Id` | made of the idempotency key; see `message_id.rs` |
//! | `Dualcast-Order` | to all nodes, on a subject of its own: `disconnect`, `unsubscribe`, `canary`, `life` |
//! | `Dualcast-Identity`, `Dualcast-Channel` | of whom, and from what |
//! | `Dualcast-Node`, `Dualcast-Age` | by which node, and how many milliseconds before it was sent |
//!
//! So what any client publishes to `{prefix}.log.{channel}` without headers is a message with text. Values are percent-encoded where
//! they have to be (`percent.rs`).

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{HeaderValue, NATS_MESSAGE_ID};
use bytes::Bytes;
use dualcast_core::{ChannelName, Identity, Message, Order as NodesOrder, Payload};
use serde_json::value::RawValue;

use crate::garbage::Garbage;
use crate::message_id::message_id;
use crate::percent;
use crate::subjects::{Place, Subjects};

/// What is published.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

/// What was published.
#[derive(Debug, Clone)]
pub(crate) enum Incoming {
    Message(ChannelName, Message),
    Finish(ChannelName),
    Order(Order),
}

/// What is said to all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Do this with the sessions that you have.
    Nodes(Told),
    /// Nothing: a node looks whether what it says comes back to it.
    Canary(String),
    /// Another life of the log begins: look at how the stream stands.
    Life,
}

/// An order to all nodes, as one of them tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) order: NodesOrder,
    /// Which node it is, by an id of its own. Empty where that isn't said.
    pub(crate) by: String,
    /// For how long it had been on its way when it was sent.
    pub(crate) age: Duration,
}

impl Outgoing {
    /// A message, logged or not.
    pub(crate) fn message(subjects: &Subjects, channel: &ChannelName, message: &Message) -> Self {
        let mut headers = HeaderMap::new();
        if message.event() != DEFAULT_EVENT {
            insert(&mut headers, EVENT, message.event());
        }
        let (kind, payload) = match message.payload() {
            Payload::Json(json) if is_json(json) => (Some(JSON), Bytes::copy_from_slice(json.as_bytes())),
            // What only claims to be JSON is text, as it is in process; no node would take it for a message.
            Payload::Text(text) | Payload::Json(text) => (None, Bytes::copy_from_slice(text.as_bytes())),
            Payload::Binary(bytes) => (Some(BINARY), bytes.clone()),
        };
        if let Some(kind) = kind {
            headers.insert(TYPE, kind);
        }
        if let Some(key) = message.get_conflation_key() {
            insert(&mut headers, KEY, key);
        }
        let sender = message.get_sender();
        if let Some(sender) = sender {
            insert(&mut headers, SENDER, sender.as_str());
        }
        if let Some(key) = message.get_idempotency_key() {
            headers.insert(NATS_MESSAGE_ID, message_id(channel, sender, key));
        }
        let subject = if message.is_volatile() {
            subjects.volatile(channel)
        } else {
            subjects.log(channel)
        };
        Self {
            subject,
            headers,
            payload,
        }
    }

    /// The end of a channel.
    pub(crate) fn finish(subjects: &Subjects, channel: &ChannelName) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(FINISH, "1");
        Self {
            subject: subjects.log(channel),
            headers,
            payload: Bytes::new(),
        }
    }

    /// What is said to all nodes.
    pub(crate) fn order(subjects: &Subjects, order: &Order) -> Self {
        let mut headers = HeaderMap::new();
        let mut payload = Bytes::new();
        let name = match order {
            Order::Nodes(told) => {
                headers.insert(NODE, &*told.by);
                headers.insert(AGE, told.age.as_millis().to_string());
                match &told.order {
                    NodesOrder::Disconnect(identity) => {
                        insert(&mut headers, IDENTITY, identity.as_str());
                        DISCONNECT
                    }
                    NodesOrder::Unsubscribe(identity, channel) => {
                        insert(&mut headers, IDENTITY, identity.as_str());
                        insert(&mut headers, CHANNEL, channel.as_str());
                        UNSUBSCRIBE
                    }
                }
            }
            Order::Canary(id) => {
                payload = Bytes::copy_from_slice(id.as_bytes());
                CANARY
            }
            Order::Life => LIFE,
        };
        headers.insert(ORDER, name);
        Self {
            subject: subjects.control(),
            headers,
            payload,
        }
    }

    /// Whether it can be published again without being stored twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.headers.get(NATS_MESSAGE_ID).is_some()
    }

    /// Makes it so.
    pub(crate) fn make_repeatable(&mut self, id: &str) {
        self.headers.insert(NATS_MESSAGE_ID, id);
    }

    /// What a server counts against its `max_payload`: the payload and the headers, in bytes.
    pub(crate) fn size(&self) -> usize {
        let lines = self.headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values
                .iter()
                .map(move |value| name.len() + value.as_str().len() + ": \r\n".len())
        });
        let lines: usize = lines.sum();
        let framing = if self.headers.is_empty() {
            0
        } else {
            "NATS/1.0\r\n\r\n".len()
        };
        framing + lines + self.payload.len()
    }
}

impl Incoming {
    /// Reads a record. The payload becomes the message's: it must not be a part of something larger.
    ///
    /// # Errors
    ///
    /// [`Garbage`] says what is wrong with it.
    pub(crate) fn record(
        subjects: &Subjects,
        subject: &str,
        headers: &HeaderMap,
        payload: Bytes,
    ) -> Result<Self, Garbage> {
        let channel = match subjects.place(subject).ok_or(Garbage::Subject)? {
            Place::Control => return order(headers, payload).map(Self::Order),
            Place::Channel(channel) => channel,
        };
        let finish = one(headers, FINISH)?;
        if let Some(finish) = finish {
            let is_end = finish.as_str() == "1" && payload.is_empty();
            return if is_end {
                Ok(Self::Finish(channel))
            } else {
                Err(Garbage::Finish)
            };
        }
        let message = message(headers, payload)?;
        message.check()?;
        Ok(Self::Message(channel, message))
    }

    /// Reads a message that was not logged. The payload becomes the message's, as above.
    ///
    /// # Errors
    ///
    /// [`Garbage`] says what is wrong with it.
    pub(crate) fn volatile(
        subjects: &Subjects,
        subject: &str,
        headers: &HeaderMap,
        payload: Bytes,
    ) -> Result<Self, Garbage> {
        let channel = subjects.volatile_place(subject).ok_or(Garbage::Subject)?;
        let message = message(headers, payload)?.volatile();
        message.check()?;
        Ok(Self::Message(channel, message))
    }
}

/// An id that no other has.
pub(crate) fn random_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn message(headers: &HeaderMap, payload: Bytes) -> Result<Message, Garbage> {
    let payload = match one(headers, TYPE)?.map(HeaderValue::as_str) {
        None => match String::from_utf8(payload.into()) {
            Ok(text) => Payload::Text(text.into()),
            Err(error) => Payload::Binary(error.into_bytes().into()),
        },
        Some(TEXT) => {
            let text = String::from_utf8(payload.into()).map_err(|_| Garbage::Text)?;
            Payload::Text(text.into())
        }
        Some(JSON) => {
            let json: &RawValue = serde_json::from_slice(&payload).map_err(|_| Garbage::Json)?;
            Payload::Json(json.get().into())
        }
        Some(BINARY) => Payload::Binary(payload),
        Some(_) => return Err(Garbage::Type),
    };
    let event = text(headers, EVENT)?.unwrap_or(DEFAULT_EVENT.to_owned());
    let mut message = Message::new(event, payload);
    if let Some(key) = text(headers, KEY)? {
        message = message.conflation_key(key);
    }
    if let Some(sender) = text(headers, SENDER)? {
        message = message.sender(Identity::new(sender));
    }
    Ok(message)
}

fn order(headers: &HeaderMap, payload: Bytes) -> Result<Order, Garbage> {
    match one(headers, ORDER)?.map(HeaderValue::as_str) {
        Some(kind @ (DISCONNECT | UNSUBSCRIBE)) => told(kind, headers).map(Order::Nodes),
        Some(LIFE) => Ok(Order::Life),
        Some(CANARY) if payload.len() <= MAX_CANARY_BYTES => {
            let id = String::from_utf8(payload.into()).map_err(|_| Garbage::Order)?;
            Ok(Order::Canary(id))
        }
        _ => Err(Garbage::Order),
    }
}

fn told(kind: &str, headers: &HeaderMap) -> Result<Told, Garbage> {
    let identity = text(headers, IDENTITY)?
        .map(Identity::new)
        .ok_or(Garbage::Order)?;
    let order = if kind == DISCONNECT {
        NodesOrder::Disconnect(identity)
    } else {
        let channel = text(headers, CHANNEL)?.ok_or(Garbage::Order)?;
        let channel = ChannelName::parse(&channel).map_err(|_| Garbage::Order)?;
        NodesOrder::Unsubscribe(identity, channel)
    };
    let age = match one(headers, AGE)? {
        Some(age) => age.as_str().parse().map_err(|_| Garbage::Order)?,
        None => 0,
    };
    Ok(Told {
        order,
        by: text(headers, NODE)?.unwrap_or_default(),
        age: Duration::from_millis(age),
    })
}

fn insert(headers: &mut HeaderMap, name: &'static str, text: &str) {
    headers.insert(name, &*percent::encode(text));
}

/// A header of which there may be one.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a HeaderValue>, Garbage> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Garbage::Doubled(name)),
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Garbage> {
    let Some(value) = one(headers, name)? else {
        return Ok(None);
    };
    let text = percent::decode(value.as_str()).ok_or(Garbage::Encoding(name))?;
    Ok(Some(text.into_owned()))
}

const EVENT: &str = "Dualcast-Event";
const TYPE: &str = "Dualcast-Type";
const KEY: &str = "Dualcast-Key";
const SENDER: &str = "Dualcast-Sender";
const FINISH: &str = "Dualcast-Finish";
const ORDER: &str = "Dualcast-Order";
const IDENTITY: &str = "Dualcast-Identity";
const CHANNEL: &str = "Dualcast-Channel";
const NODE: &str = "Dualcast-Node";
const AGE: &str = "Dualcast-Age";

const TEXT: &str = "text";
const JSON: &str = "json";
const BINARY: &str = "binary";

const DISCONNECT: &str = "disconnect";
const UNSUBSCRIBE: &str = "unsubscribe";
const CANARY: &str = "canary";
const LIFE: &str = "life";

/// The event that a browser's `onmessage` hears.
const DEFAULT_EVENT: &str = "message";

/// The longest id of a canary, in bytes: a random number has some ten.
const MAX_CANARY_BYTES: usize = 64;

#[cfg(test)]
mod tests;
