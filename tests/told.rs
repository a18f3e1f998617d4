//! What a client is told, the same for both transports: it is all that a contract test looks at.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dualcast_event_stream::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// One thing that a client is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The first thing.
    Opening {
        /// The position from which it follows.
        id: Option<String>,
        /// Milliseconds to the next sign of life.
        interval: u64,
        /// Milliseconds until it should come back.
        retry: u64,
        /// Milliseconds until it expires, if it does.
        expires: Option<u64>,
        /// The names of its channels, where messages name theirs.
        channels: Option<Vec<String>>,
        /// The largest message that it may send on the stream itself, in bytes. Only by WebSocket.
        max_bytes: Option<usize>,
    },
    /// A sign of life.
    Heartbeat {
        /// The position up to which there was nothing to tell.
        id: Option<String>,
        /// Milliseconds to the next one.
        interval: u64,
        /// Milliseconds until the session expires, if it does.
        expires: Option<u64>,
        /// Of each channel, the version of its presence.
        presence: BTreeMap<String, u64>,
    },
    /// A message.
    Message {
        /// Its position, if it was logged.
        id: Option<String>,
        /// Its channel, where there are several.
        channel: Option<String>,
        /// Its event name.
        event: String,
        /// Its payload.
        data: Data,
    },
    /// Messages are missing.
    Gap {
        /// The cursor here.
        id: Option<String>,
        /// Whose messages.
        channel: String,
        /// After which.
        from: Option<String>,
        /// Up to and including which.
        to: Option<String>,
        /// Why.
        reason: String,
    },
    /// Messages were left out for newer ones with their key.
    Merged {
        /// The cursor here.
        id: Option<String>,
        /// Whose messages.
        channel: String,
        /// How many.
        count: u64,
    },
    /// A channel has ended.
    Finished {
        /// The cursor here.
        id: Option<String>,
        /// Which one.
        channel: String,
    },
    /// A channel is followed no longer.
    Unsubscribed {
        /// Which one.
        channel: String,
    },
    /// Who is present, or what has changed of that.
    Presence(Presence),
    /// An answer to an inbound message.
    Reply {
        /// To which.
        reference: Option<Value>,
        /// What it says.
        data: Option<Value>,
    },
    /// A refusal of an inbound message.
    Error {
        /// Of which.
        reference: Option<Value>,
        /// For programs.
        code: String,
        /// For people.
        message: String,
        /// Milliseconds to wait before another try.
        retry: Option<u64>,
    },
    /// The session ends.
    Closing {
        /// Why, by name.
        reason: String,
        /// Why, by code.
        code: u16,
        /// Whether to come back.
        reconnect: bool,
        /// After how many milliseconds.
        retry: Option<u64>,
        /// For people.
        message: String,
    },
    /// The connection ended.
    End(End),
}

/// Who is present on a channel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// On which.
    pub channel: String,
    /// The version that this makes.
    pub version: u64,
    /// The version that it changes. None where it is the whole.
    pub since: Option<u64>,
    /// How many there are.
    pub count: usize,
    /// All of them, in whole.
    pub members: Option<Vec<Member>>,
    /// Who has come, or says something else.
    #[serde(default)]
    pub joined: Vec<Member>,
    /// Who has left.
    #[serde(default)]
    pub left: Vec<String>,
}

