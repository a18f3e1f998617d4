//! Shutdown: sessions are told one batch after another.
//!
//! All at once would be one storm: of goodbyes here, and of clients that come back elsewhere.

use std::time::Duration;

use dualcast_core::{CloseReason, Hub, SessionHandle};
use tokio::time;

use crate::maintenance::maintain;

/// Tells every session of a hub to end, in batches over a second, and those that still come. Done when all are told; they end
/// by themselves then.
///
/// [`serve`](crate::serve) does the same with its own. This is for other servers, which know nothing of sessions:
///
/// ```no_run
/// # async fn run(hub: dualcast_core::Hub, listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
/// # let ctrl_c = std::future::pending::<()>();
/// axum::serve(listener, app)
///     .with_graceful_shutdown(async move {
///         ctrl_c.await;
///         tokio::spawn(async move { dualcast_http::shutdown(&hub).await });
///     })
///     .await
/// # }
/// ```
pub async fn shutdown(hub: &Hub) {
    maintain(hub);
    tell(hub.shut(), DRAIN_WINDOW).await;
}

/// Tells them over so much time.
pub(crate) async fn tell(sessions: Vec<SessionHandle>, window: Duration) {
    let steps = window.as_millis() / STEP.as_millis();
    let batch = sessions.len() / usize::try_from(steps).unwrap_or(usize::MAX).max(1);
    let mut batches = sessions.chunks(batch.max(MIN_BATCH)).peekable();
    while let Some(batch) = batches.next() {
        for session in batch {
            session.close(CloseReason::Shutdown);
        }
        if batches.peek().is_some() {
            time::sleep(STEP).await;
        }
    }
}

/// Over how long sessions are told, unless a server is told otherwise.
pub(crate) const DRAIN_WINDOW: Duration = Duration::from_secs(1);

const STEP: Duration = Duration::from_millis(10);

/// So few are no storm.
const MIN_BATCH: usize = 50;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use dualcast_core::{Session, Transport};
    use tokio::time::Instant;

    use super::*;

    async fn told(sessions: &[Session]) -> usize {
        poll_fn(|cx| {
            let told = sessions
                .iter()
                .filter(|session| session.poll_close(cx).is_ready());
            Poll::Ready(told.count())
        })
        .await
    }

    fn sessions(hub: &Hub, count: usize) -> Vec<Session> {
        (0..count)
            .map(|_| hub.open_session(Transport::Sse, None).unwrap())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_told_over_the_whole_window() {
        let hub = Hub::new();
        let crowd = sessions(&hub, 20_000);
        let telling = tokio::spawn({
            let hub = hub.clone();
            async move { shutdown(&hub).await }
        });
        let mut counts = Vec::new();
        for _ in 0..20 {
            time::sleep(DRAIN_WINDOW / 20).await;
            counts.push(told(&crowd).await);
        }
        telling.await.unwrap();
        assert!(
            counts
                .windows(2)
                .all(|pair| (500..=1_500).contains(&(pair[1] - pair[0]))),
            "{counts:?}"
        );
        assert_eq!(told(&crowd).await, 20_000);
        assert_eq!(told(&sessions(&hub, 1)).await, 1, "and whoever comes later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_are_told_at_once() {
        let hub = Hub::new();
        let few = sessions(&hub, MIN_BATCH);
        let begun = Instant::now();
        shutdown(&hub).await;
        assert_eq!((told(&few).await, begun.elapsed()), (MIN_BATCH, Duration::ZERO));
    }
}
