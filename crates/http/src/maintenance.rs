//! The background tasks of a hub: its clockwork, and those that help it to send where there is much.

use std::future;
use std::task::Poll;
use std::time::Duration;

use dualcast_core::{Hub, WeakHub};
use tokio::runtime::Handle;
use tokio::time::{self, MissedTickBehavior};

/// How often a hub looks after itself.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sees to it that [`Hub::maintain`] is called once a second, for as long as the hub lives, however often this is asked.
///
/// The adapters ask with each session. A process that only publishes asks itself, inside its tokio runtime. Where that runtime ends
/// and the hub lives on, it takes another to ask in the next one.
pub fn maintain(hub: &Hub) {
    if !hub.claim_maintenance() {
        return;
    }
    tokio::spawn(Clockwork(hub.downgrade()).go());
    for _ in 1..Handle::current().metrics().num_workers() {
        let hub = hub.downgrade();
        tokio::spawn(future::poll_fn(move |cx| match hub.upgrade() {
            Some(hub) => hub.poll_wakes(cx),
            None => Poll::Ready(()),
        }));
    }
}

/// Whoever has the claim to a hub's maintenance, for as long as its runtime lets it run.
struct Clockwork(WeakHub);

impl Clockwork {
    async fn go(self) {
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ticked = future::poll_fn(|cx| {
                if let Some(hub) = self.0.upgrade() {
                    let _ = hub.poll_wakes(cx);
                }
                ticks.poll_tick(cx)
            });
            ticked.await;
            match self.0.upgrade() {
                Some(hub) => hub.maintain(),
                None => return,
            }
        }
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        if let Some(hub) = self.0.upgrade() {
            hub.release_maintenance();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_hub_that_outlives_its_runtime_is_looked_after_in_the_next() {
        let hub = Hub::new();
        for _ in 0..2 {
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                maintain(&hub);
                assert!(!hub.claim_maintenance(), "somebody does");
            });
        }
        assert!(hub.claim_maintenance(), "nobody does any more");
    }
}
