//! The gone: who edits a note and leaves would keep it from all others.
//!
//! A lock is a lease: a page that edits says so again and again. Whoever was seen to leave is gone at once: presence waits for those who may come back. But it
//! knows users alone, of whom one may be there with another page, and in a crowd not all of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::{self, Instant};

use super::Active;
use crate::store::Store;

/// Ends the edits of those who are gone, for ever.
pub(super) async fn release(board: Arc<Active>, store: Arc<Store>) {
    loop {
        select! {
            () = board.presence.notified() => {}
            () = time::sleep(LOOK_INTERVAL) => {}
        }
        let here = board.channel().presence().now();
        let here: HashSet<&str> = here.members().iter().map(|member| &**member.id()).collect();
        let now = Instant::now();
        for edited in board.edited() {
            let has_left = edited.has_left && !here.contains(&*edited.by);
            if !has_left && now < edited.lease.heard_at + LEASE {
                continue;
            }
            let id = edited.id.clone();
            if let Err(error) = board.end_edit(&store, edited).await {
                tracing::warn!(board = %board.name(), %id, %error, "an edit of somebody who is gone can't be ended, and will be");
            }
        }
    }
}

/// How often it is looked for those who say nothing any more.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// For how long who edits may say nothing: three times as long as pages wait before they say so again (`page/text-editor.mjs`). By this node's clock, from when
/// it has heard of it.
pub(super) const LEASE: Duration = Duration::from_secs(60);
