//! Patience: how long the generator waits for what has to happen.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// For how long nothing may happen that has to happen. Then the run is given up, and not reported.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Gives up on what does not get on.
pub(crate) struct Patience {
    since: Instant,
    at: u64,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            at: u64::MAX,
        }
    }

    pub(crate) fn mind(&mut self, at: u64, state: impl Fn() -> String) -> Result<()> {
        if at != self.at {
            *self = Self {
                since: Instant::now(),
                at,
            };
        }
        ensure!(
            self.since.elapsed() < PATIENCE,
            "nothing happens any more: {}",
            state()
        );
        Ok(())
    }
}
