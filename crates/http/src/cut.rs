//! Cutting: ending a task of the server from elsewhere.
//!
//! hyper doesn't ask a body whose client takes nothing, so nothing that the body answers can end it. What runs it can be dropped,
//! though: the connection, or over HTTP/2 the one stream, which is then reset.

use tokio::task_local;
use tokio_util::sync::CancellationToken;

task_local! {
    static CUT: CancellationToken;
}

/// Runs a task that may learn what cuts it.
pub(crate) async fn within<F: Future>(cut: CancellationToken, task: F) -> F::Output {
    CUT.scope(cut, task).await
}

/// Runs a task until it is cut, which it may learn how to do. Answers nothing where it was.
pub(crate) async fn until_cut<F: Future>(cut: CancellationToken, task: F) -> Option<F::Output> {
    within(cut.clone(), cut.run_until_cancelled(task)).await
}

/// What cuts the task that asks, where our server runs it.
pub(crate) fn current() -> Option<CancellationToken> {
    CUT.try_with(CancellationToken::clone).ok()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_task_is_cut_by_what_it_handed_out() {
        assert!(current().is_none());
        let task = until_cut(CancellationToken::new(), async {
            current().unwrap().cancel();
            pending::<()>().await;
        });
        assert_eq!(task.await, None);
        assert_eq!(until_cut(CancellationToken::new(), async { 7 }).await, Some(7));
    }
}
