//! Stalls: a client that takes nothing of what waits for it, for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{self, Sleep};

/// The write deadline of a connection. It runs while something waits, and begins anew with each byte that leaves.
pub(crate) struct Stall {
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// What had left when the timer was set.
    written: u64,
}

impl Stall {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: None,
            written: 0,
        }
    }

    /// Nothing waits any more.
    pub(crate) fn end(&mut self) {
        self.timer = None;
    }

    /// Something waits, and so many bytes have left until now. Ready once that is a stall.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, written: u64) -> Poll<()> {
        if written != self.written {
            self.written = written;
            self.timer = None;
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(time::sleep(timeout)));
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_byte_that_leaves_begins_the_wait_anew() {
        let begun = Instant::now();
        let mut stall = Stall::new(Duration::from_secs(30));
        for written in 1..=4 {
            let stalled = poll_fn(|cx| stall.poll(cx, written));
            assert!(time::timeout(Duration::from_secs(20), stalled).await.is_err());
        }
        poll_fn(|cx| stall.poll(cx, 4)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(90));
    }
}
