//! What only a WebSocket session can be told.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use dualcast_http::{MAX_INBOUND_BYTES, MAX_WAIT, Rate, SessionOptions, or_never, share};

/// The bounds of one WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsOptions {
    /// Those that both transports have.
    pub session: SessionOptions,
    /// After how long a silence the client is pinged. Default 25 seconds, drawn anew between 0.8 and 1.2 of it each time.
    /// Zero means never.
    pub ping_interval: Duration,
    /// For how long after a ping a client may stay silent. Default 20 seconds, in which a slow client gets through what the
    /// kernel holds for it before the ping. Then it is closed.
    pub pong_timeout: Duration,
    /// The largest message from the client, in bytes. Default 64 KiB. A larger one closes the connection (1009). The
    /// client is told it in its `welcome`, as `max_bytes`.
    pub max_inbound_bytes: usize,
    /// How many messages the client may send. Default 200 a second, 400 at once: three times what a mouse that is followed at
    /// 60 frames a second takes. Above it the server reads no further until it is time, so that nothing is lost and the client's own
    /// socket fills.
    pub message_rate: Rate,
    /// How many bytes the client may send, frames with all that is around them and pings included. Default 1 MiB a second, 2 MiB at
    /// once. Above it as for `message_rate`.
    pub byte_rate: Rate,
    /// How many channels the client may join on the live connection, beside those of the route. Default 100. One more
    /// is refused with the code `too-many-channels`, until the client leaves another.
    pub max_subscriptions: usize,
    /// How many messages in a row may make no sense: not JSON, no message, an event or a control that nobody knows (errors with the
    /// status 400 or 405). Default 20. One more closes the connection (1008).
    pub max_bad_messages: u32,
}

impl WsOptions {
    /// As they are minded, in a place that all sessions with the same ones share.
    pub(crate) fn shared(mut self) -> Arc<Self> {
        thread_local! {
            static LAST: RefCell<Arc<WsOptions>> = RefCell::default();
        }
        self.ping_interval = or_never(self.ping_interval);
        self.pong_timeout = self.pong_timeout.min(MAX_WAIT);
        share(&LAST, self)
    }
}

impl Default for WsOptions {
    fn default() -> Self {
        Self {
            session: SessionOptions::default(),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(20),
            max_inbound_bytes: MAX_INBOUND_BYTES,
            message_rate: Rate::per_second(200).burst(400),
            byte_rate: Rate::per_second(1 << 20).burst(2 << 20),
            max_subscriptions: 100,
            max_bad_messages: 20,
        }
    }
}
