//! Server-Sent Events for Dualcast: an axum extractor that answers with an event stream.
//!
//! What goes out is the event stream format of the HTML standard (section 9.2). Any client of it works: `curl -N`, a
//! browser's `EventSource`. It resumes by the standard's own `Last-Event-ID`.

mod extract;
mod field;
mod options;
mod peer;
mod wire;

pub use extract::Sse;
pub use options::{CHANNEL_HEADER, HeartbeatAs, SseOptions};
