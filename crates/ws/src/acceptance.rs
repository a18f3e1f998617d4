//! Acceptances: whether the answer to a handshake is still ours when it leaves, where hyper grants the upgrade.
//!
//! Over HTTP/1.1 hyper has an upgrade ready from the request on. It doesn't take it back when the answer is another than 101, but grants
//! it when the connection ends, and then on a socket that may live on (`proto/h1/dispatch.rs`: `poll_inner`). A client that a layer
//! refused on its way out would get the stream behind the refusal. So the session asks what became of its answer's body: hyper looks
//! whether it has an end, or somebody reads it on the way; a layer that answers by itself throws it away.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Error;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// Tells whether an answer was sent.
pub(crate) struct Acceptance(oneshot::Receiver<()>);

/// The body of an answer that has none.
struct Nothing {
    is_seen: AtomicBool,
    sent: Option<oneshot::Sender<()>>,
}

impl Acceptance {
    /// An answer's body, and who tells of it.
    pub(crate) fn new() -> (Body, Self) {
        let (sent, told) = oneshot::channel();
        let body = Nothing {
            is_seen: AtomicBool::new(false),
            sent: Some(sent),
        };
        (Body::new(body), Self(told))
    }

    /// Whether the answer was sent, once that is clear.
    pub(crate) async fn is_sent(&mut self) -> bool {
        (&mut self.0).await.is_ok()
    }
}

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.is_seen.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.is_seen.store(true, Ordering::Relaxed);
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take()
            && self.is_seen.load(Ordering::Relaxed)
        {
            // Nobody listens where the application is gone.
            let _ = sent.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_thrown_away_is_not_sent() {
        let (body, mut acceptance) = Acceptance::new();
        drop(body);
        assert!(!acceptance.is_sent().await);
    }

    #[tokio::test]
    async fn an_answer_whose_body_is_looked_at_is_sent() {
        let (body, mut acceptance) = Acceptance::new();
        assert!(http_body::Body::is_end_stream(&body));
        drop(body);
        assert!(acceptance.is_sent().await);
        let (body, mut acceptance) = Acceptance::new();
        assert!(axum::body::to_bytes(body, 0).await.unwrap().is_empty());
        assert!(acceptance.is_sent().await);
    }
}
