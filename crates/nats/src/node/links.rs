//! What a node does about its two connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Node;

impl Node {
    /// Something happened to the live connection.
    pub(super) fn look_at_link(&mut self) {
        let (doubts, is_over) = {
            let link = self.link.borrow_and_update();
            (link.doubts, link.is_over)
        };
        if is_over {
            self.live = None;
        }
        if doubts != self.doubts {
            self.doubts = doubts;
            self.doubt();
        }
    }

    /// What NATS' client doesn't do by itself.
    pub(super) fn look_after_links(&mut self, now: Instant) {
        self.shared.live.look();
        self.shared.reading.look();
        self.revive_reading();
        self.mend_live(now);
    }

    /// A dead connection is made anew by whoever uses it, and nobody may for long.
    fn revive_reading(&mut self) {
        let is_at_it = self
            .reviving
            .as_ref()
            .is_some_and(|reviving| !reviving.is_finished());
        if self.shared.reading.link().borrow().is_over && !is_at_it {
            let shared = Arc::clone(&self.shared);
            let reviving = tokio::spawn(async move { drop(shared.reading.client().await) });
            self.reviving = Some(reviving);
        }
    }

    /// Where nothing is answered for long, it may be the connection, though messages come by it.
    fn mend_live(&mut self, now: Instant) {
        let is_long = |since: Instant| now.saturating_duration_since(since) >= UNANSWERED;
        let is_unanswered = self.unproven.as_ref().is_some_and(|(since, _)| is_long(*since));
        if is_unanswered && is_long(self.mended_at) && self.link.borrow().is_connected {
            self.mended_at = now;
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                let deadline = shared.options.request_deadline;
                shared.live.mend(shared.subjects.nobody(), deadline).await;
            });
        }
    }
}

/// For how long the stream's leader may leave questions without an answer before it is looked whether anybody answers.
const UNANSWERED: Duration = Duration::from_secs(10);
