//! What both transports can be told about a session.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;
use std::time::Duration;

/// The bounds of one client connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// After how long without an id a heartbeat goes out: it tells the client that the stream lives, and gives it a cursor that
    /// keeps up with a quiet hour. Default 15 seconds; proxies cut a silent stream after 50 to 60. Zero means never.
    pub heartbeat: Duration,
    /// After how long a client that was cut off should come back. Default 3 seconds, no less than [`MIN_RETRY`]. Each connection is told its own, between
    /// half and one and a half of this, so that a crowd does not come back at once.
    pub retry: Duration,
    /// How many bytes of entries are staged for a connection before the last of them. Default 64 KiB. What a client can
    /// hold of the server's memory is this, one message, and the kernel's send buffer.
    pub max_batch_bytes: usize,
    /// For how long a connection may take nothing of what is staged. Default 30 seconds. Then it is cut.
    ///
    /// What it takes shows in steps: over TCP when a third of the send buffer is free again, under TLS when a record of 16 KiB has
    /// left besides, over HTTP/2 and as a body under another server with every 64 KiB. A client slower than a step within this time
    /// counts as one that takes nothing; by default that is one slower than about 2 KB a second.
    pub write_timeout: Duration,
    /// For how long a session that was told to close waits for what is staged to leave, and for the other side's goodbye.
    /// Default half a second.
    pub close_timeout: Duration,
    /// Over how long clients come back after a shutdown: each is told a moment of its own, between the usual one and the end of
    /// this. Default 10 seconds. Without it all clients of a server would fall upon the others at the same moment.
    pub restart_window: Duration,
    /// For how long a session may go on after a shutdown began, to come to its own end: for streams that nobody can resume. Default
    /// zero. Other limits of a shutdown stand, such as [`ServerOptions::drain_timeout`](crate::ServerOptions::drain_timeout).
    pub shutdown_grace: Duration,
}

/// The shortest time after which clients are told to come back: a tenth of a second. With zero those that a limit turns away would
/// come back without a pause.
pub const MIN_RETRY: Duration = Duration::from_millis(100);

/// The longest wait that an option can mean: a year. `Duration::MAX`, for "never", is later than a clock can say.
pub const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long an interval is of which zero means "never".
#[must_use]
pub fn or_never(interval: Duration) -> Duration {
    if interval.is_zero() {
        MAX_WAIT
    } else {
        interval.min(MAX_WAIT)
    }
}

/// Options in a place that all sessions with the same ones share: nearly all have the same.
pub(crate) fn shared(options: SessionOptions) -> Arc<SessionOptions> {
    thread_local! {
        static LAST: RefCell<Arc<SessionOptions>> = RefCell::default();
    }
    share(&LAST, options)
}

/// The value that was the last here, where this one is the same.
pub fn share<T: PartialEq>(last: &'static LocalKey<RefCell<Arc<T>>>, value: T) -> Arc<T> {
    last.with_borrow_mut(|last| {
        if **last != value {
            *last = Arc::new(value);
        }
        Arc::clone(last)
    })
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(3),
            max_batch_bytes: 64 << 10,
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_millis(500),
            restart_window: Duration::from_secs(10),
            shutdown_grace: Duration::ZERO,
        }
    }
}
