//! A clock that can be hurried, so that nobody has to wait until a log ages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dualcast::Clock;

/// How old a record may get in the log of this example.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The machine's clock, and as many times [`MAX_AGE`] as somebody wished to be over already.
#[derive(Clone, Default)]
pub(crate) struct HurriedClock(Arc<AtomicU32>);

impl HurriedClock {
    /// Makes all that is in the log now too old to stay there.
    pub(crate) fn age_everything(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for HurriedClock {
    fn now(&self) -> Instant {
        Instant::now() + MAX_AGE * self.0.load(Ordering::Relaxed)
    }
}
