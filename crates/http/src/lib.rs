//! What Dualcast's transports need of axum and hyper, and know in common.
//!
//! The cursor in a request, the origin policy and the proxies that are trusted, inbound messages and their replies; the server that hands its sockets over, and
//! the session that owns one. How a transport frames what it says is its own affair: here it is a [`Dialect`] and a
//! [`Peer`].

mod admit;
mod body;
mod cors;
mod cursor;
mod cut;
mod dialect;
mod drive;
mod error;
mod expiry;
mod feed;
mod handout;
mod head;
mod health;
mod heartbeats;
mod inbound;
mod joined;
#[cfg(test)]
mod letters;
mod line;
mod maintenance;
mod notice;
mod observed;
mod options;
mod origin;
mod portions;
mod proxies;
mod rare;
mod rate;
mod serve;
mod shutdown;
mod socket;
mod source;
mod stall;
mod stream;
mod takeover;
mod tcp;
mod throttle;
mod watch;

pub use admit::{Admitted, admit};
pub use body::{FeedBody, Stalled};
pub use cors::{Cors, CorsService};
pub use cursor::{LAST_EVENT_ID_HEADER, LAST_EVENT_ID_PARAMETER, last_event_id};
pub use dialect::{Closing, Dialect, Heartbeat, Opening};
pub use drive::{Drive, MAX_ROUNDS, Peer};
pub use error::Error;
pub use feed::Feed;
pub use health::health;
pub use inbound::{Inbound, InboundHandler, MAX_INBOUND_BYTES, Reply};
pub use line::Line;
pub use maintenance::maintain;
pub use notice::{ClosingNotice, FinishedNotice, HeartbeatNotice, OpeningNotice, UnsubscribedNotice, millis};
pub use observed::Observed;
pub use options::{MAX_WAIT, MIN_RETRY, SessionOptions, or_never, share};
pub use origin::{OriginError, OriginPolicy, OriginRefused};
pub use portions::Portions;
pub use proxies::{ClientAddress, NetworkError, TrustedProxies, client_address};
pub use rate::{Rate, RateLimit};
pub use serve::{Http2Options, Serve, ServerHandle, ServerOptions, serve};
pub use shutdown::shutdown;
pub use socket::Socket;
pub use source::{Piece, Source};
pub use takeover::{Slot, Taken, Takeover};
pub use throttle::Throttle;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
