//! The one background task: a hub's clockwork.

use std::time::Duration;

use dualcast_core::Hub;
use tokio::time::{self, MissedTickBehavior};

/// How often a hub looks after itself.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sees to it that [`Hub::maintain`] is called once a second, for as long as the hub lives, however often this is asked.
///
/// The adapters ask with each session. A process that only publishes asks itself, inside its tokio runtime.
pub fn maintain(hub: &Hub) {
    if !hub.claim_maintenance() {
        return;
    }
    let hub = hub.downgrade();
    tokio::spawn(async move {
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match hub.upgrade() {
                Some(hub) => hub.maintain(),
                None => return,
            }
        }
    });
}
