//! Stalls: a client that takes nothing of what waits for it, for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{self, Sleep};

/// The write deadline of a connection. It runs while something waits, and begins anew with each byte that leaves.
#[derive(Default)]
pub(crate) struct Stall {
    timer: Option<Pin<Box<Sleep>>>,
    /// What had left when the timer was set.
    written: u64,
}

impl Stall {
    /// Nothing waits any more.
    pub(crate) fn end(&mut self) {
        self.timer = None;
    }

    /// Something waits, and so many bytes have left until now. Ready once none has for so long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, written: u64, timeout: Duration) -> Poll<()> {
        if written != self.written {
            self.written = written;
            self.timer = None;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(time::sleep(timeout)));
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn each_byte_that_leaves_begins_the_wait_anew() {
        let begun = Instant::now();
        let mut stall = Stall::default();
        for written in 1..=4 {
            let stalled = poll_fn(|cx| stall.poll(cx, written, TIMEOUT));
            assert!(time::timeout(Duration::from_secs(20), stalled).await.is_err());
        }
        poll_fn(|cx| stall.poll(cx, 4, TIMEOUT)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(90));
    }
}
