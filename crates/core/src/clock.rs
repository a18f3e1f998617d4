//! Where a hub reads the time, so that a test can say what time it is.

use std::time::{Duration, Instant, SystemTime};

/// A clock that never goes back.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;

    /// The time of day, by which several nodes agree on who came last. It may be set back.
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The machine's monotonic clock: what a hub reads unless it is told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// When so much time has passed. `Duration::MAX`, by which a configuration says "never", is later than an `Instant` can say.
pub(crate) fn later(start: Instant, time: Duration) -> Instant {
    start.checked_add(time).unwrap_or_else(|| start + NEVER)
}

/// A hundred years.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
