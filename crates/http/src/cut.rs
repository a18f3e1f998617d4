//! Cutting: ending a connection of HTTP/1.1 from elsewhere.
//!
//! hyper doesn't ask a body whose client takes nothing, so nothing that the body answers can end it. What runs it can be dropped, though.

use tokio::task_local;
use tokio_util::sync::CancellationToken;

task_local! {
    static CUT: CancellationToken;
}

/// Runs a task that may learn what cuts it.
pub(crate) async fn within<F: Future>(cut: CancellationToken, task: F) -> F::Output {
    CUT.scope(cut, task).await
}

/// What cuts the task that asks, where our server runs it by hyper.
pub(crate) fn current() -> Option<CancellationToken> {
    CUT.try_with(CancellationToken::clone).ok()
}
