//! Where a hub reads the time, so that a test can say what time it is.

use std::time::Instant;

/// A clock that never goes back.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;
}

/// The machine's monotonic clock: what a hub reads unless it is told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