/// Somebody who is present.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What is said of it.
    pub data: Option<Value>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// In good order: after the last chunk, or with a close frame, whose code this is.
    Complete(Option<u16>),
    /// In the middle of something.
    Cut,
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Text, or a string of JSON.
    Text(String),
    /// JSON that is no string.
    Json(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Data {
    /// A string is a string, whichever way it was published.
    fn from_json(json: &str) -> Self {
        if json.trim_ascii_start().starts_with('"') {
            Self::Text(read(json))
        } else {
            Self::Json(json.to_owned())
        }
    }
}

impl Told {
    /// The id that it bears, with which a client would come back.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Opening { id, .. }
            | Self::Heartbeat { id, .. }
            | Self::Message { id, .. }
            | Self::Gap { id, .. }
            | Self::Merged { id, .. }
            | Self::Finished { id, .. } => id.as_deref(),
            _ => None,
        }
    }

    /// The text of a message.
    ///
    /// # Panics
    ///
    /// If it isn't one.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Message {
                data: Data::Text(text) | Data::Json(text),
                ..
            } => text,
            other => panic!("expected a message with text, not {other:?}"),
        }
    }

    /// Reads an event of an event stream. `retry` is what stood in front of the opening.
    pub(crate) fn from_event(event: Event, is_multi: bool, retry: Option<u64>) -> Self {
        let Event {
            event,
            data,
            id,
            unknown,
        } = event;
        if let Some(name) = event.strip_prefix("dualcast:") {
            return Self::from_control(name, id, &data, retry);
        }
        let (event, data) = match event.strip_suffix(";base64") {
            Some(event) => {
                let bytes = STANDARD.decode(&data).expect("the data is base64");
                (event.to_owned(), Data::Binary(bytes))
            }
            None if unknown == ["type: json"] => (event, Data::from_json(&data)),
            None => (event, Data::Text(data)),
        };
        let (channel, event) = match event.split_once('/') {
            Some((channel, event)) if is_multi => (Some(channel.to_owned()), event.to_owned()),
            _ => (None, event),
        };
        assert_eq!(channel.is_some(), is_multi, "several channels are told apart");
        Self::Message {
            id,
            channel,
            event,
            data,
        }
    }

    /// Reads a text message of a WebSocket.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut object: Value = serde_json::from_str(text).expect("a text message is JSON");
        let object_fields = object.as_object_mut().expect("a text message is an object");
        if let Some(control) = object_fields.remove("control") {
            let id = object_fields
                .remove("id")
                .map(|id| read::<String>(&id.to_string()));
            let name = read::<String>(&control.to_string());
            let retry = (name == "welcome").then(|| {
                let retry = object_fields
                    .remove("retry")
                    .expect("a welcome says when to come back");
                read(&retry.to_string())
            });
            return Self::from_control(&name, id, &object.to_string(), retry);
        }
        let sent: Sent = read(text);
        let data = sent.data.expect("a text message has data");
        let data = Data::from_json(data.get());
        Self::Message {
            id: sent.id,
            channel: sent.channel,
            event: sent.event,
            data,
        }
    }

    /// Reads a binary message of a WebSocket.
    pub(crate) fn from_binary(frame: &[u8]) -> Self {
        let line_end = frame
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a line of JSON");
        let sent: Sent = serde_json::from_slice(&frame[..line_end]).expect("a line of JSON");
        assert!(sent.data.is_none(), "the data are the bytes");
        Self::Message {
            id: sent.id,
            channel: sent.channel,
            event: sent.event,
            data: Data::Binary(frame[line_end + 1..].to_vec()),
        }
    }

    /// Reads an answer to the companion POST, which stands alone.
    #[must_use]
    pub fn from_answer(body: &Value) -> Self {
        Self::from_text(&body.to_string())
    }

    fn from_control(name: &str, id: Option<String>, notice: &str, retry: Option<u64>) -> Self {
        match (name, retry) {
            ("heartbeat" | "welcome", Some(retry)) => {
                let OpeningNotice {
                    interval,
                    expires,
                    channels,
                    max_bytes,
                } = read(notice);
                Self::Opening {
                    id,
                    interval,
                    retry,
                    expires,
                    channels,
                    max_bytes,
                }
            }
            ("heartbeat", None) => {
                let HeartbeatNotice {
                    interval,
                    expires,
                    presence,
                } = read(notice);
                Self::Heartbeat {
                    id,
                    interval,
                    expires,
                    presence,
                }
            }
            ("gap", _) => {
                let GapNotice {
                    channel,
                    from,
                    to,
                    reason,
                } = read(notice);
                Self::Gap {
                    id,
                    channel,
                    from,
                    to,
                    reason,
                }
            }
            ("merged", _) => {
                let MergedNotice { channel, count } = read(notice);
                Self::Merged { id, channel, count }
            }
            ("finished", _) => Self::Finished {
                id,
                channel: read::<FinishedNotice>(notice).channel,
            },
            ("unsubscribed", _) => Self::Unsubscribed {
                channel: read::<FinishedNotice>(notice).channel,
            },
            ("presence", _) => Self::Presence(read(notice)),
            ("reply", _) => {
                let ReplyNotice { reference, data } = read(notice);
                Self::Reply { reference, data }
            }
            ("error", _) => {
                let ErrorNotice {
                    reference,
                    code,
                    message,
                    retry,
                } = read(notice);
                Self::Error {
                    reference,
                    code,
                    message,
                    retry,
                }
            }
            ("closing", _) => {
                let ClosingNotice {
                    reason,
                    code,
                    reconnect,
                    retry,
                    message,
                } = read(notice);
                Self::Closing {
                    reason,
                    code,
                    reconnect,
                    retry,
                    message,
                }
            }
            _ => panic!("no such control: {name} {notice}"),
        }
    }
}

/// What is told has these fields and no others.
fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    id: Option<String>,
    channel: Option<String>,
    event: String,
    #[serde(default, deserialize_with = "some")]
    data: Option<Box<RawValue>>,
}

/// A `null` that stands there is data, too.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningNotice {
    interval: u64,
    expires: Option<u64>,
    channels: Option<Vec<String>>,
    max_bytes: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatNotice {
    interval: u64,
    expires: Option<u64>,
    #[serde(default)]
    presence: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GapNotice {
    channel: String,
    from: Option<String>,
    to: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergedNotice {
    channel: String,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishedNotice {
    channel: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyNotice {
    #[serde(rename = "ref")]
    reference: Option<Value>,
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorNotice {
    #[serde(rename = "ref")]
    reference: Option<Value>,
    code: String,
    message: String,
    retry: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClosingNotice {
    reason: String,
    code: u16,
    reconnect: bool,
    retry: Option<u64>,
    message: String,
}
