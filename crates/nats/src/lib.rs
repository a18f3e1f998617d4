//! What Dualcast's fan-out over NATS is made of.
//!
//! The log of a hub is one JetStream stream, from which every node of an application mirrors what it shows its clients.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod api;
mod bucket;
mod canary;
mod connect;
mod entry;
mod envelope;
mod epoch;
mod fanout;
#[cfg(test)]
mod fixture;
mod garbage;
mod headers;
mod history;
mod landing;
mod life;
mod looks;
mod message_id;
mod mirror;
mod node;
mod options;
mod orders;
mod page;
mod percent;
mod presence;
mod publisher;
mod reads;
mod reckoning;
mod room;
mod settings;
mod shared;
mod stamp;
mod status;
mod stored;
mod stream;
mod subjects;
mod together;
mod volatile;

pub use access::{Access, TlsOptions};
pub use api::ApiError;
pub use connect::ConnectError;
pub use fanout::{Nats, NatsError};
pub use options::{
    Existing, MAX_PREFIX_BYTES, MAX_STREAM_NAME_BYTES, NatsOptions, OptionsError, StreamOptions, TailLimits,
};
pub use settings::Difference;
pub use stream::StreamError;
