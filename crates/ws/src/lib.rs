//! WebSocket for Dualcast: an axum extractor that upgrades, and the session that follows.
//!
//! The handshake and the frames are RFC 6455's; tungstenite reads what the client sends and answers its pings. What goes out are
//! frames that were encoded once for all followers, beside tungstenite's own.

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
mod receiver;
mod wire;

pub use control::SubscribeRequest;
pub use extract::Ws;
pub use guard::MAX_FINISHING_HANDLERS;
pub use handshake::{SUBPROTOCOL, subprotocol_token};
pub use options::WsOptions;
pub use raw::{Disconnected, RawMessage, RawSender, RawSocket};
