//! What Dualcast's fan-out over NATS is made of.
//!
//! The log of a hub is one JetStream stream, from which every node of an application mirrors what it shows its clients.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod api;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod connect;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod envelope;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod epoch;
#[cfg(test)]
mod fixture;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod garbage;
mod headers;
mod message_id;
mod options;
mod page;
mod percent;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod reads;
mod settings;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod stamp;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod stored;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod stream;
#[cfg_attr(not(test), expect(dead_code, reason = "the mirror is yet to come"))]
mod subjects;

pub use access::{Access, TlsOptions};
pub use api::ApiError;
pub use connect::ConnectError;
pub use options::{
    Existing, MAX_PREFIX_BYTES, MAX_STREAM_NAME_BYTES, NatsOptions, OptionsError, StreamOptions, TailLimits,
};
pub use settings::Difference;
pub use stream::StreamError;
