//! WebSocket for Dualcast: an axum extractor that upgrades, and the session that follows.
//!
//! The handshake and the frames are RFC 6455's. What comes in is taken apart by a reader that holds nothing while nothing is under way; what goes out
//! are frames that were encoded once for all followers, and between them pongs and goodbyes.

mod acceptance;
#[cfg(test)]
mod catching_up;
mod control;
mod extract;
mod frame;
mod guard;
mod handshake;
mod inbox;
mod options;
mod peer;
mod pulse;
mod raw;
mod reader;
mod receiver;
mod wire;

pub use control::SubscribeRequest;
pub use extract::Ws;
pub use guard::MAX_FINISHING_HANDLERS;
pub use handshake::{SUBPROTOCOL, subprotocol_token};
pub use options::WsOptions;
pub use raw::{Disconnected, RawMessage, RawSender, RawSocket};
