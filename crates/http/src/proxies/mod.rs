//! The proxies in front of a server, and what they say of the way that a request came.
//!
//! Every client can write what a proxy writes. So a word about the way is believed only where the connection that brought it comes
//! from a proxy that the application trusts, and of several words only as far back as the one before was a trusted proxy's.

mod client;
mod forwarded;
mod network;
mod trusted;
mod way;

pub use client::{ClientAddress, client_address};
pub use network::NetworkError;
pub use trusted::TrustedProxies;
pub(crate) use way::Way;
