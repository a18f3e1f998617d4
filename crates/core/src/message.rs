//! Messages: what an application publishes, before it has a place in any log.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

/// The longest event name, in bytes.
pub const MAX_EVENT_BYTES: usize = 100;

/// The longest conflation key, idempotency key or identity, in bytes.
pub const MAX_KEY_BYTES: usize = 200;

/// Event names that begin so are Dualcast's own on the wire.
pub const RESERVED_EVENT_PREFIX: &str = "dualcast:";

/// What marks a binary payload's event on Server-Sent Events, where its data stands in base64.
pub const BASE64_EVENT_SUFFIX: &str = ";base64";

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text. On Server-Sent Events the standard can't tell CR, CRLF and LF apart: each arrives as LF.
    Text(Box<str>),
    /// A JSON text, checked by whoever made it: [`Message::json`] does.
    Json(Box<str>),
    /// Bytes. On Server-Sent Events they are base64, and the event's name ends in `;base64`.
    Binary(Bytes),
}

impl Payload {
    /// The payload's size, in bytes, as the application gave it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Who sent a message or holds a session: a user, a tab, a device, as the application sees fit.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Takes any text as an identity.
    #[must_use]
    pub fn new(identity: impl Into<Arc<str>>) -> Self {
        Self(identity.into())
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A message: an event name, a payload, and what the application wants done with it.
///
/// The rules for names, keys and sizes are checked when it is [published](crate::Channel::publish).
///
/// ```
/// use dualcast_core::{Identity, Message};
///
/// let message = Message::json("price", &serde_json::json!({ "bid": 101.5 }))?
///     .conflation_key("EURUSD")
///     .idempotency_key("order-77")
///     .sender(Identity::new("feed-1"));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Message {
    event: Cow<'static, str>,
    payload: Payload,
    conflation_key: Option<Arc<str>>,
    idempotency_key: Option<Arc<str>>,
    sender: Option<Identity>,
    is_volatile: bool,
}

impl Message {
    /// A message with any payload.
    ///
    /// The event name is what a browser listens for (`addEventListener(event, …)`); `message` is the one that
    /// `onmessage` hears. It may have any characters but controls: spaces, colons and slashes arrive as they are on both
    /// transports, since neither has a place where one of them would end it. An `EventSource` also fires its own `open` and `error`: better not to use these two.
    #[must_use]
    pub fn new(event: impl Into<Cow<'static, str>>, payload: Payload) -> Self {
        Self {
            event: event.into(),
            payload,
            conflation_key: None,
            idempotency_key: None,
            sender: None,
            is_volatile: false,
        }
    }

    /// A message with text.
    #[must_use]
    pub fn text(event: impl Into<Cow<'static, str>>, text: impl Into<Box<str>>) -> Self {
        Self::new(event, Payload::Text(text.into()))
    }

    /// A message with anything that serde can write as JSON.
    ///
    /// # Errors
    ///
    /// Whatever the value's own `Serialize` says.
    pub fn json<T: Serialize + ?Sized>(
        event: impl Into<Cow<'static, str>>,
        value: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::new(
            event,
            Payload::Json(serde_json::to_string(value)?.into()),
        ))
    }

    /// A message with bytes.
    #[must_use]
    pub fn binary(event: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Self {
        Self::new(event, Payload::Binary(bytes.into()))
    }

    /// For subscribers that [conflate](crate::LagRule::Conflate): of the messages with one key, only the newest matters. Of
    /// [volatile](Message::volatile) ones only the newest waits, for whichever subscriber.
    #[must_use]
    pub fn conflation_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.conflation_key = Some(key.into());
        self
    }

    /// A repeat with the same key, on the same channel, from the same [sender](Message::sender), within
    /// [`Limits::idempotency_window`](crate::Limits::idempotency_window), is not logged again: publishing it
    /// answers the first one's position.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Who sends it: the scope of its idempotency key, and what
    /// [`Subscribe::without_own`](crate::Subscribe::without_own) leaves out.
    #[must_use]
    pub fn sender(mut self, sender: Identity) -> Self {
        self.sender = Some(sender);
        self
    }

    /// Not logged: no position, never replayed, dropped for a subscriber that lags, in no order towards logged messages.
    /// For what the next one replaces anyway: a cursor on a canvas, "is typing".
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// The event name.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Whether it is [volatile](Message::volatile).
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    /// Its conflation key, if it has one.
    #[must_use]
    pub fn get_conflation_key(&self) -> Option<&Arc<str>> {
        self.conflation_key.as_ref()
    }

