//! What Dualcast's transports need of axum and hyper, and know in common.
//!
//! The cursor in a request, the origin policy, inbound messages and their replies; the server that hands its sockets over, and
//! the session that owns one. How a transport frames what it says is its own affair: here it is a [`Dialect`] and a
//! [`Peer`].

mod admit;
mod body;
mod cursor;
mod cut;
mod drive;
mod error;
mod feed;
mod head;
mod inbound;
mod line;
mod loan;
mod maintenance;
mod notice;
mod options;
mod origin;
mod serve;
mod socket;
mod stall;
mod takeover;
mod watch;

pub use admit::{Admitted, admit};
pub use body::{FeedBody, Stalled};
pub use cursor::{LAST_EVENT_ID_HEADER, LAST_EVENT_ID_PARAMETER, last_event_id};
pub use drive::{Drive, MAX_ROUNDS, Peer};
pub use error::Error;
pub use feed::{Dialect, Feed, Heartbeat, Opening, Source};
pub use inbound::{Inbound, InboundHandler, MAX_INBOUND_BYTES, Reply};
pub use line::Line;
pub use maintenance::maintain;
pub use notice::{ClosingNotice, FinishedNotice, HeartbeatNotice, millis};
pub use options::{MAX_WAIT, SessionOptions};
pub use origin::{OriginError, OriginPolicy, OriginRefused};
pub use serve::{Http2Options, Serve, ServerHandle, ServerOptions, serve};
pub use socket::Socket;
pub use takeover::{Slot, Taken, Takeover};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
