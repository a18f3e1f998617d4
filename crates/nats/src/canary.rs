//! The canary: what a node sends round to see whether what is published comes back to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;

use crate::envelope::{Order, Outgoing, random_id};
use crate::shared::Shared;

/// One that is sent again and again until it has returned.
pub(crate) struct Canary {
    id: String,
    sent_at: Option<Instant>,
    has_returned: bool,
}

impl Canary {
    pub(crate) fn new() -> Self {
        Self {
            id: random_id(),
            sent_at: None,
            has_returned: false,
        }
    }

    /// One has come round. Answers whether it is this one.
    pub(crate) fn hear(&mut self, id: &str) -> bool {
        self.has_returned |= id == self.id;
        id == self.id
    }

    /// Sends it, if that is due.
    pub(crate) fn send(&mut self, shared: &Arc<Shared>, now: Instant) {
        let is_due = self
            .sent_at
            .is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        if self.has_returned || !is_due {
            return;
        }
        self.sent_at = Some(now);
        let shared = Arc::clone(shared);
        let canary = Outgoing::order(&shared.subjects, &Order::Canary(self.id.clone()));
        tokio::spawn(async move {
            let deadline = time::Instant::now() + PAUSE;
            if let Err(error) = shared.publisher.publish(&canary, deadline).await {
                tracing::warn!(%error, "nothing can be published");
            }
        });
    }
}

/// After how long one that has not come back is followed by another.
const PAUSE: Duration = Duration::from_secs(2);