    /// Its idempotency key, if it has one.
    #[must_use]
    pub fn get_idempotency_key(&self) -> Option<&Arc<str>> {
        self.idempotency_key.as_ref()
    }

    /// Its sender, if it names one.
    #[must_use]
    pub fn get_sender(&self) -> Option<&Identity> {
        self.sender.as_ref()
    }

    /// Holds the message to the rules that no configuration changes: those of its event name and its keys. Publishing does.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says which rule was broken.
    pub fn check(&self) -> Result<(), MessageError> {
        check_event(&self.event)?;
        let keys = [
            ("conflation key", self.conflation_key.as_deref()),
            ("idempotency key", self.idempotency_key.as_deref()),
            ("sender", self.sender.as_ref().map(Identity::as_str)),
        ];
        for (what, key) in keys {
            if let Some(key) = key
                && key.len() > MAX_KEY_BYTES
            {
                return Err(MessageError::KeyTooLong {
                    what,
                    bytes: key.len(),
                });
            }
        }
        if self.is_volatile && self.idempotency_key.is_some() {
            return Err(MessageError::VolatileWithIdempotencyKey);
        }
        Ok(())
    }
}

fn check_event(event: &str) -> Result<(), MessageError> {
    if event.is_empty() {
        return Err(MessageError::EventEmpty);
    }
    if event.len() > MAX_EVENT_BYTES {
        return Err(MessageError::EventTooLong { bytes: event.len() });
    }
    if let Some(found) = event.chars().find(|c| c.is_control()) {
        return Err(MessageError::EventCharacter { found });
    }
    if event.starts_with(RESERVED_EVENT_PREFIX) || event.ends_with(BASE64_EVENT_SUFFIX) {
        return Err(MessageError::EventReserved { event: event.into() });
    }
    Ok(())
}

/// Which rule a message broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The event name has no characters.
    #[error("an event name can't be empty")]
    EventEmpty,
    /// The event name is longer than [`MAX_EVENT_BYTES`].
    #[error("an event name has at most {MAX_EVENT_BYTES} bytes, this one has {bytes}")]
    EventTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A control character in the event name: a line ending there would end the field on the wire.
    #[error("an event name can't have the control character {found:?}")]
    EventCharacter {
        /// The character.
        found: char,
    },
    /// The event name begins with [`RESERVED_EVENT_PREFIX`] or ends with [`BASE64_EVENT_SUFFIX`].
    #[error(
        "{event:?} is reserved: event names can't begin with {RESERVED_EVENT_PREFIX:?} \
         or end with {BASE64_EVENT_SUFFIX:?}"
    )]
    EventReserved {
        /// The name.
        event: Box<str>,
    },
    /// A key or the sender is longer than [`MAX_KEY_BYTES`].
    #[error("a {what} has at most {MAX_KEY_BYTES} bytes, this one has {bytes}")]
    KeyTooLong {
        /// Which of them.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A volatile message has no position that a repeat could answer.
    #[error("a volatile message can't have an idempotency key")]
    VolatileWithIdempotencyKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str) -> Result<(), MessageError> {
        Message::text(event.to_owned(), "").check()
    }

    #[test]
    fn an_event_name_cannot_break_out_of_its_field() {
        for found in ['\r', '\n', '\0', '\u{85}'] {
            assert_eq!(
                check(&format!("a{found}data: x")),
                Err(MessageError::EventCharacter { found })
            );
        }
        assert_eq!(check(""), Err(MessageError::EventEmpty));
        assert_eq!(check("ünï:çø/dé x"), Ok(()));
    }

    #[test]
    fn event_names_of_the_wire_are_reserved() {
        assert!(matches!(
            check("dualcast:gap"),
            Err(MessageError::EventReserved { .. })
        ));
        assert!(matches!(
            check("image;base64"),
            Err(MessageError::EventReserved { .. })
        ));
    }

    #[test]
    fn names_and_keys_have_a_longest_length() {
        assert_eq!(check(&"e".repeat(MAX_EVENT_BYTES)), Ok(()));
        assert_eq!(
            check(&"e".repeat(MAX_EVENT_BYTES + 1)),
            Err(MessageError::EventTooLong { bytes: 101 })
        );
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        let message = || Message::text("e", "");
        for (message, what) in [
            (message().conflation_key(&*long), "conflation key"),
            (message().idempotency_key(&*long), "idempotency key"),
            (message().sender(Identity::new(&*long)), "sender"),
        ] {
            assert_eq!(
                message.check(),
                Err(MessageError::KeyTooLong { what, bytes: 201 })
            );
        }
    }
}
