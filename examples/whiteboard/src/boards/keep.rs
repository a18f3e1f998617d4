//! Storing: a task for each board writes down what has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::Active;
use crate::store::Store;

/// Stores what changes, for ever, a moment after it did: what changes meanwhile goes along.
pub(super) async fn keep(board: Arc<Active>, store: Arc<Store>) {
    loop {
        board.changed.notified().await;
        time::sleep(store.pause()).await;
        let mut pause = FIRST_PAUSE;
        while let Err(error) = board.store(&store).await {
            tracing::warn!(board = %board.name(), %error, "a board could not be stored, and will be");
            time::sleep(pause).await;
            pause = MAX_PAUSE.min(2 * pause);
        }
    }
}

/// For how long it is waited before another try; after the first the double each time, up to the most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(15);
