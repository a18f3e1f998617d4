//! The gone: who edits a note and leaves would keep it from all others.
//!
//! Whoever was seen to leave is gone: presence waits for those who may come back. Who was never seen, on a board that was stored while somebody
//! edited, is waited for as long as it takes to come back to a server that was started anew. In a crowd of which a sample is told nobody can be missed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::{self, Instant};

use super::Active;
use crate::store::Store;

/// Ends the edits of those who are gone, for ever.
pub(super) async fn release(board: Arc<Active>, store: Arc<Store>) {
    let mut missed: HashMap<String, Instant> = HashMap::new();
    loop {
        select! {
            () = board.presence.notified() => {}
            () = time::sleep(LOOK_INTERVAL) => {}
        }
        let here = board.channel().presence().now();
        let is_sample = here.members().len() < here.count();
        let here: HashSet<&str> = here.members().iter().map(|member| &**member.id()).collect();
        let mut edited = board.edited();
        edited.retain(|edited| !here.contains(&*edited.by) && (edited.has_left || !is_sample));
        missed.retain(|user, _| edited.iter().any(|edited| edited.by == *user));
        let now = Instant::now();
        for edited in edited {
            let since = *missed.entry(edited.by.clone()).or_insert(now);
            if !edited.has_left && now < since + PATIENCE {
                continue;
            }
            let id = edited.id.clone();
            if let Err(error) = board.end_edit(&store, edited).await {
                tracing::warn!(board = %board.name(), %id, %error, "an edit of somebody who is gone can't be ended, and will be");
            }
        }
    }
}

/// How often it is looked for those who are missed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// For how long it is waited for somebody who was never seen: after a restart clients come back within ten seconds.
const PATIENCE: Duration = Duration::from_secs(30);
