//! What is thrown at the parsers and at a session: each target takes any bytes, and panics where something doesn't hold.
//!
//! A target is a plain function. A fuzzer looks for bytes that make it panic, hang or take too much memory (`tests/fuzz/run`);
//! `cargo test` replays those in `corpus`, where each that was ever found has a place.

#![allow(clippy::expect_used, clippy::unwrap_used)]

mod channel_name;
mod event_stream;
mod forwarded;
mod inbound;
mod input;
mod origin;
mod position;
mod runtime;
mod ws;

pub use channel_name::channel_name;
pub use event_stream::event_stream;
pub use forwarded::forwarded;
pub use inbound::inbound;
pub use origin::origin;
pub use position::position;
pub use ws::ws_session;

/// A target: panics where something doesn't hold.
pub type Target = fn(&[u8]);

/// Every target, by the name of its directory in the corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("channel_name", channel_name),
    ("event_stream", event_stream),
    ("forwarded", forwarded),
    ("inbound", inbound),
    ("origin", origin),
    ("position", position),
    ("ws_session", ws_session),
];
