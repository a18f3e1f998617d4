//! What only a WebSocket session can be told.

use std::time::Duration;

use dualcast_http::{MAX_INBOUND_BYTES, SessionOptions};

/// The bounds of one WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsOptions {
    /// Those that both transports have.
    pub session: SessionOptions,
    /// After how long a silence the client is pinged. Default 25 seconds, drawn anew between 0.8 and 1.2 of it each time.
    pub ping_interval: Duration,
    /// For how long after a ping a client may stay silent. Default 20 seconds, in which a slow client gets through what the
    /// kernel holds for it before the ping. Then it is closed.
    pub pong_timeout: Duration,
    /// The largest message from the client, in bytes. Default 64 KiB. A larger one closes the connection (1009).
    pub max_inbound_bytes: usize,
}

impl Default for WsOptions {
    fn default() -> Self {
        Self {
            session: SessionOptions::default(),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(20),
            max_inbound_bytes: MAX_INBOUND_BYTES,
        }
    }
}
