//! The throttle: a client that sends too much is not read from for a while.
//!
//! Nothing is lost that way: what it sends waits in its own socket. An error in place of each message would leave it to the
//! client to know which of them were dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{self, Instant, Sleep};

use crate::rate::{Bucket, Rate};

/// What one client may send.
pub struct Throttle {
    message_rate: Rate,
    byte_rate: Rate,
    messages: Bucket,
    bytes: Bucket,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    /// With nothing used up.
    #[must_use]
    pub fn new(message_rate: Rate, byte_rate: Rate) -> Self {
        Self {
            message_rate,
            byte_rate,
            messages: Bucket::default(),
            bytes: Bucket::default(),
            pause: None,
        }
    }

    /// Counts what was read.
    pub fn charge(&mut self, messages: u64, bytes: u64) {
        if messages == 0 && bytes == 0 {
            return;
        }
        let now = Instant::now();
        let for_messages = self.messages.charge(self.message_rate, messages, now);
        let for_bytes = self.bytes.charge(self.byte_rate, bytes, now);
        if let Some(wait) = for_messages.max(for_bytes) {
            // A timer's millisecond: a shorter pause would be none.
            self.pause = Some(Box::pin(time::sleep(wait.max(Duration::from_millis(1)))));
        }
    }

    /// Ready while more may be read.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn wait(throttle: &mut Throttle) -> Duration {
        let begun = Instant::now();
        poll_fn(|cx| throttle.poll_passed(cx)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn whichever_is_used_up_first_makes_the_pause() {
        let mut throttle = Throttle::new(Rate::per_second(10), Rate::per_second(1_000));
        throttle.charge(10, 1_000);
        assert_eq!(wait(&mut throttle).await, Duration::ZERO);
        throttle.charge(10, 0);
        assert_eq!(wait(&mut throttle).await, SECOND);
        throttle.charge(0, 3_000);
        assert_eq!(wait(&mut throttle).await, 2 * SECOND);
    }
}
