//! Waiting for what another process does: it can only be looked at, again and again.

use std::time::{Duration, Instant};

use tokio::time;

/// Far longer than anything takes: it only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
///
/// # Panics
///
/// If there isn't in the end.
pub(crate) async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "not so in the end: {what}");
        time::sleep(PAUSE).await;
    }
}
