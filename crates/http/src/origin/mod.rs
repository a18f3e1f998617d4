//! Which web pages may connect.
//!
//! A browser sends its user's cookies with a WebSocket, a POST or a cookie-authenticated stream to any site, whichever
//! page asks for it. So the page's origin (RFC 6454) is checked before anything else happens.

mod address;
mod pattern;
mod policy;

pub use pattern::OriginError;
pub use policy::{OriginPolicy, OriginRefused};
