//! Entries: what a record of the stream means to a node.

use std::time::Instant;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use dualcast_core::{Arrival, Check, Limits, Step};

use crate::envelope::Incoming;
use crate::garbage::{Garbage, leave_out};
use crate::mirror::{self, Next};
use crate::reckoning::Reckoning;
use crate::stamp::Stamp;
use crate::stored::Stored;
use crate::subjects::Subjects;

/// A record, read.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// When it was logged, on our clock.
    pub(crate) logged_at: Instant,
    /// What it is, or why it is nothing.
    pub(crate) content: Result<Incoming, Garbage>,
}

/// Reads a message that was heard live.
///
/// # Errors
///
/// [`Garbage::Stamp`] where it is not the stream's: then it has no place, and is nothing.
pub(crate) fn heard(
    message: &Message,
    subjects: &Subjects,
    stream: &str,
    now: Instant,
) -> Result<mirror::Stored<Entry>, Garbage> {
    let headers = message.headers.as_ref();
    let stamp = Stamp::of_live(&message.subject, headers, subjects, stream)?;
    // What is heard is a slice of a larger buffer, which it would keep in memory.
    let payload = Bytes::copy_from_slice(&message.payload);
    let none = HeaderMap::new();
    let bytes = payload.len() + ENTRY_BYTES;
    let content = Incoming::record(subjects, &stamp.subject, headers.unwrap_or(&none), payload);
    Ok(mirror::Stored {
        sequence: stamp.sequence,
        time_ns: stamp.timestamp_ns,
        bytes,
        content: Entry {
            logged_at: now,
            content,
        },
    })
}

/// Reads a record that was read back.
pub(crate) fn read_back(
    stored: Stored,
    subjects: &Subjects,
    reckoning: Reckoning,
    now: Instant,
) -> mirror::Stored<Entry> {
    mirror::Stored {
        sequence: stored.sequence,
        time_ns: stored.timestamp_ns,
        bytes: stored.payload.len() + ENTRY_BYTES,
        content: Entry {
            logged_at: reckoning.logged_at(stored.timestamp_ns, now),
            content: stored.read(subjects),
        },
    }
}

/// What a hub makes of an entry. What is larger than it lets be published comes from outside, and is left out.
pub(crate) fn step(next: Next<Entry>, limits: &Limits) -> Step {
    match next {
        Next::Record(stored) => {
            let (sequence, check) = (stored.sequence, check_of(stored.time_ns));
            let Entry { logged_at, content } = stored.content;
            let (channel, message) = match content {
                Ok(Incoming::Message(_, message)) if message.payload().len() > limits.max_message_bytes => {
                    leave_out(&Garbage::Size);
                    return Step::Other { sequence, check };
                }
                Ok(Incoming::Message(channel, message)) => (channel, Some(message)),
                Ok(Incoming::Finish(channel)) => (channel, None),
                Ok(Incoming::Order(_)) | Err(_) => return Step::Other { sequence, check },
            };
            Step::Record(Arrival {
                sequence,
                check,
                channel,
                message,
                logged_at,
            })
        }
        Next::Tear { through, reason } => Step::Tear { through, reason },
    }
}

/// The check of a record that was stored then.
pub(crate) fn check_of(time_ns: i64) -> Check {
    Check::of(time_ns.cast_unsigned())
}

/// What an entry takes beside its payload, roughly, in bytes.
const ENTRY_BYTES: usize = 512;
