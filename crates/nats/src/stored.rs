//! A record as it stands in the stream.

use async_nats::{HeaderMap, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::envelope::Incoming;
use crate::garbage::Garbage;
use crate::headers;
use crate::stamp::{Stamp, nanoseconds_since_1970};
use crate::subjects::Subjects;

/// A record of the stream, whosever it is.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    /// When it was stored, in nanoseconds since 1970.
    pub(crate) timestamp_ns: i64,
    /// `None` where nobody can read them.
    pub(crate) headers: Option<HeaderMap>,
    /// Its own: not a part of a read buffer, which would live as long.
    pub(crate) payload: Bytes,
}

impl Stored {
    /// One of a page.
    ///
    /// # Errors
    ///
    /// The message, if it isn't a record of this stream.
    pub(crate) fn of_page(message: Message, stream: &str) -> Result<Self, Box<Message>> {
        let Some(stamp) = message
            .headers
            .as_ref()
            .and_then(|headers| Stamp::read(headers, stream))
        else {
            return Err(Box::new(message));
        };
        Ok(Self {
            sequence: stamp.sequence,
            subject: stamp.subject,
            timestamp_ns: stamp.timestamp_ns,
            headers: message.headers,
            payload: Bytes::copy_from_slice(&message.payload),
        })
    }

    /// One that a leader told of. `None` if it makes no sense.
    pub(crate) fn of_leader(told: ToldRecord) -> Option<Self> {
        let headers = match told.hdrs {
            None => Some(HeaderMap::new()),
            Some(block) => headers::parse(&STANDARD.decode(block).ok()?),
        };
        Some(Self {
            sequence: told.seq,
            subject: told.subject,
            timestamp_ns: nanoseconds_since_1970(&told.time)?,
            headers,
            payload: STANDARD.decode(told.data).ok()?.into(),
        })
    }

    /// What was published.
    ///
    /// # Errors
    ///
    /// [`Garbage`] says what is wrong with it.
    pub(crate) fn read(self, subjects: &Subjects) -> Result<Incoming, Garbage> {
        let headers = self.headers.ok_or(Garbage::Headers)?;
        Incoming::record(subjects, &self.subject, &headers, self.payload)
    }
}

/// A record as a leader tells of it.
#[derive(Debug, Deserialize)]
pub(crate) struct ToldRecord {
    subject: String,
    seq: u64,
    hdrs: Option<String>,
    #[serde(default)]
    data: String,
    time: String,
}
